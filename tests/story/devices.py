#!/usr/bin/env python3
"""Two tuimails of one IMAP account, both with the same rules: each mail is ruled once, by one of them, whatever is killed in between; and what
is done where a server cannot tell two devices apart."""
import glob
import os
import re
import signal

import rig
import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message

CLAIM = r"UID STORE .*tuimailRuled"
RULES = 'rule "from:build" -folder Builds -tag ci\nrule "subject:flagged" -flag\nrule "subject:listed" -folder Lists\n'
POOR = "IMAP4rev1 LITERAL+ UIDPLUS IDLE NAMESPACE LIST-EXTENDED LIST-STATUS ESEARCH SPECIAL-USE"


def device(root, name, server, lines="", **how):
    return User(os.path.join(root, name), server, lines=RULES + lines, **how)


def mails(*subjects, sender="build@ci.example.org"):
    return [message(s, sender=sender) for s in subjects]


def words(server, mailbox):
    """{subject: flags and keywords} of a mailbox of the server."""
    found = {}
    with server.imap("bob") as imap:
        imap.select(mailbox, readonly=True)
        for part in imap.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(part, tuple):
                flags = part[0].decode().partition("FLAGS (")[2].partition(")")[0]
                found[part[1].decode().strip()[9:]] = set(flags.split()) - {"\\Recent"}
    return found


def logged(user, text):
    found = 0
    for path in glob.glob(os.path.join(user.store, "log", "*.log")):
        with open(path, errors="replace") as f:
            found += f.read().count(text)
    return found


def told(user, pattern):
    """The sum of what the log has in the pattern's number."""
    found = 0
    for path in glob.glob(os.path.join(user.store, "log", "*.log")):
        with open(path, errors="replace") as f:
            found += sum(int(n) for n in re.findall(pattern, f.read()))
    return found


def kill(user):
    for pid, _ in user.programs():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    eventually("all have ended", lambda: not user.programs())


def test_each_mail_is_ruled_once():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        one, two = device(root, "one", server), device(root, "two", server)
        names = ["number %02d" % n for n in range(12)]
        try:
            with one.at_screen(cols=120) as term, two.at_screen(cols=120) as other:
                term.wait("Junk")
                other.wait("Junk")
                server.append("bob", "INBOX", mails(*names))
                server.append("bob", "INBOX", mails("flagged here", sender="alice@example.org"))
                eventually("they are filed", lambda: len(server.subjects("bob", "Builds")) >= len(names))
                eventually("nothing waits", lambda: server.subjects("bob", "INBOX") == ["flagged here"])
                eventually("the flag is set", lambda: "\\Flagged" in words(server, "INBOX")["flagged here"])
                equal(sorted(server.subjects("bob", "Builds")), names, "each once")
                eventually("each has its tag and the claim", lambda: all(w == {"ci", "$tuimailRuled"} for w in words(server, "Builds").values()))
                # the claim is no tag
                screens = {one: term, two: other}
                for user in (one, two):
                    eventually("it is seen here", lambda: user.run("count", "tag:ci").stdout.strip() == "12")
                    equal(user.run("count", "tag:tuimailruled or tag:$tuimailRuled").stdout.strip(), "0")
                    eventually("the count is right", lambda: "INBOX              1" in screens[user].screen())
                    equal(logged(user, "too late") + logged(user, "failed:"), 0, "nobody was late")
                # each mail is told of by the one who did it; what the other had announced is taken back
                eventually("each is told of once", lambda: sum(told(u, r"rules: (\d+) new") - told(u, r"rules: (\d+) of them")
                                                               for u in (one, two)) == len(names) + 1)
            # what a person takes back stays so, also for a device that was away
            with one.at_screen(cols=120) as term:
                term.go("Builds", "number 00")
                term.command("last")
                term.command("move INBOX")
                eventually("it is back", lambda: "number 00" in server.subjects("bob", "INBOX"))
            with server.imap("bob") as imap:
                imap.select("INBOX")
                imap.store("1:*", "-FLAGS", "\\Flagged")
            server.append("bob", "INBOX", mails("listed", sender="alice@example.org"))
            with two.at_screen(cols=120) as other:
                other.wait("number 00")
                eventually("the rules have run", lambda: server.subjects("bob", "Lists") == ["listed"])
                equal(sorted(server.subjects("bob", "INBOX")), ["flagged here", "number 00"])
                assert "\\Flagged" not in words(server, "INBOX")["flagged here"]
        finally:
            server.close()


def test_killed_behind_the_claim():
    """Before the claim's answer, behind it, and in the middle of the move: filed once, and nothing is left over."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        line = rig.Line(server.info)
        one = device(root, "one", server, port=line.port)
        cuts = [(CLAIM, "after"), (CLAIM, "hold"), ("UID MOVE", "hold"), ("UID MOVE", "after")]
        try:
            for n, (pattern, where) in enumerate(cuts):
                subject = "number %d" % n
                line.cut(pattern, where)
                with one.at_screen(cols=120) as term:
                    term.wait("Junk")
                    server.append("bob", "INBOX", mails(subject))
                    if where == "hold":
                        asked = "UID FETCH .*FLAGS MODSEQ" if pattern == CLAIM else CLAIM
                        eventually("it is asked", lambda: line.asked(asked))
                    else:
                        eventually("the line is cut", lambda: line.cuts)
                    kill(one)
                line.armed, line.cuts = [], 0
                line.commands.clear()
                with one.at_screen(cols=120):
                    eventually("it is filed", lambda: subject in server.subjects("bob", "Builds"))
                    eventually("nothing waits", lambda: server.subjects("bob", "INBOX") == [])
                    eventually("tagged", lambda: "ci" in words(server, "Builds")[subject])
                equal(sorted(server.subjects("bob", "Builds")), ["number %d" % i for i in range(n + 1)], "each once")
        finally:
            line.close()
            server.close()


def test_servers_that_cannot_tell():
    """Without CONDSTORE a move goes where the server moves in one piece; without that it does not, which is said; for one device alone all is done."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), imap_capability=POOR + " MOVE")
        one, two = device(root, "one", server), device(root, "two", server)
        try:
            with one.at_screen(cols=120) as term, two.at_screen(cols=120) as other:
                term.wait("Junk")
                other.wait("Junk")
                server.append("bob", "INBOX", mails("number 1", "number 2", "number 3"))
                eventually("they are filed", lambda: server.subjects("bob", "INBOX") == [] and len(server.subjects("bob", "Builds")) >= 3)
            equal(sorted(server.subjects("bob", "Builds")), ["number 1", "number 2", "number 3"])
        finally:
            server.close()
        server = Server(os.path.join(root, "poor"), imap_capability=POOR)
        three = device(root, "three", server)
        try:
            with three.at_screen(cols=160) as term:
                term.wait("Junk")
                server.append("bob", "INBOX", mails("number 4", "flagged 5"))
                term.wait("rules file no mail of work")
                eventually("what does no harm is done", lambda: "\\Flagged" in words(server, "INBOX")["flagged 5"])
                eventually("its tag is set", lambda: "ci" in words(server, "INBOX")["number 4"])
                term.wait("number 4")
                term.command("set -a work rule-claim no")
                server.append("bob", "INBOX", mails("number 6"))
                eventually("now it is filed", lambda: server.subjects("bob", "Builds") == ["number 6"])
                equal(sorted(server.subjects("bob", "INBOX")), ["flagged 5", "number 4"])
                assert "$tuimailRuled" not in words(server, "Builds")["number 6"]
        finally:
            server.close()


def test_other_mailboxes():
    """Rules run where a mailbox line says so, also set while it runs; not over what was there before."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        with server.imap("bob") as imap:
            imap.create("Work/Old")
            imap.create("Plain")
        server.append("bob", "Work/Old", mails("number 0"))
        server.append("bob", "Plain", mails("number 9"))
        one = device(root, "one", server, lines="mailbox work Work/* rules yes\n")
        try:
            with one.at_screen(cols=120) as term:
                term.wait("Old")
                term.go("Plain", "number 9")
                term.go("Old", "number 0")
                server.append("bob", "Work/Old", mails("number 1"))
                server.append("bob", "Plain", mails("number 2"))
                eventually("it is filed", lambda: server.subjects("bob", "Builds") == ["number 1"])
                term.go("Plain", "number 2")
                term.command("mailbox work Plain rules yes")
                server.append("bob", "Plain", mails("number 3"))
                eventually("this one too", lambda: sorted(server.subjects("bob", "Builds")) == ["number 1", "number 3"])
                equal((sorted(server.subjects("bob", "Plain")), server.subjects("bob", "Work/Old")), (["number 2", "number 9"], ["number 0"]))
                term.command("mailbox work Plain rules maybe")
                contains(term.wait("neither yes nor no"), "maybe")
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
