#!/usr/bin/env python3
"""libexec/fetch against servers that lie: scripted dialogues no real server can be made to have. Numbers: doc/THREATS."""
import contextlib
import os
import re
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import channel  # noqa: E402
import imap_script  # noqa: E402
import tap  # noqa: E402
from channel import ranges  # noqa: E402

ERR = channel.error_kinds()
CAPS = "IMAP4rev1 LITERAL+ UIDPLUS MOVE ESEARCH"
HEADER = b"From: a@example.org\r\nSubject: s%d\r\n\r\n"


def row(seq, uid=None, flags="", extra=b""):
    header = HEADER % seq
    return b"* %d FETCH (UID %d FLAGS (%s) INTERNALDATE \"22-Nov-2026 14:02:05 +0000\" RFC822.SIZE 100 %sBODY[HEADER.FIELDS (DATE)] {%d}\r\n%s)\r\n" % (
        seq, uid or seq, flags.encode(), extra, len(header), header)


class Liar(imap_script.Dialogue):
    """By rules alone; what none answers is OK."""

    def __init__(self, rules, exists=3, caps=CAPS):
        super().__init__(list(rules) + [
            (r"LOGIN .*", b"{tag} OK [CAPABILITY %s] in\r\n" % caps.encode()),
            (r"(SELECT|EXAMINE) .*", b"* FLAGS (\\Seen)\r\n* %d EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT %d] x\r\n* OK [PERMANENTFLAGS (\\*)] x\r\n" % (exists, exists + 1)),
            (r"FETCH (\d+):(\d+) .*", lambda m: b"".join(row(i) for i in range(int(m[1]), int(m[2]) + 1))),
            (r"UID FETCH (\d+):(\d+) .*", lambda m: b"".join(row(i) for i in range(int(m[1]), min(int(m[2]), exists) + 1)))])


@contextlib.contextmanager
def fetch(*rules, server=None, **liar):
    """fetch with INBOX open on a Liar with these rules, or on `server`."""
    with tap.directory() as d, contextlib.closing(server or Liar(rules, **liar)) as server:
        conf = "account work imap://alice@127.0.0.1:%d\nset -a work tls none\nset log-level debug\nset timeout 5\n" % server.port
        with channel.running("fetch", d, conf) as p:
            p.server = server
            p.do("STEP_CONNECT")
            p.do("STEP_SELECT", box=1, name="INBOX")
            yield p


def uids(out):
    return [r.uid for r in out.get("ROW", [])]


def test_one_message_that_the_server_cannot_give():
    # THREATS 53
    def answer(m):
        lo, hi = int(m[1]), int(m[2])
        if lo <= 7 <= hi:
            return b"{tag} NO [SERVERBUG] disk\r\n"
        return b"".join(row(i) for i in range(lo, hi + 1))
    with fetch((r"FETCH (\d+):(\d+) .*", answer), exists=20) as p:
        got = p.do("STEP_ROWS_TOP", box=1, count=20)
        tap.equal(sorted(uids(got)), [u for u in range(1, 21) if u != 7])


NOTIFIES = CAPS + " IDLE NOTIFY"


def idling(*news):
    """Rules for IDLE: the first time these lines come behind the plus, later nothing."""
    left = list(news)

    def idle(_):
        return b"+ idling\r\n" + (left.pop(0) if left else b"") + b"* OK {tag} still here\r\n"
    return (r"IDLE", idle)


def notifying(*news):
    """Rules for NOTIFY and, on the connection that asked for it, IDLE with these news, one piece each time."""
    left, on = list(news), []

    def notify(_):
        on.append(threading.get_ident())  # each connection has its thread
        return b"* STATUS INBOX (MESSAGES 3 UNSEEN 0)\r\n{tag} OK x\r\n"

    def idle(_):
        return b"+ idling\r\n" + (left.pop(0) if threading.get_ident() in on and left else b"") + b"* OK {tag} still here\r\n"
    return (r"NOTIFY .*", notify), (r"IDLE", idle), (r"DONE", b"{tag} OK x\r\n")


def test_notify_is_given_up_by_the_server():
    # THREATS 62: told to the store, which asks in rounds again
    news = b"* STATUS Lists (MESSAGES 3 UNSEEN 2)\r\n* OK [NOTIFICATIONOVERFLOW] too much\r\n"
    with fetch(*notifying(news), (r"LIST .*", b'* LIST () "/" INBOX\r\n'), caps=NOTIFIES) as p:
        p.do("STEP_LIST")
        p.do("STEP_WATCH", box=1)
        p.until("PUSHED", on=1)
        told = p.until("BOX", name=b"Lists")[-1]
        tap.equal((told.total, told.unread, told.counts), (3, 2, 1))
        p.until("PUSHED", on=0)
        p.do("STEP_WATCH", box=1)
        tap.equal(len(p.server.asked("NOTIFY")), 1, "not asked again at once")


def test_notify_is_refused():
    # THREATS 62
    for answer in (b"{tag} NO [NOTIFICATIONOVERFLOW] no\r\n", b"{tag} NO [BADEVENT (MessageNew)] no\r\n", b"{tag} BAD what\r\n"):
        with fetch((r"NOTIFY .*", answer), *notifying()[1:], caps=NOTIFIES) as p:
            p.do("STEP_WATCH", box=1)
            end = time.monotonic() + 30
            while not p.server.asked("EXAMINE") and time.monotonic() < end:
                time.sleep(0.1)
            p.do("STEP_LIST")
            assert not [m for m in p.seen if m.name == "PUSHED"]
            tap.equal(len(p.server.asked("NOTIFY")), 1)


def test_counts_that_are_pushed_in_part():
    # THREATS 49: what the server leaves out of its word is asked for once, not for ever
    news = b"* STATUS Lists (MESSAGES 9 UIDNEXT 10)\r\n* STATUS Lists (UIDNEXT 10)\r\n"
    with fetch(*notifying(news), (r"STATUS .*", b"* STATUS Lists (MESSAGES 9)\r\n"), caps=NOTIFIES) as p:
        p.do("STEP_WATCH", box=1)
        told = p.until("BOX", total=9, uidnext=10)[-1]
        tap.equal((told.unread, told.modseq), (0xffffffff, 0))
        p.until("BOX", total=9, uidnext=0xffffffff)
        p.do("STEP_WATCH", box=1)
        assert 1 <= len(p.server.asked("STATUS")) <= 2, p.server.heard


def test_list_news_of_hostile_names():
    # THREATS 42
    names = b'* LIST () "/" "x\x1b]0;y\x07" ("OLDNAME" ("a\\"b"))\r\n* LIST (\\NonExistent) "/" {3}\r\na\r\n\r\n* LIST () "/" n ("OLDNAME" ())\r\n'
    with fetch(*notifying(names), caps=NOTIFIES) as p:
        p.do("STEP_WATCH", box=1)
        told = p.until("LIST_NEWS", name=b"n")
        tap.equal([(m["name"], m.old) for m in told if m.name == "LIST_NEWS"], [(b"x\x1b]0;y\x07", b'a"b'), (b"a\r\n", b""), (b"n", b"")])


def test_alert_is_shown():
    with fetch((r"UID STORE .*", b"* OK [ALERT] Maintenance \x1b]0;x\x07tonight\r\n"), idling(b"* NO [ALERT] quota soon\r\n"),
               (r"DONE", b"{tag} OK x\r\n"), caps=CAPS + " IDLE") as p:
        alert = p.do("STEP_STORE", box=1, uids=ranges(1), add=1)["ALERT"][0]
        assert b"Maintenance" in alert.text and b"\x1b" not in alert.text, alert
        p.do("STEP_WATCH", box=1)
        tap.equal(p.until("ALERT")[-1].text, b"quota soon")


def test_flags_without_a_uid():
    # THREATS 47, 51: asked for by number, in one command, with removals taken into account
    news = b"".join(b"* %d FETCH (FLAGS (\\Seen))\r\n" % i for i in (2, 5, 9)) + b"* 2 EXPUNGE\r\n"
    rules = ((r"FETCH 4,8 .*", b"* 4 FETCH (UID 50 FLAGS (\\Seen))\r\n* 8 FETCH (UID 90 FLAGS (\\Seen))\r\n"), idling(news), (r"DONE", b"{tag} OK x\r\n"))
    with fetch(*rules, caps=CAPS + " IDLE", exists=10) as p:
        p.do("STEP_WATCH", box=1)
        tap.equal(p.until("FLAGS", uid=90)[-1].flags & 1, 1)
        tap.equal([m.uid for m in p.seen if m.name == "FLAGS"], [50, 90])
    storm = b"".join(b"* %d FETCH (FLAGS (\\Seen))\r\n" % (i % 100 + 1) for i in range(100000))
    with fetch((r"FETCH 1:100 .*", b"* 7 FETCH (UID 7 FLAGS (\\Seen))\r\n"), idling(storm), (r"DONE", b"{tag} OK x\r\n"), caps=CAPS + " IDLE", exists=100) as p:
        p.do("STEP_WATCH", box=1)
        p.until("FLAGS", uid=7)
        tap.equal(p.server.asked("FETCH"), ["FETCH 1:100 (UID FLAGS)"])


def test_rows_that_are_missing_doubled_or_foreign():
    # THREATS 46, 48, 52
    lies = row(1) + row(1) + row(3, 4294967295) + row(9, 9) + b"* 0 FETCH (UID 4 FLAGS ())\r\n* 2 FETCH (FLAGS ())\r\n* 99 EXPUNGE\r\n* 0 EXPUNGE\r\n"
    with fetch((r"FETCH .*", lies)) as p:
        got = p.do("STEP_ROWS_TOP", box=1, count=3)
        tap.equal(uids(got), [1, 1, 4294967295])
        assert "GONE" not in got


def test_four_billion_messages():
    # THREATS 50, 51
    storm = b"".join(b"* %d EXISTS\r\n" % (4294967295 - i) for i in range(100000)) + b"* 4 EXISTS\r\n"
    with fetch((r"FETCH .*", row(4294967295, 5)), (r"UID STORE .*", storm), exists=4294967295) as p:
        tap.equal(uids(p.do("STEP_ROWS_TOP", box=1, count=1)), [5])
        got = p.do("STEP_STORE", box=1, uids=ranges(5), add=1)
        tap.equal([e.exists for e in got["EXISTS"]], [4], "one word for a storm")
        status = open("/proc/%d/status" % p.process.pid).read()
        assert int(re.search(r"VmHWM:\s+(\d+)", status)[1]) < 100000, status


def test_uidvalidity_changes_under_our_hands():
    # THREATS 44: nothing is done to old UIDs
    with fetch((r"UID FETCH .*", b"* OK [UIDVALIDITY 8] new\r\n")) as p:
        step = p.begin("STEP_ROWS", box=1, uid_lo=1, uid_hi=3)
        tap.equal(p.until("DONE", step=step)[-1].kind, ERR["PROTOCOL"])
        tap.equal(p.until("LOST")[-1].kind, ERR["PROTOCOL"])


def test_uidvalidity_changes_behind_a_reselect():
    # THREATS 43
    seen = []

    def select(m):
        seen.append(m)
        return b"* 1 EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n* OK [UIDNEXT 2] x\r\n" % (7 if len(seen) < 2 else 8 + len(seen))
    with fetch((r"SELECT .*", select)) as p:
        p.do("STEP_SELECT", box=2, name="Other")
        got = p.do("STEP_STORE", box=1, uids=ranges(1), add=8, want=ERR["NO_MESSAGE"])
        tap.equal(got["BOX_OPEN"][0].resync, 0)
        assert not [c for c in p.server.heard if "STORE" in c], p.server.heard


def test_body_of_another_message():
    # THREATS 52
    big = b"x" * 100000
    answer = b"* 2 FETCH (UID 2 BODY[] {%d}\r\n%s)\r\n* 3 FETCH (UID 3 BODY[] {1}\r\ny)\r\n" % (len(big), big)
    with fetch((r"UID FETCH 1 .*", answer), (r"UID FETCH 2 .*", b"* 2 FETCH (UID 2 BODY[] NIL)\r\n"),
               (r"UID FETCH 3 .*", b"* 3 FETCH (UID 3 BODY[] \"\")\r\n")) as p:
        p.do("STEP_BODY", box=1, uid=1, want=ERR["NO_MESSAGE"])
        p.do("STEP_BODY", box=1, uid=2, want=ERR["SERVER_NO"])
        at = p.do("STEP_BODY", box=1, uid=3)["BODY_AT"][0]
        tap.equal(at.bytes, 0)
        tap.equal(os.listdir(os.path.join(p.root, "mail/work/tmp")), [])


def pieces_of(message, most):
    """A rule that gives no more than `most` bytes at once."""
    def answer(m):
        at, count = int(m[2]), int(m[3])
        data = message(at, min(count, most))
        return b"* 1 FETCH (UID 1 BODY[%s]<%d> {%d}\r\n%s)\r\n" % (m[1].encode(), at, len(data), data)
    return r"UID FETCH 1 \(UID.* BODY\.PEEK\[(.*)\]<(\d+)\.(\d+)>\)", answer


def test_pieces_that_are_short():
    # THREATS 54: a size that lies is not believed to its end
    with fetch(pieces_of(lambda at, n: b"x" * n, 1)) as p:
        p.end(p.begin("STEP_BODY", box=1, uid=1, size=10**9, want="*"), ERR["SERVER_NO"])
        assert len(p.server.asked("UID FETCH")) < 40, len(p.server.asked("UID FETCH"))
    # A server may give less at once than it was asked for, and less in all than it announced.
    whole = HEADER % 1 + b"".join(b"line %07d\r\n" % i for i in range(40000))
    for announced in (len(whole), len(whole) + 10**6):
        with fetch(pieces_of(lambda at, n: whole[at:at + n], 30000)) as p:
            at = p.end(p.begin("STEP_BODY", box=1, uid=1, size=announced, want="*"))["BODY_AT"][0]
            with open(os.path.join(p.root, "mail/work", at.path.decode()), "rb") as f:
                assert f.read() == whole


def test_vanished_one_by_one():
    # THREATS 49
    gone = list(range(1, 400000, 2))
    with fetch((r"UID STORE .*", b"* VANISHED %s\r\n" % b",".join(b"%d" % u for u in gone))) as p:
        got = p.do("STEP_STORE", box=1, uids=ranges(5), add=1)["GONE"]
        assert len(got) < 60, len(got)
        tap.equal([u for g in got for u in channel.unrange(g.ranges)], gone)


def test_line_lost_inside_a_body():
    # THREATS 31, 57: a part is never published
    with fetch((r"UID FETCH .*", b"* 1 FETCH (UID 1 BODY[] {200000}\r\n" + b"z" * 150000 + b"{tag} OK done\r\n")) as p:
        step = p.begin("STEP_BODY", box=1, uid=1)
        done = p.until("DONE", step=step)[-1]
        tap.equal(done.kind, ERR["TIMEOUT"])
        p.until("LOST")
        tap.equal(sorted(os.listdir(os.path.join(p.root, "mail/work"))), ["tmp"])
        tap.equal(os.listdir(os.path.join(p.root, "mail/work/tmp")), [])


def test_every_extension_offered_and_none_works():
    # THREATS 62
    caps = CAPS + " QRESYNC CONDSTORE ENABLE LIST-EXTENDED LIST-STATUS SPECIAL-USE IDLE"
    with fetch((r"ENABLE .*", b"{tag} BAD what\r\n"), (r"SELECT .*\(.*", b"{tag} BAD what\r\n"), (r"LIST .* RETURN .*", b"{tag} BAD what\r\n"),
               (r"LIST .*", b"* LIST () \"/\" INBOX\r\n* LIST (\\Noselect) \"/\" Top\r\n"), (r"IDLE", b"{tag} BAD what\r\n"),
               (r"STATUS .*", b"{tag} NO what\r\n"), (r"UID SEARCH .*", b"* SEARCH 3 2 1\r\n"), caps=caps) as p:
        boxes = p.do("STEP_LIST")["BOX"]
        tap.equal([(b["name"], b.total, b.attrs & 1) for b in boxes], [(b"INBOX", 0xffffffff, 0), (b"Top", 0xffffffff, 1)])
        tap.equal(len(uids(p.do("STEP_ROWS_TOP", box=1, count=3))), 3)
        p.do("STEP_WATCH", box=1)


def test_copy_refused_nothing_removed():
    # THREATS 64, 65
    with fetch((r"UID COPY .*", b"{tag} NO [TRYCREATE] no\r\n"), caps="IMAP4rev1 LITERAL+ UIDPLUS") as p:
        p.do("STEP_MOVE", box=1, uids=ranges((1, 3)), target=2, target_name="X", want=ERR["NO_MAILBOX"])
        assert not [c for c in p.server.heard if "STORE" in c or "EXPUNGE" in c], p.server.heard


def test_store_refused_nothing_expunged():
    with fetch((r"UID STORE .*", b"{tag} NO no\r\n"), caps="IMAP4rev1 LITERAL+ UIDPLUS") as p:
        p.do("STEP_MOVE", box=1, uids=ranges((1, 3)), target=2, target_name="X", want=ERR["SERVER_NO"])
        p.do("STEP_EXPUNGE", box=1, uids=ranges(1), want=ERR["SERVER_NO"])
        tap.equal([c for c in p.server.heard if "EXPUNGE" in c], [])
    # THREATS 65: our own messages only, and not before they are marked
    with fetch(caps="IMAP4rev1 LITERAL+ UIDPLUS") as p:
        p.do("STEP_EXPUNGE", box=1, uids=ranges(1))
        tap.equal([c for c in p.server.heard if "EXPUNGE" in c or "STORE" in c], ["UID STORE 1 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 1"])


def test_copyuid_that_lies():
    # THREATS 49
    with fetch((r"UID MOVE .*", b"* OK [COPYUID 9 1:4294967295 5:6] x\r\n* OK [COPYUID 9 3:900000 3:900000] x\r\n* OK [COPYUID] x\r\n* OK [COPYUID 1 2] x\r\n* OK [COPYUID x y z] x\r\n")) as p:
        got = p.do("STEP_MOVE", box=1, uids=ranges(1, 2), target=2, target_name="X")
        tap.equal([(m.uid, m.uid_to) for m in got["MOVED"]], [(1, 5), (2, 6)])


def test_copyuid_of_the_next_move_comes_early():
    """Dovecot ends two moves under way together: both COPYUID stand before the first tagged answer."""
    def both(_):
        conn, = server.connections
        while b"UID MOVE 3" not in conn.data:
            conn.more()
        return b"* OK [COPYUID 9 1:2 5:6] x\r\n* OK [COPYUID 9 3 7] x\r\n"
    server = Liar([(r"UID MOVE 1:2 .*", both)])
    with fetch(server=server) as p:
        steps = [p.begin("STEP_MOVE", box=1, uids=ranges(u), target=2, target_name="X") for u in ((1, 2), 3)]
        got = [[(m.uid, m.uid_to) for m in p.end(step)["MOVED"]] for step in steps]
        tap.equal(got, [[(1, 5), (2, 6)], [(3, 7)]])


def test_first_bytes_are_shown_as_they_come():
    """Dovecot ends two FETCHes under way together: what the first brought is shown before its tagged answer."""
    mail = b"From: a@example.org\r\nSubject: s\r\n\r\n" + b"a line of the text\r\n" * 1000

    def both(_):
        conn, = server.connections
        while b"<8192." not in conn.data:
            conn.more()
        return b"".join(b"* 1 FETCH (UID 1 BODY[]<%d> {%d}\r\n%s)\r\n" % (at, len(piece), piece)
                        for at, piece in ((0, mail[:8192]), (8192, mail[8192:])))
    server = Liar([(r"UID FETCH 1 .*<0\.8192>\)", both), (r"UID FETCH 1 .*<8192\.\d+>\)", b"")])
    with fetch(server=server) as p:
        got = p.do("STEP_BODY", box=1, uid=1, msg=1, size=len(mail), urgent=1)
        tap.equal([m.all for m in got["BODY_BEGUN"]], [0, 1])
        tap.equal(open(os.path.join(p.root, "mail", "work", got["BODY_AT"][0].path.decode()), "rb").read(), mail)


def test_read_only_is_told():
    # THREATS 61
    with fetch((r"SELECT .*", b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n{tag} OK [READ-ONLY] look\r\n")) as p:
        p.do("STEP_STORE", box=1, uids=ranges(1), add=1, want=ERR["READ_ONLY"])


def test_append_refused_instead_of_the_plus():
    # THREATS 67
    with fetch((r"APPEND .*", b"{tag} NO [OVERQUOTA] full\r\n"), caps="IMAP4rev1") as p:
        with open(os.path.join(p.root, "m"), "w+") as f:
            f.write("Subject: x\n\ny\n")
            f.flush()
            p.do("STEP_APPEND", fd=f.fileno(), box=1, name="INBOX", want=ERR["OVERQUOTA"])
        p.do("STEP_ROWS_TOP", box=1, count=1)
        assert not [c for c in p.server.heard if "Subject" in c], p.server.heard


def test_alerts_are_cleaned():
    with fetch((r"UID STORE .*", b"* OK [ALERT] \x1b[31mred\x07 alert\r\n")) as p:
        text = p.do("STEP_STORE", box=1, uids=ranges(1), add=1)["ALERT"][0].text
        assert b"\x1b" not in text and b"\x07" not in text, text


def test_goodbye_and_reset_at_each_command():
    # THREATS 56, 57, 64
    steps = (("STEP_LIST", {}), ("STEP_ROWS_TOP", dict(box=1, count=2)), ("STEP_UIDS", dict(box=1)), ("STEP_BODY", dict(box=1, uid=1)),
             ("STEP_STORE", dict(box=1, uids=ranges(1), add=1)), ("STEP_MOVE", dict(box=1, uids=ranges(1), target=2, target_name="X")))
    for answer, kind in ((b"* BYE restart\r\n{tag} NO x\r\n", ERR["SERVER_BYE"]), (None, ERR["LINE"])):
        for step, fields in steps:
            with fetch((r"(LIST|LSUB|FETCH|UID) .*", answer)) as p:
                p.do(step, want=kind, **fields)
                tap.equal(p.until("LOST")[-1].kind, kind)


def test_three_hundred_thousand_mailboxes():
    # THREATS 42
    with fetch((r"LIST .*", b"".join(b"* LIST () \"/\" b%d\r\n" % i for i in range(300000))), (r"LSUB .*", b""),
               (r"STATUS \"(.*)\" .*", lambda m: b"* STATUS %s (MESSAGES 1)\r\n" % m[1].encode())) as p:
        step = p.begin("STEP_LIST")
        p.send("STEP_CANCEL", step=step)
        tap.equal(p.until("DONE", timeout=100, step=step)[-1].kind, ERR["CANCELED"])


def test_the_program_survives_what_ends_libetpan():
    # THREATS 29, 30, 32, 33: one answer or one connection is lost, never the program; what was wrong is said
    deep = b"* 1 FETCH (UID 1 BODYSTRUCTURE " + b"(" * 900000 + b")" * 900000 + b")\r\n"
    nested = b"* 2 FETCH (UID 2 FLAGS (" + b"(" * 60000 + b"\\Seen" + b")" * 60000 + b"))\r\n"
    many = b"* 3 FETCH (UID 3 FLAGS () " + b"X {1}\r\na " * 200000 + b")\r\n"
    for answer in (deep, nested, many, b"* 1 FETCH (UID 1 BODY[] {4294967295}\r\n", b"* 1 FETCH (UID 1 BODY[] {18446744073709551617}\r\n",
                   b"* 1 FETCH (UID 1 BODY[] {-1}\r\nx)\r\n", b"* OK " + b"x" * (2 << 20) + b"\r\n"):
        hit = []

        def once(m):
            hit.append(m)
            return (answer if len(hit) == 1 else b"") + b"".join(row(i) for i in range(int(m[1]), min(int(m[2]), 3) + 1))
        with fetch((r"(?:UID )?FETCH (\d+):(\d+) .*", once)) as p:
            done = p.until("DONE", step=p.begin("STEP_ROWS_TOP", box=1, count=3))[-1]
            if done.kind:
                assert done.kind in (ERR["PROTOCOL"], ERR["LIMIT"]) and b"more than" in done.text, (answer[:60], done)
                p.until("LOST")
                p.do("STEP_CONNECT")
            tap.equal(sorted(set(uids(p.do("STEP_ROWS_TOP", box=1, count=3)))), [1, 2, 3], repr(answer[:60]))


# ---- With mailboxes in memory --------------------------------------------------------------------
def text(subject, date="Date: Sun, 22 Nov 2026 14:02:05 +0000\r\n"):
    return ("From: a@example.org\r\nSubject: %s\r\n%sMessage-ID: <%s@example.org>\r\n\r\nx\r\n" % (subject, date, subject)).encode()


def test_nothing_expunges_by_the_way():
    # THREATS 66, 71: others' deleted mail survives our coming and going; flags are added and taken, never set
    server = imap_script.Server(("INBOX", "Other"), CAPS + " UNSELECT IDLE")
    server.add("INBOX", text("a"), text("b"), flags=("\\Deleted", "\\Answered", "$theirs"))
    with fetch(server=server) as p:
        p.do("STEP_STORE", box=1, uids=ranges(1), add=5, keywords="+ours")
        p.do("STEP_STORE", box=1, uids=ranges(1), remove=1, keywords="-ours")
        p.do("STEP_SELECT", box=2, name="Other")
        p.do("STEP_SELECT", box=1, name="INBOX")
        p.do("STEP_WATCH", box=1)
        p.do("STEP_CLOSE")
    tap.equal([c for c in server.heard if "EXPUNGE" in c or c.startswith("CLOSE")], [])
    stores = [c for c in server.heard if "STORE" in c]
    assert len(stores) > 1 and all(re.search(r" [+-]FLAGS", c) for c in stores), stores
    tap.equal([sorted(m.flags) for m in server["INBOX"].messages.values()],
              [["$theirs", "\\Answered", "\\Deleted", "\\Flagged"], ["$theirs", "\\Answered", "\\Deleted"]])


def test_the_servers_clock_is_off():
    # THREATS 70: the Date of the mail counts, else the arrival as the server says it; what is no date is none
    server = imap_script.Server()
    for name, arrived, date in (("a", "22-Nov-2099 10:00:00 +0000", None), ("b", "22-Nov-2099 10:00:00 +0000", ""), ("c", "31-Foo-9999 77:00:00 +9999", ""),
                                ("d", " 1-Jan-1971 00:00:00 +0000", None)):
        server["INBOX"].add(imap_script.Message(text(name) if date is None else text(name, date), date=arrived))
    with fetch(server=server) as p:
        rows = p.do("STEP_ROWS_TOP", box=1, count=4)["ROW"]
        tap.equal([(r.subject, r.date, r.internal_date) for r in rows],
                  [(b"a", 1795356125, 4099024800), (b"b", 0, 4099024800), (b"c", 0, 0), (b"d", 1795356125, 31536000)])


# ---- Certificates --------------------------------------------------------------------------------
def openssl(directory, *args):
    subprocess.run(("openssl",) + args, cwd=directory, check=True, capture_output=True)


@contextlib.contextmanager
def over_tls(host="127.0.0.1", listen="127.0.0.1"):
    """fetch on a server that speaks TLS, not yet connected."""
    with tap.directory() as d, contextlib.closing(imap_script.Server(directory=os.path.join(d, "server"), listen=listen)) as server:
        conf = "account work imaps://alice@%s:%d\nset -a work tls-ca-file %s\nset timeout 5\n" % (host, server.port, server.info["ca"])
        with channel.running("fetch", d, conf) as p:
            p.server, p.keys = server, server.info["dir"]
            yield p


def use(p, certificate, key):
    p.server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    p.server.context.load_cert_chain(os.path.join(p.keys, certificate), os.path.join(p.keys, key))


def test_a_bad_certificate_after_a_good_one():
    # THREATS 13
    with over_tls() as p:
        p.do("STEP_CONNECT")
        openssl(p.keys, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "bad.key", "-out", "bad.pem",
                "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        use(p, "bad.pem", "bad.key")
        heard = len(p.server.heard)
        p.server.drop()
        p.until("LOST")
        p.do("STEP_CONNECT", want=ERR["TLS_UNKNOWN_CA"])
        tap.equal(p.server.heard[heard:], [], "nothing is said to it")


def test_one_bad_certificate_in_the_chain():
    # THREATS 12: the leaf is signed by what may not sign
    with over_tls() as p:
        openssl(p.keys, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost")
        openssl(p.keys, "x509", "-req", "-in", "leaf.csr", "-CA", "server.pem", "-CAkey", "server.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", "leaf.pem")
        with open(os.path.join(p.keys, "chain.pem"), "w") as f:
            f.write(open(os.path.join(p.keys, "leaf.pem")).read() + open(os.path.join(p.keys, "server.pem")).read())
        use(p, "chain.pem", "leaf.key")
        p.do("STEP_CONNECT", want=ERR["TLS"])
        tap.equal(p.server.heard, [])


def test_a_name_with_several_addresses():
    # THREATS 26: one address answers; and the certificate decides, not the address that a name leads to today
    with over_tls(host="localhost") as p:
        p.do("STEP_CONNECT")
    with over_tls(host="127.0.0.2", listen="127.0.0.2") as p:
        p.do("STEP_CONNECT", want=ERR["TLS_HOST"])
        tap.equal(p.server.heard, [])


if __name__ == "__main__":
    tap.run(globals())
