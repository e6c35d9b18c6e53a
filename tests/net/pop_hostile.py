#!/usr/bin/env python3
"""POP3 servers that lie, lose, refuse and change their mind, against the whole program (THREATS 6, 18, 75 to 85, 88, 90 to 93), and what a good one
can: a session that begins in one flight, every way of login, UTF8, LANG, EXPIRE."""
import contextlib
import glob
import itertools
import os
import random
import sqlite3
import ssl

import tap
from auth_live import client_certificate
from pop_script import APOP, CAPS, NOT_MINE, Mail, Server, lines, stuffed
from tap import contains, equal
from user import User, eventually, message

EOL = b"\r\n"
NO_UIDL = CAPS.replace("UIDL ", "")
LOCKSTEP = CAPS.replace(" PIPELINING", "")


def mail(subject, body="Hello.\n", **more):
    return Mail(message(subject, body).replace("\n", "\r\n"), **more)


class Case:
    def __init__(self, root, messages, rc="set -a work leave keep\n", **server):
        self.server = Server(messages, os.path.join(root, "server"), **server)
        self.bob = User(os.path.join(root, "bob"), self.server, protocol="pop3" if server.get("starttls") else "pop3s", lines=rc)

    def run(self):
        """A pass. Its QUIT is not waited for where nothing was deleted."""
        done = self.bob.run("fetch")
        eventually("the line is closed", lambda: not self.server.connections)
        return done

    def fetch(self, *words, status=0):
        """A pass; its output has the words."""
        done = self.run()
        said = done.stdout + done.stderr
        for word in words:
            contains(said, word)
        equal(done.returncode, status, "status: %s\n%s" % (said, self.bob.logs()))
        return said

    def files(self):
        found = glob.glob(os.path.join(self.bob.store, "mail", "work", "[nc]e[wr]", "*")) + glob.glob(
            os.path.join(self.bob.store, "mail", "work", "cur", "*"))
        return [open(f, "rb").read() for f in sorted(set(found))]

    def here(self, *mails):
        """Each once and byte for byte, and nothing else; none is half there."""
        equal(sorted(self.files()), sorted(m.raw for m in mails), "mails here")
        equal(os.listdir(os.path.join(self.bob.store, "mail", "work", "tmp")), [], "what was begun")

    def rest(self):
        """A pass that finds nothing new and fetches nothing."""
        self.server.forget()
        self.fetch("0 new")
        equal(self.server.asked("RETR"), [], "fetched again")


@contextlib.contextmanager
def case(messages=(), **how):
    with tap.directory() as root:
        c = Case(root, messages, **how)
        try:
            yield c
        finally:
            c.server.close()


# ---- The session
def test_one_flight():
    """The second session asks for all it needs at once; new mail is there one round trip later. Over STLS nothing is said before it (THREATS 6)."""
    for starttls in (False, True):
        with case([mail("one"), mail("two")], starttls=starttls) as c:
            c.fetch("2 new")
            auth = c.server.asked("AUTH")[0]
            equal(c.server.flights, [["STLS"]] * starttls + [["CAPA"], [auth, "STAT", "LIST", "UIDL"],
                                                            ["LIST 2", "RETR 2", "LIST 1", "RETR 1", "NOOP"], ["QUIT"]])
            c.server.add(mail("three"))
            c.server.forget()
            c.fetch("1 new")
            equal(c.server.flights, [["STLS"]] * starttls + [["CAPA", auth, "STAT", "LIST", "UIDL"], ["RETR 3"], ["QUIT"]])
            equal(c.server.clear, ["STLS"] * starttls, "said without TLS")
            c.here(*c.server.maildrop)


def test_nothing_new():
    """One flight and no RETR, however much is kept there (THREATS 93)."""
    kept = [mail("m%d" % i, "x\n") for i in range(2000)]
    with case(kept) as c:
        c.fetch("2000 new")
        c.server.forget()
        c.fetch("0 new")
        equal([f[-1] for f in c.server.flights], ["UIDL", "QUIT"])
        c.here(*kept)


def test_lock_step():
    """Without PIPELINING one command waits for the answer to the other."""
    with case([mail("one"), mail("two")], caps=LOCKSTEP) as c:
        c.fetch("2 new")
        c.rest()
        equal([f for f in c.server.flights if len(f) > 1], [], "in flight")
        c.here(*c.server.maildrop)


def test_login_changes():
    """What was announced the last time is no more: noticed on the same line, and the password is not suspected."""
    with case([mail("one")], sasl="") as c:
        c.fetch("1 new")
        equal(c.server.logins, [("USER", "bob", True)])
        c.server.caps, c.server.sasl = c.server.caps.replace("USER ", ""), "SCRAM-SHA-256"
        c.server.rule("USER .*|PASS .*", b"-ERR not any more\r\n")
        c.server.add(mail("two"))
        c.server.forget()
        c.fetch("1 new")
        equal((c.server.logins, c.server.sessions), ([("SCRAM-SHA-256", "bob", True)], 1))
        c.rest()


def test_lost_behind_the_login():
    """Something on the way hangs up where a command stands behind the login: the same pass goes on with care, and the next ones know of it."""
    with case([mail("one")]) as c:
        c.fetch("1 new")

        def hang_up(m):
            conn = c.server.connections[-1]
            return None if conn.data or len(conn.flight) > 1 else NOT_MINE
        c.server.rule("AUTH .*", hang_up)
        c.server.add(mail("two"))
        c.server.forget()
        c.fetch("1 new")
        equal(c.server.sessions, 2)
        c.rest()
        equal(c.server.sessions, 1, "remembered")
        c.here(*c.server.maildrop)


def test_utf8_and_language():
    """RFC 6856, and what doctor tells of it; a reader of English asks for no language."""
    with case([mail("one")], caps=CAPS + " UTF8 LANG EXPIRE_30_USER LOGIN-DELAY_60 IMPLEMENTATION_Post-1", lang="de en") as c:
        c.server.rule("CAPA", lambda m: b"+OK\r\n" + lines("EXPIRE 90") if c.server.connections[-1].view is not None else NOT_MINE)
        c.bob.env["LC_ALL"] = "de_DE.UTF-8"
        c.fetch("1 new")
        contains(c.server.heard, "UTF8")
        contains(c.server.heard, "LANG de-DE")
        out = c.bob.command("doctor", status=None)
        contains(out, "account work: mail is kept: 90 days at least")
        contains(out, "account work: between two logins: 60 s at least")
        contains(out, "account work: server: Post-1")
    with case([mail("one")], caps=CAPS + " UTF8 LANG", lang="de en") as c:
        c.server.rule("LANG de-DE", b"+OK de Sprache gew\xc3\xa4hlt\r\n")
        c.server.rule("UTF8", b"-ERR no\r\n")
        c.bob.env["LC_ALL"] = "de_DE.UTF-8"
        out = c.bob.command("doctor", status=None)
        contains(out, "account work: server: language de")
    with case([mail("one")], caps=CAPS + " LANG") as c:
        c.bob.env["LC_ALL"] = "en_US.UTF-8"
        c.fetch("1 new")
        equal(c.server.asked("LANG"), [])


# ---- Login
def test_every_login():
    """Each way a server may offer, of those it offers the best one, with the right and with a wrong password; then in the flight of a second session."""
    ways = (("PLAIN", "PLAIN LOGIN CRAM-MD5"), ("LOGIN", "LOGIN"), ("CRAM-MD5", "CRAM-MD5"), ("SCRAM-SHA-256", "PLAIN SCRAM-SHA-256"), ("USER", ""))
    for way, offered in ways:
        with case([mail("one")], sasl=offered) as c:
            c.fetch("1 new")
            c.rest()
            equal(c.server.logins, [(way, "bob", True)])
            c.server.password = "another"
            c.server.forget()
            c.fetch(status=77)
            equal(c.server.logins, [(way, "bob", False)], "one try")


def test_apop():
    """Only where nothing better is offered, and never for a challenge that is no message id (THREATS 18)."""
    caps = CAPS.replace("USER ", "")
    with case([mail("one")], sasl="", caps=caps, greeting=b"+OK hello " + APOP + EOL) as c:
        c.fetch("1 new")
        equal(c.server.logins, [("APOP", "bob", True)])
    for bait in (b"<a@b", b"<no-at-sign>", b"<\xe9@h>", b"<a b@h>", b"<@h>", b"<a@>", b"<a\x01@h>"):
        with case([mail("one")], sasl="", caps=caps, greeting=b"+OK " + bait + EOL) as c:
            c.fetch("no login that is safe", status=77)
            equal(c.server.asked("APOP|USER|PASS|AUTH"), [], bait)
    with case([mail("one")], sasl="CRAM-MD5", caps=caps) as c:
        c.server.rule("AUTH CRAM-MD5", lambda m: c.server.connections[-1].ask(b"challenge") and NOT_MINE)
        c.fetch("no message id", status=76)
        equal([x for x in c.server.heard if x not in ("CAPA", "*")], ["AUTH CRAM-MD5"], "answered")


def test_channel_binding():
    """SCRAM-SHA-256-PLUS under TLS 1.2, of which the test's server knows a binding; a PLUS that is a lie is left for plain SCRAM."""
    with case([mail("one")], sasl="PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS") as c:
        c.server.context.maximum_version = ssl.TLSVersion.TLSv1_2
        c.fetch("1 new")
        equal(c.server.logins, [("SCRAM-SHA-256-PLUS", "bob", True)])
        c.rest()


def test_tokens():
    """XOAUTH2 and OAUTHBEARER: a token that the server refuses with a challenge of its own is asked for once more, and no more (RFC 7628)."""
    for way in ("XOAUTH2", "OAUTHBEARER"):
        with case([mail("one")], sasl="PLAIN " + way, token="t" * 300) as c:
            path = os.path.join(c.bob.root, "token")
            rc = open(c.bob.rc).read().replace("set -a work password-file %s\n" % c.bob.password, "")
            c.bob.write_rc(rc + 'set -a work token-command "cat %s"\n' % path)

            def token(text):
                with open(path, "w") as f:
                    f.write(text + "\n")
            token("t" * 300)
            c.fetch("1 new")
            token("stale")
            c.server.forget()
            said = c.fetch("token-command of work", "invalid_token", status=77)
            equal(c.server.logins, [(way, "bob", False)] * 2)
            assert "stale" not in said, said
            token("t" * 300)
            c.rest()
            equal(c.server.logins, [(way, "bob", True)])


def test_certificate():
    with case([mail("one")], sasl="PLAIN EXTERNAL") as c:
        rc = open(c.bob.rc).read().replace("set -a work password-file %s\n" % c.bob.password, "")
        c.bob.write_rc(rc + client_certificate(c.server))
        c.server.context.verify_mode = ssl.CERT_REQUIRED
        c.server.context.load_verify_locations(c.server.info["ca"])
        c.fetch("1 new")
        equal(c.server.logins, [("EXTERNAL", "bob", True)])
        c.rest()


def test_busy():
    """A locked maildrop, a server that wants patience: no wrong password; told, and tried again by itself (THREATS 90)."""
    for code, words in ((b"[IN-USE] locked", "another session has the mailbox open"), (b"[LOGIN-DELAY] wait", "more time between two logins"),
                        (b"[SYS/TEMP] database", "passing trouble"), (b"[SYS/TEMP/DISK] x", "passing trouble")):
        with case([mail("one")]) as c:
            c.server.once("AUTH .*", b"-ERR " + code + EOL)
            c.fetch(words, status=75)
            c.fetch("1 new")
    with case([mail("one")]) as c:
        c.server.rule("AUTH .*", b"-ERR [SYS/PERM] the account is closed\r\n")
        c.fetch("administrator", "the account is closed", status=69)
        equal(c.server.sessions, 1)
    with case([mail("the mail behind the lock")]) as c:
        c.server.once("AUTH .*", b"-ERR [IN-USE] locked\r\n")
        with c.bob.at_screen() as term:
            term.wait("the mail behind the lock", timeout=60)
            assert "assword" not in term.screen()
        equal([right for _, _, right in c.server.logins], [True])


def test_password_changes():
    """Changed on the server while we run: asked once, not again and again; the right one, given in the meantime, serves."""
    with case([mail("before")], rc="set -a work interval 10s\nset -a work leave keep\n") as c:
        with c.bob.at_screen() as term:
            term.wait("before")
            c.server.password = "changed"
            c.server.add(mail("after"))
            c.server.forget()
            term.command("fetch")
            eventually("the login is refused", lambda: c.server.logins)
            term.wait("invalid login")
            with open(c.bob.password, "w") as f:
                f.write("changed\n")
            term.command("fetch")
            term.wait("after")
            equal([right for _, _, right in c.server.logins], [False, True], "tries")
    with case([mail("before")], rc="set -a work interval 10s\nset -a work leave keep\n") as c:  # the same with one that is typed
        c.bob.write_rc(open(c.bob.rc).read().replace("set -a work password-file %s\n" % c.bob.password, ""))
        with c.bob.at_screen() as term:
            def answer(text):
                term.wait("password of work")
                term.type(text)
                term.keys("Enter")
            answer("wrong")
            term.wait("refused")
            answer("secret")
            term.wait("before")
            c.server.password = "changed"
            c.server.add(mail("after"))
            term.command("fetch")
            answer("changed")
            term.wait("after")
            equal([right for _, _, right in c.server.logins], [False, True, False, True], "tries")


# ---- Lists that lie
def test_no_uidl():
    """Ids are made from header and size, by TOP or where that is missing too by RETR; equal mails are told apart (THREATS 75)."""
    for caps in (NO_UIDL, NO_UIDL.replace("TOP ", ""), NO_UIDL.replace(" PIPELINING", "")):
        twin = mail("twin")
        mails = [mail("one"), twin, Mail(twin.raw), mail("two", ".\n..\n")]
        with case(mails, caps=caps) as c:
            c.fetch("4 new")
            c.fetch("0 new")
            c.server.add(mail("three"))
            c.fetch("1 new")
            c.here(*c.server.maildrop)
    with case([mail("one"), mail("two")], caps=NO_UIDL, rc="set -a work leave delete\n") as c:
        all_of_them = list(c.server.maildrop)
        c.fetch("2 new")
        equal(c.server.maildrop, [])
        c.here(*all_of_them)


def test_odd_uidls():
    """As data, never as a path, whatever their bytes and length (THREATS 76, 77)."""
    odd = [b"/../../../etc/passwd", b"..", b"a b c", b"$(touch x)`;'\"\\", b"\xff\xfe\x80", b"\x01\x1b[2J", b"same", b"same", b"x" * 2000,
           b"x" * 1999 + b"y", b"new/1.x.y:2,S"]
    mails = [mail("odd %d" % i, uidl=u) for i, u in enumerate(odd)]
    with case(mails) as c:
        c.server.maildrop[5].uidl = b""
        c.fetch("%d new" % len(mails))
        c.here(*mails)
        c.rest()
        random.Random(4).shuffle(c.server.maildrop)  # numbers mean nothing in the next session (THREATS 91)
        c.server.maildrop = [m for m in c.server.maildrop if m.uidl != b"same"] + [m for m in c.server.maildrop if m.uidl == b"same"]
        c.rest()
    with case([mail("one", uidl=b"u" * (10 << 20)), mail("two")]) as c:  # longer than any line may be
        c.run()
        c.here()


def test_lists_disagree():
    """Numbers outside of STAT's count, twice, zero, over 2^32, sizes that are none: what is sure is fetched (THREATS 78)."""
    with case([mail("one"), mail("two"), mail("three")]) as c:
        ids = [m.uidl for m in c.server.maildrop]
        c.server.rule("LIST", b"+OK\r\n0 1\r\n4294967295 7\r\n4294967297 7\r\n2 99999999999999999999999\r\n2 -1\r\nx y\r\n\r\n3\r\n.\r\n")
        c.server.rule("UIDL", b"+OK\r\n0 zero\r\n4294967295 far\r\n4294967297 one\r\n1 " + ids[0] + b"\r\n1 again\r\n2 " + ids[1] +
                      b"\r\n4 four\r\n50000000 f\r\n-1 f\r\n.\r\n")
        c.fetch("3 new")  # the id of the third is made by hash
        c.here(*c.server.maildrop)
        c.rest()
    for stat in (b"+OK 4294967297 1\r\n", b"+OK -1 3\r\n", b"+OK many\r\n", b"+OK\r\n"):
        with case([mail("one")]) as c:
            c.server.rule("STAT", stat)
            c.fetch("localhost", status=65 if b"4294967297" in stat else 76)
            c.here()
    with case([mail("one"), mail("two")]) as c:  # fewer than it has; more than it has
        c.server.once("STAT", b"+OK 1 1\r\n")
        c.fetch("1 new")
        c.here(c.server.maildrop[0])
        c.server.once("STAT", b"+OK 5 1\r\n")
        c.fetch("1 new")
        c.here(*c.server.maildrop)
        c.rest()


def test_endless_lists():
    """LIST and UIDL without end (THREATS 79)."""
    for verb in ("LIST", "UIDL"):
        with case([mail("one")]) as c:
            c.server.rule(verb, lambda m: itertools.chain([b"+OK\r\n"], itertools.repeat(b"1 1\r\n" * 1000)))
            c.fetch(verb + " does not end", status=65)
            c.here()


# ---- Messages
def test_cut():
    """The line ends in the status, in a line, behind a dot, before the final dot, with FIN or with RST: nothing half is here, and the next pass
    brings each mail once (THREATS 80)."""
    second = mail("second", "..dots\n.\nend\n")
    whole = b"+OK %d octets\r\n" % len(second.raw) + stuffed(second.raw) + b".\r\n"
    places = (2, whole.index(b"Subject") + 3, whole.index(b"...dots") + 1, whole.index(b"\r\n..\r\n") + 3, len(whole) - 5, len(whole) - 3, len(whole) - 2, len(whole) - 1)
    for reset in (False, True):
        with case([mail("first"), second, mail("third")]) as c:
            for at in places:
                c.server.cut("RETR 2", at, reset)
                c.fetch("connection", status=75)
                assert second.raw not in c.files(), "%d bytes" % at
            c.fetch("new")
            c.here(*c.server.maildrop)
            c.rest()


def test_one_refused():
    """-ERR for one: the others come, that one stays there, in lock step and in a window (THREATS 81)."""
    for caps in (CAPS, LOCKSTEP):
        with case([mail("one"), mail("two"), mail("three")], caps=caps, rc="set -a work leave delete\n") as c:
            first, second, third = c.server.maildrop
            c.server.once("RETR 2", b"-ERR disk trouble\r\n")
            c.fetch("1 message could not be fetched", status=69)
            equal(c.server.maildrop, [second])
            c.fetch("1 new")
            equal(c.server.maildrop, [])
            c.here(first, second, third)


def test_passing_trouble_with_one():
    """However often it could not be had because of a server's trouble that passes or of a full disk, it is fetched by itself once it can be; what
    the server will never give is asked for by hand alone."""
    for code, comes in ((b"[SYS/TEMP] backend", True), (b"no", False)):
        with case([mail("first one"), mail("second one")]) as c:
            c.server.once("RETR 2", b"-ERR " + code + EOL)
            c.run()
            eventually("all programs have ended", lambda: not c.bob.programs())
            with contextlib.closing(sqlite3.connect(os.path.join(c.bob.store, "state", "work", "keep.db"))) as db:
                equal(db.execute("UPDATE uidl SET failures = 9 WHERE failures > 0").rowcount, 1)
                db.commit()
            c.server.forget()
            with c.bob.at_screen() as term:
                term.wait("first one")
                eventually("a pass has ended", lambda: "QUIT" in c.server.heard)
                equal(c.server.asked("RETR"), ["RETR 2"] * comes)
                term.command("fetch")
                term.wait("second one")


def test_endless_message():
    """One without end and without line ends, and one that is longer than it says: dropped, the others come (THREATS 82)."""
    with case([mail("one"), mail("lie"), mail("two")], rc="set -a work leave keep\nset -a work max-size 100k\n") as c:
        c.server.rule("RETR 2", lambda m: itertools.chain([b"+OK\r\nSubject: lie\r\n\r\n"], itertools.repeat(b"x" * 65536)))
        for _ in range(3):
            c.run()
        kept = [c.server.maildrop[0], c.server.maildrop[2]]
        c.here(*kept)
        c.server.rules = []
        c.server.rule("RETR 2", b"+OK\r\nSubject: long\r\n\r\n" + b"line\r\n" * 50000 + b".\r\n")
        c.run()
        c.here(*kept)


def test_bytes():
    """As served: dots, no end of line, LF alone, nothing but a header or a body, NUL, bare CR, 8 bit; whole and in small pieces (THREATS 83, 84, 85)."""
    raws = [b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n.\r\n", b"", b"Subject: header only\r\n", b"\r\nbody only\r\n", b"\r\n", b".\r\n",
            b"Subject: nul\r\n\r\na\0b\rc\r\n\xff\xfe\x80\r\n", b"Subject: bare LF\n\nline\n.\nline\r\n", b"Subject: long\r\n\r\n" + b"y" * 200000 + b"\r\n"]
    for pieces in (False, True):
        mails = [Mail(r) for r in raws]
        with case(mails) as c:
            if pieces:
                def slices(m):
                    raw = c.server.maildrop[int(m[1]) - 1].raw
                    whole = b"+OK\r\n" + stuffed(raw) + b".\r\n"
                    return (whole[i:i + 1] for i in range(len(whole))) if len(whole) < 500 else (whole[i:i + 4099] for i in range(0, len(whole), 4099))
                c.server.rule(r"RETR (\d+)", slices)
            c.fetch("%d new" % len(mails))
            c.here(*mails)
            c.rest()


def test_lost_commands():
    """A window of which a command is lost: no mail stands under the id of another, so none is deleted that is not here; the next pass goes step by
    step (THREATS 92)."""
    for lost in ("RETR 3", "LIST 3", "RETR 2"):
        mails = [mail("number %d" % i) for i in range(1, 6)]  # all of one length
        with case(mails, rc="set -a work leave delete\n") as c:
            c.server.once(lost, b"")
            c.fetch("pipelining is not trusted", status=76)
            gone = [m for m in mails if m not in c.server.maildrop]
            assert all(m.raw in c.files() for m in gone), "a mail was deleted that is not here"
            c.server.forget()
            c.fetch("new")
            equal([f for f in c.server.flights if len(f) > 1], [], "in flight")
            equal(c.server.maildrop, [])
            c.here(*mails)
            if lost == "RETR 3":
                contains(c.bob.command("doctor", status=None), "account work: server: commands one by one, as it lost some in flight")


def test_silent_commands():
    """A server that announces PIPELINING and drops what came behind the first command of a segment: slow once, then step by step (THREATS 92)."""
    with case([mail("one"), mail("two"), mail("three")], rc="set -a work leave keep\nset timeout 5\n", lossy=True) as c:
        for _ in range(3):
            c.run()
        c.fetch("0 new")
        c.here(*c.server.maildrop)


def test_dele_refused():
    """Told; the mail is not fetched again, and not asked to go for ever (THREATS 88)."""
    with case([mail("one"), mail("two")], rc="set -a work leave delete\n") as c:
        both = list(c.server.maildrop)
        c.server.rule("DELE 1", b"-ERR not yours\r\n")
        c.run()
        equal(c.server.maildrop, both[:1])
        c.server.forget()
        c.run()
        equal(c.server.asked("RETR"), [], "fetched again")
        c.here(*both)


def test_numbers_shift():
    """Another client took and added mail between two sessions: what is deleted is what is here (THREATS 91)."""
    with case([mail("one"), mail("two"), mail("three")], rc="set -a work leave delete\n") as c:
        old = list(c.server.maildrop)
        c.server.once("QUIT", None)  # nothing of this session is committed (THREATS 87)
        c.run()
        c.here(*old)
        fresh = [mail("four"), mail("five")]
        c.server.maildrop = [fresh[0], old[2], fresh[1], old[0]]
        c.server.forget()
        c.fetch("2 new")
        equal(sorted(c.server.asked("RETR")), ["RETR 1", "RETR 3"])
        equal(c.server.maildrop, [])
        c.here(*old, *fresh)


def test_ids_used_again():
    """The id of a message that was deleted is that of the next one, as RFC 1939 7 lets it be, with as many bytes: that is fetched before it goes."""
    for caps in (CAPS, LOCKSTEP, CAPS.replace("TOP ", "")):
        with case([mail("one", uidl=b"1"), mail("two", uidl=b"2")], rc="set -a work leave delete\n", caps=caps) as c:
            first = list(c.server.maildrop)
            c.fetch("2 new", "2 removed")
            fresh = [mail("six", uidl=b"1"), mail("ten", uidl=b"2")]
            c.server.add(*fresh)
            c.fetch("2 new", "2 removed")
            c.here(*first, *fresh)
            equal(c.server.maildrop, [])


def aged(c, days):
    """As if that time had gone since the ledger's last word."""
    eventually("tuimail has ended", lambda: not c.bob.programs())
    with contextlib.closing(sqlite3.connect(os.path.join(c.bob.store, "state", "work", "keep.db"))) as db, db:
        db.execute("UPDATE uidl SET delivered=delivered-?,checked=max(0,checked-?)", (days * 86400, days * 86400))


def test_ids_used_between_passes():
    """Another client deletes a mail, and the server gives its id to the next one, of as many bytes, before a pass sees either: what leave would delete is
    looked at before, and fetched. By TOP; where that is refused or not there, by RETR; where TOP says something else than RETR, that is believed."""
    mute = ("TOP .*", b"-ERR no headers today\r\n")
    for caps, rules, looks in ((CAPS, [], 3), (LOCKSTEP, [], 3), (CAPS.replace("TOP ", ""), [], 0), (CAPS, [mute], 3), (CAPS, "else", 3)):
        with case([mail("one", uidl=b"1"), mail("two", uidl=b"2"), mail("six", uidl=b"3")], rc="set -a work leave days\n", caps=caps) as c:
            for rule in [("TOP .*", lambda m: b"+OK\r\nX-Seen: by TOP\r\n\r\n.\r\n")] if rules == "else" else rules:
                c.server.rule(*rule)
            first = list(c.server.maildrop)
            c.fetch("3 new")
            aged(c, 15)
            ten = mail("ten", uidl=b"2")
            equal(ten.size, first[1].size)
            c.server.maildrop[1] = ten
            c.server.forget()
            c.fetch("1 new", "2 removed")
            equal(len(c.server.asked("TOP")), looks)
            c.here(*first, ten)
            equal(c.server.maildrop, [ten])
            c.rest()
            aged(c, 15)
            c.fetch("0 new", "1 removed")
            c.here(*first, ten)


def test_ids_used_among_kept():
    """The same where all is kept: at once where the server's order shows it, the newest within a day, the others in time; never more often."""
    one, two, six = mails = [mail("one", uidl=b"1"), mail("two", uidl=b"2"), mail("six", uidl=b"3")]
    with case(mails) as c:
        c.fetch("3 new")
        ten = mail("ten", uidl=b"1")
        c.server.maildrop[:] = [two, six, ten]
        c.fetch("1 new")
        c.here(*mails, ten)
        c.rest()
        equal(c.server.asked("TOP"), [])
        new = mail("new", uidl=b"1")
        c.server.maildrop[2] = new
        c.rest()
        aged(c, 1)
        c.fetch("1 new")
        c.here(*mails, ten, new)
        c.rest()
        equal(c.server.asked("TOP"), [])
        aged(c, 1)
        c.rest()
        equal(sorted(c.server.asked("TOP")), ["TOP 1 0", "TOP 2 0", "TOP 3 0"])
        c.rest()
        equal(c.server.asked("TOP"), [])


if __name__ == "__main__":
    tap.run(globals())
