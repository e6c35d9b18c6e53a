#!/usr/bin/env python3
"""libexec/fetch against a real Dovecot by POP3: a pass with every login mechanism, bytes kept, nothing deleted too early."""
import contextlib
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import channel  # noqa: E402
import dovecot  # noqa: E402
import tap  # noqa: E402
from channel import listing, ranges  # noqa: E402

ERR = channel.error_kinds()
ODD = [
    b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n...\r\nend\r\n",
    b"Subject: header only\r\n\r\n",
    b"Subject: 8 bit\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    b"Subject: long\r\n\r\n" + b"x" * 300000 + b"\r\n",
    b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nFrom: =?utf-8?Q?B=C3=B6b?= <bob@example.org>\r\nTo: alice@example.org\r\n"
    b"Message-ID: <odd@example.org>\r\nReferences: <a@x> <b@x>\r\nDate: Sun, 22 Nov 2026 14:02:05 +0100\r\n\r\nhello\r\n",
]


@contextlib.contextmanager
def server(**options):
    with tap.directory() as d, contextlib.closing(dovecot.Server(os.path.join(d, "dovecot"), relay=False, **options)) as s:
        s.top = d
        yield s


@contextlib.contextmanager
def fetch(s, url="pop3s", secret="secret", host="localhost", extra=""):
    conf = "account home %s://alice@%s:%d\nset -a home tls-ca-file %s\n%s" % (url, host, s.info[url], s.info["ca"], extra)
    with channel.running("fetch", s.top, conf, "home", secret) as p:
        p.mail = os.path.join(p.root, "mail", "home")
        p.do("STEP_MAILDIR_SCAN", folder="*", make=1)
        yield p


def originals(s):
    with s.imap("alice") as imap:
        imap.select("INBOX", readonly=True)
        numbers = imap.search(None, "ALL")[1][0].split()
        return [imap.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in numbers]


def whole_pass(s, url):
    want = originals(s)
    with fetch(s, url) as p:
        got = p.do("STEP_CONNECT")
        tap.contains(got["ONLINE"][0].caps_text.decode(), "TLS 1.3")
        listed = listing(p.do("STEP_POP_LIST")["POP_UIDLS"])
        tap.equal([m.number for m in listed], list(range(1, len(want) + 1)))
        tap.equal([m.size for m in listed], [len(w) for w in want])
        mails = p.do("STEP_POP_RETR", numbers=ranges((1, len(want))))["DELIVERED"]
        tap.equal([m.number for m in mails], [m.number for m in listed])
        tags = [m["name"].decode().split("_t")[1] for m in mails]
        tap.equal(len(set(tags)), len({m.uidl for m in listed}), "marks of files, one for each UIDL")
        for m, w in zip(mails, want):
            path = os.path.join(p.mail, m.path.decode())
            tap.equal(open(path, "rb").read(), w)
            tap.equal(os.path.basename(path), m["name"].decode())
            tap.equal((m["size"], os.stat(path).st_mode & 0o777), (len(w), 0o600))
        tap.equal(os.listdir(os.path.join(p.mail, "tmp")), [])
        odd = [m for m in mails if m.msgid == b"odd@example.org"][0]
        tap.equal((odd.subject, odd.from_name, odd.from_addr, odd.refs), ("Grüße".encode(), "Böb".encode(), b"bob@example.org", b"a@x b@x"))
        tap.equal(odd.date, 1795352525)
        # numbers the session has not listed; a folder that is not there yet (THREATS 91)
        p.do("STEP_POP_RETR", numbers=ranges(len(want) + 1), want=ERR["NO_MESSAGE"])
        m = p.do("STEP_POP_RETR", numbers=ranges(2), folder="Lists.kernel")["DELIVERED"][0]
        assert m.path.startswith(b".Lists.kernel/new/"), m.path
        tap.equal(open(os.path.join(p.mail, m.path.decode()), "rb").read(), want[1])
        tap.equal(m["name"].decode().split("_t")[1], tags[1])
        # DELE without QUIT is not committed (THREATS 87)
        p.do("STEP_POP_DELE", numbers=ranges(1))
        p.do("STEP_CLOSE")
        p.do("STEP_CONNECT")
        again = listing(p.do("STEP_POP_LIST")["POP_UIDLS"])
        tap.equal([m.uidl for m in again], [m.uidl for m in listed])
        p.do("STEP_POP_DELE", numbers=ranges(1, 3))
        p.do("STEP_POP_QUIT")
        p.do("STEP_POP_LIST", want=ERR["OFFLINE"])
        p.do("STEP_CONNECT")
        left = listing(p.do("STEP_POP_LIST")["POP_UIDLS"])
        tap.equal([m.uidl for m in left], [m.uidl for i, m in enumerate(listed) if i not in (0, 2)])
        p.do("STEP_POP_QUIT")


def test_pass_implicit_tls():
    with server() as s:
        s.append("alice", "INBOX", ODD)
        whole_pass(s, "pop3s")


def test_pass_starttls():
    with server() as s:
        s.append("alice", "INBOX", ODD)
        whole_pass(s, "pop3")


def test_login_mechanisms():
    for mechanism in ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"):
        with server(mechanisms=mechanism) as s:
            s.deliver("alice", ODD[0])
            with fetch(s) as p:
                tap.contains(p.do("STEP_CONNECT")["ONLINE"][0].caps_text.decode().upper(), "SASL %s" % mechanism.upper())
                tap.equal(len(listing(p.do("STEP_POP_LIST")["POP_UIDLS"])), 1)
                p.do("STEP_POP_QUIT")
            with fetch(s, secret="wrong") as p:
                p.do("STEP_CONNECT", want=ERR["AUTH"])


def test_tls_verdicts():
    with server() as s:
        with fetch(s, extra="set -a home tls-pin sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n") as p:
            got = p.do("STEP_CONNECT", want=ERR["TLS_PIN"])
            text = got["DONE"].text.decode()
        pin = [w.rstrip(",") for w in text.split() if w.startswith("sha256/")][0]
        # The key that was shown, pinned by hand: no authority is needed any more.
        with fetch(s, extra='set -a home tls-ca-file ""\nset -a home tls-pin %s\n' % pin) as p:
            p.do("STEP_CONNECT")
        with fetch(s, extra='set -a home tls-ca-file ""\n') as p:
            got = p.do("STEP_CONNECT", want=ERR["TLS_UNKNOWN_CA"])
            tap.contains(got["DONE"].text.decode(), pin)


def test_many_in_a_window():
    mails = [b"Subject: %d\r\n\r\n%s" % (i, b"line of text\r\n" * (i % 50)) for i in range(400)]
    with server() as s:
        s.append("alice", "INBOX", mails)
        with fetch(s) as p:
            p.do("STEP_CONNECT")
            p.do("STEP_POP_LIST")
            got = p.do("STEP_POP_RETR", numbers=ranges((201, 400), (1, 200)))["DELIVERED"]
            tap.equal([m.number for m in got], list(range(201, 401)) + list(range(1, 201)))
            for m in got:
                tap.equal(open(os.path.join(p.mail, m.path.decode()), "rb").read(), mails[m.number - 1])
            p.do("STEP_POP_QUIT")


def test_corpus_byte_for_byte():
    files = sorted(glob.glob(os.path.join(os.environ.get("TUIMAIL_CORPUS", ""), "**", "*.eml"), recursive=True))[:150]
    if not files:
        tap.skip("no corpus ($TUIMAIL_CORPUS)")
    mails = [m for m in (open(f, "rb").read() for f in files) if len(m) < 2000000 and b"\0" not in m]
    with server() as s:
        s.append("alice", "INBOX", mails)
        want = originals(s)
        with fetch(s) as p:
            p.do("STEP_CONNECT")
            p.do("STEP_POP_LIST")
            got = p.do("STEP_POP_RETR", numbers=ranges((1, len(want))))["DELIVERED"]
            tap.equal(len(got), len(want))
            for m, w in zip(got, want):
                # RFC 1939 ends each mail with a line end, so Dovecot adds the missing one.
                tap.equal(open(os.path.join(p.mail, m.path.decode()), "rb").read(), w if w.endswith(b"\n") else w + b"\r\n", m["name"])


def test_server_gone():
    with server() as s:
        s.append("alice", "INBOX", ODD[:2])
        with fetch(s) as p:
            p.do("STEP_CONNECT")
            p.do("STEP_POP_LIST")
            p.do("STEP_CLOSE")
            s.stop()
            p.do("STEP_CONNECT", want=ERR["CONNECT"])
            s.start()
            p.do("STEP_CONNECT")
            tap.equal(len(listing(p.do("STEP_POP_LIST")["POP_UIDLS"])), 2)
            tap.equal(len(p.do("STEP_POP_RETR", numbers=ranges((1, 2)))["DELIVERED"]), 2)
            tap.equal(os.listdir(os.path.join(p.mail, "tmp")), [])


if __name__ == "__main__":
    tap.run(globals())
