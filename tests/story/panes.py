#!/usr/bin/env python3
"""Panes, buffers, jobs and keys typed ahead in the real ui with a real server."""
import os
import re
from contextlib import closing

import tap
from dovecot import Server
from lineproxy import LineProxy
from tap import contains, equal
from user import User, eventually, message

BIG = message("a big one", "\n".join("line %d of many" % i for i in range(60000)))
FILE = ("From: Alice Example <alice@example.org>\nTo: bob@example.org\nSubject: with a file\nMessage-ID: <file@example.org>\n"
        "Date: Sun, 22 Nov 2026 10:00:00 +0000\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
        "--x\nContent-Type: text/plain\n\nsee https://example.org/one and https://example.org/two\n"
        "--x\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=\"slides.pdf\"\n\n%s\n--x--\n" % ("x" * 3000))


def reading_editor(bob):
    """An $EDITOR that adds what is typed, up to a full stop, to the draft."""
    path = os.path.join(bob.root, "typist")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nexec < /dev/tty\nstty -icanon -echo\nwords=\n"
                "while :; do c=$(dd bs=1 count=1 2>/dev/null); [ \"$c\" = . ] && break; words=\"$words${c:- }\"; done\n"
                "stty icanon echo\nprintf '%s\\n' \"$words\" >> \"$1\"\n")
    os.chmod(path, 0o755)
    return path


def test_buffers_jobs_and_keys_typed_ahead():
    with tap.directory() as root, closing(Server(os.path.join(root, "dovecot"))) as server, \
            closing(LineProxy(server.info["imaps"])) as line:
        server.append("bob", "INBOX", [BIG, FILE, message("third"), message("fourth")])
        bob = User(os.path.join(root, "bob"), server, port=line.port, lines="set prefetch 0\nset -a work cache headers\nset undo-send 0\nset log-level debug\n")
        with bob.at_screen(cols=120, rows=40, env={"EDITOR": reading_editor(bob)}) as term:
            term.wait("1 of 4")
            bob.settled()

            # the keys after Enter are for the message: its second link is asked about, b is not bounce
            term.command("search subject:with")
            term.wait("with a file")
            term.keys("Enter", "o", "b")
            contains(term.wait("Open this?"), "https://example.org/two")
            term.keys("n")
            contains(term.wait("v lists, saves"), "@ slides.pdf 2.9 KB")
            term.keys("q", "q")
            term.wait("1 of 4")

            # a message on a slow line waits in its buffer, and another one is read beside it
            line.rate = 30000
            term.command("jump 4")
            term.keys("Enter")
            term.wait("Esc stops")
            term.keys("C-w", "n")
            term.wait("buffer 2 of 2")
            term.keys("B")
            term.wait("a big one \u00b7 All inboxes")
            term.keys("q")
            term.command("jobs")
            contains(term.wait(lambda s: re.search(r"opening .a big one. [0-9.]+ KB of [0-9.]+ MB .* [0-9.]+ KB/s", s)), "buffer 1")
            term.keys("d")
            term.wait("nothing is under way")
            line.rate = 0
            term.keys("q")
            term.keys("<")
            term.wait("buffer 1 of 2")
            term.command("close-buffer")
            term.command("jump 1")

            # what was stopped takes the line along, but not the message that is opened next
            term.keys("Enter")
            term.wait("Subject  fourth")
            bob.settled()

            # what is typed after r is for the editor, not for the list
            term.type("rdelete a d D and archive.")
            contains(term.wait("delete a d D and archive"), "Re: fourth")
            term.keys("Escape", "1")
            term.wait(" y send ", gone=True)
            term.command("compose carol@example.org")
            term.type("to carol.")
            term.wait("to carol")
            term.command("set-subject 'the other one'")
            term.wait("the other one")
            term.keys("y")
            term.wait("buffer 1 of 2")  # back to the list, the answer still there
            eventually("it is sent", lambda: server.subjects("bob", "Sent") == ["the other one"])
            term.keys("Escape", "2")
            term.wait("delete a d D and archive")
            term.keys("y")
            eventually("both are sent", lambda: sorted(server.subjects("bob", "Sent")) == ["Re: fourth", "the other one"])
            equal(len(server.subjects("bob", "INBOX")), 4)  # nothing was deleted or filed

            # the screen is as it was left
            term.command("layout wide")
            term.keys("C-w", ">")
            term.command("quit")
            equal(term.exit_status(), 0)
        kept = open(os.path.join(bob.store, "history", "panes")).read()
        contains(kept, "layout 1 0\n")
        with bob.at_screen(cols=120, rows=40) as term:
            term.wait("1 of 4")
            term.keys("Enter")
            contains(term.wait("Hello."), "\u2502")
            term.keys("C-w", "z")
            term.wait("1 of 4", gone=True)
            term.keys("C-w", "z")
            term.wait("1 of 4")


if __name__ == "__main__":
    tap.run(globals())
