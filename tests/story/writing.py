#!/usr/bin/env python3
"""Writing in the real ui with a real server: what is taken back, refused, postponed or cut off in the middle is there
to be written on, and what was sent is sent once (THREATS 154)."""
import os
import signal
import time

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message


class Story:
    """bob with an account on a server of the test's own; `editor` is the body that his editor writes."""

    def __init__(self, root, lines="", protocol="imaps"):
        self.server = Server(os.path.join(root, "dovecot"))
        self.bob = User(os.path.join(root, "bob"), self.server, protocol=protocol, lines=lines)
        self.term = None

    def start(self, text="Words typed.", **kw):
        self.term = self.bob.start(cols=100, rows=30, env={"EDITOR": self.bob.editor(text)}, **kw)
        self.term.wait("work live" if not kw.get("args") else "INBOX")
        return self.term

    def compose(self, to, subject):
        self.term.command("compose %s" % to)
        self.term.wait("Words typed.")
        self.term.command("set-subject '%s'" % subject)
        self.term.wait(subject)

    def drafts(self, suffix=".draft"):
        folder = os.path.join(self.bob.store, "drafts")
        return [n for n in os.listdir(folder) if n.endswith(suffix)] if os.path.isdir(folder) else []

    def inbox(self, user):
        return self.server.subjects(user, "INBOX")

    def end(self):
        if self.term:
            self.term.close()
        self.server.close()


def story(function, **kw):
    with tap.directory() as root:
        s = Story(root, **kw)
        try:
            function(s)
        except BaseException:
            print("\n".join("# " + line for line in s.bob.logs().splitlines()))
            raise
        finally:
            s.end()


def test_unsend_gives_the_draft_back():
    def run(s):
        term = s.start()
        s.compose("alice@example.org", "too early")
        term.keys("y")
        term.wait("unsend takes it back")
        equal(len(s.drafts(".held")), 1, "the draft of a held mail")
        s.term.command("unsend")
        screen = term.wait("taken back")
        contains(screen, "too early")
        contains(screen, "Words typed.")
        s.term.command("set-subject 'in time'")
        term.wait("in time")
        s.term.command("set undo-send 0")
        term.keys("y")
        eventually("the corrected mail reaches alice", lambda: s.inbox("alice") == ["in time"])
        eventually("no draft is left", lambda: not s.drafts() and not s.drafts(".held"))
    story(run, lines="set undo-send 60\n")


def outbox_files(bob):
    return [n for n in os.listdir(os.path.join(bob.store, "outbox")) if n.endswith(".eml")]


def not_an_address_is_gone(term):
    """What was said of an address that is corrected now does not stay in the status line."""
    term.command("set-to ests")
    term.wait("is not an address")
    term.command("set-to nobody@example.org")
    term.wait(lambda screen: "To       nobody@example.org" in screen and "is not an address" not in screen)


def test_refused_recipient():
    def run(s):
        term = s.start()
        s.compose("nobody@example.org", "to nobody")
        not_an_address_is_gone(term)
        for _ in range(2):  # the same words each time
            term.keys("y")
            term.wait("not sent, R goes on with it")
            term.keys("Escape")
            term.wait("work live, 1 not sent")
            equal(len(outbox_files(s.bob)), 1, "files of the one mail in the outbox")
            term.keys("R")
            term.wait(lambda screen: "Words typed." in screen and "1 not sent" not in screen)
            eventually("its file is gone", lambda: not outbox_files(s.bob))
        equal(s.inbox("alice"), [])
        equal(s.server.subjects("bob", "Sent"), [])
        s.term.command("set-to alice@example.org")
        term.wait("To       alice@example.org")
        term.keys("y")
        eventually("the corrected mail reaches alice", lambda: s.inbox("alice") == ["to nobody"])
        eventually("one copy is in Sent", lambda: s.server.subjects("bob", "Sent") == ["to nobody"])
        eventually("no file of it is left", lambda: not outbox_files(s.bob) and not s.drafts() and not s.drafts(".held"))
    story(run, lines="set undo-send 0\n")


def refused(s, subject):
    s.compose("nobody@example.org", subject)
    s.term.keys("y")
    s.term.wait("not sent, R goes on with it")


def refused_again(term):
    """R finds the refused mail, and it is refused once more."""
    term.keys("R")
    contains(term.wait("Words typed."), "to nobody")
    term.keys("y")
    term.wait("not sent, R goes on with it")
    term.keys("Escape")
    term.wait("1 not sent")


def test_refused_is_listed_until_it_is_dropped():
    """After a restart too: the status line, Q, queue and doctor tell; R goes on with it, d drops it."""
    def run(s):
        term = s.start()
        refused(s, "to nobody")
        term.keys("q")
        equal(term.exit_status(), 0, "exit status of the ui")
        listed = s.bob.command("queue")
        contains(listed, 'work m1  not sent to nobody@example.org: "to nobody": ')
        contains(listed, "<nobody@example.org>")
        contains(listed, "R in tuimail goes on with it")
        contains(s.bob.command("queue", "--json"), '"state": "refused"')
        doctor = s.bob.run("doctor", "--offline")
        contains(doctor.stdout, 'warn  account work: not sent to nobody@example.org: "to nobody"')
        contains(doctor.stdout, "tuimail queue drop work m1")
        term = s.start()
        term.wait("work live, 1 not sent")
        term.keys("Q")
        contains(term.wait("not sent to nobody@example.org"), "R goes on with it")
        refused_again(term)
        term.keys("Q")
        term.wait("not sent to nobody@example.org")
        term.keys("d")
        term.wait("Discard this mail?")
        term.keys("y")
        term.wait(lambda screen: "1 not sent" not in screen and "Discard" not in screen)
        eventually("nothing is left of it", lambda: not outbox_files(s.bob) and not s.drafts() and not s.drafts(".held"))
        equal(s.bob.command("queue"), "")
    story(run, lines="set undo-send 0\n")


def test_recall_is_of_the_draft_under_the_cursor():
    def run(s):
        term = s.start()
        s.compose("alice@example.org", "a draft")
        term.keys("P")
        eventually("it is in Drafts", lambda: s.server.subjects("bob", "Drafts") == ["a draft"])
        refused(s, "to nobody")
        refused_again(term)
        term.go("Drafts", "a draft")
        term.keys("Home", "R")
        contains(term.wait("Words typed."), "a draft")
        equal("to nobody" in term.screen(), False)
    story(run, lines="set undo-send 0\n")


def test_refused_without_a_draft():
    """What tuimail send was refused is in the same lists; it is sent again or dropped."""
    def run(s):
        done = s.bob.run("send", "-t", stdin="To: nobody@example.org\nSubject: by a script\n\nHello\n")
        contains(done.stderr, "nobody@example.org")
        listed = s.bob.command("queue")
        contains(listed, "by a script")
        equal("R in tuimail" in listed, False)
        term = s.start()
        term.wait("work live, 1 not sent")
        term.keys("Q")
        contains(term.wait("by a script"), "y sends it again")
        term.keys("y")
        term.wait("not sent, see :queue")
        term.keys("q")
        term.wait(lambda screen: "waits for the server" not in screen)
        term.keys("Escape")
        term.wait("1 not sent")
        s.bob.command("queue", "drop", "work", "m1")
        term.wait(lambda screen: "1 not sent" not in screen)
        eventually("its file is gone", lambda: not outbox_files(s.bob))
        equal(s.bob.command("queue"), "")
    story(run, lines="set undo-send 0\n")


def test_killed_in_the_editor():
    def run(s):
        s.server.deliver("bob", message("a question", sender="Alice <alice@example.org>"))
        editor = os.path.join(s.bob.root, "slow")
        with open(editor, "w") as f:
            f.write("#!/bin/sh\nsed -i 's/^$/\\nHalf a thought./;' \"$1\"\nexec sleep 600\n")
        os.chmod(editor, 0o755)
        s.term = s.bob.start(cols=100, rows=30, env={"EDITOR": editor})
        s.term.wait("a question")
        s.term.keys("Home", "r")
        folder = os.path.join(s.bob.store, "drafts")
        eventually("the editor wrote", lambda: any("Half a thought." in open(os.path.join(folder, n)).read() for n in s.drafts()))
        os.kill(s.term.pid, signal.SIGKILL)
        s.term.close()
        term = s.start()
        term.wait("unsent draft")
        term.keys("R")
        term.wait("Half a thought.")
        term.keys("y")
        eventually("the answer reaches alice", lambda: s.inbox("alice") == ["Re: a question"])

        def answered():
            with s.server.imap("bob") as imap:
                imap.select("INBOX", readonly=True)
                return len(imap.search(None, "ANSWERED")[1][0].split()) == 1
        eventually("the question is marked as answered", answered)
    story(run, lines="set undo-send 0\n")


def test_editor_that_leaves_nothing():
    def run(s):
        editor = os.path.join(s.bob.root, "editor")
        s.start()
        s.compose("alice@example.org", "still here")
        with open(editor, "w") as f:
            f.write('#!/bin/sh\n: >"$1"\nexit 3\n')
        s.term.keys("e")
        contains(s.term.wait("the draft is"), "still here")
        contains(s.term.screen(), "Words typed.")
        contains(open(os.path.join(s.bob.store, "drafts", s.drafts()[0])).read(), "Words typed.")
    story(run)


def test_postpone_and_recall():
    def run(s):
        term = s.start()
        s.bob.settled()  # a draft goes to Drafts once the server has told of it
        s.compose("alice@example.org", "not yet")
        attached = os.path.join(s.bob.root, "figures.csv")
        with open(attached, "w") as f:
            f.write("a,b\n")
        s.term.command("attach %s" % attached)
        term.wait("figures.csv")
        term.keys("P")
        eventually("it is in Drafts", lambda: s.server.subjects("bob", "Drafts") == ["not yet"])
        equal(s.drafts(), [])
        term.keys("R")
        term.wait(lambda screen: "not yet" in screen and "Drafts" in screen)
        time.sleep(0.5)
        term.keys("R")
        term.wait("Words typed.")
        term.wait("figures.csv")
        term.wait("y send")
        term.keys("y")
        eventually("it reaches alice", lambda: s.inbox("alice") == ["not yet"])
        eventually("Drafts is empty", lambda: s.server.subjects("bob", "Drafts") == [])
        with s.server.imap("alice") as imap:
            imap.select("INBOX", readonly=True)
            contains(imap.fetch("1", "(BODY[])")[1][0][1].decode(), 'filename="figures.csv"')
    story(run, lines="set undo-send 0\nset log-level debug\n")


def test_recall_of_what_was_postponed_last():
    """Though a draft that is older was left on this machine."""
    def run(s):
        term = s.start()
        s.bob.settled()
        folder = os.path.join(s.bob.store, "drafts")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(os.path.join(folder, "1000000000-000000000000.draft"), "w") as f:
            f.write("From: Bob Example <bob@example.org>\nTo:\nSubject: an old one\n\nYears ago.\n")
        s.compose("alice@example.org", "not yet")
        term.keys("P")
        term.wait("postponed in Drafts")
        eventually("it is in Drafts", lambda: s.server.subjects("bob", "Drafts") == ["not yet"])
        term.keys("R")
        term.wait("R on a draft goes on with it · 1 unsent on this machine")
        term.wait("not yet")
        term.keys("R")
        contains(term.wait("Words typed."), "not yet")
        term.keys("X")
        term.wait("Discard")
        term.keys("y")
        term.go("INBOX")
        term.keys("R")
        term.wait("Years ago.")
    story(run, lines="set undo-send 0\nset log-level debug\n")


def test_forward_with_attachments():
    """What is attached goes along under its own name; a file saved in a new home finds its directory."""
    def run(s):
        s.server.deliver("bob", message("the figures", "--b\n\nSee below.\n--b\nContent-Type: text/csv\n"
                                        "Content-Disposition: attachment; filename=figures.csv\n\na,b\n--b--\n",
                                        extra="MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"))
        term = s.start("For you.")
        term.wait("the figures")
        term.keys("Home", "Enter")
        term.wait("See below.")
        term.keys("v")
        term.wait("Enter open")
        s.term.command("part-save figures.csv")
        term.wait("saved as")
        with open(os.path.join(s.bob.env["HOME"], "Downloads", "figures.csv")) as f:
            equal(f.read().strip(), "a,b")
        term.keys("q", "f")
        term.wait("For you.")
        contains(term.screen(), "figures.csv")
        s.term.command("set-to alice@example.org")
        term.wait("To       alice@example.org")
        term.keys("y")
        eventually("it reaches alice", lambda: s.inbox("alice") == ["Fwd: the figures"])
        with s.server.imap("alice") as imap:
            imap.select("INBOX", readonly=True)
            text = imap.fetch("1", "(BODY[])")[1][0][1].decode()
        contains(text, 'filename="figures.csv"')
        contains(text, "YSxi")
    story(run, lines="set undo-send 0\n")


def test_outbox_survives():
    """The submission server is away; the ui and its store are killed; the mail goes out later, once."""
    def run(s):
        term = s.start()
        s.compose("alice@example.org", "patience")
        s.server.stop()
        term.keys("y")
        term.wait("1 to send")
        os.kill(term.pid, signal.SIGKILL)
        s.term.close()
        time.sleep(1)
        s.server.start()
        s.start()
        eventually("it reaches alice", lambda: s.inbox("alice") == ["patience"], 90)
        eventually("its copy is in Sent", lambda: s.server.subjects("bob", "Sent") == ["patience"])
        time.sleep(1)
        equal(s.inbox("alice"), ["patience"])
    story(run, lines="set undo-send 0\n")


if __name__ == "__main__":
    tap.run(globals())
