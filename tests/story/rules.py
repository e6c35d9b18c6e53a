#!/usr/bin/env python3
"""Rules of tuimailrc: at the arrival of new mail by POP3, in a Maildir and over IMAP, once for each message whatever is
killed in between; over old mail by hand; what is broken is named and the rest goes on."""
import glob
import json
import mailbox
import os
import re
import signal
import subprocess
import time

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message


def subjects(path):
    """{subject: flags} of one folder of a Maildir."""
    found = {}
    for sub in ("new", "cur"):
        for name in os.listdir(os.path.join(path, sub)) if os.path.isdir(os.path.join(path, sub)) else []:
            try:
                with open(os.path.join(path, sub, name), errors="replace") as f:
                    subject = re.search(r"^Subject: (.*)$", f.read(), re.M).group(1)
            except FileNotFoundError:
                continue
            found[subject] = name.partition(":2,")[2]
    return found


def folder(bob, name=""):
    return os.path.join(bob.store, "mail", "work", "." + name if name else "")


def tags(bob, query):
    found = json.loads(bob.command("search", "--format=json", query))
    return sorted(t for hit in found for t in hit["tags"])


def kill_all(bob, names):
    for pid, name in bob.programs():
        if name in names:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


RULES = """rule "from:build" -folder Builds -tag ci
rule "subject:urgent" -flag
rule "subject:noise" -read -stop -folder Quiet
rule "subject:noise" -folder Loud
"""


def test_pop_arrival():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        told = os.path.join(root, "told")
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s",
                   lines=RULES + "on new-mail run \"printf '%%s|%%s\\\\n' {mailbox} {subject} >> %s\"\n" % told)
        try:
            server.deliver("bob", message("green", sender="build@ci.example.org"))
            server.deliver("bob", message("urgent matter"))
            server.deliver("bob", message("noise"))
            server.deliver("bob", message("plain"))
            with bob.at_screen(cols=120) as term:
                term.wait("Builds")
                eventually("they are filed", lambda: set(subjects(folder(bob))) == {"urgent matter", "plain"})
                eventually("all is done", lambda: subjects(folder(bob, "Quiet")) == {"noise": "S"})
                equal(set(subjects(folder(bob, "Builds"))), {"green"}, "in Builds")
                assert not os.path.exists(folder(bob, "Loud")), "-stop ends it"
                eventually("flagged", lambda: subjects(folder(bob))["urgent matter"] == "F")
                eventually("tagged", lambda: "ci" in tags(bob, "subject:green"))
                term.go("Builds", "green")
        finally:
            server.close()


SCANNED = {
    "spamassassin": "X-Spam-Flag: YES\nX-Spam-Level: *******\nX-Spam-Status: Yes, score=7.2 required=5.0\n\ttests=BAYES_99,HTML_MESSAGE"
                    " autolearn=no\n",
    "clean": "X-Spam-Status: No, score=-1.9 required=5.0 tests=BAYES_00\n",
    "rspamd": "X-Spamd-Result: default: True [12.30 / 15.00];\n\tBAYES_SPAM(5.10)[100.00%]\nX-Rspamd-Action: add header\n",
    "bogofilter": "X-Bogosity: Spam, tests=bogofilter, spamicity=0.999\n",
    "unsure": "X-Bogosity: Unsure, tests=bogofilter, spamicity=0.5\n",
    "project": "X-Project: alpha beta\nList-Id: <dev.example.org>\n",
}


def test_scanners():
    """The headers of spam scanners, and any other that a rule asks for; a broken rule is named by its line and the others go on."""
    rules = ('rule "spam:yes" -tag judged\nrule "spam:no" -tag fine\nrule spam:7 -tag seven\nrule header:X-Spam-Level=************ -tag twelve\n'
             'rule "header:X-Spam-Status=BAYES_99 and not header:X-Spam-Status=autolearned" -tag bayes\n'
             'rule "date:never..never" -tag broken\nrule "header:X-Bogosity" -tag bogo\n'
             'rule "header:X-Project=\\"beta alpha\\" and header:List-Id=dev.example.org" -folder Project -stop\n'
             'rule "header:\\"X-Project=beta\\"" -tag never\n')
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines=rules)
        try:
            for name, extra in SCANNED.items():
                server.deliver("bob", message(name, extra=extra))
            line = 1 + open(bob.rc).read()[:open(bob.rc).read().index("date:never")].count("\n")
            with bob.at_screen(cols=140) as term:
                eventually("the last is filed", lambda: set(subjects(folder(bob, "Project"))) == {"project"})
                term.wait("tuimailrc:%d: rule" % line)
                want = {"spamassassin": "bayes judged seven", "clean": "fine", "rspamd": "judged seven twelve", "bogofilter": "bogo judged",
                        "unsure": "bogo", "project": ""}
                for name, has in want.items():
                    eventually("%s is tagged" % name, lambda: sorted(set(tags(bob, "subject:" + name)) - {"unread", "inbox", "work"}) == has.split())
            found = json.loads(bob.command("search", "--format=json", "spam:yes and not spam:12"))
            equal(len(found), 2, "spam:yes and not spam:12")
            contains(bob.run("search", "header:X-Never=1").stderr, "X-Never")
            contains(bob.run("search", "spam:perhaps").stderr, "spam:")
        finally:
            server.close()


def test_folder_that_cannot_be():
    """The rule that names it is told of, not the last one that fits, and the rest of what the rules say is done."""
    rule = 'rule "subject:one" -folder %s -tag wanted' % ("n" * 255)  # with the dot before it no directory has such a name
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines='%s\nrule "subject:plain" -tag plain\n' % rule)
        try:
            server.deliver("bob", message("plain one"))
            line = open(bob.rc).read().split("\n").index(rule) + 1
            with bob.at_screen(cols=200) as term:
                term.wait('tuimailrc:%d: rule "subject:one" could not be done' % line)
                eventually("the tags of both", lambda: {"wanted", "plain"} <= set(tags(bob, "subject:one")))
            equal(subjects(folder(bob)), {"plain one": ""})
        finally:
            server.close()


def test_stub():
    """A mail over max-size, of which only the header is here, is filed by that, and opened where it was filed."""
    rules = 'set -a work max-size 20K\nrule "spam:yes" -folder Junk -stop\nrule "from:build" -folder Builds\n'
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines=rules)
        try:
            body = "first line of it\n" + ("x" * 70 + "\n") * 1000
            server.deliver("bob", message("large offer", body, extra="X-Spam-Flag: YES\n"))
            server.deliver("bob", message("large green", body, sender="build@ci.example.org"))
            with bob.at_screen(cols=120) as term:
                eventually("both are filed", lambda: set(subjects(folder(bob, "Junk"))) == {"large offer"} and
                           set(subjects(folder(bob, "Builds"))) == {"large green"})
                term.wait("Builds")
                term.go("Builds", "large green")
                term.keys("Enter")
                term.wait("first line of it")
        finally:
            server.close()


def test_killed_between_arrival_and_filing():
    """Everything is killed at a moment between the first delivery and the last move, again and again: each mail is filed, once. What the user puts
    back stays where it was put."""
    rules = 'rule "subject:/[02468]$/" -folder Even -tag even\nrule "subject:number" -flag\n'
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines=rules)
        try:
            total = 60
            server.append("bob", "INBOX", [message("number %d" % i, "x" * 500) for i in range(total)])
            even = {"number %d" % i for i in range(0, total, 2)}
            log = os.path.join(bob.store, "log", "store.log")

            def mails():
                return len(subjects(folder(bob))), len(subjects(folder(bob, "Even")))

            for stage in (lambda: mails()[0] >= 20, lambda: mails()[0] >= total, lambda: "rules:" in open(log).read(),
                          lambda: mails()[1] >= 5, lambda: mails()[1] >= 20):
                run = subprocess.Popen([tap.TUIMAIL, "-c", bob.rc, "fetch"], env=dict(os.environ, **bob.env), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
                deadline = time.monotonic() + 20
                while not (os.path.exists(log) and stage()) and run.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.002)
                kill_all(bob, ("store", "fetch", "index", "search", "spawn", "tuimail"))
                run.wait(30)
            with bob.at_screen() as term:
                eventually("each is filed", lambda: set(subjects(folder(bob, "Even"))) == even and len(subjects(folder(bob))) == total - len(even))
                eventually("each is flagged", lambda: all("F" in f for f in list(subjects(folder(bob)).values()) + list(subjects(folder(bob, "Even")).values())))
                eventually("each is tagged once", lambda: len(json.loads(bob.command("search", "--format=json", "tag:even"))) == len(even))
                term.go("Even", "number")
                term.command("move INBOX")
                eventually("one is put back", lambda: len(subjects(folder(bob, "Even"))) == len(even) - 1)
            with bob.at_screen() as term:
                server.deliver("bob", message("number 1000"))
                term.keys("G")
                eventually("the new one is filed", lambda: "number 1000" in subjects(folder(bob, "Even")))
                equal(len(subjects(folder(bob, "Even"))), len(even), "and not what was put back")
        finally:
            server.close()


def test_many_at_once():
    """1,000 mails: a query for each rule and batch, not one for each mail; made folders are there once."""
    rules = "set log-level debug\n" + "".join('rule "subject:kind%d" -folder Kind%d -read\n' % (i, i) for i in range(5))
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines=rules)
        try:
            server.append("bob", "INBOX", [message("kind%d number %d" % (i % 6, i)) for i in range(1000)])
            with bob.at_screen():
                eventually("all are filed", lambda: sum(len(subjects(folder(bob, "Kind%d" % i))) for i in range(5)) == 834, 60)
                equal(len(subjects(folder(bob))), 166, "those that stay")
                eventually("all are read", lambda: all(f == "S" for f in subjects(folder(bob, "Kind0")).values()))
            with open(os.path.join(bob.store, "log", "store.log"), errors="replace") as f:
                log = f.read()
            asked = log.count("to search: QUERY")
            assert 5 <= asked <= 500, "%d queries, and not 5000" % asked  # a batch is what came in a quarter of a second
            equal(re.findall("work: rules: ([^:]*):", log), ["834 new messages"], "said once")
        finally:
            server.close()


def test_maildir():
    """What is delivered into INBOX is filed; what was there before, what was read, and what comes from another folder stays."""
    with tap.directory() as root:
        os.makedirs(os.path.join(root, "bob"))
        bob = User(os.path.join(root, "bob"), account=False,
                   lines='account work maildir:%s/Mail\nrule "from:build" -folder Builds\n' % root)
        box = mailbox.Maildir(os.path.join(root, "Mail"))

        def deliver(subject, where=box, flags=""):
            mail = mailbox.MaildirMessage(message(subject, sender="build@ci.example.org").encode())
            if flags:
                mail.set_subdir("cur")
                mail.set_flags(flags)
            return where.add(mail)
        deliver("old")
        kept = box.add_folder("Kept")
        key = deliver("kept", kept)
        with bob.at_screen() as term:
            term.wait("old")
            eventually("it is indexed", lambda: "kept" in bob.command("search", "--format=text", "subject:kept", status=None))
            deliver("read", flags="S")
            os.rename(os.path.join(root, "Mail", ".Kept", "new", key), os.path.join(root, "Mail", "new", key))
            eventually("it is seen", lambda: "inbox" in tags(bob, "subject:kept"))
            deliver("fresh")
            eventually("the new one is filed", lambda: "fresh" in subjects(os.path.join(root, "Mail", ".Builds")))
            equal(set(subjects(os.path.join(root, "Mail"))), {"old", "read", "kept"}, "the others")


def test_imap():
    """New unread mail of INBOX, on the server: not what was there before, was read, or was moved by another device; also what came while nobody was
    here; the mailbox is created; tags are keywords."""
    rules = 'rule "from:build" -folder Builds -tag ci\nrule "subject:mine" -read -flag\n'
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, lines=rules)

        def build(subject, box="INBOX", flags=""):
            server.append("bob", box, [message(subject, sender="build@ci.example.org")], flags)
        try:
            with server.imap("bob") as imap:
                imap.create("Kept")
                build("old one")
                build("kept one", "Kept")
                with bob.at_screen(cols=120) as term:
                    term.wait("old one")
                    term.wait("Kept")
                    term.go("Kept", "kept one")
                    term.go("INBOX", "old one")
                    server.deliver("bob", message("green", sender="build@ci.example.org"))
                    eventually("it is filed on the server", lambda: server.subjects("bob", "Builds") == ["green"])
                    imap.select("Builds")
                    eventually("with its tag", lambda: "ci" in str(imap.fetch("1", "(FLAGS)")))
                    term.go("Builds", "green")
                    term.go("INBOX", "old one")
                    build("seen", flags="\\Seen")
                    imap.select("Kept")
                    imap.uid("MOVE", "1", "INBOX")
                    server.deliver("bob", message("this is mine"))
                    imap.select("INBOX")

                    def marked():
                        imap.noop()
                        return imap.search(None, "SUBJECT", "mine", "SEEN", "FLAGGED")[1][0]
                    eventually("it is read and flagged", marked)
                    equal(sorted(server.subjects("bob", "INBOX")), ["kept one", "old one", "seen", "this is mine"], "in INBOX")
                server.deliver("bob", message("while away", sender="build@ci.example.org"))
                with bob.at_screen(cols=120):
                    eventually("what came meanwhile is filed", lambda: sorted(server.subjects("bob", "Builds")) == ["green", "while away"])
                equal(sorted(server.subjects("bob", "INBOX")), ["kept one", "old one", "seen", "this is mine"], "in INBOX")
        finally:
            server.close()


def test_imap_text():
    """A rule that asks for the text, or for what a list does not show of the header, waits for both; a large attachment stays on the server."""
    rules = 'rule "zebra" -folder Zebras\nrule "spam:yes" -folder Junk -stop\nrule "body:lion" -flag\n'
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, lines=rules)
        try:
            with bob.at_screen(cols=120) as term:
                term.wait("Junk")
                large = ("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\na zebra\n--x\n"
                         "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=big.bin\n\n" + ("x" * 70 + "\n") * 20000 + "\n--x--\n")
                head = message("stripes").partition("\n\n")[0]
                server.deliver("bob", head + "\n" + large)
                server.deliver("bob", message("offer", extra="X-Spam-Flag: YES\n"))
                server.deliver("bob", message("roar", "the lion\n"))
                eventually("found by its text", lambda: server.subjects("bob", "Zebras") == ["stripes"])
                eventually("found by its header", lambda: server.subjects("bob", "Junk") == ["offer"])
                eventually("the last stays", lambda: server.subjects("bob", "INBOX") == ["roar"])
                kept = sum(os.path.getsize(f) for f in glob.glob(os.path.join(bob.store, "mail", "work", "**"), recursive=True) if os.path.isfile(f))
                assert kept < 500000, "%d bytes were fetched" % kept
        finally:
            server.close()


def test_no_index():
    """Without the index new mail waits in INBOX, which is said; when it is back the rules run."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        told = os.path.join(root, "told")
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s",
                   lines='rule "from:build" -folder Builds\non new-mail run "echo {mailbox} >> %s"\n' % told)
        index = os.path.join(bob.store, "index")
        try:
            os.makedirs(bob.store, mode=0o700)
            with open(index, "w") as f:
                f.write("not a directory\n")
            server.deliver("bob", message("green", sender="build@ci.example.org"))
            with bob.at_screen(cols=140) as term:
                term.wait("green")
                term.wait("stays in INBOX")
                eventually("it is told of nonetheless", lambda: os.path.exists(told) and open(told).read().split() == ["INBOX"])
                equal(set(subjects(folder(bob))), {"green"}, "it waits")
                os.remove(index)
                eventually("it is filed", lambda: set(subjects(folder(bob, "Builds"))) == {"green"}, 60)
        finally:
            server.close()


def test_by_hand():
    """tuimail rules lists, shows, and runs over old mail; undo takes it back in one."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s")
        text = open(bob.rc).read()
        try:
            for i in range(4):
                server.deliver("bob", message("green %d" % i, sender="build@ci.example.org"))
            server.deliver("bob", message("plain"))
            bob.command("fetch")
            eventually("all is indexed", lambda: len(json.loads(bob.command("search", "--format=json", "*", status=None) or "[]")) == 5)
            bob.write_rc(text + 'rule "from:build" -folder Builds -tag ci\nrule "subject:green and not subject:3" -read -flag\n'
                         'rule "date:never..never" -flag\n')
            first = text.count("\n") + 1
            listed = bob.command("rules").splitlines()
            equal(len(listed), 3, "listed")
            contains(listed[0], "tuimailrc:%d" % first)
            contains(listed[0], "to Builds, tags +ci")
            done = bob.run("rules", "--dry-run")
            assert done.returncode != 0, "a broken rule shows in the status"
            contains(done.stderr, "tuimailrc:%d" % (first + 2))
            contains(done.stdout, "to Builds, tags +ci, read, flagged  by %s:%d, %d" % (bob.rc, first, first + 1))
            assert "plain" not in done.stdout, "a mail that stays as it is needs no line"
            contains(done.stdout, "5 messages, 4 of them changed")
            done = bob.run("rules", "--dry-run", "subject:3")
            contains(done.stdout, "to Builds, tags +ci  by %s:%d\n" % (bob.rc, first))
            contains(done.stdout, "1 message, 1 of them")
            equal(len(subjects(folder(bob))), 5, "nothing is done")
            done = bob.run("rules", "--run", "subject:green", stdin="")
            contains(done.stderr, "--yes")
            equal(len(subjects(folder(bob))), 5, "nothing is done without a yes")
            with bob.at_screen(cols=120) as term:
                term.wait("green 3")
                done = bob.run("rules", "--run", "--yes", "subject:green")
                contains(done.stdout, "4 messages changed")
                eventually("they are filed", lambda: subjects(folder(bob, "Builds")) == {
                    "green 0": "FS", "green 1": "FS", "green 2": "FS", "green 3": ""})
                eventually("tagged", lambda: len(json.loads(bob.command("search", "--format=json", "tag:ci"))) == 4)
                term.keys("u")
                term.wait("changes of 4 messages taken back")
                eventually("they are back", lambda: len(subjects(folder(bob))) == 5 and not any("F" in f for f in subjects(folder(bob)).values()))
                eventually("untagged", lambda: json.loads(bob.command("search", "--format=json", "tag:ci")) == [])
            eventually("all have ended", lambda: not bob.programs())
            with bob.at_screen(cols=120) as term:  # with a store that knows the rules
                term.wait("green 3")
                term.command("select-pattern subject:/green.[01]/")
                term.wait("2 selected")
                term.command("rules")
                term.wait("tuimailrc:%d: rule" % (first + 2))
                eventually("the chosen ones are filed", lambda: subjects(folder(bob, "Builds")) == {"green 0": "FS", "green 1": "FS"})
                term.keys("u")
                eventually("they are back", lambda: len(subjects(folder(bob))) == 5)
        finally:
            server.close()


def test_offline():
    """The index was away when the mail came, and the server is away when the rules run: the mail is shown in its folder at once, and is moved there
    when the server is back."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        bob = User(os.path.join(root, "bob"), server, lines='rule "from:build" -folder Builds -tag ci\n')
        index = os.path.join(bob.store, "index")
        try:
            os.makedirs(bob.store, mode=0o700)
            open(index, "w").close()
            with bob.at_screen(cols=120) as term:
                term.wait("Junk")
                server.deliver("bob", message("green", sender="build@ci.example.org"))
                term.wait("green")
                term.wait("stays in INBOX")
            eventually("all have ended", lambda: not bob.programs())
            server.stop()
            os.remove(index)
            with bob.at_screen(cols=120) as term:
                term.wait("Builds")
                term.go("Builds", "green")
                eventually("it waits for the server", lambda: "move from INBOX to Builds" in bob.command("queue"))
                server.start()
                eventually("it is moved on the server", lambda: server.subjects("bob", "Builds") == ["green"], 60)
                equal(server.subjects("bob", "INBOX"), [], "in INBOX")
        finally:
            server.close()


if __name__ == "__main__":
    tap.run(globals())
