#!/usr/bin/env python3
"""Messages by parts: libexec/fetch against a real Dovecot behind a counting proxy, and against servers that lie about parts."""
import base64
import contextlib
import email
import os
import random
import re
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import channel  # noqa: E402
import dovecot  # noqa: E402
import tap  # noqa: E402
import imap_hostile  # noqa: E402
import imap_live  # noqa: E402
from listener import Listener  # noqa: E402
from imap_live import PLAIN, select, session, with_body  # noqa: E402

ERR = channel.error_kinds()
HEAD = ("From: Alice Example <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 14:02:00 +0100\r\n"
        "Message-ID: <%s@example.org>\r\nMIME-Version: 1.0\r\n")
PLAIN_TEXT = "Dear Bob,\r\n\r\nthe figures are attached.\r\n"


def noise(n, seed=1):
    return random.Random(seed).randbytes(n)


def encoded(data):
    return "".join(line + "\r\n" for line in base64.encodebytes(data).decode().splitlines())


def part(kind, body, *more):
    return "Content-Type: %s\r\n%s\r\n%s\r\n" % (kind, "".join(m + "\r\n" for m in more), body)


def multipart(boundary, *parts):
    return "".join("--%s\r\n%s" % (boundary, p) for p in parts) + "--%s--\r\n" % boundary


def mixed(subject, *parts, kind="mixed"):
    return (HEAD % (subject, subject) + "Content-Type: multipart/%s; boundary=\"outer\"\r\n\r\n" % kind + multipart("outer", *parts)).encode()


def attachment(data, name="slides.pdf", kind="application/pdf"):
    return part('%s; name="%s"' % (kind, name), encoded(data), "Content-Transfer-Encoding: base64",
                'Content-Disposition: attachment; filename="%s"' % name)


def alternative(plain, html):
    return 'Content-Type: multipart/alternative; boundary="inner"\r\n\r\n' + multipart(
        "inner", part("text/plain; charset=utf-8", plain), part("text/html; charset=utf-8", html)) + "\r\n"


class Absent:
    def __init__(self, data):
        lines = data.decode().splitlines()
        self.bytes = int(lines[0]) if lines else 0
        self.parts = {f[0]: (int(f[1]), int(f[2]), int(f[3])) for f in (x.split(" ") for x in lines[1:])}


def file_of(p, at):
    return open(os.path.join(p.root, "mail", "work", at.path.decode()), "rb").read()


def body(p, uid, want="", wrong=0, urgent=1, **fields):
    got = p.do("STEP_BODY", box=1, uid=uid, msg=uid, urgent=urgent, **({"want": wrong} if wrong else {}), **fields)
    return got


def ask(p, uid, size, want="", urgent=1, path=b"", absent=b""):
    """A step to its end: (BODY_BEGUN messages, BODY_AT or None, DONE)."""
    step = p.begin("STEP_BODY", box=1, uid=uid, msg=uid, urgent=urgent, size=size, want=want, path=path, absent=absent)
    got = p.until("DONE", step=step)
    at = [m for m in got if m.name == "BODY_AT"]
    return [m for m in got if m.name == "BODY_BEGUN"], at[0] if at else None, got[-1]


def leaves(data):
    return [m for m in email.message_from_bytes(data).walk() if not m.is_multipart()]


BIG = noise(1500000)
MAIL = mixed("big", alternative(PLAIN_TEXT, "<p>figures</p>" * 3000), attachment(BIG), part("text/plain", "the end\r\n"))


def large_mail_by_parts(binary, **server):
    with session(count=0, **server) as p:
        with_body(p.server, MAIL)
        select(p)
        # the text, without what is large
        begun, at, done = ask(p, 1, len(MAIL))
        tap.equal(done.kind, 0, done.text)
        data, absent = file_of(p, at), Absent(at.absent)
        tap.equal((sorted(absent.parts), absent.bytes, at.attachments), (["1.2", "2"], len(data), 2))
        assert at.bytes < 12000 and len(data) < 4000, (at.bytes, len(data))
        got = leaves(data)
        tap.equal([(m.get_content_type(), m.get_payload(decode=True)) for m in got],
                  [("text/plain", PLAIN_TEXT.encode()), ("text/html", b""), ("application/pdf", b""), ("text/plain", b"the end\r\n")])
        tap.equal(got[2].get_filename(), "slides.pdf")
        tap.equal(data[:data.index(b"\r\n\r\n")], MAIL[:MAIL.index(b"\r\n\r\n")], "the header of the message")
        for head, start, _ in absent.parts.values():
            assert data[head:].startswith(b"Content-Type: ") and data[start - 4:start] == b"\r\n\r\n" and data[start:start + 4] == b"\r\n--"
        # one screen came first: what followed the attachment needed a second round trip
        tap.equal([m.all for m in begun], [0, 1])
        first = os.read(begun[0].fd, 100000)
        assert PLAIN_TEXT.encode() in first and b"the end" not in first, first
        tap.equal((os.pread(begun[1].fd, 100000, 0), begun[1].absent), (data, at.absent))
        for m in begun:
            os.close(m.fd)
        # the attachment into the same file
        _, at2, done = ask(p, 1, len(MAIL), want="2", path=at.path, absent=at.absent)
        tap.equal(done.kind, 0, done.text)
        tap.equal(at2.path, at.path)
        data, absent = file_of(p, at2), Absent(at2.absent)
        tap.equal((sorted(absent.parts), absent.bytes), (["1.2"], len(data)))
        tap.equal(leaves(data)[2].get_payload(decode=True) == BIG, True, "the attachment")
        tap.equal((at2.bytes < len(BIG) + 1000, b"encoding: binary" in data.lower()), (binary, binary))
        _, at3, done = ask(p, 1, len(MAIL), want="1.2", path=at2.path, absent=at2.absent)
        tap.equal(done.kind, 0, done.text)
        data = file_of(p, at3)
        tap.equal(leaves(data)[1].get_payload(decode=True), b"<p>figures</p>" * 3000)
        tap.equal(leaves(data)[2].get_payload(decode=True) == BIG, True, "the attachment still")
        tap.equal(Absent(at3.absent).parts, {})
        # a list that is not of this file, a section that is none: all of it
        for want, absent in (("2", at.absent), ("../x", at3.absent)):
            _, whole, done = ask(p, 1, len(MAIL), want=want, path=at.path, absent=absent)
            tap.equal((done.kind, whole and whole.absent), (0, b""), done.text)
        # byte for byte
        _, at4, done = ask(p, 1, len(MAIL), want="*")
        tap.equal((done.kind, at4.absent), (0, b""), done.text)
        tap.equal(file_of(p, at4) == MAIL, True, "the message byte for byte")
        tap.equal(os.listdir(os.path.join(p.root, "mail", "work", "tmp")), [])
        with p.server.imap("alice") as imap:
            imap.select("INBOX", readonly=True)
            tap.equal(imap.fetch("1", "(FLAGS)")[1][0].count(b"Seen"), 0, "nothing of this reads the message")


def test_a_large_mail_by_parts():
    large_mail_by_parts(True)


def test_a_large_mail_by_parts_of_a_poor_server():
    large_mail_by_parts(False, imap_capability=PLAIN)


def test_what_comes_whole():
    text = HEAD % ("log", "log") + "\r\n" + "a line of a log file that is long\r\n" * 20000
    signed = mixed("signed", part("text/plain", PLAIN_TEXT), attachment(BIG[:200000]), part("application/pgp-signature", "x"),
                   kind='signed; protocol="application/pgp-signature"; micalg=pgp-sha256')
    slim = mixed("slim", part("text/plain", "0123456789\r\n" * 8000), attachment(noise(15000)))
    with session(count=0) as p:
        for mail in (text.encode(), signed, slim):
            with_body(p.server, mail)
        select(p)
        for uid, mail in enumerate((text.encode(), signed, slim), 1):
            begun, at, done = ask(p, uid, len(mail))
            tap.equal((done.kind, at.absent), (0, b""), done.text)
            tap.equal(file_of(p, at) == mail, True, "byte for byte")
            tap.equal([(m.all, m.absent) for m in begun], [(0, b""), (1, b"")])
            first = b"".join(iter(lambda: os.read(begun[0].fd, 1 << 20), b""))
            assert mail.startswith(first[:8192]) and len(first) >= 8192
            for m in begun:
                os.close(m.fd)
            # nobody waits for it: only when it is small
            tap.equal(ask(p, uid, len(mail), urgent=0)[1] is None, len(mail) > 262144)


def test_shapes_of_messages():
    odd = {
        "text behind an image": mixed("x", part("image/png", encoded(BIG[:200000]), "Content-Transfer-Encoding: base64", "Content-Disposition: inline"),
                                      part("text/plain", PLAIN_TEXT)),
        "nested": mixed("x", 'Content-Type: multipart/related; boundary="rel"\r\n\r\n' + multipart(
            "rel", alternative(PLAIN_TEXT, "<img>"), part("image/gif", encoded(BIG[:300000]), "Content-Transfer-Encoding: base64", "Content-ID: <i@x>")) + "\r\n",
            part("text/plain; charset=iso-8859-1", "gr=FC=DFe\r\n", "Content-Transfer-Encoding: quoted-printable")),
        "a long header": (HEAD % ("h", "h") + "".join("X-Trace-%d: %s\r\n" % (i, "t" * 70) for i in range(400)) +
                          "Content-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n" + multipart("outer", part("text/plain", PLAIN_TEXT), attachment(BIG[:300000]))).encode(),
        "names": mixed("x", part("text/plain", PLAIN_TEXT), part(
            "application/zip; name*0*=utf-8''gr%C3%BC; name*1*=%C3%9Fe.zip", encoded(BIG[:300000]), "Content-Transfer-Encoding: base64",
            "Content-Disposition: attachment; filename*=utf-8''gr%C3%BC%C3%9Fe%20%22x%22.zip")),
        "an enclosed message": mixed("x", part("text/plain", PLAIN_TEXT), part("message/rfc822", MAIL[:400000].decode() + "\r\n")),
        "no plain text": mixed("x", part("text/html", "<p>hello</p>"), attachment(BIG[:300000])),
        "an empty plain text": mixed("x", alternative("\r\n", "<p>hello</p>"), attachment(BIG[:300000])),
    }
    texts = {"no plain text": b"<p>hello</p>", "an empty plain text": b"<p>hello</p>"}
    with session(count=0) as p:
        for mail in odd.values():
            with_body(p.server, mail)
        select(p)
        for uid, (name, mail) in enumerate(odd.items(), 1):
            _, at, done = ask(p, uid, len(mail))
            tap.equal(done.kind, 0, "%s: %r" % (name, done.text))
            data, absent = file_of(p, at), Absent(at.absent)
            assert texts.get(name, PLAIN_TEXT.encode()) in data, (name, data[:2000])
            tap.equal(len(absent.parts), 1, name)
            assert len(data) < 60000, (name, len(data))
            tap.equal([m.get_filename() for m in email.message_from_bytes(data).walk() if m.get_filename()],
                      [m.get_filename() for m in email.message_from_bytes(mail).walk() if m.get_filename()] if name != "an enclosed message" else [], name)
            section = list(absent.parts)[0]
            _, at, done = ask(p, uid, len(mail), want=section, path=at.path, absent=at.absent)
            tap.equal(done.kind, 0, "%s: %r" % (name, done.text))
            if name != "an enclosed message":
                tap.equal([m.get_payload(decode=True) for m in leaves(file_of(p, at))], [m.get_payload(decode=True) for m in leaves(mail)], name)


def test_a_root_that_is_no_text():
    mail = (HEAD % ("fax", "fax") + "Content-Type: application/pdf; name=fax.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(BIG[:300000])).encode()
    with session(count=0) as p:
        with_body(p.server, mail)
        select(p)
        _, at, done = ask(p, 1, len(mail))
        data, absent = file_of(p, at), Absent(at.absent)
        tap.equal((done.kind, list(absent.parts), data), (0, ["1"], mail[:mail.index(b"\r\n\r\n") + 4]))
        _, at, done = ask(p, 1, len(mail), want="1", path=at.path, absent=at.absent)
        tap.equal((done.kind, file_of(p, at) == mail), (0, True), done.text)


# ---- Servers that lie about parts -----------------------------------------------------------------------------------------
COMMAND = r"UID FETCH 1 \(UID( BODYSTRUCTURE)? (BODY|BINARY)\.PEEK\[([\d.]*)\](?:<(\d+)\.(\d+)>)?\)"
BOUNDARY = '("boundary" "outer") NIL NIL NIL'
TEXT_PART = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d 3 NIL NIL NIL NIL)'
FILE_PART = '("application" "pdf" NIL NIL NIL "base64" %d NIL ("attachment" ("filename" "slides.pdf")) NIL NIL)'
LATE = mixed("late", attachment(BIG[:100000]), part("text/plain", PLAIN_TEXT * 100))  # its text is behind the first 8 KB


def server(mail, structure, sections=(), ranges=True, refuse=""):
    """A rule that serves `mail` by ranges and tells `structure` of it; sections: what BODY[n] gives, None for NIL."""
    sections = dict(sections)

    def answer(m):
        wanted, section = m[1], m[3]
        if refuse and re.search(refuse, m[0]):
            return b"{tag} BAD what is that\r\n"
        out = b"* 1 FETCH (UID 1"
        if wanted and structure is not None:
            out += b" BODYSTRUCTURE " + structure.encode("latin-1")
        data = mail if not section else sections.get(section, b"")
        if data is None:
            return out + b" BODY[%s] NIL)\r\n" % section.encode()
        if m[4] and ranges:
            data = data[int(m[4]):int(m[4]) + int(m[5])]
            return out + b" BODY[%s]<%s> {%d}\r\n%s)\r\n" % (section.encode(), m[4].encode(), len(data), data)
        return out + b" BODY[%s] {%d}\r\n%s)\r\n" % (section.encode(), len(data), data)
    return COMMAND, answer


def lies(mail, structure, size=None, caps=imap_hostile.CAPS, **rule):
    with imap_hostile.fetch(server(mail, structure, **rule), exists=1, caps=caps) as p:
        begun, at, done = ask(p, 1, len(mail) if size is None else size)
        for m in begun:
            os.close(m.fd)
        tap.equal(done.kind, 0, done.text)
        return file_of(p, at), at, p.server.heard


def test_structures_that_lie():
    late = "(%s%s \"mixed\" %s)" % (FILE_PART % len(encoded(BIG[:100000])), TEXT_PART % (len(PLAIN_TEXT) * 100), BOUNDARY)
    data, at, _ = lies(LATE, late, sections={"2": (PLAIN_TEXT * 100).encode()})
    tap.equal(leaves(data)[1].get_payload(), PLAIN_TEXT * 100, "an honest server")
    # each of these: the message as it is
    for what, structure, rule in (
            ("no structure", None, {}), ("NIL", "NIL", {}), ("an atom", "what", {}), ("deep", "(" * 60 + "\"a\"" + ")" * 60, {}),
            ("a part that is NIL", late, {"sections": {"2": None}}), ("a part that is empty", late, {"sections": {"2": b""}}),
            ("another boundary", late.replace("outer", "inner"), {"sections": {"2": b"x" * 3600}}),
            ("no sizes", late.replace(" %d" % len(encoded(BIG[:100000])), " NIL"), {}), ("no ranges", late, {"ranges": False}),
            ("BAD for the structure", late, {"refuse": "BODYSTRUCTURE"}), ("BAD for a part", late, {"refuse": r"\[2\]"}),
            ("a thousand parts", "(" + TEXT_PART % 9 * 1200 + " \"mixed\" " + BOUNDARY + ")", {})):
        data, at, _ = lies(LATE, structure, **rule)
        tap.equal((data == LATE, at.absent), (True, b""), what)


def test_sizes_that_lie():
    # THREATS 54: sizes are hints
    late = "(%s%s \"mixed\" %s)" % (FILE_PART % len(encoded(BIG[:100000])), TEXT_PART % 40, BOUNDARY)
    data, at, _ = lies(LATE, late, sections={"2": (PLAIN_TEXT * 100).encode()})
    tap.equal(leaves(data)[1].get_payload(), PLAIN_TEXT * 100, "a text larger than announced")
    for size in (1, 9000, len(LATE) - 1, len(LATE) + 1, 10 * len(LATE)):
        data, at, _ = lies(LATE, "NIL", size=size)
        tap.equal(data == LATE, True, "RFC822.SIZE %d" % size)


def test_words_of_a_structure_stay_in_their_place():
    evil = FILE_PART.replace('"slides.pdf"', "{20}\r\nx\r\n\r\n--outer\r\nA: b\"\\") % 400000
    text = PLAIN_TEXT.encode()
    mail = mixed("evil", part("text/plain", PLAIN_TEXT), attachment(BIG[:300000]))
    data, at, _ = lies(mail, "(%s%s \"mixed\" %s)" % (TEXT_PART % len(text), evil, BOUNDARY))
    tap.equal([m.get_content_type() for m in leaves(data)], ["text/plain", "application/pdf"])
    tap.equal(data.count(b"\r\n--outer"), 3)
    assert b"\r\nA: b" not in data, data


INJECTED = b"* OK [ALERT] pwned\r\n* 1 EXPUNGE\r\n* VANISHED 1:9\r\n"


def test_an_answer_that_another_one_is_written_into():
    # Dovecot 2.3 does that with what NOTIFY tells: THREATS 31, nothing of it is kept, and nothing behind it is believed
    late = LATE[:92000] + INJECTED * 8000 + LATE[92000:]
    for at in (20000, 300000):
        pattern, honest = server(late, None)
        spoilt = []

        def answer(m, at=at, honest=honest, spoilt=spoilt):
            out = honest(m)
            if m[4] and int(m[4]) <= at < int(m[4]) + int(m[5]) and len(spoilt) < 3:
                spoilt.append(m[0])
                out = out[:-15000] + b'* LIST () "/" INBOX\r\n' + out[-15000:]
            return out
        with imap_hostile.fetch((pattern, answer), exists=1) as p:
            for _ in range(3):
                _, got, done = ask(p, 1, len(late), want="*")
                tap.equal((done.kind, got), (ERR["PROTOCOL"], None), done.text)
                p.until("LOST")
                p.do("STEP_CONNECT")
                p.do("STEP_SELECT", box=1, name="INBOX")
            p.server.heard.clear()
            _, got, done = ask(p, 1, len(late), want="*")
            tap.equal((done.kind, file_of(p, got) == late, len(spoilt)), (0, True, 3), done.text)
            tap.equal([m for m in p.seen if m.name in ("ALERT", "GONE")], [], "the sender's words as the server's")
            asked = [c for c in p.server.heard if "BODY" in c]
            assert at < 65536 or "<0." not in asked[0], "what came before stays: %r" % asked


def test_a_structure_that_breaks_the_line():
    # THREATS 31: it ends behind the bytes and nobody knows where; the message comes without it on the next line
    pattern, honest = server(LATE, "NIL")

    def answer(m):
        out = honest(m)
        return out[:-3] + b' BODYSTRUCTURE ("text" "plain)\r\n' if "BODYSTRUCTURE" in m[0] else out
    with imap_hostile.fetch((pattern, answer), exists=1) as p:
        tap.equal(ask(p, 1, len(LATE))[2].kind, ERR["PROTOCOL"])
        p.until("LOST")
        p.do("STEP_CONNECT")
        p.do("STEP_SELECT", box=1, name="INBOX")
        begun, got, done = ask(p, 1, len(LATE))
        for m in begun:
            os.close(m.fd)
        tap.equal((done.kind, file_of(p, got) == LATE), (0, True), done.text)


def test_a_message_without_end():
    # THREATS 82: each piece is as long as it was asked; most of a gigabyte came another time
    def endless(m):
        data = b"x" * int(m[5])
        return b"* 1 FETCH (UID 1 BODY[]<%s> {%d}\r\n%s)\r\n" % (m[4].encode(), len(data), data)
    with imap_hostile.fetch((COMMAND, endless), exists=1) as p:
        step = p.begin("STEP_BODY", box=1, uid=1, msg=1, urgent=1, size=300000, want="*")
        tmp = os.path.join(p.root, "mail/work/tmp")
        while not os.path.isdir(tmp) or not os.listdir(tmp):
            p.receive(10)
        p.send("STEP_CANCEL", step=step)
        tap.equal(p.until("DONE", step=step)[-1].kind, ERR["CANCELED"])
        os.truncate(os.path.join(tmp, os.listdir(tmp)[0]), (1 << 30) - 1000000)
        done = ask(p, 1, 300000, want="*")[2]
        tap.equal(done.kind, ERR["LIMIT"], done.text)
        tap.equal(os.listdir(tmp), [])
        assert not [m for m in p.seen if m.name == "LOST"], "the line stays"


def test_a_message_that_went_away():
    # THREATS 52
    with imap_hostile.fetch((r"UID FETCH .*", b""), exists=1) as p:
        tap.equal(ask(p, 1, 500000)[2].kind, ERR["NO_MESSAGE"])
        tap.equal(ask(p, 1, 5000)[2].kind, ERR["NO_MESSAGE"])
        tap.equal(ask(p, 1, 500000, want="*")[2].kind, ERR["NO_MESSAGE"])
        tap.equal(os.listdir(os.path.join(p.root, "mail/work/tmp")), [])


# ---- A line that breaks ----------------------------------------------------------------------------------------------------
class Meter(Listener):
    """A proxy that counts what the server sends; at `limit` bytes it cuts the line, or holds it until `limit` is None."""

    def __init__(self, target):
        self.target, self.passed, self.limit, self.holds = target, 0, None, False
        self.changed, self.held = threading.Condition(), threading.Event()
        super().__init__()

    def talk(self, conn):
        peer = socket.create_connection(("127.0.0.1", self.target))
        threading.Thread(target=self.carry, args=(conn, peer, False), daemon=True).start()
        self.carry(peer, conn, True)

    def carry(self, source, target, counts):
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                with self.changed:
                    if counts and self.limit is not None and self.passed + len(data) > self.limit:
                        if not self.holds:
                            self.limit = None
                            break
                        self.held.set()
                        self.changed.wait_for(lambda: self.limit is None, 60)
                    self.passed += len(data) if counts else 0
                target.sendall(data)
        for s in (source, target):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def release(self):
        with self.changed:
            self.limit = None
            self.changed.notify_all()


@contextlib.contextmanager
def metered(mail, **options):
    with tap.directory() as d:
        s = dovecot.Server(os.path.join(d, "dovecot"), relay=False, **options)
        meter, programs = Meter(s.info["imaps"]), []
        conf = os.path.join(d, "rc")
        with open(conf, "w") as f:
            f.write("account work imaps://alice@localhost:%d\nset -a work tls-ca-file %s\n" % (meter.port, s.info["ca"]))
        os.chmod(conf, 0o600)

        def start():
            p = channel.Program("fetch", "-c", conf, "--store", os.path.join(d, "store"), "work", env=d)
            programs.append(p)
            p.root = os.path.join(d, "store")
            p.until("READY")
            connect(p)
            return p
        try:
            with_body(s, mail)
            yield meter, start
        finally:
            for p in programs:
                if p.process.poll() is None:
                    p.process.kill()
                    p.process.wait()
            s.close()


def connect(p):
    p.do("STEP_CONNECT")
    select(p)


LARGE = noise(9000000, 7)


def broken(how, **options):
    """The attachment of 12 MB is broken off in its middle `how`, and goes on: each byte crosses the line once."""
    mail = mixed("large", part("text/plain", PLAIN_TEXT), attachment(LARGE))
    with metered(mail, **options) as (meter, start):
        p = start()
        at = ask(p, 1, len(mail))[1]
        meter.passed, whole = 0, len(LARGE) if not options else len(encoded(LARGE))
        meter.holds, meter.limit = how != "cut", whole // 2
        step = p.begin("STEP_BODY", box=1, uid=1, msg=1, urgent=1, size=len(mail), want="2", path=at.path, absent=at.absent)
        if how == "cut":
            tap.equal(p.until("DONE", step=step)[-1].kind, ERR["LINE"])
            p.until("LOST")
        else:
            assert meter.held.wait(60)
            if how == "kill":
                p.process.kill()
                p.process.wait()
            else:
                p.send("STEP_CANCEL", step=step)
            meter.release()
        if how == "kill":
            p = start()
        elif how == "cut":
            connect(p)
        else:
            tap.equal(p.until("DONE", step=step)[-1].kind, ERR["CANCELED"])
            tap.equal([m.name for m in p.seen if m.name == "LOST"], [], "a cancel keeps the line")
        _, at2, done = ask(p, 1, len(mail), want="2", path=at.path, absent=at.absent)
        tap.equal(done.kind, 0, done.text)
        tap.equal(leaves(file_of(p, at2))[1].get_payload(decode=True) == LARGE, True, "the attachment")
        assert meter.passed < whole * 1.02 + (2 << 20), (meter.passed, whole)  # and once more the two pieces that may be under way
        tap.equal(os.listdir(os.path.join(p.root, "mail", "work", "tmp")), [])


def test_an_attachment_goes_on_after_a_lost_line():
    broken("cut")


def test_an_attachment_goes_on_after_a_lost_line_of_a_poor_server():
    broken("cut", imap_capability=PLAIN)


def test_an_attachment_goes_on_after_a_cancel():
    broken("cancel")


def test_an_attachment_goes_on_after_kill_9():
    broken("kill")


def test_the_text_of_another_mail_overtakes_an_attachment():
    mail = mixed("large", part("text/plain", PLAIN_TEXT), attachment(LARGE))
    with metered(mail) as (meter, start):
        p = start()
        at = ask(p, 1, len(mail))[1]
        meter.passed, meter.holds, meter.limit = 0, True, 1000000
        long = p.begin("STEP_BODY", box=1, uid=1, msg=1, urgent=1, size=len(mail), want="2", path=at.path, absent=at.absent)
        assert meter.held.wait(60)
        text = p.begin("STEP_BODY", box=1, uid=1, msg=1, urgent=1, size=len(mail))
        meter.release()
        got = p.until("DONE", step=text)
        assert not [m for m in got if m.name == "DONE" and m.step == long], "the attachment ended first"
        tap.equal(p.until("DONE", step=long)[-1].kind, 0)


if __name__ == "__main__":
    tap.run(globals())
