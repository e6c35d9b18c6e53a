#!/usr/bin/env python3
"""The server is asked for what is not here: merged with what the index finds, never in the way of a key."""
import json
import os
import re
import struct

import channel
import cyrus
import dovecot
import imap_script
import rig
import tap
from tap import contains, equal
from user import User, eventually, message


def mail(n, body, subject=None):
    return message(subject or "letter %d" % n, body=body)


ERR = channel.error_kinds()


class Work:
    """Bob's INBOX of 30 letters, 200 in Archive; bodies are on the server alone."""

    def __init__(self, base, lines="", hide=None, **server):
        self.server = dovecot.Server(os.path.join(base, "server"), **server)
        self.server.append("bob", "INBOX", [mail(i, "about zebra %d\n" % i if i % 10 == 0 else "nothing\n") for i in range(30)])
        self.server.append("bob", "Archive", [mail(i, "an old zebra\n" if i % 50 == 0 else "nothing\n") for i in range(1000, 1200)])
        self.server.append("bob", "Trash", [mail(5000, "zebra thrown away\n")])
        self.bob = User(os.path.join(base, "bob"), self.server, lines="set -a work cache headers\n" + lines)

    def close(self):
        self.server.close()


def test_command_line():
    with tap.directory() as base:
        work = Work(base)
        bob = work.bob
        try:
            bob.command("fetch")
            eventually("all is indexed", lambda: bob.run("count").stdout.strip() == "230")
            equal(bob.command("search", "--format=ids", "zebra"), "", "bodies are not here")
            ids = bob.command("search", "--format=ids", "--server", "zebra").splitlines()
            equal(sorted(ids), sorted("letter%d@example.org\tserver" % i for i in (0, 10, 20, 1000, 1050, 1100, 1150)), "Trash is left out")
            ids = bob.command("search", "--format=ids", "--server", "in:trash zebra").splitlines()
            equal(ids, ["letter5000@example.org\tserver"])
            # what is here comes once, and not as the server's
            found = json.loads(bob.command("search", "--format=json", "--server", 'subject:"letter 10" or zebra'))
            equal({m["id"]: m["server"] for m in found}["letter10@example.org"], False)
            equal(len(found), len({m["id"] for m in found}), "each once")
            contains(bob.command("search", "--server", "zebra and not letter"), "")
            # what is not known there is said, and compared here
            done = bob.run("search", "--format=ids", "--server", 'zebra subject:"/letter 1.$/"')
            equal((done.returncode, done.stdout.split("\n")[:-1]), (0, ["letter10@example.org\tserver"]), done.stderr)
            contains(done.stderr, 'the server was not asked for "subject:"/letter 1.$/""')
        finally:
            work.close()


def test_key():
    """The key repeats the query at the server; what it finds joins the list, marked, and opens."""
    with tap.directory() as base:
        work = Work(base)
        try:
            with work.bob.at_screen(cols=100, rows=40) as term:
                term.wait("letter 29")
                eventually("all is indexed", lambda: work.bob.run("count").stdout.strip() == "230")
                term.keys("/", 'subject:"letter 25" or zebra', "Enter")
                term.wait("letter 25")
                term.keys("\\")
                screen = term.wait("more on the server")
                contains(screen, "7 more on the server · work: 4 mailboxes asked")
                rows = {re.search("letter [0-9]+", line)[0]: line for line in screen.splitlines() if "Alice" in line}
                equal(sorted(rows), sorted("letter %d" % i for i in (0, 10, 20, 25, 1000, 1050, 1100, 1150)))
                equal([name for name, line in rows.items() if "server" not in line], ["letter 25"])
                # it opens as any other does
                term.keys(":", "last", "Enter", "Enter")
                term.wait("about zebra 0")
                # what a server is not asked is said, and compared here
                term.keys("q", "q", "/", 'zebra subject:"/letter 1.$/"', "Enter", "\\")
                screen = term.wait("is not known there")
                contains(screen, "1 more on the server")
                term.keys("/", "thread:1 or tag:x", "Enter", "\\")
                term.wait('a server cannot be asked for "thread:1"')
        finally:
            work.close()


def test_a_slow_server():
    """It does not answer: keys go on, and leaving ends it."""
    with tap.directory() as base:
        work = Work(base)
        line = rig.Line(work.server.info)
        line.cut("UID SEARCH.*zebra", "hold")
        bob = User(os.path.join(base, "slow"), work.server, port=line.port, lines="set -a work cache headers\n")
        try:
            with bob.at_screen(cols=100, rows=30) as term:
                term.wait("letter 29")
                eventually("all is indexed", lambda: bob.run("count").stdout.strip() == "230")
                term.keys(":", "server-search zebra", "Enter")
                term.wait("asking the server · work: INBOX, mailbox 1 of")
                eventually("it is asked", lambda: line.asked("EXAMINE"))
                # another mailbox, a message of it, and back
                term.keys("c", "Archive", "Enter")
                term.wait("letter 1019")
                term.keys("Enter")
                term.wait("nothing")
                term.keys("q")
                term.wait(lambda screen: "asking the server" not in screen)
                term.keys(":", "server-search zebra", "Enter")
                term.wait("asking the server")
                term.keys(":", "jobs", "Enter")
                term.wait("asking the server · work: Archive, mailbox 1 of")
                term.keys("d")
                term.wait("the server is not asked any more")
                # now it answers
                line.armed = []
                term.keys("q", "\\")
                term.wait("7 more on the server")
        finally:
            line.close()
            work.close()


def test_a_poor_server():
    """No ESEARCH, no literals without waiting, words of other scripts; offline."""
    with tap.directory() as base:
        work = Work(base, extra="imap_capability = IMAP4rev1 IDLE\n")
        work.server.append("bob", "Archive", [message("letters of others", body="das Z\u00e9bra\n", extra="Content-Type: text/plain; charset=utf-8\n")])
        bob = work.bob
        try:
            bob.command("fetch")
            equal(sorted(bob.command("search", "--format=ids", "--server", "z\u00e9bra and not subject:letter1").split()), ["lettersofothers@example.org", "server"])
            equal(len(bob.command("search", "--format=ids", "--server", "zebra date:2026-11-22").splitlines()), 7)
            equal(bob.command("search", "--format=ids", "--server", "zebra date:..2026-11-21").splitlines(), [])
            away = User(os.path.join(base, "away"), work.server)
            done = away.run("--offline", "search", "--server", "zebra")
            equal(done.returncode != 0, True)
            contains(done.stderr, "work: the account is offline: its server cannot be asked")
        finally:
            work.close()


def test_gmail():
    """Its own search for words and attachments, its labels for tags, in All Mail alone; what INBOX has too is one hit."""
    with tap.directory() as base:
        server = imap_script.Gmail(os.path.join(base, "server"))
        server.add("INBOX", *(mail(i, "about zebra\n" if i < 2 else "nothing\n").replace("\n", "\r\n").encode() for i in range(5)))
        server.add("[Gmail]/All Mail", mail(7, "an archived zebra\n").replace("\n", "\r\n").encode())
        with server.lock:
            server["Work"].add(server["INBOX"].messages[1])
        bob = User(os.path.join(base, "bob"), server, lines="set -a work cache headers\n")
        try:
            bob.command("fetch")
            eventually("INBOX is indexed", lambda: len(bob.run("search", "--format=ids", "letter").stdout.splitlines()) == 5)

            def found(query):
                server.heard.clear()
                done = bob.run("search", "--format=ids", "--server", query)
                equal((done.returncode, done.stderr), (0, ""))
                return sorted(line.split("@")[0] for line in done.stdout.splitlines()), server.asked("UID SEARCH")
            ids, asked = found("zebra")
            equal(ids, ["letter0", "letter1", "letter7"])
            equal(len(asked), 1, "All Mail holds all: %s" % asked)
            contains(asked[0], 'X-GM-RAW "\\"zebra\\""')
            contains(" ".join(server.asked("EXAMINE")), "All Mail")
            ids, asked = found("tag:Work and zebra")
            equal(ids, ["letter0"])
            contains(asked[0], 'X-GM-LABELS "Work"')
            ids, asked = found("zebra and not tag:Work")
            equal(ids, ["letter1", "letter7"])
            equal(found("has:attachment and zebra")[0], [])
            # another device's label and mail that comes meanwhile
            with server.lock:
                server.change(server["INBOX"], 2, "+X-GM-LABELS", ["Receipts"])
                server.add("[Gmail]/All Mail", mail(8, "zebra again\n").replace("\n", "\r\n").encode())
            equal(found("tag:Receipts and zebra")[0], ["letter1"])
            equal(found("zebra")[0], ["letter0", "letter1", "letter7", "letter8"])
        finally:
            server.close()


def test_similar_words():
    """FUZZY of a real Cyrus, by the stem: asked with option server-fuzzy alone; what its index does not have yet is found as it is written."""
    with tap.directory() as base:
        where = os.path.join(base, "server")
        server = cyrus.Server(where, extra="search_engine: xapian\ndefaultsearchtier: t1\nt1searchpartition-default: %s/mail\nconversations: 1" % where)
        line = rig.Line(server.info)
        try:
            server.append("bob", "INBOX", [mail(1, "about running zebras\n"), mail(2, "nothing\n")])
            server.index("bob")
            server.append("bob", "INBOX", [mail(3, "to run\n")])
            bob = User(os.path.join(base, "bob"), server, port=line.port, lines="set -a work cache headers\n")
            bob.command("fetch")

            def found(query):
                return sorted(bob.command("search", "--format=ids", "--server", query).replace("\tserver", "").split())
            equal(found("runs"), [])
            equal(found("run"), ["letter1@example.org", "letter3@example.org"])
            equal([c for c in line.asked("UID SEARCH") if "FUZZY" in c], [])
            bob.write_rc(open(bob.rc).read() + "set server-fuzzy yes\n")
            equal(found("runs"), ["letter1@example.org"], "the same stem")
            equal(found("run"), ["letter1@example.org", "letter3@example.org"])
            contains(line.asked("UID SEARCH")[-1], "FUZZY")
        finally:
            line.close()
            server.close()


def test_asked_by_itself():
    """server-search auto: a search that is entered is asked of the server too, one that is left is not."""
    with tap.directory() as base:
        work = Work(base, lines="set server-search auto\n")
        try:
            with work.bob.at_screen(cols=100, rows=40) as term:
                term.wait("letter 29")
                eventually("all is indexed", lambda: work.bob.run("count").stdout.strip() == "230")
                term.keys("/", "zebra")
                term.wait("Nothing matches")
                term.keys("Enter")
                contains(term.wait("more on the server"), "7 more on the server")
                term.command("set server-search off")
                term.keys("q", "\\")
                term.wait("servers are not asked")
        finally:
            work.close()


def ranges(uids):
    return [struct.unpack_from("<II", uids, at) for at in range(0, len(uids), 8)]


def test_hostile_answers():
    """What was not asked, what cannot be, and millions."""
    with tap.directory() as base:
        server = imap_script.Server(("INBOX",), "IMAP4rev1 LITERAL+ ESEARCH", directory=os.path.join(base, "server"))
        for i in range(9):
            server["INBOX"].add(imap_script.Message(message("letter %d" % i).encode()))
        conf = "account work imaps://bob@localhost:%d\nset -a work tls-ca-file %s\n" % (server.port, server.info["ca"])
        answers = [
            (b'* ESEARCH (TAG "T9999") UID ALL 1:4\r\n', []),                              # another command's
            (b'* ESEARCH (TAG "{tag}") UID ALL 1:4294967295 COUNT 4294967295\r\n{tag} OK done\r\n', [(5, 9)]),  # no more than there are, the newest
            (b"* SEARCH 3 2 2 4294967295 0 9\r\n", [(2, 3)]),
            (b"* SEARCH x\r\n* SEARCH 2 y\r\n", [(2, 2)]),
            (b'* ESEARCH (TAG "{tag}") UID ALL 4:2,8\r\n{tag} OK done\r\n', [(8, 8), (2, 4)]),
            (b"* SEARCH " + b" ".join(b"%d" % n for n in range(1, 1000000)) + b"\r\n", [(5, 9)]),
        ]
        try:
            with channel.running("fetch", base, conf) as p:
                p.do("STEP_CONNECT")
                for answer, want in answers:
                    server.once("UID SEARCH.*", answer)
                    got = p.do("STEP_SEARCH", box=1, name="INBOX", utf8="INBOX", role=1, query="letter", most=5)
                    equal(sum((ranges(u.ranges) for u in got["UIDS"]), []), want, answer[:60])
                server.once("UID SEARCH.*", b"{tag} NO [BADCHARSET (US-ASCII)] no\r\n")
                contains(p.do("STEP_SEARCH", box=1, name="INBOX", query="z\u00e9bra", most=5, want=ERR["SERVER_NO"])["DONE"].text.decode(), "ASCII characters alone")
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
