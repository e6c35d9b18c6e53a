#!/usr/bin/env python3
"""The whole story on real parts: mail arrives, is found, read, answered and archived, over IMAP and over POP3."""
import os
import subprocess
import time

import tap
from dovecot import Server
from tap import TUIMAIL, contains, equal
from term import Terminal


def message(subject, body="Hello.\n", sender="Alice Example <alice@example.org>", extra=""):
    return ("From: %s\nTo: Bob <bob@example.org>\nSubject: %s\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n"
            "Message-ID: <%s@example.org>\n%s\n%s" % (sender, subject, "".join(c for c in subject if c.isalnum()), extra, body))


class User:
    """A user with an empty home and a tuimailrc; commands run as that user would run them."""

    def __init__(self, root, server, user="bob", protocol="imaps", more=""):
        self.root = root
        for d in ("home", "run"):
            os.makedirs(os.path.join(root, d), mode=0o700, exist_ok=True)
        self.rc = os.path.join(root, "tuimailrc")
        password = os.path.join(root, "password")
        with open(password, "w") as f:
            f.write(server.info["password"] + "\n")
        os.chmod(password, 0o600)
        with open(self.rc, "w") as f:
            f.write("account work %s://%s@localhost:%d\n" % (protocol, user, server.info[protocol]))
            f.write("set -a work tls-ca-file %s\n" % server.info["ca"])
            f.write("set -a work password-file %s\n" % password)
            f.write('set -a work from "Bob Example <%s@example.org>"\n' % user)
            f.write("set -a work send smtps://%s@localhost:%d\n" % (user, server.info["submissions"]))
            f.write(more)
        os.chmod(self.rc, 0o600)
        self.env = {"HOME": os.path.join(root, "home"), "XDG_RUNTIME_DIR": os.path.join(root, "run"),
                    "XDG_CONFIG_HOME": os.path.join(root, "home", ".config"), "XDG_DATA_HOME": os.path.join(root, "home", ".data"),
                    "LC_ALL": "C.UTF-8", "EDITOR": "true"}

    def command(self, *args, stdin=None, status=0):
        done = subprocess.run((TUIMAIL, "-c", self.rc) + args, input=stdin, capture_output=True, text=True,
                              env=dict(os.environ, **self.env), timeout=120)
        if status is not None and done.returncode != status:
            raise AssertionError("tuimail %s: status %d\n%s%s" % (" ".join(args), done.returncode, done.stdout, done.stderr))
        return done.stdout

    def start(self, cols=80, rows=24, env=None):
        return Terminal([TUIMAIL, "-c", self.rc], cols, rows, env=dict(self.env, **(env or {})))


def eventually(what, test, timeout=20):
    deadline = time.monotonic() + timeout
    while not test():
        if time.monotonic() > deadline:
            raise AssertionError("in %d s it did not happen that " % timeout + what)
        time.sleep(0.1)


def editor(root, text):
    """An $EDITOR that keeps the headers and writes `text` as the body."""
    path = os.path.join(root, "editor")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nsed -n '/^$/q;p' \"$1\" > \"$1.new\"\nprintf '\\n%%s\\n' '%s' >> \"$1.new\"\nmv \"$1.new\" \"$1\"\n" % text)
    os.chmod(path, 0o755)
    return path


def story(protocol):
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol=protocol)
        for i in range(3):
            server.deliver("bob", message("number %d" % i))
        out = bob.command("fetch", "--json")
        contains(out, "work")
        server.deliver("bob", message("the budget", "The word is xylophone.\n"))
        term = bob.start()
        try:
            term.wait("the budget")
            term.keys("Home", "Enter")
            term.wait("xylophone")
            term.keys("q")
            # search
            eventually("search finds the word", lambda: "the budget" in bob.command("search", "xylophone", status=None))
            term.type("/")
            term.type("subject:budget")
            term.keys("Enter")
            term.wait(lambda s: "the budget" in s and "number 1" not in s)
            term.keys("q")
            term.wait("number 1")
        finally:
            term.close()
        # reply: delivered to alice
        term = bob.start(env={"EDITOR": editor(root, "Thank you.")})
        try:
            term.wait("the budget")
            term.keys("Home", "r")
            term.wait("Thank you.")
            term.keys("y")
            eventually("the reply reaches alice", lambda: "Re: the budget" in server.subjects("alice", "INBOX"), 40)
            if protocol == "imaps":
                eventually("the Sent copy is on the server", lambda: "Re: the budget" in server.subjects("bob", "Sent"))
                # flag, archive and undo, seen by another client
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
                # what another client does shows here
                server.deliver("bob", message("from the phone"))
                term.wait("from the phone")
            else:
                equal(len(server.subjects("bob", "INBOX")), 4, "POP3 keeps the mail on the server")
                term.keys("Home", "a")
                term.wait(lambda s: "archived" in s)
        finally:
            term.close()
        server.close()


def test_story_imap():
    story("imaps")


def test_story_pop3():
    story("pop3s")


if __name__ == "__main__":
    tap.run(globals())
