#!/usr/bin/env python3
"""How soon the list of a local Maildir is there: never seen before, and known. Then how soon all of it is known, keys meanwhile, and
what the programs hold.

    make bench            or: python3 tests/bench/local.py [MESSAGES] [MAILDIR]

MAILDIR is one of yours, whose newest mail is then looked for by nothing but the first row; else one is made of MESSAGES."""
import os
import sys
import time

import tap
from bench import Pty, arguments, ended, maildir_of, median, memory, numbered, programs, put, query, rows, share
from user import User

COUNT, = arguments(100000)


def made(base):
    path, stamp = maildir_of(os.path.join(base, "box")), int(time.time()) - COUNT * 60
    for i in range(COUNT):
        put(path, i, stamp + i * 60, numbered(i, stamp + i * 60), "S")
    return path


def say(what, seconds):
    print("%-52s %9.4f s" % (what, seconds if seconds is not None else float("nan")), flush=True)


def launch(user, newest, *args):
    ended(user)
    term = Pty(user, *args)
    at = term.wait(newest, 120)
    return term, at and at - term.start


def cpu(user):
    for pid, name in programs(user.root).items():
        times = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
        yield name, (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def main():
    with tap.directory() as base:
        path, newest = (sys.argv[2], sys.argv[3]) if len(sys.argv) > 3 else (made(base), "subject %d " % (COUNT - 1))
        user = User(os.path.join(base, "user"), lines="account box maildir:%s\n" % path)
        print("a local Maildir of %d messages" % COUNT)
        term, took = launch(user, newest)
        say("never seen: newest page", took)
        keys = [term.key(b"j") for _ in range(30)]
        say("key to screen meanwhile, median", median(keys))
        say("key to screen meanwhile, slowest", share(keys, 1))
        at = rows(user, term, COUNT, account="box")
        say("all rows", at and at - term.start)
        print("    " + ", ".join("%s %d KiB" % (n, pss) for n, pss, _ in memory(user.root)))
        print("    indexed: %s" % query(user, "select count(*) from msg where (istate & 15)=0", "box"))
        term.close()
        for _ in range(3):
            term, took = launch(user, newest)
            say("known: newest page", took)
            term.rest(1)
            term.close()
        fresh = "subject %d " % (COUNT + 1)
        put(path, COUNT + 1, int(time.time()), numbered(COUNT + 1, int(time.time())))
        term, took = launch(user, fresh)
        say("known, one new: it is on the screen", took)
        fresh = "subject %d " % (COUNT + 2)
        term.rest(5)
        print("    CPU of a start: " + ", ".join("%s %.2f s" % c for c in cpu(user)))
        at = time.monotonic()
        put(path, COUNT + 2, int(time.time()), numbered(COUNT + 2, int(time.time())))
        shown = term.wait(fresh, 60)
        say("delivered by another program: on the screen", shown and shown - at)
        term.close()


if __name__ == "__main__":
    main()
