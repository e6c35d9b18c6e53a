#!/usr/bin/env python3
"""IMAP extensions, each where it is offered and where it is not: real Dovecot and Cyrus first, a server in memory for what neither has."""
import contextlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import channel  # noqa: E402
import cyrus  # noqa: E402
import dovecot  # noqa: E402
import imap_script  # noqa: E402
import rig  # noqa: E402
import tap  # noqa: E402
import user  # noqa: E402

ERR = channel.error_kinds()
OTHERS, SHARED = 64, 128  # enum box_attr
QUOTA = """
mail_plugins = $mail_plugins quota
protocol imap {
  mail_plugins = $mail_plugins quota imap_quota
}
plugin {
  quota = maildir:User quota
  quota_rule = *:storage=1M
  quota_grace = 0
}
"""


def mail(n, body="text\r\n", extra=""):
    return ("From: Alice Example <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: number %d\r\n"
            "Date: Sun, 22 Nov 2026 14:02:%02d +0100\r\nMessage-ID: <m%d@example.org>\r\n%s\r\n%s" % (n, n % 60, n, extra, body)).encode()


@contextlib.contextmanager
def fetch(info, lines="", scheme="imaps", login="alice"):
    """The fetch program alone, connected."""
    conf = "account work %s://%s@localhost:%d\nset -a work tls-ca-file %s\nset log-level debug\n%s" % (scheme, login, info[scheme], info["ca"], lines)
    with tap.directory() as d, channel.running("fetch", d, conf) as p:
        p.do("STEP_CONNECT")
        yield p


@contextlib.contextmanager
def real(kind, **server):
    with tap.directory() as d:
        s = kind.Server(os.path.join(d, "server"), relay=False, **server)
        try:
            yield s
        finally:
            s.close()


class Memory(imap_script.Server):
    """With namespaces, quota and the like behind attributes."""
    spaces, quota, limit = '(("" "/")) NIL NIL', {}, None

    def do_namespace(self, conn, rest):
        return "* NAMESPACE %s\r\n" % self.spaces

    def do_getquotaroot(self, conn, rest):
        out = "* QUOTAROOT %s %s\r\n" % (rest, " ".join('"%s"' % r for r in self.quota))
        return out + "".join('* QUOTA "%s" (%s)\r\n' % q for q in self.quota.items())

    def do_create(self, conn, rest):
        words = imap_script.tokens(rest)
        name = self.string(words[0])
        use = re.search(r"\(USE \((.*)\)\)", rest)
        if use and "CREATE-SPECIAL-USE" not in self.caps:
            raise imap_script.No("BAD no such argument")
        self.boxes[name] = imap_script.Box(name, use[1] if use else "")
        return ""

    def do_subscribe(self, conn, rest):
        return ""

    def do_append(self, conn, rest):
        if len(self.literals) == 1:
            return super().do_append(conn, rest)
        if "MULTIAPPEND" not in self.caps or any(b"too much" in raw for raw in self.literals):
            raise imap_script.No("NO not these together")
        box = self.find(self.string(imap_script.tokens(rest.replace("{literal}", '"{literal}"'))[0]))
        uids = [self.deliver(box, imap_script.Message(raw)) for raw in self.literals]
        return "", "OK %sdone" % ("[APPENDUID %d %s] " % (box.uidvalidity, imap_script.a_set(uids)) if "UIDPLUS" in self.caps else "")


@contextlib.contextmanager
def memory(caps="", boxes=("INBOX", "Drafts"), rules=(), rev1=True, **attributes):
    with tap.directory() as d:
        kind = type("Memory", (Memory,), attributes)
        s = kind(boxes, ("IMAP4rev1 LITERAL+ " if rev1 else "") + caps, rules, os.path.join(d, "server"))
        try:
            yield s
        finally:
            s.close()


@contextlib.contextmanager
def store(info, lines="", login="bob"):
    """Store and fetch as in life."""
    with tap.directory() as d:
        r = rig.Rig(os.path.join(d, "rig"), info, lines=lines, user=login)
        try:
            r.until("the list is read", lambda: len(r.boxes()) > 1 and r.accounts and r.accounts[-1].state == 2)
            yield r
        finally:
            r.close()


def names(got):
    return {b["name"].decode(): b for b in got["BOX"]}


def append(p, data, name="INBOX", want=0, **fields):
    with open(os.path.join(p.directory, "mail"), "wb+") as f:
        f.write(data)
        f.flush()
        return p.do("STEP_APPEND", fd=f.fileno(), box=1, name=name, want=want, **fields)


def quotas(got):
    return [(q.root, q.resource, q.used, q.limit) for q in got.get("QUOTA", [])]


# ---- QUOTA (RFC 2087, 9208) ----
def test_quota_of_dovecot():
    with real(dovecot, extra=QUOTA) as s, fetch(s.info) as p:
        told = quotas(p.do("STEP_LIST"))
        tap.equal([(q[1], q[3]) for q in told], [(b"STORAGE", 1024), (b"", 0)], "one resource, then the end of the round")
        append(p, mail(1, "x" * 76 + "\r\n" * 3000))
        again = append(p, mail(2, ("x" * 76 + "\r\n") * 20000), want=ERR["OVERQUOTA"])
        used = quotas(again)[0]
        assert used[1] == b"STORAGE" and 0 < used[2] <= 1024, used


def test_quota_of_cyrus():
    with real(cyrus, quota=2048) as s, fetch(s.info) as p:
        told = quotas(p.do("STEP_LIST"))
        tap.equal([(q[1], q[3]) for q in told if q[1] == b"STORAGE"], [(b"STORAGE", 2048)])
        tap.equal(told[-1][1], b"")
        append(p, mail(2, ("x" * 76 + "\r\n") * 40000), want=ERR["OVERQUOTA"])


def test_no_quota_is_asked_where_there_is_none():
    with memory("UIDPLUS") as s, fetch(s.info) as p:
        tap.equal(quotas(p.do("STEP_LIST")), [])
        tap.equal(s.asked("GETQUOTA"), [])


def test_full_mailbox_is_said_once_and_shown():
    with memory("QUOTA UIDPLUS", quota={"User quota": "STORAGE 950 1000 MESSAGE 3 100"}) as s:
        s.add("INBOX", mail(1))
        with store(s.info) as r:
            r.until("the quota is known", lambda: r.accounts[-1].full == 95)
            notes = [n for n in r.notes if "95 %" in n]
            assert len(notes) == 1 and "950 KB of 1000 KB" in notes[0] and "empty the trash" in notes[0], r.notes
            tap.equal(r.sql("cache", "select root,resource,used,lim from quota order by resource"),
                      [(b"User quota", b"MESSAGE", 3, 100), (b"User quota", b"STORAGE", 950, 1000)])
            s.quota = {"User quota": "STORAGE 100 1000"}
            r.ask("FETCH_NOW", account="work")
            r.until("it is not full any more", lambda: r.accounts[-1].full == 10)
            tap.equal(r.sql("cache", "select count(*) from quota"), [(1,)])


def test_a_tight_quota_is_looked_at_when_mail_comes_or_goes():
    for used, asked in ((950, 3), (100, 1)):
        with memory("QUOTA UIDPLUS", quota={"": "STORAGE %d 1000" % used}) as s, fetch(s.info) as p:
            s.add("INBOX", mail(1))
            p.do("STEP_LIST")
            p.do("STEP_SELECT", box=1, name="INBOX")
            append(p, mail(2))
            p.do("STEP_EXPUNGE", box=1, uids=channel.ranges(1))
            tap.equal(len(s.asked("GETQUOTAROOT")), asked, "%d of 1000" % used)


def test_overquota_ends_a_copy_with_its_reason():
    refusal = b"{tag} NO [OVERQUOTA] Quota exceeded (mailbox for user is full)\r\n"
    with memory("QUOTA UIDPLUS MOVE", ("INBOX", "Archive"), [(r"UID (COPY|MOVE) .*", refusal)], quota={"": "STORAGE 1000 1000"}) as s:
        s.add("INBOX", mail(1))
        with store(s.info) as r:
            r.filled("INBOX", 1)
            ident = r.rows("INBOX")["number 1"]
            r.intent(rig.COPY, [ident], target=r.box("Archive"))
            r.settled()
            note = next(n for n in r.notes if "no room" in n)
            for word in ("copying 1 message", "Archive of work", "1000 KB of 1000 KB", "empty the trash", "Quota exceeded"):
                tap.contains(note, word)
            tap.equal(r.rows("Archive"), {}, "the copy that was shown is gone again")
            tap.equal(r.rows("INBOX"), {"number 1": ident})


def test_doctor_says_what_the_server_says():
    with real(dovecot, extra=QUOTA) as s, tap.directory() as d:
        bob = user.User(os.path.join(d, "bob"), s, user="bob")
        out = bob.command("doctor", status=None)
        for words in ("account work: server: Dovecot", "account work: quota: User quota: 0 B of 1.0 MB (0 %)"):
            tap.contains(out, words)


# ---- NAMESPACE (RFC 2342) ----
PUBLIC = """
namespace inbox {
  prefix = INBOX.
}
namespace public {
  type = public
  separator = .
  prefix = Public.
  location = maildir:%s
  subscriptions = no
  list = %s
}
"""


def namespaces_of_dovecot(listed):
    with tap.directory() as d:
        public = os.path.join(d, "public")
        for folder in ("", ".Club", ".Club.Notes"):
            for sub in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(public, folder, sub))
        for top, _, _ in os.walk(d):
            os.chmod(top, 0o777)
        with real(dovecot, separator=".", extra=PUBLIC % (public, listed)) as s:
            with s.imap("alice") as imap:
                assert imap.create("INBOX.Work")[0] == "OK"
                assert imap.append("Public.Club", "", None, mail(1))[0] == "OK"
            with fetch(s.info) as p:
                got = p.do("STEP_LIST")
                tap.equal([(n.prefix, n.delim) for n in got["NAMESPACE"]], [(b"INBOX.", ord("."))])
                boxes = names(got)
                tap.equal({k: (b.utf8, b.attrs & (OTHERS | SHARED)) for k, b in boxes.items() if "Work" in k or "Notes" in k or k == "INBOX"},
                          {"INBOX": (b"INBOX", 0), "INBOX.Work": (b"Work", 0), "Public.Club.Notes": (b"Public.Club.Notes", SHARED)})
                tap.equal(boxes["Public.Club"].total, 1, "counts of a shared mailbox")
                opened = p.do("STEP_SELECT", box=9, name="Public.Club")["BOX_OPEN"][0]
                tap.equal(opened.exists, 1)
            with store(s.info, login="alice") as r:
                r.intent(rig.BOX_CREATE, arg="Plans")
                r.settled()
                r.until("the new mailbox is listed", lambda: "INBOX.Plans" in r.boxes())
                with s.imap("alice") as imap:
                    assert any(b"INBOX.Plans" in x for x in imap.list()[1])
                tap.equal(r.sql("cache", "select utf8 from box where name=?", b"INBOX.Plans"), [(b"Plans",)])


def test_namespaces_of_dovecot():
    namespaces_of_dovecot("yes")


def test_namespaces_that_a_list_leaves_out():
    namespaces_of_dovecot("no")


def test_other_users_of_cyrus():
    with real(cyrus) as s:
        with s.imap("bob") as imap:
            imap.create("Team")
            imap.append("Team", "", None, mail(1))
            assert imap.setacl("Team", "alice", "lrswi")[0] == "OK"
        with fetch(s.info) as p:
            boxes = names(p.do("STEP_LIST"))
            other = [b for n, b in boxes.items() if n.endswith("bob/Team")]
            tap.equal([(b.attrs & OTHERS, b.total) for b in other], [(OTHERS, 1)], repr(sorted(boxes)))
            tap.equal(boxes["INBOX"].attrs & (OTHERS | SHARED), 0)


def test_without_namespace_names_stay_whole():
    with memory("", ("INBOX", imap_script.Box("INBOX.Work", delim="."))) as s, fetch(s.info) as p:
        got = p.do("STEP_LIST")
        tap.equal([n.prefix for n in got["NAMESPACE"]], [b""])
        tap.equal(names(got)["INBOX.Work"].utf8, b"INBOX.Work")
        tap.equal(s.asked("NAMESPACE"), [])


def test_a_prefix_is_not_taken_off_where_it_tells_two_apart():
    with memory("NAMESPACE", ("INBOX", "INBOX/Work", "Work", "INBOX/inbox"), spaces='(("INBOX/" "/")) NIL NIL') as s, fetch(s.info) as p:
        tap.equal({k: b.utf8 for k, b in names(p.do("STEP_LIST")).items()},
                  {"INBOX": b"INBOX", "INBOX/Work": b"INBOX/Work", "Work": b"Work", "INBOX/inbox": b"INBOX/inbox"})


# ---- OBJECTID (RFC 8474) ----
def renamed_elsewhere(s, rename):
    """Rows and ids of a mailbox after another client renamed it; the store saw it before."""
    with store(s.info) as r:
        r.say(r.client, "WATCH", account="work", box=r.box("Plans"))
        r.filled("Plans", 1)
        box, row = r.box("Plans"), r.rows("Plans")
        rename()
        r.ask("FETCH_NOW", account="work")
        r.until("the new name is listed", lambda: "Ideas" in r.boxes())
        r.filled("Ideas", 1)
        return box, row, r.box("Ideas"), r.rows("Ideas"), "Plans" in r.boxes()


def test_a_mailbox_renamed_elsewhere_keeps_its_rows():
    with real(cyrus) as s:
        with s.imap("bob") as imap:
            imap.create("Plans")
            imap.append("Plans", "", None, mail(1))

        def rename():
            with s.imap("bob") as imap:
                assert imap.rename("Plans", "Ideas")[0] == "OK"
        box, row, now, rows, old = renamed_elsewhere(s, rename)
        tap.equal((now, rows, old), (box, row, False))


def swap(s, ids):
    """MAILBOXID by name."""
    def status_line(self, box, items):
        line = imap_script.Server.status_line(self, box, items)
        return line.replace(")\r\n", " MAILBOXID (%s))\r\n" % ids[box.name]) if ids.get(box.name) else line
    type(s).status_line = status_line


def test_two_mailboxes_that_change_names():
    ids = {"INBOX": "F0", "A": "F1", "B": "F2"}
    with memory("OBJECTID LIST-EXTENDED LIST-STATUS UIDPLUS", ("INBOX", "A", "B")) as s:
        swap(s, ids)
        s.add("A", mail(1))
        s["B"].uidvalidity = 8
        s.add("B", mail(2))
        with store(s.info) as r:
            r.filled("A", 1)
            r.filled("B", 1)
            a, b, rows = r.box("A"), r.box("B"), (r.rows("A"), r.rows("B"))
            with s.lock:
                s.boxes = {"INBOX": s["INBOX"], "A": s["B"], "B": s["A"]}
                s["A"].name, s["B"].name = "A", "B"
                ids.update(A="F2", B="F1")
            r.ask("FETCH_NOW", account="work")
            r.until("the names have changed hands", lambda: (r.box("A"), r.box("B")) == (b, a))
            tap.equal((r.rows("B"), r.rows("A")), rows)


def test_without_objectid_a_new_name_is_a_new_mailbox():
    with memory("UIDPLUS", ("INBOX", "Plans")) as s:
        s.add("Plans", mail(1))

        def rename():
            with s.lock:
                box = s.boxes.pop("Plans")
                box.name = "Ideas"
                s.boxes["Ideas"] = box
        box, row, now, rows, old = renamed_elsewhere(s, rename)
        assert now != box and not old and list(rows) == list(row)


# ---- CREATE-SPECIAL-USE (RFC 6154) ----
def archive_is_made(s, lines=""):
    s.add("INBOX", mail(1))
    with store(s.info, lines) as r:
        r.filled("INBOX", 1)
        want = "REFUSED" if lines else "INTENT_OK"
        answer = r.intent(rig.ARCHIVE, [r.rows("INBOX")["number 1"]], want=want)
        if not lines:
            r.settled()
            tap.equal(list(r.rows("Archive")), ["number 1"])
        return answer


def test_archive_is_made_with_its_purpose():
    with memory("CREATE-SPECIAL-USE SPECIAL-USE UIDPLUS MOVE", ("INBOX", "Other")) as s:
        archive_is_made(s)
        tap.equal(s.asked("CREATE"), ['CREATE "Archive" (USE (\\Archive))'])


def test_archive_is_made_where_nothing_is_said_of_purposes():
    with memory("UIDPLUS MOVE", ("INBOX", "Other")) as s:
        archive_is_made(s)
        tap.equal(s.asked("CREATE"), ['CREATE "Archive"'])


def test_a_purpose_refused_makes_the_mailbox_all_the_same():
    with memory("CREATE-SPECIAL-USE UIDPLUS MOVE", ("INBOX", "Other")) as s:
        s.once(r".*USE.*", b"{tag} NO [USEATTR] one is enough\r\n")
        archive_is_made(s)
        tap.equal(s.asked("CREATE"), ['CREATE "Archive" (USE (\\Archive))', 'CREATE "Archive"'])


def test_archive_is_not_made_where_the_user_wants_none():
    with memory("CREATE-SPECIAL-USE UIDPLUS MOVE", ("INBOX", "Other")) as s:
        answer = archive_is_made(s, "set -a work make-mailboxes no\n")
        tap.contains(answer.text.decode(), "set -a work archive")
        tap.equal(s.asked("CREATE"), [])


def test_purpose_in_cyrus():
    with real(cyrus) as s, fetch(s.info) as p:
        p.do("STEP_LIST")
        p.do("STEP_BOX", op=0, name="Old mail", role=2)
        p.do("STEP_BOX", op=0, name="Second", role=99)
        boxes = names(p.do("STEP_LIST"))
        assert "Old mail" in boxes and "Second" in boxes, boxes


# ---- REPLACE (RFC 8508) ----
class Replacing(Memory):
    def do_replace(self, conn, rest, **_):
        uid = int(rest.split()[0])
        box = self.selected(conn, True)
        if uid not in box.messages:
            raise imap_script.No("NO no such message")
        new = box.add(imap_script.Message(self.literals.pop(0), {r"\Draft", r"\Seen"}))
        del box.messages[uid]
        return "* OK [APPENDUID %d %d] here\r\n" % (box.uidvalidity, new)


def draft_again(caps, refuse=None):
    with tap.directory() as d:
        s = Replacing(("INBOX", imap_script.Box("Drafts", "\\Drafts")), "IMAP4rev1 LITERAL+ " + caps, [], os.path.join(d, "server"))
        try:
            s.add("Drafts", mail(1), flags=(r"\Draft", r"\Seen"))
            s.add("Drafts", mail(7), flags=(r"\Draft", r"\Deleted"))  # another client's mark
            with store(s.info) as r:
                r.say(r.client, "WATCH", account="work", box=r.box("Drafts"))
                r.filled("Drafts", 2)
                if refuse:
                    s.once(refuse, b"{tag} NO [OVERQUOTA] full\r\n")
                with open(os.path.join(d, "new"), "wb+") as f:
                    f.write(mail(2))
                    f.flush()
                    f.seek(0)
                    m = r.ask("SAVE", fd=f.fileno(), account="work", box=r.box("Drafts"), flags=17, replaces=r.rows("Drafts")["number 1"])
                tap.equal(m.name, "INTENT_OK")
                r.settled()
                with s.lock:
                    left = sorted(re.search(rb"Subject: (.*)\r", m.raw)[1].decode() for m in s["Drafts"].messages.values())
                r.until("rows and server agree", lambda: sorted(r.rows("Drafts")) == left)
                return left, list(s.heard), list(r.notes)
        finally:
            s.close()


def test_a_draft_saved_again_is_replaced():
    left, heard, _ = draft_again("UIDPLUS REPLACE")
    tap.equal(left, ["number 2", "number 7"])
    assert any(c.startswith('UID REPLACE 1 "Drafts"') for c in heard), heard
    assert not any(c.startswith("APPEND") or "EXPUNGE" in c for c in heard), heard


def test_a_draft_saved_again_without_replace():
    left, heard, _ = draft_again("UIDPLUS")
    tap.equal(left, ["number 2", "number 7"], "only the older form of this draft went")
    order = [c.split()[0] + c.split()[1] for c in heard if c.startswith(("APPEND", "UID EXPUNGE"))]
    tap.equal([c[:10] for c in order], ['APPEND"Dra', "UIDEXPUNGE"], "first the new one")
    assert "UID EXPUNGE 1" in heard, heard


def test_a_draft_that_cannot_be_saved_replaces_nothing():
    for caps, refuse in (("UIDPLUS REPLACE", r"UID REPLACE.*"), ("UIDPLUS", r"APPEND.*")):
        left, heard, notes = draft_again(caps, refuse)
        tap.equal(left, ["number 1", "number 7"], caps)
        assert any("outbox/" in n for n in notes) and any("no room" in n for n in notes), notes


# ---- APPENDLIMIT (RFC 7889) ----
def test_appendlimit_is_looked_at_before_the_upload():
    with memory("UIDPLUS APPENDLIMIT=1000") as s, fetch(s.info) as p:
        append(p, mail(1))
        got = append(p, mail(2, "x" * 2000), want=ERR["TOO_LARGE"])
        tap.contains(got["DONE"].text.decode(), "the server takes at most")
        tap.equal(len(s.asked("APPEND")), 1)


def test_appendlimit_of_one_mailbox():
    limit = (r"STATUS .*APPENDLIMIT.*", b'* STATUS "INBOX" (APPENDLIMIT 70000)\r\n')
    with memory("UIDPLUS APPENDLIMIT", rules=[limit]) as s, fetch(s.info) as p:
        append(p, mail(1))
        tap.equal(s.asked("STATUS"), [], "a small mail costs no question")
        append(p, mail(2, "x" * 69000))
        append(p, mail(3, "x" * 80000), want=ERR["TOO_LARGE"])
        tap.equal(len(s.asked("APPEND")), 2)


def test_too_big_by_the_servers_word():
    with memory("UIDPLUS") as s, fetch(s.info) as p:
        s.once(r"APPEND.*", b"{tag} NO [TOOBIG] no\r\n")
        append(p, mail(2, "x" * 80000), want=ERR["TOO_LARGE"])


# ---- UTF8=ACCEPT (RFC 6855), IMAP4rev2 (RFC 9051) ----
def names_in_utf8(caps, enable, rev1=True):
    with memory(caps, ("INBOX", "Größe & Co", "a&b"), rev1=rev1) as s, fetch(s.info) as p:
        boxes = names(p.do("STEP_LIST"))
        tap.equal({k: b.utf8.decode() for k, b in boxes.items()},
                  {"INBOX": "INBOX", "Gr&APYA3w-e &- Co": "Größe & Co", "a&-b": "a&b"}, "one form of a name in all sessions")
        p.do("STEP_SELECT", box=2, name="Gr&APYA3w-e &- Co")
        p.do("STEP_SELECT", box=3, name="a&-b")
        p.do("STEP_BOX", op=0, name="Z&APw-rich")
        assert "Zürich" in s.boxes, s.boxes
        tap.equal(s.asked("ENABLE"), [enable] if enable else [])
        append(p, mail(1))
        eight = mail(2).replace(b"Alice Example", "Älice".encode())
        append(p, eight)
        tap.equal(list(s["INBOX"].messages.values())[-1].raw, eight)


def test_utf8_accept():
    rules = [(r"APPEND \S+ \(\) UTF8 \(~\{literal\}\)", b"{tag} OK in\r\n")]
    with memory("ENABLE UTF8=ACCEPT", ("INBOX", "Größe & Co"), rules) as s, fetch(s.info) as p:
        tap.equal(names(p.do("STEP_LIST"))["Gr&APYA3w-e &- Co"].utf8.decode(), "Größe & Co")
        p.do("STEP_SELECT", box=2, name="Gr&APYA3w-e &- Co")
        tap.equal(s.asked("SELECT")[0].encode("utf-8", "surrogateescape").decode().split(" (")[0], 'SELECT "Größe & Co"')
        append(p, mail(1))
        append(p, mail(2, "Käse in the text\r\n"))
        append(p, mail(2).replace(b"Alice Example", "Älice".encode()))
        tap.equal([("UTF8" in c) for c in s.asked("APPEND")], [False, False, True], "only a header of more than ASCII is announced")
        tap.equal(s.asked("ENABLE"), ["ENABLE UTF8=ACCEPT"])


def test_imap4rev2_beside_rev1():
    names_in_utf8("ENABLE IMAP4rev2 UIDPLUS", "ENABLE IMAP4rev2")


def test_imap4rev2_alone():
    names_in_utf8("ENABLE IMAP4rev2", "ENABLE IMAP4rev2", rev1=False)


def test_utf8_that_is_offered_and_refused():
    with memory("ENABLE UTF8=ACCEPT", ("INBOX", "Gr&APYA3w-e")) as s:
        s.once("ENABLE.*", b"{tag} NO not today\r\n")
        with fetch(s.info) as p:
            tap.equal(names(p.do("STEP_LIST"))["Gr&APYA3w-e"].utf8.decode(), "Größe")
            p.do("STEP_SELECT", box=2, name="Gr&APYA3w-e")


def test_modified_utf7_where_nothing_else_is_offered():
    with real(dovecot) as s:
        with fetch(s.info) as p:
            p.do("STEP_BOX", op=0, name="Gr&APYA3w-e &- Co")
            box = names(p.do("STEP_LIST"))["Gr&APYA3w-e &- Co"]
            tap.equal(box.utf8.decode(), "Größe & Co")


def copied_elsewhere(s, fetches):
    """A mail that another program copied: opened in the one mailbox, then in the other."""
    with s.imap("bob") as imap:
        imap.create("Keep")
        imap.append("INBOX", "", None, mail(1, "one and the same text\r\n"))
        imap.select("INBOX")
        assert imap.copy("1", "Keep")[0] == "OK"
    with store(s.info, "set purge-hold 0\n") as r:
        for name in ("INBOX", "Keep"):
            r.say(r.client, "WATCH", account="work", box=r.box(name))
            r.filled(name, 1)
            r.until("its row is whole", lambda: r.sql("cache", "select attrs & 32 from msg where box=?", r.box(name)) == [(32,)])
            tap.equal(r.bytes(r.rows(name)["number 1"]), mail(1, "one and the same text\r\n"))
        tap.equal(len(r.sent(r"UID FETCH \d+ .*BODY.PEEK\[\]")), fetches)
        r.intent(rig.PURGE, [r.rows("INBOX")["number 1"]])
        r.settled()
        tap.equal(r.bytes(r.rows("Keep")["number 1"]), mail(1, "one and the same text\r\n"), "each mailbox has a file of its own")
        tap.equal(len(r.sent(r"UID FETCH \d+ .*BODY.PEEK\[\]")), fetches)


def test_one_file_for_a_mail_in_two_mailboxes():
    with real(cyrus) as s:
        copied_elsewhere(s, 1)


def test_without_objectid_each_mailbox_is_asked():
    with real(dovecot) as s:
        copied_elsewhere(s, 2)


def test_threadid_of_cyrus():
    with real(cyrus, extra="conversations: yes\nconversations_db: twoskip\n") as s, fetch(s.info) as p:
        append(p, mail(1))
        append(p, mail(2, extra="In-Reply-To: <m1@example.org>\r\n").replace(b"number 2", b"Re: number 1"))
        append(p, mail(3))
        p.do("STEP_SELECT", box=1, name="INBOX")
        rows = p.do("STEP_ROWS", box=1, uid_lo=1)["ROW"]
        tap.equal(len({r.emailid for r in rows} - {b""}), 3)
        first, answer, other = [r.threadid for r in rows]
        assert first and first == answer != other, rows


def test_a_link_leads_nowhere_else():
    with memory("OBJECTID") as s, fetch(s.info) as p:
        s.add("INBOX", mail(1))
        p.do("STEP_SELECT", box=1, name="INBOX")
        at = p.do("STEP_BODY", box=1, uid=1, msg=7, urgent=1)["BODY_AT"][0].path
        here = os.path.join(p.root, "mail", "work")
        to = dict(box=2, name="Drafts", uidvalidity=7, uid=3, msg=8)
        linked = p.do("STEP_FILE_LINK", path=at, **to)["BODY_AT"][0]
        tap.equal((linked.msg, linked.uid, linked.bytes), (8, 3, 0), "nothing crossed the line")
        tap.equal(os.stat(os.path.join(here, linked.path.decode())).st_nlink, 2)
        p.do("STEP_FILE_LINK", path=at, **to)  # a second time
        for path in (b"../../../rc", b"../work/" + at, at + b"/..", b"x" * 32 + b"/1"):
            p.do("STEP_FILE_LINK", path=path, want=ERR["CHANNEL"], **to)
        p.do("STEP_FILE_LINK", path=at[:33] + b"99", want=ERR["NO_MESSAGE"], **to)
        evil = b"0" * 32
        os.symlink(here, os.path.join(here, evil.decode()))
        p.do("STEP_FILE_LINK", path=evil + b"/1", want=ERR["IO"], **to)
        p.do("STEP_FILE_LINK", path=at, want=ERR["IO"], box=1, name="INBOX", uidvalidity=7, uid=1, msg=7)
        tap.equal(open(os.path.join(here, at.decode()), "rb").read(), mail(1), "never onto itself")


def find_without_message_id(kind, found):
    """Two mails alike but for a word: neither has a Message-ID, both have the same size."""
    with real(kind) as s, fetch(s.info) as p:
        for word in ("this", "that"):
            append(p, mail(1, word + "\r\n").replace(b"Message-ID: <m1@example.org>\r\n", b""))
        p.do("STEP_BOX", op=0, name="Keep")
        p.do("STEP_SELECT", box=1, name="INBOX")
        rows = p.do("STEP_ROWS", box=1, uid_lo=1)["ROW"]
        p.do("STEP_MOVE", box=1, uids=channel.ranges((1, 2)), target=2, target_name="Keep", copy=1)
        hits = [p.do("STEP_FIND", box=2, name="Keep", emailid=r.emailid, size=r.size)["FOUND"] for r in rows]
        tap.equal([[f.uid for f in h] for h in hits], found, [r.emailid for r in rows])


def test_a_message_is_found_by_the_servers_id():
    find_without_message_id(cyrus, [[1], [2]])


def test_without_objectid_a_message_is_found_by_its_size():
    find_without_message_id(dovecot, [[1, 2], [1, 2]])


# ---- PREVIEW (RFC 8970) ----
def first_words(want, command, **server):
    with real(dovecot, **server) as s, fetch(s.info) as p:
        append(p, mail(1, "The first words,\r\nand some more.\r\n"))
        p.do("STEP_SELECT", box=1, name="INBOX")
        tap.equal([r.preview for r in p.do("STEP_ROWS", box=1, uid_lo=1)["ROW"]], [b""], "nothing is asked for in vain")
        tap.equal([(r.subject, r.preview) for r in p.do("STEP_ROWS", box=1, uid_lo=1, fields=3)["ROW"]], [(b"number 1", want)])
        log = open(os.path.join(p.directory, "log"), errors="replace").read()
        tap.equal(bool(re.search(r"UID FETCH \S+ \(PREVIEW ", log)), command)


def test_first_words_of_new_mail():
    first_words(b"The first words, and some more.", True)


def test_first_words_where_the_server_tells_none():
    first_words(b"", False, imap_capability="IMAP4rev1 SASL-IR LITERAL+ UIDPLUS")


# ---- MULTIAPPEND (RFC 3502) ----
def append_in_one_go(p, mails, name="INBOX"):
    """Steps that wait while the line is made. UIDs as they are told, and how many commands it took."""
    p.do("STEP_CLOSE")
    steps = [p.begin("STEP_CONNECT")]
    for i, data in enumerate(mails):
        with open(os.path.join(p.root, "mail%d" % i), "wb+") as f:
            f.write(data)
            f.flush()
            steps.append(p.begin("STEP_APPEND", fd=f.fileno(), box=1, name=name, flags=1))
    p.end(steps[0])
    uids = [p.end(step)["APPENDED"][0].uid for step in steps[1:]]
    log = open(os.path.join(p.directory, "log"), errors="replace").read()
    return uids, len(re.findall(r"> T\d+ APPEND", log))


def test_mails_for_one_mailbox_go_in_one_command():
    for kind in (dovecot, cyrus):
        with real(kind) as s, fetch(s.info) as p:
            tap.equal(append_in_one_go(p, [mail(1), mail(2, "longer\r\n"), mail(3)]), ([1, 2, 3], 1))
            p.do("STEP_SELECT", box=1, name="INBOX")
            rows = p.do("STEP_ROWS", box=1, uid_lo=1)["ROW"]
            tap.equal([(r.uid, r.subject, r.flags) for r in rows], [(n, b"number %d" % n, 1) for n in (1, 2, 3)])


def test_without_multiappend_each_mail_is_a_command():
    with real(dovecot, imap_capability="IMAP4rev1 SASL-IR LITERAL+ UIDPLUS") as s, fetch(s.info) as p:
        tap.equal(append_in_one_go(p, [mail(1), mail(2), mail(3)]), ([1, 2, 3], 3))


def test_one_mail_that_is_refused_takes_no_other_with_it():
    for literals in ("LITERAL+ ", ""):
        with memory("UIDPLUS MULTIAPPEND") as s:
            s.caps, s.greeting = "IMAP4rev1 %sUIDPLUS MULTIAPPEND" % literals, b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
            with fetch(s.info) as p:
                together = append_in_one_go(p, [mail(1), mail(2), mail(3)])
                tap.equal(together, ([1, 2, 3], 1), literals)
                apart = append_in_one_go(p, [mail(4), mail(5, "too much\r\n"), mail(6)])
                tap.equal((sorted(apart[0]), len(s["INBOX"].messages)), ([4, 5, 6], 6), "each went by itself")
            tap.equal(s.asked("(EXPUNGE|CLOSE|UID EXPUNGE)"), [])


# ---- UNSELECT (RFC 3691) ----
def leaves_what_it_removes(kind, commands, **server):
    """Dovecot hangs up on whoever is in a mailbox that he removes."""
    with real(kind, **server) as s, fetch(s.info) as p:
        p.do("STEP_BOX", op=0, name="Old")
        append(p, mail(1), "Old", flags=8)
        p.do("STEP_SELECT", box=2, name="Old")
        p.do("STEP_BOX", op=2, name="Old")
        tap.equal(p.do("STEP_SELECT", box=1, name="INBOX")["BOX_OPEN"][0].exists, 0)
        assert "Old" not in names(p.do("STEP_LIST"))
        tap.equal([m for m in p.seen if m.name == "LOST"], [], "the line is the same one")
        sent = re.findall(r"> \w+ (UNSELECT|EXAMINE INBOX|CLOSE)", open(os.path.join(p.directory, "log"), errors="replace").read())
        tap.equal(sent, commands)


def test_a_mailbox_is_left_before_it_is_removed():
    leaves_what_it_removes(dovecot, ["UNSELECT"])


def test_a_mailbox_is_left_before_it_is_removed_without_unselect():
    leaves_what_it_removes(dovecot, ["EXAMINE INBOX"], imap_capability="IMAP4rev1 SASL-IR LITERAL+ UIDPLUS")


def test_a_mailbox_is_left_before_it_is_removed_in_cyrus():
    leaves_what_it_removes(cyrus, ["UNSELECT"])


# ---- ID (RFC 2971) ----
def test_id_says_name_and_version_and_no_more():
    with memory("ID", rules=[("ID .*", b'* ID ("name" "Evil\x1b[31m" "vendor" "x\\"y" "os" NIL)\r\n')]) as s:
        with fetch(s.info) as p:
            p.do("STEP_LIST")
            tap.equal([re.sub(r"[0-9.a-z-]+\"\)$", 'V")', c) for c in s.asked("ID ")], ['ID ("name" "tuimail" "version" "V")'])
            told = [m for m in p.seen if m.name == "SERVER_ID"]
            tap.equal(told[0].text, b'name: Evil\x1b[31m\nvendor: x"y\n', "raw: cleaned where it is shown")
        with fetch(s.info, "set -a work send-id no\n") as p:
            p.do("STEP_LIST")
            tap.equal(s.asked("ID ")[-1], "ID NIL")
    with memory("") as s, fetch(s.info) as p:
        p.do("STEP_LIST")
        tap.equal(s.asked("ID"), [])


def test_id_comes_before_any_mailbox_is_opened():
    with memory("ID ENABLE CONDSTORE") as s, fetch(s.info) as p:
        p.do("STEP_SELECT", box=1, name="INBOX")
        order = [c.split()[0] for c in s.heard]
        assert order.index("ID") < order.index("SELECT"), order


# ---- LIST-EXTENDED, LIST-STATUS, STATUS=SIZE ----
def test_one_command_lists_all_where_the_server_can():
    with memory("LIST-EXTENDED LIST-STATUS SPECIAL-USE STATUS=SIZE QUOTA", quota={"": "STORAGE 1 10"}) as s:
        s.add("INBOX", mail(1))
        with fetch(s.info) as p:
            box = names(p.do("STEP_LIST"))["INBOX"]
            tap.equal((box.total, box.size, bool(box.attrs & 8)), (1, len(mail(1)), True))
            tap.equal(len(s.asked("LIST")), 1)
            tap.equal(s.asked("STATUS") + s.asked("LSUB"), [])


def test_list_lsub_and_status_where_it_cannot():
    with memory("STATUS=SIZE") as s:
        s.add("INBOX", mail(1))
        with fetch(s.info) as p:
            box = names(p.do("STEP_LIST"))["INBOX"]
            tap.equal((box.total, bool(box.attrs & 8)), (1, True))
            tap.equal(box.size, 2 ** 64 - 1, "no size is asked without a quota: it may cost the server much")
            tap.equal([c.split()[0] for c in s.heard if c.split()[0] in ("LIST", "LSUB", "STATUS")], ["LIST", "LSUB", "STATUS", "STATUS"])


# ---- SEARCHRES (RFC 5182) ----
def test_what_is_found_is_asked_for_in_one_flight():
    class Keeping(Memory):
        def do_search(self, conn, rest, uid):
            kept = "RETURN (SAVE) " in rest
            out = super().do_search(conn, rest.replace("RETURN (SAVE) ", "RETURN (ALL) "), uid=uid)
            text = out if isinstance(out, str) else out[0]
            conn.kept = (re.search(r"ALL ([\d:,]+)", text) or [None, ""])[1]
            return "" if kept else out

        def do_fetch(self, conn, rest, uid):
            return super().do_fetch(conn, rest.replace("$", conn.kept, 1), uid=uid) if rest[0] != "$" or conn.kept else b""
    for caps, parallel in (("UIDPLUS ESEARCH SEARCHRES", True), ("UIDPLUS ESEARCH", False)):
        with tap.directory() as d:
            s = Keeping(("INBOX",), "IMAP4rev1 LITERAL+ " + caps, [], os.path.join(d, "server"))
            try:
                s.add("INBOX", mail(1), mail(2), mail(3))
                with fetch(s.info) as p:
                    found = p.do("STEP_FIND", box=1, name="INBOX", msgid="m2@example.org")["FOUND"]
                    tap.equal([(f.uid, f.size) for f in found], [(2, len(mail(2)))], caps)
                    tap.equal("FOUND" in p.do("STEP_FIND", box=1, name="INBOX", msgid="none@example.org"), False)
                    tap.equal(len(s.asked(r"UID FETCH \$")), 2 if parallel else 0, caps)
                    tap.equal(len(s.asked(r"UID FETCH 2 ")), 0 if parallel else 1, caps)
            finally:
                s.close()


# ---- REFERRAL (RFC 2221, 2193) ----
def test_a_referral_is_shown_and_not_followed():
    with memory("LOGIN-REFERRALS MAILBOX-REFERRALS") as s:
        s.once("SELECT.*", b"{tag} NO [REFERRAL imap://evil.example.org/\x1b]0;x\x07INBOX] not here\r\n")
        with fetch(s.info) as p:
            text = p.do("STEP_SELECT", box=1, name="INBOX", want=ERR["NO_MAILBOX"])["DONE"].text.decode()
            tap.contains(text, "imap://evil.example.org/")
            tap.contains(text, "only if you write it")
            assert "\x1b" not in text and "\x07" not in text, text


if __name__ == "__main__":
    tap.run(globals())
