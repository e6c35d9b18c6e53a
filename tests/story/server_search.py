#!/usr/bin/env python3
"""The server is asked for what is not here: merged with what the index finds, never in the way of a key."""
import json
import os
import re

import dovecot
import tap
from tap import contains, equal
from user import User, eventually, message


def mail(n, body, subject=None):
    return message(subject or "letter %d" % n, body=body)


class Work:
    """Bob's INBOX of 30 letters, 200 in Archive; bodies are on the server alone."""

    def __init__(self, base, lines="", hide=None, **server):
        self.server = dovecot.Server(os.path.join(base, "server"), **server)
        self.server.append("bob", "INBOX", [mail(i, "about zebra %d\n" % i if i % 10 == 0 else "nothing\n") for i in range(30)])
        self.server.append("bob", "Archive", [mail(i, "an old zebra\n" if i % 50 == 0 else "nothing\n") for i in range(1000, 1200)])
        self.server.append("bob", "Trash", [mail(5000, "zebra thrown away\n")])
        self.bob = User(os.path.join(base, "bob"), self.server, lines="set -a work cache headers\n" + lines)

    def close(self):
        self.server.close()


def test_command_line():
    with tap.directory() as base:
        work = Work(base)
        bob = work.bob
        try:
            bob.command("fetch")
            eventually("all is indexed", lambda: bob.run("count").stdout.strip() == "230")
            equal(bob.command("search", "--format=ids", "zebra"), "", "bodies are not here")
            ids = bob.command("search", "--format=ids", "--server", "zebra").splitlines()
            equal(sorted(ids), sorted("letter%d@example.org\tserver" % i for i in (0, 10, 20, 1000, 1050, 1100, 1150)), "Trash is left out")
            ids = bob.command("search", "--format=ids", "--server", "in:trash zebra").splitlines()
            equal(ids, ["letter5000@example.org\tserver"])
            # what is here comes once, and not as the server's
            found = json.loads(bob.command("search", "--format=json", "--server", 'subject:"letter 10" or zebra'))
            equal({m["id"]: m["server"] for m in found}["letter10@example.org"], False)
            equal(len(found), len({m["id"] for m in found}), "each once")
            contains(bob.command("search", "--server", "zebra and not letter"), "")
            # what is not known there is said, and compared here
            done = bob.run("search", "--format=ids", "--server", 'zebra subject:"/letter 1.$/"')
            equal((done.returncode, done.stdout.split("\n")[:-1]), (0, ["letter10@example.org\tserver"]), done.stderr)
            contains(done.stderr, 'the server was not asked for "subject:"/letter 1.$/""')
        finally:
            work.close()


if __name__ == "__main__":
    tap.run(globals())
