#!/usr/bin/env python3
"""What a newcomer does on the screen, and what the server has of it afterwards."""
import os
import re
from contextlib import closing

import tap
from dovecot import Server
from lineproxy import LineProxy
from tap import contains, equal
from user import User, eventually, message


def test_the_tutorial_keeps_its_word():
    """The demo's mail asks for a search by a word of two bodies, for tags, flags and an undo."""
    with tap.directory() as root:
        term = User(root).start(args=["demo"])
        try:
            term.wait("Welcome: read this first")
            def found(screen):
                return "Find anything" in screen and "An HTML mail" in screen and "Welcome" not in screen
            for _ in range(20):  # the index is written behind the screen's back
                term.keys("/")
                term.type("xylophone")
                term.keys("Enter")
                try:
                    term.wait(found, 1)
                    break
                except AssertionError:
                    term.keys("q")
            term.wait(found, 1)
            term.keys("q")
            term.wait("Welcome")
            term.keys("Home", "a")
            term.wait("archived 1 message")
            term.keys("u")
            term.wait("back in INBOX")
            term.keys("Home", "+")
            term.type("finance")
            term.keys("Enter")
            term.wait("tagged 1 message +finance")
        finally:
            term.close()


def test_a_search_says_that_mail_is_still_coming():
    with tap.directory() as root, closing(Server(os.path.join(root, "dovecot"), relay=False)) as server, closing(LineProxy(server.info["imaps"])) as line:
        server.append("bob", "INBOX", [message("number %d" % i) for i in range(600)])
        line.rate = 15000
        with User(os.path.join(root, "bob"), server, port=line.port).at_screen() as term:
            term.wait("of 600")
            term.command("limit subject:number")
            contains(term.wait("so far"), "limit:")
            line.rate = 0

            def whole():
                term.keys("q")
                term.wait("limit:", gone=True)
                term.command("limit subject:number")
                screen = term.wait(lambda screen: re.search(r"limit:.*(1 of \d+|so far|empty)$", screen, re.M))
                return re.search(r"limit:.* 1 of 600$", screen, re.M)
            eventually("nothing is still to come", whole)


def names(server):
    """Mailbox names as the server spells them."""
    with server.imap("bob") as imap:
        return sorted(line.split(b' "/" ', 1)[1].strip(b'"').decode() for line in imap.list()[1])


def test_mailbox_names_beyond_ascii():
    """RFC 3501 5.1.3: made, renamed and taken back, the name is encoded once on the wire and never on the screen."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        try:
            server.deliver("bob", message("one"))
            bob = User(os.path.join(root, "bob"), server)
            term = bob.start()
            try:
                term.wait("one")
                term.wait("work live")
                term.keys("y", "C")
                term.type("Pr\u00fcfung & Co")
                term.keys("Enter")
                term.wait(lambda s: "   Pr\u00fcfung & Co" in s and "mailbox created" in s)
                eventually("the mailbox is on the server", lambda: "Pr&APw-fung &- Co" in names(server))
                term.keys("End", "r", "C-u")
                term.type("\u65e5\u672c")
                term.keys("Enter")
                eventually("the new name is on the server", lambda: "&ZeVnLA-" in names(server))
                term.wait(lambda s: "   \u65e5\u672c" in s and "Co" not in s)
                term.keys("u")
                eventually("the old name is back", lambda: "Pr&APw-fung &- Co" in names(server))
                term.wait("   Pr\u00fcfung & Co")
                eventually("the names that the test made", lambda: [n for n in names(server) if "&" in n] == ["Pr&APw-fung &- Co"])
            finally:
                term.close()
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
