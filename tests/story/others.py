#!/usr/bin/env python3
"""What other clients do, seen live in the real programs: a second client at a real Dovecot, the screen in tmux."""
import contextlib
import os
import re
import time
from contextlib import closing

import tap
from dovecot import Server
from lineproxy import LineProxy
from tap import equal
from user import User, eventually, message

POOR = "IMAP4rev1 SASL-IR LITERAL+ ID"  # with IDLE added below: no NOTIFY, no CONDSTORE, no LIST-STATUS


@contextlib.contextmanager
def two_clients(count=5, lines="", cols=120, rows=30, boxes=(), env=None, **server):
    """Bob's screen, and bob's phone: another IMAP session."""
    with tap.directory() as root, closing(Server(os.path.join(root, "dovecot"), relay=False, **server)) as s, closing(LineProxy(s.info["imaps"])) as s.line:
        bob = User(os.path.join(root, "bob"), s, port=s.line.port, lines="set log-level debug\n" + lines)
        with s.imap("bob") as phone:
            for box in boxes:
                phone.create(box)
                phone.subscribe(box)
            for i in range(count):
                s.deliver("bob", message("number %d" % i))
            with bob.at_screen(cols=cols, rows=rows, env=env) as term:
                term.wait(lambda screen: (not count or "number 0" in screen) and "work live" in screen and "Archive" in screen)
                bob.settled()
                yield s, phone, term, bob


def cursor_line(term):
    """The row under the cursor of the list."""
    rows = [r for r in term.screen_escaped().split("\n") if "\x1b[7m" in r or re.search(r"\x1b\[(\d+;)*48;", r)]
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", r) for r in rows)


def counts(screen):
    """Unread counts of the sidebar by mailbox."""
    return {m[1]: int(m[2] or 0) for m in re.finditer(r"^[ ▸]*([A-Za-z][\w/ -]*?)(?: +(\d+))? *│", screen, re.M)}


def live(**server):
    with two_clients(boxes=("Lists",), **server) as (s, phone, term, _):
        term.keys("Home", "Down", "Down")
        term.wait(lambda _: "number 2" in cursor_line(term))
        # EXISTS: above the cursor, which stays on its message
        s.deliver("bob", message("from elsewhere"))
        term.wait("from elsewhere")
        assert "number 2" in cursor_line(term), cursor_line(term)
        # FETCH flags
        phone.select("INBOX")
        phone.store("1:2", "+FLAGS", "(\\Seen)")
        term.wait(lambda screen: counts(screen).get("INBOX") == 4)
        # EXPUNGE, VANISHED: above and below
        phone.store("1,5", "+FLAGS", "(\\Deleted)")
        phone.expunge()
        term.wait(lambda screen: "number 0" not in screen and "number 4" not in screen)
        assert "number 2" in cursor_line(term), cursor_line(term)
        # the message under the cursor goes: it stays, grey, until the cursor leaves it
        number = phone.search(None, "SUBJECT", '"number 2"')[1][0]
        phone.store(number, "+FLAGS", "(\\Deleted)")
        phone.expunge()
        term.wait(lambda screen: re.search(r" of 3$", screen, re.M))
        assert "number 2" in cursor_line(term), cursor_line(term)
        term.keys("Up")
        term.wait("number 2", gone=True)
        return counts(term.screen())


def test_live_with_all_extensions():
    live()


def test_live_without_qresync():
    live(imap_capability=POOR + " IDLE ENABLE CONDSTORE ESEARCH")


def test_live_with_idle_alone():
    live(imap_capability=POOR + " IDLE")


def test_counts_of_all_mailboxes_are_live():
    with two_clients(boxes=("Lists", "Lists/kernel")) as (s, phone, term, _):
        phone.append("Lists/kernel", "", None, message("patch one").replace("\n", "\r\n").encode())
        term.wait(lambda screen: counts(screen).get("kernel") == 1)
        phone.append("Lists/kernel", "", None, message("patch two").replace("\n", "\r\n").encode())
        term.wait(lambda screen: counts(screen).get("kernel") == 2)
        phone.select("Lists/kernel")
        phone.store("1", "+FLAGS", "(\\Seen)")
        term.wait(lambda screen: counts(screen).get("kernel") == 1)
        phone.store("1:*", "+FLAGS", "(\\Deleted)")
        phone.expunge()
        term.wait(lambda screen: counts(screen).get("kernel") == 0)
        # moved by the phone: both mailboxes
        phone.select("INBOX")
        phone.uid("MOVE", "1:2", "Lists")
        term.wait(lambda screen: counts(screen).get("INBOX") == 3 and counts(screen).get("Lists") == 2)
        equal(counts(term.screen()).get("kernel"), 0)


def test_the_mailbox_list_is_live():
    with two_clients(boxes=("Old", "Old/below")) as (s, phone, term, bob):
        phone.append("Old/below", "", None, message("kept").replace("\n", "\r\n").encode())
        term.wait(lambda screen: counts(screen).get("below") == 1)
        phone.create("Made")
        term.wait("Made")
        bob.settled()
        phone.rename("Old", "Newer")
        renamed = lambda screen: "Newer" in screen and not re.search(r"^ *Old", screen, re.M)  # noqa: E731
        try:
            term.wait(renamed)
        except AssertionError:  # a busy Dovecot 2.3 may leave mailboxes out of all LISTs of the session that saw a RENAME
            term.command("reconnect")
            term.wait(renamed)
        equal(counts(term.screen()).get("below"), 1, "what lies below is still there")
        bob.settled()
        phone.delete("Made")
        term.wait("Made", gone=True)


def test_the_selected_mailbox_is_renamed():
    # THREATS 60: followed where the server says what it is called now, else left with a word (Dovecot ends the session; either may be first)
    with two_clients(boxes=("Project",)) as (s, phone, term, bob):
        phone.append("Project", "", None, message("the plan").replace("\n", "\r\n").encode())
        term.wait(lambda screen: counts(screen).get("Project") == 1)
        term.go("Project", "the plan")
        bob.settled()
        phone.rename("Project", "Plans")
        screen = term.wait(lambda screen: counts(screen).get("Plans") == 1 and "Project" not in counts(screen) and "work live" in screen, 30)
        if "Plans · work" in screen:
            assert "the plan" in screen, screen
        else:
            assert "Project · work is not there any more" in screen or "goodbye" in screen, screen
            term.go("Plans")
        term.wait("the plan")
        bob.settled()
        phone.append("Plans", "", None, message("the next plan").replace("\n", "\r\n").encode())
        term.wait("the next plan", 60)


def test_the_selected_mailbox_is_deleted():
    # THREATS 60: told, the list is read anew, nothing is created by itself
    for extensions in ("", POOR + " IDLE"):
        with two_clients(boxes=("Doomed",), imap_capability=extensions) as (s, phone, term, _):
            phone.append("Doomed", "", None, message("last words").replace("\n", "\r\n").encode())
            term.go("Doomed", "last words", 30)
            phone.delete("Doomed")
            if extensions:
                term.command("fetch")
            term.wait(lambda screen: "Doomed" not in counts(screen) and "last words" not in screen, 60)
            term.wait("work live", 60)
            equal([b for b in phone.list()[1] if b"Doomed" in b], [])
            s.deliver("bob", message("life goes on"))
            term.command("go inbox")
            term.wait("life goes on")


def test_pending_changes_in_a_mailbox_that_is_gone():
    # THREATS 60: they end with a word
    with two_clients(boxes=("Doomed",)) as (s, phone, term, bob):
        phone.append("Doomed", "", None, message("last words").replace("\n", "\r\n").encode())
        term.wait(lambda screen: counts(screen).get("Doomed") == 1)
        term.go("Doomed", "last words")
        bob.settled()
        s.line.refuse()
        s.line.cut()
        term.wait("work offline")
        term.keys("Home", "F")
        term.wait("1 queued")
        phone.delete("Doomed")
        s.line.accept()
        term.wait("work live", 60)
        bob.settled()
        term.command("messages")
        term.wait(lambda screen: "message in Doomed of work" in screen and "Doomed · work is not there any more" in screen)
        equal([b for b in phone.list()[1] if b"Doomed" in b], [])


def running(bob):
    """Programs of bob's, by their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/cmdline" % pid, "rb") as f:
            words = f.read()
            if b"/libexec/" in words and bob.root.encode() in words:
                found.append(pid)
    return found


def test_what_is_gone_is_not_found():
    """Deleted for good here or by another client: no search, no count and no limit of the inboxes has it."""
    with two_clients(count=4, lines="set purge-hold 0\n") as (s, phone, term, bob):
        eventually("the index has them", lambda: bob.command("count", "subject:number") == "4\n")
        phone.select("INBOX")
        phone.store("1", "+FLAGS", "(\\Deleted)")
        phone.expunge()
        eventually("the search does not find it", lambda: bob.command("count", "subject:number") == "3\n")
        term.keys("Home", "D")
        term.wait("for good")
        eventually("nor what was deleted here", lambda: bob.command("count", "subject:number and is:unread") == "2\n")
        equal(bob.command("count", "tag:inbox"), "2\n")
        equal(bob.command("count", "--exclude=false", "tag:unread"), "2\n")
        term.command("limit subject:number")
        term.wait("of 2")
        assert "number 0" not in term.screen() and "number 3" not in term.screen(), term.screen()


def test_a_key_too_many_deletes_nothing_for_good():
    with two_clients(count=3, lines="set purge-hold 1\n") as (s, phone, term, bob):
        def trash():
            return sorted(s.subjects("bob", "Trash"))
        term.keys("Home", "d", "k", "d")  # faster than frames: two messages
        eventually("two are in Trash", lambda: len(trash()) == 2)
        term.keys("d", "d", "d")  # one is left
        eventually("all are in Trash", lambda: len(trash()) == 3)
        bob.settled()
        time.sleep(2)
        equal(trash(), ["number 0", "number 1", "number 2"])
        assert "for good" not in term.screen(), term.screen()
    with two_clients(count=3, lines="set purge-hold 1\nset auto-advance no\n") as (s, phone, term, bob):
        term.keys("Home", "d")
        term.wait("deleted 1 message")
        term.keys("d")  # the row is still there, grey
        term.wait("has left the list already")
        # in Trash itself it is asked for
        term.command("go trash")
        term.wait("Trash")
        eventually("one is in Trash", lambda: s.subjects("bob", "Trash") == ["number 2"])
        term.wait("number 2")
        term.keys("Home", "d")
        term.wait("deleted 1 message for good")
        eventually("it is gone", lambda: s.subjects("bob", "Trash") == [])


def absence(**server):
    """Away, and back: what was read, flagged, removed, moved in and new meanwhile; the commands that it took."""
    with two_clients(count=40, boxes=("Lists",), rows=45, **server) as (s, phone, term, bob):
        bob.settled()
        term.keys("q")
        equal(term.exit_status(), 0)
        eventually("the programs end", lambda: not running(bob))
        log = os.path.join(bob.store, "log", "fetch.log")
        before = os.path.getsize(log)
        phone.select("INBOX")
        phone.store("1:10", "+FLAGS", "(\\Seen)")
        phone.store("11", "+FLAGS", "(\\Flagged)")
        phone.store("20:22", "+FLAGS", "(\\Deleted)")
        phone.expunge()
        s.deliver("bob", message("while away"))
        back = bob.start(cols=120, rows=45)
        try:
            back.wait("work live")
            screen = back.wait(lambda screen: counts(screen).get("INBOX") == 28 and "while away" in screen and re.search(r"of 38$", screen, re.M))
            equal([n for n in range(40) if re.search(r" number %d( |$)" % n, screen, re.M)], [n for n in range(40) if n not in (19, 20, 21)])
            equal([line for line in screen.split("\n") if "number 10 " in line and "!" in line] != [], True, "the flag is shown")
            bob.settled()
            with open(log, errors="replace") as f:
                f.seek(before)
                return re.findall(r"> T\d+ (.*)", f.read())
        finally:
            back.close()


def test_absence_with_qresync():
    sent = absence()
    assert [c for c in sent if "(QRESYNC (" in c] and not [c for c in sent if "SEARCH" in c or re.match(r"UID FETCH 1:\d+ \(UID FLAGS", c)], sent


def test_absence_with_condstore_alone():
    sent = absence(imap_capability=POOR + " IDLE ENABLE CONDSTORE ESEARCH")
    assert [c for c in sent if "CHANGEDSINCE" in c] and [c for c in sent if "UID SEARCH RETURN (ALL)" in c], sent
    assert not [c for c in sent if re.match(r"UID FETCH 1:\d+ \(UID FLAGS[^)]*\)$", c)], sent


def test_absence_with_neither():
    sent = absence(imap_capability=POOR + " IDLE")
    assert [c for c in sent if re.match(r"UID FETCH 1:\d+ \(UID FLAGS RFC822.SIZE\)$", c)] and [c for c in sent if "UID SEARCH" in c], sent
    equal([c for c in sent if re.match(r"UID FETCH 1:.*HEADER", c)], [], "rows that are here are not fetched again")


def test_a_mailbox_made_anew():
    # THREATS 43: another mailbox under the old name
    with two_clients(boxes=("Lists",)) as (s, phone, term, bob):
        phone.append("Lists", "", None, message("of the old one").replace("\n", "\r\n").encode())
        term.wait(lambda screen: counts(screen).get("Lists") == 1)
        term.go("Lists", "of the old one")
        term.command("go inbox")
        term.wait("number 0")
        bob.settled()
        s.line.refuse()
        s.line.cut()
        phone.delete("Lists")
        phone.create("Lists")
        phone.append("Lists", "", None, message("of the new one").replace("\n", "\r\n").encode())
        s.line.accept()
        term.wait("work live", 60)
        term.go("Lists", "of the new one", 60)
        term.keys("Home")  # what was under the cursor stays, grey, until the cursor leaves it
        term.wait("of the old one", 60, gone=True)


def test_a_mailbox_for_reading_only():
    # THREATS 61
    acl = "mail_plugins = $mail_plugins acl\nplugin {\n acl = vfile\n}\n"
    with two_clients(boxes=("Notices",), extra=acl) as (s, phone, term, bob):
        phone.append("Notices", "", None, message("by decree").replace("\n", "\r\n").encode())
        with open(os.path.join(s.dir, "home", "bob", "Maildir", ".Notices", "dovecot-acl"), "w") as f:
            f.write("owner lr\n")
        term.wait(lambda screen: counts(screen).get("Notices") == 1)
        s.line.cut()
        term.go("Notices", "by decree")
        term.wait("work live")
        bob.settled()
        term.keys("Home", "a")
        screen = term.wait("not archived: the mailbox can only be read")
        assert "by decree" in screen, screen
        bob.settled()
        phone.select("Notices")
        equal(phone.search(None, "ALL")[1], [b"1"], "it is still there")
        equal(phone.search(None, "SEEN")[1], [b""])


def pasted(path):
    with open(path, "rb") as f:
        return f.read()


def test_new_mail_is_told():
    with tap.directory() as d:
        out, told = os.path.join(d, "pane"), os.path.join(d, "told")
        desk = os.path.join(d, "desk")
        os.mkdir(os.path.join(d, "bin"))
        with open(os.path.join(d, "bin", "notify-send"), "w") as f:
            f.write("#!/bin/sh\nprintf '%%s\\n' \"$@\" END >> %s\n" % desk)
        os.chmod(os.path.join(d, "bin", "notify-send"), 0o755)
        path = {"PATH": os.path.join(d, "bin") + ":" + os.environ["PATH"]}
        lines = ('set notify "bell osc9 osc777 notify-send title"\n'
                 "on new-mail run \"printf '%%s|%%s|%%s|%%s|%%s|%%s\\\\n' {account} {mailbox} {from} {subject} {count} {preview} >> %s\"\n" % told)
        with two_clients(lines=lines, boxes=("Lists",), env=path) as (s, phone, term, bob):
            term.tmux("pipe-pane", "cat > %s" % out)

            def lines_told():
                return open(told).read().splitlines() if os.path.exists(told) else []
            # no news: what was there, what is read, own copies, moved mail, what is old
            equal(lines_told(), [])
            raw = message("a copy of my own", sender="Bob <bob@example.org>").replace("\n", "\r\n").encode()
            phone.append("Sent", "", None, raw)
            phone.append("INBOX", "(\\Seen)", None, message("read already").replace("\n", "\r\n").encode())
            phone.append("INBOX", "", '"01-Jan-2020 10:00:00 +0000"', message("from long ago").replace("\n", "\r\n").encode())
            phone.select("INBOX")
            phone.uid("MOVE", "1", "Lists")
            term.wait(lambda screen: "from long ago" in screen and counts(screen).get("Lists") == 1)
            # news, with everything in it that is dangerous
            s.deliver("bob", message("<b>$(touch %s/pwned)</b> `touch %s/pwned` '; touch %s/pwned; \x1b]0;owned\x07 \x9b31m" % (d, d, d),
                                     sender='"--help \x1b]52;c;x\x07" <mallory@example.org>'))
            eventually("the hook ran", lambda: len(lines_told()) == 1)
            account, mailbox, sender, subject, count, preview = lines_told()[0].split("|")
            equal((account, mailbox, count, preview), ("work", "INBOX", "1", "Hello."))
            assert sender.startswith(" --help") and "touch" in subject, (sender, subject)
            equal([c for c in sender + subject if ord(c) < 32 or 127 <= ord(c) < 160], [])
            assert not os.path.exists(os.path.join(d, "pwned"))
            # a desktop gets words, no option and no markup
            eventually("the desktop was told", lambda: os.path.exists(desk) and "END\n" in open(desk).read())
            args = open(desk).read().split("\n")
            equal(args[:3], ["-a", "tuimail", "--"])
            assert args[3].startswith("--help") or args[3].startswith(" --help"), args
            assert args[4].startswith("&lt;b&gt;$(touch") and "\x1b" not in args[4], args
            equal(args[5], "END")
            # what follows soon is told together
            for i in range(4):
                s.deliver("bob", message("burst %d" % i))
            term.wait("burst 3")
            eventually("the burst is told", lambda: len(lines_told()) == 2, 60)
            equal(lines_told()[1].split("|")[4], "4")
            eventually("the terminal was told", lambda: b"9;4 new mails: burst 3" in pasted(out))
        seen = pasted(out)
        assert b"\x1b]9;--help" in seen and b"\x1b]777;notify;--help" in seen and b"\x1b]2;tuimail: " in seen, seen[-3000:]
        assert b"\x1b]0;owned" not in seen and b"]52;" not in seen.replace("␛]52".encode(), b"").replace(b"\xe2\x90\x9b]52", b"")
        equal(os.path.exists(os.path.join(d, "pwned")), False)


def test_news_waits_while_the_line_is_away():
    with tap.directory() as d:
        told = os.path.join(d, "told")
        with two_clients(lines="on new-mail run \"echo {count} >> %s\"\n" % told) as (s, _, term, _bob):
            s.line.refuse()
            s.line.cut()
            term.wait("work offline")
            s.deliver("bob", message("came meanwhile"))
            s.line.accept()
            term.wait("came meanwhile", 90)
            eventually("it is told once", lambda: os.path.exists(told) and open(told).read() == "1\n")
            time.sleep(1)
            equal(open(told).read(), "1\n")


def test_a_mailbox_that_cannot_be_opened():
    with two_clients(boxes=("Frozen",)) as (s, phone, term, _):
        frozen = os.path.join(s.dir, "home/bob/Maildir/.Frozen")
        phone.append("Frozen", None, None, message("ice").encode())
        os.chmod(frozen, 0)
        try:
            term.go("Frozen")
            screen = term.wait("work: Frozen cannot be opened")
            assert 'cannot be opened: the server refused: "' in screen, screen
        finally:
            os.chmod(frozen, 0o700)


if __name__ == "__main__":
    tap.run(globals())
