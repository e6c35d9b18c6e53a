#!/usr/bin/env python3
"""A list that still fills, over a slow line: any row is there when it is asked for, and what lies beside it."""
import contextlib
import os
import pwd
import re
import shutil
import sqlite3
import time

import tap
from dovecot import Server
from lineproxy import LineProxy
from tap import equal
from user import User, eventually, message

COUNT = 4000
BEGIN = 1700000000


def fill(server, count):
    """Mail 1 is the oldest; what the server has to read for its own cache is read before."""
    maildir = os.path.join(server.dir, "home/bob/Maildir")
    shutil.rmtree(maildir, ignore_errors=True)
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(maildir, sub))
    for i in range(1, count + 1):
        stamp = BEGIN + 60 * i
        text = message("mail %d" % i).replace("Sun, 22 Nov 2026 10:00:00 +0000", time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(stamp)))
        with open(os.path.join(maildir, "cur", "%d.M%d.host:2,S" % (stamp, i)), "w") as f:
            f.write(text)
    if os.geteuid() == 0:
        owner = pwd.getpwnam("mail")
        for directory, _, names in os.walk(maildir):
            for path in [directory] + [os.path.join(directory, n) for n in names]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
    with server.imap("bob") as imap:
        imap.select("INBOX", readonly=True)
        imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT MESSAGE-ID)] RFC822.SIZE INTERNALDATE)")


def asked(user, query, *args):
    with sqlite3.connect("file:%s?mode=ro" % os.path.join(user.store, "state/work/cache.db"), uri=True) as db:
        return db.execute(query, args).fetchone()[0]


def known(user):
    return asked(user, "select count(*) from msg")


def has(user, lo, hi):
    return asked(user, "select count(*) from msg where suid between ? and ?", lo, hi) == hi - lo + 1


def shown(screen):
    """Numbers of the mails on the screen, from the top."""
    return [int(n) for n in re.findall(r"  mail (\d+)\b", screen)]


def at(row):
    """On the screen: the cursor's row is the one of this number, counted from the newest, and its mail is there."""
    return lambda s: "%s of %s" % (format(row, ","), format(COUNT, ",")) in s and COUNT + 1 - row in shown(s)


def on_its_own(screen):
    """What is shown lies side by side, with no gap in between."""
    rows = shown(screen)
    return rows == list(range(rows[0], rows[0] - len(rows), -1))


def test_any_row_of_a_list_that_fills():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        line = LineProxy(server.info["imaps"])
        try:
            fill(server, COUNT)
            user = User(os.path.join(root, "bob"), server, port=line.port)
            line.rate = 40000
            with contextlib.closing(user.start()) as term:
                term.wait("mail %d" % COUNT)
                term.keys("Home")
                term.type(":2000")
                term.keys("Enter")
                term.wait(lambda s: at(2000)(s) and on_its_own(s))  # those beside it come in the same answer, a moment later
                assert known(user) < COUNT - 1000, "it came with the others"
                # what lies beside it comes by itself
                term.keys("Up")
                eventually("the rows beside it come", lambda: has(user, 2001 - 55, 2001 + 55))
                term.keys("PgUp", "PgUp")
                term.wait(lambda s: 2020 < (shown(s) or [0])[0] < 2060 and on_its_own(s))
                # half of what is left of it, by its part of the whole
                term.type(":jump 75%")
                term.keys("Enter")
                term.wait(at(3000))
                term.keys("End")
                term.wait(at(COUNT))
                assert known(user) < COUNT - 500, "it came with the others"
                term.keys("Up")
                eventually("the rows beside it come", lambda: has(user, 1, 61))
                term.keys("PgUp", "PgUp")
                term.wait(lambda s: 30 < (shown(s) or [0])[0] < 90 and on_its_own(s))
                line.rate = 0
                eventually("the rest comes", lambda: known(user) == COUNT, 60)
                # and now by what is here
                term.type(":1234")
                term.keys("Enter")
                term.wait(lambda s: at(1234)(s) and on_its_own(s))
                term.type(":999999")
                term.keys("Enter")
                term.wait(at(COUNT))
                term.type(":1x")
                term.keys("Enter")
                term.wait("by its number")
            equal(known(user), COUNT)
        finally:
            line.close()
            server.close()


def test_a_row_that_is_not_here_offline():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        line = LineProxy(server.info["imaps"])
        try:
            fill(server, 1500)
            user = User(os.path.join(root, "bob"), server, port=line.port)
            line.rate = 40000
            with contextlib.closing(user.start()) as term:
                term.wait("mail 1500")
                line.refuse()
                line.cut()
                term.wait(lambda s: "again" in s or "offline" in s)
                term.type(":1400")
                term.keys("Enter")
                term.wait("there is no connection")
        finally:
            line.close()
            server.close()


if __name__ == "__main__":
    tap.run(globals())
