#!/usr/bin/env python3
"""Lists by thread, in the real programs: a tree as it was answered, folded threads that are filed as one, undone as one,
and answers that come while the list is open."""
import contextlib
import os
import re

import tap
from dovecot import Server
from tap import equal
from user import User, eventually, message


def answer(subject, number, answers=None, day=20):
    text = message(subject, "Hello.\n").replace("Sun, 22 Nov 2026 10:00:00", "Fri, %d Nov 2026 10:%02d:00" % (day, number))
    head = "".join(line for line in text.splitlines(True) if not line.lower().startswith("message-id:"))
    ids = "Message-ID: <m%d@example.org>\n" % number
    if answers:
        ids += "References: %s\n" % " ".join("<m%d@example.org>" % a for a in answers)
    return ids + head


def subjects(server, box="INBOX"):
    with server.imap("bob") as imap:
        imap.select('"%s"' % box, readonly=True)
        found = []
        for _, data in [imap.fetch(n, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])") for n in imap.search(None, "ALL")[1][0].decode().split()]:
            found.append(data[0][1].decode().split(":", 1)[1].strip())
        return sorted(found)


def rows(screen, *words):
    """The subjects of the lines that have one of the words, with what stands before them."""
    return [line.split("Alice Example", 1)[1][5:].rstrip() for line in screen.splitlines() if any(w in line for w in words)]


def run(protocol):
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        try:
            server.deliver("bob", answer("the plan", 1))
            server.deliver("bob", answer("Re: the plan", 2, [1]))
            server.deliver("bob", answer("something else", 3))
            server.deliver("bob", answer("Re: the plan again", 4, [1, 2]))
            user = User(os.path.join(root, "bob"), server, protocol=protocol)
            with contextlib.closing(user.start(cols=80, rows=24)) as term:
                term.wait("the plan again")
                term.keys("o", "t")
                screen = term.wait("2 threads")
                equal(rows(screen, "plan", "something"), ["the plan", "└ Re: the plan", "  └ Re: the plan again", "something else"])
                term.keys("Home", "M-v")
                screen = term.wait("▸3 Re: the plan again")
                assert "└" not in screen, screen
                # an answer that comes opens nothing and moves nothing but its thread
                server.deliver("bob", answer("Re: something else", 5, [3]))
                term.keys("G")
                term.wait("└ Re: something else")
                term.wait("2 threads")
                # the folded thread is filed as one
                term.keys("a")
                term.wait("archived 3 messages")
                term.wait("the plan again", gone=True)
                if protocol == "imaps":
                    eventually("all three are in the archive", lambda: len(subjects(server, "Archive")) == 3)
                    equal(subjects(server), ["Re: something else", "something else"])
                term.keys("u")
                term.wait("▸3 Re: the plan again")
                if protocol == "imaps":
                    eventually("all three are back", lambda: len(subjects(server)) == 5)
                # one's own answer stands in its place, out of the mailbox; what is done to the thread leaves it alone
                if protocol == "imaps":
                    with server.imap("bob") as imap:
                        imap.append("Sent", "\\Seen", None, answer("Re: my own words", 6, [1, 2]).replace("\n", "\r\n").encode())
                    term.keys("Home")
                    term.wait(lambda s: "1 of 2 threads" in s)
                    term.keys("*", "M-v")
                    term.wait(lambda s: re.search("└ Re: my own words +Sent", s), timeout=90)  # behind the open one
                    term.keys("M-v")
                    term.wait("my own words", gone=True)
                    term.keys("a")
                    term.wait("archived 3 messages")
                    eventually("all three are in the archive", lambda: len(subjects(server, "Archive")) == 3)
                    equal(subjects(server, "Sent"), ["Re: my own words"])
                    term.keys("u")
                    term.wait("Re: the plan")
                # reading goes on at what is not read, unfolded
                term.keys("Home")
                term.wait(lambda s: "1 of 2 threads" in s)
                term.keys("o", "t")
                term.wait(lambda s: "of 5" in s)
                term.keys("o", "t")
                term.wait("2 threads")
        finally:
            server.close()


def test_threads_of_an_imap_mailbox():
    run("imaps")


def test_threads_of_a_maildir():
    run("pop3s")


def at(term, subject):
    term.command("echo here: {subject}")
    term.wait(lambda s: re.search("here: %s(  |$)" % re.escape(subject), s.splitlines()[-1]))


def test_from_one_message_to_another():
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        for mail in (answer("the plan", 1), answer("Re: the plan", 2, [1]), answer("Re: something", 3),
                     answer("Re: the plan again", 4, [1, 2]), answer("Re: the plan aside", 5, [1])):
            server.deliver("bob", mail)
        with User(os.path.join(root, "bob"), server).at_screen(cols=100, rows=24) as term:
            term.wait(lambda s: "the plan aside" in s and "of 5" in s)
            term.keys("o", "t")
            term.wait("of 2 threads")  # what refers to what comes behind the rows
            term.keys("o", "t", "Home", "j")
            at(term, "Re: the plan again")
            term.keys("P")
            at(term, "Re: the plan")
            term.keys("P", "P")
            term.wait("it answers no message that is here")
            at(term, "the plan")
            term.keys("Home", "M-P")
            at(term, "the plan")
            term.keys("M-P")
            term.wait("it is the first of its thread")
            # folded, it is unfolded
            term.keys("o", "t", "Home", "M-v")
            term.wait("\u25b84 Re: the plan aside")
            term.keys("P")
            at(term, "the plan")
            term.keys("o", "t")
            # the parent is filed elsewhere: its conversation
            term.keys("Home", "j", "j", "j", "a")
            term.wait("archived 1 message")
            term.keys("Home", "j", "P")
            term.wait("conversation: ")
            at(term, "Re: the plan")
            term.keys("q")
            at(term, "Re: the plan again")
            # the keys of Gmail, in an open message; one that is elsewhere is opened too
            term.command("keys gmail")
            term.keys("End", "Enter")
            term.wait("Subject  the plan")
            term.keys("n")
            term.wait(lambda s: re.search("Subject  Re: the plan$", s, re.M))
            term.keys("n", "n", "n")
            term.wait("it is the newest of its thread")
            term.wait("Subject  Re: the plan aside")
            term.keys("p")
            term.wait("Subject  Re: the plan again")


if __name__ == "__main__":
    tap.run(globals())
