#!/usr/bin/env python3
"""What mail providers do in their own ways, each in a test named after it: the real store and fetch against scripted servers that answer as
those are known to, by their documents and by what maintainers of other clients wrote of them."""
import contextlib
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import imap_hostile  # noqa: E402
import rig  # noqa: E402
import tap  # noqa: E402
from channel import ranges  # noqa: E402
from imap_script import CAPS, Box, Gmail, Server  # noqa: E402
from rig import ARCHIVE, FLAGS, MOVE, PURGE, SPAM, TAGS, TRASH  # noqa: E402
from user import User, eventually  # noqa: E402

ONLINE = 2


def mail(n, body="text\r\n", extra=""):
    return ("From: Alice Example <alice@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: number %d\r\n"
            "Date: Sun, 22 Nov 2026 14:02:%02d +0100\r\nMessage-ID: <m%d@example.org>\r\n%s\r\n%s" % (n, n % 60, n, extra, body)).encode()


def names(*numbers):
    return sorted("number %d" % n for n in numbers)


@contextlib.contextmanager
def account(make, fill=3, lines="", box="INBOX"):
    """The programs, with `fill` messages in the mailbox that is shown. `make(directory)` gives the server."""
    with tap.directory() as d:
        server = make(os.path.join(d, "server"))
        server.add(box, *(mail(i) for i in range(1, fill + 1)))
        r = rig.Rig(os.path.join(d, "rig"), server.info, lines="set purge-hold 0\n" + lines)
        r.server = server
        try:
            r.until("the list is read", lambda: box in r.boxes() and r.accounts and r.accounts[-1].state == ONLINE)
            r.say(r.client, "WATCH", account="work", box=r.box(box))
            r.filled(box, fill)
            yield r
        finally:
            r.close()
            server.close()


def body(p, at):
    with open(os.path.join(p.root, "mail", "work", at.path.decode()), "rb") as f:
        return f.read()


@contextlib.contextmanager
def odd_structure(make, answer):
    """fetch on a server that describes a large message in its own way; `big` is that message."""
    big = mail(1, "".join("--b\r\nContent-Type: text/plain\r\n\r\n%s\r\n" % ("x" * 60 + "\r\n" * 1000) for _ in range(40)) + "--b--\r\n",
               'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n')

    class Odd(type(make(None))):
        def item(self, conn, box, uid, name):
            return answer if name.upper() == "BODYSTRUCTURE" else super().item(conn, box, uid, name)
    server = make(None)
    server.__class__ = Odd
    server.add("INBOX", big)
    with imap_hostile.fetch(server=server) as p:
        p.big = big
        yield p


def held(r, name):
    """Subjects in a mailbox of the server."""
    with r.server.lock:
        return sorted(m.raw.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for m in r.server[name].messages.values())


def show(r, name, count):
    r.say(r.client, "WATCH", account="work", box=r.box(name))
    r.filled(name, count)


def ids(r, *numbers, box="INBOX"):
    rows = r.rows(box)
    return [rows["number %d" % n] for n in numbers]


def tags(r, ident):
    """Tags by the row's Message-ID."""
    return sorted(bytes(t).decode() for t, in r.sql("keep", "select tag from tag where mh=?", r.sql("cache", "select mh from msg where id=?", ident)[0][0]))


# ---- Gmail ---------------------------------------------------------------------------------------
def test_gmail_archive_takes_the_inbox_label_away():
    """No mailbox has the Archive role; what leaves INBOX stays in All Mail, with its other labels."""
    with account(Gmail) as r:
        r.server.boxes["Work"].add(list(r.server["INBOX"].messages.values())[1])
        r.intent(ARCHIVE, ids(r, 1, 2))
        r.settled()
        tap.equal(held(r, "INBOX"), names(3))
        tap.equal(held(r, "[Gmail]/All Mail"), names(1, 2, 3))
        tap.equal(held(r, "Work"), names(2))
        tap.equal(r.server.asked("CREATE"), [], "no mailbox is made for it")
        r.undo()
        r.settled()
        tap.equal(held(r, "INBOX"), names(1, 2, 3))
        tap.equal(held(r, "[Gmail]/All Mail"), names(1, 2, 3), "nothing leaves All Mail by a move out of it")
        tap.equal(held(r, "[Gmail]/Trash"), [])


def test_gmail_archive_when_all_mail_is_listed():
    """All Mail has the message under a UID of its own already: it stands there once."""
    with account(Gmail) as r:
        show(r, "[Gmail]/All Mail", 3)
        show(r, "INBOX", 3)
        r.intent(ARCHIVE, ids(r, 1))
        r.settled()
        r.filled("INBOX", 2)
        show(r, "[Gmail]/All Mail", 3)

        def rows():
            return r.sql("cache", "select m.subject from msg m join box b on b.id=m.box where b.name=? order by 1", b"[Gmail]/All Mail")
        r.until("it stands there once", lambda: [bytes(s).decode() for s, in rows()] == names(1, 2, 3))


def test_gmail_delete_goes_to_trash():
    """\\Deleted and EXPUNGE would archive."""
    with account(Gmail) as r:
        r.server.boxes["Work"].add(list(r.server["INBOX"].messages.values())[0])
        r.intent(TRASH, ids(r, 1))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "[Gmail]/Trash")), (names(2, 3), names(1)))
        tap.equal((held(r, "[Gmail]/All Mail"), held(r, "Work")), (names(2, 3), []), "it is in no other mailbox any more")


def test_gmail_delete_for_good_is_for_good():
    """An EXPUNGE in INBOX leaves the message in All Mail: by way of Trash it is gone."""
    with account(Gmail) as r:
        r.intent(PURGE, ids(r, 1, 3))
        r.settled()
        r.until("it is gone from Trash", lambda: held(r, "[Gmail]/Trash") == [])
        tap.equal((held(r, "INBOX"), held(r, "[Gmail]/All Mail")), (names(2), names(2)))
        r.filled("INBOX", 1)
        r.filled("[Gmail]/Trash", 0)


def test_gmail_all_mail_is_listed_only_on_request():
    """Starred, Important and All Mail hold doubles of what other mailboxes hold."""
    with account(Gmail) as r:
        r.pump(1)
        opened = " ".join(r.server.asked("(SELECT|EXAMINE) "))
        for name in ("All Mail", "Starred", "Important"):
            assert name not in opened, opened
        roles = dict(r.sql("cache", "select name,role from box"))
        tap.equal([roles[("[Gmail]/" + n).encode()] for n in ("All Mail", "Trash", "Spam", "Sent Mail", "Drafts", "Starred", "Important")],
                  [7, 5, 6, 4, 3, 8, 9])


def test_gmail_names_of_another_language():
    """Only SPECIAL-USE tells which mailbox is which."""
    german = ("Alle Nachrichten", "Papierkorb", "Spam", "Gesendet", "Entw&APw-rfe", "Markiert", "Wichtig")
    with account(lambda d: Gmail(d, prefix="[Google Mail]", names=german)) as r:
        r.intent(ARCHIVE, ids(r, 1))
        r.intent(TRASH, ids(r, 2))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "[Google Mail]/Papierkorb")), (names(3), names(2)))
        tap.equal(held(r, "[Google Mail]/Alle Nachrichten"), names(1, 3))


def test_gmail_labels_are_tags():
    with account(Gmail) as r:
        first, second = ids(r, 1, 2)
        r.intent(TAGS, [first], arg="+urgent +Receipts")
        r.settled()
        message = next(iter(r.server["INBOX"].messages.values()))
        tap.equal(r.server.labels(message), ["Receipts", "\\Inbox", "urgent"])
        assert "urgent" not in message.flags, message.flags
        r.intent(TAGS, [first], arg="-Receipts")
        r.settled()
        tap.equal(r.server.labels(message), ["\\Inbox", "urgent"])
        # what the web page does arrives here
        other = r.server["INBOX"].messages[2]
        with r.server.lock:
            r.server.change(r.server["INBOX"], 2, "+X-GM-LABELS", ["Work"])
            r.server.change(r.server["INBOX"], 2, "+FLAGS", ["\\Seen"])
            r.server.drop()
        r.until("the label is a tag", lambda: "Work" in tags(r, second))
        # flags alone, as IDLE tells them, take no label away
        with r.server.lock:
            r.server.change(r.server["INBOX"], 2, "+FLAGS", ["\\Flagged"])
        r.until("the flag is here", lambda: r.flags(second) & rig.FLAGGED)
        assert "Work" in tags(r, second), tags(r, second)
        # in its own mailbox a label is not said: it is one all the same
        tap.equal(r.server.labels(other, r.server["Work"]), ["\\Inbox"])
        show(r, "Work", 1)
        r.pump(0.5)
        assert "Work" in tags(r, second), tags(r, second)


def labels_of_many_words(caps, of_server):
    """A blank in a label is a no-break space in the tag; `of_server` is the other label as it stands on the wire."""
    def make(directory):
        server = Gmail(directory, labels=("To Do (soon)", of_server))
        server.caps = caps(server.caps)
        return server
    with account(make) as r:
        first, second = ids(r, 1, 2)
        with r.server.lock:
            for label in ("To Do (soon)", of_server):
                r.server.change(r.server["INBOX"], 1, "+X-GM-LABELS", [label])
            r.server.change(r.server["INBOX"], 1, "+FLAGS", ["\\Seen"])
            r.server.drop()
        r.until("the labels are tags", lambda: tags(r, first) == ["Entwürfe\xa0a", "To\xa0Do\xa0(soon)"])
        r.intent(TAGS, [second], arg="+Entwürfe\xa0a +To\xa0Do\xa0(soon) +new\xa0one")
        r.intent(TAGS, [first], arg="-Entwürfe\xa0a")
        r.settled()
        messages = list(r.server["INBOX"].messages.values())
        tap.equal(sorted(r.server.labels(messages[0])), sorted(["To Do (soon)", "\\Inbox"]))
        tap.equal(sorted(r.server.labels(messages[1])), sorted(["To Do (soon)", of_server, "new one", "\\Inbox"]))
        assert not any(m.flags & {"new", "one"} for m in messages), [m.flags for m in messages]
        r.undo()
        r.settled()
        assert of_server in r.server.labels(messages[0])


def test_gmail_labels_of_many_words():
    labels_of_many_words(lambda caps: caps, "Entwürfe a")


def test_gmail_labels_in_modified_utf7():
    labels_of_many_words(lambda caps: caps.replace("UTF8=ACCEPT ", ""), "Entw&APw-rfe a")


def test_gmail_conversations_are_threads():
    """As the web page joins them, also where a mail does not say what it answers."""
    with account(Gmail) as r:
        with r.server.lock:
            messages = list(r.server["INBOX"].messages.values())
            r.server.add("INBOX", mail(4))
            list(r.server["INBOX"].messages.values())[3].extra["thrid"] = messages[0].extra["thrid"]
        r.filled("INBOX", 4)
        r.until("the rows are whole", lambda: r.sql("cache", "select count(*) from msg where attrs & 32") == [(4,)])
        of = {bytes(s).decode(): t for s, t in r.sql("cache", "select subject,thread from msg where box=?", r.box("INBOX"))}
        tap.equal(of["number 4"], of["number 1"])
        tap.equal(len(set(of.values())), 3)


def test_gmail_a_mail_with_two_labels_is_fetched_once():
    with account(Gmail, lines="set -a work cache all\n") as r:
        with r.server.lock:
            for message in list(r.server["INBOX"].messages.values()):
                r.server["Work"].add(message)
        show(r, "Work", 3)
        whole = "select count(*) from msg where state & 2"
        for _ in range(300):  # nothing is asked meanwhile: mail comes ahead while the user rests
            r.pump(0.1)
            if r.sql("cache", whole) == [(6,)]:
                break
        tap.equal(r.sql("cache", whole), [(6,)])
        tap.equal(len(r.sent(r"UID FETCH \d+ .*BODY.PEEK\[\]")), 3, "bodies of three mails in six rows")


def test_gmail_moves_between_labels():
    with account(Gmail) as r:
        r.intent(MOVE, ids(r, 1), target=r.box("Work"))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "Work"), held(r, "[Gmail]/All Mail")), (names(2, 3), names(1), names(1, 2, 3)))


def test_gmail_one_hit_for_one_message():
    """In INBOX, under a label and in All Mail it is one message for a search and for the counts of all inboxes."""
    with tap.directory() as d:
        server = Gmail(os.path.join(d, "server"))
        server.add("INBOX", *(mail(i) for i in (1, 2, 3)))
        server["Work"].add(server["INBOX"].messages[2])
        server.change(server["INBOX"], 3, "+X-GM-LABELS", ["To Do"])
        user = User(os.path.join(d, "user"), server)
        try:
            user.command("fetch")
            found = []

            def search():
                found[:] = [x for x in user.command("search", "subject:number", status=None).splitlines() if "number" in x]
                return len(found) >= 3
            eventually("all are indexed", search)
            tap.equal(len(found), 3, found)
            labelled = [x for x in user.command("search", 'tag:"To Do"').splitlines() if "number" in x]
            tap.equal(len(labelled), 1, "a label with a blank is a tag that search finds")
        finally:
            server.close()


def test_gmail_too_many_connections_is_no_wrong_password():
    """NO [ALERT] without any code that says so."""
    refuse = b"{tag} NO [ALERT] Too many simultaneous connections. (Failure)\r\n"
    with account(Gmail) as r:
        r.server.once("(LOGIN|AUTHENTICATE) .*", refuse)
        r.server.drop()
        r.until("the login is refused", lambda: not r.server.first)
        r.until("it is online again", lambda: r.accounts[-1].state == ONLINE)
        tap.equal([n for n in r.notes if "password" in n], [])


def test_gmail_bandwidth_limit_is_no_full_mailbox():
    """NO [OVERQUOTA] of a command that adds nothing: waited for, not refused."""
    with account(Gmail) as r:
        r.server.once("UID MOVE .*", b"{tag} NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)\r\n")
        r.intent(ARCHIVE, ids(r, 1))
        r.settled()
        tap.equal((held(r, "INBOX"), len(r.server.asked("UID MOVE"))), (names(2, 3), 2))
        tap.equal([n for n in r.notes if "refused" in n or "failed" in n or "full" in n], [])


# ---- Exchange, Outlook ---------------------------------------------------------------------------
EXCHANGE = ("IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION "
            "BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+")


def exchange(directory, **more):
    boxes = ("INBOX", "Archive", "Calendar", "Contacts", "Deleted Items", "Drafts", "Junk Email", "Sent Items", "Sync Issues", "Sync Issues/Conflicts")
    return Server([Box(b, "\\HasNoChildren", keywords=False) for b in boxes], EXCHANGE, directory=directory, before_login=EXCHANGE, **more)


def test_exchange_mailboxes_by_their_names():
    """No SPECIAL-USE, no LIST-EXTENDED, no CONDSTORE, no ESEARCH."""
    with account(exchange) as r:
        r.intent(TRASH, ids(r, 1))
        r.intent(ARCHIVE, ids(r, 2))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "Deleted Items"), held(r, "Archive")), (names(3), names(1), names(2)))
        tap.equal(r.server.asked("CREATE"), [])
        roles = dict(r.sql("cache", "select name,role from box"))
        tap.equal(roles[b"Sync Issues"], 0)
        r.intent(SPAM, ids(r, 3))
        r.settled()
        tap.equal(held(r, "Junk Email"), names(3))


def test_exchange_keeps_no_keywords():
    """PERMANENTFLAGS without \\*: the tag stays here and is not lost."""
    with account(exchange) as r:
        first, = ids(r, 1)
        r.intent(TAGS, [first], arg="+urgent")
        r.settled()
        tap.equal(tags(r, first), ["urgent"])
        tap.equal([c for c in r.server.heard if "urgent" in c], [])
        tap.equal([n for n in r.notes if "refused" in n or "failed" in n], [])


def test_exchange_throttling_is_waited_for():
    """BAD with a time in words: no protocol error, no lost change; the account comes back by itself."""
    with account(exchange) as r:
        r.server.once("UID MOVE .*", b"{tag} BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n")
        r.intent(TRASH, ids(r, 1))
        r.settled()
        tap.equal((held(r, "Deleted Items"), len(r.server.asked("UID MOVE"))), (names(1), 2))
        tap.equal([n for n in r.notes if "refused" in n or "failed" in n], [])


def test_exchange_authenticated_but_not_connected():
    """The login succeeds, and every command is BAD for a while."""
    with account(exchange) as r:
        for command in ("LIST .*", "SELECT .*"):
            r.server.once(command, b"{tag} BAD User is authenticated but not connected.\r\n")
        r.server.drop()
        r.server.add("INBOX", mail(4))
        r.until("the login worked and the rest did not", lambda: len(r.server.first) < 2)
        r.filled("INBOX", 4)
        tap.equal([n for n in r.notes if "password" in n], [])


def test_exchange_bye_in_idle():
    with account(exchange) as r:
        r.until("it idles", lambda: r.server.asked("IDLE"))
        r.server.once("IDLE", b"+ IDLE accepted, awaiting DONE command.\r\n* BYE Connection is closed. 13\r\n")
        r.server.add("INBOX", mail(4))
        r.filled("INBOX", 4)
        r.until("the mailbox is left or woken", lambda: len(r.server.asked("IDLE")) > 1)
        r.server.add("INBOX", mail(5))
        r.filled("INBOX", 5)


def test_exchange_items_in_any_order_and_wrong_sizes():
    """RFC822.SIZE before UID, and not the size that BODY[] has."""
    class Reversed(Server):
        def item(self, conn, box, uid, name):
            return b"RFC822.SIZE 99" if name == "RFC822.SIZE" else super().item(conn, box, uid, name)

        def do_fetch(self, conn, rest, uid):
            def turn(m):
                return m[1] + b" ".join(reversed(re.findall(rb"\w[\w.]* (?:\([^)]*\)|\"[^\"]*\"|\w+)", m[2]))) + b" BODY["
            return re.sub(rb"(?s)(\* \d+ FETCH \()(.*?) BODY\[", turn, super().do_fetch(conn, rest, uid))
    server = Reversed(caps=EXCHANGE)
    server.add("INBOX", *(mail(i) for i in (1, 2)))
    with imap_hostile.fetch(server=server) as p:
        rows = p.do("STEP_ROWS_TOP", box=1, count=2)["ROW"]
        tap.equal([(r.uid, r.subject, r.size) for r in rows], [(1, b"number 1", 99), (2, b"number 2", 99)])
        at = p.do("STEP_BODY", box=1, uid=2, msg=2, urgent=1, size=99)["BODY_AT"][0]
        tap.equal(body(p, at), mail(2))


def test_exchange_long_sets_in_short_commands():
    """A command of 10 KB is "BAD Command Error. 10"."""
    server = exchange(None)
    server.add("INBOX", *(mail(1) for i in range(3000)))
    with imap_hostile.fetch(server=server) as p:
        p.do("STEP_STORE", box=1, uids=ranges(*range(1, 3000, 2)), add=1)
        assert max(len(c) for c in server.heard) < 8000
        tap.equal(sum("\\Seen" in m.flags for m in server["INBOX"].messages.values()), 1500)


def test_exchange_a_calendar_item_that_it_cannot_give():
    """OK without the message: this one is told of, the others come."""
    server = exchange(None, rules=[(r"UID FETCH 2 .*BODY.*", b"")])
    server.add("INBOX", *(mail(i) for i in (1, 2, 3)))
    with imap_hostile.fetch(server=server) as p:
        for uid, want in ((1, 0), (2, imap_hostile.ERR["NO_MESSAGE"]), (3, 0)):
            p.end(p.begin("STEP_BODY", box=1, uid=uid, msg=uid, urgent=1), want)


def test_exchange_odd_bodystructure():
    """NIL where a list or a string has to be: the message is fetched whole."""
    odd = b'BODYSTRUCTURE ((NIL NIL NIL NIL NIL NIL 0)("text" "plain" NIL NIL NIL NIL NIL NIL) NIL "mixed" ("boundary" NIL))'
    with odd_structure(exchange, odd) as p:
        big = p.big
        at = p.do("STEP_BODY", box=1, uid=1, msg=1, urgent=1, size=len(big))["BODY_AT"][0]
        tap.equal(body(p, at), big)


# ---- iCloud --------------------------------------------------------------------------------------
ICLOUD = ("XAPPLEPUSHSERVICE IMAP4 IMAP4rev1 CONDSTORE ENABLE QRESYNC QUOTA XAPPLELITERAL NAMESPACE UIDPLUS CHILDREN BINARY UNSELECT SORT CATENATE "
          "URLAUTH LANGUAGE ESEARCH ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES CONTEXT=SEARCH CONTEXT=SORT WITHIN SASL-IR SEARCHRES METADATA ID "
          "XMSEARCH X-SUN-SORT ANNOTATE-EXPERIMENT-1 X-UNAUTHENTICATE X-SUN-IMAP XUM1 MULTISEARCH IDLE X-APPLE-REMOTE-LINKS LIST-STATUS")


def icloud(directory, **more):
    boxes = ("INBOX", "Archive", "Deleted Messages", "Drafts", "Junk", "Notes", "Sent Messages")
    return Server(boxes, ICLOUD, directory=directory, before_login=ICLOUD + " AUTH=ATOKEN AUTH=PLAIN", **more)


def test_icloud_mailboxes_and_moves():
    """No SPECIAL-USE, no MOVE, no LITERAL+; LIST-STATUS without LIST-EXTENDED; QRESYNC."""
    with account(icloud) as r:
        r.intent(TRASH, ids(r, 1))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "Deleted Messages")), (names(2, 3), names(1)))
        tap.equal([c for c in r.server.heard if "MOVE" in c or c.startswith(("EXPUNGE", "CLOSE"))], [])
        r.intent(TAGS, ids(r, 2), arg="+urgent")
        r.settled()
        assert "urgent" in r.server["INBOX"].messages[2].flags
        with r.server.lock:
            r.server.remove(r.server["INBOX"], [3])
            r.server.drop()
        r.filled("INBOX", 1)
        tap.equal([c for c in r.server.heard if c.endswith("+}")], [])


def test_icloud_never_asked_for_rfc822():
    """It answers RFC822 with nothing at all; BODY.PEEK[] it knows. No ENVELOPE either: its quotes in Message-IDs are not escaped."""
    server = icloud(None)
    server.add("INBOX", mail(1), mail(2, "x" * 70 + "\r\n" * 4000))
    with imap_hostile.fetch(server=server) as p:
        p.do("STEP_ROWS_TOP", box=1, count=2)
        for uid in (1, 2):
            p.do("STEP_BODY", box=1, uid=uid, msg=uid, urgent=1)
        bad = [c for c in server.heard if re.search(r"RFC822(?!\.SIZE)|ENVELOPE", c)]
        tap.equal(bad, [])


def test_icloud_quotes_in_a_bodystructure():
    """A quote within a quoted string, as it came with the mail: the message is fetched whole."""
    odd = b'BODYSTRUCTURE ((("TEXT" "PLAIN" ("charset" "utf-8") NIL NIL "7BIT" 119 8 NIL NIL NIL)("APPLICATION" "PDF NAME="ATT1.PDF"" NIL NIL NIL "base64" 257328) "mixed"'
    with odd_structure(icloud, odd) as p:
        at = p.do("STEP_BODY", box=1, uid=1, msg=1, urgent=1, size=len(p.big))["BODY_AT"][0]
        tap.equal(body(p, at), p.big)


# ---- Yahoo, AOL ----------------------------------------------------------------------------------
YAHOO = "IMAP4rev1 ID MOVE NAMESPACE X-ID-ACLID UIDPLUS LITERAL+ CHILDREN XAPPLEPUSHSERVICE XYMHIGHESTMODSEQ"


def test_yahoo_lost_messages_hold_nothing_up():
    """NO [UNAVAILABLE] for a whole FETCH, for the sake of one message."""
    def answer(m):
        lo, hi = int(m[1]), int(m[2])
        return b"{tag} NO [UNAVAILABLE] UID FETCH Server error while fetching messages\r\n" if lo <= 7 <= hi else b"".join(
            imap_hostile.row(i) for i in range(lo, min(hi, 20) + 1))
    with imap_hostile.fetch((r"(?:UID )?FETCH (\d+):(\d+) .*", answer), exists=20, caps=YAHOO) as p:
        got = p.do("STEP_ROWS_TOP", box=1, count=20)["ROW"]
        tap.equal(sorted(r.uid for r in got), [u for u in range(1, 21) if u != 7])


def test_yahoo_modseq_without_condstore():
    """HIGHESTMODSEQ is said and CHANGEDSINCE is not known."""
    class Yahoo(Server):
        def do_select(self, conn, rest, readonly=False):
            out, end = super().do_select(conn, rest, readonly)
            return out + "* OK [HIGHESTMODSEQ %d]\r\n" % conn.box.highest, end
    with account(lambda d: Yahoo(("INBOX", "Archive", "Bulk", "Draft", "Sent", "Trash"), YAHOO, directory=d)) as r:
        r.server.drop()
        r.server.add("INBOX", mail(4))
        r.filled("INBOX", 4)
        tap.equal([c for c in r.server.heard if "CHANGEDSINCE" in c or "MODSEQ" in c or "CONDSTORE" in c], [])
        roles = dict(r.sql("cache", "select b.name,b.id from box b"))
        tap.equal(sorted(roles), [b"Archive", b"Bulk", b"Draft", b"INBOX", b"Sent", b"Trash"])
        r.intent(SPAM, ids(r, 1))
        r.settled()
        tap.equal(held(r, "Bulk"), names(1))


# ---- UIDs that become those of other messages -----------------------------------------------------
class Away(Server):
    """A server that can be out of reach."""
    away = False

    def talk(self, sock):
        if self.away:
            sock.close()
            return
        super().talk(sock)


def silent(r, seconds=1.5):
    """Nothing has been asked of the server for so long."""
    heard, end = len(r.server.heard), time.monotonic() + seconds
    while time.monotonic() < end and len(r.server.heard) == heard:
        r.pump(0.1)
    return len(r.server.heard) == heard


def numbered_anew(there, validity=7, later=None, caps=CAPS, hide=(), kind=TRASH):
    """Something is done to "number 3", UID 3, while the line is away, and the server numbers its mail anew. The subjects in Trash
    after that; the list is that of the server."""
    def make(directory):
        server = Away(("INBOX", "Archive", "Trash"), caps, directory=directory, hide=hide)
        server["INBOX"].uidvalidity = validity
        return server
    with account(make) as r:
        r.until("it is at rest", lambda: silent(r))  # without UIDVALIDITY each SELECT makes new rows
        r.filled("INBOX", 3)
        third, = ids(r, 3)
        r.server.away = True
        r.server.drop()
        r.until("the line is away", lambda: r.accounts[-1].state != ONLINE)
        r.intent(kind, [third])
        with r.server.lock:
            box = r.server["INBOX"]
            box.messages, box.uidnext, box.uidvalidity = {}, 1, validity if later is None else later
            r.server.add("INBOX", *(mail(n, "text of another size %d\r\n" % n if n > 3 else "text\r\n") for n in there))
        r.server.away = False
        r.settled()
        r.until("the list is right", lambda: sorted(r.rows("INBOX")) == held(r, "INBOX"))
        tap.equal(r.server.asked(r"UID (MOVE|STORE|EXPUNGE|COPY) 3\b"), [], "done to another message")
        if 3 not in there:
            assert any("not there any more" in n for n in r.notes), r.notes
        return held(r, "Trash")


def test_uidvalidity_changed_while_a_change_waits():
    # THREATS 43
    tap.equal(numbered_anew((11, 12, 13), later=8), [])
    tap.equal(numbered_anew((11, 12, 13, 14, 3), later=8), names(3))


def test_no_uidvalidity():
    # THREATS 44
    tap.equal(numbered_anew((11, 12, 13), 0), [])
    tap.equal(numbered_anew((11, 12, 13, 14, 3), 0), names(3))
    tap.equal(numbered_anew((11, 12, 13), 7, hide=("UIDVALIDITY",)), [])


def test_uids_that_are_used_again():
    # THREATS 45
    tap.equal(numbered_anew((11, 12, 13)), [])
    tap.equal(numbered_anew((11, 12, 13, 14, 3)), names(3))
    tap.equal(numbered_anew((11, 12, 13), caps="IMAP4rev1 UIDPLUS"), [], "by COPY")
    numbered_anew((11, 12, 13), kind=PURGE)


# ---- Courier -------------------------------------------------------------------------------------
COURIER = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION"


def courier(directory, caps=COURIER, boxes=("INBOX", "INBOX.Sent", "INBOX.Lists"), **more):
    server = Server([Box(b, delim=".") for b in boxes], caps, directory=directory, **more)
    server.namespace = '(("INBOX." "."))'
    return server


def test_courier_everything_is_below_inbox():
    """No SPECIAL-USE, no MOVE; a Trash is made where the others are."""
    with account(courier) as r:
        r.intent(TRASH, ids(r, 1))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "INBOX.Trash")), (names(2, 3), names(1)))
        r.intent(MOVE, ids(r, 2), target=r.box("INBOX.Lists"))
        r.settled()
        tap.equal(held(r, "INBOX.Lists"), names(2))


def test_courier_without_uidplus_expunges_nothing():
    """THREATS 69: without COPYUID the message is found again by its Message-ID; the original stays, marked."""
    with account(lambda d: courier(d, "IMAP4rev1 CHILDREN NAMESPACE IDLE")) as r:
        first, = ids(r, 1)
        other = list(r.server["INBOX"].messages)[2]
        r.server["INBOX"].messages[other].flags.add("\\Deleted")  # somebody else's
        r.intent(MOVE, [first], target=r.box("INBOX.Lists"))
        r.settled()
        r.intent(FLAGS, [first], flags=rig.FLAGGED)
        r.settled()
        tap.equal(held(r, "INBOX.Lists"), names(1))
        assert "\\Flagged" in r.server["INBOX.Lists"].messages[1].flags, "the flag went to another message"
        tap.equal(held(r, "INBOX"), names(1, 2, 3))
        tap.equal(r.server.asked(".*EXPUNGE|CLOSE"), [])
        assert any("marked as deleted" in n for n in r.notes), r.notes


def test_courier_complains_at_every_idle():
    """An ALERT of its FAM library each time: said once."""
    alert = b"* OK [ALERT] Filesystem notification initialization error -- contact your mail administrator\r\n"
    with account(courier) as r:
        r.server.before_plus = alert
        for i in (4, 5):
            idled = len(r.server.asked("IDLE"))
            r.server.drop()
            r.server.add("INBOX", mail(i))
            r.filled("INBOX", i)
            r.until("it idles again", lambda: len(r.server.asked("IDLE")) > idled)
        tap.equal(len([n for n in r.notes if "Filesystem notification" in n]), 1, "notes")


# ---- Dovecot -------------------------------------------------------------------------------------
def test_dovecot_news_before_the_plus():
    """Untagged answers may come before the word to go on, at APPEND and at IDLE."""
    server = Server(("INBOX", "Sent"), "IMAP4rev1 UIDPLUS IDLE")
    server.add("INBOX", mail(1))
    with imap_hostile.fetch(server=server) as p, open(os.path.join(p.root, "m"), "wb+") as f:
        server.before_plus = b"* 2 EXISTS\r\n* OK Hang in there..\r\n"
        f.write(mail(9))
        f.flush()
        got = p.do("STEP_APPEND", fd=f.fileno(), box=2, name="Sent", flags=1)
        tap.equal([(a.uid, a.uidvalidity) for a in got["APPENDED"]], [(1, 7)])
        tap.equal(server["Sent"].messages[1].raw, mail(9))


# ---- Proton Mail Bridge --------------------------------------------------------------------------
def test_proton_refuses_uid_expunge():
    """UIDPLUS is announced and UID EXPUNGE refused: said, with the account; what is here is what is there."""
    caps = "IMAP4rev1 UNSELECT SASL-IR UIDPLUS MOVE SPECIAL-USE IMPORTANT LITERAL+ ID QUOTA IDLE APPENDLIMIT=26214400"
    boxes = [Box("INBOX"), Box("Archive", "\\Archive"), Box("Trash", "\\Trash"), Box("All Mail", "\\All")]
    rules = [("UID EXPUNGE .*", b"{tag} NO operation not allowed for this mailbox\r\n")]
    with account(lambda d: Server(boxes, caps, rules, d)) as r:
        r.until("the mailboxes are listed", lambda: len(r.boxes()) == len(boxes))
        r.intent(PURGE, ids(r, 1))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "Trash")), (names(2, 3), names(1)))
        assert any("work" in n and "not allowed for this mailbox" in n for n in r.notes), r.notes
        r.filled("Trash", 1)


# ---- Fastmail ------------------------------------------------------------------------------------
def test_fastmail_is_cyrus_with_everything():
    """A real Cyrus: QRESYNC, MOVE, SPECIAL-USE, LIST-STATUS, OBJECTID."""
    import cyrus
    with tap.directory() as d:
        server = cyrus.Server(os.path.join(d, "cyrus"))
        for i in (1, 2, 3):
            server.append("bob", "INBOX", [mail(i)])
        r = rig.Rig(os.path.join(d, "rig"), server.info)
        try:
            r.until("the list is read", lambda: "INBOX" in r.boxes() and r.accounts and r.accounts[-1].state == ONLINE)
            r.say(r.client, "WATCH", account="work", box=r.box("INBOX"))
            r.filled("INBOX", 3)
            r.intent(ARCHIVE, ids(r, 1, 2))
            r.intent(TAGS, ids(r, 3), arg="+urgent")
            r.settled()
            tap.equal((server.subjects("bob", "INBOX"), server.subjects("bob", "Archive")), (names(3), names(1, 2)))
            r.undo()
            r.undo()
            r.settled()
            tap.equal((sorted(server.subjects("bob", "INBOX")), server.subjects("bob", "Archive")), (names(1, 2, 3), []))
            r.intent(PURGE, ids(r, 3))
            r.until("it is gone", lambda: sorted(server.subjects("bob", "INBOX")) == names(1, 2), 90)
        finally:
            r.close()
            server.close()


if __name__ == "__main__":
    tap.run(globals())
