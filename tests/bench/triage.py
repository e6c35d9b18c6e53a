#!/usr/bin/env python3
"""How soon the screen answers delete, flag and archive, and how soon the server holds thirty of them: keys ten a second on an
INBOX of many messages over a line with 100 ms round trip (delayproxy), and the same without delay.

    make bench            or: python3 tests/bench/triage.py [MESSAGES] [RTT-MS]

Key to screen: the first byte of the answer on the terminal. Lag: from the last of thirty keys until another client sees all
thirty changes on the server, with no further key."""
import os
import time

import tap
from bench import Line, Pty, arguments, dovecot, fill, median, rows, share, table
from user import User

COUNT, RTT = arguments(10000, 100)
KEYS = 30


def messages(imap, box):
    return int(imap.status(box, "(MESSAGES)")[1][0].split()[-1].rstrip(b")"))


def changed(imap, what):
    if what == "flag":
        imap.noop()
        return len(imap.uid("SEARCH", None, "FLAGGED")[1][0].split())
    return messages(imap, {"delete": "Trash", "archive": "Archive"}[what])


def burst(term, imap, what, keys, figures):
    """Thirty keys at ten a second, and the lag behind the last."""
    before, took, next_at = changed(imap, what), [], time.monotonic()
    for _ in range(KEYS):
        term.rest(next_at - time.monotonic())
        next_at += 0.1
        sent = time.monotonic()
        took.append(term.key(keys))
    figures["key to screen: %s, median" % what] = median(took)
    figures["key to screen: %s, p95" % what] = share(took, 0.95)
    n = 0
    while n < KEYS and time.monotonic() < sent + 20:
        n = changed(imap, what) - before
        term.rest(0.002)
    figures["lag of thirty: %s" % what] = time.monotonic() - sent if n >= KEYS else None
    if n != KEYS:
        figures["%s: changes that the server has, not %d" % (what, KEYS)] = n


def all_at_once(server, term, figures):
    """All but the two newest are archived; the keys after it are answered as ever."""
    term.send(b"\x1bOH")
    for keys in (b"jj", b"V", b"*"):
        term.send(keys)
        term.settle(0.5)
    figures["key to screen: select to the end"] = term.key(b"V")
    term.settle(0.5)
    begin = time.monotonic()
    figures["key to screen: archive the selection"] = term.key(b"a")
    term.send(b"\x1bOH")
    term.settle(0.02)
    figures["key to screen: j and k right after it, slowest"] = share([term.key(k) for k in (b"j", b"k") * 10], 1)
    with server.imap("bob") as imap:
        while messages(imap, "INBOX") > 2 and time.monotonic() - begin < 60:
            term.rest(0.05)
        left = messages(imap, "INBOX")
    figures["the server holds it after"] = time.monotonic() - begin if left == 2 else None


def measure(base, server, rtt):
    fill(server, COUNT)
    figures, line = {}, Line(base, server.info["imaps"], rtt)
    try:
        user = User(os.path.join(base, "rtt%d" % rtt), server, port=line.port)
        term = Pty(user)
        rows(user, term, COUNT, "attrs & 32")
        line.quiet(term, 3)
        with server.imap("bob") as imap:
            imap.select("INBOX", readonly=True)
            for what, keys in (("flag", b"Fj"), ("archive", b"a"), ("delete", b"d")):
                burst(term, imap, what, keys, figures)
                term.rest(2)
        all_at_once(server, term, figures)
        term.close()
    finally:
        line.close()
    return figures


def main():
    with tap.directory() as base, dovecot(os.path.join(base, "dovecot")) as server:
        table("thirty keys, an INBOX of %d messages" % COUNT, measure(base, server, 0), measure(base, server, RTT), RTT)


if __name__ == "__main__":
    main()
