#!/usr/bin/env python3
"""What mail providers do in their own ways, each in a test named after it: the real store and fetch against scripted servers that answer as
those are known to, by their documents and by what maintainers of other clients wrote of them."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import imap_script  # noqa: E402
import rig  # noqa: E402
import tap  # noqa: E402
from imap_script import Gmail, Server  # noqa: E402,F401
from rig import ARCHIVE, MOVE, PURGE, TAGS, TRASH  # noqa: E402

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
        rows = r.sql("cache", "select m.subject from msg m join box b on b.id=m.box where b.name=? order by 1", b"[Gmail]/All Mail")
        tap.equal([bytes(s).decode() for s, in rows], names(1, 2, 3))


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


def test_gmail_moves_between_labels():
    with account(Gmail) as r:
        r.intent(MOVE, ids(r, 1), target=r.box("Work"))
        r.settled()
        tap.equal((held(r, "INBOX"), held(r, "Work"), held(r, "[Gmail]/All Mail")), (names(2, 3), names(1), names(1, 2, 3)))


def test_gmail_too_many_connections_is_no_wrong_password():
    """NO [ALERT] without any code that says so."""
    refuse = b"{tag} NO [ALERT] Too many simultaneous connections. (Failure)\r\n"
    with account(Gmail) as r:
        r.server.once("(LOGIN|AUTHENTICATE) .*", refuse)
        r.server.drop()
        r.until("the login is refused", lambda: not r.server.first)
        r.until("it is online again", lambda: r.accounts[-1].state == ONLINE)
        tap.equal([n for n in r.notes if "password" in n], [])


if __name__ == "__main__":
    tap.run(globals())
