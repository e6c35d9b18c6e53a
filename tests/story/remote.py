#!/usr/bin/env python3
"""tuimail cmd: commands for a tuimail that runs, from another shell."""
import contextlib
import os

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message


def test_commands_for_the_screen():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        try:
            for i in range(3):
                server.deliver("bob", message("mail %d" % i))
            user = User(os.path.join(root, "bob"), server)
            none = user.run("cmd", "echo hello")
            equal(none.returncode, 69)
            contains(none.stderr, "no tuimail with a screen runs")
            assert not user.programs(), "it started one"
            with contextlib.closing(user.start()) as term:
                term.wait("mail 2")
                equal(user.command("cmd", "echo", "hello from elsewhere"), "hello from elsewhere\n")
                term.wait("hello from elsewhere")
                equal(user.command("cmd", "set wrap 72 ; last"), "")
                term.wait("3 of 3")
                equal(user.command("cmd", "set wrap"), "72\n")
                # values, lists and what keys do come back; nothing of it takes the screen's place
                equal(user.command("cmd", "echo", "{subject} in {mailbox} of {account}"), "mail 0 in INBOX of work\n")
                contains(user.command("cmd", "bind", "list", "a"), "archive: move to the archive (default)")
                contains(user.command("cmd", "bind"), "\nd\tdelete: move to the trash")
                contains(user.command("cmd", "help", "wrap"), "wrap\t")
                term.wait("3 of 3")
                contains(user.command("cmd", "first ; archive"), "archived 1 message")
                term.wait("archived 1 message")
                wrong = user.run("cmd", "frobnicate")
                equal(wrong.returncode, 64)
                contains(wrong.stderr, "frobnicate")
                for line, why in (("set nosuch", 'unknown option "nosuch"'), ("snooze never", '"never" is no time'), ("tag +", "a tag is added by +name"),
                                  ("tag +unread", "the tag 'unread' follows"), ('echo "', 'column 6: no closing "'), ("set -a nobody from", 'unknown account "nobody"')):
                    wrong = user.run("cmd", line)
                    equal((line, wrong.returncode), (line, 64))
                    contains(wrong.stderr, "tuimail: " + why)
                raw = user.run("cmd", "echo \x1b]0;owned\x07x")
                equal(raw.returncode, 64)
                assert "\x1b" not in raw.stdout + raw.stderr, raw
                # of two the one that was started last
                with contextlib.closing(user.start()) as second:
                    second.wait("mail 1")
                    user.command("cmd", "last")
                    second.wait("2 of 2")
                    term.wait("1 of 2")
                    second.keys("q")
                    second.exit_status()
                user.command("cmd", "last")
                term.wait("2 of 2")
                user.run("cmd", "quit")
                equal(term.exit_status(), 0)
        finally:
            server.close()


def test_hooks_at_events():
    """Each event of a day runs what tuimailrc says, with its own words."""
    events = ("startup", "quit", "new-mail", "open", "change-mailbox", "compose", "send", "sent", "online", "offline", "error")
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        told = os.path.join(root, "told")

        def has(line):
            return lambda: os.path.exists(told) and ("\n" + line) in "\n" + open(told).read()
        try:
            server.deliver("bob", message("mail 0"))
            user = User(os.path.join(root, "bob"), server, lines="set undo-send 0\n" + "".join(
                'on %s run "echo {event}/{account}/{mailbox}/{subject} >> %s"\n' % (e, told) for e in events))
            with contextlib.closing(user.start(cols=100, rows=30, env={"EDITOR": user.editor("Words.")})) as term:
                term.wait("mail 0")
                eventually("it says that it began", has("startup/"))
                eventually("the account has its line", has("online/work//"))
                term.keys("Enter")
                eventually("a message is open", has("open/work/INBOX/mail 0"))
                term.command("change Sent")
                eventually("another mailbox is shown", has("change-mailbox/work/Sent/"))
                term.command("compose alice@example.org")
                term.wait("Words.")
                term.command("set-subject hooked")
                term.wait("hooked")
                term.keys("y")
                eventually("a mail was begun", has("compose/work//"))
                eventually("it was handed over", has("send/work//hooked"))
                eventually("the server took it", has("sent/work//hooked"))
                server.deliver("bob", message("mail 1"))
                eventually("new mail", has("new-mail/work/INBOX/mail 1"))
                term.command("source /nonexistent")
                eventually("an error", has("error///"))
                term.command("offline on")
                eventually("no line", has("offline/work//"))
                user.run("cmd", "quit")
                equal(term.exit_status(), 0)
                eventually("it ended", has("quit/"))
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
