#!/usr/bin/env python3
"""libexec/fetch sends the first mailbox behind the login's last words. Servers that take it, refuse it, lose it, or have changed since."""
import contextlib
import os
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import channel  # noqa: E402
import tap  # noqa: E402
from listener import Listener  # noqa: E402

ERR = channel.error_kinds()
BEFORE = "IMAP4rev1 SASL-IR ENABLE LITERAL+ AUTH=PLAIN"
AFTER = "IMAP4rev1 SASL-IR ENABLE LITERAL+ UIDPLUS ESEARCH CONDSTORE QRESYNC"
HEADER = b"From: a@example.org\r\nSubject: s\r\n\r\n"


def select_answer(tag):
    return (b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 6] x\r\n* OK [HIGHESTMODSEQ 9] x\r\n"
            b"* VANISHED (EARLIER) 2\r\n* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (8))\r\n%s OK [READ-WRITE] open\r\n" % tag)


def rows_answer(tag, command):
    lo, hi = map(int, re.search(r"(\d+):(\d+)", command).groups())
    uid = command.startswith("UID")
    return b"".join(b"* %d FETCH (UID %d FLAGS () INTERNALDATE \"22-Nov-2026 14:02:05 +0000\" RFC822.SIZE 9 BODY[HEADER.FIELDS (DATE)] {%d}\r\n%s)\r\n" % (
        seq, u, len(HEADER), HEADER) for seq, u in ((2, 4), (3, 5)) if lo <= (u if uid else seq) <= hi) + tag + b" OK done\r\n"


class Server(Listener):
    """Each connection is one call of `script(conn, lines, number)`, with `number` from 1."""

    def __init__(self, script):
        self.heard, self.script, self.conns = [], script, []
        super().__init__()

    def talk(self, conn):
        said = []
        self.conns.append(conn)
        self.heard.append(said)

        def line():
            line = lines.readline()
            if not line:
                raise EOFError
            tag, _, command = line.decode().strip().partition(" ")
            said.append(command)
            return tag.encode(), command
        with contextlib.suppress(EOFError), conn.makefile("rb") as lines:
            conn.sendall(b"* OK [CAPABILITY %s] ready\r\n" % BEFORE.encode())
            self.script(conn, line, len(self.heard))

    def close(self):
        super().close()
        for c in self.conns:
            c.close()


def usual(conn, line, after=AFTER, ahead=()):
    """Answers everything; `ahead` are lines that were read already."""
    waiting = list(ahead)
    while True:
        tag, command = waiting.pop(0) if waiting else line()
        if command.startswith("AUTHENTICATE"):
            conn.sendall(tag + b" OK [CAPABILITY %s] in\r\n" % after.encode())
        elif command.startswith("ENABLE"):
            conn.sendall(b"* ENABLED QRESYNC\r\n" + tag + b" OK x\r\n")
        elif command.startswith("SELECT"):
            conn.sendall(select_answer(tag))
        elif command.startswith(("UID FETCH", "FETCH")):
            conn.sendall(rows_answer(tag, command))
        else:
            conn.sendall(tag + b" OK x\r\n")


@contextlib.contextmanager
def fetch(talk):
    with tap.directory() as d, contextlib.closing(Server(talk)) as server:
        conf = "account work imap://alice@127.0.0.1:%d\nset -a work tls none\nset log-level debug\nset timeout 5\n" % server.port
        with channel.running("fetch", d, conf) as p:
            p.server = server
            yield p


def begin(p, known=AFTER):
    return [p.begin("STEP_CONNECT", caps=known),
            p.begin("STEP_SELECT", box=1, name="INBOX", uidvalidity=7, modseq=5, uidnext=4),
            p.begin("STEP_ROWS", box=1, uid_lo=4)]


def opened(p, steps, resync=1):
    p.end(steps[0])
    got = p.end(steps[1])
    tap.equal((got["BOX_OPEN"][0].exists, got["BOX_OPEN"][0].resync), (3, resync))
    tap.equal([r.uid for r in p.end(steps[2])["ROW"]], [4, 5])
    return got


def test_all_of_it_lies_behind_the_login():
    def talk(conn, line, number):
        first = [line() for _ in range(4)]  # none of them is answered before the last has come
        usual(conn, line, ahead=first)
    with fetch(talk) as p:
        got = opened(p, begin(p))
        tap.equal([g.ranges for g in got["GONE"]], [channel.ranges(2)])
        tap.equal([f.uid for f in got["FLAGS"]], [1])
        words = [c.split()[0] for c in p.server.heard[0]]
        tap.equal(words[:4], ["AUTHENTICATE", "ENABLE", "SELECT", "UID"])
        tap.contains(p.server.heard[0][2], "QRESYNC (7 5)")
        tap.equal(words.count("SELECT"), 1)


def test_a_server_never_met():
    # what it has is not known: both words are enabled, the SELECT goes without a parameter
    def talk(conn, line, number):
        usual(conn, line, ahead=[line() for _ in range(3)])
    with fetch(talk) as p:
        steps = [p.begin("STEP_CONNECT"), p.begin("STEP_SELECT", box=1, name="INBOX"), p.begin("STEP_ROWS_TOP", box=1, count=2)]
        p.end(steps[0])
        tap.equal(p.end(steps[1])["BOX_OPEN"][0].modseq, 9)
        tap.equal([r.uid for r in p.end(steps[2])["ROW"]], [4, 5])
        tap.equal(p.server.heard[0][1:3], ["ENABLE QRESYNC CONDSTORE UTF8=ACCEPT IMAP4rev2", 'SELECT "INBOX"'])


def test_refused_before_the_login_is_through():
    def talk(conn, line, number):
        first = [line() for _ in range(4)]
        for tag, command in first[1:]:
            conn.sendall(tag + b" BAD not now\r\n")
        usual(conn, line, ahead=first[:1])
    with fetch(talk) as p:
        opened(p, begin(p))
        tap.equal([c.split()[0] for c in p.server.heard[0]].count("SELECT"), 2)


def test_lost_with_the_login():
    # a proxy that throws away what it has read behind the login
    def talk(conn, line, number):
        first = [line() for _ in range(4)]
        usual(conn, line, ahead=first[:1])
    with fetch(talk) as p:
        opened(p, begin(p))
        tap.equal([c.split()[0] for c in p.server.heard[0]].count("SELECT"), 2)


def test_capabilities_have_changed():
    def talk(conn, line, number):
        first = [line() for _ in range(4)]
        tag, command = first[0]
        conn.sendall(tag + b" OK [CAPABILITY IMAP4rev1] in\r\n")
        for tag, command in first[1:]:
            conn.sendall(tag + b" BAD what?\r\n")
        while True:
            tag, command = line()
            if command.startswith("SELECT"):
                conn.sendall(tag + b" BAD what?\r\n" if "(" in command else select_answer(tag).replace(b"* VANISHED (EARLIER) 2\r\n", b""))
            elif "FETCH" in command:
                conn.sendall(rows_answer(tag, command))
            else:
                conn.sendall(tag + b" OK x\r\n")
    with fetch(talk) as p:
        opened(p, begin(p), resync=0)
        online = [m for m in p.seen if m.name == "ONLINE"][-1]
        tap.equal(online.words, b"IMAP4rev1")


def test_a_login_that_wants_more_words():
    # announces SASL-IR and asks all the same: the line is given up, and the next login waits
    def talk(conn, line, number):
        tag, _ = line()
        if number == 1:
            conn.sendall(b"+ \r\n")
            line()
            return
        conn.sendall(tag + b" OK [CAPABILITY %s] in\r\n" % AFTER.encode())
        usual(conn, line)
    with fetch(talk) as p:
        steps = begin(p)
        p.end(steps[0], want=ERR["PROTOCOL"])
        p.end(steps[1], want=ERR["LINE"])
        p.end(steps[2], want=ERR["LINE"])
        opened(p, begin(p))
        tap.equal(p.server.heard[1][1].split()[0], "ENABLE")


def test_a_wrong_password_stays_one():
    def talk(conn, line, number):
        first = [line() for _ in range(4)]
        conn.sendall(first[0][0] + b" NO [AUTHENTICATIONFAILED] no\r\n" + b"".join(t + b" BAD log in first\r\n" for t, _ in first[1:]))
    with fetch(talk) as p:
        steps = begin(p)
        p.end(steps[0], want=ERR["AUTH"])
        p.end(steps[1], want=ERR["LINE"])
        p.end(steps[2], want=ERR["LINE"])


def page_of_another(caps, total, behind):
    """A mailbox that is opened later, never seen before: its newest two of three. Returns what was asked in the flight of SELECT and after it."""
    def page(conn, tag, command):
        if "PARTIAL" in command:
            conn.sendall(rows_answer(tag, "UID FETCH 1:9"))
        elif int(re.search(r":(\d+)", command)[1]) > 3:
            conn.sendall(tag + b" BAD no such number\r\n")
        else:
            conn.sendall(rows_answer(tag, command))

    def talk(conn, line, number):
        while True:
            tag, command = line()
            if command.startswith("SELECT"):
                more = [line()] if behind else []  # SELECT is not answered before what is behind it has come
                conn.sendall(select_answer(tag).replace(b"* VANISHED (EARLIER) 2\r\n", b""))
                for t, c in more:
                    page(conn, t, c)
            elif "FETCH" in command:
                page(conn, tag, command)
            elif command.startswith("AUTHENTICATE"):
                conn.sendall(tag + b" OK [CAPABILITY %s] in\r\n" % caps.encode())
            else:
                conn.sendall(tag + b" OK x\r\n")
    with fetch(talk) as p:
        p.do("STEP_CONNECT")
        steps = [p.begin("STEP_SELECT", urgent=1, box=2, name="Other"), p.begin("STEP_ROWS_TOP", urgent=1, box=2, count=2, total=total)]
        tap.equal(p.end(steps[0])["BOX_OPEN"][0].exists, 3)
        tap.equal(sorted({r.uid for r in p.end(steps[1])["ROW"]}), [4, 5])
        return [re.sub(r" \(UID.*\]\)", "", c) for c in p.server.heard[0] if "FETCH" in c]


def test_the_first_page_is_counted_by_the_server():
    tap.equal(page_of_another(AFTER + " PARTIAL", 0, True), ["UID FETCH 1:* (PARTIAL -1:-2)"])


def test_the_first_page_by_the_last_count():
    tap.equal(page_of_another(AFTER, 3, True), ["FETCH 2:3"])
    tap.equal(page_of_another(AFTER, 2, True), ["FETCH 1:2", "FETCH 2:3"], "one more has come since")
    tap.equal(page_of_another(AFTER, 9, True), ["FETCH 8:9", "FETCH 2:3"], "there are fewer now")
    tap.equal(page_of_another(AFTER, 0, False), ["FETCH 2:3"], "never counted: a round trip more")


def test_another_mailbox_overtakes():
    # the user looks elsewhere in that moment: the answers belong to the mailbox they are about
    read, asked = threading.Event(), threading.Event()

    def talk(conn, line, number):
        first = [line() for _ in range(4)]
        read.set()
        asked.wait(30)
        usual(conn, line, ahead=first)
    with fetch(talk) as p:
        steps = begin(p)
        while not read.is_set():
            with contextlib.suppress(TimeoutError):
                p.receive(0.2)  # the secret is asked for meanwhile
        other = p.begin("STEP_SELECT", urgent=1, box=2, name="Other")
        asked.set()
        p.end(steps[0])
        seen = p.until("DONE", step=steps[2])
        assert all(m.box == 1 for m in seen if m.name in ("ROW",)), seen
        assert [m for m in p.seen if m.name == "BOX_OPEN" and m.box == 2], p.seen
        done = {m.step: m.kind for m in p.seen if m.name == "DONE"}
        tap.equal(done, {s: 0 for s in steps + [other]})


if __name__ == "__main__":
    tap.run(globals())
