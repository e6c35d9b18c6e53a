#!/usr/bin/env python3
"""What is fetched of a maildrop and when, what of it stays on the server: order, stubs of large mails, leave, deletion there, progress,
stopping, servers whose ids change. Real Dovecot where it can be made to do it, else a server of ours."""
import os
import re
import signal
import sqlite3
import subprocess
import time

import tap
from dovecot import Server as Dovecot
from pop_script import Mail, Server, STALL
from tap import contains, equal
from term import Terminal
from user import User, eventually, message

LARGE = "line of a large mail, number %06d, that is here to take its place\n"


def large(subject, lines=4000, extra=""):
    return message(subject, "".join(LARGE % i for i in range(lines)) + "the very end\n", extra=extra).replace("\n", "\r\n")


def small(subject, body="Hello.\n"):
    return message(subject, body).replace("\n", "\r\n")


def files(bob, folder=""):
    top = os.path.join(bob.store, "mail", "work", folder)
    return [os.path.join(top, d, f) for d in ("new", "cur") if os.path.isdir(os.path.join(top, d)) for f in os.listdir(os.path.join(top, d))]


def subjects(bob, folder=""):
    found = []
    for path in files(bob, folder):
        with open(path, errors="replace") as f:
            found += re.findall(r"^Subject: (.*?)\r?$", f.read(), re.M)[:1]
    return sorted(found)


def ledger(bob, sql, *values):
    """What a clock or a file system may do to the ledger, while nothing of tuimail runs."""
    eventually("tuimail has ended", lambda: not bob.programs())
    db = sqlite3.connect(os.path.join(bob.store, "state", "work", "keep.db"))
    try:
        with db:
            return db.execute(sql, values).fetchall()
    finally:
        db.close()


def scripted(root, messages, lines="", **how):
    server = Server(messages, directory=os.path.join(root, "pop"), **how)
    return server, User(os.path.join(root, "bob"), server, protocol="pop3s", lines=lines)


# ---- Order, progress, stopping
def test_newest_first_and_stopped():
    """The newest are on the screen while the backlog comes; Esc ends the pass, and the next one goes on where it ended."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("mail %d" % i) for i in range(1, 7)])
        try:
            server.once("RETR 3", STALL)
            with bob.at_screen(cols=100) as term:
                term.wait("mail 4")
                term.wait("3 of 6, ")
                term.wait("Esc stops")
                equal(server.asked("RETR [12]"), [])
                term.keys("Escape")
                term.wait("Esc stops", gone=True)
                equal(sorted(subjects(bob)), ["mail 4", "mail 5", "mail 6"])
                server.forget()
                term.keys("G")
                term.wait("mail 1")
                term.wait("3 new")
                equal([c for c in server.heard if c.startswith("RETR")], ["RETR 3", "RETR 2", "RETR 1"])
        finally:
            server.close()


def test_oldest_first():
    with tap.directory() as root:
        server, bob = scripted(root, [small("mail %d" % i) for i in range(1, 4)], "set -a work fetch-order oldest\n")
        try:
            bob.command("fetch")
            equal([c for c in server.heard if c.startswith("RETR")], ["RETR 1", "RETR 2", "RETR 3"])
        finally:
            server.close()


def test_fetch_on_a_terminal():
    """A line that is written over, Ctrl-C that loses nothing; not a byte of that where nobody looks."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("mail %d" % i) for i in range(1, 7)])
        try:
            server.once("RETR 3", STALL)
            term = Terminal(["sh", "-c", "trap : INT; %s -c %s fetch; echo status $?; sleep 100" % (tap.TUIMAIL, bob.rc)], 100, 24, env=bob.env)
            try:
                term.wait("work: 3 of 6, ")
                term.keys("C-c")
                term.wait("work: 3 new; stopped after 3 of 6; the rest comes next time")
                term.wait("status 130")
            finally:
                term.close()
            done = bob.run("fetch")
            equal((done.stdout, done.stderr, done.returncode), ("work: 3 new\n", "", 0))
            equal(subjects(bob), ["mail %d" % i for i in range(1, 7)])
        finally:
            server.close()


# ---- Stubs
def test_stub():
    """Over max-size the header comes, the rest when it is opened; flags stay, search finds both, and it is there after a restart."""
    with tap.directory() as root:
        server = Dovecot(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines="set -a work max-size 100K\nset -a work leave delete\n")
        try:
            server.append("bob", "INBOX", [large("large one"), small("small one")])
            contains(bob.command("fetch"), "2 new")
            equal(server.subjects("bob", "INBOX"), ["large one"], "what is not here whole stays")
            equal(sum(os.path.getsize(f) < 3000 for f in files(bob)), 2, "files are small")
            with bob.at_screen(cols=110) as term:
                term.wait("large one")
                term.wait(lambda s: any("large one" in row and "KB" in row and "↓" in row for row in s.splitlines()))
                eventually("search finds the header", lambda: "large one" in bob.command("search", "--format=text", "subject:large", status=None))
                equal(bob.command("search", "--format=text", "very end", status=None).strip(), "")
            stub = [f for f in files(bob) if "_s" in f]
            equal(len(stub), 1)
            with bob.at_screen(cols=110) as term:
                term.wait("large one")
                term.wait("small one")
                term.keys("j") if re.search(r"(?m)^.*small one.*\n.*large one", term.screen()) else term.keys("k")
                term.keys("F")
                eventually("the flag is in its name", lambda: any("_s" in f and "F" in f.rpartition(":2,")[2] for f in files(bob)))
                term.keys("Enter")
                term.wait("line of a large mail, number 000000")
                eventually("the file is whole", lambda: not [f for f in files(bob) if "_s" in f])
                whole = [f for f in files(bob) if os.path.getsize(f) > 200000]
                equal(len(whole), 1)
                contains(whole[0].rpartition(":2,")[2], "F")
                with open(whole[0], newline="") as f:
                    contains(f.read(), "the very end")
                eventually("search finds the body", lambda: "large one" in bob.command("search", "--format=text", '"very end"', status=None))
                term.keys("G")
                eventually("it is deleted on the server", lambda: server.subjects("bob", "INBOX") == [])
            contains(bob.command("fetch"), "0 new")
            equal(subjects(bob), ["large one", "small one"])
        finally:
            server.close()


def test_stub_passed_by():
    """The cursor that passes over it fetches nothing; what is said there, and of one that is gone from the server."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("first"), large("large one"), small("last")], "set -a work max-size 100K\n")
        try:
            with bob.at_screen(cols=110) as term:
                term.wait("last")
                term.wait("first")
                rows = [re.search(r"first|large one|last", row)[0] for row in term.screen().splitlines() if re.search(r"first|large one|last", row)]
                term.keys("Home")
                at = rows.index("large one")
                term.keys("Enter")
                for _ in range(3):
                    term.keys("j")
                for _ in range(3):
                    term.keys("k")
                for _ in range(at):
                    term.keys("j")
                if at:
                    term.wait("still on the server")
                equal([c for c in server.heard if c == "RETR 2"], [])
                del server.maildrop[1]
                term.keys("Enter")
                term.wait("not on the server any more")
                term.wait("still on the server")
        finally:
            server.close()


def test_stub_stopped_and_cut():
    """Esc in the middle, a line that is cut, no line at all: the header stays, and the next time it comes."""
    with tap.directory() as root:
        server, bob = scripted(root, [large("large one", 20000)], "set -a work max-size 100K\n")
        try:
            half = (server.maildrop[0].raw[:500000],)

            def stalls(_):
                yield b"+OK\r\n"
                yield half[0]
                time.sleep(60)
            with bob.at_screen(cols=110) as term:
                term.wait("large one")
                server.once("RETR 1", stalls)
                term.keys("Enter")
                term.wait("Esc stops")
                term.wait("still on the server")
                term.keys("Escape")
                term.wait("Esc stops", gone=True)
                server.cut("RETR 1", 300000, once=False)
                server.forget()
                term.keys("Enter")
                eventually("it is tried again, once", lambda: len(server.asked("RETR 1")) == 2)
                term.wait("still on the server")
                equal(len([f for f in files(bob) if "_s" in f]), 1)
                eventually("nothing is left in tmp", lambda: os.listdir(os.path.join(bob.store, "mail", "work", "tmp")) == [])
                server.cuts.clear()
                term.command("offline on work")
                term.wait("work offline")
                term.keys("Enter")
                term.wait("offline off work")
                term.command("offline off work")
                term.wait("work live")
                term.keys("Enter")
                term.wait("number 000000")
                eventually("the file is whole", lambda: not [f for f in files(bob) if "_s" in f])
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
