#!/usr/bin/env python3
"""The search index beside the user's own notmuch database."""
import os
import re
import shutil
import subprocess

import tap
from tap import contains, equal
from user import User, eventually

PEOPLE = ["Alice Example", "Bob Sample", "Carol Brown", "Dave Winter", "Erin Keller"]
WORDS = "budget quarter patch release notes meeting minutes invoice travel review draft backup kernel network".split()
BODIES = "zebra walrus lemur ocelot heron badger".split()

QUERIES = ["*", "", "budget", "zebra", "subject:budget", "from:alice", "to:bob", "from:alice and subject:budget", "budget or patch", "not budget",
           "kernel and not from:bob", "(budget or patch) and from:carol", "quart*", "from:a*", '"release notes"', "subject:\"release notes\"",
           "tag:unread", "not tag:unread", "tag:flagged", "tag:inbox", "tag:unread and from:dave", "tag:kept", "tag:kept or tag:flagged",
           "date:2026-02-01..2026-02-28", "date:2026-03..", "date:..2026-01-20", "date:2026-01-05", "tag:unread date:2026-02..2026-03",
           "id:m3@example.org", "id:m3@example.org or id:m40@example.org", "thread:{id:m4@example.org}", 'thread:"{from:erin and subject:kernel}"',
           "from:/[ab]li?ce/", 'subject:"/^re: b/"', "attachment:plan.pdf", "mimetype:application/pdf", "tag:attachment", "zebra lemur", "heron xor badger",
           "nothinglikethis", "tag:secret", "tag:deleted"]


def mail(i):
    month, day = 1 + i % 3, 1 + i % 28
    subject = "%s%s %s" % ("Re: " if i % 4 else "", WORDS[(i - i % 4) % len(WORDS)], WORDS[(i // 4 * 3 + 1) % len(WORDS)])
    name = PEOPLE[i % len(PEOPLE)]
    head = ("From: %s <%s@example.org>\nTo: Bob <bob@example.org>\nSubject: %s\nDate: Fri, %02d %s 2026 10:%02d:00 +0000\n"
            "Message-ID: <m%d@example.org>\n" % (name, name.split()[0].lower(), subject, day, ["Jan", "Feb", "Mar"][month - 1], i % 60, i))
    head += "References: <m%d@example.org>\n" % (i - i % 4) if i % 4 else ""
    text = "the %s and the %s\n" % (BODIES[i % 6], BODIES[(i + 2) % 6])
    if i % 10 == 3:
        return (head + "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\n" + text +
                "--x\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=plan.pdf\n\nnone\n--x--\n")
    return head + "\n" + text


def deliver(folder, i, flags=None):
    """New mail where there are no flags; otherwise in cur with them."""
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(folder, sub), exist_ok=True)
    name = os.path.join(folder, "new/%d.m.host" % i if flags is None else "cur/%d.m.host:2,%s" % (i, flags))
    with open(name, "w") as f:
        f.write(mail(i))
    return name


class Own:
    """Bob's ~/mail, all of it in his notmuch database; INBOX is an account of tuimail too, Old is not."""

    def __init__(self, base, lines=""):
        home = os.path.join(base, "bob", "home")
        self.mail = os.path.join(home, "mail")
        self.inbox, self.old = os.path.join(self.mail, "INBOX"), os.path.join(self.mail, "Old")
        self.bob = User(os.path.join(base, "bob"), lines="account home maildir:%s\nset index-database %s\n%s" % (self.inbox, self.mail, lines))
        for i in range(60):
            deliver(self.inbox if i < 40 else self.old, i, "FS" if i % 7 == 0 else "S" if i % 3 else "")
        with open(os.path.join(home, ".notmuch-config"), "w") as f:
            f.write("[database]\npath=%s\n[user]\nname=Bob\nprimary_email=bob@example.org\n[new]\ntags=unread;inbox\n"
                    "[search]\nexclude_tags=secret;deleted;spam\n[maildir]\nsynchronize_flags=true\n" % self.mail)
        self.notmuch("new")

    def notmuch(self, *args):
        done = subprocess.run(("notmuch",) + args, env=dict(os.environ, **self.bob.env), capture_output=True, text=True, timeout=60)
        equal(done.returncode, 0, done.stderr)
        return done.stdout

    def ids(self, query):
        return sorted(self.bob.command("search", "--format=ids", "--limit=100000", query or "*").split())

    def theirs(self, query):
        return sorted(re.sub("^id:", "", line) for line in self.notmuch("search", "--output=messages", query or "*").split())


def test_same_ids():
    with tap.directory() as base:
        own = Own(base)
        bob = own.bob
        own.notmuch("tag", "+kept", "--", "from:erin and folder:Old")
        own.notmuch("tag", "+secret", "--", "id:m50@example.org")
        bob.command("fetch")
        for query in QUERIES:
            equal(own.ids(query), own.theirs(query), query)
            equal(int(bob.command("count", query or "*")), len(own.theirs(query)), "how many of " + query)
        equal(own.ids("tag:secret"), ["m50@example.org"], "hidden unless named")
        # in pages, newest first, as in one
        whole = bob.command("search", "--format=ids", "*").split()
        equal(len(whole), len(set(whole)), "once each")
        equal(bob.command("search", "--format=ids", "--limit=7", "*").split(), whole[:7])
        # one account alone is that account's
        equal(len(bob.command("search", "--format=ids", "--account=home", "*").split()), 40)
        # its files are told, and its tags are as they were
        files = bob.command("search", "--format=files", "id:m45@example.org").split()
        assert len(files) == 1 and files[0].startswith(own.old), files
        equal(own.notmuch("search", "--output=tags", "id:m0@example.org").split(), ["flagged", "inbox"], "never retagged")
        # what cannot be read is said, and the rest is found
        shutil.move(os.path.join(own.mail, ".notmuch"), os.path.join(own.mail, "away"))
        done = bob.run("search", "--format=ids", "*")
        equal((done.returncode, len(done.stdout.split())), (0, 40))
        contains(done.stderr, "your notmuch database %s cannot be read" % own.mail)


def test_foreign_mail_is_read():
    """A hit that no account has opens from its file; j goes to the next one; nothing is done to it."""
    with tap.directory() as base:
        own = Own(base)
        own.bob.command("fetch")
        files = sorted(os.listdir(os.path.join(own.old, "cur")))
        with own.bob.at_screen(cols=120, rows=40) as term:
            term.wait("INBOX")
            term.keys("/", "folder:Old and zebra", "Enter")
            term.wait("minutes review")
            term.keys("Enter")
            first = term.wait(" zebra")
            term.keys("j")
            term.wait(lambda screen: re.search("Subject .*", screen) and re.search("Date  .*", screen)[0] != re.search("Date  .*", first)[0])
        equal(sorted(os.listdir(os.path.join(own.old, "cur"))), files)


if __name__ == "__main__":
    tap.run(globals())
