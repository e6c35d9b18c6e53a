#!/usr/bin/env python3
"""Mail that is snoozed goes to a mailbox of its own and comes back unread at its time: while the program runs, or when
it runs next; undone or taken out by hand it stays where it is."""
import contextlib
import os
import sqlite3

import tap
from dovecot import Server
from tap import equal
from user import User, eventually, message


def subjects(server, box, *flag):
    with server.imap("bob") as imap:
        if imap.select('"%s"' % box, readonly=True)[0] != "OK":
            return []
        found = []
        for number in imap.search(None, *(flag or ("ALL",)))[1][0].decode().split():
            found.append(imap.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode().split(":", 1)[1].strip())
        return sorted(found)


@contextlib.contextmanager
def bob(protocol="imaps", mails=3):
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        try:
            for i in range(mails):
                server.deliver("bob", message("mail %d" % i))
            yield User(os.path.join(root, "bob"), server, protocol=protocol), server
        finally:
            server.close()


def timers(user):
    with sqlite3.connect("file:%s?mode=ro" % os.path.join(user.store, "state/work/keep.db"), uri=True) as db:
        return db.execute("select count(*) from timer").fetchone()[0]


def test_it_comes_back_at_its_time():
    with bob() as (user, server):
        with contextlib.closing(user.start()) as term:
            term.wait("mail 2")
            term.keys("Enter")
            term.wait("Hello.")
            eventually("it is read", lambda: subjects(server, "INBOX", "SEEN") == ["mail 2"])
            term.keys("q", "z")
            term.wait("snooze until:")
            term.type("6s")
            term.keys("Enter")
            term.wait("mail 2", gone=True)
            eventually("it waits in a mailbox of its own", lambda: subjects(server, "Snoozed") == ["mail 2"])
            equal(subjects(server, "INBOX"), ["mail 0", "mail 1"])
            term.wait("mail 2", timeout=30)
            eventually("it is back, unread", lambda: subjects(server, "INBOX", "UNSEEN") == ["mail 0", "mail 1", "mail 2"])
            equal(subjects(server, "Snoozed"), [])
            equal(timers(user), 0)
            term.keys("z")
            term.type("once upon a time")
            term.keys("Enter")
            term.wait("is no time")


def test_at_the_next_start():
    with bob() as (user, server):
        with contextlib.closing(user.start()) as term:
            term.wait("mail 2")
            term.type(":snooze tomorrow 9:30")
            term.keys("Enter")
            term.wait("snoozed 1 message")
            eventually("it waits", lambda: subjects(server, "Snoozed") == ["mail 2"])
        eventually("nothing runs", lambda: not user.programs())
        equal(timers(user), 1)
        with sqlite3.connect(os.path.join(user.store, "state/work/keep.db")) as db:
            db.execute("update timer set due=1")
        for end in ("", "-wal", "-shm"):  # and what is known of the server has to be read anew
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(user.store, "state/work/cache.db" + end))
        with contextlib.closing(user.start()) as term:
            term.wait("mail 2", timeout=120)
            eventually("it is back", lambda: subjects(server, "INBOX") == ["mail 0", "mail 1", "mail 2"])
            equal(timers(user), 0)


def test_undone_or_moved_on_it_stays():
    with bob() as (user, server):
        with contextlib.closing(user.start()) as term:
            term.wait("mail 2")
            term.type(":snooze 4s")
            term.keys("Enter")
            term.wait("snoozed 1 message")
            term.keys("u")
            term.wait("back in INBOX")
            term.wait("mail 2")
            term.keys("Home", "a")  # and filed
            term.wait("archived 1 message")
            eventually("its time passes", lambda: timers(user) == 0)
            eventually("it is in the archive", lambda: subjects(server, "Archive") == ["mail 2"])
            equal(subjects(server, "INBOX"), ["mail 0", "mail 1"])
            # another device takes it out
            term.type(":snooze 8s")
            term.keys("Enter")
            eventually("it waits", lambda: subjects(server, "Snoozed") == ["mail 1"])
            with server.imap("bob") as imap:
                imap.select("Snoozed")
                imap.uid("MOVE", "1:*", "Archive")
            eventually("its time passes", lambda: timers(user) == 0)
            equal(subjects(server, "INBOX"), ["mail 0"])


def test_in_a_maildir():
    with bob("pop3s", 1) as (user, server):
        with contextlib.closing(user.start(cols=120)) as term:
            term.wait("mail 0")
            term.type(":snooze 4s")
            term.keys("Enter")
            term.wait("Snoozed")
            term.wait("mail 0", gone=True)
            term.wait("mail 0", timeout=30)
            # woken before its time
            term.type(":snooze 1w")
            term.keys("Enter")
            term.wait("mail 0", gone=True)
            term.type(":change Snoozed")
            term.keys("Enter")
            term.wait("mail 0")
            term.type(":snooze off")
            term.keys("Enter")
            term.type(":go inbox")
            term.keys("Enter")
            term.wait("mail 0")
            eventually("no time is left", lambda: timers(user) == 0)


if __name__ == "__main__":
    tap.run(globals())
