#!/usr/bin/env python3
"""How soon the list is there, how soon a key is answered, and what it costs: an INBOX of many messages over a line with 100 ms round
trip and 10 Mbit/s (delayproxy), and the same without delay, in one run. Cold: nothing is known here. Warm: the list is kept, and 50
messages are new, 20 flags changed, 5 messages gone since.

    make bench            or: python3 tests/bench/first_page.py [MESSAGES] [RTT-MS]

Bytes are those of TLS that came over the line; round trips are without the TCP handshake."""
import os
import random
import time

import tap
from bench import Line, Pty, arguments, dovecot, fill, median, numbered, rows, share, table
from user import User

COUNT, RTT = arguments(10000, 100)


def costs(figures, what, line, term, at):
    """A time since the start, and what came over the line until then."""
    figures[what] = at and at - term.start
    figures[what + ": bytes"], figures[what + ": round trips"] = line.since(term.start, at)


def changes(server):
    """What another client does; the subject of the newest message."""
    stamp = int(time.time())
    server.append("bob", "INBOX", [numbered(COUNT + i, stamp + i) for i in range(50)])
    with server.imap("bob") as imap:
        imap.select("INBOX")
        chosen = random.Random(1).sample(range(COUNT // 4, COUNT * 3 // 4), 25)
        imap.store(",".join(map(str, chosen[:20])), "+FLAGS", "\\Flagged")
        imap.store(",".join(map(str, chosen[20:])), "+FLAGS", "\\Deleted")
        imap.expunge()
    return "subject %d" % (COUNT + 49)


def listing(user, line, term, figures):
    """Both passes, and keys meanwhile."""
    times = []
    for _ in range(30):
        row = term.row()
        times.append(term.until(b"j", lambda _: term.row() != row))
    figures["key to screen while the list fills, median"] = median(times)
    figures["key to screen while the list fills, slowest"] = share(times, 1)
    at = rows(user, term, COUNT)
    costs(figures, "all rows", line, term, at)
    at = rows(user, term, COUNT, "attrs & 32")
    costs(figures, "all rows whole (second pass)", line, term, at)


def cold(user, line, figures):
    term = Pty(user)
    costs(figures, "cold: newest page", line, term, term.wait("subject %d " % (COUNT - 1)))
    sent = term.send(b"\x1bOF")
    shown = term.wait("subject 0 ", 30)
    figures["cold: End, the oldest row, from launch"] = shown and shown - term.start
    figures["cold: End, the oldest row, from the key"] = shown and shown - sent
    term.until(b"\x1bOH", "subject %d " % (COUNT - 1))
    listing(user, line, term, figures)
    line.quiet(term, 3)
    for what, key in (("j", b"j"), ("page down", b"\x1b[6~"), ("flag", b"F"), ("undo", b"u")):
        took, before = [], term.nbytes
        for _ in range(15):
            took.append(term.key(key))
            term.settle(0.06)
        figures["key to screen: %s, median" % what] = median(took)
        figures["key to screen: %s: bytes to the terminal, mean" % what] = (term.nbytes - before) // 15
    line.quiet(term, 2)
    term.close()


def warm(user, server, line, figures):
    for what, args in (("offline", ["--offline"]), ("warm", [])):
        newest = what == "warm" and changes(server)
        term = Pty(user, *args)
        at = term.wait(lambda screen: screen.count("subject ") > 10)
        figures[what + ": cached list"] = at and at - term.start
        if newest:
            costs(figures, "warm: current newest page", line, term, term.wait(newest))
        term.rest(2)
        term.close()


def measure(base, server, rtt):
    figures, line = {}, Line(base, server.info["imaps"], rtt)
    try:
        user = User(os.path.join(base, "rtt%d" % rtt), server, port=line.port)
        cold(user, line, figures)
        warm(user, server, line, figures)
    finally:
        line.close()
    return figures


def compressed(base, rtt):
    figures = {}
    with dovecot(os.path.join(base, "zlib%d" % rtt), compress=True) as server:
        fill(server, COUNT)
        line = Line(base, server.info["imaps"], rtt)
        user = User(os.path.join(base, "compressed%d" % rtt), server, port=line.port)
        term = Pty(user)
        term.wait("subject %d " % (COUNT - 1))
        listing(user, line, term, figures)
        term.close()
        line.close()
    return {"COMPRESS: " + k: v for k, v in figures.items()}


def main():
    with tap.directory() as base:
        both = []
        for rtt in (0, RTT):
            with dovecot(os.path.join(base, "dovecot%d" % rtt)) as server:
                fill(server, COUNT)
                both.append({**measure(base, server, rtt), **compressed(base, rtt)})
        table("an INBOX of %d messages" % COUNT, *both, RTT)


if __name__ == "__main__":
    main()
