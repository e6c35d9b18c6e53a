#!/usr/bin/env python3
"""tuimail search, count and address over hostile mail: the fields that tuimail(1) promises, orders, pages, broken and costly queries."""
import json
import os
import re
import resource
import subprocess
import time

import tap
from tap import SRC, TUIMAIL, contains, equal
from user import User, eventually

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
MAILS = (
    (b"plain", b"From: Alice Example <alice@example.org>\nSubject: budget of the third quarter\nMessage-ID: <1@x>\nDate: Mon, 1 Jun 2026 10:00:00 +0000\n\nhello world\n"),
    (b"control", b"From: \"\x1b[2J\x07 Evil\" <e\x01vil@example.org>\nSubject: \x1b]0;title\x07 budget\x00\x7f \xe2\x80\xae reversed\nMessage-ID: <2@x>\nDate: Mon, 1 Jun 2026 11:00:00 +0000\n\nx\n"),
    (b"latin", b"From: Jos\xe9 <jose@example.org>\nSubject: caf\xe9 \xff\xfe budget\nMessage-ID: <3@x>\nDate: Mon, 1 Jun 2026 12:00:00 +0000\n\nx\n"),
    (b"new\nline\xff", b"From: carol@example.org\nSubject: name of two lines, budgets\nMessage-ID: <4@x>\nDate: Mon, 1 Jun 2026 13:00:00 +0000\n\nx\n"),
    (b"noid", b"From: Dave <dave@example.org>\nSubject: no id, a budget\nDate: Mon, 1 Jun 2026 14:00:00 +0000\n\nx\n"),
    (b"twice", b"From: Mallory <m@example.org>\nSubject: another with the id of the first: budget\nMessage-ID: <1@x>\nDate: Mon, 1 Jun 2026 15:00:00 +0000\n\nother\n"),
    (b"reply", b"From: FRED <Fred@example.org>\nSubject: Re: another thing\nIn-Reply-To: <1@x>\nMessage-ID: <7@x>\nDate: Mon, 1 Jun 2026 15:30:00 +0000\n\nx\n"),
    (b"again", b"From: Fred Example <fred@example.org>\nSubject: budget of the fourth\nMessage-ID: <8@x>\nDate: Mon, 1 Jun 2026 09:00:00 +0000\n\nx\n"),
    (b"third", b"From: Fred Example <fred@example.org>\nSubject: fifth\nMessage-ID: <10@x>\nDate: Mon, 1 Jun 2026 08:00:00 +0000\n\nx\n"),
    (b"sent", b"From: grete@example.org\nTo: Grete Muster <g@example.org>, friends: \"\x1b[31mx\" <x@example.org>;\nCC: =?utf-8?q?Fred_Example?= <fred@example.org>\n"
     b"Bcc: h@example.org\nMessage-ID: <11@x>\nDate: Mon, 1 Jun 2026 07:00:00 +0000\n\nTo: body@example.org\n"),
    (b"all", b"From: grete@example.org\nTo: " + b",\n ".join(b"p%d@example.org" % i for i in range(1000)) + b"\nMessage-ID: <12@x>\nDate: Mon, 1 Jun 2026 06:00:00 +0000\n\nx\n"),
    (b"empty", b"To: nobody\nMessage-ID: <5@x>\n\nbudget of nobody\n"),
    (b"long", b"From: " + b"x" * 3000 + b" <l@example.org>\nSubject: budget " + b"\xc3\xa9" * 5000 + b"\nMessage-ID: <6@x>\nDate: Mon, 1 Jun 2026 16:00:00 +0000\n\nx\n"),
)
TYPES = {"number": int, "string": str, "array": list, "boolean": bool}


def documented(command):
    """{field: type} of what tuimail(1) says of it."""
    page = open(os.path.join(SRC, "doc", "tuimail.1"), encoding="utf-8").read()
    section = page.split(".SH JSON\n")[1].split(".SH ")[0].split(".B tuimail ")
    part = [p for p in section if p.startswith(command)][0]
    return {name: TYPES[kind.split()[0]] for name, kind in re.findall(r"^\.TP\n\.I (\w+)\n(\w+)", part, re.M)}


def test_search():
    with tap.directory() as root:
        for sub in ("", "cur", "new", "tmp"):
            os.makedirs(os.path.join(root, "Mail", sub), exist_ok=True)
        for name, mail in MAILS:
            with open(os.path.join(os.fsencode(root), b"Mail/cur", name + b".x:2,"), "wb") as f:
                f.write(mail)
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(root, "Mail", ".Trash", sub))
        with open(os.path.join(root, "Mail/.Trash/cur/gone.x:2,S"), "wb") as f:
            f.write(b"From: gone@example.org\nSubject: budget\nMessage-ID: <9@x>\n\nx\n")
        user = User(os.path.join(root, "u"), account=False, lines='account work maildir:%s/Mail\nsaved "The budget" "s:budget"\n' % root)
        user.command("fetch")
        eventually("all are indexed", lambda: user.command("count") == "%d\n" % len(MAILS))

        # What the page promises: each field, of its type, in valid and harmless JSON.
        want = documented("search")
        raw = subprocess.run([TUIMAIL, "-c", user.rc, "search", "--format=json", "*"], capture_output=True, env=dict(os.environ, **user.env))
        equal(raw.returncode, 0, raw.stderr)
        text = raw.stdout.decode("utf-8")
        equal(CONTROL.search(text), None)
        hits = json.loads(text)
        equal(len(hits), len(MAILS))
        for hit in hits:
            equal({k: type(v) for k, v in hit.items()}, want)
            equal(all(isinstance(t, str) for t in hit["tags"]), True)
        equal([h["date"] for h in hits], sorted((h["date"] for h in hits), reverse=True))
        contains([h["subject"] for h in hits if h["from"].startswith("Jos")][0], "café ÿþ budget")
        for args in (["--format=text"], ["--format=ids"], ["--format=files"], ["--output=tags"]):
            equal(CONTROL.search(user.command("search", *args, "*")), None, args[0])
        equal(json.loads(user.command("search", "--output=messages", "--format=json", "id:5@x")), ["5@x"])
        # Names of files may hold anything: as they are they go with a NUL behind each.
        null = subprocess.run([TUIMAIL, "-c", user.rc, "search", "--output=files", "--null", "*"], capture_output=True, env=dict(os.environ, **user.env)).stdout
        files = null.split(b"\0")[:-1]
        equal(len(files), len(MAILS))
        equal([f for f in files if not os.path.exists(f)], [])
        equal(sum(b"\n" in f for f in files), 1)

        # Orders and pages.
        newest = user.command("search", "--format=ids", "subject:budget").split()
        equal(user.command("search", "--format=ids", "--sort=oldest-first", "subject:budget").split(), newest[::-1])
        pages = [user.command("search", "--format=ids", "--limit=2", "--offset=%d" % at, "subject:budget").split() for at in range(0, len(newest) + 2, 2)]
        equal(sum(pages, []), newest)
        best = user.command("search", "--format=ids", "--sort=relevance", "quarter or budget or f:alice").split()
        alice = user.command("search", "--format=ids", "f:alice quarter").strip()  # one of two with the same id has another
        equal((best[0], sorted(best)), (alice, sorted(user.command("search", "--format=ids", "quarter or budget or f:alice").split())))

        # S-expressions, saved searches, short forms: the same mail.
        for query in ("(subject quarter)", "sexp:(and (subject quarter) (from alice))"):
            equal(user.command("search", "--format=ids", query).split(), [alice], query)
        for query in ('(and (infix "s:budget"))', 'saved:"The budget"', "account:work s:budget"):
            equal(user.command("search", "--format=ids", query).split(), newest, query)
            equal(user.command("count", "--account", "work", query), "%d\n" % len(newest), query)
        equal(json.loads(user.command("count", "--format=json", "s:budget")), {"version": 1, "count": len(newest)})
        equal({k: type(v) for k, v in json.loads(user.command("count", "--format=json")).items()}, documented("count"))
        equal(user.command("count", "--batch", stdin="s:budget\n*\nid:5@x\n"), "%d\n%d\n1\n" % (len(newest), len(MAILS)))
        addresses = json.loads(user.command("address", "--format=json", "alice"))
        equal([(a["name"], a["address"]) for a in addresses], [("Alice Example", "alice@example.org")])
        equal({k: type(v) for k, v in addresses[0].items()}, documented("address"))

        # Who sent it, as notmuch address says it; no address is cut, however long the name beside it is.
        sent = ["Fred Example <fred@example.org>", "FRED <Fred@example.org>"]
        equal(user.command("address", "--query", "f:fred").splitlines(), sent[:1])
        equal(user.command("address", "--query", "f:fred", "--deduplicate=mailbox").splitlines(), [sent[1], sent[0]])
        equal(user.command("address", "--query", "f:fred", "--deduplicate=no").splitlines(), [sent[1], sent[0], sent[0]])
        equal(user.command("address", "--query", "f:fred", "--deduplicate=no", "--limit=1").splitlines(), [sent[1]])
        equal(user.command("address", "--query=f:fred", "--count").splitlines(), ["3\t" + sent[0]])
        equal(user.command("address", "--query=f:fred", "--count", "--deduplicate=mailbox").splitlines(), ["1\t" + sent[1], "2\t" + sent[0]])
        equal(json.loads(user.command("address", "--query=id:6@x", "--format=json"))[0]["address"], "l@example.org")
        # and to whom it went; each of a thousand, and no control character of any
        to = ["Grete Muster <g@example.org>", '"[31mx" <x@example.org>', "Fred Example <fred@example.org>", "h@example.org"]
        equal(user.command("address", "--query=id:11@x", "--output=recipients").splitlines(), to)
        equal(user.command("address", "--query=f:fred or id:11@x", "--output=count,recipients,sender").splitlines()[1:3], ["1\tgrete@example.org", "1\t" + to[0]])
        contains(user.command("address", "--query=f:fred or id:11@x", "--output=recipients,sender", "--count").splitlines(), "4\t" + to[2])
        equal(len(user.command("address", "--query=id:12@x", "--output=recipients").splitlines()), 1000)
        equal(user.run("address", "--query=id:8@x", "--output=recipients").returncode, 1)  # it names none
        equal(user.run("address", "--query=*", "--output=receiver").returncode, 64)
        contains(user.command("search", "--format=json", "id:6@x"), "xxx <l@example.org>")
        equal({k: type(v) for k, v in json.loads(user.command("address", "--query=*", "--format=json", "--count"))[0].items()}, documented("address \\-\\-query"))
        equal(CONTROL.search(user.command("address", "--query=*", "--deduplicate=no").replace("\t", "")), None)
        for args in (["--count"], ["--query=*", "word"], ["--query=*", "--deduplicate=no", "--count"], ["--query=(("]):
            equal(user.run("address", *args).returncode != 0, True, args)

        # Counts, as notmuch says them of the same index.
        config = os.path.join(user.store, "index", "config")
        for query in ("*", "s:budget", "f:fred", "nothing"):
            for output in ("messages", "threads", "files"):
                theirs = subprocess.run(["notmuch", "--config=" + config, "count", "--output=" + output, query.replace("s:", "subject:").replace("f:", "from:")],
                                        capture_output=True, text=True, check=True).stdout
                equal(user.command("count", "--exclude=false", "--output=" + output, query), theirs, output + " of " + query)

        # Tags by lines, as notmuch dump writes them.
        user.command("tag", "--batch", stdin='#notmuch-dump batch-tag:3 tags\n\n+a%20b +kept -- id:5@x\n+kept id:4@x\n-kept +flagged -- id:4@x\n')
        equal([user.command("search", "--format=ids", query) for query in ('tag:"a b" tag:kept', "tag:flagged", "tag:kept")], ["5@x\n", "4@x\n", "5@x\n"])
        for sign, count in zip("+-+-+-", "101010"):  # the next command finds it so
            user.command("tag", sign + "again", "--", "id:6@x")
            equal(user.command("count", "tag:again"), count + "\n")
        for line, words in (("+kept -- date:fortnight..", "line 1"), ("\nkept -- id:5@x", "line 2: no tag"), ("+kept --", "query is missing"), ("+unread%20x", "query is missing")):
            done = user.run("tag", "--batch", stdin=line + "\n")
            equal(done.returncode != 0, True, line)
            contains(done.stderr, words)

        # What is in the trash is found where it is named, or where nothing is left out.
        eventually("the trash is indexed", lambda: user.command("count", "tag:deleted") == "1\n")
        for args, count in ((["id:9@x"], "0\n"), (["--exclude=false", "id:9@x"], "1\n"), (["--exclude=false", "--output=files", "*"], "%d\n" % (len(MAILS) + 1))):
            equal(user.command("count", *args), count, args)
        equal((user.command("search", "--format=ids", "id:9@x"), user.command("search", "--exclude=false", "--format=ids", "id:9@x")), ("", "9@x\n"))

        # What is broken is said, and of regexps what to do about it.
        for query, words in (("sexp:(fro alice)", "fro"), ("date:fortnight..", "fortnight"), ("from:\"/a(b/\"", "Unmatched"), ("in:Nowhere", "no mailbox Nowhere"),
                             ("saved:x", "no saved search x"), ("newer:soon", "an age"), ("subject:\"/((((a{1,200}){1,200}){1,100}){1,100})/\"", "too often")):
            done = user.run("search", query)
            equal((done.stdout, done.returncode != 0), ("", True), query)
            contains(done.stderr, words)
        # One that never ends is ended; a second of the processor is what this one is allowed.
        done = subprocess.run([TUIMAIL, "-c", user.rc, "search", "subject:\"/(é*)*(é*)*\\1x\\2/\""], capture_output=True, text=True,
                              env=dict(os.environ, **user.env), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY)))
        contains(done.stderr, "takes too long")

        # The index of somebody else's making, or none.
        index = os.path.join(user.store, "index")
        os.chmod(os.path.join(index, "xapian"), 0o500)
        equal(user.command("count"), "%d\n" % len(MAILS))
        os.chmod(os.path.join(index, "xapian"), 0o700)


def test_a_pager_that_waits():
    """Who reads the hits a page at a time gets them all: more of them than all pipes hold, and a pause that is longer than any wait."""
    with tap.directory() as root:
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(root, "Mail", sub))
        for i in range(1200):
            with open(os.path.join(root, "Mail/cur/%d.x:2,S" % i), "w") as f:
                f.write("From: alice@example.org\nSubject: %d %s\nMessage-ID: <%d@x>\nDate: Mon, 1 Jun 2026 10:00:00 +0000\n\nx\n" % (i, "long " * 190, i))
        user = User(os.path.join(root, "u"), account=False, lines="account work maildir:%s/Mail\n" % root)
        user.command("fetch")
        eventually("all are indexed", lambda: user.command("count", status=None) == "1200\n")
        with subprocess.Popen([TUIMAIL, "-c", user.rc, "search", "--limit", "0", "*"], stdout=subprocess.PIPE, env=dict(os.environ, **user.env)) as pager:
            first = pager.stdout.read(1000)
            time.sleep(12)
            lines = (first + pager.stdout.read()).splitlines()
        equal((len(lines), pager.returncode), (1200, 0))


if __name__ == "__main__":
    tap.run(globals())
