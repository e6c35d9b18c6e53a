#!/usr/bin/env python3
"""libexec/send against a real Dovecot submission server, which relays to its own LMTP."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import channel  # noqa: E402
import dovecot  # noqa: E402
import tap  # noqa: E402

ERR = channel.error_kinds()


@contextlib.contextmanager
def server(**options):
    with tap.directory() as d, contextlib.closing(dovecot.Server(os.path.join(d, "dovecot"), **options)) as s:
        s.top = d
        yield s


def deliver(s, mail, rcpts, sender="alice@example.org", url="smtps", secret="secret", extra=""):
    """One run of the program: the refused recipients, the outcome and its text."""
    port = s.info["submissions" if url == "smtps" else "submission"]
    conf = ("account work imaps://alice@localhost:%d\nset -a work send %s://alice@localhost:%d\nset -a work tls-ca-file %s\n%s"
            % (s.info["imaps"], url, port, s.info["ca"], extra))
    with open(os.path.join(s.top, "mail"), "wb") as f:
        f.write(mail)
    with channel.running("send", s.top, conf, secret=secret) as p, open(os.path.join(s.top, "mail"), "rb") as f:
        assert p.seen[-1].sandbox
        p.send("DELIVER", fd=f.fileno(), sender=sender, rcpts="\n".join(rcpts))
        got = p.until("DELIVER_DONE")
        done = got.pop()
        tap.equal([m.service for m in p.seen if m.name == "SECRET_ASK"], [1])
    return [m.rcpt.decode() for m in got if m.name == "RCPT_REFUSED"], done.kind, done.text.decode()


def inbox(s, user, count):
    """The bodies of the INBOX once `count` mails are in."""
    for _ in range(200):
        with s.imap(user) as imap:
            imap.select("INBOX", readonly=True)
            numbers = imap.search(None, "ALL")[1][0].split()
            if len(numbers) >= count:
                return [imap.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]
        time.sleep(0.05)
    raise AssertionError("only %d mails for %s" % (len(numbers), user))


def story(url):
    with server() as s:
        mail = b"From: alice@example.org\nTo: bob@example.org\nBcc: carol@example.org\nSubject: one\n\n.\n..\nMAIL FROM:<x@x>\n.\r.\r\nend"
        tap.equal(deliver(s, mail, ["bob@example.org", "carol@example.org"], url=url), ([], 0, ""))
        for user in ("bob", "carol"):
            got = inbox(s, user, 1)
            tap.equal(len(got), 1)
            head, body = got[0].split(b"\r\n\r\n", 1)
            tap.equal(body, b".\r\n..\r\nMAIL FROM:<x@x>\r\n.\r\n.\r\nend\r\n")
            assert b"\r\nBcc:" not in head and b"carol@example.org" not in head.split(b"From: alice")[1], head
        # THREATS 148: one refused, nobody gets it
        refused, kind, text = deliver(s, mail, ["bob@example.org", "nobody@example.org"], url=url)
        tap.equal((refused, kind), (["nobody@example.org"], ERR["RECIPIENT"]))
        tap.contains(text, "no such user")
        tap.equal(len(inbox(s, "bob", 1)), 1)
        # a wrong password, an address that would be a command
        tap.equal(deliver(s, mail, ["bob@example.org"], url=url, secret="wrong")[1], ERR["AUTH"])
        tap.equal(deliver(s, mail, ["bob@example.org>\rRCPT TO:<carol@example.org"], url=url)[1], ERR["RECIPIENT"])
        tap.equal(len(inbox(s, "bob", 1)), 1)


def test_implicit_tls():
    story("smtps")


def test_starttls():
    story("smtp")


def test_mechanisms():
    for mechanism in ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"):
        with server(mechanisms=mechanism) as s:
            tap.equal(deliver(s, b"Subject: x\n\nx\n", ["bob@example.org"]), ([], 0, ""), mechanism)


def test_large():
    with server() as s:
        mail = b"Subject: large\r\n\r\n" + b"".join(b"%076d\r\n" % i for i in range(100000))
        tap.equal(deliver(s, mail, ["bob@example.org"]), ([], 0, ""))
        assert inbox(s, "bob", 1)[0].endswith(mail.split(b"\r\n\r\n")[1])


def test_nobody_there():
    with server() as s:
        s.stop()
        tap.equal(deliver(s, b"Subject: x\n\nx\n", ["bob@example.org"])[1], ERR["CONNECT"])


if __name__ == "__main__":
    tap.run(globals())
