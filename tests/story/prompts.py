#!/usr/bin/env python3
"""Mailboxes made, left and taken back, and where the cursor is after it: the screen against a real Dovecot."""
import contextlib
import os
import re

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message


@contextlib.contextmanager
def at_screen(mailboxes=(), lines="", mails=4):
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        with server.imap("bob") as imap:
            for name in mailboxes:
                imap.create(name)
        server.append("bob", "INBOX", [message("number %d" % i) for i in range(mails)])
        with User(os.path.join(root, "bob"), server, lines=lines).at_screen(cols=110, rows=30) as term:
            term.wait("work live")
            term.wait("of %d" % mails)
            for name in mailboxes:  # the list of mailboxes has come
                term.wait("   " + name.split("/")[-1])
            yield server, term


def names(server):
    with server.imap("bob") as imap:
        return sorted(line.split(b' "/" ', 1)[1].strip(b'"').decode() for line in imap.list()[1])


def test_a_mailbox_is_made_and_taken_back():
    with at_screen(["Archive", "Projects", "Zoo"]) as (server, term):
        term.keys("y", "C")
        term.type("Neu/\u00dcnter & Co")
        term.keys("Enter")
        screen = term.wait("mailbox created")
        contains(screen, "   Neu ")
        contains(screen, "     \u00dcnter & Co")
        eventually("it is on the server", lambda: "Neu/&ANw-nter &- Co" in names(server))
        term.keys("u")
        term.wait("mailbox Neu/\u00dcnter & Co removed again")
        term.wait("   Neu ", gone=True)
        eventually("it is gone from the server", lambda: "Neu/&ANw-nter &- Co" not in names(server))
        term.keys("Enter")  # the cursor is on the row below the one that went
        term.wait("Projects \u00b7 work")


def test_a_deleted_mailbox_is_below_trash():
    with at_screen(["Alpha", "Trash", "Zoo"]) as (server, term):
        server.append("bob", "Alpha", [message("kept")])
        term.keys("y")
        term.wait(lambda s: re.search(r"^   Alpha +1 ", s, re.M))
        term.keys("End", "k", "d")
        term.wait("Delete the mailbox Alpha with 1 message: move it under Trash?")
        term.keys("y")
        term.wait("mailbox moved under Trash")
        term.wait(lambda s: re.search(r"^   Trash .*\n     Alpha ", s, re.M))
        term.keys("u")
        term.wait("mailbox Alpha is back")
        term.keys("U")
        term.wait("the mailbox is Trash/Alpha again")


def test_moving_to_a_mailbox_that_is_not_there():
    with at_screen() as (server, term):
        term.keys("s")
        term.type("nosuch")
        term.wait("no mailbox has this name: Enter creates it")
        term.keys("Enter")
        term.wait("No mailbox nosuch. Create it?")
        term.keys("y")
        term.wait("moved 1 message to nosuch")
        eventually("it is there", lambda: server.subjects("bob", "nosuch") == ["number 3"])


def test_undo_puts_the_cursor_on_what_came_back():
    with at_screen(["Archive"]) as (server, term):
        for key, said in (("d", "deleted 1 message"), ("a", "archived 1 message to Archive"), ("!", "marked 1 message as spam")):
            term.keys("Home", "j")
            term.wait("2 of 4")
            term.keys(key)
            term.wait(said)
            term.wait("2 of 3")
            term.keys("u")
            term.wait("1 message back in INBOX")
            term.wait("2 of 4")
        term.keys("Home", "t", "t", "t", "d")
        term.wait("deleted 3 messages")
        term.keys("u")
        term.wait("3 messages back in INBOX")
        term.wait("1 of 4")


def test_dropping_from_the_queue_asks():
    with at_screen(lines="set confirm-quit no\n") as (server, term):
        term.command("offline on")
        term.wait("offline")
        term.keys("Home", "F", "j", "F")
        term.wait("work offline, 2 queued")
        term.keys("Q", "j", "d")
        contains(term.wait("Drop this?"), 'number 2"')
        term.keys("n")
        term.wait("waits for the server, in this order")
        term.keys("d")
        term.wait("Drop this?")
        term.keys("y")
        term.wait("dropped: it will not be done")
        screen = term.wait("work offline, 1 queued")
        contains(screen, 'number 3"')
        term.keys("q")
        term.command("messages")
        term.wait("1 change waits for the server, 0 mails to send")


if __name__ == "__main__":
    tap.run(globals())
