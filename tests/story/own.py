#!/usr/bin/env python3
"""The user's own notmuch database, written too: mail of ours below its root, as `notmuch new` and `notmuch tag` treat it."""
import contextlib
import fcntl
import glob
import os
import re
import signal
import sqlite3
import struct
import subprocess

import tap
from channel import Program
from dovecot import Server
from index import QUERIES, Own, deliver, environment, mail, subject
from tap import contains, equal
from user import User, eventually, message


def waiting(bob, account="home"):
    """Rows that it has not heard of; -1: it was not looked through yet."""
    where = os.path.join(bob.store, "state", account)
    db = sqlite3.connect("file:%s?mode=ro" % os.path.join(where, "cache.db"), uri=True, timeout=10)
    keep = sqlite3.connect("file:%s?mode=ro" % os.path.join(where, "keep.db"), uri=True, timeout=10)
    with contextlib.closing(db), contextlib.closing(keep):
        known = keep.execute("SELECT CAST(value AS TEXT) FROM meta WHERE CAST(name AS TEXT)='u:own'").fetchone()
        passed = keep.execute("SELECT CAST(value AS TEXT) FROM meta WHERE CAST(name AS TEXT)='u:own-pass'").fetchone()
        if not known or not re.match(r"\S+ [1-9]", known[0]) or passed != ("0",):
            return -1
        return db.execute("SELECT count(*) FROM msg WHERE (istate & 47)<>0").fetchone()[0] + keep.execute("SELECT count(*) FROM owngone").fetchone()[0]


def settled(own):
    eventually("it has heard of all", lambda: waiting(own.bob) == 0)


def tags(own, i):
    return own.notmuch("search", "--output=tags", "--exclude=false", "id:m%d@example.org" % i).split()


def files(own, i):
    return [os.path.relpath(f, own.mail) for f in own.notmuch("search", "--output=files", "--exclude=false", "id:m%d@example.org" % i).split()]


@contextlib.contextmanager
def locked(own):
    """As by a `notmuch new` that takes its time."""
    with open(os.path.join(own.mail, ".notmuch/xapian/flintlock"), "r+b") as f:
        fcntl.fcntl(f, 37, struct.pack("hhqqixxxx", fcntl.F_WRLCK, 0, 0, 1, 0))  # F_OFD_SETLK
        yield


def kill(bob, *names):
    for pid, name in bob.programs():
        if name in names:
            with contextlib.suppress(ProcessLookupError):  # the end of one is the end of others
                os.kill(pid, signal.SIGKILL)


def test_both_ways():
    with tap.directory() as base:
        own = Own(base)
        bob = own.bob
        own.notmuch("tag", "+old", "-inbox", "--", "id:m38@example.org or id:m39@example.org or id:m50@example.org")
        hook = os.path.join(own.mail, ".notmuch/hooks")
        os.makedirs(hook, exist_ok=True)
        for name in ("pre-new", "post-new"):
            with open(os.path.join(hook, name), "w") as f:
                f.write("#!/bin/sh\ntouch %s/hook-ran\n" % base)
            os.chmod(os.path.join(hook, name), 0o755)
        before, mine = own.notmuch("dump"), 26  # the newest of INBOX
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(own.inbox, ".Kept", sub))
        with bob.at_screen(cols=120, rows=50) as term:
            term.wait(subject(39))
            settled(own)
            equal(own.notmuch("dump"), before, "mail that is there is not retagged")
            # what was tagged there by hand is a tag here
            term.wait(lambda screen: screen.count(" old") == 2)
            # from here to there
            term.command("tag +here")
            eventually("it has the tag", lambda: own.theirs("tag:here") == ["m26@example.org"])
            equal(set(tags(own, mine)) - {"unread"}, {"here", "inbox"})
            # from there to here, and both at once
            own.notmuch("tag", "+there", "--", "id:m%d@example.org" % mine)
            term.wait("there")
            own.notmuch("tag", "-here", "+more", "--", "id:m%d@example.org" % mine)
            term.wait(lambda screen: "more" in screen and " here" not in screen)
            # flags and tags of flags are one, by maildir.synchronize_flags
            term.command("flag")
            eventually("it is flagged there", lambda: "flagged" in tags(own, mine))
            own.notmuch("tag", "+unread", "-flagged", "--", "id:m%d@example.org" % mine)
            eventually("the file is unread", lambda: [f for f in files(own, mine) if re.search(r":2,$", f) and os.path.exists(os.path.join(own.mail, f))])
            settled(own)
            # new mail comes as by notmuch new
            deliver(own.inbox, 77)
            eventually("it is there", lambda: tags(own, 77) == ["inbox", "unread"])
            deliver(own.inbox, 78, "S")
            eventually("it is there, read", lambda: tags(own, 78) == ["inbox"])
            # what moves keeps its tags, and what is gone is gone
            term.command("move Kept")
            eventually("it has the place", lambda: [f for f in files(own, mine) if ".Kept/" in f] and len(files(own, mine)) == 1)
            contains(" ".join(tags(own, mine)), "more there")
            os.unlink(glob.glob(os.path.join(own.inbox, "cur/78.m.host*"))[0])
            eventually("it is gone there", lambda: files(own, 78) == [])
            settled(own)
        assert not os.path.exists(os.path.join(base, "hook-ran")), "a hook ran"
        eventually("nothing runs", lambda: not bob.programs())
        # the command line sees what tuimail sees, and has nothing to add
        count = own.notmuch("count", "*")
        own.notmuch("new")
        equal(own.notmuch("count", "*"), count)
        own.notmuch("tag", "+later", "-more", "--", "id:m%d@example.org" % mine)
        bob.command("fetch")
        eventually("what was done while nothing ran is here", lambda: bob.command("search", "--format=ids", "--account=home", "tag:later not tag:more"))
        for query in [q for q in QUERIES if "tag:" in q or q in ("*", "budget")] + ["tag:old", "tag:later", "tag:there or tag:more", "tag:old not tag:inbox"]:
            equal(own.ids(query), own.theirs(query), query)


def test_while_another_program_writes():
    """Told once, nothing waits for it; a kill meanwhile loses nothing."""
    with tap.directory() as base:
        own = Own(base)
        bob = own.bob
        with bob.at_screen(cols=120, rows=50) as term:
            term.wait(subject(39))
            settled(own)
            with locked(own):
                term.command("tag +one")
                term.wait("tagged 1 message")
                term.wait("writes your notmuch database")
                term.keys("j")
                term.command("tag +two")
                term.wait("two")
                deliver(own.inbox, 70)
                term.wait("of 41")
                kill(bob, "own")
                term.command("tag +three")
                term.wait("three")
                equal(own.theirs("tag:one or tag:two or tag:three"), [])
            eventually("all of it is there", lambda: (len(own.theirs("tag:one")), len(own.theirs("tag:two")), len(own.theirs("tag:three")), tags(own, 70)) ==
                       (1, 1, 1, ["inbox", "unread"]), 60)
            with locked(own):
                term.command("tag +four")
                term.wait("four")
                kill(bob, "store", "own")
        bob.command("fetch")
        eventually("what was killed is there", lambda: len(own.theirs("tag:four")) == 1)


def test_its_configuration():
    """new.tags, new.ignore, maildir.synchronize_flags=false."""
    with tap.directory() as base:
        own = Own(base)
        bob = own.bob
        own.notmuch("config", "set", "new.ignore", "71.m.host:2,", "/^INBOX/cur/72/")
        own.notmuch("config", "set", "maildir.synchronize_flags", "false")
        own.notmuch("config", "set", "new.tags", "fresh", "unread")
        for i in (70, 71, 72):
            deliver(own.inbox, i, "")
        deliver(own.inbox, 74, "FS")
        with bob.at_screen(cols=120, rows=50) as term:
            term.wait(subject(39))
            settled(own)
            eventually("what it gave to new mail is here", lambda: bob.command("search", "--format=ids", "--account=home", "tag:fresh").count("@") == 2)
        equal([tags(own, i) for i in (70, 71, 72, 74)], [["fresh", "unread"], [], [], ["fresh"]])
        eventually("nothing runs", lambda: not bob.programs())


def test_what_cannot_be_written():
    """Of an older notmuch, and of a newer one: left as it is, and said; paths that are not ours are not touched."""
    with tap.directory() as base:
        own = Own(base)
        xapian = os.path.join(own.mail, ".notmuch/xapian")
        path = "home/maildir/cur/1.m.host:2,S"

        def state(paths, want):
            with environment(own.bob.env):
                program = Program("own", "-c", own.bob.rc, "--store", own.bob.store)
            said = program.receive()
            if said.name == "READY":
                for at in paths:
                    program.send("OWN_FILE", job=1, path=at, words="+asked")
                program.send("OWN_COMMIT", job=2)
                said = program.receive()
            equal(said.name, want)
            program.close()
            return said

        def metadata(*args):
            return subprocess.run(["xapian-metadata", args[0], xapian, *args[1:]], capture_output=True, text=True, check=True).stdout.strip()
        state(["home/maildir/../Old/cur/45.m.host:2,S", "home/maildir//cur/1.m.host:2,S", "home/cur/1.m.host:2,S", "other/cur/1", "home", "", "/"], "OWN_DONE")
        equal(own.theirs("tag:asked"), [])
        features = metadata("get", "features")
        older = "".join(line + "\n" for line in features.splitlines() if not line.startswith("modification tracking"))
        metadata("set", "features", older)
        contains(state([path], "OWN_STATE").text.decode(), "run notmuch new")
        equal((metadata("get", "features"), own.theirs("tag:asked")), (older.strip(), []))
        own.notmuch("new")
        metadata("set", "version", "99")
        contains(state([path], "OWN_STATE").text.decode(), "newer")
        equal(metadata("get", "version"), "99")
        metadata("set", "version", "3")
        equal((state([path], "OWN_DONE").job, own.theirs("tag:asked")), (2, ["m1@example.org"]))


def test_without_message_id():
    """notmuch makes an id of such a mail's bytes; its tags are exchanged all the same, and those of another one are not touched."""
    with tap.directory() as base:
        own = Own(base)
        bob = own.bob
        for i in (80, 81):
            with open(os.path.join(own.inbox, "cur/%d.m.host:2,S" % i), "w") as f:
                f.write(re.sub("Message-ID: .*\n", "", mail(i)))
        own.notmuch("new")
        theirs = [m for m in own.theirs("path:INBOX/**") if m.startswith("notmuch-sha1-")]
        equal(len(theirs), 2, theirs)
        which = [m for m in theirs if "/80.m.host" in own.notmuch("search", "--output=files", "id:" + m)][0]
        with bob.at_screen(cols=120, rows=50) as term:
            term.wait("of 42")
            settled(own)
            own.notmuch("tag", "+handmade", "--", "id:" + which)
            term.wait(lambda screen: [line for line in screen.splitlines() if "handmade" in line and subject(80) in line])
            equal(term.screen().count("handmade"), 1, "the other one too")
            own.notmuch("tag", "-handmade", "+second", "--", "id:" + which)
            term.wait(lambda screen: "second" in screen and "handmade" not in screen)
        bob.command("tag", "+back", "--account=home", "--", "tag:second")
        eventually("it is told", lambda: own.theirs("tag:back") == [which])


def test_without_permission():
    """A database that only another user may write: it is said, what changes here stays here, and goes there when it may."""
    with tap.directory() as base:
        own = Own(base)
        bob, xapian = own.bob, os.path.join(own.mail, ".notmuch/xapian")
        with bob.at_screen(cols=120, rows=50) as term:
            term.wait(subject(39))
            settled(own)
            tap.forbid(xapian, True)
            try:
                term.command("tag +kept-here")
                term.wait("cannot be written")
                term.keys("j")
                term.wait("kept-here")
                equal(own.theirs("tag:kept-here"), [])
            finally:
                tap.forbid(xapian, False)
        eventually("nothing runs", lambda: not bob.programs())
        bob.command("fetch")
        eventually("it is told", lambda: len(own.theirs("tag:kept-here")) == 1, 90)


def test_pop3_below_its_root():
    """A POP3 account whose Maildir is below the root of the database."""
    with tap.directory() as base, contextlib.closing(Server(os.path.join(base, "server"))) as server:
        bob = User(os.path.join(base, "bob"), server, protocol="pop3s")
        root = os.path.join(bob.env["HOME"], "Mail")
        with open(bob.rc, "a") as f:
            f.write("set store %s/t\nset index-database %s\n" % (root, root))
        bob.store = os.path.join(root, "t")
        os.makedirs(root)

        def notmuch(*args):
            return subprocess.run(("notmuch",) + args, env=dict(os.environ, **bob.env), capture_output=True, text=True, timeout=60, check=True).stdout.split()
        with open(os.path.join(bob.env["HOME"], ".notmuch-config"), "w") as f:
            f.write("[database]\npath=%s\n[new]\ntags=unread;inbox\nignore=index;state;outbox;drafts;log;history\n" % root)
        notmuch("new")
        for i in range(3):
            server.deliver("bob", mail(i))
        bob.command("fetch")
        eventually("they are there", lambda: len(notmuch("search", "--output=messages", "tag:unread")) == 3)
        bob.command("tag", "+pop", "--", "id:m1@example.org")
        eventually("it is tagged", lambda: notmuch("search", "--output=messages", "tag:pop") == ["id:m1@example.org"])
        before = notmuch("dump")
        notmuch("new")
        equal(notmuch("dump"), before, "notmuch new has nothing to do")


if __name__ == "__main__":
    tap.run(globals())
