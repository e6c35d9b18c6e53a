#!/usr/bin/env python3
"""Verbs of triage on the server, offline, in a Maildir, and taken back: reminders, muted threads, whole threads, counts, all that is older."""
import contextlib
import email.utils
import http.server
import os
import sqlite3
import ssl
import threading
import time
import types

import tap
from dovecot import Server
from tap import equal
from user import User, eventually, message

ME = "Bob Example <bob@example.org>"


def mail(subject, hour, sender="Alice Example <alice@example.org>", to=None):
    """Of that hour, so that lists have it in its place; an answer to `to`."""
    extra = "In-Reply-To: <%s@example.org>\nReferences: <%s@example.org>\n" % (to, to) if to else ""
    return message(subject, sender=sender, extra=extra).replace(" 10:00:00", " %02d:00:00" % hour)


def mails(server, box, *flag):
    """Subjects of a mailbox on the server, those with `flag` alone."""
    with server.imap("bob") as imap:
        if imap.select('"%s"' % box, readonly=True)[0] != "OK":
            return []
        found = []
        for number in imap.search(None, *(flag or ("ALL",)))[1][0].decode().split():
            got = imap.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
            if got and isinstance(got[0], tuple):  # else it went meanwhile
                found.append(got[0][1].decode().split(":", 1)[1].strip())
        return sorted(found)


def put(server, box, mail, flags=""):
    with server.imap("bob") as imap:
        imap.create(box)
        equal(imap.append(box, flags, None, mail.replace("\n", "\r\n").encode())[0], "OK")


@contextlib.contextmanager
def bob(protocol="imaps", lines="", deliver=()):
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        try:
            for mail in deliver:
                server.deliver("bob", mail)
            yield User(os.path.join(root, "bob"), server, protocol=protocol, lines=lines), server
        finally:
            server.close()


def timers(user):
    with sqlite3.connect("file:%s?mode=ro" % os.path.join(user.store, "state/work/keep.db"), uri=True) as db:
        return db.execute("select count(*) from timer").fetchone()[0]


def test_reminders():
    """Unanswered it comes back, of what was sent a copy; answered it does not; undone it is forgotten, offline too."""
    with bob(deliver=[mail("offer", 9), mail("one", 7), mail("two", 8, to="one")]) as (user, server):
        put(server, "Sent", mail("unanswered", 6, ME), r"\Seen")
        put(server, "Sent", mail("question", 5, ME), r"\Seen")
        put(server, "Sent", mail("done", 4, ME), r"\Seen")
        server.deliver("bob", mail("yes done", 3, to="done"))
        with user.at_screen() as term:
            term.wait("yes done")
            term.keys("Z")
            term.wait("remind if no answer by:")
            term.type("8s")
            term.keys("Enter")
            term.wait("waiting for an answer to 1 message")
            eventually("the server has it", lambda: mails(server, "Archive") == ["offer"])  # and its mailboxes are known
            term.go("Sent", "unanswered")
            term.command("remind 3s")
            term.wait("waiting for an answer to 1 message")
            term.keys("j")
            term.command("remind 5s")
            term.wait("waiting for an answer to 1 message")
            server.deliver("bob", mail("an answer", 10, to="question"))
            term.keys("j")
            term.command("thread remind 1d")
            term.wait("it is answered already")
            eventually("their times pass", lambda: timers(user) == 0, timeout=60)
            eventually("it is back, and a copy came, unread", lambda: mails(server, "INBOX", "UNSEEN", "UNKEYWORD", "remind") == [
                "an answer", "offer", "one", "two", "unanswered", "yes done"])
            eventually("what was sent is as it was", lambda: mails(server, "Sent", "SEEN", "UNKEYWORD", "remind") == [
                "done", "question", "unanswered"])
            equal(mails(server, "Archive"), [])
            # a thread, without the line; its newest message waits
            term.go("INBOX", "two")
            term.command("offline on")
            term.wait("offline")
            term.keys("Home")
            term.type("3j")
            term.keys("M-Z")
            term.type("1w")
            term.keys("Enter")
            term.wait("waiting for an answer to 2 messages")
            equal(timers(user), 1)
            term.keys("u")
            term.wait("changes of 2 messages taken back")
            term.keys("U")
            term.wait("changes of 2 messages made again")
            term.command("offline off")
            eventually("the server has it", lambda: mails(server, "Archive") == ["one", "two"], timeout=60)
            equal(mails(server, "Archive", "KEYWORD", "remind"), ["two"])
            term.keys("u")
            term.wait("changes of 2 messages taken back")
            eventually("and back", lambda: len(mails(server, "INBOX", "UNKEYWORD", "remind")) == 6 and not mails(server, "Archive"))


def test_muted_threads():
    with bob(deliver=[mail("noise", 9), mail("signal", 8)]) as (user, server):
        put(server, "Lists", mail("listed", 7))
        with user.at_screen(cols=120) as term:
            term.wait("signal")
            term.wait(lambda s: "Lists" in s and "Archive" in s)
            term.go("Lists", "listed")
            term.keys("M")
            term.wait("muted 1 message")
            eventually("it stays there", lambda: mails(server, "Lists", "KEYWORD", "muted", "SEEN") == ["listed"])
            term.go("INBOX", "noise")
            term.keys("M")
            term.wait("muted 1 message")
            eventually("it left the inbox", lambda: mails(server, "Archive", "KEYWORD", "muted", "SEEN") == ["noise"])
            term.keys("u")
            term.wait("taken back")
            eventually("undone", lambda: mails(server, "INBOX", "UNSEEN", "UNKEYWORD", "muted") == ["noise", "signal"])
            term.keys("U")
            term.wait("made again")
            eventually("again", lambda: mails(server, "Archive", "KEYWORD", "muted") == ["noise"])
            # what comes to it is put aside; the rest is not
            server.deliver("bob", mail("more noise", 10, to="noise"))
            server.deliver("bob", mail("more signal", 11, to="signal"))
            put(server, "Lists", mail("more listed", 12, to="listed"))
            eventually("it is put aside", lambda: mails(server, "Archive", "KEYWORD", "muted", "SEEN") == ["more noise", "noise"])
            term.go("Lists", "more listed")
            eventually("and read where it is filed", lambda: mails(server, "Lists", "KEYWORD", "muted", "SEEN") == ["listed", "more listed"])
            equal(mails(server, "INBOX", "UNSEEN"), ["more signal", "signal"])
            # put back by another device it stays; unmuted, what comes next is seen
            with server.imap("bob") as imap:
                imap.select("Archive")
                number = imap.search(None, "SUBJECT", '"more noise"')[1][0].decode()
                imap.store(number, "-FLAGS", r"(\Seen)")
                imap._simple_command("MOVE", number, "INBOX")
            term.go("INBOX", "more noise")
            term.keys("Home", "j")
            term.keys("M")
            term.wait("no longer muted: 2 messages")
            server.deliver("bob", mail("news", 13, to="noise"))
            eventually("it is in the inbox", lambda: mails(server, "INBOX", "UNSEEN") == ["more noise", "more signal", "news", "signal"])


def test_in_a_maildir():
    """The same of POP3 mail, whose mailboxes are here alone."""
    def here(user, box):
        names = []
        for part in ("cur", "new"):
            with contextlib.suppress(FileNotFoundError):
                names += os.listdir(os.path.join(user.store, "mail/work", box, part))
        return len(names)

    with bob("pop3s", deliver=[mail("noise", 9), mail("letter", 8)]) as (user, server):
        with user.at_screen(cols=120) as term:
            term.wait("letter")
            term.wait("noise")
            term.keys("Home", "M")
            term.wait("muted 1 message")
            eventually("it is in the archive", lambda: here(user, ".Archive") == 1)
            term.command("remind 2s")
            term.wait("waiting for an answer to 1 message")
            eventually("both are", lambda: here(user, ".Archive") == 2)
            server.deliver("bob", mail("more noise", 10, to="noise"))
            time.sleep(2)  # its time comes, and then the pass that it waits for
            term.keys("G")
            eventually("it is back, and what came to the thread is not here", lambda: here(user, ".Archive") == 2 and
                       here(user, "") == 1 and timers(user) == 0, timeout=60)
            screen = term.wait("no answer yet: letter")
            assert "more noise" not in screen, screen


def test_undo_over_accounts():
    """The last action is undone, whatever its account, though another account had one in the same second; and what was undone before
    something else was done is not done again."""
    with tap.directory() as root:
        dirs = [os.path.join(root, name) for name in ("One", "Two")]
        for at, folder in enumerate(dirs):
            for sub in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(folder, sub))
            for n in range(3):
                with open(os.path.join(folder, "cur", "170000000%d.%d.x:2,S" % (n, at)), "w") as f:
                    f.write(mail("%s%d" % ("ab"[at], n), 20 - 2 * n - at))  # a0 b0 a1 b1 a2 b2

        def inbox():
            names = []
            for folder in dirs:
                for sub in ("cur", "new"):
                    for name in os.listdir(os.path.join(folder, sub)):
                        with open(os.path.join(folder, sub, name)) as f:
                            names.append(f.read().split("Subject: ")[1].split("\n")[0])
            return sorted(names)
        user = User(os.path.join(root, "bob"), lines="account one maildir:%s\naccount two maildir:%s\n" % tuple(dirs))
        with user.at_screen(cols=120) as term:
            term.wait(lambda screen: all(name in screen for name in ("a0", "a1", "a2", "b0", "b1", "b2")))
            term.keys("Home")
            term.keys("d", "d")
            eventually("two are gone", lambda: inbox() == ["a1", "a2", "b1", "b2"])
            user.command("cmd", "undo")
            eventually("the last one is back", lambda: inbox() == ["a1", "a2", "b0", "b1", "b2"])
            user.command("cmd", "jump 2 ; delete")
            eventually("something else was done", lambda: inbox() == ["a2", "b0", "b1", "b2"])
            term.command("redo")
            term.wait("nothing to redo")
            equal(inbox(), ["a2", "b0", "b1", "b2"])
            user.command("cmd", "undo ; undo")
            eventually("in their order", lambda: inbox() == ["a0", "a1", "a2", "b0", "b1", "b2"])
            user.command("cmd", "redo")
            eventually("the first one goes again", lambda: inbox() == ["a1", "a2", "b0", "b1", "b2"])


def test_older_and_counts_on_the_server():
    old = [message("old %d" % i).replace("22 Nov 2026", "0%d Jan 2020" % (i + 1)) for i in range(5)]
    today = email.utils.formatdate(time.time())
    new = [message("new %d" % i).replace("Sun, 22 Nov 2026 10:00:00 +0000", today) for i in range(4)]
    with bob(deliver=old + new) as (user, server):
        with user.at_screen() as term:
            term.wait("old 0")
            term.command("older 2y archive")
            term.wait("archive: all 5 messages")
            term.keys("y")
            term.wait("archived 5 messages")
            eventually("they are on the server", lambda: len(mails(server, "Archive")) == 5)
            equal(len(mails(server, "INBOX")), 4)
            term.keys("u")
            term.wait("back in INBOX")
            eventually("and back", lambda: len(mails(server, "INBOX")) == 9)
            term.keys("Home")
            term.type("3d")
            term.wait("deleted 3 messages")
            eventually("three are gone", lambda: len(mails(server, "Trash")) == 3 and len(mails(server, "INBOX")) == 6)
            term.keys("Home")
            term.keys("M-F")  # the thread of one
            term.wait("flagged 1 message")
            term.type("2u")  # the flag, and the three
            eventually("all are back", lambda: len(mails(server, "INBOX", "UNFLAGGED")) == 9 and not mails(server, "Trash"))


def test_list_menu():
    extra = ("List-Id: Talk <talk.example.org>\nList-Post: <mailto:talk@example.org>\nList-Archive: <file:///etc/passwd>,\n"
             " <https://lists.example.org/\n talk>\nList-Unsubscribe: <mailto:leave@example.org?subject=unsubscribe>, <https://lists.example.org/leave?x=1>\n"
             "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n")
    with bob(deliver=[message("plain"), message("from the list", extra=extra).replace(" 10:00", " 11:00")]) as (user, server):
        opened, browser = os.path.join(user.root, "opened"), os.path.join(user.root, "browser")
        with open(browser, "w") as f:
            f.write("#!/bin/sh\nprintf '%%s\\n' \"$1\" > %s\n" % opened)
        os.chmod(browser, 0o755)
        with user.at_screen(cols=120, env={"BROWSER": browser + ":lynx"}) as term:
            term.wait("from the list")
            term.keys("M-L")
            screen = term.wait("unsubscribe on the web")
            assert "file:" not in screen and "talk@example.org" in screen and "by one click" in screen, screen
            term.keys("a")
            term.wait("Open this?")
            term.wait("https://lists.example.org/talk")
            assert not os.path.exists(opened)
            term.keys("y")
            eventually("the first of $BROWSER is started", lambda: os.path.exists(opened) and open(opened).read() == "https://lists.example.org/talk\n")
            term.command("set browser '%s --new'" % browser)
            term.keys("M-L")
            term.wait("unsubscribe on the web")
            term.keys("a")
            term.wait("Open this?")
            term.keys("y")
            eventually("the option comes before it", lambda: open(opened).read() == "--new\n")
            term.keys("M-L")
            term.wait("unsubscribe by mail")
            term.keys("u")
            screen = term.wait("leave@example.org")
            assert "unsubscribe" in screen, screen
            term.keys("X", "y")
            term.wait("from the list")
            term.keys("j")
            term.keys("M-L")
            term.wait("the message is of no mailing list")


@contextlib.contextmanager
def list_host(server):
    """Of a mailing list, which takes what is posted: its port, the posts, and the status it answers with."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            got.posts.append((self.path, self.rfile.read(int(self.headers["Content-Length"])), self.headers["Content-Type"], self.headers["Cookie"]))
            self.send_response(got.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
    got = types.SimpleNamespace(posts=[], status=200)
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(server.dir, "server.pem"), os.path.join(server.dir, "server.key"))
    host.socket = context.wrap_socket(host.socket, server_side=True, do_handshake_on_connect=False)
    host.handle_error = lambda *_: None
    threading.Thread(target=host.serve_forever, daemon=True).start()
    got.port = host.server_address[1]
    try:
        yield got
    finally:
        host.shutdown()
        host.server_close()


def test_one_click():
    """A list is left by one request, after a yes, and never one into the user's own network unless that is allowed."""
    with bob() as (user, server), list_host(server) as host:
        extra = ("List-Id: Talk <talk.example.org>\nList-Unsubscribe: <https://localhost:%d/leave?who=bob>\n"
                 "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n" % host.port)
        server.deliver("bob", message("from the list", extra=extra))
        with user.at_screen(cols=120) as term:
            def ask(answer):
                term.keys("M-L")
                term.wait("unsubscribe by one click")
                term.keys("1")
                term.wait("Leave the list?")
                term.wait("https://localhost:%d/leave" % host.port)
                equal(len(host.posts), asked)
                term.keys(answer)
            asked = 0
            term.wait("from the list")
            ask("n")
            term.wait("Leave the list?", gone=True)
            ask("y")
            term.wait("localhost is not on the public Internet")
            equal(host.posts, [])
            term.command("set -a work one-click-unsubscribe own-network")
            ask("y")
            term.wait("localhost was asked to take you off")
            equal(host.posts, [("/leave?who=bob", b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded", None)])
            asked, host.status = 1, 302
            ask("y")
            term.wait("localhost does not take the one click (status 302)")
            equal(len(host.posts), 2)
            term.command("set -a work one-click-unsubscribe no")
            term.keys("M-L")
            assert "one click" not in term.wait("unsubscribe on the web")


if __name__ == "__main__":
    tap.run(globals())
