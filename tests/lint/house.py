#!/usr/bin/env python3
"""Rules of the house that a compiler cannot check; prints TAP.

Modules include only what stands below them; each foreign library has one door; no file outgrows a head; every case
number that a test cites is stated in doc/THREATS."""
import os
import re
import sys

TOP = os.environ.get("TUIMAIL_SRC", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SRC = os.path.join(TOP, "src")
PROGRAMS = ("spawn", "fetch", "index", "search", "view", "send", "oauth", "archive", "post", "sieve", "ui", "cli")
# What each module may include, besides itself.
BELOW = {
    "base": (),
    "conf": ("base",),
    "cmd": ("base", "conf", "query"),
    "ipc": ("base",),
    "mail": ("base",),
    "query": ("base", "conf", "mail"),
    "maildir": ("base", "mail"),
    "store": ("base", "conf", "ipc", "mail", "sync"),
    "net": ("base", "conf", "mail"),
    "sync": ("base", "ipc", "mail"),
    "mime": ("base", "mail"),
    "client": ("base", "conf", "ipc", "mail"),
    "spawn": ("base", "conf", "ipc"),
    "fetch": ("base", "conf", "ipc", "mail", "maildir", "net"),
    "own": ("base",),
    "index": ("base", "conf", "ipc", "mail", "own"),
    "search": ("base", "conf", "ipc", "mail", "own", "query", "store"),
    "view": ("base", "ipc", "mail", "mime"),
    "send": ("base", "conf", "ipc", "mail", "net"),
    "http": ("base", "conf"),
    "oauth": ("base", "conf", "http", "ipc"),
    "post": ("base", "conf", "http", "ipc"),
    "sieve": ("base", "conf", "ipc", "mail", "net"),
    "archive": ("base", "ipc", "mail", "maildir"),
    "ui": ("base", "conf", "cmd", "ipc", "mail", "query", "client", "store"),
    "cli": ("base", "conf", "cmd", "ipc", "mail", "query", "client", "store", "ui"),
    "": ("base", "conf", "cmd", "ipc", "client", "ui", "cli"),  # src/main.c
}
DOORS = {
    r"(n?curses\w*|term)\.h": r"^ui/term\.c$",
    r"sqlite3\.h": r"^store/",
    r"openssl/": r"^(net/|oauth/code\.c$)",
    r"curl/": r"^http/http\.c$",
    r"jansson\.h": r"^oauth/token\.c$",
    r"sasl/": r"^net/",
    r"libetpan/": r"^net/imap",
    r"gmime/": r"^mime/",
    r"gumbo\.h": r"^mime/",
    r"notmuch\.h": r"^(own|index|search)/",
    r"utf8proc\.h": r"^base/text\.c$",
    r"fribidi": r"^ui/bidi\.c$",
    r"zlib\.h": r"^net/stream_deflate\.c$",
    r"linux/(landlock|seccomp|filter|audit)\.h": r"^ipc/",
}
LINES = 950
results = []


def result(name, bad):
    results.append((name, bad))


def sources():
    for folder, _, names in os.walk(SRC):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                path = os.path.join(folder, name)
                yield os.path.relpath(path, SRC), open(path, encoding="utf-8").read()


def tables():
    """What doc/IMAP, POP3, KEYS, SCREEN and SEARCH say against src/net/imap.h and the tests."""
    tests, bad = {}, []
    for folder in ("cli", "net", "story", "unit"):
        for name in os.listdir(os.path.join(TOP, "tests", folder)):
            text = open(os.path.join(TOP, "tests", folder, name), encoding="utf-8", errors="replace").read()
            tests[name.split(".")[0]] = set(re.findall(r"^(?:def|static void) (\w+)\(", text, re.M))
    for page in ("IMAP", "POP3", "KEYS", "SCREEN", "SEARCH"):
        doc = open(os.path.join(TOP, "doc", page), encoding="utf-8").read()
        said = 0
        for where, names in re.findall(r"(\w+):((?:,?\s+[a-z]\w*_\w+)+)", doc):
            if where in tests:
                said += 1
                bad += ["doc/%s: %s has no %s" % (page, where, n) for n in re.findall(r"\w+", names) if n not in tests[where] and n not in tests]
        if not said:
            bad.append("doc/%s names no test" % page)
    doc = open(os.path.join(TOP, "doc", "IMAP"), encoding="utf-8").read()
    header = open(os.path.join(SRC, "net", "imap.h"), encoding="utf-8").read()
    return bad + ["%s is not in doc/IMAP" % w for w in re.findall(r'^    X\(\w+, "([^"]+)"\)', header, re.M) if w not in doc]


def keys():
    """What doc/KEYS says of keys against the default ones."""
    bound, bad = {}, []
    text = open(os.path.join(SRC, "cmd", "defaults.c"), encoding="utf-8").read()
    for line in re.findall(r'^    "bind (?:list|message|boxes|global)\S* (.*)\\n"', text, re.M):
        quoted, plain, command = re.match(r'(?:"([^"]+)"|(\S+)) (.+)', line.replace('\\"', '"').replace("\\\\", "\\")).groups()
        bound.setdefault(quoted or plain, set()).add(command)
    for key, command in re.findall(r"^(\S{1,5}) {5,}(\S.*?) {2,}", open(os.path.join(TOP, "doc", "KEYS"), encoding="utf-8").read(), re.M):
        if command not in bound.get(key, ()):
            bad.append("%s is %s, not %s" % (key, " or ".join(sorted(bound.get(key, {"not bound"}))), command))
    return bad


def main():
    up, doors, long, cited = [], [], [], {}
    for path, text in sources():
        module = path.split("/")[0] if "/" in path else ""
        for line in re.findall(r'^#include "([^"]+)"', text, re.M):
            target = line.split("/")[0] if "/" in line else module
            if target in BELOW and target != module and target not in BELOW[module]:
                up.append("%s includes %s" % (path, line))
        for line in re.findall(r"^#include <([^>]+)>", text, re.M):
            for door, allowed in DOORS.items():
                if re.match(door, line) and not re.match(allowed, path):
                    doors.append("%s includes <%s>" % (path, line))
        if text.count("\n") > LINES:
            long.append("%s has %d lines" % (path, text.count("\n")))
    result("modules include only what stands below them", up)
    result("each foreign library has one door", doors)
    result("no source file over %d lines" % LINES, long)

    threats = open(os.path.join(TOP, "doc", "THREATS"), encoding="utf-8").read()
    stated = {int(n) for n in re.findall(r"^ *(\d+)\. ", threats, re.M)}
    for folder, _, names in os.walk(os.path.join(TOP, "tests")):
        for name in names:
            if name.endswith((".c", ".py", ".sh")) and name != "house.py":
                text = open(os.path.join(folder, name), encoding="utf-8").read()
                for run in re.findall(r"THREATS ((?:\d+(?:-\d+)?(?:, |,| and | )?)+)", text):
                    for a, b in re.findall(r"(\d+)(?:-(\d+))?", run):
                        for n in range(int(a), int(b or a) + 1):
                            cited.setdefault(n, name)
    result("every cited case stands in doc/THREATS", ["%d (%s)" % (n, cited[n]) for n in sorted(set(cited) - stated)])
    result("doc/THREATS states only cases that a test cites", [str(n) for n in sorted(stated - set(cited))])

    result("doc/IMAP names every capability, and it, POP3, KEYS, SCREEN and SEARCH only tests that there are", tables())
    result("doc/KEYS has the default keys", keys())

    outside = []
    for folder, dirs, names in os.walk(TOP):
        dirs[:] = [d for d in dirs if not d.startswith((".git", "build", "autom4te"))]
        for name in names:
            if name in (".git", "house.py", "COPYING", "configure", "Makefile.in", "aclocal.m4"):
                continue
            try:
                text = open(os.path.join(folder, name), encoding="utf-8").read()
            except (UnicodeDecodeError, OSError):
                continue
            for word in (os.path.abspath(TOP) + "/",):
                if word in text:
                    outside.append("%s: %s" % (name, word))
    result("nothing names the path of this checkout", outside)

    print("1..%d" % len(results))
    for number, (name, bad) in enumerate(results, 1):
        for line in bad:
            print("# " + line)
        print("%s %d - %s" % ("not ok" if bad else "ok", number, name))
    return any(bad for _, bad in results)


if __name__ == "__main__":
    sys.exit(main())
