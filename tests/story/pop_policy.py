#!/usr/bin/env python3
"""What is fetched of a maildrop and when, what of it stays on the server: order, stubs of large mails, leave, deletion there, progress,
stopping, servers whose ids change. Real Dovecot where it can be made to do it, else a server of ours."""
import os
import re
import sqlite3
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


def stubs(bob):
    """Files with the header alone: the directory of the test may have such letters too."""
    return [f for f in files(bob) if "_s" in os.path.basename(f)]


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


HEADER_ALONE = ("", ", of 1 the header alone: over max-size, the rest comes when one is opened or max-size is greater")


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
            stub = stubs(bob)
            equal(len(stub), 1)
            with bob.at_screen(cols=110) as term:
                term.wait("large one")
                term.wait("small one")
                term.keys("j") if re.search(r"(?m)^.*small one.*\n.*large one", term.screen()) else term.keys("k")
                term.keys("F")
                eventually("the flag is in its name", lambda: any("F" in f.rpartition(":2,")[2] for f in stubs(bob)))
                term.keys("Enter")
                term.wait("line of a large mail, number 000000")
                eventually("the file is whole", lambda: not stubs(bob))
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
                equal(len(stubs(bob)), 1)
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
                eventually("the file is whole", lambda: not stubs(bob))
        finally:
            server.close()


def test_stub_whose_id_is_another_mails():
    """The body that comes is that of the header, or does not come; the other mail does with the next look at what is kept."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("old mail"), Mail(large("large one"), uidl="2")], "set -a work max-size 100K\nset -a work leave keep\n")
        try:
            bob.command("fetch")
            server.maildrop[1] = Mail(large("large two"), uidl="2")
            with bob.at_screen(cols=110) as term:
                term.wait("large one")
                term.keys("j") if re.search(r"(?m)^.*old mail.*\n.*large one", term.screen()) else term.keys("k")
                term.keys("Enter")
                term.wait("another mail has its id")
            equal(subjects(bob), ["large one", "old mail"])
            ledger(bob, "UPDATE uidl SET delivered=delivered-86400")
            contains(bob.command("fetch"), "1 new")
            equal(subjects(bob), ["large one", "large two", "old mail"])
            server.maildrop[1] = Mail(large("large one"), uidl="2")
            ledger(bob, "UPDATE uidl SET delivered=delivered-86400,checked=0")
            contains(bob.command("fetch"), "0 new")
        finally:
            server.close()


def test_stub_while_the_backlog_comes():
    """What is opened goes before what is only fetched."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("mail %d" % i) for i in range(1, 1200)] + [large("large one")], "set -a work max-size 100K\n")
        try:
            def slowly(m):
                time.sleep(0.005)
                return server.do_retr(server.connections[-1], m[1])
            server.rule(r"RETR (\d+)", slowly)
            with bob.at_screen(cols=110) as term:
                term.wait("large one")
                term.keys("Home", "Enter")
                term.wait("number 000000", 60)
                eventually("all are here", lambda: len(files(bob)) == 1200, 60)
                asked = [c for c in server.heard if c.startswith("RETR")]
                assert asked.index("RETR 1200") < asked.index("RETR 300"), "the opened one was asked for as number %d" % asked.index("RETR 1200")
                equal(len(asked), 1200, "each once")
        finally:
            server.close()


def test_max_size_raised():
    with tap.directory() as root:
        server, bob = scripted(root, [large("large one"), small("small one")], "set -a work max-size 100K\n")
        try:
            equal(bob.command("fetch"), "work: 2 new%s\n" % HEADER_ALONE[1])
            stub = stubs(bob)[0]
            os.makedirs(os.path.join(os.path.dirname(os.path.dirname(stub)), "cur"), exist_ok=True)
            os.rename(stub, stub.replace("/new/", "/cur/") + ":2,FS")  # another program read and flagged it
            eventually("tuimail has ended", lambda: not bob.programs())
            with open(bob.rc) as f:
                rc = f.read()
            bob.write_rc(rc.replace("max-size 100K", "max-size 10M"))
            server.forget()
            equal(bob.command("fetch"), "work: 0 new\n")
            equal(server.asked("RETR"), ["RETR 1"])
            whole = [f for f in files(bob) if os.path.getsize(f) > 200000]
            equal([f.rpartition(":2,")[2] for f in whole], ["FS"])
            equal(len(files(bob)), 2)
        finally:
            server.close()


def test_no_top():
    """Without TOP a large mail cannot be shown by its header: it is said, once, and nothing is lost."""
    with tap.directory() as root:
        server, bob = scripted(root, [large("large one"), small("small one")], "set -a work max-size 100K\nset -a work leave delete\n",
                               caps="UIDL USER PIPELINING")
        try:
            with bob.at_screen(cols=120) as term:
                term.wait("small one")
                term.wait("stays on the server, over max-size")
            contains(bob.command("fetch"), "1 left on the server: over max-size")
            equal([m.uidl for m in server.maildrop], [server.maildrop[0].uidl])
            equal(server.asked("(RETR|TOP|DELE) 1"), [])
        finally:
            server.close()


def test_size_is_a_lie():
    """A mail that is said to be larger than any disk is fetched all the same, at once or when it is opened."""
    for limit in ("0", "100K"):
        with tap.directory() as root:
            server, bob = scripted(root, [small("first"), Mail(small("endless"), size=10 ** 15), small("last")], "set -a work max-size %s\n" % limit)
            try:
                equal((bob.command("fetch"), subjects(bob)), ("work: 3 new%s\n" % HEADER_ALONE[limit != "0"], ["endless", "first", "last"]))
                equal(len(stubs(bob)), 0 if limit == "0" else 1)
                if limit != "0":
                    with bob.at_screen(cols=110) as term:
                        term.wait("endless")
                        term.keys("Home", "j", "Enter")
                        term.wait("Hello.")
                        eventually("it is here", lambda: not stubs(bob))
            finally:
                server.close()


# ---- What stays on the server
def test_leave_days():
    """Two weeks from when it was fetched, by default; a clock that was set back deletes nothing; keep keeps."""
    with tap.directory() as root:
        server = Dovecot(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s")
        try:
            server.append("bob", "INBOX", [small("mail %d" % i, "x" * i) for i in range(1, 4)])
            equal(bob.command("fetch"), "work: 3 new\n")
            equal(len(server.subjects("bob", "INBOX")), 3)
            ids = [i for i, in ledger(bob, "SELECT id FROM uidl ORDER BY size")]
            equal(len(ids), 3)
            ledger(bob, "UPDATE uidl SET delivered=delivered-14*86400+3600 WHERE id=?", ids[0])  # an hour is missing
            ledger(bob, "UPDATE uidl SET delivered=delivered-14*86400-1 WHERE id=?", ids[1])
            ledger(bob, "UPDATE uidl SET delivered=delivered+100*86400 WHERE id=?", ids[2])
            equal(bob.command("fetch"), "work: 0 new, 1 removed from the server\n")
            equal(server.subjects("bob", "INBOX"), ["mail 1", "mail 3"])
            ledger(bob, "UPDATE uidl SET delivered=1000000000")
            with open(bob.rc) as f:
                rc = f.read()
            bob.write_rc(rc + "set -a work leave keep\n")
            equal(bob.command("fetch"), "work: 0 new\n")
            eventually("tuimail has ended", lambda: not bob.programs())
            bob.write_rc(rc + "set -a work leave days\n")
            equal(bob.command("fetch"), "work: 0 new, 2 removed from the server\n")
            equal(server.subjects("bob", "INBOX"), [])
            equal(subjects(bob), ["mail 1", "mail 2", "mail 3"])
        finally:
            server.close()


def test_deleted_here():
    """delete-on-server: in the trash, for good, and neither by another program nor by what is undone in time."""
    with tap.directory() as root:
        server = Dovecot(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s",
                   lines="set -a work leave keep\nset -a work delete-on-server trash\nset purge-hold 0\nset -a work max-size 100K\n")
        try:
            server.append("bob", "INBOX", [small("mail %d" % i) for i in range(1, 5)] + [large("large one")])
            with bob.at_screen(cols=110) as term:
                term.wait("mail 1")
                eventually("all are here", lambda: len(files(bob)) == 5)

                def at(subject):
                    term.command("limit subject:\"%s\"" % subject)
                    term.wait(lambda s: "1 of 1" in s and "limit: subject:%s " % subject in s and s.count(subject) > 1)
                os.unlink([f for f in files(bob) if "Subject: mail 4" in open(f).read()][0])  # another program
                term.wait("mail 4", gone=True)
                eventually("all are indexed", lambda: all(w in bob.command("search", "--format=text", "from:alice", status=None)
                                                          for w in ("mail 1", "mail 2", "large one")))
                for subject in ("mail 1", "mail 2", "large one"):
                    at(subject)
                    term.keys("d")
                    eventually("it is in the trash", lambda: subject in subjects(bob, ".Trash"))
                    if subject == "mail 1":
                        term.keys("u")
                        eventually("it is back", lambda: subjects(bob, ".Trash") == [])
                term.keys("G")
                eventually("what lies in the trash is deleted there, not a mail of which it has the only body",
                           lambda: sorted(server.subjects("bob", "INBOX")) == ["large one", "mail 1", "mail 3", "mail 4"])
                term.go("Trash", "large one")
                term.wait(" of 2")
                term.keys("D")
                term.wait("1 of 1")
                term.keys("D")
                eventually("they are deleted for good", lambda: subjects(bob, ".Trash") == [])
                term.keys("G")
                eventually("so it is there", lambda: sorted(server.subjects("bob", "INBOX")) == ["mail 1", "mail 3", "mail 4"])
            equal(bob.command("fetch"), "work: 0 new\n")
            equal(subjects(bob), ["mail 1", "mail 3"])
        finally:
            server.close()


def test_stub_left_alone():
    """A stub that another program removed deletes nothing, is not fetched again, and stays where its only body is."""
    with tap.directory() as root:
        server, bob = scripted(root, [large("large one")], "set -a work max-size 100K\nset -a work leave delete\nset -a work delete-on-server trash\n")
        try:
            equal(bob.command("fetch"), "work: 1 new%s\n" % HEADER_ALONE[1])
            for f in files(bob):
                os.unlink(f)
            for _ in range(2):
                equal(bob.command("fetch"), "work: 0 new\n")
            equal(server.asked("(DELE|RETR)"), [])
            equal(len(server.maildrop), 1)
        finally:
            server.close()


# ---- Servers, devices
def test_all_renumbered():
    """A server that moved gives all its mail new ids: it is known by its headers, and what is new is fetched."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("mail %d" % i, "x" * i) for i in range(1, 6)])
        try:
            equal(bob.command("fetch"), "work: 5 new\n")
            for i, m in enumerate(server.maildrop):
                m.uidl = b"moved-%d" % i
            server.add(small("new one"))
            server.forget()
            equal(bob.command("fetch"), "work: 1 new\n")
            equal(server.asked("RETR"), ["RETR 6"])
            server.forget()
            equal(bob.command("fetch"), "work: 0 new\n")
            equal(server.asked("(RETR|TOP)"), [])
            # other bytes of other mails, of ids that were used before
            for m, raw in zip(server.maildrop, (small("mail A", "y" * 500), small("mail B", "y" * 600))):
                m.raw, m.size = raw.encode(), len(raw)
            equal(bob.command("fetch"), "work: 2 new\n")
            equal(subjects(bob), ["mail %s" % c for c in "12345AB"] + ["new one"])
            # a maildrop that is empty for once
            kept, server.maildrop = server.maildrop, []
            equal(bob.command("fetch"), "work: 0 new\n")
            server.maildrop = kept
            equal(bob.command("fetch"), "work: 0 new\n")
            # without TOP all of each mail is looked at, once
            server.caps = "UIDL USER PIPELINING"
            for m in server.maildrop:
                m.uidl = b"again-" + m.uidl
            server.forget()
            equal(bob.command("fetch"), "work: 0 new\n")
            equal(len(server.asked("RETR")), 6)
            server.forget()
            equal(bob.command("fetch"), "work: 0 new\n")
            equal(server.asked("(RETR|TOP)"), [])
            equal(len(subjects(bob)), 8)
        finally:
            server.close()


def test_tuimailrc_changes():
    """What begins after tuimailrc was changed goes by it, though the programs of before are there still; beside a screen of before it says so."""
    with tap.directory() as root:
        server, bob = scripted(root, [small("one"), small("two")], "set -a work leave keep\n")
        try:
            equal(bob.run("fetch").stdout, "work: 2 new\n")
            with open(bob.rc) as f:
                text = f.read()
            bob.write_rc(text.replace("leave keep", "leave delete"))
            equal(bob.run("fetch").stdout, "work: 0 new, 2 removed from the server\n")
            with bob.at_screen(cols=110) as first:
                first.wait("two")
                bob.write_rc(text)
                with bob.at_screen(cols=110) as second:
                    second.wait("tuimailrc has changed")
        finally:
            server.close()


def test_two_devices():
    """One takes mail from the server, one keeps it: each has all of it, once."""
    with tap.directory() as root:
        server = Dovecot(os.path.join(root, "dovecot"))
        taker = User(os.path.join(root, "taker"), server, protocol="pop3s", lines="set -a work leave delete\n")
        keeper = User(os.path.join(root, "keeper"), server, protocol="pop3s", lines="set -a work leave keep\n")
        try:
            server.append("bob", "INBOX", [small("mail %d" % i) for i in range(3)])
            equal(keeper.command("fetch"), "work: 3 new\n")
            equal(taker.command("fetch"), "work: 3 new, 3 removed from the server\n")
            server.append("bob", "INBOX", [small("mail 3")])
            equal(keeper.command("fetch"), "work: 1 new\n")
            equal(taker.command("fetch"), "work: 1 new, 1 removed from the server\n")
            equal((subjects(keeper), subjects(taker)), (["mail %d" % i for i in range(4)],) * 2)
        finally:
            server.close()


def test_login_delay_and_expire():
    with tap.directory() as root:
        server, bob = scripted(root, [small("mail 1")], caps="TOP UIDL USER RESP-CODES PIPELINING LOGIN-DELAY_600 EXPIRE_7")
        try:
            with bob.at_screen(cols=130) as term:
                term.wait("mail 1")
                term.wait("keeps mail for 7 days (EXPIRE)")
                eventually("the session has ended", lambda: not server.connections)
                term.keys("G")
                term.wait("600 s between two logins (LOGIN-DELAY): the next is at")
                equal(server.sessions, 1)
            done = bob.run("fetch")
            contains(done.stderr, "600 s between two logins (LOGIN-DELAY): the next is at")
            equal((done.returncode, server.sessions), (75, 1))
        finally:
            server.close()


def test_interval():
    with tap.directory() as root:
        server, bob = scripted(root, [small("mail 1")], "set -a work interval 10s\n")
        try:
            with bob.at_screen() as term:
                term.wait("mail 1")
                server.add(small("mail 2"))
                term.wait("mail 2", 40)
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
