#!/usr/bin/env python3
"""A large Maildir that the user's own notmuch database has, too: what it costs to compare all of it, and what a key waits meanwhile; then a
change of thousands of tags, and a search with more hits than a list keeps.

    make bench            or: python3 tests/bench/own.py [MAILS]

Fails where a mail is not told of, or a hit is missing."""
import contextlib
import os
import subprocess
import time

import tap
from bench import Pty, arguments, cpu, field, maildir_of, median, programs, put, query
from tap import equal
from user import User

(MAILS,) = arguments(101000)
DAYS, START = 28, 1767225600  # of January 2026
PASSED = "select count(*) from meta where cast(name as text)='u:own-pass' and cast(value as text)='0'"


def filled(base):
    home = os.path.join(base, "bob", "home")
    root = os.path.join(home, "mail")
    box = maildir_of(os.path.join(root, "INBOX"))
    for i in range(MAILS):
        put(box, i, START + i % DAYS * 86400 + 43200, "From: A%d <a%d@example.org>\nTo: Bob <bob@example.org>\nSubject: budget %d\n"
            "Date: %s\nMessage-ID: <m%d@example.org>\n\nbody %d\n" % (i % 997, i % 997, i, time.strftime("%a, %d %b %Y %T +0000", time.gmtime(
                START + i % DAYS * 86400 + 43200)), i, i), "S")
    user = User(os.path.join(base, "bob"), lines="account home maildir:%s\nset index-database %s\nset mark-seen no\n" % (box, root))
    with open(os.path.join(home, ".notmuch-config"), "w") as f:
        f.write("[database]\npath=%s\n[user]\nname=Bob\nprimary_email=bob@example.org\n[new]\ntags=unread;inbox\n" % root)
    return user


def told(user):
    """Was all compared, and waits nothing?"""
    return query(user, "select count(*) from msg where (istate & 47)<>0", "home") == 0 and query(user, PASSED, "home", "keep") == 1


def compared(user, term):
    begun, peaks, used, keys = time.monotonic(), {}, {}, []
    while not told(user):
        assert time.monotonic() - begun < 1800, "it was not told of all"
        for pid, name in programs(user.root).items():
            with contextlib.suppress(OSError):  # it has ended
                peaks[name] = max(peaks.get(name, 0), field("/proc/%d/status" % pid, "VmHWM:"))
                used[name, pid] = cpu(pid)
        term.settle(0.2)
        at = term.send(b"j")
        got = term.take(2)
        if got:
            keys.append(got - at)
    for name in ("index", "own", "store"):
        print("%-6s %6.1f s of processor, at most %3d MB" % (name, sum(s for (n, _), s in used.items() if n == name), peaks.get(name, 0) // 1024))
    print("compared in %.0f s; a key meanwhile %.1f ms, at most %.1f ms (%d keys)" % (
        time.monotonic() - begun, 1e3 * median(keys), 1e3 * max(keys), len(keys)), flush=True)


def main():
    with tap.directory() as base:
        user = filled(base)
        env = dict(os.environ, **user.env)

        def notmuch(*args):
            return subprocess.run(("notmuch",) + args, env=env, capture_output=True, text=True, check=True).stdout
        begun = time.monotonic()
        notmuch("new", "--quiet")
        print("notmuch new %.0f s for %d mails" % (time.monotonic() - begun, MAILS), flush=True)
        before = notmuch("dump")
        term = Pty(user)
        term.wait("of ", 60)
        compared(user, term)
        equal(notmuch("dump") == before, True, "nothing was retagged")
        begun, want = time.monotonic(), notmuch("count", "date:2026-01-05").strip()
        user.command("tag", "+mass", "--", "date:2026-01-05")
        while notmuch("count", "tag:mass").strip() != want:
            assert time.monotonic() - begun < 600, "not all tags came there"
            time.sleep(0.2)
        print("%s tags there after %.0f s" % (want, time.monotonic() - begun))
        begun = time.monotonic()
        equal(user.command("count", "*").strip(), str(MAILS))
        found = user.command("search", "--limit=0", "--format=ids", "budget").split()
        equal((len(found), len(set(found))), (MAILS, MAILS), "every hit once")
        print("%d hits counted and listed by the command in %.1f s" % (MAILS, time.monotonic() - begun))
        term.close()


if __name__ == "__main__":
    main()
