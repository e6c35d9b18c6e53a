#!/usr/bin/env python3
"""The search index beside the user's own notmuch database."""
import contextlib
import fcntl
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess

import tap
from channel import Program
from dovecot import Server
from steps import COUNT_ONLY, KILL_ONE, Steps
from tap import contains, equal
from user import User, eventually, message

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


def subject(i):
    return re.search("Subject: (.*)", mail(i))[1]


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

    def __init__(self, base, lines="", server=None):
        home = os.path.join(base, "bob", "home")
        self.mail = os.path.join(home, "mail")
        self.inbox, self.old = os.path.join(self.mail, "INBOX"), os.path.join(self.mail, "Old")
        self.bob = User(os.path.join(base, "bob"), server, lines="account home maildir:%s\nset index-database %s\n%s" % (self.inbox, self.mail, lines))
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


def test_two_roots():
    """An IMAP account beside files of the user's own database: what is in both is found once, as the account's, and changed there alone."""
    with tap.directory() as base, contextlib.closing(Server(os.path.join(base, "server"))) as server:
        own = Own(base, server=server)
        bob = own.bob
        server.append("bob", "INBOX", [mail(45).encode(), message("only here").encode()])
        bob.command("fetch")
        whole = bob.command("search", "--format=ids", "--limit=0", "*").split()
        equal((len(whole), len(set(whole))), (61, 61))
        equal(len(set(whole) - set(own.theirs("*"))), 1)
        equal(int(bob.command("count", "*")), 61)
        equal(bob.command("search", "--format=ids", "--account=work", "id:m45@example.org").split(), ["m45@example.org"])
        before = own.notmuch("dump").splitlines()
        bob.command("tag", "+mine", "--", "id:m45@example.org or id:m3@example.org")
        eventually("the one whose file is ours is tagged there", lambda: own.theirs("tag:mine") == ["m3@example.org"])
        # and the other, which is ours on a server alone, is as it was
        equal([line for line in own.notmuch("dump").splitlines() if line not in before], ["+attachment +inbox +mine +unread -- id:m3@example.org"])
        equal(sorted(bob.command("search", "--format=ids", "--account=work", "tag:mine").split()), ["m45@example.org"])


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
            shown = []
            for _ in range(2):
                term.wait(lambda screen: re.search(r"Date +\w+, .*2026", screen) and " zebra" in screen and re.search(r"Date +.*", screen)[0] not in shown)
                shown.append(re.search(r"Date +.*", term.screen())[0])
                term.keys("j")
        equal(sorted(os.listdir(os.path.join(own.old, "cur"))), files)


# ---- the program alone ----
class Index:
    """The index program on a store of its own; notmuch says what is in its database."""

    def __init__(self, base, name="root"):
        self.root = os.path.join(base, name)
        self.dir = os.path.join(self.root, "index")
        self.program, self.jobs = None, 0

    def start(self, env=None):
        """What it says until it is ready."""
        with environment({"HOME": self.root, **(env or {})}):
            self.program = Program("index", "--store", self.root)
        return self.program.until("READY")

    def header(self, n, tags="unread"):
        self.jobs += 1
        self.program.send("INDEX_HEADER", job=self.jobs, path="work/1.7/%d" % n, tags=tags, date=1700000000 + n, from_name="Alice",
                          from_addr="alice@example.org", subject="zebra %d" % n, msgid="m%d@example.org" % n)

    def commit(self, last=0):
        self.jobs += 1
        self.program.send("INDEX_COMMIT", job=self.jobs, last=last)
        return self.program.until("INDEX_DONE", job=self.jobs)

    def batch(self, numbers, last=0):
        for n in numbers:
            self.header(n)
        self.commit(last)

    def kill(self):
        self.program.process.kill()
        self.program.process.wait()
        self.program.sock.close()

    def ids(self, query="*"):
        out = subprocess.run(["notmuch", "--config=" + os.path.join(self.dir, "config"), "search", "--output=messages", query],
                             capture_output=True, text=True, check=True).stdout
        return sorted(int(n) for n in re.findall(r"id:m(\d+)@", out))

    def set(self, key, value, where=""):
        """What notmuch wrote of the format of the database."""
        subprocess.run(["xapian-metadata", "set", os.path.join(self.dir, where, "xapian"), key, value], check=True)


@contextlib.contextmanager
def environment(values):
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def names_of(messages):
    return [m.name for m in messages]


def text(messages, kind="INDEX_STATE"):
    return b" ".join(m.text for m in messages if m.name == kind).decode()


def test_killed_at_each_step_of_commits():
    """Whatever step of two commits is the last, what comes next opens, has all that was told to be done, and takes the rest."""
    with tap.directory() as base:
        count = Steps(base, under=os.path.join(base, "counted", "index"))
        count.arm(0, COUNT_ONLY, kinds="SR", role="index")
        whole = Index(base, "counted")
        whole.start(count.env)
        whole.batch(range(0, 3))
        whole.batch(range(3, 6))
        equal(whole.program.close(), 0)
        equal(whole.ids(), list(range(6)))
        assert count.n > 6, count.n
        for at in range(1, count.n + 1):
            steps = Steps(base, under=os.path.join(base, "r%d" % at, "index"), size=1 << 20)
            steps.arm(at, KILL_ONE, kinds="SR", role="index")
            index, done = Index(base, "r%d" % at), 0
            with contextlib.suppress(EOFError, OSError):
                index.start(steps.env)
                for first in (0, 3):
                    index.batch(range(first, first + 3))
                    done = first + 3
                index.program.close()
            index.kill()
            assert steps.fired, at
            index.start()
            if os.path.exists(os.path.join(index.dir, "xapian")):
                here = index.ids()
                assert here[:done] == list(range(done)), "step %d: %r of %d" % (at, here, done)
            index.batch(range(done, 6))
            equal(index.program.close(), 0)
            equal(index.ids(), list(range(6)), "after step %d" % at)
            equal(subprocess.run(["xapian-check", os.path.join(index.dir, "xapian")], capture_output=True).returncode, 0)
            shutil.rmtree(index.root)


def test_built_anew_beside():
    """The old one is searched until the new one is whole; a kill in between is gone on from."""
    with tap.directory() as base:
        index = Index(base)
        equal(names_of(index.start()), ["INDEX_FAILED", "READY"])
        index.batch(range(0, 4))
        index.program.send("INDEX_REBUILD")
        index.program.until("INDEX_FAILED", job=0)
        index.batch(range(2, 5))
        equal(index.ids(), [0, 1, 2, 3], "the old one")
        index.header(9)
        index.kill()
        equal(names_of(index.start()), ["READY"], "it goes on where it was")
        index.batch([5])
        equal(index.ids(), [0, 1, 2, 3], "still")
        index.batch([6], last=1)
        equal(index.ids(), [2, 3, 4, 5, 6], "the new one")
        equal(sorted(os.listdir(index.dir)), ["config", "xapian"])
        index.batch([7])
        equal(index.program.close(), 0)
        equal(index.ids(), [2, 3, 4, 5, 6, 7])


def test_of_other_versions():
    with tap.directory() as base:
        index = Index(base)
        index.start()
        index.batch(range(0, 4))
        equal(index.program.close(), 0)
        # of an older notmuch: upgraded, with all that is in it
        index.set("features", "multiple paths per message\trw\nrelative directory paths\trw\nexact folder:/path: search\trw\n")
        equal(names_of(index.start()), ["READY"])
        index.batch([4])
        equal(index.program.close(), 0)
        equal(index.ids("zebra"), list(range(5)))
        # of a newer one: said, left as it is, and built anew when that is asked for
        index.set("version", "99")
        said = index.start()
        contains(text(said), "newer notmuch")
        contains(text(said), "tuimail index --rebuild")
        index.header(5)
        assert index.program.until("INDEX_STATE") and index.program.receive() is None, "it takes no work"
        index.program.process.wait()
        index.start()
        index.program.send("INDEX_REBUILD")
        index.program.until("INDEX_FAILED", job=0)
        index.batch(range(1, 7), last=1)
        equal(index.program.close(), 0)
        equal(index.ids(), list(range(1, 7)))


def test_locked_and_garbled():
    with tap.directory() as base:
        index = Index(base)
        index.start()
        index.batch(range(0, 4))
        equal(index.program.close(), 0)
        # written by another program: waited for and said, and no end of the store is missed meanwhile
        with open(os.path.join(index.dir, "xapian", "flintlock"), "r+b") as f:
            fcntl.fcntl(f, 37, struct.pack("hhqqixxxx", fcntl.F_WRLCK, 0, 0, 1, 0))  # F_OFD_SETLK
            with environment({"HOME": index.root}):
                index.program = Program("index", "--store", index.root)
            contains(text([index.program.receive()]), "another program writes it")
            index.program.sock.close()
            index.program.process.wait(20)
            with environment({"HOME": index.root}):
                index.program = Program("index", "--store", index.root)
        equal(names_of(index.program.until("READY"))[-1], "READY")
        index.batch([4])
        equal(index.program.close(), 0)
        # files cut short or full of rubbish
        for harm in (lambda f: f.truncate(5), lambda f: f.write(b"\xa5" * 16384)):
            with open(os.path.join(index.dir, "xapian", "iamglass"), "r+b") as f:
                harm(f)
            contains(text(index.start(), "INDEX_FAILED"), "damaged")
            index.batch(range(0, 3))
            equal(index.program.close(), 0)
            equal(index.ids(), [0, 1, 2])
        # files that are none
        for make in (os.mkfifo, os.mkdir, lambda at: os.symlink("nowhere", at)):
            os.unlink(os.path.join(index.dir, "xapian", "docdata.glass"))
            make(os.path.join(index.dir, "xapian", "docdata.glass"))
            contains(text(index.start(), "INDEX_FAILED"), "damaged")
            index.batch(range(0, 3))
            equal(index.program.close(), 0)
            equal(index.ids(), [0, 1, 2])
        # what only shows when it is read
        index.start()
        index.batch(range(0, 300))
        equal(index.program.close(), 0)
        for table in ("postlist", "termlist"):
            path = os.path.join(index.dir, "xapian", table + ".glass")
            with open(path, "r+b") as f:
                f.seek(8192)
                f.write(b"\xa5" * (os.path.getsize(path) - 8192))
        told = index.start()
        for n in range(300):
            index.header(n)
        index.jobs += 1
        index.program.send("INDEX_COMMIT", job=index.jobs)
        told += index.program.until("INDEX_DONE")
        contains(text(told, "INDEX_FAILED"), "damaged")
        index.batch(range(0, 300))
        equal(index.program.close(), 0)
        equal(index.ids(), list(range(300)))


def test_header_of_a_mail_alone():
    """A mail of a Maildir is found by its header before its text is read, nothing is written beside it, and its tags stay."""
    with tap.directory() as base:
        index = Index(base)
        index.start()
        folder = os.path.join(index.root, "mail/home/maildir")
        names = [deliver(folder, i) for i in (3, 4, 5, 13)]  # 3 and 13 have an attachment
        with open(os.path.join(folder, "new/9.m.host"), "w") as f:
            f.write("From alice\nFrom: Alice <a@example.org>\nContent-Type: multipart/mixed;\n boundary=y\nCc: carol@example.org\nSubject: split\nMessage-ID: <m9@example.org>\n\n"
                    "--y\n\nzebra\n--y--\n")
        names.append(os.path.join(folder, "new/9.m.host"))
        before = sorted(os.listdir(os.path.join(folder, "new")))

        def add(header_only, tags):
            for name in names:
                index.jobs += 1
                index.program.send("INDEX_ADD", job=index.jobs, path=os.path.relpath(name, os.path.join(index.root, "mail")), tags=tags, header_only=header_only)
            return index.commit()
        equal(text(add(1, "unread kept"), "INDEX_FAILED"), "")
        equal(index.ids(), [3, 4, 5, 9, 13])
        equal(index.ids("to:bob@example.org and from:dave"), [3, 13])
        equal(index.ids("cc:carol or to:carol@example.org"), [9])
        equal(index.ids("tag:kept and folder:home/maildir and path:home/maildir/new"), [3, 4, 5, 9, 13])
        equal(index.ids("zebra or walrus or lemur or ocelot or heron or badger"), [])
        equal(index.ids("tag:attachment"), [])
        equal(index.ids("subject:zebra or thread:{id:m4@example.org}"), [4, 5])
        equal(sorted(os.listdir(os.path.join(folder, "new"))), before)
        add(1, "unread")
        equal(index.ids("tag:kept"), [])
        # a kill within the texts leaves the headers
        for name in names[:2]:
            index.jobs += 1
            index.program.send("INDEX_ADD", job=index.jobs, path=os.path.relpath(name, os.path.join(index.root, "mail")), tags="unread")
        index.program.send("INDEX_PAUSE", job=index.jobs)
        index.program.until("INDEX_PAUSED", job=index.jobs)
        index.kill()
        equal(names_of(index.start()), ["READY"])
        equal(index.ids(), [3, 4, 5, 9, 13])
        equal(index.ids("ocelot"), [])
        equal(text(add(0, "unread kept"), "INDEX_FAILED"), "")
        equal(index.ids("ocelot"), [3, 13])
        equal(index.ids("tag:attachment and attachment:plan.pdf and tag:kept"), [3, 13])
        equal(index.ids("zebra"), [4, 9])
        equal(index.ids("path:home/maildir/new"), [3, 4, 5, 9, 13])
        equal(index.program.close(), 0)


def waiting(bob):
    """(all, text alone) that wait for the index of an account, as its rows say."""
    with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % os.path.join(bob.store, "state/home/cache.db"), uri=True)) as db:
        return db.execute("SELECT count(*),coalesce(sum((istate & 7)=0),0) FROM msg WHERE (istate & 15)<>0").fetchone()


def test_headers_first_bodies_behind():
    """Of much mail the headers are found first, and a kill in the middle of the bodies is gone on from."""
    with tap.directory() as base:
        inbox, count = os.path.join(base, "mail"), 250
        bob = User(os.path.join(base, "bob"), lines="account home maildir:%s" % inbox)
        for i in range(count):
            with open(deliver(inbox, i, "S"), "a") as f:
                f.write("".join("w%x " % (i * 7919 + k * k) for k in range(300)) * 5)  # a small mail is read whole at once
        with bob.at_screen(cols=120) as term:
            term.wait("INBOX")
            eventually("only texts wait", lambda: waiting(bob) == (count, count))
            equal(int(bob.command("count", "from:alice or not from:alice")), count)
            term.command("jobs")
            term.wait("the text of 250 messages is still to be indexed")
            for pid, name in bob.programs():
                if name == "index":
                    os.kill(pid, signal.SIGKILL)
            eventually("all is in", lambda: waiting(bob) == (0, 0), timeout=120)
        equal(int(bob.command("count", "zebra")), len([i for i in range(count) if i % 6 == 0 or (i + 2) % 6 == 0]))


def test_tags_by_the_notmuch_command():
    """What it does to the tags of our index comes back to the list and the files, also what was done while nothing ran."""
    with tap.directory() as base:
        inbox = os.path.join(base, "mail")
        bob = User(os.path.join(base, "bob"), lines="account home maildir:%s\naccount other maildir:%s" % (inbox, os.path.join(base, "other")))
        for i in range(4):
            deliver(inbox, i, "")
        deliver(os.path.join(base, "other"), 2, "")  # a copy of one
        bob.command("fetch")
        config = os.path.join(bob.store, "index/config")

        def notmuch(*args, stdin=None):
            return subprocess.run(("notmuch", "--config=" + config) + args, input=stdin, capture_output=True, text=True, check=True, timeout=60).stdout.split()

        def files(folder=inbox):
            return sorted(name for sub in ("cur", "new") for name in os.listdir(os.path.join(folder, sub)))

        def tags(i):
            return notmuch("search", "--output=tags", "id:m%d@example.org" % i)
        with bob.at_screen(cols=120) as term:
            term.wait(subject(3))
            # what its mailbox gives is put back, and all copies follow
            notmuch("tag", "--batch", stdin="+fromcli -unread +flagged -- id:m1@example.org\n-inbox +replied -unread -- id:m2@example.org\n")
            term.wait("fromcli")
            eventually("the files say so", lambda: files() == ["0.m.host:2,", "1.m.host:2,FS", "2.m.host:2,RS", "3.m.host:2,"])
            eventually("the copy says so", lambda: files(os.path.join(base, "other")) == ["2.m.host:2,RS"])
            eventually("the tag of the mailbox is back", lambda: tags(2) == ["home", "inbox", "other", "replied"])
            equal(tags(1), ["flagged", "fromcli", "home", "inbox"])
        eventually("nothing runs", lambda: not bob.programs())
        notmuch("tag", "--batch", stdin="-fromcli -flagged -- id:m1@example.org\n+later -- id:m1@example.org or id:m3@example.org\n")
        with bob.at_screen(cols=120) as term:
            term.wait(lambda screen: screen.count("later") == 2 and "fromcli" not in screen)
            eventually("the file says so", lambda: "1.m.host:2,S" in files())
            # what is changed here goes there
            term.keys("G")
            term.command("tag +here")
            eventually("the index has it", lambda: len(notmuch("search", "--output=messages", "tag:here")) == 1)
        equal(len(notmuch("search", "--output=messages", "tag:later")), 2)


def test_tags_of_mail_without_an_id():
    """notmuch names it by its content; here it is known by its path."""
    with tap.directory() as base, contextlib.closing(Server(os.path.join(base, "server"))) as server:
        inbox = os.path.join(base, "mail")
        bob = User(os.path.join(base, "bob"), server, lines="account home maildir:%s\n" % inbox)
        deliver(inbox, 0, "")
        bare = ["\n".join(line for line in message(name).splitlines() if not line.startswith("Message-ID")) + "\n" for name in ("local", "remote")]
        with open(os.path.join(inbox, "cur", "bare.host:2,S"), "w") as f:
            f.write(bare[0])
        server.append("bob", "INBOX", [bare[1].encode()])
        with bob.at_screen(cols=150) as term:
            term.wait(lambda screen: "local" in screen and "remote" in screen)
            eventually("they are found", lambda: all(bob.command("search", "--format=ids", "subject:" + s, status=None) for s in ("local", "remote")))
            for name in ("local", "remote"):
                subprocess.run(["notmuch", "--config=" + os.path.join(bob.store, "index/config"), "tag", "+by" + name, "subject:" + name], check=True, timeout=60)
                term.wait("by" + name)
            subprocess.run(["notmuch", "--config=" + os.path.join(bob.store, "index/config"), "tag", "-bylocal", "subject:local"], check=True, timeout=60)
            term.wait(lambda screen: "bylocal" not in screen and "byremote" in screen)


def test_text_of_mail_whose_id_only_the_text_has():
    """What the envelope of a server says of an id and what libnotmuch reads in the text: one message all the same."""
    ids = ("", "Message-ID: <>\n", "Message-ID: <two words@example.org>\n", "Message-ID: <m9@example.org>\n", "Message-ID: <m9@example.org>\n")
    with tap.directory() as base, contextlib.closing(Server(os.path.join(base, "server"))) as server:
        bob = User(os.path.join(base, "bob"), server, lines="set -a work cache all\n")
        for i, one in enumerate(ids):
            text = re.sub("Message-ID.*\n", one, message("bare%d" % i).replace("alice", "alice%d" % i)) + "walrus\n"
            server.append("bob", "INBOX", [re.sub("Date: .*", "Date: Fri, 0%d May 2026 10:00:00 +0000" % (i + 1), text).encode()])
        with bob.at_screen(cols=150) as term:
            term.wait("bare0")
            eventually("the texts are read", lambda: bob.command("count", "walrus", status=None).strip() == "4")  # of two of one id the header alone is read of one
            equal(bob.command("count", "subject:bare*").strip(), str(len(ids)))
            term.command("tag +seen-to")
            eventually("the index has it", lambda: bob.command("count", "tag:seen-to").strip() == "1")
            for i in range(len(ids)):
                subprocess.run(["notmuch", "--config=" + os.path.join(bob.store, "index/config"), "tag", "+by%d" % i, "subject:bare%d" % i], check=True, timeout=60)
                term.wait("by%d" % i)
            # a copy elsewhere takes a place of its own, one that went leaves none
            term.command("archive")
            eventually("it is filed", lambda: bob.command("count", "tag:inbox").strip() == str(len(ids) - 1))
            equal(bob.command("count", "walrus").strip(), "4")
            equal(bob.command("count", "subject:bare*").strip(), str(len(ids)))


def test_rebuilt_by_command():
    """tuimail index --rebuild, and reindex at the screen; what is searched meanwhile is the old one."""
    with tap.directory() as base:
        own = Own(base)
        bob = own.bob
        bob.write_rc(re.sub("set index-database.*", "", open(bob.rc).read()))
        bob.command("fetch")
        equal(bob.command("count", "*").strip(), "40")
        index = os.path.join(bob.store, "index", "xapian")
        before = os.stat(index).st_ino
        contains(bob.command("index", "--rebuild"), "built anew")
        assert os.stat(index).st_ino != before, "another one"
        equal(bob.command("count", "*").strip(), "40")
        equal(sorted(os.listdir(os.path.dirname(index))), ["config", "xapian"])
        # damaged by a newer notmuch: told how, and mended by it
        eventually("nothing runs", lambda: not bob.programs())
        subprocess.run(["xapian-metadata", "set", index, "version", "99"], check=True)
        deliver(own.inbox, 70)
        with bob.at_screen(cols=200) as term:
            term.wait("tuimail index --rebuild")
            before = os.stat(index).st_ino
            term.command("reindex")
            eventually("a new one is in its place", lambda: os.stat(index).st_ino != before)
            eventually("all is found", lambda: bob.command("count", "*").strip() == "41")
            term.command("reindex hold")
            term.wait("is held")
            deliver(own.inbox, 71)
            term.command("jobs")
            term.wait("1 message is still to be indexed for search · held; d goes on")
            term.keys("d")
            eventually("it is found", lambda: bob.command("count", "*").strip() == "42")


if __name__ == "__main__":
    tap.run(globals())
