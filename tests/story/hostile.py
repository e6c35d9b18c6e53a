#!/usr/bin/env python3
"""The worst mail there is, on a real server, read in the real ui: what reaches the terminal is parsed here, and only
sequences of an allow-list may come (THREATS 94-111, 115-122). With TUIMAIL_HOSTILE=all the whole corpus is read."""
import base64
import fcntl
import glob
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import tap
from dovecot import Server
from tap import TUIMAIL, equal
from user import User, eventually

# What the ui may say to a terminal: colours, cursor, erasing, scrolling, modes, status query (pace.h); OSC 8 for links of known schemes.
CSI = re.compile(rb"(\d+(;\d+)*)?[mHGdABCDJKXLMP@rSTbf]|\??\d+(;\d+)*[hl]|\?\d+\$p|>\d*(;\d+)*[mqc]|\d+ q|2[23];\d;\d+t|[>=?]?\d*u|c|5n")
ESC2 = re.compile(rb"[()][B0A]|[=>78MHc]|\\")
OSC = re.compile(rb"8;[^;]*;((https?|mailto|ftp|news|gopher|xmpp|tel|sip|irc):[\x21-\x7e]*)?|[02];[^\x00-\x1f\x7f]*|104")
BAD_TEXT = re.compile("[\x00-\x06\x0b\x0c\x10-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
TITLES = (b"tuimail",)


def foreign(data):
    """What in a terminal's input no allow-list knows: [(offset, bytes)]. Empty is the only good answer."""
    found, text, i = [], bytearray(), 0
    while i < len(data):
        c = data[i]
        if c != 0x1b:
            text.append(c)
            i += 1
            continue
        rest = data[i + 1:i + 2]
        if rest == b"[":
            m = re.compile(rb"[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]").match(data, i + 2)
            if not m or not CSI.fullmatch(m[0]):
                found.append((i, data[i:i + 40]))
            i = m.end() if m else i + 2
        elif rest == b"]":
            m = re.compile(rb"([^\x07\x1b]*)(\x07|\x1b\\)").match(data, i + 2)
            if not m or not OSC.fullmatch(m[1]) or (m[1][:1] in b"02" and not any(t in m[1] for t in TITLES)):
                found.append((i, data[i:i + 60]))
            i = m.end() if m else i + 2
        else:
            m = ESC2.match(data, i + 1)
            if not m:
                found.append((i, data[i:i + 40]))
            i = m.end() if m else i + 1
    try:
        shown = text.decode("utf-8")
    except UnicodeDecodeError as e:
        return found + [(e.start, bytes(text[max(0, e.start - 20):e.end + 20]))]
    return found + [(m.start(), shown[max(0, m.start() - 20):m.end() + 20]) for m in BAD_TEXT.finditer(shown)]


ESCAPES = ("\x1b]0;owned\x07 \x1b]52;c;cm0gLXJm\x07 \x1b[31m \x9b31m \x1bP+q\x1b\\ \x1b_x\x1b\\ \x1b[6n \x1b[21t \x07\x08\x7f\x0e\x00 "
           "\u202e\u2066\u2069\u200f\U000e0041\u2028 \r\x1b[2J \x85\x90\x9d0;t\x9c ")


def head(subject, extra="", sender="Eve <eve@example.org>", ident=None):
    return ("From: %s\nTo: bob@example.org\nSubject: %s\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <%s@x>\n%s"
            % (sender, subject, ident or base64.b32encode(os.urandom(10)).decode(), extra))


def encoded(text, charset="utf-8"):
    return "=?%s?B?%s?=" % (charset, base64.b64encode(text.encode(charset, "replace")).decode())


def nested(depth):
    out = "MIME-Version: 1.0\n"
    for i in range(depth):
        out += "Content-Type: multipart/mixed; boundary=\"b%d\"\n\n--b%d\n" % (i, i)
    return out + "Content-Type: text/plain\n\ndeepest\n"


def worst():
    """[(name, bytes)]: one of each kind."""
    e, mails = ESCAPES, []

    def add(name, text):
        mails.append((name, text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")))
    text = "MIME-Version: 1.0\nContent-Type: text/plain; charset=%s\nContent-Transfer-Encoding: %s\n"
    add("escapes-raw", head("raw " + e.replace("\r", ""), text % ("utf-8", "8bit")) + "\n" + e * 20)
    add("escapes-latin1", (head("latin", text % ("iso-8859-1", "8bit")) + "\n").encode() + bytes(range(1, 256)) * 8)
    add("escapes-b64", head("b64", text % ("utf-8", "base64")) + "\n" + base64.encodebytes(e.encode() * 9).decode())
    add("escapes-qp", head("qp", text % ("iso-8859-1", "quoted-printable")) + "\n" + "".join("=%02X" % i for i in range(256)) * 3)
    add("escapes-2047", head(encoded(e), "", encoded(e + "Eve") + " <eve@example.org>") + "\nx\n")
    add("escapes-2047-latin1", head("=?iso-8859-1?Q?=9B31m=1B]0;x=07=00=0A=0D?=", "", "=?iso-8859-1?Q?=9B31m=1B]52;c;x=07?= <a@b>") + "\nx\n")
    add("escapes-address", head("addr", "Cc: \"\x1b]0;x\x07\" <\"\x1b[31m\"@\x9bexample.org>\nReply-To: \x1b]0;x\x07@x\n") + "\nx\n")
    add("escapes-ids", head("ids", "List-Id: \x1b]0;x\x07 <l\x1b[31m.example.org>\nReferences: <\x1b]0;x\x07@y>\nX-Label: \x1b[31m\n") + "\nx\n")
    add("escapes-html", head("html", "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n") + "\n<title>&#27;]0;x&#7;</title><p>&#27;[31m &#155;31m "
        "&#x202e; &#7; <a href=\"javascript:&#27;]0;\">x</a> <a href=\"http://x/&#27;]8;;&#7;\">y</a><a href='http://a/\u202e\x1b[1m'>z</a>" + e)
    add("escapes-names", head("names", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n") + "\n--b\nContent-Type: application/x\x1b]0;x\x07; name=\"\x1b]0;x\x07"
        "\u202etxt.exe\"\nContent-Disposition: attachment; filename*=utf-8''%1B%5D0%3Bx%07%C2%9B31m%E2%80%AEfdp.exe\nContent-Description: \x1b[31m\n\nx\n--b\n"
        "Content-Type: text/plain; charset=\"\x1b]0;x\x07\"\n\nx\n--b\nContent-Type: image/png; name==?utf-8?B?G10wO3gH?=\nContent-ID: <\x1b[1m>\n\nx\n--b--\n")
    add("escapes-calendar", head("cal", "MIME-Version: 1.0\nContent-Type: text/calendar; method=REQUEST\n") + "\nBEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:\x1b]0;x\x07\n"
        "LOCATION:\x9b31m\x1b[31m\nDTSTART:\x1b[1m\nORGANIZER;CN=\x1b[5m:mailto:\x1b]0;x\x07\nEND:VEVENT\nEND:VCALENDAR\n")
    add("escapes-bounce", head("bounce", "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n") + "\n--b\n\n\x1b]0;x\x07\n--b\n"
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; \x1b[31m\n\nFinal-Recipient: rfc822; \x1b]0;x\x07@x\nAction: failed\nStatus: 5.\x1b[1m\n"
        "Diagnostic-Code: smtp; \x1b]52;c;x\x07\n--b--\n")
    add("escapes-pgp", head("pgp") + "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: \x1b]0;x\x07\n\n\x1b[31mtext\n-----BEGIN PGP SIGNATURE-----\n\n\x1b[31m\n-----END PGP SIGNATURE-----\n")
    add("escapes-rfc822", head("fwd", "MIME-Version: 1.0\nContent-Type: message/rfc822\n") + "\nFrom: \x1b]0;x\x07\nSubject: =?utf-8?Q?=1B]0;x=07?=\n\n\x1b[31m\n")
    add("escapes-dmarc", head("auth", "Authentication-Results: \x1b]0;x\x07; dmarc=pass header.from=\x1b[31m\n") + "\nx\n")
    add("huge-field", head("huge", "X-Huge: " + "a" * 3000000 + "\n") + "\nx\n")
    add("huge-subject", head("S" * 1000000) + "\nx\n")
    add("many-fields", head("many", "".join("X-%d: y\n" % i for i in range(100000))) + "\nx\n")
    add("many-folds", head("folds", "X-F: a" + "\n b" * 200000 + "\n") + "\nx\n")
    add("many-recipients", head("rcpts", "Cc: " + ", ".join("u%d@example.org" % i for i in range(50000)) + "\n") + "\nx\n")
    add("semicolons", head("semi", "Cc: " + "a:;" * 100000 + ";" * 100000 + "\n") + "\nx\n")
    add("groups", head("groups", "To: " + "a:" * 50000 + "\nCc: " + "<" * 50000 + "\nBcc: " + "(" * 50000 + "\n") + "\nx\n")
    add("words", head("=?utf-8?Q?a?= " * 20000 + "=?utf-8?Q?=?utf-8?Q?x?=") + "\nx\n")
    add("words-odd", head("=?utf-8?B?4oI=?= =?utf-8?B?rA==?= =?nothing?Q?=FF?= =?utf-7?Q?+AD4-?= =?utf-8?Q?unended") + "\nx\n")
    add("parts", head("parts", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n") + "\n" + "--b\n\nx\n" * 50000 + "--b--\n")
    add("levels", head("levels", nested(5000)))
    add("one-boundary", head("one", "MIME-Version: 1.0\n") + "Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 3000)
    add("rfc822-chain", head("chain", "MIME-Version: 1.0\n") + "Content-Type: message/rfc822\n\n" * 5000)
    for i, b in enumerate(('"\\""', '""', "", '" b "', "a" * 100000, '"\x00"')):
        add("boundary%d" % i, head("boundary %d" % i, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=%s\n" % b) + "\n--b\n\nx\n--b--\n")
    add("rfc2231", head("2231", "MIME-Version: 1.0\nContent-Type: text/plain" + "".join(";\n name*%d*=utf-8''%%1B" % (i * 3 % 50000) for i in range(20000)) + "\n") + "\nx\n")
    add("b64-garbage", head("garbage", text % ("utf-8", "base64")) + "\n" + "!@#$%=" * 50000 + "\n")
    add("qp-garbage", head("qp garbage", text % ("utf-8", "quoted-printable")) + "\n" + "=" * 100000 + "=ZZ=\n")
    add("uu", head("uu") + "\nbegin 644 ../../etc/\x1b]0;x\x07\n" + "M" * 70 + "\n#\n")
    for charset in ("utf-7", "iso-2022-jp", "x-unknown", "gb18030", "\x1b[31m", "utf-16", "hz-gb-2312", "big5"):
        add("charset", (head("charset", text % (charset, "8bit")) + "\n+AD4-+ABs-[31m \x1b$B$3 ~{<:~ ").encode() + bytes(range(128, 256)) + b"\xff\xfe\x1b\x00[3\x001\x00m\x00")
    add("nul", head("n\x00ul", "X\x00Y: \x00\n", "a\x00b <e\x00@x>") + "\n\x00\x00\x00text\x00\n")
    add("bare-cr", head("cr").replace("\n", "\r") + "\r\rbody\rFrom x\r\r\n\r\n\x1a")
    add("no-head", "\n\n\x1b]0;x\x07no header\n")
    add("empty", "")
    add("binary", bytes(i * 37 % 256 for i in range(200000)))
    add("raw-8bit", head("x", "").encode() + b"Comments: \xff\xfe\x9b31m\nX-N: \xc3(\n\n\xe2\x28\xa1\xed\xa0\x80\xf4\x90\x80\x80\n")
    add("same-id", head("same one", ident="same") + "\none\n")
    add("same-id-2", head("same two \x1b[31m", ident="same") + "\ntwo\n")
    add("long-id", head("long id", "In-Reply-To: <" + "i" * 100000 + ">\n", ident="../../" + "i" * 3000) + "\nx\n")
    add("references", head("refs", "References: " + " ".join("<r%d@x>" % (i % 7000) for i in range(20000)) + "\n") + "\nx\n")
    for date in ("", "Sun, 31 Dec 99999 99:99:99 +9999", "(" * 5000, "Thu, 1 Jan 1970 00:00:00 -9999", "\x1b]0;x\x07"):
        add("date", re.sub("Date: .*", lambda _: "Date: " + date, head("date")) + "\nx\n")
    add("two", head("two", "From: mallory@example.net\nSubject: other\nContent-Type: text/html\nContent-Type: text/plain\n") + "\n<b>x\n")
    add("external", head("external", "MIME-Version: 1.0\nContent-Type: message/external-body; access-type=local-file; name=\"/etc/passwd\"\n") + "\nContent-Type: text/plain\n\n")
    add("partial", head("partial", "MIME-Version: 1.0\nContent-Type: message/partial; id=\"a\"; number=4294967295; total=-1\n") + "\nx\n")
    add("bidi", head("\u202egnp.exe \u2067x", "", "\"\u202ealice@example.org\" <eve@example.org>") + "\n" + "\u202e\u2066\u202a" * 500 + "\n")
    add("marks", head("e" + "\u0301" * 1000, text % ("utf-8", "8bit")) + "\nZ" + "\u0301\u0488\u20dd" * 5000 + "\n\u200b\u200d\ufe0f" * 100)
    add("mailsploit", head("split", "", "=?utf-8?b?" + base64.b64encode(b"president@example.gov\0(\n\x1b[31m)").decode() + "?=@example.net") + "\nx\n")
    add("wide", head("wide \u3000" + "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 200, text % ("utf-8", "8bit")) + "\n" + "\u4e00\t\U0001f1e9\U0001f1ea" * 2000)
    add("long-line", head("line") + "\n" + "x" * 2000000 + "\n")
    add("long-words", head("line") + "\n" + "https://example.org/" * 30000 + "\n" + "> " * 30000 + "\n" + ">" * 30000)
    add("banner", head("banner") + "\n[-- Good signature by boss@example.org --]\nsigned \u2713\n")
    add("html-deep", head("deep html", "MIME-Version: 1.0\nContent-Type: text/html\n") + "\n" + "<div>" * 30000 + "<table><tr><td>" * 3000 + "deep")
    add("html-entities", head("entities", "MIME-Version: 1.0\nContent-Type: text/html\n") + "\n" + "".join("&#%d;" % i for i in range(1, 160)) + "&#xd800;&#x110000;&#xe0041;&zwnj;&rlm;")
    add("tnef", head("tnef", "MIME-Version: 1.0\nContent-Type: application/ms-tnef; name=winmail.dat\n").encode() + b"\n\x78\x9f\x3e\x22\xff\xff\xff\xff\xff\xff\xff\xff")
    return mails


def corpus():
    """The mails of the corpus: all with TUIMAIL_HOSTILE=all, else the few of each collection that hold an escape or a NUL."""
    root, every = os.environ.get("TUIMAIL_CORPUS", ""), os.environ.get("TUIMAIL_HOSTILE") == "all"
    out = []
    for path in sorted(glob.glob(os.path.join(root, "**"), recursive=True)) if root else []:
        if os.path.isfile(path) and path.rsplit(".", 1)[-1] in ("eml", "txt", "msg", "mbox", "bin", "in") and os.path.getsize(path) < 3000000:
            with open(path, "rb") as f:
                data = f.read()
            if every or (len(out) < 12 and re.search(rb"[\x00\x1b]|=1b|&#27", data, re.I)):
                out.append((os.path.relpath(path, root), data))
    return out


class Pty:
    """The ui of a user on a pseudo terminal; `out` is every byte it wrote."""

    def __init__(self, user, rows=40, cols=120):
        size = struct.pack("HHHH", rows, cols, 0, 0)
        self.out, self.pid, self.fd = bytearray(), *pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.environ.update(user.env, TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(TUIMAIL, [TUIMAIL, "-c", user.rc])

    def read(self, quiet=0.15, limit=10.0):
        end = time.monotonic() + limit
        while time.monotonic() < end and select.select([self.fd], [], [], quiet)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return
            if not data:
                return
            self.out += data

    def type(self, keys, quiet=0.15):
        os.write(self.fd, keys)
        self.read(quiet)

    def wait(self, want, limit=60):
        start = len(self.out)
        eventually("%r is on the terminal" % want, lambda: self.read(0.05, 1) or want in self.out[max(0, start - 4096):], limit)

    def end(self):
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            self.read(0.02, 0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the ui does not end")


def put(server, user, mails):
    """Straight into the server's Maildir: no delivery agent would take some of these."""
    home = os.path.join(server.dir, "home", user)
    owner = os.stat(home)
    place = os.path.join(home, "Maildir")
    for d in ("", "cur", "new", "tmp"):
        os.makedirs(os.path.join(place, d), exist_ok=True)
        os.chown(os.path.join(place, d), owner.st_uid, owner.st_gid)
    for i, (_, data) in enumerate(mails):
        path = os.path.join(place, "new", "%d.M%dP1.host" % (1700000000 + i, i))
        with open(path, "wb") as f:
            f.write(data)
        os.chown(path, owner.st_uid, owner.st_gid)


def read_all(protocol, mails):
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        bob = User(os.path.join(root, "bob"), server, protocol=protocol, lines="set confirm-quit yes\n")
        term = None
        try:
            put(server, "bob", mails)
            said = bob.run("fetch")
            if said.returncode:
                raise AssertionError("fetch: status %d\n%s%s" % (said.returncode, said.stdout, said.stderr))
            equal(foreign((said.stdout + said.stderr).encode("utf-8", "surrogateescape")), [], "what fetch wrote")
            term = Pty(bob)
            term.wait(b"INBOX")
            term.read(0.5)
            term.type(b"*\r", 1)
            for i in range(len(mails)):
                term.type(b"k", 0.2)
                if i % 4 == 0:
                    for keys in (b"\r", b"h", b" ", b"h", b"v", b"q"):
                        term.type(keys, 0.1)
                bad = [b for b in foreign(bytes(term.out)) if b[0] < len(term.out) - 64]  # the end may be half a sequence
                if bad:
                    raise AssertionError("to the terminal near message %d: %r" % (i, bad[:5]))
                if os.waitpid(term.pid, os.WNOHANG)[0]:
                    raise AssertionError("the ui ended at message %d:\n%s" % (i, bytes(term.out[-2000:])))
            term.type(b"q", 0.3)
            for keys in (b"/", b"*\r", b"q", b"=", b"\r", b"r"):
                term.type(keys, 0.5)
            equal(term.end(), 0, "exit status")
            equal(foreign(bytes(term.out)), [], "what reached the terminal")
            log = bob.logs()
            for word in ("AddressSanitizer", "runtime error", "Assertion"):
                if word in log:
                    raise AssertionError(log)
            listed = bob.run("search", "*").stdout
            equal(foreign(listed.encode("utf-8", "surrogateescape")), [], "what search wrote")
        except BaseException:
            print("\n".join("# " + ascii(line)[:300] for line in bob.logs().splitlines()[-60:]))
            raise
        finally:
            if term and os.path.exists("/proc/%d" % term.pid):
                try:
                    term.end()
                except (OSError, AssertionError):
                    pass
            server.close()


def test_the_parser_finds_what_is_foreign():
    for good in (b"\x1b[1;31mred\x1b[m\x1b(B", b"\x1b[?1049h\x1b[22;0;0t", b"\x1b]8;;http://x/\x1b\\y\x1b]8;;\x1b\\", "\u4e00\u00e9".encode()):
        equal(foreign(good), [], repr(good))
    for bad in (b"\x1b]52;c;eA==\x07", b"\x1b]0;x\x07", b"\x1b[6n", b"\x1b[21t", b"\x9b31m", b"\xc2\x9b31m", b"\x1bP+q\x1b\\", b"\x1b_x\x1b\\",
                "\u202e".encode(), b"\x00", b"\x1b[31", b"\x1b]8;;javascript:x\x1b\\"):
        if not foreign(bad):
            raise AssertionError("%r passed" % bad)


def test_hostile_mail_by_imap():
    read_all("imaps", worst() + corpus())


def test_hostile_mail_by_pop3():
    read_all("pop3s", worst() + corpus())


if __name__ == "__main__":
    tap.run(globals())
