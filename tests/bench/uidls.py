#!/usr/bin/env python3
"""The most memory that store and fetch have in a POP3 pass over 1,000, 10,000 and 100,000 messages: all kept and nothing new, and
one new among them.

    make bench            or: python3 tests/bench/uidls.py [MESSAGES ...]"""
import contextlib
import os
import sqlite3
import sys

import tap
from bench import ended, field, programs
from pop_script import Mail, Server
from user import User, message

COUNTS = [int(word) for word in sys.argv[1:]] or [1000, 10000, 100000]


def crlf(text):
    return text.replace("\n", "\r\n").encode()


def uidl(i):
    return b"%08x%056x" % (i, i * i)  # 64 bytes, near the 70 that RFC 1939 allows


def peaks(user):
    return {name: field("/proc/%d/status" % pid, "VmHWM:") for pid, name in programs(user.root).items()}


def passed(user, want):
    done = user.run("fetch", timeout=600)
    assert want in done.stdout, done.stdout + done.stderr
    found = peaks(user)
    ended(user)
    return found


def kept(user, first, count, size):
    """The ledger of passes that brought as many."""
    with contextlib.closing(sqlite3.connect(os.path.join(user.store, "state", "work", "keep.db"))) as db:
        msg, head = db.execute("SELECT msg,head FROM uidl").fetchone()
        db.executemany("INSERT INTO uidl(uidl,size,state,delivered,msg,head) VALUES(?,?,1,1700000000,?,?)",
                       ((uidl(i), size, msg + i, head) for i in range(first, count)))
        db.commit()


def main():
    print("%-32s" % "most memory, KiB" + "".join("%22s" % what for what in ("nothing new: store", "fetch", "one new: store", "fetch")))
    with tap.directory() as root:
        for count in COUNTS:
            raw = crlf(message("the same"))
            with contextlib.closing(Server([Mail(raw, uidl(0))])) as server:
                user = User(os.path.join(root, str(count)), account=False)
                user.write_rc("account work pop3://bob@127.0.0.1:%d\nset -a work tls none\nset -a work password-file %s\n"
                              "set -a work leave keep\n" % (server.port, user.password))
                passed(user, "1 new")
                kept(user, 1, count, len(raw))
                server.maildrop += [Mail(raw, uidl(i)) for i in range(1, count)]
                idle = passed(user, "0 new")
                server.maildrop.append(Mail(crlf(message("new")), uidl(count)))
                busy = passed(user, "1 new")
                print("%-32s" % ("%d messages" % count) + "".join("%22d" % peak[name] for peak in (idle, busy) for name in ("store", "fetch")), flush=True)


if __name__ == "__main__":
    main()
