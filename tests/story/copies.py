#!/usr/bin/env python3
"""Copies of one mail in several mailboxes and accounts: whatever happens to one of them, search finds the others, and says of the mail what all of
them together are."""
import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message


def mail_of(bob, account, folder=""):
    return os.path.join(bob.root, account + ".mail", "." + folder if folder else "")


def files(bob, account, folder=""):
    return [os.path.join(mail_of(bob, account, folder), sub, name) for sub in ("cur", "new")
            for name in os.listdir(os.path.join(mail_of(bob, account, folder), sub))]


def content(path):
    with open(path) as f:
        return f.read()


def put(bob, account, subject, folder="", flags="S"):
    with open(os.path.join(mail_of(bob, account, folder), "cur", "%d.%s:2,%s" % (time.time(), subject, flags)), "w") as f:
        f.write(message(subject))


def refile(bob, path, account, folder):
    """As another program does it."""
    os.rename(path, os.path.join(mail_of(bob, account, folder), "cur", os.path.basename(path)))


@contextlib.contextmanager
def two_accounts(subjects=("alpha",), folders=("Foo", "Trash")):
    """Bob's screen over the Maildirs of the accounts home, with these mails in its inbox, and local."""
    with tap.directory() as root:
        bob = User(root, account=False, lines="".join("account %s maildir:%s/%s.mail\n" % (a, root, a) for a in ("home", "local")))
        for account in ("home", "local"):
            for folder in ("",) + folders:
                for sub in ("cur", "new", "tmp"):
                    os.makedirs(os.path.join(mail_of(bob, account, folder), sub), mode=0o700)
        for subject in subjects:
            put(bob, "home", subject)
        with bob.at_screen(cols=110, rows=24) as term:
            term.wait(lambda screen: "home live" in screen and "1 of %d" % len(subjects) in screen)
            yield term, bob


def found(bob, query, *more):
    """Where the hits of tuimail are: "home/.Foo", sorted."""
    out = bob.command("search", "--format=files", "--limit", "0", *more, query, status=None).splitlines()
    return sorted(os.path.dirname(os.path.dirname(line.split("/mail/", 1)[1])).replace("/maildir", "") for line in out)


def notmuch(bob, *args):
    out = subprocess.run(("notmuch", "--config=" + os.path.join(bob.store, "index", "config")) + args, capture_output=True, text=True)
    return out.stdout.splitlines()


def indexed(bob, query, *places):
    """Waits until the index has the files of what matches at these places, by what notmuch itself says."""
    def where():
        return sorted(os.path.dirname(os.path.dirname(f.split("/mail/", 1)[1])).replace("/maildir", "")
                      for f in notmuch(bob, "search", "--output=files", "--exclude=false", query))
    try:
        eventually("the index has %s" % (places,), lambda: where() == sorted(places))
    except AssertionError as e:
        raise AssertionError("%s: %s" % (e, where())) from e


def tags(bob, query):
    return notmuch(bob, "search", "--output=tags", "--exclude=false", query)


def test_deleted_beside_a_copy():
    """Copied to a folder and deleted in the inbox: the copy is found, where it is; it moves, it is removed, and what is deleted is deleted."""
    with two_accounts() as (term, bob):
        term.command("copy Foo")
        indexed(bob, "subject:alpha", "home", "home/.Foo")
        eventually("both give their tags", lambda: tags(bob, "subject:alpha") == ["home", "inbox"])
        term.command("delete")
        indexed(bob, "subject:alpha", "home/.Foo", "home/.Trash")
        eventually("it is not in the inbox", lambda: tags(bob, "subject:alpha") == ["home"])
        equal(found(bob, "subject:alpha"), ["home/.Foo"], "what search finds")
        equal(found(bob, "tag:deleted"), [], "what is deleted")
        # read, flagged and answered in a folder; there is nothing left to read among what is deleted
        copy = files(bob, "home", "Foo")[0]
        os.rename(copy, copy.split(":2,")[0] + ":2,FRS")
        trash = files(bob, "home", "Trash")[0]
        os.rename(trash, trash.split(":2,")[0] + ":2,")
        eventually("its flags", lambda: tags(bob, "subject:alpha") == ["flagged", "home", "replied"])
        # another program moves the copy to the inbox
        refile(bob, files(bob, "home", "Foo")[0], "home", "")
        indexed(bob, "subject:alpha", "home", "home/.Trash")
        eventually("its tags", lambda: tags(bob, "subject:alpha") == ["flagged", "home", "inbox", "replied"])
        equal(found(bob, "subject:alpha"), ["home"], "what search finds after a move")
        # both are in the trash
        refile(bob, files(bob, "home")[0], "home", "Trash")
        indexed(bob, "subject:alpha", "home/.Trash", "home/.Trash")
        eventually("deleted", lambda: tags(bob, "subject:alpha") == ["deleted", "flagged", "home", "replied", "unread"])
        equal(found(bob, "subject:alpha"), [], "what search finds of deleted mail")
        equal(found(bob, "subject:alpha tag:deleted"), ["home/.Trash"], "what search finds where deleted mail is asked for")


def test_copies_in_another_account():
    """Exported by a tag and imported into another account: each is found under both; an imported copy is deleted, and the original is found."""
    subjects = ["mail%d" % i for i in range(60)]
    with two_accounts(subjects) as (term, bob):
        indexed(bob, "*", *["home"] * 60)
        term.command("select-pattern from:alice")
        term.wait("60 selected")
        term.command("tag +money")
        eventually("tagged", lambda: len(found(bob, "tag:money")) == 60)
        contains(bob.run("export", "tag:money", "--output", bob.root + "/money.mbox").stderr, "60")
        contains(bob.run("import", "--account", "local", "--mailbox", "Imported", bob.root + "/money.mbox").stderr, "60 mails imported")
        indexed(bob, "*", *["home"] * 60, *["local/.Imported"] * 60)
        for query in ("tag:money and tag:home", "tag:money and tag:local", "tag:inbox", "tag:money and tag:home and tag:local"):
            eventually("%s finds all" % query, lambda q=query: len(found(bob, q)) == 60)
        equal(found(bob, "*", "--account", "home"), ["home"] * 60, "in home")
        equal(found(bob, "*", "--account", "local"), ["local/.Imported"] * 60, "in local")
        # a copy in a folder of home, and not in its inbox
        refile(bob, [f for f in files(bob, "home") if ".mail7:" in f][0], "home", "Foo")
        indexed(bob, "subject:mail7", "home/.Foo", "local/.Imported")
        gone = [f for f in files(bob, "local", "Imported") if "Subject: mail7\n" in content(f)]
        refile(bob, gone[0], "local", "Trash")
        indexed(bob, "subject:mail7", "home/.Foo", "local/.Trash")
        eventually("the tags", lambda: tags(bob, "subject:mail7") == ["home", "local", "money"])
        equal(found(bob, "subject:mail7"), ["home/.Foo"], "the original")
        equal(found(bob, "subject:mail7", "--account", "local"), [], "in the account in which it is deleted")
        # the original is deleted for good: what is left of the mail is what is in the trash
        os.unlink(files(bob, "home", "Foo")[0])
        eventually("what is deleted is deleted", lambda: found(bob, "subject:mail7") == [])
        equal(found(bob, "subject:mail7 tag:deleted"), ["local/.Trash"], "what is left")


def test_a_tag_of_copies():
    """A tag is that of all copies of the account: taken off one, none has it."""
    with two_accounts() as (term, bob):
        term.command("copy Foo")
        indexed(bob, "subject:alpha", "home", "home/.Foo")
        term.command("tag +mine")
        eventually("tagged", lambda: tags(bob, "subject:alpha") == ["home", "inbox", "mine"])
        term.go("Foo", "Foo · home")
        term.wait("alpha")
        term.command("tag -mine")
        eventually("not tagged", lambda: tags(bob, "subject:alpha") == ["home", "inbox"])


def test_a_tag_in_two_accounts():
    """What is said last of a tag is for the copies in all accounts, and undo is for all of them too; an account that is named is left alone with it."""
    with two_accounts() as (term, bob):
        put(bob, "local", "alpha")
        put(bob, "local", "beta")
        indexed(bob, "*", "home", "local", "local")

        def has(*want):
            for account in ("home", "local"):
                eventually("%s of %s" % (want, account), lambda a=account: found(bob, "tag:mine", "--account", a) == [a] * (len(want) > 0))
            eventually("%s in the index" % (want,), lambda: [t for t in tags(bob, "subject:alpha") if t == "mine"] == ["mine"] * (len(want) > 0))
        for account in ("home", "local"):
            contains(bob.command("tag", "--account", account, "+mine", "--", "subject:alpha"), "1 message changed")
        has("mine")
        term.command("change local/INBOX")
        term.wait(lambda s: "INBOX · local" in s and "mine" in s)
        term.command("select-pattern subject:alpha")
        term.wait("1 selected")
        term.command("tag -mine")
        term.wait("with 1 copy in other accounts")
        has()
        term.keys("u")
        term.wait("2 messages")
        has("mine")
        # the earlier word here, the later one there
        contains(bob.command("tag", "--account", "home", "-mine", "--", "subject:alpha"), "1 message changed")
        equal(found(bob, "tag:mine", "--account", "local"), ["local"], "local's own")
        contains(bob.command("tag", "-mine", "+other", "--", "subject:alpha"), "2 messages changed")
        has()
        contains(bob.command("tag", "+mine", "--", "subject:alpha"), "1 message changed")
        has("mine")
        equal(found(bob, "tag:mine and subject:beta"), [], "another mail")


def test_a_tag_of_very_many():
    """More messages than are looked at while the key is done: the copies of all of them lose the tag, and one undo brings all back."""
    many = 2300
    with two_accounts(("mail0",)) as (term, bob):
        for i in range(many):
            if i > 0:
                put(bob, "home", "mail%d" % i)
            put(bob, "local", "mail%d" % i)
        eventually("they are found", lambda: bob.command("count", "*", status=None).strip() == str(many), timeout=120)
        for account in ("home", "local"):
            contains(bob.command("tag", "--account", account, "+mine", "--", "*"), "%d messages changed" % many)

        def tagged(account):
            with closing(sqlite3.connect("file:%s/state/%s/keep.db?mode=ro" % (bob.store, account), uri=True, timeout=10)) as keep:
                return keep.execute("SELECT count(*) FROM tag").fetchone()[0]
        eventually("all have it", lambda: tagged("home") == tagged("local") == many)
        term.command("change home/INBOX")
        term.wait("INBOX · home")
        term.command("result tag -mine")
        term.wait("all 2300 messages of the list?")
        term.keys("y")
        eventually("none has it", lambda: tagged("home") == tagged("local") == 0)
        term.wait("in other accounts)")
        term.keys("u")
        eventually("all have it again", lambda: tagged("home") == tagged("local") == many)


def test_killed():
    """The index is killed again and again while copies come: all of them are found under both accounts in the end."""
    subjects = ["mail%d" % i for i in range(200)]
    with two_accounts() as (_, bob):
        for subject in subjects:
            put(bob, "home", subject, "Foo")
        box = bob.root + "/all.mbox"
        indexed(bob, "*", "home", *["home/.Foo"] * 200)
        bob.command("export", "tag:home", "--output", box)
        run = subprocess.Popen((tap.TUIMAIL, "-c", bob.rc, "import", "--account", "local", "--mailbox", "Imported", box),
                               env=dict(os.environ, **bob.env), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        killed = 0
        deadline = time.monotonic() + 40
        while killed < 4 and time.monotonic() < deadline:
            for pid, name in bob.programs():
                if name == "index":
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
            time.sleep(0.05)
            if run.poll() is not None and killed:
                break
        run.communicate(timeout=120)
        equal(run.returncode, 0, "status of the import")
        assert killed, "the index was never there to be killed"
        indexed(bob, "*", "home", *["home/.Foo"] * 200, *["local/.Imported"] * 201)
        for account in ("home", "local"):
            eventually("all are in " + account, lambda a=account: len(found(bob, "tag:" + a)) == 201)
        for f in files(bob, "home", "Foo"):
            refile(bob, f, "home", "Trash")
        eventually("none is deleted", lambda: len(found(bob, "tag:local and not tag:deleted", "--account", "local")) == 201)
        indexed(bob, "*", "home", *["home/.Trash"] * 200, *["local/.Imported"] * 201)
        eventually("none is found where it is deleted", lambda: len(found(bob, "*", "--account", "home")) == 1)


def test_copies_on_a_server():
    """The same over IMAP, where the body that was fetched is a file of its own."""
    with tap.directory() as root, closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        bob = User(os.path.join(root, "bob"), server)
        with server.imap("bob") as phone:
            for box in ("Foo", "Trash"):
                phone.create(box)
                phone.subscribe(box)
            server.deliver("bob", message("alpha", "a wombat\n"))
            with bob.at_screen(cols=110, rows=24) as term:
                term.wait(lambda screen: "alpha" in screen and "work live" in screen and "Foo" in screen)
                term.keys("Enter")
                term.wait("a wombat")
                term.keys("q")
                term.command("copy Foo")
                eventually("read, in both", lambda: tags(bob, "wombat") == ["inbox", "work"] and len(notmuch(bob, "search", "--output=files", "wombat")) >= 3)
                term.command("delete")
                eventually("only the copy is left", lambda: tags(bob, "subject:alpha") == ["work"])
                contains(bob.command("search", "wombat"), "alpha", "the copy")
                phone.select("Foo")
                phone.store("1", "+FLAGS", "(\\Flagged)")
                phone.store("1", "-FLAGS", "(\\Seen)")
                eventually("flags of the copy", lambda: tags(bob, "wombat") == ["flagged", "unread", "work"])
                phone.store("1", "+FLAGS", "(\\Deleted)")
                phone.expunge()
                eventually("nothing is left but what is deleted", lambda: tags(bob, "subject:alpha") == ["deleted", "work"])


if __name__ == "__main__":
    tap.run(globals())
