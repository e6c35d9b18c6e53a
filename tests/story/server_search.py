#!/usr/bin/env python3
"""The server is asked for what is not here: merged with what the index finds, never in the way of a key."""
import json
import os
import re
import struct

import channel
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
