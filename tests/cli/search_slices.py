#!/usr/bin/env python3
"""A query that is asked in slices by date finds what it finds at once, in the same order: the program search, and the same one built with
slices of a few messages."""
import os

import tap
from tap import BUILD, equal
from user import User, eventually

DATES = (["Fri, 20 Nov 2026 10:%02d:00 +0000" % (i // 3) for i in range(24)]  # three in a second
         + ["Thu, 01 Jan 1970 00:00:%02d +0000" % i for i in range(3)] + ["Mon, 01 Jan 1940 00:00:00 +0000", "Fri, 01 Jan 2100 00:00:00 +0000"])


def fill(path):
    for i, date in enumerate([*DATES, None, "no date"]):
        folder = os.path.join(path, "" if i % 3 else ".Archive")
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(folder, sub), exist_ok=True)
        with open(os.path.join(folder, "cur", "%d.m.host:2,%s" % (i, "" if i % 4 else "S")), "w") as f:
            f.write("From: Alice <alice@example.org>\n%sSubject: budget %s\nMessage-ID: <m%d@x>\n\nx\n" % (
                "Date: %s\n" % date if date else "", "patch" if i % 2 else "kernel", i))
    return len(DATES) + 2


def test_slices():
    with tap.directory() as root:
        count = fill(os.path.join(root, "Mail"))
        user = User(os.path.join(root, "u"), account=False, lines="account work maildir:%s/Mail\n" % root)
        user.command("fetch")
        eventually("all are indexed", lambda: user.command("count").strip() == str(count))
        programs = os.path.join(root, "programs")
        os.makedirs(programs)
        for name in os.listdir(os.path.join(BUILD, "libexec")):
            os.symlink(os.path.join(BUILD, "libexec", name), os.path.join(programs, name))
        os.unlink(os.path.join(programs, "search"))
        os.symlink(os.path.join(BUILD, "tests/search_sliced"), os.path.join(programs, "search"))
        for query in ("*", "budget", "patch", "not tag:unread", "in:Archive", "in:inbox and kernel", "date:2026..", "from:/ali.*/", "nothing"):
            for how in ([], ["--sort=oldest-first"], ["--sort=relevance"], ["--limit=5", "--offset=7"], ["--account", "work"]):
                whole, sliced = (user.command("search", "--format=ids", *how, query, env=env).split() for env in (None, {"TUIMAIL_LIBEXEC": programs}))
                equal(sliced, whole, "%s %s" % (query, how))
            equal(user.command("count", query, env={"TUIMAIL_LIBEXEC": programs}), user.command("count", query), query)
        equal(len(user.command("search", "--format=ids", "*", env={"TUIMAIL_LIBEXEC": programs}).split()), count)
        # what is wrong is said as ever
        for query in ("budget AND", "from:/(/", "date:x"):
            a, b = (user.run("search", query, env=env) for env in ({}, {"TUIMAIL_LIBEXEC": programs}))
            equal((b.returncode, b.stderr, b.stdout), (a.returncode, a.stderr, a.stdout), query)


if __name__ == "__main__":
    tap.run(globals())
