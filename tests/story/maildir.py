#!/usr/bin/env python3
"""Maildir accounts in the real programs: folders made, renamed, deleted and filed into from the screen, and other programs that work on the same
files at the same time."""
import contextlib
import mailbox
import os
import re
import shutil
import time

import tap
from tap import contains, equal
from user import User, eventually, message


class Maildir:
    """The files as another program sees them."""

    def __init__(self, root):
        self.root = root
        self.box = mailbox.Maildir(root)

    def dir(self, folder=""):
        return os.path.join(self.root, "." + folder if folder else "")

    def files(self, folder=""):
        """[(subdirectory, name)]"""
        return sorted((sub, name) for sub in ("new", "cur") for name in os.listdir(os.path.join(self.dir(folder), sub)))

    def subjects(self, folder=""):
        found = []
        for sub, name in self.files(folder):
            with open(os.path.join(self.dir(folder), sub, name), errors="replace") as f:
                found += [line.split(":", 1)[1].strip() for line in f if line.startswith("Subject:")]
        return sorted(found)

    def make(self, folder):
        for sub in ("", "/cur", "/new", "/tmp"):
            os.mkdir(self.dir(folder) + sub)

    def add(self, subject, folder="", flags=None, body="Hello.\n"):
        """Its unique name."""
        unique = "%d.M%dQ%d.other" % (time.time(), time.monotonic_ns() % 1000000000, len(subject))
        tmp = os.path.join(self.dir(folder), "tmp", unique)
        with open(tmp, "w") as f:
            f.write(message(subject, body))
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
            if count:
                term.wait("number 0")
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


def test_flags_and_files_both_ways():
    with at_maildir(lines="set log-level debug\n") as (md, term, bob):
        one = md.add("one more")
        term.wait("one more")
        term.keys("Home")
        term.wait(lambda _: "one more" in cursor_line(term) or True)
        md.set_flags(one, "FS")
        term.wait(lambda s: any("one more" in line and "!" in line for line in s.splitlines()))
        md.set_flags(one, "S")
        term.wait(lambda s: any("one more" in line and "!" not in line for line in s.splitlines()))


if __name__ == "__main__":
    tap.run(globals())
