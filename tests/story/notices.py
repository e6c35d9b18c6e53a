#!/usr/bin/env python3
"""What the status line says is true, can be read whole, and what it promises works."""
import contextlib
import os
import re
from contextlib import closing

import tap
from dovecot import Server
from lineproxy import LineProxy
from tap import equal
from user import User, eventually, message

LINES = "set timeout 5\nset connect-timeout 5\nset log-level debug\n"


@contextlib.contextmanager
def at_work(count=2, without=(), lines="", cols=120, rows=30, args=()):
    """Bob's screen, over a line that can be made bad; `without`: options of the account that his tuimailrc lacks."""
    with tap.directory() as root, closing(Server(os.path.join(root, "dovecot"), relay=False)) as server, \
            closing(LineProxy(server.info["imaps"])) as line:
        bob = User(os.path.join(root, "bob"), server, port=line.port, lines=LINES + lines)
        with open(bob.rc) as f:
            kept = [text for text in f if not any(" %s " % option in text for option in without)]
        bob.write_rc("".join(kept))
        for i in range(count):
            server.deliver("bob", message("number %d" % i))
        with bob.at_screen(cols=cols, rows=rows, args=args) as term:
            yield server, line, bob, term


def live(screen):
    return "number 0" in screen and "work live" in screen


def test_a_password_that_was_not_given():
    with at_work(without=["password-file"]) as (_, _, _, term):
        screen = term.wait("password of work")
        assert "No messages here" not in screen and "empty" not in screen, screen
        for again in (lambda: term.keys("G"), lambda: term.keys("$"), lambda: term.command("fetch"), lambda: term.command("fetch work"),
                      lambda: term.command("login")):
            term.keys("Escape")
            screen = term.wait("no password given")
            assert "No messages here" not in screen, screen
            again()
            term.wait("password of work")
        term.type("wrong")
        term.keys("Enter")
        term.wait("the last one was refused")
        term.keys("Escape")
        term.wait("no password given")
        term.keys("G")
        term.wait("password of work")
        term.type("secret")
        term.keys("Enter")
        term.wait(live)
        term.command("messages")
        screen = term.wait("what happened")
        assert "cancel" not in screen, screen


def test_a_server_that_was_away():
    with at_work() as (server, line, _, term):
        term.wait(live)
        server.stop()
        line.cut()
        term.wait("work offline")
        term.keys("G")
        term.wait("work: ")
        server.start()
        term.keys("G")
        screen = term.wait(lambda s: live(s) and "work: 0 new" in s, 60)
        for stale in ("refused", "offline", "lost", "closed"):
            assert stale not in screen.splitlines()[-1], screen
        term.command("messages")
        term.wait("work is connected again")


def test_the_last_word_is_of_the_last_command():
    with at_work() as (_, _, _, term):
        term.wait(live)
        term.command("set wrap")
        term.wait("wrap is 0")
        term.command("set wrap 72")
        term.wait("wrap is", gone=True)
        term.command("color unred red")
        term.wait("unred")
        term.command("filter unread")
        term.wait("unred", gone=True)


def test_a_long_notice_is_read_whole():
    for cols, rows in ((80, 24), (200, 60)):
        with at_work(without=["tls-ca-file"], cols=cols, rows=rows) as (_, _, _, term):
            screen = term.wait("comes from an authority")
            assert "No messages here" not in screen and "empty" not in screen, screen
            for open_it in (lambda: term.keys("M-m"), lambda: term.command("account work")):
                open_it()

                def told(screen):
                    words = re.sub(r"\s+", " ", screen)
                    return re.search(r"its key is sha256/[A-Za-z0-9+/]{43}=", words) and "tls-ca-file" in words and "or tls-pin to the key" in words
                term.wait(told)
                term.keys("?")
                term.wait("keys here (help)")
                term.keys("q")
                term.wait("keys here", gone=True)


def test_the_open_mailbox_goes_away():
    with at_work() as (server, _, _, term):
        with server.imap("bob") as imap:
            imap.create("Gone")
        server.append("bob", "Gone", [message("in the old place").replace("\n", "\r\n").encode()])
        term.wait(live)
        term.keys("G")
        term.wait("   Gone")
        term.go("Gone", "in the old place")
        with server.imap("bob") as imap:
            imap.delete("Gone")
        # no frame shows inboxes without their mail
        def gone(screen):
            assert not ("All inboxes" in screen.splitlines()[0] and "No messages here" in screen), screen
            return "not there any more" in screen and "number 0" in screen
        term.keys("G")
        term.wait(gone, 60)


def test_a_message_waits_for_the_line():
    with at_work(lines="set prefetch 0\n") as (_, line, _, term):
        term.wait(live)
        line.refuse()
        line.cut()
        term.wait("work offline")
        term.keys("Home", "Enter")
        screen = term.wait("cannot be shown")
        newest = re.search(r"number \d", screen).group()
        term.keys("Space")
        screen = term.wait("loaded by itself")
        term.keys("Space")
        line.accept()
        screen = term.wait(lambda s: "Hello." in s, 60)
        assert re.search(r"Subject +" + newest, screen), screen


def test_quitting_with_changes_that_wait():
    with at_work() as (server, _, bob, term):
        term.wait(live)
        term.command("offline on")
        term.wait("work offline")
        term.keys("Q")
        term.wait("nothing waits")
        term.keys("q")
        term.wait("nothing waits", gone=True)
        term.keys("Home", "a")
        term.wait("1 queued")
        term.keys("Q")
        term.wait("move from INBOX to Archive")
        term.keys("?")
        term.wait("d takes the row back")
        term.keys("q", "q")
        screen = term.wait("Quit?")
        assert "1 change waits" in screen and "kept" in screen, screen
        term.keys("n")
        term.wait("Quit?", gone=True)
        term.command("offline off")
        term.wait(lambda s: "work live" in s and "queued" not in s)
        eventually("what waited is done there", lambda: len(server.subjects("bob", "Archive")) == 1)  # of what takes moments nothing is told
        term.keys("Home", "D")
        term.wait("for good")
        term.keys("q")
        term.wait("Quit?")
        term.keys("y")
        equal(term.exit_status(), 0)
        with bob.at_screen(cols=120) as again:
            again.wait("work live")
            again.keys("q")
            again.wait("Quit?")
            again.keys("n")
            again.keys("u")


if __name__ == "__main__":
    tap.run(globals())
