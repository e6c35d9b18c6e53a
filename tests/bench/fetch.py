#!/usr/bin/env python3
"""A POP3 maildrop into its Maildir, each mail durable: how long that takes over a line of 10 Mbit/s with 100 ms round trip and
without either, how often the server was waited for, how long a pass takes in which nothing is new, how soon a new mail is on the
screen; and what the programs need at most for a long list and for a large mail.

    make bench            or: python3 tests/bench/fetch.py [MESSAGES] [RTT-MS] [MB]

Seconds of `tuimail fetch` are those until it ends. Programs that stayed from before are waited for first."""
import os
import subprocess
import time

import tap
from bench import NAN, Line, Pty, arguments, dated, dovecot, ended, field, maildir, owned, programs, put, table
from user import User, message

COUNT, RTT, LARGE = arguments(10000, 100, 200)
BODY = "a line of a mail that is as long as most of its lines are, or nearly\n" * 80


def mail(i, stamp):
    return message("subject %d" % i, BODY).replace("Sun, 22 Nov 2026 10:00:00 +0000", dated(stamp))


def fill(server, user):
    path, stamp = maildir(server, user), int(time.time()) - COUNT * 60
    for i in range(COUNT):
        put(path, i, stamp + i * 60, mail(i, stamp + i * 60))
    owned(path)
    with server.imap(user) as imap:  # the server's own cache of sizes, before the clock runs
        imap.select("INBOX", readonly=True)
        imap.fetch("1:*", "RFC822.SIZE")


def fetched(user, want):
    """Seconds; nan where it did not say what it should."""
    begin = time.monotonic()
    done = user.run("fetch", timeout=1200)
    took = time.monotonic() - begin
    if want not in done.stdout:
        print("# %s%s" % (done.stdout, done.stderr))
        return begin, NAN
    return begin, took


def peaks(user):
    """program -> the most memory it had, KiB; of those that still run."""
    return {name: field("/proc/%d/status" % pid, "VmHWM:") for pid, name in programs(user.root).items()}


def measure(base, server, rtt):
    figures, line = {}, Line(base, server.info["pop3s"], rtt)
    try:
        user = User(os.path.join(base, "rtt%d" % rtt), server, protocol="pop3s", port=line.port, lines="set -a work leave keep\n")
        begin, figures["%d messages" % COUNT] = fetched(user, "%d new" % COUNT)
        down, trips = line.since(begin)
        figures["    bytes"], figures["    round trips per 1000"] = down, trips * 1000 // COUNT if trips else None
        for name, kib in sorted(peaks(user).items()):
            figures["    most memory of %s, KiB" % name] = kib
        ended(user)
        begin, figures["nothing new"] = fetched(user, "0 new")
        figures["    round trips"] = line.since(begin)[1]
        ended(user)
        server.deliver("bob", mail(COUNT, int(time.time())))
        term = Pty(user)
        at = term.wait("subject %d " % COUNT)
        figures["one new: on the screen"] = at and at - term.start
        term.close()
    finally:
        line.close()
    return figures


def large(base, server):
    """A mail of many megabytes; what the programs need at most."""
    maildir(server, "carol")
    path = os.path.join(server.dir, "home", "carol", "Maildir", "cur", "1700000000.M1P1.bench:2,")
    with open(path, "w") as f:
        f.write(message("large", ""))
        for _ in range(LARGE * 1000000 // len(BODY)):
            f.write(BODY)
    owned(os.path.dirname(os.path.dirname(path)))
    user = User(os.path.join(base, "large"), server, user="carol", protocol="pop3s", lines="set -a work leave keep\n")
    _, took = fetched(user, "1 new")
    print("%-52s %9.4f s" % ("a mail of %d MB" % LARGE, took))
    for name, kib in sorted(peaks(user).items()):
        print("%-52s %11d" % ("    most memory of %s, KiB" % name, kib))


def main():
    with tap.directory() as base:
        both = []
        for rtt in (0, RTT):
            with dovecot(os.path.join(base, "dovecot%d" % rtt)) as server:
                fill(server, "bob")
                both.append(measure(base, server, rtt))
        table("a maildrop of %d messages, POP3 over TLS" % COUNT, *both, RTT)
        with dovecot(os.path.join(base, "dovecot")) as server:
            large(base, server)


if __name__ == "__main__":
    main()
