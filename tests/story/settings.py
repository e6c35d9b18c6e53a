#!/usr/bin/env python3
"""Options that are set while tuimail runs: they act at once in every part of it, and go on to when a part begins anew; what is
read at the start alone says so."""
import os
import re
import signal

import tap
from dovecot import Server
from index import Own, subject
from pop_policy import large, scripted, small, stubs
from tap import contains, equal
from user import User, eventually, message


def kill(bob, name):
    for pid, program in bob.programs():
        if program == name:
            os.kill(pid, signal.SIGKILL)


def test_pop3():
    """max-size, leave and interval; a store that is killed has them again."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("one")], "set -a work leave keep\nset -a work interval 1h\n")
        try:
            with bob.at_screen(cols=110) as term:
                term.wait("one")
                equal(bob.command("cmd", "set -a work max-size 100K ; set -a work leave delete"), "")
                server.add(large("large one"), small("two"))
                term.keys("G")
                term.wait("large one")
                eventually("the header alone is here", lambda: len(stubs(bob)) == 1)
                eventually("what is here whole is deleted there", lambda: len(server.asked("DELE")) == 2)
                kill(bob, "store")
                term.wait("the store runs again")
                server.add(large("other one"))
                term.keys("G")
                term.wait("other one")
                eventually("its header alone too", lambda: len(stubs(bob)) == 2)
                term.command("set -a work interval 5")
                term.wait("interval")
                server.add(small("by itself"))
                term.command("set -a work interval 10")
                term.wait("by itself")
                equal(bob.command("cmd", "set -a work interval"), "10\n")
        finally:
            server.close()


def test_login():
    """A password that is wrong is mended at the prompt, and the account is online; mail goes by another server at once, from another
    sender, whose mail is then mail to me."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, lines="set -a work password-file ''\nset -a work password-command 'echo wrong'\n"
                   "set -a work send smtps://bob@localhost:9\nset undo-send 0\nset mark-seen no\n")
        server.append("bob", "INBOX", [message("here I am")])
        with bob.at_screen(cols=110, env={"EDITOR": bob.editor("Words typed.")}) as term:
            term.wait("Authentication failed")
            term.command("set -a work password-command 'echo secret'")
            term.wait("here I am")
            term.command("set -a work send smtps://bob@localhost:%d" % server.info["submissions"])
            term.command("set -a work from 'Robert <robert@example.org>'")
            term.command("compose alice@example.org")
            contains(term.wait("Words typed."), "Robert <robert@example.org>")
            term.command("set-subject 'by the other one'")
            term.wait("by the other one")
            term.keys("y")
            eventually("alice has it", lambda: server.subjects("alice", "INBOX") == ["by the other one"])
            # what was refused for the password is tried again when that is another one
            term.command("set -a work send-password-command 'echo wrong'")
            term.command("compose alice@example.org")
            term.wait("Words typed.")
            term.command("set-subject 'with a password that is none'")
            term.wait("with a password that is none")
            term.keys("y")
            eventually("it is refused", lambda: "stays in the outbox" in bob.logs())
            term.command("set -a work send-password-command 'echo secret'")
            eventually("alice has that one", lambda: server.subjects("alice", "INBOX")[1:] == ["with a password that is none"])
            server.deliver("bob", message("to robert").replace("To: Bob <bob@example.org>", "To: robert@example.org"))
            term.wait("to robert")
            # the connection is made anew with another limit, and goes on
            term.command("set timeout 20")
            server.deliver("bob", message("and on it goes"))
            term.wait("and on it goes")
            assert not re.search(r"set -a|echo secret", bob.logs()), "no line of the configuration in a log"


def test_index_database():
    with tap.directory() as root:
        own = Own(root)
        text = open(own.bob.rc).read()
        line = re.search("^set index-database.*", text, re.M)[0]
        own.bob.write_rc(text.replace(line, ""))
        own.notmuch("tag", "+elsewhere", "--", "id:m50@example.org")
        with own.bob.at_screen(cols=120, rows=50) as term:
            term.command("search tag:elsewhere")
            term.wait("Nothing matches")
            term.command(line)
            term.command("search tag:elsewhere")
            term.wait(subject(50))
            term.command("unset index-database")
            term.command("search tag:elsewhere")
            term.wait("Nothing matches")


def test_at_the_start():
    """What is read at the start alone is refused with what to do, and stays as it is."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server)
        server.append("bob", "INBOX", [message("lunch")])
        with bob.at_screen(cols=200) as term:
            term.wait("lunch")
            term.command("set store /nowhere")
            contains(term.wait("acts when tuimail starts"), bob.rc)
            equal(bob.command("cmd", "set store"), "\n")
            done = bob.run("cmd", "set -a work offline yes")
            equal(done.returncode, 64)
            contains(done.stderr, "offline acts when tuimail starts")
            bob.command("cmd", "set -a work offline no")
            term.command("help store")
            term.wait("when tuimail starts")


if __name__ == "__main__":
    tap.run(globals())
