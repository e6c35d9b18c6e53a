#!/usr/bin/env python3
"""A disk that is full, or gone, under one of the program's directories alone: it says which, loses nothing, and goes on by itself."""
import contextlib
import os
import re
import shutil
import subprocess

import tap
from tap import contains, equal
from user import User, eventually, message


@contextlib.contextmanager
def small_disk(path, size="3m"):
    """A disk of its own at this directory; a function that fills it, one that makes room."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    if subprocess.run(("mount", "-t", "tmpfs", "-o", "size=%s,mode=700" % size, "tmpfs", path), capture_output=True, check=False).returncode:
        tap.skip("no disk can be mounted here")
    filler = os.path.join(path, "filler")

    def fill():
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(b"x" * 4096) == 4096:
                pass
    try:
        yield fill, lambda: os.unlink(filler)
    finally:
        subprocess.run(("umount", "-l", path), check=False)


def mailbox(root):
    for d in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(root, "mail", d), mode=0o700)
    return User(root, lines="account work maildir:%s/mail\n" % root)


def deliver(root, first, n):
    for i in range(first, first + n):
        name = "%d.m" % (1700000000 + i)
        with open(os.path.join(root, "mail", "tmp", name), "w") as f:
            f.write(message("mail%d" % i, "word%d %s\n" % (i, " ".join("some%dthing%d" % (i, k) for k in range(400)))))
        os.rename(os.path.join(root, "mail", "tmp", name), os.path.join(root, "mail", "new", name))


def found(user, word):
    return user.command("search", "--limit", "0", word, status=None).count("mail")


def test_index():
    """Mail comes and is triaged without it; what came meanwhile is found when there is room."""
    with tap.directory() as root:
        user = mailbox(root)
        deliver(root, 0, 3)
        with small_disk(os.path.join(user.store, "index")) as (fill, room), user.at_screen(cols=100) as term:
            term.wait("mail2")
            eventually("three are indexed", lambda: found(user, "word2") == 1)
            fill()
            deliver(root, 3, 30)
            term.wait("mail32")
            term.wait(re.compile("no room|No space").search)
            done = user.run("doctor")
            contains(done.stdout, "index: no room in " + os.path.join(user.store, "index"))
            assert done.returncode, "and its status says so"
            term.command("messages")
            equal(len(re.findall("no room in|No space|cannot", term.wait("the search index has no room in " + os.path.join(user.store, "index")[:20]))), 1, "said once")
            term.keys("q", "d")
            term.wait("deleted 1 message")
            room()
            eventually("all are indexed", lambda: all(found(user, "word%d" % i) == 1 for i in (3, 17, 31)), 90)


def test_index_at_start():
    """A disk that was full before: the same words, once; what is triaged is said beside it."""
    with tap.directory() as root:
        user = mailbox(root)
        deliver(root, 0, 3)
        with small_disk(os.path.join(user.store, "index")) as (fill, room):
            fill()
            with user.at_screen(cols=100) as term:
                term.wait("mail2")
                term.wait("the search index has no room in ")
                eventually("it was tried again", lambda: user.logs().count("the search index has no room in ") > 2)
                term.command("messages")
                equal(len(re.findall("no room in|No space|cannot", term.wait("the search index has no room in "))), 1, "said once")
                term.keys("q", "d")
                term.wait("deleted 1 message")
                room()
                eventually("what is not deleted is indexed", lambda: sum(found(user, "word%d" % i) for i in range(3)) == 2, 90)


def test_state():
    """What cannot be recorded is refused and said, where and why; what came meanwhile is there when there is room."""
    with tap.directory() as root:
        user = mailbox(root)
        deliver(root, 0, 40)
        state = os.path.join(user.store, "state")
        with small_disk(state) as (fill, room), user.at_screen(cols=200) as term:
            term.wait("1 of 40")
            eventually("all are indexed", lambda: found(user, "word39") == 1)
            fill()
            term.keys("d")
            term.wait("the disk is full")
            deliver(root, 40, 60)
            term.wait("work: the disk is full")
            term.command("messages")
            contains(term.wait("work: the disk is full; make room for " + state), "not deleted: the disk is full; make room for " + state)
            term.keys("q")
            contains(term.wait(" of 40"), "mail0")
            room()
            term.wait(re.compile(r"\d+ of 100\b").search, 60)
            term.keys("d")
            term.wait("deleted 1 message")


def test_index_goes_away():
    """Removed while the program runs: it is made anew, whole."""
    with tap.directory() as root:
        user = mailbox(root)
        deliver(root, 0, 3)
        with user.at_screen(cols=200) as term:
            term.wait("mail2")
            eventually("three are indexed", lambda: found(user, "word2") == 1)
            shutil.rmtree(os.path.join(user.store, "index"))
            deliver(root, 3, 2)
            term.wait("mail4")
            eventually("all five are indexed", lambda: all(found(user, "word%d" % i) == 1 for i in range(5)))
            term.command("messages")
            term.wait("index was removed: it is built again")
            assert "load config" not in term.screen(), "in words"


def test_index_that_cannot_be_written():
    """It says so once, and goes on when it can."""
    with tap.directory() as root:
        user = mailbox(root)
        deliver(root, 0, 3)
        path = os.path.join(user.store, "index")
        with small_disk(path, "20m"), user.at_screen(cols=150) as term:
            term.wait("mail2")
            eventually("three are indexed", lambda: found(user, "word2") == 1)

            def again(how):  # as long as a file is being written it is refused
                return subprocess.run(("mount", "-o", "remount," + how, path), capture_output=True, check=False).returncode == 0
            eventually("its disk is read-only", lambda: again("ro"))
            deliver(root, 3, 2)
            term.wait("mail4")
            eventually("it was tried again", lambda: user.logs().count("Read-only file system") > 2)
            term.command("messages")
            equal(term.wait("Read-only file system").count(path), 1)
            assert again("rw")
            eventually("all are indexed", lambda: found(user, "word4") == 1, 60)


if __name__ == "__main__":
    tap.run(globals())
