#!/usr/bin/env python3
"""What one key did is one step of undo, whatever it took: over accounts, over several commands, and over a start, in order or not."""
import os
import signal

import tap
from tap import contains, equal
from user import User, eventually, message


def maildir(path, *subjects):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub), exist_ok=True)
    for i, subject in enumerate(subjects):
        with open(os.path.join(path, "cur", "%d.m%s.host:2,S" % (1700000000 + i, subject.replace(" ", ""))), "w") as f:
            f.write(message(subject))


def has(path, folder=""):
    top = os.path.join(path, folder)
    return sorted(name for sub in ("cur", "new") if os.path.isdir(os.path.join(top, sub)) for name in os.listdir(os.path.join(top, sub)))


def end(bob, term, how):
    """Quits, or kills all of it at once."""
    if how == "kill":
        for pid, _ in bob.programs():
            os.kill(pid, signal.SIGKILL)
    else:
        term.keys("q")
    eventually("nothing runs", lambda: not bob.programs())


def user(root, lines=""):
    one, two = os.path.join(root, "one"), os.path.join(root, "two")
    maildir(one, "mail a", "mail b")
    maildir(two, "mail c")
    return one, two, User(os.path.join(root, "bob"), lines="account one maildir:%s\naccount two maildir:%s\nset confirm-quit no\n%s"
                          % (one, two, lines))


def tags(bob):
    return sorted(w for w in bob.command("search", "--output=tags", "*").split() if w in ("red", "blue"))


def test_several_commands():
    """A key that is bound to two of them."""
    for how in ("quit", "kill"):
        with tap.directory() as root:
            one, two, bob = user(root, 'bind list X "tag +red ; tag +blue"\n')
            with bob.at_screen(cols=110) as term:
                term.wait("mail a")
                term.wait("mail c")
                for start in (0, 1):
                    term.keys("X")
                    term.wait(lambda screen: "red" in screen and "blue" in screen)
                    if start == 0:
                        term.keys("u")
                        term.wait("tags of 1 message put back")
                        term.keys("u")
                        term.wait("nothing to undo")
                        term.command("redo")
                        term.wait("tags of 1 message changed again")
                        term.keys("u")
                        term.wait("tags of 1 message put back")
                end(bob, term, how)
            with bob.at_screen(cols=110) as term:
                term.wait(lambda screen: "red" in screen and "blue" in screen)
                term.keys("u")
                term.wait("tags of 1 message put back")
                term.keys("u")
                term.wait("nothing to undo")


def test_over_accounts():
    """Mail of two accounts that is archived, and mail that goes from one to the other."""
    for how in ("quit", "kill"):
        with tap.directory() as root:
            one, two, bob = user(root)
            with bob.at_screen(cols=110) as term:
                term.wait("mail a")
                term.wait("mail c")
                term.command("result archive")
                eventually("both are there", lambda: len(has(one, ".Archive")) == 2 and len(has(two, ".Archive")) == 1)
                end(bob, term, how)
            with bob.at_screen(cols=110) as term:
                term.wait("one")
                term.keys("u")
                term.wait("3 messages back in INBOX")
                eventually("all are back", lambda: (len(has(one)), len(has(two))) == (2, 1) and not has(one, ".Archive") + has(two, ".Archive"))
                term.wait("mail c")
                term.go("two/INBOX", "mail c")
                term.command("move one/INBOX")
                term.wait("moved 1 message to one/INBOX")
                eventually("it is there", lambda: (len(has(one)), len(has(two))) == (3, 0))
                end(bob, term, how)
            with bob.at_screen(cols=110) as term:
                term.wait("mail c")
                term.keys("u")
                term.wait("1 message back in INBOX")
                eventually("it is back", lambda: (len(has(one)), len(has(two))) == (2, 1))
                term.command("redo")
                term.wait("nothing to redo")


if __name__ == "__main__":
    tap.run(globals())
