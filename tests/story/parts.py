#!/usr/bin/env python3
"""A mail with a large attachment on a real screen: its text without the attachment, the marker, the attachment saved and opened."""
import base64
import os
import random
import subprocess

import tap
from dovecot import Server
from tap import equal
from user import User, eventually

DATA = random.Random(3).randbytes(1200000)
MAIL = ("From: Alice Example <alice@example.org>\nTo: Bob <bob@example.org>\nSubject: %s\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n"
        "Message-ID: <%s@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\n"
        "The word is %s.\n--b\nContent-Type: application/octet-stream; name=figures.bin\nContent-Transfer-Encoding: base64\n"
        "Content-Disposition: attachment; filename=figures.bin\n\n%s--b--\n")


def mail(subject, word):
    return MAIL % (subject, subject.replace(" ", ""), word, base64.encodebytes(DATA).decode())


def here(user):
    """Bytes of the files of messages on this machine."""
    found = subprocess.run(["find", os.path.join(user.store, "mail"), "-type", "f", "-printf", "%s\n"], capture_output=True, text=True)
    return sum(map(int, found.stdout.split()))


def test_an_attachment_is_fetched_when_it_is_wanted():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        out = os.path.join(root, "out")
        os.mkdir(out)
        bob = User(os.path.join(root, "bob"), server, lines="set prefetch 0\nset download-dir %s\n" % out)
        server.deliver("bob", mail("the figures", "xylophone"))
        show = os.path.join(root, "show")
        with open(show, "w") as f:
            f.write("#!/bin/sh\nwc -c < \"$1\"\nread line\n")
        os.chmod(show, 0o755)
        with open(os.path.join(root, "mailcap"), "w") as f:
            f.write("application/octet-stream; %s %%s; needsterminal\n" % show)
        bob.write_rc(open(bob.rc).read() + "set mailcap %s\n" % f.name)
        term = bob.start()
        try:
            term.wait("the figures")
            term.keys("Home", "Enter")
            screen = term.wait("xylophone")
            assert "figures.bin" in screen and "not fetched" in screen, screen
            assert here(bob) < 20000, here(bob)
            eventually("search finds the text of a mail that is not all here", lambda: "the figures" in bob.run("search", "xylophone").stdout)
            with server.imap("bob") as imap:
                imap.select("INBOX", readonly=True)
                equal(imap.search(None, "UNSEEN")[1], [b""], "read because it was shown")
            term.keys("v")
            term.wait(lambda s: "Enter open" in s and "not fetched" in s)
            term.keys("s")
            term.wait("Save as")
            term.keys("Enter")
            term.wait("saved as")
            equal(open(os.path.join(out, "figures.bin"), "rb").read() == DATA, True, "the attachment saved")
            term.wait("not fetched", gone=True)
            term.keys("Enter")
            term.wait(str(len(DATA)))
            term.keys("Enter")
            term.wait("Enter open")
            term.keys("q")
            term.wait("xylophone")
            equal(len(os.listdir(os.path.join(bob.store, "mail", "work", "tmp"))), 0, "nothing half done stays")
        finally:
            term.close()
            server.close()


def test_raw_and_forward_take_the_whole_mail():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, lines="set prefetch 2\n")
        server.deliver("bob", mail("the figures", "xylophone"))
        server.deliver("bob", mail("more figures", "bassoon"))
        term = bob.start(env={"EDITOR": "true"})
        try:
            term.wait("more figures")
            eventually("the text is fetched ahead", lambda: "xylophone" in bob.run("search", "--json", "xylophone").stdout or here(bob) > 800)
            with server.imap("bob") as imap:
                imap.select("INBOX", readonly=True)
                equal(len(imap.search(None, "UNSEEN")[1][0].split()), 2, "fetching ahead reads nothing")
            assert here(bob) < 20000, here(bob)
            term.keys("Home", "f")
            term.wait("figures.bin")
            assert here(bob) > len(DATA), here(bob)
        finally:
            term.close()
            server.close()


HTML = ("From: Alice Example <alice@example.org>\nTo: Bob <bob@example.org>\nSubject: a page\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n"
        "Message-ID: <page@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\n"
        "See the page.\n--b\nContent-Type: application/x-nobody\nContent-Disposition: attachment\n\nx\n--b\nContent-Type: text/html\n"
        "Content-Disposition: attachment\n\n<p>The page.\n--b--\n")


def test_names_of_parts_that_have_none():
    """RFC 1524: nametemplate gives the viewer's file its suffix; what is offered for saving has one by its type."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        out = os.path.join(root, "out")
        os.mkdir(out)
        mailcap = os.path.join(root, "mailcap")
        with open(mailcap, "w") as f:
            f.write("application/x-nobody; nosuchviewer %s; needsterminal\n")
        bob = User(os.path.join(root, "bob"), server, lines="set download-dir %s\n" % out)
        server.deliver("bob", HTML)
        term = bob.start(cols=110, env={"MAILCAPS": os.path.join(root, "none") + ":" + mailcap})
        try:
            term.wait("a page")
            term.keys("Home", "v")
            term.wait("Enter open")
            term.keys("Enter")
            term.wait("there is no program nosuchviewer here; a line for application/x-nobody in ~/.mailcap names another")
            term.keys("j", "s")
            term.wait("Save as: %s/part-" % out)
            term.keys("Enter")
            term.wait("saved as")
            saved = os.listdir(out)
            equal([os.path.splitext(name)[1] for name in saved], [".html"])
            term.keys("s")
            term.wait("Save as")
            term.keys("Enter")
            term.wait("Overwrite the file?")
            term.keys("n")
            term.wait("Save as: ")
            term.keys("C-u")
            term.type(os.path.join(root, "nowhere", "page.html"))
            term.keys("Enter")
            term.wait("No such file or directory. Loo")
            term.keys("|")
            term.type("nosuchpipe -x")
            term.keys("Enter")
            term.wait("[Enter]")
            term.keys("Enter")
            term.wait("there is no program nosuchpipe here")
            show = os.path.join(root, "show")
            with open(show, "w") as f:
                f.write("#!/bin/sh\necho \"opened ${1##*/}\"\nread line\n")
            os.chmod(show, 0o755)
            with open(mailcap, "w") as f:
                f.write("text/html; %s %%s; needsterminal; nametemplate=%%s.xhtml\n" % show)
            term.keys("Enter")
            term.wait(lambda s: "opened part-" in s and ".xhtml" in s)
            term.keys("Enter")
            term.wait("Enter open")
        finally:
            term.close()
            server.close()


if __name__ == "__main__":
    tap.run(globals())
