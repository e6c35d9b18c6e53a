#!/usr/bin/env python3
"""What tuimail holds and does while nobody does anything: memory (sum of PSS of all its programs, 10 s after the last activity) with
an empty account, with a large INBOX, and with further accounts; then wake-ups and terminal bytes over a minute of rest.

    make bench            or: python3 tests/bench/footprint.py [MESSAGES]

TUIMAIL_BENCH_SERVER=PORT:CA:BIG:EMPTY:MORE uses mailboxes of a server that runs already (users' names; password "secret") in place
of making them."""
import contextlib
import os
import time

import tap
from bench import Pty, arguments, dovecot, fill, memory, query, wakeups
from user import User

COUNT, = arguments(20000)
QUIET = 10  # seconds without activity before memory is measured
REST = 60   # seconds of rest over which wake-ups are counted


def settled(user, accounts):
    """Lists are whole and the index has taken all of them."""
    for account in accounts:
        if query(user, "select count(*) from box where known<exists_ or exists_>4000000000", account) != 0:
            return False
        if query(user, "select count(*) from msg where (istate & 15)<>0 or (attrs & 32)=0", account) != 0:
            return False
    return True


def measure(base, name, lines, accounts):
    user = User(os.path.join(base, name), lines=lines)
    term = Pty(user)
    try:
        deadline = time.monotonic() + 1800
        while not settled(user, accounts) and time.monotonic() < deadline:
            term.rest(2)
        term.rest(QUIET)
        rows = memory(user.root)
        print("%s: %d KiB" % (name, sum(r[1] for r in rows)))
        for program, pss, dirty in rows:
            print("    %-10s PSS %6d KiB, private dirty %6d KiB" % (program, pss, dirty))
        before, written = wakeups(user.root), term.nbytes
        term.rest(REST)
        after = wakeups(user.root)
        counts = {k: after[k] - before[k] for k in before if k in after}
        print("    rest of %d s: %d wake-ups (%s), %d bytes to the terminal" % (
            REST, sum(counts.values()), ", ".join("%s %d" % (k[1], v) for k, v in sorted(counts.items(), key=lambda i: i[0][1])),
            term.nbytes - written), flush=True)
        return sum(r[1] for r in rows)
    finally:
        term.close()


def account(name, port, ca, user, base):
    password = os.path.join(base, "password")
    with open(password, "w") as f:
        f.write("secret\n")
    os.chmod(password, 0o600)
    return "account %s imaps://%s@localhost:%d\nset -a %s tls-ca-file %s\nset -a %s password-file %s\n" % (
        name, user, port, name, ca, name, password)


def main():
    with tap.directory() as base, contextlib.ExitStack() as stack:
        given = os.environ.get("TUIMAIL_BENCH_SERVER")
        if given:
            port, ca, big, empty, more = given.split(":")
        else:
            server = stack.enter_context(dovecot(os.path.join(base, "dovecot")))
            port, ca, big, empty, more = server.info["imaps"], server.info["ca"], "bob", "alice", "carol"
            fill(server, COUNT, big)
        one = [account(n, int(port), ca, u, base) for n, u in (("empty", empty), ("big", big), ("more", more))]
        measure(base, "empty account", one[0], ["empty"])
        large = measure(base, "large account", one[1], ["big"])
        all_ = measure(base, "large, empty and a further account", "".join(one), ["empty", "big", "more"])
        print("each further account: %d KiB" % ((all_ - large) // 2))


if __name__ == "__main__":
    main()
