#!/usr/bin/env python3
"""The search index: how fast it is made beside what libnotmuch does alone on the same files, and how soon the first screen of hits stands
there after the last letter, beside what libnotmuch needs for them and the notmuch command.

    make bench            or: python3 tests/bench/search.py [HEADERS] [FULL] [MANY]

HEADERS messages known by their headers alone, FULL of a Maildir with their bodies; MANY headers (0: not measured). Seconds of processor
are those of the program that indexes; they do not depend on what else the machine does. A screen stands when the list is as it stays."""
import os
import random
import re
import sqlite3
import subprocess
import time

import tap
from bench import Pty, arguments, cpu, dated, ended, maildir_of, median, programs, put, query, share
from user import User

HEADERS, FULL, MANY = arguments(100000, 5000, 0)
FRAME = 0.016
ALONE = "set sidebar-width 0\nset mark-seen no\n"
# what is typed before the last letter, and that; the first finds nothing
QUERIES = [("rare word", "subject:2400", "0"), ("common word", "budge", "t"), ("two words", "budget and pat", "ch"), ("from:", "from:alic", "e"),
           ("tag:", "tag:unrea", "d"), ("date:", "date:2026-0", "9"), ("prefix", "budg", "*"), ("*", "", "*")]


class Indexing:
    """Seconds of processor and of the clock until nothing waits for the index."""

    def __init__(self, user, account, count):
        self.begun, self.used, first = time.monotonic(), 0, None
        self.seen = {}
        while True:
            for pid, name in programs(user.root).items():
                if name == "index":
                    try:
                        self.seen[pid] = cpu(pid)
                    except OSError:
                        pass
            waits = query(user, "select count(*) from msg where (istate & 15)<>0", account)
            here = query(user, "select count(*) from msg", account)
            first = first or (time.monotonic() if self.seen else None)
            if waits == 0 and here and here >= count and first:
                break
            time.sleep(0.2)
        for pid, name in programs(user.root).items():
            if name == "index":
                self.seen[pid] = cpu(pid)
        self.wall, self.cpu = time.monotonic() - first, sum(self.seen.values())


def alone(base, files):
    """(messages, seconds of processor) of libnotmuch on them, newest first; as nice as the program that indexes, for a machine with other
    work gives each its share of the caches by that."""
    out = subprocess.run(["nice", "-n", "10", os.path.join(tap.BUILD, "tests/bench/index_alone"), base], input="\n".join(files), capture_output=True, text=True, check=True)
    count, seconds = out.stdout.split()
    return int(count), float(seconds)


def header_files(user, directory):
    """What a row has, as a file each, where the index has it; their names, newest first."""
    directory = os.path.join(directory, "work/1.1767225600")
    os.makedirs(directory)
    names = []
    with sqlite3.connect("file:%s?mode=ro" % os.path.join(user.store, "state/work/cache.db"), uri=True) as db:
        for i, (name, addr, subject, msgid, date, refs) in enumerate(db.execute(
                "select from_name,from_addr,subject,msgid,date,refs from msg order by date desc")):
            words = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in (name, addr, subject, msgid, refs or "")]
            path = os.path.join(directory, str(i))
            with open(path, "w") as f:
                f.write("From: %s <%s>\nTo: \"Bob Example\" <to@invalid>\nSubject: %s\nDate: %s\nMessage-ID: <%s>\n%sMIME-Version: 1.0\n"
                        "Content-Type: text/plain; charset=utf-8\n\n" % (*words[:3], dated(date), words[3],
                                                                          "References: <%s>\n" % words[4] if words[4] else ""))
            names.append(path)
    return names


def say(what, indexing, count, seconds):
    print("%-28s %8.0f/s of processor (wall %.0f s for %d); libnotmuch alone %8.0f/s; ratio %.2f%s" % (
        what, count / indexing.cpu, indexing.wall, count, count / seconds, seconds / indexing.cpu,
        "" if seconds / indexing.cpu >= 0.9 else "  UNDER 0.9"), flush=True)


def filled(base, rows):
    home = os.path.join(base, "rows%d" % rows)
    user = User(home, lines="account work imaps://bob@localhost:9\nset -a work password-file %s/password\n%s" % (home, ALONE))
    os.makedirs(os.path.join(user.store, "state"), mode=0o700)
    os.chmod(user.store, 0o700)
    subprocess.run([os.path.join(tap.BUILD, "tests/bench/fill_store"), os.path.join(user.store, "state"), "work", str(rows), "unindexed"], check=True)
    return user


def headers(base, rows, beside):
    user = filled(base, rows)
    term = Pty(user, "--offline")
    indexing = Indexing(user, "work", rows)
    if beside:
        plain = os.path.join(base, "plain%d" % rows)
        say("headers", indexing, *alone(plain, header_files(user, os.path.join(plain, "mail"))))
    else:
        print("headers %d/s of processor, wall %.0f s for %d" % (rows / indexing.cpu, indexing.wall, rows))
    term.close()
    ended(user)
    return user


# ---- full bodies ----
def bodies(base, count):
    home = os.path.join(base, "full")
    box = maildir_of(os.path.join(home, "INBOX"))
    rand, now = random.Random(7), int(time.time())
    words = ["".join(rand.choice("aeioubcdfglmnprst") for _ in range(rand.randint(2, 10))) for _ in range(20000)]
    names = "Alice Bob Carol Dave Erin Frank Grace Heidi".split()
    for i in range(count):
        stamp = now - i * 240
        size = int(min(20000, rand.paretovariate(1.3) * 250))
        text = " ".join(words[min(int(rand.paretovariate(0.7)), len(words) - 1)] for _ in range(size))
        name = rand.choice(names)
        put(box, i, stamp, "From: %s <%s@example.org>\nTo: Bob <bob@example.org>\nSubject: %s %s of %d\nDate: %s\nMessage-ID: <f%d@example.org>\n\n%s\n" % (
            name, name.lower(), "budget" if i % 11 == 0 else words[i % 500], "patch" if i % 7 == 0 else words[i * 7 % 900], i, dated(stamp), i,
            re.sub(r"(.{1,70})( |$)", r"\1\n", text)), "S" if i % 50 else "")
    user = User(home, lines="account work maildir:%s\n%s" % (box, ALONE))
    term = Pty(user)
    indexing = Indexing(user, "work", count)
    plain = os.path.join(base, "plain-full")
    os.makedirs(plain)
    os.rename(box, os.path.join(plain, "mail"))
    files = sorted((os.path.join(plain, "mail/cur", f) for f in os.listdir(os.path.join(plain, "mail/cur"))), reverse=True)
    say("full bodies", indexing, *alone(plain, files))
    os.rename(os.path.join(plain, "mail"), box)
    term.close()
    ended(user)
    return user


# ---- from the last letter to the first screen ----
def shown(term, keys, timeout=10):
    """Seconds until the list is as it stays."""
    at = term.send(keys)
    pictures, end = [], time.monotonic() + timeout
    while time.monotonic() < end:
        got = term.take(0.5)
        if got is None:
            break
        pictures.append((got, "\n".join(line[:100] for line in term.screen.display[1:37])))
    last = pictures[-1][1] if pictures else ""
    return next((when - at for when, picture in pictures if picture == last), None)


def notmuch(config, text, limit):
    begin = time.monotonic()
    subprocess.run(["notmuch", "--config=" + config, "search", "--output=summary", "--limit=%d" % limit, text], capture_output=True, check=True)
    return time.monotonic() - begin


def library(user, text):
    """Seconds in which libnotmuch, in a program that has it open, gives 50 hits newest first with what a row shows."""
    import ctypes
    nm = ctypes.CDLL("libnotmuch.so.5")
    for name in ("notmuch_query_create", "notmuch_messages_get", "notmuch_message_get_header"):
        getattr(nm, name).restype = ctypes.c_void_p
    nm.notmuch_message_get_tags.restype = ctypes.c_void_p
    directory, db, took = os.path.join(user.store, "index").encode(), ctypes.c_void_p(), []
    for _ in range(5):
        begin = time.monotonic()
        nm.notmuch_database_open_with_config(directory, 0, directory + b"/config", None, ctypes.byref(db), None)
        q = ctypes.c_void_p(nm.notmuch_query_create(db, text.encode()))
        nm.notmuch_query_set_sort(q, 1)
        nm.notmuch_query_add_tag_exclude(q, b"deleted")
        nm.notmuch_query_add_tag_exclude(q, b"spam")
        messages = ctypes.c_void_p()
        nm.notmuch_query_search_messages(q, ctypes.byref(messages))
        for _ in range(50):
            if not nm.notmuch_messages_valid(messages):
                break
            m = ctypes.c_void_p(nm.notmuch_messages_get(messages))
            for field in (b"from", b"subject"):
                nm.notmuch_message_get_header(m, field)
            nm.notmuch_message_get_tags(m)
            nm.notmuch_message_destroy(m)
            nm.notmuch_messages_move_to_next(messages)
        took.append(time.monotonic() - begin)
        nm.notmuch_database_destroy(db)
    return median(took)


def queries(user, what, most):
    config = os.path.join(user.store, "index/config")
    term = Pty(user, "--offline")
    term.wait("of ", 30)
    term.settle(2)
    print("\n%s: from the last letter to the first screen%21s %8s %9s %9s %9s" % (what, "p50", "p95", "libnotmuch", "notmuch", "at most"))
    for name, before, last in QUERIES:
        took = []
        for _ in range(12):
            term.send(b"/" + before.encode())
            term.settle(0.5)
            took.append(shown(term, last.encode()))
            term.send(b"\x1b")
            term.settle(0.4)
            term.send(b"\x1b" if "search" in "\n".join(term.screen.display) else b"")
            term.settle(0.2)
        base = library(user, before + last)
        bound = max(most, 1.5 * base + FRAME)
        print("%-64s %7.1f %8.1f %10.1f %9.1f %9.1f ms%s" % (name + ": " + before + last, *(1e3 * v for v in (
            median(took), share(took, 0.95), base, median([notmuch(config, before + last, 50) for _ in range(3)]), bound)),
            "" if share(took, 0.95) <= bound else "  OVER"), flush=True)
    term.close()
    ended(user)


def main():
    with tap.directory() as base:
        if HEADERS:
            queries(headers(base, HEADERS, True), "%d headers" % HEADERS, 0.05)
        if FULL:
            queries(bodies(base, FULL), "%d full bodies" % FULL, 0.05)
        if MANY:
            queries(headers(base, MANY, False), "%d headers" % MANY, 0.15)


if __name__ == "__main__":
    main()
