#!/usr/bin/env python3
"""libexec/fetch against a real Dovecot: every IMAP step, with all extensions and with hardly any."""
import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import channel  # noqa: E402
import dovecot  # noqa: E402
import lineproxy  # noqa: E402
import tap  # noqa: E402
from channel import ranges, unrange  # noqa: E402

ERR = channel.error_kinds()
PLAIN = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID"  # what a poor server offers


def mail(n, body="text\r\n", extra=""):
    return ("From: Alice Example <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: =?utf-8?Q?number_%d?=\r\n"
            "Date: Sun, 22 Nov 2026 14:02:%02d +0100\r\nMessage-ID: <m%d@example.org>\r\n%s\r\n%s" % (n, n % 60, n, extra, body)).encode()


@contextlib.contextmanager
def session(count=5, url="imaps", slow=False, lines="", **server):
    with tap.directory() as d:
        s = dovecot.Server(os.path.join(d, "dovecot"), relay=False, **server)
        try:
            if count:
                s.append("alice", "INBOX", [mail(i) for i in range(1, count + 1)])
            line = lineproxy.LineProxy(s.info[url]) if slow else None
            conf = ("account work %s://alice@localhost:%d\nset -a work tls-ca-file %s\nset log-level debug\n%s"
                    % (url, line.port if line else s.info[url], s.info["ca"], lines))
            with channel.running("fetch", d, conf) as p:
                p.server, p.line = s, line
                p.do("STEP_CONNECT")
                yield p
        finally:
            s.close()


def with_body(server, message, box="INBOX", flags=""):
    with server.imap("alice") as imap:
        if box != "INBOX":
            imap.create('"%s"' % box)
        ok, answer = imap.append('"%s"' % box, flags, None, message)
        assert ok == "OK", answer


def needs(p, capability):
    if capability.encode() not in [m for m in p.seen if m.name == "ONLINE"][-1].caps_text.split():
        tap.skip("this server has no " + capability)


def select(p, box=1, name="INBOX", **known):
    return p.do("STEP_SELECT", box=box, name=name, urgent=1, **known)["BOX_OPEN"][0]


def everything(**server):
    """The same story for rich and poor servers."""
    with session(count=5, **server) as p:
        got = p.do("STEP_LIST")
        boxes = {b["name"].decode(): b for b in got["BOX"]}
        tap.equal(boxes["INBOX"].total, 5)
        tap.equal(boxes["INBOX"].role, 1)
        if "imap_capability" not in server:
            tap.equal(boxes["Trash"].role, 5, "role of Trash")
        opened = select(p)
        tap.equal((opened.exists, opened.readonly, opened.keywords_ok), (5, 0, 1))
        rows = p.do("STEP_ROWS_TOP", box=1, count=3)["ROW"]
        tap.equal([r.subject for r in rows], [b"number 3", b"number 4", b"number 5"])
        tap.equal(rows[0].from_name, b"Alice Example")
        tap.equal(rows[0].msgid, b"m3@example.org")
        tap.equal(rows[2].date, 1795352525 + 0, "Date")
        uids = [r.uid for r in p.do("STEP_ROWS", box=1, uid_lo=1, uid_hi=0)["ROW"]]
        tap.equal(sorted(uids), [1, 2, 3, 4, 5])
        all_uids = p.do("STEP_UIDS", box=1)["UIDS"]
        tap.equal(unrange(b"".join(u.ranges for u in all_uids)), [1, 2, 3, 4, 5])
        tap.equal(all_uids[-1].last, 1)
        # flags
        p.do("STEP_STORE", box=1, uids=ranges((2, 3)), add=5, keywords="+urgent")
        flags = {f.uid: f for f in p.do("STEP_FLAGS", box=1, uid_lo=1, uid_hi=0)["FLAGS"]}
        tap.equal((flags[2].flags & 5, flags[2].keywords, flags[4].flags & 5), (5, b"urgent", 0))
        p.do("STEP_STORE", box=1, uids=ranges(2), remove=4, keywords="-urgent")
        flags = {f.uid: f for f in p.do("STEP_FLAGS", box=1, uid_lo=2, uid_hi=3)["FLAGS"]}
        tap.equal((flags[2].flags & 5, flags[2].keywords, flags[3].flags & 5), (1, b"", 5))
        # bodies
        at = p.do("STEP_BODY", box=1, uid=4, msg=77, urgent=1)["BODY_AT"][0]
        path = os.path.join(p.root, "mail", "work", at.path.decode())
        tap.equal(open(path, "rb").read(), mail(4))
        tap.equal((at.bytes, at.msg, os.stat(path).st_mode & 0o777), (len(mail(4)), 77, 0o600))
        fd = p.do("STEP_FILE_OPEN", path=at.path)["MAILDIR_FD"][0].fd
        tap.equal(os.read(fd, 100000), mail(4))
        os.close(fd)
        p.do("STEP_FILE_OPEN", path="../../../etc/passwd", want=ERR["CHANNEL"])
        p.do("STEP_BODY", box=1, uid=99, msg=1, want=ERR["NO_MESSAGE"])
        # move, copy
        p.do("STEP_BOX", op=0, name="Ablage/Gr&APYA3w-e &- Co")
        got = p.do("STEP_LIST")
        made = [b for b in got["BOX"] if b.utf8 == "Ablage/Größe & Co".encode()]
        tap.equal(len(made), 1, "the mailbox made")
        target = made[0]["name"]
        tap.equal(target, b"Ablage/Gr&APYA3w-e &- Co")
        moved = p.do("STEP_MOVE", box=1, uids=ranges((1, 2)), target=9, target_name=target)
        tap.equal([(m.uid, m.target) for m in moved["MOVED"]], [(1, 9), (2, 9)])
        moved = p.do("STEP_MOVE", box=1, uids=ranges(3), target=9, target_name=target, copy=1)
        tap.equal([m.uid for m in moved["MOVED"]], [3])
        left = unrange(p.do("STEP_UIDS", box=1)["UIDS"][0].ranges)
        found = p.do("STEP_FIND", box=9, name=target, msgid="m2@example.org")["FOUND"]
        tap.equal([f.size > 100 for f in found], [True])
        p.do("STEP_MOVE", box=1, uids=ranges(4), uidvalidity=opened.uidvalidity, target=10, target_name="No such box", want=ERR["NO_MAILBOX"])
        # append
        with open(os.path.join(p.root, "draft"), "wb+") as f:
            f.write(mail(9).replace(b"\r\n", b"\n"))
            f.flush()
            added = p.do("STEP_APPEND", fd=f.fileno(), box=9, name=target, flags=17, internal_date=1700000000)["APPENDED"][0]
        select(p, 9, target.decode())
        top = p.do("STEP_ROWS_TOP", box=9, count=1)["ROW"][0]
        tap.equal((top.subject, top.internal_date, top.flags & 17), (b"number 9", 1700000000, 17))
        body = p.do("STEP_BODY", box=9, uid=top.uid, msg=5)["BODY_AT"][0]
        tap.equal(open(os.path.join(p.root, "mail", "work", body.path.decode()), "rb").read(), mail(9))
        # removal of just these: a message that somebody else marked stays
        # UIDs of another UIDVALIDITY, or of a selection that is gone, name nothing (THREATS 43, 44)
        for void in (opened.uidvalidity + 1, 0):
            select(p, 9, target.decode())
            p.do("STEP_STORE", box=1, uids=ranges(5), uidvalidity=void, add=8, want=ERR["CANCELED"])
        p.do("STEP_STORE", box=1, uids=ranges(5), uidvalidity=opened.uidvalidity, add=8)
        p.step_expunge = p.begin("STEP_EXPUNGE", box=1, uids=ranges(4))
        return_kind = p.until("DONE", step=p.step_expunge)[-1].kind
        after = unrange(p.do("STEP_UIDS", box=1)["UIDS"][0].ranges)
        return dict(left=left, after=after, expunge=return_kind, appended=added, opened=opened, moved=moved["MOVED"])


def test_all_steps_with_all_extensions():
    got = everything()
    tap.equal(got["left"], [3, 4, 5])
    tap.equal(got["after"], [3, 5], "UID EXPUNGE takes only what was named (THREATS 65)")
    tap.equal(got["expunge"], 0)
    assert got["appended"].uid and got["opened"].modseq and got["moved"][0].uid_to


def test_all_steps_with_a_poor_server():
    got = everything(imap_capability=PLAIN)
    tap.equal(got["left"], [1, 2, 3, 4, 5], "without UIDPLUS nothing is expunged")
    tap.equal(got["after"], [1, 2, 3, 4, 5])
    tap.equal(got["expunge"], ERR["SERVER_NO"])


def test_a_saved_copy_is_clean():
    # THREATS 68: Cyrus refuses NUL and bare LF, other servers rewrite them
    with session(count=0) as p, open(os.path.join(p.root, "draft"), "wb+") as f:
        f.write(mail(1, "a\0b\nc\r\n"))
        f.flush()
        added = p.do("STEP_APPEND", fd=f.fileno(), box=1, name="INBOX", flags=1)["APPENDED"][0]
        select(p)
        at = p.do("STEP_BODY", box=1, uid=added.uid)["BODY_AT"][0]
        tap.equal(open(os.path.join(p.root, "mail", "work", at.path.decode()), "rb").read(), mail(1, "ab\r\nc\r\n"))
        tap.equal([r.flags & 1 for r in p.do("STEP_ROWS_TOP", box=1, count=1)["ROW"]], [1])


def test_starttls():
    with session(url="imap") as p:
        tap.equal(select(p).exists, 5)


def test_wrong_password_is_tried_once():
    with session() as p:
        p.do("STEP_CLOSE")
        conf = os.path.join(p.directory, "rc")
        q = channel.Program("fetch", "-c", conf, "--store", p.root, "work", secret="wrong")
        try:
            q.until("READY")
            done = q.do("STEP_CONNECT", want=ERR["AUTH"])["DONE"]
            assert b"wrong" not in done.text
            tap.equal(len([m for m in q.seen if m.name == "SECRET_ASK"]), 1)
        finally:
            q.close()


def test_qresync_tells_changes_and_removals():
    with session(count=6) as p:
        first = select(p)
        p.do("STEP_CLOSE")
        with p.server.imap("alice") as other:
            other.select("INBOX")
            other.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
            other.uid("STORE", "4", "+FLAGS", "(\\Flagged)")
            other.expunge()
        p.do("STEP_CONNECT")
        got = p.do("STEP_SELECT", box=1, name="INBOX", uidvalidity=first.uidvalidity, modseq=first.modseq, uidnext=first.uidnext)
        tap.equal([g.ranges for g in got["GONE"]], [ranges(2)])
        tap.equal([(f.uid, f.flags & 4) for f in got["FLAGS"]], [(4, 4)])
        tap.equal(got["BOX_OPEN"][0].resync, 1)


def test_condstore_alone_tells_changes():
    with session(count=3, imap_capability=PLAIN + " ENABLE CONDSTORE") as p:
        first = select(p)
        p.do("STEP_CLOSE")
        with p.server.imap("alice") as other:
            other.select("INBOX")
            other.uid("STORE", "2", "+FLAGS", "(\\Flagged)")
        p.do("STEP_CONNECT", caps=PLAIN + " ENABLE CONDSTORE")  # not asked for what it does not offer
        got = p.do("STEP_SELECT", box=1, name="INBOX", uidvalidity=first.uidvalidity, modseq=first.modseq)
        tap.equal([(f.uid, f.flags & 4) for f in got["FLAGS"]], [(2, 4)])
        tap.equal(got["BOX_OPEN"][0].resync, 2)


def watch(**server):
    with session(count=2, **server) as p:
        select(p)
        p.do("STEP_ROWS_TOP", box=1, count=2)
        p.do("STEP_WATCH", box=1)
        time.sleep(0.3)
        with_body(p.server, mail(3))
        tap.equal(p.until("EXISTS")[-1].exists, 3)
        rows = p.do("STEP_ROWS", box=1, uid_lo=3, uid_hi=0)["ROW"]
        tap.equal([r.uid for r in rows], [3])
        with p.server.imap("alice") as other:
            other.select("INBOX")
            other.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
            other.expunge()
        gone = p.until("GONE")[-1]
        tap.equal(gone.ranges, ranges(1))


def test_watch_by_idle():
    watch()


def test_watch_by_idle_without_qresync():
    watch(imap_capability=PLAIN + " IDLE")


def test_notify_tells_of_all_mailboxes():
    with session(count=2) as p:
        needs(p, "NOTIFY")
        with p.server.imap("alice") as other:
            other.create("Old")
            other.create("Old/below")
            boxes = {b["name"]: b for b in p.do("STEP_LIST")["BOX"]}
            tap.equal((boxes[b"Archive"].counts, boxes[b"Archive"].role), (0, 2))
            select(p)
            p.do("STEP_WATCH", box=1)
            p.until("PUSHED", on=1)
            # another mailbox: new, read, gone
            other.append("Archive", "", None, mail(9))
            told = p.until("BOX", name=b"Archive", total=1)[-1]
            tap.equal((told.unread, told.counts), (1, 1))
            other.select("Archive")
            other.uid("STORE", "1", "+FLAGS", "(\\Seen \\Deleted)")
            p.until("BOX", name=b"Archive", unread=0)
            other.expunge()
            p.until("BOX", name=b"Archive", total=0)
            # the list
            other.create("New")
            tap.equal(p.until("LIST_NEWS", name=b"New")[-1].old, b"")
            other.rename("Old", "Newer")
            tap.equal(p.until("LIST_NEWS", name=b"Newer")[-1].old, b"Old")
            other.delete("New")
            p.until("LIST_NEWS", name=b"New")
            # the selected one, row by row
            other.select("INBOX")
            other.uid("STORE", "2", "+FLAGS", "(\\Flagged)")
            tap.equal(p.until("FLAGS", uid=2)[-1].flags & 4, 4)
            with_body(p.server, mail(3))
            tap.equal(p.until("EXISTS", exists=3)[-1].box, 1)
            other.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
            other.expunge()
            p.until("GONE", ranges=ranges(1))


def test_without_notify_nothing_is_said_to_be_pushed():
    with session(count=1, imap_capability=PLAIN + " IDLE") as p:
        p.do("STEP_LIST")
        assert not [m for m in p.seen if m.name == "PUSHED"]


def log(p):
    with open(os.path.join(p.directory, "log"), errors="replace") as f:
        return f.read()


def logged(p, words):
    end = time.monotonic() + 60
    while words not in log(p):
        assert time.monotonic() < end, words
        time.sleep(0.1)


def in_archive(**options):
    """A session that looks at another mailbox than INBOX, at a server without NOTIFY."""
    return session(count=2, slow=True, imap_capability=PLAIN + " IDLE", **options)


def watch_archive(p):
    p.do("STEP_LIST")
    select(p)
    select(p, 2, "Archive")
    p.do("STEP_WATCH", box=2)


def test_second_connection_watches_the_inbox():
    with in_archive() as p:
        watch_archive(p)
        logged(p, "INBOX is watched")
        tap.equal(p.line.accepted, 2)
        with_body(p.server, mail(3))
        told = p.until("BOX", name=b"INBOX", total=3)[-1]
        tap.equal((told.unread, told.counts), (3, 1))
        with_body(p.server, mail(4), "Archive")
        tap.equal(p.until("EXISTS", exists=1)[-1].box, 2, "the first one goes on")
        # and while the first one is busy with a long mail
        with_body(p.server, mail(7) + (b"y" * 76 + b"\r\n") * 100000, "Archive")
        p.until("EXISTS", exists=2)
        p.line.rate = 2000000
        body = p.begin("STEP_BODY", box=2, uid=2, msg=1, urgent=1)
        p.until("STEP_PROGRESS", step=body)
        with_body(p.server, mail(5))
        seen = p.until("BOX", name=b"INBOX", total=4)
        assert not [m for m in seen if m.name == "DONE"], "the long mail came first"
        p.line.rate = 0
        p.end(body)


def test_one_connection_where_no_more_are_wanted():
    with in_archive(lines="set -a work connections 1\n") as p:
        watch_archive(p)
        with_body(p.server, mail(4), "Archive")
        tap.equal(p.until("EXISTS", exists=1)[-1].box, 2)
        time.sleep(4)
        p.do("STEP_STATUS", names=b"INBOX")
        tap.equal(p.line.accepted, 1)


def test_second_connection_refused():
    with in_archive() as p:
        p.line.refuse()
        watch_archive(p)
        logged(p, "second connection:")
        with_body(p.server, mail(4), "Archive")
        tap.equal(p.until("EXISTS", exists=1)[-1].box, 2, "it goes on with one")
        assert not [m for m in p.seen if m.name in ("LOST", "SECRET_ASK")][1:], p.seen


def test_second_connection_lost():
    with in_archive() as p:
        watch_archive(p)
        logged(p, "INBOX is watched")
        p.line.end(*p.line.lines[-1])
        logged(p, "second connection: localhost: the connection was cut")
        with_body(p.server, mail(4), "Archive")
        tap.equal(p.until("EXISTS", exists=1)[-1].box, 2)
        assert not [m for m in p.seen if m.name == "LOST"], p.seen


def test_a_step_does_not_wait_for_the_second_login():
    with in_archive() as p:
        watch_archive(p)
        p.line.swallow_new = True
        time.sleep(3.5)
        tap.equal(p.do("STEP_STATUS", names=b"INBOX")["BOX"][0].total, 2)


def test_a_line_that_is_given_up_is_not_waited_for():
    """After a sleep the line is dead: what is asked on it ends with it (THREATS 166)."""
    with session(count=2, slow=True, lines="set timeout 1h\n") as p:
        select(p)
        for kind, fields in (("STEP_SELECT", dict(box=2, name="Archive")),
                             ("STEP_MOVE", dict(box=1, uids=ranges(1), target=2, target_name="Archive"))):
            p.line.swallow()
            step, close = p.begin(kind, **fields), p.begin("STEP_CLOSE")
            tap.equal(p.until("DONE", step=step)[-1].kind, ERR["TIMEOUT"], kind)
            p.end(close)
            p.line.heal()
            p.do("STEP_CONNECT")
            tap.equal(select(p).exists, 2, "only asked for, never done")


def news_and_actions_overtake_a_long_body(**server):
    big = mail(7) + (b"y" * 76 + b"\r\n") * 300000
    with session(count=1, slow=True, **server) as p:
        with_body(p.server, big)
        p.do("STEP_LIST")
        select(p)
        if server == {}:
            p.do("STEP_WATCH", box=1)
            p.until("PUSHED", on=1)
        p.line.rate = 400000  # a minute's worth, until what overtakes it is through
        body = p.begin("STEP_BODY", box=1, uid=2, msg=1, urgent=1)
        p.until("STEP_PROGRESS", step=body)
        with p.server.imap("alice") as phone:
            phone.append("INBOX", "", None, mail(3))
            if server == {}:
                phone.append("Archive", "", None, mail(4))
        seen = p.until("EXISTS", exists=3)
        if server == {}:
            seen += p.until("BOX", name=b"Archive", total=1) if not [m for m in seen if m.name == "BOX"] else []
        rows, store = p.begin("STEP_ROWS", box=1, uid_lo=3, uid_hi=0, urgent=1), p.begin("STEP_STORE", box=1, uids=ranges(1), add=4)
        seen += p.until("DONE", step=store)
        p.line.rate = 0
        ended = [m.step for m in seen + p.until("DONE", step=body) if m.name == "DONE"]
        tap.equal(ended, [rows, store, body], "the order in which the steps ended")
        tap.equal([m.uid for m in p.seen if m.name == "ROW"], [3])
        path = os.path.join(p.root, "mail", "work", [m for m in p.seen if m.name == "BODY_AT"][-1].path.decode())
        tap.equal(open(path, "rb").read() == big, True)


def test_news_and_actions_overtake_a_long_body():
    news_and_actions_overtake_a_long_body()


def test_news_and_actions_overtake_a_long_body_on_a_poor_server():
    news_and_actions_overtake_a_long_body(imap_capability=PLAIN + " IDLE")


def test_large_body_streams_with_progress_and_cancel():
    big = mail(7, "0123456789abcdef" * 64 + "\r\n")
    big = big + (b"y" * 76 + b"\r\n") * 600000
    with session(count=1) as p:
        with_body(p.server, big)
        select(p)
        at = p.do("STEP_BODY", box=1, uid=2, msg=1)["BODY_AT"][0]
        tap.equal(at.bytes, len(big))
        path = os.path.join(p.root, "mail", "work", at.path.decode())
        tap.equal(open(path, "rb").read() == big, True, "46 MB byte for byte")
        tap.equal(os.listdir(os.path.join(p.root, "mail", "work", "tmp")), [])
        os.unlink(path)
        step = p.begin("STEP_BODY", box=1, uid=2, msg=1)
        p.send("STEP_CANCEL", step=step)
        done = p.until("DONE", step=step)[-1]
        tap.equal(done.kind, ERR["CANCELED"])
        tap.equal(os.path.exists(path), False)
        p.do("STEP_CONNECT")
        tap.equal(select(p).exists, 2)


def test_many_rows_in_slices_and_an_urgent_step_overtakes():
    with session(count=0) as p:
        with p.server.imap("alice") as imap:
            dovecot.append(imap, "INBOX", [mail(i) for i in range(1200)])
            imap.create("Other")
            imap.append("Other", "", None, mail(5000))
        select(p)
        p.begin("STEP_ROWS", box=1, uid_lo=1, uid_hi=1200)
        back = p.step
        p.until("ROW")
        p.begin("STEP_SELECT", box=2, name="Other", urgent=1)
        urgent = p.begin("STEP_BODY", box=2, uid=1, msg=1, urgent=1)
        before = p.until("DONE", step=urgent)
        assert not [m for m in before if m.name == "DONE" and m.step == back], "the background step ended first"
        p.until("DONE", step=back)
        rows = {(m.box, m.uid) for m in p.seen if m.name == "ROW"}
        tap.equal(rows, {(1, u) for u in range(1, 1201)}, "rows, each of its own mailbox")
        step = p.begin("STEP_FLAGS", box=1, uid_lo=1, uid_hi=0)
        time.sleep(0.5)  # a store that is busy: more is to be sent than the socket takes
        tap.equal(len(p.end(step)["FLAGS"]), 1200)


def test_many_rows_are_compressed():
    with session(count=0, compress=True) as p:
        p.server.append("alice", "INBOX", [mail(i) for i in range(1100)])
        select(p)
        needs(p, "COMPRESS=DEFLATE")
        p.begin("STEP_BODY", box=1, uid=1)
        tap.equal(len(p.do("STEP_ROWS", box=1, uid_lo=1, uid_hi=0)["ROW"]), 1100)
        at = p.do("STEP_BODY", box=1, uid=3)["BODY_AT"][0]
        tap.equal(open(os.path.join(p.root, "mail", "work", at.path.decode()), "rb").read(), mail(2))
        assert "COMPRESS DEFLATE" in open(os.path.join(p.directory, "log")).read()
        p.do("STEP_WATCH", box=1)
        with_body(p.server, mail(3))
        tap.equal(p.until("EXISTS")[-1].exists, 1101)


def test_steps_in_a_row_without_waiting():
    with session(count=30) as p:
        p.do("STEP_CLOSE")
        steps = [p.begin("STEP_CONNECT"), p.begin("STEP_LIST"), p.begin("STEP_SELECT", box=1, name="INBOX"),
                 p.begin("STEP_ROWS_TOP", box=1, count=20)] + [p.begin("STEP_BODY", box=1, uid=u, msg=u) for u in range(1, 31)]
        done = []
        while len(done) < len(steps):
            done.append(p.until("DONE")[-1])
        tap.equal(sorted((m.step, m.kind) for m in done), [(s, 0) for s in steps])
        bodies = {m.uid: m.path for m in p.seen if m.name == "BODY_AT"}
        for uid, path in bodies.items():
            tap.equal(open(os.path.join(p.root, "mail", "work", path.decode()), "rb").read(), mail(uid))


def test_server_gone_and_back():
    with session(count=2) as p:
        select(p)
        p.do("STEP_WATCH", box=1)
        p.server.stop()
        lost = p.until("LOST")[-1]
        assert lost.kind in (ERR["LINE"], ERR["SERVER_BYE"]), lost
        p.do("STEP_ROWS_TOP", box=1, count=1, want=ERR["LINE"])
        p.do("STEP_CONNECT", want=ERR["CONNECT"])
        p.server.start()
        p.do("STEP_CONNECT")
        tap.equal([r.uid for r in p.do("STEP_ROWS_TOP", box=1, count=1)["ROW"]], [2], "the mailbox is selected again by itself")


def test_names_of_any_bytes():
    with session(count=0) as p:
        names = ['x/quo"te', "x/back\\slash", "x/$(reboot)", "x/~alice", "x/a'b c"]
        for name in names[:]:
            refused = any(c in p.server.refuses for c in name)
            p.do("STEP_BOX", op=0, name=name, want=ERR["SERVER_NO"] if refused else 0)
            names.remove(name) if refused else None
        boxes = {b["name"].decode() for b in p.do("STEP_LIST")["BOX"]}
        for name in names:
            assert name in boxes, (name, boxes)
            tap.equal(select(p, 5, name).exists, 0)
        p.do("STEP_BOX", op=0, name="line\r\nA LOGOUT", want=ERR["USAGE"])
        p.do("STEP_SELECT", box=6, name=b"nul\0", want=ERR["USAGE"])


if __name__ == "__main__":
    tap.run(globals())
