#!/usr/bin/env python3
"""PGP in the real ui by a real gpg: verdicts of signatures, decryption, and what cannot be had (THREATS 122, 124-127)."""
import os
import subprocess

import tap
from tap import contains
from user import User

SIGNED = ('Content-Type: multipart/signed; boundary="sig"; micalg=pgp-sha256; protocol="application/pgp-signature"\n\n'
          "--sig\n%s\n--sig\nContent-Type: application/pgp-signature; name=signature.asc\n\n%s\n--sig--\n")
ENCRYPTED = ('Content-Type: multipart/encrypted; boundary="enc"; protocol="application/pgp-encrypted"\n\n'
             "--enc\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n"
             "--enc\nContent-Type: application/octet-stream; name=encrypted.asc\n\n%s\n--enc--\n")
PART = "Content-Type: text/plain; charset=utf-8\n\n%s\n"


class Gpg:
    """A key ring of the test's own; `trust` makes its keys those of the user."""

    def __init__(self, home):
        self.home = home
        os.makedirs(home, mode=0o700)

    def run(self, *args, data=""):
        done = subprocess.run(("gpg", "--homedir", self.home, "--batch", "--no-tty", "--yes", "--pinentry-mode", "loopback",
                               "--passphrase", "") + args, input=data.encode(), capture_output=True)
        if done.returncode:
            raise AssertionError("gpg %s: %s" % (args, done.stderr.decode()))
        return done.stdout.decode()

    def key(self, uid):
        self.run("--quick-gen-key", uid, "future-default", "default", "0")

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], capture_output=True)


class Mailbox:
    """A Maildir account with the mails of the test, and a key ring: the user has bob's key, and knows alice's."""

    def __init__(self, root):
        self.maildir = os.path.join(root, "Maildir")
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(self.maildir, sub))
        self.user = User(root, lines='account here maildir:%s\nset -a here from "Bob <bob@example.org>"\n' % self.maildir)
        self.mine = Gpg(os.path.join(root, "g"))
        self.other = Gpg(os.path.join(root, "o"))
        self.mine.key("Bob <bob@example.org>")
        self.mine.key("Alice Example <alice@example.org>")
        self.other.key("Carol <carol@example.org>")
        self.count = 0

    def add(self, subject, body, sender="Alice Example <alice@example.org>"):
        self.count += 1
        with open(os.path.join(self.maildir, "cur", "%d.test:2,S" % self.count), "w") as f:
            f.write("From: %s\nTo: Bob <bob@example.org>\nSubject: %s\nDate: Sun, 22 Nov 2026 10:%02d:00 +0000\n"
                    "Message-ID: <%d@example.org>\nMIME-Version: 1.0\n%s" % (sender, subject, self.count, self.count, body))

    def signed(self, text, by="alice@example.org", ring=None):
        part = (PART % text).rstrip("\n") + "\n"
        armor = (ring or self.mine).run("--armor", "-u", by, "--detach-sign", data=part.replace("\n", "\r\n").removesuffix("\r\n"))
        return SIGNED % (part.removesuffix("\n"), armor)

    def start(self):
        return self.user.start(cols=100, rows=30, env={"GNUPGHOME": self.mine.home})

    def close(self):
        self.mine.close()
        self.other.close()


def look(mails, checks):
    """mails: fills the mailbox; checks: one function of (terminal) for each mail, newest first."""
    if subprocess.run(["sh", "-c", "command -v gpg"], capture_output=True).returncode:
        tap.skip("no gpg here")
    with tap.directory() as root:
        box = Mailbox(root)
        term = None
        try:
            mails(box)
            term = box.start()
            term.wait("mail 1")
            term.keys("Home", "Enter")
            for i, check in enumerate(checks):
                if i:
                    term.keys("j")
                check(term)
        except BaseException:
            print("\n".join("# " + line for line in box.user.logs().splitlines()))
            raise
        finally:
            if term:
                term.close()
            box.close()


def test_signatures():
    def mails(box):
        box.add("mail 1", box.signed("Words of alice."))
        box.add("mail 2", box.signed("Words of alice.").replace("Words of", "Lies of"))
        box.add("mail 3", box.signed("Words of carol.", "carol@example.org", box.other), "Carol <carol@example.org>")
        box.add("mail 4", box.signed("Signed by bob.", "bob@example.org"))
        box.add("mail 5", PART % "good signature by Alice Example <alice@example.org>")

    def plain(term):
        screen = term.wait("mail 5")
        contains(term.wait(lambda s: s.count("good signature by") == 1), "mail 5")
        assert "✓" not in screen
    look(mails, [
        plain,
        lambda term: term.wait(lambda s: "Signed by bob." in s and "signed by Bob <bob@example.org>, who is not the sender" in s),
        lambda term: term.wait(lambda s: "Words of carol." in s and "is not here to verify it" in s),
        lambda term: term.wait(lambda s: "Lies of alice." in s and "BAD signature" in s),
        lambda term: term.wait(lambda s: "Words of alice." in s and "good signature by Alice Example <alice@example.org>" in s),
    ])


def test_decryption():
    def mails(box):
        secret = lambda text, *args: box.mine.run("--armor", "-r", "bob@example.org", "--trust-model", "always", *args, "--encrypt", data=text)
        both = ("-u", "alice@example.org", "--sign")
        box.add("mail 1", ENCRYPTED % secret(PART % "The secret is plum."))
        box.add("mail 2", ENCRYPTED % secret(PART % "The secret is pear.", *both))
        box.add("mail 3", PART % secret("The secret is quince.\n"))
        box.add("mail 4", PART % box.mine.run("--armor", "-u", "alice@example.org", "--clear-sign", data="Signed in the text.\n"))
        box.other.run("--import", data=box.mine.run("--armor", "--export"))
        box.add("mail 5", ENCRYPTED % box.other.run("--armor", "-r", "carol@example.org", "--trust-model", "always", "--encrypt",
                                                    data=PART % "Not for bob."))

    def decrypt(*words):
        def check(term):
            term.wait(lambda s: ":decrypt" in s or "Esc-p" in s)
            term.command("decrypt")
            screen = term.wait(lambda s: all(word in s for word in words), 30)
            if "not decrypted" not in words:
                assert "BEGIN PGP" not in screen, screen
        return check
    look(mails, [
        decrypt("not decrypted"),
        decrypt("Signed in the text.", "good signature by Alice Example"),
        decrypt("The secret is quince.", "not signed"),
        decrypt("The secret is pear.", "good signature by Alice Example"),
        decrypt("The secret is plum.", "not signed"),
    ])


if __name__ == "__main__":
    tap.run(globals())
