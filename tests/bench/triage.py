#!/usr/bin/env python3
"""How soon the screen answers delete, flag and archive, and how soon the server holds thirty of them: keys ten a second on an
INBOX of 10,000 messages over a line with 100 ms round trip (delayproxy), and the same without delay.

    make bench            or: python3 tests/bench/triage.py [MESSAGES] [RTT-MS]

Key to screen: the first byte of the answer on the terminal. Lag: from the last of thirty keys until another client sees all
thirty changes on the server, with no further key. Prints figures; asserts nothing."""
import os
import subprocess
import sys
import time

import first_page
import tap
from dovecot import Server, free_ports
from first_page import COUNT, RTT, Pty
from user import User

KEYS = 30


def changed(imap, what):
    if what == "flag":
        imap.noop()
        return len(imap.uid("SEARCH", None, "FLAGGED")[1][0].split())
    box = {"delete": "Trash", "archive": "Archive"}[what]
    return int(imap.status(box, "(MESSAGES)")[1][0].split()[-1].rstrip(b")"))


def burst(term, imap, what, key):
    """Thirty keys at ten a second, and the lag behind the last."""
    before, samples = changed(imap, what), []
    next_at = time.monotonic()
    for _ in range(KEYS):
        while time.monotonic() < next_at:
            term.drain(max(0, min(0.01, next_at - time.monotonic())))
        next_at += 0.1
        samples.append(term.key(key, quiet=0)[0])
    last = next_at - 0.1
    deadline = time.monotonic() + 20
    while changed(imap, what) < before + KEYS:
        if time.monotonic() > deadline:
            return samples, None, changed(imap, what) - before
        term.drain(0)
        time.sleep(0.002)
    return samples, time.monotonic() - last, KEYS


def measure(base, server, rtt, name):
    port, = free_ports(1)
    proxy = subprocess.Popen([os.path.join(tap.BUILD, "tests/bench/delayproxy"), str(port), str(server.info["imaps"]), str(rtt),
                              "10000" if rtt else "0", "600"])
    figures = {}
    try:
        user = User(os.path.join(base, name), server, port=port)
        term = Pty([tap.TUIMAIL, "-c", user.rc], user.env)
        term.read_until(lambda screen: "subject %d" % (COUNT - 1) in screen, 60)
        first_page.wait_rows(user, term, COUNT)
        time.sleep(5)
        term.drain(0.5)
        with server.imap("bob") as imap:
            imap.select("INBOX", readonly=True)
            for what, key in (("flag", b"Fj"), ("archive", b"a"), ("delete", b"d")):
                samples, lag, n = burst(term, imap, what, key)
                ordered = sorted(s for s in samples if s is not None)
                figures["key to screen: %s, median" % what] = ordered[len(ordered) // 2]
                figures["key to screen: %s, p95" % what] = ordered[int(len(ordered) * 0.95)]
                figures["lag of thirty: %s" % what] = lag
                if n != KEYS:
                    figures["%s: arrived" % what] = float(n)
                time.sleep(2)
                term.drain(0.3)
        # all that is left, archived at once: the keys after it are answered as ever
        term.key(b"V")
        term.key(b"*")
        term.drain(0.5)
        samples = {"select to the end": [term.key(b"V")[0]]}
        term.drain(0.5)
        samples["archive the selection"] = [term.key(b"a", quiet=0)[0]]
        samples["j right after it"] = [term.key(b"j", quiet=0)[0] for _ in range(20)]
        for what, took in samples.items():
            took = sorted(t for t in took if t is not None)
            figures["key to screen: %s, slowest" % what] = took[-1] if took else None
        begin = time.monotonic()
        with server.imap("bob") as imap:
            while int(imap.status("INBOX", "(MESSAGES)")[1][0].split()[-1].rstrip(b")")) and time.monotonic() - begin < 60:
                term.drain(0.05)
        figures["the server's INBOX is empty after"] = time.monotonic() - begin
        term.close()
        time.sleep(3)
    finally:
        proxy.terminate()
        proxy.wait()
    return figures


def main():
    with tap.directory() as base:
        server = Server(os.path.join(base, "dovecot"), relay=False)
        try:
            first_page.fill(server)
            far = measure(base, server, RTT, "far")
            first_page.fill(server)
            near = measure(base, server, 0, "near")
            print("%d messages: figure, at 0 ms, at %d ms" % (COUNT, RTT))
            for key in far:
                print("%-46s %9.4f s %9.4f s" % (key, near.get(key) or float("nan"), far[key] or float("nan")))
        finally:
            server.close()


if __name__ == "__main__":
    main()
