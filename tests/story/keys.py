#!/usr/bin/env python3
"""The keys of doc/KEYS, pressed in the real program before a real Dovecot: what each does, there too, and that undo takes it back."""
import contextlib
import os
import re

import tap
from dovecot import Server
from tap import equal
from user import User, eventually, message

ALL = ["number %d" % i for i in range(6)]
TOP = ALL[5]


@contextlib.contextmanager
def at_screen(mails=ALL, lines="", rows=30):
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        with server.imap("bob") as imap:
            for name in ("Archive", "Projects"):
                imap.create(name)
        long = "".join("line %d\n" % i for i in range(200))
        server.append("bob", "INBOX", [message(m, long) for m in mails])
        with User(os.path.join(root, "bob"), server, lines="set confirm-quit no\n" + lines).at_screen(cols=110, rows=rows) as term:
            term.wait("work live")
            term.wait("of %d" % len(mails))
            term.wait("   Projects")
            yield server, term


def found(server, criterion, box="INBOX"):
    """How many messages the server finds by an IMAP criterion."""
    with server.imap("bob") as imap:
        imap.select(box, readonly=True)
        return len(imap.search(None, criterion)[1][0].split())


def at(term, subject):
    term.command("echo here: {subject}")
    term.wait(lambda s: re.search("here: %s(  |$)" % re.escape(subject), s.splitlines()[-1]))


def press(term, keys):
    """Names of tmux; what begins with t: is typed."""
    for key in keys:
        term.type(key[2:]) if key.startswith("t:") else term.keys(key)


def test_each_verb_is_done_and_undone():
    with at_screen() as (server, term):
        boxes = {"a": "Archive", "d": "Trash", "!": "Junk"}
        for key, box in boxes.items():
            press(term, ["Home", key])
            eventually("%s moved it to %s" % (key, box), lambda: server.subjects("bob", box) == [TOP])
            equal(sorted(server.subjects("bob", "INBOX")), ALL[:5], "INBOX behind " + key)
            term.keys("u")
            eventually("u brought it back", lambda: sorted(server.subjects("bob", "INBOX")) == ALL and not server.subjects("bob", box))
            term.wait("of 6")
        term.keys("Home", "a")
        eventually("archived", lambda: server.subjects("bob", "Archive") == [TOP])
        press(term, ["u"])
        eventually("undone", lambda: not server.subjects("bob", "Archive"))
        press(term, ["U"])
        eventually("U does it again", lambda: server.subjects("bob", "Archive") == [TOP])
        press(term, ["u"])
        term.wait("of 6")
        for key, left in (("s", ALL[:5]), ("C", ALL)):
            press(term, ["Home", key, "t:projects", "Enter"])
            eventually(key + " put it into Projects", lambda: server.subjects("bob", "Projects") == [TOP])
            eventually("what is left", lambda: sorted(server.subjects("bob", "INBOX")) == left)
            term.keys("u")
            eventually("u took it out again", lambda: not server.subjects("bob", "Projects") and sorted(server.subjects("bob", "INBOX")) == ALL)
            term.wait("of 6")
        for keys, criterion in ((["F"], "FLAGGED"), (["N"], "SEEN"), (["C-r"], "SEEN"), (["+", "t:+todo", "Enter"], "KEYWORD todo"),
                                (["Y", "t:+todo", "Enter"], "KEYWORD todo"), (["C-t", "t:later", "Enter"], "KEYWORD later")):
            press(term, ["Home"] + keys)
            eventually("%s: %s" % (keys, criterion), lambda: found(server, criterion) == 1)
            term.keys("u")
            eventually("u: no %s" % criterion, lambda: found(server, criterion) == 0)
        press(term, ["Home", "D"])
        term.wait("of 5")
        term.keys("u")
        term.wait("of 6")
        equal(sorted(server.subjects("bob", "INBOX")), ALL, "D is held, and u takes it back")


def test_selections_and_threads():
    with at_screen() as (server, term):
        def archived(count, keys):
            press(term, ["Home"] + keys)
            eventually("%s archived %d" % (keys, count), lambda: len(server.subjects("bob", "Archive")) == count)
            term.wait("of %d" % (6 - count) if count < 6 else "No messages here.")
        archived(2, ["t", "t", "a"])
        press(term, ["u"])
        term.wait("of 6")
        archived(3, ["V", "j", "j", "V", ";", "a"])
        press(term, ["u"])
        term.wait("of 6")
        archived(6, ["T", "t:*", "Enter", "a"])
        press(term, ["u"])
        term.wait("of 6")
        press(term, ["Home", "t", "Escape"])
        archived(1, ["a"])
        press(term, ["u"])
        term.wait("of 6")
        archived(1, ["M-a"])
        press(term, ["u"])
        term.wait("of 6")
        archived(1, ["a"])
        archived(2, ["."])
        press(term, ["u", "u"])
        eventually("both are back", lambda: sorted(server.subjects("bob", "INBOX")) == ALL)
        eventually("none is left there", lambda: not server.subjects("bob", "Archive"))


def test_moving_and_reading():
    with at_screen() as (_, term):
        for key, subject in (("Home", ALL[5]), ("j", ALL[4]), ("k", ALL[5]), ("*", ALL[0]), ("=", ALL[5]), ("Down", ALL[4]), ("Up", ALL[5]),
                             ("End", ALL[0]), ("PPage", ALL[5]), ("NPage", ALL[0]), ("[", ALL[5]), ("]", ALL[0]), ("Home", ALL[5])):
            term.keys(key)
            at(term, subject)
        term.keys("Enter")
        term.wait("line 1\n")
        term.keys("Space")
        term.wait(lambda s: "line 1\n" not in s and "line 2" in s)
        term.keys("-")
        term.wait("line 1\n")
        term.keys("J", "J", "J", "J", "J", "J", "J", "J")
        term.wait("line 1\n", gone=True)
        term.keys("K", "K", "K", "K", "K", "K", "K", "K")
        term.wait("line 1\n")
        term.keys("h")
        term.wait("Message-ID")
        term.keys("h")
        term.wait("Message-ID", gone=True)
        term.keys("j")
        term.wait("Subject  " + ALL[4])
        term.keys("Tab")
        term.wait("Subject  " + ALL[3])
        term.keys("*", "BTab")
        term.wait("Subject  " + ALL[1])
        term.keys("=")
        term.wait("Subject  " + ALL[5])
        press(term, ["/", "t:line 150", "Enter"])
        term.wait("line 150")
        term.keys("v")
        term.wait("text/plain")
        term.keys("q")
        term.keys("i")
        term.wait("line 150", gone=True)


def test_going_and_finding():
    with at_screen() as (_, term):
        term.keys("y", "j", "j", "j")
        term.keys("q")
        for keys, want in ((["'", "s"], "Sent \u00b7 work"), (["'", "d"], "Drafts \u00b7 work"), (["'", "1"], "INBOX \u00b7 work"),
                           (["c", "t:arch", "Enter"], "Archive \u00b7 work"), (["'", "i"], "of 6")):
            press(term, keys)
            term.wait(want)
        press(term, ["Home", "F", "'", "f"])
        term.wait("1 of 1")
        press(term, ["q"])
        term.wait("of 6")
        press(term, ["l", "t:subject:3", "Enter"])
        term.wait("1 of 1")
        press(term, ["q"])
        term.wait("of 6")
        press(term, ["/", "t:subject:number", "Enter"])
        term.wait(lambda s: "search: " in s and "of 6" in s)
        term.keys("Home", "n")
        at(term, ALL[4])
        press(term, ["q", "Home", "@"])
        term.wait('search: from:"alice@example.org"')
        term.wait("of 6")
        press(term, ["q", "M-@"])
        term.wait('search: subject:"number 5"')
        term.wait("1 of 1")
        press(term, ["q", "G"])
        press(term, ["$", "?"])
        term.wait("keys here (list)")
        press(term, ["q", "q"])
        equal(term.exit_status(), 0, "q at the top ends it")


MIXED = ("From: Alice Example <alice@example.org>\nTo: Bob <bob@example.org>\nCc: Carol <carol@example.org>\nSubject: both ways\n"
         "Date: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <both@example.org>\nList-Id: <talk.example.org>\n"
         "List-Post: <mailto:talk@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n"
         "--b\nContent-Type: text/plain\n\nplain words\n\n--b\nContent-Type: text/html\n\n<p>rich words</p>\n\n--b--\n")


def test_answers():
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"))) as server:
        server.deliver("bob", MIXED)
        bob = User(os.path.join(root, "bob"), server, lines="set confirm-quit no\n")
        with bob.at_screen(cols=110, rows=30, env={"EDITOR": bob.editor("Thank you.")}) as term:
            term.wait("of 1")
            term.keys("Home", "Enter")
            term.wait("plain words")
            term.keys("H")
            term.wait("rich words")
            term.keys("H")
            term.wait("plain words")
            for key, to, others in (("r", "alice@example.org", ["carol@example.org", "talk@example.org"]), ("g", "carol@example.org", ["Fwd:"]),
                                    ("L", "talk@example.org", ["carol@example.org"]), ("f", "Fwd: both ways", ["Re: both"]),
                                    ("m", "Thank you.", ["both ways"])):
                term.keys(key)
                screen = term.wait(lambda s: to in s and "Thank you." in s)
                for word in others:
                    assert word not in screen.split("y send", 1)[0], screen
                term.keys("X")
                term.wait("Discard this mail?")
                term.keys("y")
                term.wait("plain words")
            server.deliver("bob", message("from nobody's list"))
            term.keys("q")
            term.wait("from nobody's list")
            press(term, ["Home", "L"])
            term.wait("no mailing list")
            press(term, ["End", "Enter"])
            term.wait("plain words")
            term.command("set ask-headers yes")
            press(term, ["m", "t:ali", "C-g"])
            term.wait(lambda s: "To: ali" not in s)
            press(term, ["m", "t:carol@example.org", "Enter", "t:asked for", "Enter"])
            screen = term.wait(lambda s: "Thank you." in s)
            assert re.search(r"To +carol@example.org", screen) and re.search(r"Subject +asked for", screen), screen
            press(term, ["X", "y"])
            term.wait("plain words")
            press(term, ["b", "t:alice@example.org", "Enter"])
            term.wait("Send this message on, as it is?")
            term.keys("y")
            eventually("alice has it", lambda: "both ways" in server.subjects("alice", "INBOX"), 60)
            copy = os.path.join(root, "copy")
            press(term, ["|", "t:cat > '%s'" % copy, "Enter"])
            eventually("the program had it", lambda: os.path.exists(copy) and "rich words" in open(copy, encoding="utf-8").read())


if __name__ == "__main__":
    tap.run(globals())
