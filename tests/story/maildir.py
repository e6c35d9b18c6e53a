#!/usr/bin/env python3
"""Maildir accounts in the real programs: folders made, renamed, deleted and filed into from the screen, and other programs that work on the same
files at the same time."""
import contextlib
import itertools
import mailbox
import os
import random
import re
import shutil
import signal
import sqlite3
import time

import tap
from dovecot import Server
from steps import COUNT_ONLY, KILL_ALL, Steps
from tap import contains, equal
from user import User, eventually, message


minutes = itertools.count()


def dated(subject, body="Hello.\n"):
    """Each is newer than those before: the list shows it above them."""
    now = next(minutes)
    return message(subject, body).replace("10:00:00", "%02d:%02d:00" % (10 + now // 60 % 12, now % 60))


def above(term, key, *subjects):
    """Goes to the top of the list and down to the last of the subjects, which stand there in this order, and presses the key."""
    term.wait(lambda screen: all(s in screen for s in subjects))
    term.keys("Home", *["Down"] * (len(subjects) - 1))
    term.wait(lambda _: subjects[-1] in cursor_line(term))
    if key:
        term.keys(key)


class Maildir:
    """The files as another program sees them."""

    def __init__(self, root):
        self.root = root
        self.box = mailbox.Maildir(root)

    def dir(self, folder=""):
        return os.path.join(self.root, "." + folder if folder else "")

    def files(self, folder=""):
        """[(subdirectory, name)]"""
        return sorted((sub, name) for sub in ("new", "cur") if os.path.isdir(os.path.join(self.dir(folder), sub))
                      for name in os.listdir(os.path.join(self.dir(folder), sub)))

    def subjects(self, folder=""):
        while True:
            try:
                return sorted(line.split(":", 1)[1].strip() for sub, name in self.files(folder)
                              for line in open(os.path.join(self.dir(folder), sub, name), errors="replace") if line.startswith("Subject:"))
            except FileNotFoundError:
                pass  # renamed or removed meanwhile

    def make(self, folder):
        for sub in ("", "/cur", "/new", "/tmp"):
            os.mkdir(self.dir(folder) + sub)

    def add(self, subject, folder="", flags=None, body="Hello.\n"):
        """Its unique name."""
        unique = "%d.M%dQ%d.other" % (time.time(), time.monotonic_ns() % 1000000000, len(subject))
        tmp = os.path.join(self.dir(folder), "tmp", unique)
        with open(tmp, "w") as f:
            f.write(dated(subject, body))
        os.rename(tmp, os.path.join(self.dir(folder), "new/" + unique if flags is None else "cur/%s:2,%s" % (unique, flags)))
        return unique

    def path(self, unique, folder=""):
        return [os.path.join(self.dir(folder), sub, name) for sub, name in self.files(folder) if name.split(":")[0] == unique][0]

    def set_flags(self, unique, flags, folder=""):
        os.rename(self.path(unique, folder), os.path.join(self.dir(folder), "cur", "%s:2,%s" % (unique, flags)))


@contextlib.contextmanager
def at_maildir(count=3, lines="", cols=100, rows=24, folders=(), before=None):
    """Bob's screen over a Maildir of his own: (files, screen, bob)."""
    with tap.directory() as root:
        md = Maildir(os.path.join(root, "Mail"))
        for f in folders:
            md.make(f)
        for i in range(count):
            md.add("number %d" % i)
        if before:
            before(md)
        os.makedirs(os.path.join(root, "bob"))
        bob = User(os.path.join(root, "bob"), account=False, lines="account work maildir:%s\n%s" % (md.root, lines))
        with bob.at_screen(cols=cols, rows=rows) as term:
            term.wait(lambda screen: ("work live" in screen or "no mails" in screen) and (not count or "1 of %d" % count in screen))
            yield md, term, bob


def cursor_line(term):
    """The row under the cursor of the list."""
    rows = [r for r in term.screen_escaped().split("\n") if "\x1b[7m" in r or re.search(r"\x1b\[(\d+;)*48;", r)]
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", r) for r in rows)


def folders_of(md):
    return sorted(n for n in os.listdir(md.root) if n.startswith("."))


def test_folders_from_the_screen():
    with at_maildir() as (md, term, bob):
        term.command("create-mailbox Lists")
        eventually("the folder is on the disk", lambda: os.path.isdir(md.dir("Lists") + "/cur"))
        # as Dovecot writes names (RFC 3501 5.1.3)
        term.command("create-mailbox Lists.Käse&Brot")
        eventually("its name is that of other programs", lambda: os.path.isdir(md.dir("Lists.K&AOQ-se&-Brot") + "/cur"))
        term.wait("Käse&Brot")
        term.keys("Home")
        term.command("move Lists.Käse&Brot")
        eventually("the file is there", lambda: len(md.files("Lists.K&AOQ-se&-Brot")) == 1)
        equal(len(md.files()), 2, "files left in the inbox")
        term.go("Lists", "Lists.Käse&Brot · work")  # where mail went last comes first
        term.keys("c")
        term.type("Lists")
        term.keys("Down", "Enter")
        term.wait("Lists · work")
        term.command("rename-mailbox Groups")
        eventually("both are renamed", lambda: folders_of(md) == [".Groups", ".Groups.K&AOQ-se&-Brot"])
        term.wait("Groups · work")
        term.go("Groups.Käse&Brot", "number")
        term.keys("u")
        eventually("and back", lambda: folders_of(md) == [".Lists", ".Lists.K&AOQ-se&-Brot"])
        term.wait("Lists.Käse&Brot · work")  # the list on the screen is the same one
        term.keys("Enter")
        term.wait("Hello.")  # its files are found under their new paths
        term.keys("q")
        # deleted: under Trash, where it can be had back; there, or empty, for good
        term.command("create-mailbox Trash")
        term.wait("Trash")
        term.command("delete-mailbox")
        term.wait("with 1 message: move it under Trash?")
        term.keys("y")
        eventually("it is under Trash", lambda: folders_of(md) == [".Lists", ".Trash", ".Trash.K&AOQ-se&-Brot"])
        term.keys("u")
        eventually("undo", lambda: folders_of(md) == [".Lists", ".Lists.K&AOQ-se&-Brot", ".Trash"])
        equal(len(md.files("Lists.K&AOQ-se&-Brot")), 1, "its message")
        term.command("delete-mailbox")
        term.wait("move it under Trash?")
        term.keys("y")
        eventually("it is under Trash", lambda: ".Trash.K&AOQ-se&-Brot" in folders_of(md))
        term.go("Trash.Käse&Brot", "number")
        term.command("delete-mailbox")
        term.wait("for good?")
        term.keys("y")
        eventually("it is gone", lambda: folders_of(md) == [".Lists", ".Trash"])
        equal([n for n in os.listdir(md.root) if n.startswith("..")], [], "nothing is left of it")


def test_deleted_where_there_is_no_trash():
    with at_maildir(folders=("Zoo",), before=lambda md: md.add("kept", "Zoo")) as (md, term, bob):
        term.wait(lambda screen: re.search(r"Zoo +1", screen))
        term.keys("y", "End")
        term.command("delete-mailbox")
        term.wait("with 1 message: move it under Trash?")
        term.keys("y")
        eventually("Trash is made, and it is there", lambda: folders_of(md) == [".Trash", ".Trash.Zoo"])
        equal(md.subjects("Trash.Zoo"), ["kept"])
        term.keys("u")
        eventually("it is back", lambda: folders_of(md) == [".Trash", ".Zoo"])
        equal(md.subjects("Zoo"), ["kept"])
        # one that has a purpose does not go by a key too many
        md.add("thrown away", "Trash")
        term.wait(lambda screen: re.search(r"Trash +1", screen))
        term.go("Trash", "thrown away")
        term.command("delete-mailbox")
        term.wait("the account's mailbox for a purpose")


def test_killed_while_renaming():
    """A folder with folders below it, all programs killed before each of its renames: the next start goes on with it (THREATS 158)."""
    tops, below = (".A", ".B"), ("", ".x", ".y", ".z")
    for at in range(1, 5):
        with tap.directory() as root:
            md = Maildir(os.path.join(root, "Mail"))
            for name in below:
                md.make("A" + name)
                md.add("in it" + name, "A" + name)
            os.makedirs(os.path.join(root, "bob"))
            bob = User(os.path.join(root, "bob"), account=False, lines="account work maildir:%s\n" % md.root)
            steps = Steps(root, md.root)
            with bob.at_screen(cols=100, env=steps.env) as term:
                term.wait(lambda screen: "work live" in screen and re.search(r" z +1 ", screen))
                term.go("A", "1 of 1")
                steps.arm(0, COUNT_ONLY, kinds="R")
                steps.next(at, KILL_ALL)
                term.command("rename-mailbox B")
                eventually("it is killed", lambda: steps.fired)
            for pid, _ in bob.programs():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert at == 1 or any(n.startswith(tops[1]) for n in folders_of(md)), "nothing was renamed"
            assert any(n.startswith(tops[0]) for n in folders_of(md)), "all was renamed"
            steps.disarm()
            with bob.at_screen(cols=100, env=steps.env) as term:
                eventually("all are renamed", lambda: folders_of(md) == sorted(tops[1] + n for n in below))
                term.wait("B")
            equal([md.subjects("B" + n) for n in below], [["in it" + n] for n in below])


def test_killed_while_copying():
    """All programs killed before each sync and rename of two copies, also when the file has its name and nobody knows: each is there once."""
    for at in range(1, 7):
        with tap.directory() as root:
            md = Maildir(os.path.join(root, "Mail"))
            md.make("B")
            for name in ("one", "two"):
                md.add(name)
            os.makedirs(os.path.join(root, "bob"))
            bob = User(os.path.join(root, "bob"), account=False, lines="account work maildir:%s\n" % md.root)
            steps = Steps(root, md.root)
            with bob.at_screen(cols=100, env=steps.env) as term:
                term.wait(lambda screen: "1 of 2" in screen and re.search(r" B\b", screen))
                term.keys("Home", "t", "t")
                term.wait("2 selected")
                steps.arm(0, COUNT_ONLY, kinds="RS", role="fetch")
                steps.next(at, KILL_ALL)
                term.command("copy B")
                eventually("it is killed", lambda: steps.fired)
            for pid, _ in bob.programs():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            steps.disarm()
            with bob.at_screen(cols=100, env=steps.env) as term:
                eventually("both are there", lambda: len(md.files("B")) >= 2)
                term.go("B", "of 2")
                term.wait("to be done", gone=True)
                eventually("and once", lambda: md.subjects("B") == ["one", "two"])
            bob.run("fetch")
            equal(md.subjects("B"), ["one", "two"], "killed at step %d" % at)
            equal(md.subjects(), ["one", "two"])


def test_patterns():
    """* is all that the list has, also when the index is not there yet; and after a pattern that matches nothing no verb takes the row in its stead."""
    with tap.directory() as root:
        md = Maildir(os.path.join(root, "Mail"))
        md.make("B")
        for name in ("one", "two", "three"):
            md.add(name)
        os.makedirs(os.path.join(root, "bob", "store"))
        with open(os.path.join(root, "bob", "store", "index"), "w"):
            pass  # nothing can be indexed
        bob = User(os.path.join(root, "bob"), account=False, lines="account work maildir:%s\n" % md.root)
        with bob.at_screen(cols=100) as term:
            term.wait(lambda screen: "1 of 3" in screen and re.search(r" B\b", screen))
            term.command("select-pattern *")
            term.wait("3 selected")
            term.command("copy B")
            eventually("all are copied", lambda: md.subjects("B") == ["one", "three", "two"])
    with at_maildir(count=2, folders=("C",)) as (md, term, bob):
        term.command("select-pattern subject:nowhere")
        term.wait("nothing matches")
        term.command("move C")
        term.wait("nothing is selected")
        equal(len(md.files("C")), 0)
        term.command("move C")
        eventually("then it is meant", lambda: len(md.files("C")) == 1)


def test_names_that_cannot_be():
    with at_maildir(folders=("ok",)) as (md, term, bob):
        for name, why in (("a/b", "a dot makes a level"), ("..", "a dot makes a level"), ("a..b", "a dot makes a level"),
                          (".a", "a dot makes a level"), ("inbox", "exists"), ("ok", "exists"), ("x" * 251, "too long")):
            term.command("create-mailbox '%s'" % name)
            term.wait(why)
        equal(folders_of(md), [".ok"], "folders")


def test_names_that_are_there():
    """Names of other programs, hostile ones too: each is a line of its own and can be opened."""
    names = {"R&D": "R&D", "Entw&APw-rfe": "Entwürfe", "Gr\u00fc\u00dfe": "Grüße", "a b": "a b", "&Jjo-!": "☺!", "&AAAAAA": "&AAAAAA",
             "x\x1b[31mred": "x", "tab\there": "tab"}

    def make(md):
        for n in names:
            md.make(n)
            md.add("in " + names[n], n)
    with at_maildir(before=make, rows=40) as (md, term, bob):
        for shown in names.values():
            term.wait(shown)
        assert "\x1b[31mred" not in term.screen_escaped()
        for shown in ("R&D", "Entwürfe", "Grüße", "a b", "☺!"):
            term.go(shown, "in " + shown)


def scans(bob):
    """How often a folder was gone through (log-level debug)."""
    with open(os.path.join(bob.store, "log", "fetch.log"), errors="replace") as f:
        return f.read().count("STEP_MAILDIR_SCAN")


def row(subject, sign, there=True):
    """The line of `subject` shows `sign`."""
    return lambda screen: any(subject in line and (sign in line) == there for line in screen.splitlines())


def test_flags_and_files_both_ways():
    """What another program does is shown without the folder being gone through; what is done here is in the names."""
    with at_maildir(count=5, folders=("Lists",), lines="set log-level debug\n") as (md, term, bob):
        term.go("INBOX", "INBOX · work")
        term.wait("Lists")
        eventually("all folders were gone through", lambda: scans(bob) == 3)
        one = md.add("one more")
        term.wait("one more")
        md.set_flags(one, "FS")
        term.wait(row("one more", "!"))
        md.set_flags(one, "FSab")  # letters of Dovecot stay
        above(term, "F", "one more")
        eventually("unflagged in the name", lambda: md.path(one).endswith(":2,Sab"))
        md.set_flags(one, "RS")
        term.wait(row("one more", "↩"))
        # to another folder, which is the same message: its tags are there too
        os.rename(md.path(one), os.path.join(md.dir("Lists"), "cur", one + ":2,RS"))
        term.keys("Down")  # the line stays for as long as the cursor is on it
        term.wait("one more", gone=True)
        term.go("Lists", "one more")
        os.unlink(md.path(one, "Lists"))
        term.wait("1 of 1", gone=True)
        equal(scans(bob), 3, "scans")


def files_of(bob, query):
    """Where the index has the messages of a query, below the account's directory."""
    out = bob.command("search", "--format=files", query, status=None)
    return [line.split("/mail/work/", 1)[1] for line in out.splitlines()]


def test_index_follows_files():
    """By their text mails of any Maildir are found; where their files go the index follows, and does not read them again."""
    with at_maildir(count=0, folders=("Lists", "Old"), lines="set log-level debug\n") as (md, term, bob):
        one = md.add("one", body="a wombat\n")
        two = md.add("two", "Old", body="another wombat\n", flags="S")
        term.wait("one")
        where = lambda: sorted(files_of(bob, "wombat"))  # noqa: E731
        eventually("both are found by their text",
                   lambda: where() == ["maildir/.Old/cur/%s:2,S" % two, "maildir/new/" + one])

        def added():
            with open(os.path.join(bob.store, "log", "store.log"), errors="replace") as f:
                return f.read().count("to index: INDEX_ADD")
        before = added()
        md.set_flags(one, "FS")
        eventually("a flag", lambda: "maildir/cur/%s:2,FS" % one in where())
        os.rename(md.path(one), os.path.join(md.dir("Lists"), "cur", one + ":2,S"))
        eventually("another folder", lambda: "maildir/.Lists/cur/%s:2,S" % one in where())
        os.rename(md.dir("Old"), md.dir("Older"))
        eventually("a folder of another name", lambda: "maildir/.Older/cur/%s:2,S" % two in where())
        term.go("Older", "two")
        term.command("rename-mailbox Oldest")
        eventually("a folder renamed here", lambda: where() == ["maildir/.Lists/cur/%s:2,S" % one, "maildir/.Oldest/cur/%s:2,S" % two])
        equal(added(), before, "files read for the index")


def test_folders_of_others():
    """Made, renamed and deleted by another program: the list follows, and a tag stays with its message."""
    with at_maildir(count=1) as (md, term, bob):
        md.make("Made")
        term.wait("Made")
        one = md.add("in it", "Made", flags="S")
        term.go("Made", "in it")
        term.command("tag +mine")
        eventually("tagged", lambda: "mine" in bob.command("search", "subject:it", status=None))
        os.rename(md.dir("Made"), md.dir("Renamed"))
        term.wait("Renamed · work")
        term.wait("in it")
        term.keys("Enter")
        term.wait("Hello.")
        term.keys("q")
        shutil.copytree(md.dir("Renamed"), md.dir("Renamed") + ".copy")  # put back from a copy: other directories, same names
        shutil.rmtree(md.dir("Renamed"))
        os.rename(md.dir("Renamed") + ".copy", md.dir("Renamed"))
        term.wait("Renamed")
        eventually("its tag is there", lambda: "mine" in bob.command("search", "subject:it", status=None))
        md.add("later", "Renamed")  # and it is watched
        term.go("Renamed", "later")
        os.unlink(md.path(one, "Renamed"))
        term.keys("Home", "End", "Home")
        term.wait("in it", gone=True)
        shutil.rmtree(md.dir("Renamed"))
        term.wait("Renamed · work is not there any more")
        term.go("INBOX", "number 0")


def test_open_message_changes():
    """THREATS 113: flags, place and bytes of the message that is open change, at last it is removed: the screen stays, the list follows, what is
    then asked of it is answered."""
    with at_maildir(count=3, folders=("Lists",)) as (md, term, bob):
        one = md.add("the open one", body="line\n" * 200)
        term.wait("the open one")
        term.go("INBOX", "the open one")
        above(term, "Enter", "the open one")
        term.wait("line")
        eventually("marked read in its name", lambda: md.path(one).endswith(":2,S"))
        md.set_flags(one, "FRS")
        term.wait(row("the open one", "!"))
        with open(md.path(one), "r+") as f:  # it shrinks under the reader
            f.truncate(300)
        term.keys("Space", "Space")
        term.wait("line")
        os.rename(md.path(one), os.path.join(md.dir("Lists"), "cur", one + ":2,S"))
        term.wait(" of 3")
        contains(cursor_line(term), "the open one", "the cursor")
        os.unlink(md.path(one, "Lists"))
        term.keys("F")
        term.wait("this message has left the list already")
        contains(term.screen(), "line")
        term.keys("q")
        term.keys("Down")
        term.wait("the open one", gone=True)
        equal(len(md.files()), 3, "the others")


FLAGS = (("S", 1), ("R", 2), ("F", 4), ("T", 8), ("D", 16), ("P", 32))  # letters of a name, bits of a row (mail/row.h)


def rows_of(bob):
    """[(folder, unique name, flags)] as the list has them."""
    with contextlib.closing(sqlite3.connect("file:%s/state/work/cache.db?mode=ro" % bob.store, uri=True, timeout=10)) as db:
        return sorted((box.decode(), name.decode(), "".join(c for c, bit in FLAGS if flags & bit))
                      for box, name, flags in db.execute("SELECT b.name, m.name, m.sflags FROM msg m JOIN box b ON b.id=m.sbox WHERE m.name IS NOT NULL"))


def waiting(bob):
    """Changes that are not done yet."""
    with contextlib.closing(sqlite3.connect("file:%s/state/work/keep.db?mode=ro" % bob.store, uri=True, timeout=10)) as db:
        return db.execute("SELECT count(*) FROM intent WHERE state<3").fetchone()[0]


def rows_on_disk(md):
    found = []
    for folder in [""] + [f[1:] for f in folders_of(md)]:
        for _, name in md.files(folder):
            unique, _, letters = name.partition(":2,")
            found.append((folder, unique, "".join(c for c, _ in FLAGS if c in letters)))
    return sorted(found)


def same_rows(md, *users):
    def alike():
        disk = rows_on_disk(md)
        return all(rows_of(bob) == disk for bob in users) and disk == rows_on_disk(md)
    try:
        eventually("list and files agree", alike)
    except AssertionError:
        for bob in users:
            print("# only in the list: %s\n# only on the disk: %s" % (sorted(set(rows_of(bob)) - set(rows_on_disk(md))),
                                                                    sorted(set(rows_on_disk(md)) - set(rows_of(bob)))))
        raise


class Others:
    """A program that works on the same files, one thing after another."""

    def __init__(self, md, folders, seed):
        self.md, self.folders, self.random = md, list(folders), random.Random(seed)

    def any(self):
        """(folder, path, unique) of a mail, or None."""
        folder = self.random.choice(self.folders)
        files = self.md.files(folder)
        if not files:
            return None
        sub, name = self.random.choice(files)
        return folder, os.path.join(self.md.dir(folder), sub, name), name.split(":")[0]

    def step(self):
        what = self.random.random()
        try:
            if what < 0.3:
                self.md.add("foreign %d" % self.random.randrange(10000), self.random.choice(self.folders), flags=self.random.choice((None, "", "S")))
                return
            some = self.any()
            if not some:
                return
            folder, path, unique = some
            if what < 0.6:
                os.rename(path, os.path.join(self.md.dir(folder), "cur", unique + ":2," + "".join(sorted(self.random.sample("FRS", self.random.randrange(4))))))
            elif what < 0.75:
                os.rename(path, os.path.join(self.md.dir(self.random.choice(self.folders)), "cur", unique + ":2,S"))
            elif what < 0.85:
                os.unlink(path)
            elif what < 0.95:  # without rename(2)
                new = os.path.join(self.md.dir(folder), "cur", unique + ":2,FT")
                os.link(path, new)
                try:
                    os.unlink(path)
                except FileNotFoundError:  # renamed in between: now there are two of it
                    os.unlink(new)
            else:
                name = "f%d" % self.random.randrange(1000)
                if folder and name not in self.folders:
                    os.rename(self.md.dir(folder), self.md.dir(name))
                    self.folders[self.folders.index(folder)] = name
        except OSError:  # tuimail was first
            pass


def test_others_at_the_same_time():
    """Another program delivers, marks, moves, removes and renames folders while the user does the same, to whatever is under the cursor: nothing
    is lost, and in the end the list is what is on the disk."""
    with at_maildir(count=30, folders=("a", "b", "c")) as (md, term, bob):
        others = Others(md, ("", "a", "b", "c"), 4)
        term.command("create-mailbox Trash")
        term.wait("Trash")
        keys = ("F", "Down", "d", "u", "N", "Down", "Down", "F", "Up", "d")
        for i in range(400):
            others.step()
            if i % 4 == 0:
                term.keys(keys[i // 4 % len(keys)])
        same_rows(md, bob)
        assert "work live" in term.screen(), term.screen()
        eventually("nothing waits", lambda: waiting(bob) == 0)


def test_actions_and_their_undo():
    """What the keys do to files, and back: copy, delete, delete for good while it is held, a flag, a move to a mailbox that is not there yet."""
    with at_maildir(count=3, folders=("Lists",)) as (md, term, bob):
        term.go("INBOX", "INBOX · work")
        before = [name for _, name in md.files()]
        above(term, None, "number 2")
        term.command("copy Lists")
        eventually("a copy", lambda: md.subjects("Lists") == ["number 2"])
        term.keys("u")
        eventually("no copy", lambda: md.subjects("Lists") == [])
        term.command("redo")
        eventually("a copy again", lambda: md.subjects("Lists") == ["number 2"])
        above(term, "d", "number 2")
        eventually("in Trash, which was made for it", lambda: os.path.isdir(md.dir("Trash")) and md.subjects("Trash") == ["number 2"])
        term.keys("u")
        eventually("back", lambda: md.subjects() == ["number 0", "number 1", "number 2"])
        above(term, "F", "number 2")
        eventually("flagged", lambda: any(name.endswith(":2,F") for _, name in md.files()))
        term.keys("u")
        eventually("unflagged", lambda: not any(name.endswith(":2,F") for _, name in md.files()))
        above(term, "D", "number 2")
        term.wait("for good")
        term.keys("u")
        term.wait("restored")
        above(term, None, "number 2")
        term.command("move Fresh")
        term.wait("Create it?")
        term.keys("y")
        eventually("made, and it is there", lambda: os.path.isdir(md.dir("Fresh")) and md.subjects("Fresh") == ["number 2"])
        term.keys("u")
        eventually("back", lambda: len(md.files()) == 3)
        equal(sorted(name.split(":")[0] for _, name in md.files()), sorted(before), "unique names")
        same_rows(md, bob)


def test_folders_of_a_maildrop():
    """The Maildir of a POP3 account has folders as any other."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        for i in range(3):
            server.deliver("bob", dated("number %d" % i))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s")
        with bob.at_screen(cols=100) as term:
            term.wait("number 2")
            md = Maildir(os.path.join(bob.store, "mail", "work"))
            term.command("create-mailbox Käse")
            term.wait("Käse")
            term.go("INBOX", "INBOX · work")
            above(term, None, "number 2")
            term.command("move Käse")
            eventually("moved", lambda: md.subjects("K&AOQ-se") == ["number 2"])
            term.go("Käse", "number 2")
            term.command("rename-mailbox Brot")
            eventually("renamed", lambda: md.subjects("Brot") == ["number 2"])
            term.keys("u")
            eventually("and back", lambda: folders_of(md) == [".K&AOQ-se"])
            bob.command("fetch")
            equal(md.subjects() + md.subjects("K&AOQ-se"), ["number 0", "number 1", "number 2"], "each once")
            same_rows(md, bob)


def test_two_stores_on_one_maildir():
    """Each with its own list and index: what one does the other shows."""
    with at_maildir(count=5, folders=("Lists", "Trash")) as (md, term, bob):
        alice = User(os.path.join(os.path.dirname(md.root), "alice"), account=False, lines="account work maildir:%s\n" % md.root)
        with alice.at_screen(cols=100) as other:
            other.wait("1 of 5")
            term.go("INBOX", "INBOX · work")
            other.go("INBOX", "INBOX · work")
            subject = "number 4"
            above(other, None, subject)
            above(term, "F", subject)
            other.wait(row(subject, "!"))
            term.command("move Lists")
            other.keys("Down")
            other.wait(subject, gone=True)
            other.go("Lists", subject)
            other.command("rename-mailbox Groups")
            term.wait("Groups")
            others = Others(md, ("", "Groups"), 7)
            for i in range(60):  # all three
                others.step()
                (term, other)[i % 2].keys(("F", "Down", "d", "Up")[i // 2 % 4])
            same_rows(md, bob, alice)


def test_dovecot_on_the_same_maildir():
    """Dovecot delivers (LMTP) and serves (IMAP) the files that tuimail shows: each sees what the other does, names of folders and keywords
    among it."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        home = os.path.join(server.dir, "home", "bob", "Maildir")
        for i in range(3):
            server.deliver("bob", dated("number %d" % i))
        with server.imap("bob") as phone:
            phone.create("Entw&APw-rfe/R&-D")
            phone.append("Entw&APw-rfe/R&-D", "(\\Flagged)", None, dated("below").replace("\n", "\r\n").encode())
            os.makedirs(os.path.join(root, "bob"))
            bob = User(os.path.join(root, "bob"), account=False, lines="account work maildir:%s\n" % home)
            with bob.at_screen(cols=100) as term:
                term.wait(lambda screen: "1 of 4" in screen or "1 of 3" in screen)
                term.go("INBOX", "INBOX · work")
                term.wait("Entwürfe")
                term.wait("R&D")
                md = Maildir(home)
                # what Dovecot does
                server.deliver("bob", dated("by LMTP"))
                term.wait("by LMTP")
                phone.select("INBOX")
                number = phone.search(None, "SUBJECT", '"number 1"')[1][0]
                phone.store(number, "+FLAGS", "(\\Flagged $label)")
                term.wait(row("number 1", "!"))
                number = phone.search(None, "SUBJECT", '"number 2"')[1][0]
                phone.uid("MOVE", phone.fetch(number, "(UID)")[1][0].split()[2].strip(b")").decode(), "Entw&APw-rfe/R&-D")
                term.keys("Down", "Up", "Down")
                term.wait("number 2", gone=True)
                phone.create("Made")
                term.wait("Made")
                phone.rename("Entw&APw-rfe", "Umbenannt")
                term.wait("Umbenannt")
                phone.subscribe("Made")

                def subscribed():
                    with contextlib.closing(sqlite3.connect("file:%s/state/work/cache.db?mode=ro" % bob.store, uri=True, timeout=10)) as db:
                        return [name for name, attrs in db.execute("SELECT name, attrs FROM box") if attrs & 8]
                eventually("who subscribes there is seen here", lambda: subscribed() == [b"Made"])
                # what is done here
                term.command("create-mailbox Hier")
                subs = os.path.join(home, "subscriptions")
                eventually("what is made here is subscribed", lambda: "Hier" in open(subs).read().split())
                os.chown(subs, *os.stat(home)[4:6])  # Dovecot is another user here
                contains(str(phone.lsub()), "Hier", "what Dovecot makes of it")
                contains(str(phone.lsub()), "Made")
                term.go("Umbenannt.R&D", "below")
                term.wait("number 2")
                above(term, "F", "below")
                term.wait("unflagged")

                def flags(box, subject):
                    phone.select('"%s"' % box)
                    numbers = phone.search(None, "SUBJECT", '"%s"' % subject)[1][0].split()
                    return str(phone.fetch(numbers[0], "(FLAGS)")[1][0]) if numbers else None
                eventually("Dovecot sees the flag", lambda: "Flagged" not in flags("Umbenannt/R&-D", "below"))
                term.command("move Made")
                eventually("Dovecot has it there", lambda: flags("Made", "below") and not flags("Umbenannt/R&-D", "below"))
                term.go("INBOX", "number 1")
                above(term, "F", "by LMTP", "number 1")
                eventually("its keyword stays", lambda: "Flagged" not in flags("INBOX", "number 1") and "$label" in flags("INBOX", "number 1"))
                same_rows(md, bob)


def test_between_accounts():
    """Copied and moved to a mailbox of another account and back, with flags, tags and time of arrival; undone; of the original nothing is lost
    before the other is safe."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        md = Maildir(os.path.join(root, "Mail"))
        md.make("Lists")
        md.add("number two", flags="S")
        one = md.add("number one", flags="FS", body="æ the body\n.\nFrom me\n")
        os.utime(md.path(one), (1500000000, 1500000000))
        more = Maildir(os.path.join(root, "More"))
        bob = User(os.path.join(root, "bob"), server, lines="account home maildir:%s\naccount more maildir:%s\n" % (md.root, more.root))
        with bob.at_screen(cols=140, rows=30) as term:
            term.wait("work live")
            term.wait("home live")
            term.wait("more live")
            term.wait("Archive")

            def at_server(box, subject):
                with server.imap("bob") as phone:
                    phone.select(box)
                    numbers = phone.search(None, "SUBJECT", '"%s"' % subject)[1][0].split()
                    return phone.fetch(numbers[0], "(FLAGS INTERNALDATE BODY.PEEK[])")[1] if numbers else None
            term.go("home/INBOX", "number one")
            above(term, None, "number one")
            term.command("tag +mine")
            term.command("copy work/Archive")
            term.wait("copied 1 message to work/Archive")
            eventually("it is there", lambda: at_server("Archive", "number one"))
            head, body = at_server("Archive", "number one")[0]
            contains(str(head), "Flagged")
            contains(str(head), "mine")
            contains(str(head), "14-Jul-2017")
            with open(md.path(one), "rb") as f:
                equal(body.replace(b"\r\n", b"\n"), f.read(), "its bytes")
            term.keys("u")
            term.wait("copy removed")
            eventually("it is gone again", lambda: not at_server("Archive", "number one"))
            above(term, None, "number one")
            term.command("copy more/INBOX")
            eventually("byte for byte in another Maildir", lambda: more.files())
            with open(md.path(one), "rb") as f, open(os.path.join(more.root, *more.files()[0]), "rb") as g:
                equal(g.read(), f.read(), "its bytes")
            # moved there
            above(term, None, "number one", "number two")
            term.command("move work/Archive")
            term.wait("moved 1 message to work/Archive")
            eventually("it is there", lambda: at_server("Archive", "number two"))
            eventually("the original is in Trash", lambda: md.subjects("Trash") == ["number two"])
            equal(md.subjects(), ["number one"])
            term.keys("u")
            eventually("undone on both sides", lambda: md.subjects() == ["number one", "number two"] and not at_server("Archive", "number two"))
            term.command("redo")
            term.wait("is not done again")
            equal(os.listdir(os.path.join(bob.store, "outbox")), [], "files of what was taken back")
            # and from the server into the Maildir
            server.deliver("bob", message("from the server", "line\n" * 20000))
            term.go("work/INBOX", "from the server")
            term.command("move home/Lists")
            term.wait("moved 1 message to home/Lists")
            eventually("it is in the Maildir", lambda: md.subjects("Lists") == ["from the server"])
            equal(server.subjects("bob", "INBOX"), [], "the server's inbox")
            equal(server.subjects("bob", "Trash"), ["from the server"], "the server's Trash")
            term.go("home/Lists", "from the server")
            term.keys("Enter")
            term.wait("line")


def test_maildir_is_away():
    """THREATS 160: moved away, or a disk that is not mounted: what it held is not taken for deleted, what was done meanwhile is done when it is
    back."""
    with at_maildir(folders=("Lists",)) as (md, term, bob):
        term.go("INBOX", "number 0")
        term.command("tag +kept")
        eventually("tagged", lambda: "kept" in bob.command("search", "tag:kept", status=None))
        os.rename(md.root, md.root + ".away")
        term.wait("is no Maildir now")
        for i in range(3):
            contains(term.screen(), "number %d" % i)
        contains(term.screen(), "Lists")
        term.keys("F")
        term.wait("flagged 1 message")
        os.mkdir(md.root)  # a mount point
        contains(bob.command("fetch", status=None) + bob.run("fetch").stderr, "mount or restore it")
        equal(os.listdir(md.root), [], "nothing is made in it")
        os.rmdir(md.root)
        os.rename(md.root + ".away", md.root)
        term.wait("work live", timeout=30)
        eventually("the flag is in the name", lambda: [n for _, n in md.files() if n.endswith("F") or n.endswith("FS")])
        eventually("the tag is there", lambda: "kept" in bob.command("search", "tag:kept", status=None))
        md.add("after")
        term.wait("after")


def test_not_to_be_written():
    """THREATS 160: what cannot be done is said with its reason, and the list shows what is; afterwards it works."""
    with at_maildir(folders=("Lists",)) as (md, term, bob):
        term.go("INBOX", "INBOX · work")
        new = os.path.join(md.root, "new")
        tap.forbid(new, True)
        try:
            above(term, "F", "number 2")
            term.wait("changing flags in INBOX failed: cannot rename its file: ")
            term.wait("not perm" if os.geteuid() == 0 else "denied")
            term.wait(row("number 2", "!", there=False))
            term.command("move Lists")
            term.wait("moving a message in INBOX failed")
            equal(len(md.files()), 3, "mails")
            equal(md.files("Lists"), [])
        finally:
            tap.forbid(new, False)
        above(term, None, "number 2")
        term.keys("F")
        eventually("flagged", lambda: any(name.endswith(":2,F") for _, name in md.files()))
        same_rows(md, bob)


def test_what_is_no_mail():
    """THREATS 114: what lies among the mail and is none is told of once, with the folder and what to do; hidden files are not."""
    def clutter(md):
        at = os.path.join(md.root, "cur")
        os.mkfifo(os.path.join(at, "1.fifo:2,"))
        os.symlink("/etc/passwd", os.path.join(at, "2.link:2,S"))
        os.mkdir(os.path.join(at, "3.directory:2,"))
        for name in "4." + "x" * 249 + ":2,S", ".hidden":
            open(os.path.join(at, name), "w").close()

    with at_maildir(before=clutter, cols=160) as (md, term, bob):
        said = "4 files in the folder of INBOX of work are no mails: move them out"
        eventually("it is told", lambda: said in bob.logs())
        term.command("messages")
        term.wait(said)
        term.keys("Escape")
        md.add("one more")
        term.wait("one more")
        os.remove(os.path.join(md.root, "cur", "2.link:2,S"))
        md.add("and one")
        term.wait("and one")
        equal(bob.logs().count("are no mails"), 1, "times it was told")


def test_maildir_of_a_maildrop_is_away():
    """THREATS 160: nothing is fetched, nothing is made in its place, no mail leaves the server; when it is back the pass goes on."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        server.deliver("bob", dated("before"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines="set -a work leave delete\n")
        with bob.at_screen(cols=120) as term:
            term.wait("before")
            home = os.path.join(bob.store, "mail", "work")
            eventually("the server is empty", lambda: not server.subjects("bob", "INBOX"))
            os.rename(home, home + ".away")
            term.wait("is no Maildir now")
            server.deliver("bob", dated("meanwhile"))
            term.keys("G")
            contains(bob.run("fetch").stderr, "mount or restore it")
            contains(term.screen(), "before")
            equal(server.subjects("bob", "INBOX"), ["meanwhile"])
            assert not os.path.isdir(home) or not os.listdir(home), os.listdir(home)
            for name in os.listdir(home + ".away"):  # put back into what is there
                os.makedirs(home, exist_ok=True)
                os.rename(os.path.join(home + ".away", name), os.path.join(home, name))
            term.wait("meanwhile", timeout=40)
            equal(Maildir(home).subjects(), ["before", "meanwhile"])
            eventually("the server is empty", lambda: not server.subjects("bob", "INBOX"))


if __name__ == "__main__":
    tap.run(globals())
