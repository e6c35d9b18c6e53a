#!/usr/bin/env python3
"""POP3 into a Maildir, in the real programs: the screen asks at once, the Maildir is shared with other programs, and a
kill in the middle of a pass neither loses nor doubles a mail (THREATS 86, 158)."""
import contextlib
import mailbox
import os
import signal
import sqlite3
import subprocess
import time

import pop_script
import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message


def maildir(bob):
    return os.path.join(bob.store, "mail", "work")


def files(bob):
    return [os.path.join(maildir(bob), d, f) for d in ("new", "cur") if os.path.isdir(os.path.join(maildir(bob), d))
            for f in os.listdir(os.path.join(maildir(bob), d))]


def test_shared_maildir():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s")
        term = None
        try:
            for i in range(3):
                server.deliver("bob", message("mail %d" % i))
            term = bob.start()
            term.wait(lambda s: "mail 2" in s and "mail 0" in s)  # at the start, not after `interval`
            box = mailbox.Maildir(maildir(bob), create=False)

            def key(subject):
                return [k for k in box.keys() if box[k]["Subject"] == subject][0]
            box.remove(key("mail 1"))
            term.wait("mail 1", gone=True)
            box.add(mailbox.MaildirMessage(message("from another program").encode()))
            term.wait("from another program")
            mail = box[key("mail 0")]
            mail.set_subdir("cur")
            mail.set_flags("FS")
            box[key("mail 0")] = mail
            term.wait(lambda s: any("mail 0" in line and "!" in line for line in s.splitlines()))
            server.deliver("bob", message("later"))
            term.keys("G")
            term.wait("later")
            eventually("search finds it", lambda: "later" in bob.command("search", "--format=text", "subject:later", status=None))
        finally:
            if term:
                term.close()
            server.close()


def test_rewritten_again_and_again():
    """Each change comes while the one before is still being read: the list has to follow to the last."""
    with tap.directory() as root:
        os.makedirs(os.path.join(root, "bob"))
        bob = User(os.path.join(root, "bob"), account=False, lines="account work maildir:%s/Mail\n" % root)
        box = mailbox.Maildir(os.path.join(root, "Mail"))
        for i in range(3):
            box.add(mailbox.MaildirMessage(message("mail %d" % i).encode()))
        key = [k for k in box.keys() if box[k]["Subject"] == "mail 0"][0]
        term = bob.start()
        try:
            term.wait("mail 0")
            for i in range(150):
                mail = box[key]
                mail.set_subdir("cur")
                mail.set_flags(("", "F", "FS", "S")[i % 4])
                box[key] = mail  # a new file, the old one removed, the new one renamed to the old one's name
                time.sleep((i * 7 % 30) / 1000)
                if i % 10 == 9:
                    term.wait("mail 0")
        finally:
            term.close()


def kill_ours(root, names):
    """Those of the programs that this test started, by what their environment says."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            program = os.path.basename(os.readlink("/proc/%s/exe" % pid))
            with open("/proc/%s/environ" % pid, "rb") as f:
                ours = root.encode() in f.read()
            if ours and program in names:
                os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass


def test_killed_in_the_middle():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines="set -a work leave delete\n")
        try:
            server.append("bob", "INBOX", [message("number %d" % i, "x" * 20000) for i in range(300)])
            for some, names in ((40, ("fetch", "store")), (150, ("store", "spawn", "tuimail"))):
                run = subprocess.Popen([tap.TUIMAIL, "-c", bob.rc, "fetch"], env=dict(os.environ, **bob.env),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                deadline = time.monotonic() + 30
                while len(files(bob)) < some and run.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.005)
                kill_ours(os.path.join(root, "bob"), names)
                run.wait(30)
            bob.command("fetch")
            subjects = [next(line for line in open(f) if line.startswith("Subject:")) for f in files(bob)]
            equal(len(subjects), 300, "mails here")
            equal(len(set(subjects)), 300, "mails here, each once")
            equal(server.subjects("bob", "INBOX"), [], "all are deleted on the server")
            equal(bob.command("fetch").strip(), "work: 0 new", "a second pass")
        except BaseException:
            print("\n".join("# " + line for line in bob.logs().splitlines()))
            raise
        finally:
            server.close()


def test_line_falls_silent():
    """What came before it is durable and in the list, though it waited for more to become durable with."""
    with tap.directory() as root:
        server = pop_script.Server([pop_script.Mail(message("mail %d" % i).replace("\n", "\r\n")) for i in range(5)], directory=root)
        server.rule("RETR 2", pop_script.STALL)
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s")
        try:
            with bob.at_screen() as term:
                term.wait(lambda s: all("mail %d" % i in s for i in (2, 3, 4)) and "mail 1" not in s)
                equal(len(files(bob)), 3)
        finally:
            server.close()


def test_search_follows_behind():
    """Who fetches many mails does not wait until the search knows them, but it comes to know them."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s")
        try:
            server.append("bob", "INBOX", [message("number %d" % i) for i in range(300)])
            contains(bob.command("fetch"), "300 new")
            eventually("all programs have ended", lambda: not bob.programs(), 120)
            with contextlib.closing(sqlite3.connect(os.path.join(bob.store, "state", "work", "cache.db"))) as db:
                equal(db.execute("SELECT count(*), sum(istate > 0) FROM msg").fetchone(), (300, 0), "rows, and those the search does not know")
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
