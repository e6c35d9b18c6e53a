#!/usr/bin/env python3
"""Programs killed at any moment of a POP3 pass that deletes on the server, and of a burst of archive, delete and undo by
IMAP: each mail is there exactly once, here and there (THREATS 86, 87, 158). TUIMAIL_CRASHES sets the rounds."""
import collections
import glob
import os
import random
import re
import signal
import subprocess
import time

import tap
from dovecot import Server
from hostile import put
from tap import TUIMAIL, equal
from user import User, eventually, message

ROUNDS = int(os.environ.get("TUIMAIL_CRASHES", "5"))


def kill_one(user, chance, names):
    here = [pid for pid, name in user.programs() if name in names]
    if here:
        try:
            os.kill(chance.choice(here), signal.SIGKILL)
        except ProcessLookupError:
            pass


def ids_here(user):
    found = collections.Counter()
    for path in glob.glob(user.store + "/mail/work/new/*") + glob.glob(user.store + "/mail/work/cur/*"):
        with open(path, errors="replace") as f:
            found[re.search(r"(?m)^Message-ID: <(\w+)@", f.read())[1]] += 1
    return found


def test_pop3_exactly_once():
    chance = random.Random(86)
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines="set -a work leave delete\nset timeout 10\n")
        want = set()
        try:
            for number in range(ROUNDS):
                names = ["r%dn%d" % (number, i) for i in range(200)]
                put(server, "bob", [(n, message(n, "body\n" * chance.choice((1, 50, 2000))).encode()) for n in names])
                want |= set(names)
                for _ in range(3):
                    run = subprocess.Popen((TUIMAIL, "-c", bob.rc, "fetch"), env=dict(os.environ, **bob.env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    time.sleep(chance.uniform(0.02, 1.0))
                    kill_one(bob, chance, chance.choice((("fetch",), ("store",), ("spawn",), ("tuimail",), ("index",))))
                    run.wait(60)
                eventually("a pass ends well", lambda: bob.run("fetch").returncode == 0, 60)
                equal(server.subjects("bob", "INBOX"), [], "left on the server")
                here = ids_here(bob)
                equal(sorted(want - set(here)), [], "lost")
                equal([n for n, times in here.items() if times > 1], [], "twice")
        finally:
            server.close()


def test_imap_bursts():
    chance = random.Random(158)
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        bob = User(os.path.join(root, "bob"), server, lines="set timeout 10\n")
        names = ["m%02d" % i for i in range(40)]
        put(server, "bob", [(n, message(n).encode()) for n in names])
        term = bob.start(120, 48)

        def counts():
            return [len(server.subjects("bob", box)) for box in ("INBOX", "Archive", "Trash")]

        def settled():
            """The server rests, holds all mails, and its INBOX is what the screen shows."""
            before = counts()
            time.sleep(1)
            shown = set(re.findall(r"\bm\d\d\b", term.screen()))
            return before == counts() and sum(before) == len(names) and shown == set(server.subjects("bob", "INBOX"))
        try:
            term.wait("m39")
            for _ in range(ROUNDS):
                for key in [chance.choice("aaddujk") for _ in range(12)]:
                    term.keys(key)
                    if chance.random() < 0.2:
                        time.sleep(chance.uniform(0, 0.15))
                        kill_one(bob, chance, chance.choice((("store",), ("store",), ("fetch",), ("spawn",))))
                eventually("screen and server agree", settled, 60)
                everywhere = [s for box in ("INBOX", "Archive", "Trash") for s in server.subjects("bob", box)]
                equal(sorted(everywhere), names, "all mails, each once")
        except BaseException:
            print("\n".join("# " + line for line in (term.screen() + bob.logs()).splitlines()))
            raise
        finally:
            term.close()
            server.close()


if __name__ == "__main__":
    tap.run(globals())
