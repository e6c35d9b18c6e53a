#!/usr/bin/env python3
"""`tuimail fetch` and `tuimail send` against servers that stall, flood and lie: each ends in a word within its deadlines, and no
password goes over an open line, into an error, a log or a file (THREATS 1-7, 20, 27-33, 55, 78, 79, 151)."""
import base64
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import tap
from listener import Listener
from user import User

SECRET = "s3cr3tPw"
PLAIN = [base64.b64encode(x).decode().rstrip("=") for x in (SECRET.encode(), b"\0alice\0" + SECRET.encode())]
LIMIT = 90  # seconds; a bound, not an expectation: five times `timeout` and a start


class Liar(Listener):
    """Greets, then answers each verb by bytes ({tag} is replaced) or by a function of (connection, line)."""

    def __init__(self, greeting, answers):
        self.greeting, self.answers, self.heard, self.ended = greeting, answers, bytearray(), threading.Event()
        super().__init__()

    def say(self, conn, what, line=""):
        tag = line.split(" ")[0].encode()
        if callable(what):
            what(self, conn, line)
        else:
            conn.sendall(what.replace(b"{tag}", tag).replace(b"{line}", line.encode()))

    def talk(self, conn):
        with conn, conn.makefile("rb") as lines:
            self.say(conn, self.greeting)
            for raw in lines:
                self.heard += raw
                line = raw.decode("latin-1").strip()
                words = line.upper().split(" ")
                verb = next((w for w in words[1::-1] if w in self.answers), "")
                self.say(conn, self.answers[verb], line)

    def close(self):
        self.ended.set()
        super().close()


def hush(liar, conn, line):
    liar.ended.wait()


def drip(data, every=0.3):
    def say(liar, conn, line):
        while not liar.ended.wait(every):
            conn.sendall(data)
    return say


def flood(data, first=b""):
    def say(liar, conn, line):
        conn.sendall(first)
        while not liar.ended.is_set():
            conn.sendall(data)
    return say


ROWS = b"".join(b"* %d FETCH (UID %d FLAGS () RFC822.SIZE 9 BODY[HEADER.FIELDS (DATE)] {12}\r\nSubject: x\r\n)\r\n" % (i, i) for i in (1, 2, 3))
# 256 MiB of answers are the cap: of small ones alone that many take a minute
ENDLESS = b"* 1 FETCH (FLAGS ())\r\n* 1 FETCH (UID 1 FLAGS () BODY[HEADER.FIELDS (DATE)] {4000}\r\nSubject: " + b"x" * 3989 + b"\r\n)\r\n"
CAPS = b"* CAPABILITY IMAP4rev1 STARTTLS\r\n{tag} OK\r\n"
UNTRUSTED = b"* %s \x1b[31mcall 0900 now\r\n"


def imap(greeting=b"* OK [CAPABILITY IMAP4rev1] hi\r\n", **answers):
    base = {"LIST": b'* LIST () "/" INBOX\r\n{tag} OK\r\n', "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n{tag} OK\r\n", "FETCH": ROWS + b"{tag} OK\r\n",
            "STATUS": b"* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 7 UNSEEN 1)\r\n{tag} OK\r\n",
            "SELECT": b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 4] x\r\n{tag} OK x\r\n", "": b"{tag} OK\r\n"}
    return greeting, {**base, **answers}


def pop(greeting=b"+OK hi\r\n", **answers):
    base = {"CAPA": b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\n.\r\n", "STAT": b"+OK 2 200\r\n", "UIDL": b"+OK\r\n1 a\r\n2 b\r\n.\r\n", "LIST": b"+OK\r\n1 100\r\n2 100\r\n.\r\n",
            "RETR": b"+OK\r\nSubject: x\r\n\r\nx\r\n.\r\n", "": b"+OK\r\n"}
    return greeting, {**base, **answers}


def smtp(greeting=b"220 hi\r\n", **answers):
    base = {"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", "AUTH": b"235 ok\r\n", "DATA": b"354 go\r\n", "": b"250 ok\r\n"}
    return greeting, {**base, **answers}


# protocol, STARTTLS wanted, dialogue, what the user reads ("" anything)
STALLS = {
    "imap silence": ("imap", False, imap(hush), "no answer in time"),
    "imap drip": ("imap", False, imap(drip(b"*")), "no answer in time"),
    "imap endless greeting": ("imap", False, imap(flood(b"x" * 65536)), "a line of more than"),
    "imap endless lines": ("imap", False, imap(flood(b"* OK x\r\n" * 8000, b"* OK [CAPABILITY IMAP4rev1] x\r\n")), "do not end"),
    "imap lines for ever": ("imap", False, imap(LOGIN=drip(b"* OK still here\r\n")), "no answer in time"),
    "imap list for ever": ("imap", False, imap(LIST=drip(b'* LIST () "/" box\r\n')), "no answer in time"),
    "imap fetch for ever": ("imap", False, imap(FETCH=drip(b"* 1 FETCH (FLAGS ())\r\n")), "no answer in time"),
    "imap endless fetch": ("imap", False, imap(FETCH=flood(ENDLESS * 20)), "do not end"),
    "imap literal": ("imap", False, imap(FETCH=b"* 1 FETCH (UID 1 BODY[] {4294967295}\r\n"), "more than"),
    "imap depth": ("imap", False, imap(FETCH=b"* 1 FETCH (BODYSTRUCTURE " + b"(" * 900000 + b"\r\n{tag} OK\r\n"), ""),
    "imap wrong tag": ("imap", False, imap(LOGIN=b"zz9 OK\r\n"), "no answer in time"),
    "pop silence": ("pop3", False, pop(hush), "no answer in time"),
    "pop drip": ("pop3", False, pop(drip(b"+")), "no answer in time"),
    "pop endless uidl": ("pop3", False, pop(UIDL=flood(b"1 a\r\n" * 8000, b"+OK\r\n")), "does not end"),
    "pop uidl for ever": ("pop3", False, pop(UIDL=drip(b"+OK\r\n")), ""),
    "pop retr drip": ("pop3", False, pop(RETR=drip(b"+OK\r\n")), "no answer in time"),
    "pop count": ("pop3", False, pop(STAT=b"+OK 4294967295 1\r\n"), "too many"),
    "smtp silence": ("smtp", False, smtp(hush), "no answer in time"),
    "smtp drip": ("smtp", False, smtp(drip(b"2")), "no answer in time"),
    "smtp endless reply": ("smtp", False, smtp(EHLO=flood(b"250-x\r\n" * 4000)), "without end"),
}
SECRETS = {
    "imap stripped": ("imap", True, imap(), "STARTTLS"),
    "imap refused": ("imap", True, imap(b"* OK x\r\n", CAPABILITY=CAPS, STARTTLS=b"{tag} NO\r\n"), "STARTTLS"),
    "imap injected": ("imap", True, imap(b"* OK x\r\n", CAPABILITY=CAPS, STARTTLS=b"{tag} OK\r\n* CAPABILITY AUTH=PLAIN\r\n"), "plain text"),
    "imap preauth": ("imap", True, imap(b"* PREAUTH [CAPABILITY IMAP4rev1] x\r\n"), "before any encryption"),
    "imap alert before tls": ("imap", True, imap(UNTRUSTED % b"OK [ALERT]", CAPABILITY=CAPS, STARTTLS=b"{tag} NO\r\n"), "STARTTLS"),
    "imap bye before tls": ("imap", True, imap(UNTRUSTED % b"BYE"), "sends us away: \""),
    "imap no login": ("imap", False, imap(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x\r\n", CAPABILITY=b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n{tag} OK\r\n"), "no login"),
    "pop stripped": ("pop3", True, pop(STLS=b"-ERR what?\r\n"), "STLS"),
    "pop refused": ("pop3", True, pop(CAPA=b"+OK\r\nSTLS\r\n.\r\n", STLS=b"-ERR no\r\n"), "no"),
    "pop injected": ("pop3", True, pop(CAPA=b"+OK\r\nSTLS\r\n.\r\n", STLS=b"+OK\r\n+OK in\r\n"), "plain text"),
    "smtp stripped": ("smtp", True, smtp(), "STARTTLS"),
    "smtp injected": ("smtp", True, smtp(EHLO=b"250-x\r\n250 STARTTLS\r\n", STARTTLS=b"220 go\r\n250 AUTH PLAIN\r\n"), "plain text"),
    "imap echo": ("imap", False, imap(LOGIN=b"{tag} NO bad: {line}\r\n"), "***"),
    "imap echo sasl": ("imap", False, imap(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n", AUTHENTICATE=b"{tag} NO bad: {line}\r\n"), "***"),
    "pop echo": ("pop3", False, pop(PASS=b"-ERR bad: {line}\r\n"), "***"),
    "smtp echo": ("smtp", False, smtp(AUTH=b"535 5.7.8 bad: {line}\r\n"), "***"),
}


def one(root, name, case):
    """None, or what was wrong."""
    protocol, encrypted, (greeting, answers), want = case
    liar = Liar(greeting, answers)
    user = User(os.path.join(root, name.replace(" ", "-")))
    with open(user.password, "w") as f:
        f.write(SECRET + "\n")
    sends = protocol == "smtp"
    rc = ("account work maildir:%s/md\nset -a work from a@example.org\nset -a work send smtp://alice@127.0.0.1:%d\nset -a work send-password-file %s\n"
          "set undo-send 0\n" % (user.root, liar.port, user.password) if sends else
          "account work %s://alice@127.0.0.1:%d\nset -a work password-file %s\n" % (protocol, liar.port, user.password))
    user.write_rc(rc + ("" if encrypted else "set -a work tls none\n") + "set timeout 5\nset connect-timeout 5\nset log-level debug\n")
    try:
        if sends:
            done = user.run("send", "-t", stdin="From: a@example.org\nTo: x@example.org\nSubject: s\n\nx\n", timeout=LIMIT)
        else:
            done = user.run("fetch", timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return "%s: still there after %d s" % (name, LIMIT)
    finally:
        liar.close()
    said = done.stdout + done.stderr
    if want not in said:
        return "%s: status %d, no %r in %r" % (name, done.returncode, want, said)
    # THREATS 7: what is said before TLS is anybody's word: in quotes and clean, or not at all
    if "\x1b" in said or ("0900" in said and "\"" not in said.split("call 0900")[0]):
        return "%s: the server's words as they came: %r" % (name, said)
    if protocol == "imap" and "work" not in said:
        return "%s: which account is it? %r" % (name, said)
    for word in [SECRET] + PLAIN:
        if encrypted and word.encode() in liar.heard:
            return "%s: the password went over the open line" % name
        if word in said:
            return "%s: the password is in the words: %r" % (name, said)
        held = subprocess.run(["grep", "-rlaF", word, user.root], capture_output=True, text=True).stdout.split()
        if [path for path in held if path != user.password]:
            return "%s: the password is in %s" % (name, held)
    for word in ("AddressSanitizer", "runtime error", "signal SEGV", "signal ABRT"):
        if word in user.logs():
            return "%s: %s" % (name, user.logs())
    return None


def every(cases):
    with tap.directory() as root, ThreadPoolExecutor(6) as pool:
        wrong = [w for w in pool.map(lambda name: one(root, name, cases[name]), cases) if w]
        tap.equal(wrong, [])


def test_no_server_holds_us():
    every(STALLS)


def test_no_server_gets_or_shows_a_password():
    every(SECRETS)


if __name__ == "__main__":
    tap.run(globals())
