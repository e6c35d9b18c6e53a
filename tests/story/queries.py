#!/usr/bin/env python3
"""What a query can get wrong, at a real screen: hostile headers among the hits, regexps that never end, an index that cannot be read;
and a saved search as a mailbox like the others."""
import fcntl
import os
import re
import shutil
import struct
import subprocess

import tap
from hits import deliver, subjects
from tap import contains, equal
from user import User, eventually

MARK = "\x1b]0;owned\x07"
ENDLESS = 'subject:"/(é*)*(é*)*\\1x\\2/"'


def pids(user, name):
    return [pid for pid, program in user.programs() if program == name]


def test_hostile_hits_and_endless_regexps():
    with tap.directory() as root:
        work = os.path.join(root, "work")
        deliver(work, 1, "budget one")
        deliver(work, 2, "%s budget \x1b[31m two" % MARK, sender="%s Zoe Sample <zoe%s@example.org>" % (MARK, "\x9b31m"))
        deliver(work, 3, "budget three", ids="%s%%d" % MARK)  # without an id that is one
        deliver(work, 4, "budget four", ids="<same@example.org>%.0s")
        deliver(work, 5, "budget five", sender="Zoe Sample <zoe@example.org>", ids="<same@example.org>%.0s")
        deliver(work, 6, "seven " + "é" * 5000)
        user = User(os.path.join(root, "bob"), lines="account work maildir:%s\nset sidebar-width 0\nset mark-seen no\n" % work)
        with user.at_screen(cols=100, rows=24) as term:
            term.wait("budget one")
            eventually("all are found", lambda: user.command("count", "*", status=None) == "6\n")
            term.keys("/")
            term.type("budget")
            screen = term.wait(lambda s: "budget five" in s and "budget one" in s and "budget three" in s)
            contains(screen, "two")
            term.keys("Enter")
            term.wait("of 5")
            # two that share an id are two, and each opens as itself
            for number, text in ((5, "budget five"), (4, "budget four")):
                term.keys("Enter")
                term.wait(lambda s: re.search(r"Subject +%s" % text, s) and "Hello." in s)
                term.keys("j")
            term.wait(lambda s: re.search(r"Subject +budget three", s))
            term.keys("q")
            assert "owned" not in term.tmux("display-message", "-p", "#{pane_title}")
            # one that never ends holds up no key, and goes with the next letter
            term.keys("/")
            term.type(ENDLESS)
            term.wait(ENDLESS)
            searching = set()
            eventually("it is asked", lambda: searching.update(p for p in pids(user, "search") if busy(p)) or searching)
            term.keys("C-u")
            term.type("quarter or five")
            term.wait(lambda s: "quarter or five" in s and "budget five" in s and "budget one" not in s)
            eventually("it is gone", lambda: not searching & set(pids(user, "search")))
            term.keys("C-u")
            term.type('subject:"/((((a{1,200}){1,200}){1,100}){1,100})/"')
            term.wait("repeats what it repeats")
            term.keys("Escape")


def busy(pid):
    """Has it used half a second of the processor? One that waits for a letter uses some milliseconds."""
    try:
        with open("/proc/%d/schedstat" % pid) as f:
            return int(f.read().split()[0]) > 5e8
    except OSError:
        return False


def test_an_index_that_cannot_be_read():
    with tap.directory() as root:
        work = os.path.join(root, "work")
        for i in range(1, 4):
            deliver(work, i, "budget %d" % i)
        user = User(os.path.join(root, "bob"), lines="account work maildir:%s\n" % work)
        user.command("fetch")
        eventually("all are found", lambda: user.command("count", "*") == "3\n")
        eventually("nothing runs", lambda: not user.programs())
        index, kept = os.path.join(user.store, "index", "xapian"), os.path.join(root, "kept")
        shutil.copytree(index, kept)

        def garbled(name):
            with open(os.path.join(index, name), "r+b") as f:
                f.write(b"\xa5" * os.path.getsize(f.name))

        def instead(name, make):
            os.unlink(os.path.join(index, name))
            make(os.path.join(index, name))

        # the configuration that stands beside it is written anew
        config = os.path.join(user.store, "index", "config")
        for make in (os.mkdir, os.mkfifo, lambda at: os.symlink("nowhere", at)):
            instead(config, make)
            done = user.run("count", "*")
            equal((done.returncode, done.stdout), (75, ""))
            contains(done.stderr, "tuimail index --rebuild")
            user.command("index", "--rebuild")
            equal((user.command("count", "*"), os.path.isfile(config)), ("3\n", True))
            eventually("nothing runs", lambda: not user.programs())
            shutil.rmtree(kept)
            shutil.copytree(index, kept)
        for harm, words in ((lambda: subprocess.run(["xapian-metadata", "set", index, "version", "99"], check=True), "newer notmuch"),
                            (lambda: subprocess.run(["xapian-metadata", "set", index, "features", "of tomorrow\trw\n"], check=True), "newer notmuch"),
                            (lambda: garbled("iamglass"), "cannot be read"), (lambda: garbled("postlist.glass"), "cannot be read"),
                            (lambda: shutil.rmtree(index) or os.mkdir(index), "cannot be read"),
                            *((lambda n=name: instead(n + ".glass", os.mkfifo), name + ".glass is no file") for name in ("docdata", "position", "postlist", "termlist")),
                            (lambda: instead("iamglass", os.mkfifo), "iamglass is no file"), (lambda: instead("iamglass", os.mkdir), "iamglass is no file"),
                            (lambda: instead("iamglass", lambda at: os.symlink("nowhere", at)), "iamglass is no file")):
            harm()
            for command in (("count", "*"), ("search", "budget"), ("address", "--query", "budget")):
                done = user.run(*command)
                equal((done.returncode, done.stdout.replace("[]\n", "")), (75, ""), command)
                contains(done.stderr, words)
                contains(done.stderr, "tuimail index --rebuild")
            shutil.rmtree(index)
            shutil.copytree(kept, index)
        equal(user.command("count", "*"), "3\n")
        # where nothing can be written there, it is read all the same
        if os.geteuid() == 0 and subprocess.run(["mount", "--bind", index, index], capture_output=True).returncode == 0:
            try:
                subprocess.run(["mount", "-o", "remount,bind,ro", index], check=True)
                equal(user.command("count", "budget"), "3\n")
                equal(len(user.command("search", "--format=ids", "budget").split()), 3)
            finally:
                subprocess.run(["umount", "-l", index], check=True)
        equal(user.command("index", "--rebuild").count("built anew"), 1)
        equal(user.command("count", "*"), "3\n")


def test_an_index_under_others_hands():
    """While it is used: written by another program, then damaged. Mail stays readable, what is known is found, and it heals (THREATS 163)."""
    with tap.directory() as root:
        work = os.path.join(root, "work")
        for i in range(1, 4):
            deliver(work, i, "budget %d" % i)
        user = User(os.path.join(root, "bob"), lines="account work maildir:%s\nset sidebar-width 0\nset mark-seen no\n" % work)
        with user.at_screen(cols=100, rows=24) as term:
            term.wait("budget 3")
            eventually("all are found", lambda: user.command("count", "*", status=None) == "3\n")
            eventually("the index rests", lambda: not pids(user, "index"))
            xapian = os.path.join(user.store, "index", "xapian")
            with open(os.path.join(xapian, "flintlock"), "r+b") as f:
                fcntl.fcntl(f, 37, struct.pack("hhqqixxxx", fcntl.F_WRLCK, 0, 0, 1, 0))  # F_OFD_SETLK
                deliver(work, 4, "budget 4")
                term.wait("another program writes it")
                term.command("search budget")
                screen = term.wait("1 of 3 so far")
                equal(subjects(screen), ["budget 3", "budget 2", "budget 1"])
                # what is done meanwhile reaches the index behind it
                term.command("tag +kept")
                term.wait("kept")
                equal(user.command("count", "tag:kept"), "0\n")
                term.keys("q")
                term.keys("Enter")
                term.wait(lambda s: re.search(r"Subject +budget 4", s) and "Hello." in s)
                term.keys("q")
            eventually("they are found", lambda: (user.command("count", "budget"), user.command("count", "tag:kept")) == ("4\n", "1\n"))
            eventually("the index rests", lambda: not pids(user, "index"))
            for name in ("postlist.glass", "termlist.glass", "docdata.glass", "iamglass"):
                with open(os.path.join(xapian, name), "r+b") as f:
                    f.truncate(100)
            term.command("search budget or nothing")
            screen = term.wait(":reindex makes it anew")
            contains(screen, "tuimail index --rebuild")
            term.keys("q")
            term.command("reindex")
            eventually("it is made anew", lambda: (user.command("count", "budget", status=None), user.command("count", "tag:kept", status=None)) == ("4\n", "1\n"))


def test_a_saved_search_is_a_mailbox():
    with tap.directory() as root:
        work = os.path.join(root, "work")
        deliver(work, 1, "plan budget", seen=False)
        deliver(work, 2, "lunch budget", sender="Zoe Sample <zoe@example.org>", seen=False)
        deliver(work, 3, "unrelated", seen=False)
        deliver(os.path.join(work, ".Archive"), 4, "old budget")
        user = User(os.path.join(root, "bob"), lines="account work maildir:%s\nset mark-seen no\nsaved Budget \"s:budget\"\nsaved Here \"in:inbox\" -account work\n" % work)

        def pane(name, words):
            return lambda s: re.search(r"^[▸> ]*%s +%s *│" % (name, words), s, re.M)
        with user.at_screen(cols=120, rows=24) as term:
            term.wait(pane("Budget", "2/3"))  # unread, and all
            term.wait(pane("Here", "3/3"))
            term.go("Budget", lambda s: "of 3" in s and "old budget" in s)
            equal(subjects(term.screen()), ["old budget", "lunch budget", "plan budget"])
            # limited, and back
            term.command("limit f:zoe")
            term.wait(lambda s: subjects(s) == ["lunch budget"])
            term.command("limit all")
            term.go("Budget", lambda s: "of 3" in s)
            # kept under another name, deleted, undone
            term.command("save-search Plans")
            term.wait(pane("Plans", "2/3"))
            term.command("delete-search Plans")
            term.wait("Delete the saved search Plans?")
            term.keys("y")
            term.wait(lambda s: not re.search(r"^[▸> ]*Plans ", s, re.M))
            term.command("undo")
            term.wait(pane("Plans", "2/3"))
            # all is read, and the counts follow
            term.go("Budget", lambda s: "of 3" in s)
            term.command("read-all")
            term.wait("Mark 2 messages read")
            term.keys("y")
            term.wait(pane("Budget", "3"))
            term.wait(pane("Here", "1/3"))
            # all is moved: by the result, not by rows
            term.command("select-pattern *")
            term.wait("3 selected")
            term.command("move Archive")
            term.wait(pane("Here", "1/1"))
            eventually("they are there", lambda: user.command("count", "in:Archive") == "3\n")
            term.command("undo")
            eventually("they are back", lambda: user.command("count", "in:Archive") == "1\n")
            # what arrives comes into it
            deliver(work, 5, "new budget", seen=False)
            term.wait(lambda s: "new budget" in s and pane("Budget", "1/4")(s))


if __name__ == "__main__":
    tap.run(globals())
