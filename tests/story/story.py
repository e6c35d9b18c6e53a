#!/usr/bin/env python3
"""The whole story on real parts: mail arrives, is found, read, answered and archived, over IMAP and over POP3."""
import os

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message


def arrive_and_search(server, bob):
    for i in range(3):
        server.deliver("bob", message("number %d" % i))
    contains(bob.command("fetch", "--json"), "work")
    server.deliver("bob", message("the budget", "The word is xylophone.\n"))
    term = bob.start()
    try:
        term.wait("the budget")
        term.keys("Home", "Enter")
        term.wait("xylophone")
        term.keys("q")
        eventually("search finds the word", lambda: "the budget" in bob.run("search", "xylophone").stdout)
        term.keys("/")
        term.type("subject:budget")
        term.keys("Enter")
        term.wait(lambda s: "the budget" in s and "number 1" not in s)
        term.keys("q")
        term.wait("number 1")
        term.keys("q")
        equal(term.exit_status(), 0, "exit status of the ui")
    finally:
        term.close()


def answer(server, term):
    term.wait("the budget")
    term.keys("Home", "r")
    term.wait("Thank you.")
    term.keys("y")
    eventually("the reply reaches alice", lambda: "Re: the budget" in server.subjects("alice", "INBOX"), 60)


def triage_on_server(server, term):
    """Flag, archive and undo, seen by another IMAP client; and what the other one does, seen here."""
    eventually("the Sent copy is on the server", lambda: "Re: the budget" in server.subjects("bob", "Sent"))
    term.wait("the budget")
    term.keys("Home", "F")

    def flagged():
        with server.imap("bob") as imap:
            imap.select("INBOX", readonly=True)
            return imap.search(None, "FLAGGED")[1][0].split() != []
    eventually("the flag is on the server", flagged)
    term.keys("a")
    eventually("the message is in Archive", lambda: "the budget" in server.subjects("bob", "Archive"))
    eventually("it left the INBOX", lambda: "the budget" not in server.subjects("bob", "INBOX"))
    term.keys("u")
    eventually("undo brought it back", lambda: "the budget" in server.subjects("bob", "INBOX"))
    eventually("undo took it out of Archive", lambda: "the budget" not in server.subjects("bob", "Archive"))
    server.deliver("bob", message("from the phone"))
    term.wait("from the phone")


def story(protocol):
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol=protocol)
        try:
            arrive_and_search(server, bob)
            term = bob.start(env={"EDITOR": bob.editor("Thank you.")})
            try:
                answer(server, term)
                if protocol == "imaps":
                    triage_on_server(server, term)
                else:
                    equal(len(server.subjects("bob", "INBOX")), 4, "POP3 keeps the mail on the server")
                    term.keys("Home", "a")
                    term.wait("archived")
            finally:
                term.close()
        except BaseException:
            print("\n".join("# " + line for line in bob.logs().splitlines()))
            raise
        finally:
            server.close()


def test_story_imap():
    story("imaps")


def test_story_imap_starttls():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        try:
            server.deliver("bob", message("by STARTTLS"))
            bob = User(os.path.join(root, "bob"), server, protocol="imap")
            contains(bob.command("fetch"), "work")
        finally:
            server.close()


def test_story_pop3():
    story("pop3s")


if __name__ == "__main__":
    tap.run(globals())
