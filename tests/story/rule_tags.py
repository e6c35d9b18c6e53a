#!/usr/bin/env python3
"""Rules with -tagged run when a tag that they name is set or taken off, wherever that was done; one undo takes back both; and none runs because of
another."""
import contextlib
import json
import os
import subprocess
import time

import tap
from dovecot import Server
from index import Own, subject
from tap import equal
from user import User, eventually, message

RULES = """rule "tag:todo" -tagged -folder Todo
rule "in:Todo and not tag:todo" -tagged -folder INBOX
rule "tag:other" -folder Other
"""


def tags(bob, query):
    found = json.loads(bob.command("search", "--format=json", query, status=None) or "[]")
    return {t for hit in found for t in hit["tags"]}


def at(term, box, name):
    """The cursor is on that mail."""
    term.go(box, name)
    term.command("search subject:%s in:%s" % (name, box))
    term.wait(lambda screen: "1 of 1" in screen and name in screen)


@contextlib.contextmanager
def at_dovecot(rules, subjects):
    """Bob's screen over an INBOX with these mails, read, and the server."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"))) as server:
        bob = User(os.path.join(root, "bob"), server, lines=rules)
        server.append("bob", "INBOX", [message(s) for s in subjects], "\\Seen")
        with server.imap("bob") as imap:
            imap.create("Todo")
        with bob.at_screen(cols=140) as term:
            term.wait(lambda screen: all(s in screen for s in subjects))
            eventually("they are indexed", lambda: len(bob.command("search", "--format=ids", "*", status=None).split()) == len(subjects))
            yield term, bob, server


def test_by_key_and_undone():
    """Where it goes by a tag it goes back without it, and undo is one step of both."""
    with at_dovecot(RULES, ["alpha", "beta"]) as (term, bob, server):
        at(term, "INBOX", "alpha")
        term.command("tag +other")
        eventually("it is tagged", lambda: "other" in tags(bob, "subject:alpha"))
        term.command("tag +todo")
        term.wait("rules: 1 message: 1 to Todo")
        eventually("it is filed", lambda: server.subjects("bob", "Todo") == ["alpha"])
        equal(server.subjects("bob", "INBOX"), ["beta"])
        term.command("undo")
        eventually("it is back", lambda: sorted(server.subjects("bob", "INBOX")) == ["alpha", "beta"])
        eventually("without the tag", lambda: "todo" not in tags(bob, "subject:alpha"))
        assert "other" in tags(bob, "subject:alpha"), "what came before stays"
        term.command("redo")
        eventually("it is filed again", lambda: server.subjects("bob", "Todo") == ["alpha"])
        eventually("with the tag", lambda: "todo" in tags(bob, "subject:alpha"))
        # and the other way
        at(term, "Todo", "alpha")
        term.command("tag -todo")
        eventually("it is in the inbox", lambda: sorted(server.subjects("bob", "INBOX")) == ["alpha", "beta"])
        # what is moved by hand is not moved by a tag that no such rule names
        at(term, "INBOX", "alpha")
        term.command("tag +todo")
        eventually("it is filed", lambda: server.subjects("bob", "Todo") == ["alpha"])
        at(term, "Todo", "alpha")
        term.command("move INBOX")
        eventually("it is where it was put", lambda: sorted(server.subjects("bob", "INBOX")) == ["alpha", "beta"])
        at(term, "INBOX", "alpha")
        term.command("tag +third")
        at(term, "INBOX", "beta")
        term.command("tag +todo")  # what is behind it in the queue of the rules
        eventually("the other is filed", lambda: server.subjects("bob", "Todo") == ["beta"])
        equal(server.subjects("bob", "INBOX"), ["alpha"])


def test_by_the_command_line_and_other_devices():
    """tuimail tag, a keyword that another device sets, and notmuch on the index."""
    with at_dovecot(RULES, ["alpha", "beta", "gamma"]) as (term, bob, server):
        bob.command("tag", "+todo", "subject:alpha")
        eventually("alpha is filed", lambda: server.subjects("bob", "Todo") == ["alpha"])
        with server.imap("bob") as imap:
            imap.select("INBOX")
            number = imap.search(None, "SUBJECT", "beta")[1][0]
            imap.store(number, "+FLAGS", "(todo)")
        eventually("beta is filed", lambda: sorted(server.subjects("bob", "Todo")) == ["alpha", "beta"])
        config = os.path.join(bob.store, "index/config")
        subprocess.run(["notmuch", "--config=" + config, "tag", "+todo", "subject:gamma"], check=True, timeout=60)
        eventually("gamma is filed", lambda: sorted(server.subjects("bob", "Todo")) == ["alpha", "beta", "gamma"])
        with server.imap("bob") as imap:
            imap.select("Todo")
            number = imap.search(None, "SUBJECT", "beta")[1][0]
            imap.store(number, "-FLAGS", "(todo)")
        term.go("Todo", "beta")
        eventually("beta is back", lambda: server.subjects("bob", "INBOX") == ["beta"])


def test_without_end():
    """Two rules that undo each other's work: each tag that is set makes one run."""
    rules = 'rule "tag:ping" -tagged -untag ping -tag pong\nrule "tag:pong" -tagged -untag pong -tag ping\n'
    with at_dovecot(rules, ["alpha", "beta"]) as (term, bob, server):
        at(term, "INBOX", "alpha")
        term.command("tag +ping")
        term.wait(lambda screen: "pong" in screen)
        time.sleep(2)  # what another round would take
        equal(tags(bob, "subject:alpha") & {"ping", "pong"}, {"pong"})
        with open(os.path.join(bob.store, "log", "store.log")) as f:
            equal(f.read().count("rules: 1 message"), 1)


def test_two_devices():
    """Rules of two devices that undo each other's work come to rest, and it is said."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"))) as server:
        one = User(os.path.join(root, "one"), server, lines='rule "tag:ping" -tagged -untag ping -tag pong\n')
        two = User(os.path.join(root, "two"), server, lines='rule "tag:pong" -tagged -untag pong -tag ping\n')
        server.append("bob", "INBOX", [message("alpha")], "\\Seen")
        with one.at_screen(cols=150) as first, two.at_screen(cols=150) as second:
            for term in (first, second):
                term.wait("alpha")
                term.go("INBOX", "alpha")
            for bob in (one, two):
                eventually("it is indexed", lambda: bob.command("search", "--format=ids", "*", status=None))
            first.command("tag +ping")
            eventually("one of them rests", lambda: any("left alone for an hour" in open(os.path.join(b.store, "log", "store.log")).read()
                                                        for b in (one, two)), timeout=120)


def test_own_notmuch():
    """The user's own notmuch sets the tag, of a mail in a Maildir; what the rule does is there too."""
    with tap.directory() as base:
        own = Own(base, lines='rule "tag:todo" -tagged -folder Todo -untag fresh\nrule "in:Todo and not tag:todo" -tagged -folder INBOX\n')
        bob = own.bob

        def filed():
            folder = os.path.join(own.inbox, ".Todo")
            return sorted(n.split(".")[0] for s in ("cur", "new") if os.path.isdir(os.path.join(folder, s)) for n in os.listdir(os.path.join(folder, s)))
        with bob.at_screen(cols=120, rows=50) as term:
            term.wait(subject(39))
            term.command("tag +fresh")
            eventually("it is known there", lambda: own.theirs("tag:fresh"))
            own.notmuch("tag", "+todo", "--", "tag:fresh")
            eventually("it is filed", lambda: len(filed()) == 1)
            eventually("the rule's word is there", lambda: not own.theirs("tag:fresh"))
            own.notmuch("tag", "-todo", "--", "tag:todo")
            eventually("it is back", lambda: filed() == [])
            equal(bob.command("search", "--format=ids", "in:Todo", status=None), "", "nothing is in it")
            # many at once, by one key
            term.command("select-pattern *")
            term.command("tag +todo")
            eventually("all are filed", lambda: len(filed()) == 40)
            eventually("they are found there", lambda: len(own.ids("in:Todo")) == 40)
            term.command("undo")
            eventually("all are back", lambda: filed() == [])
            eventually("and not tagged there", lambda: own.theirs("tag:todo") == [])


if __name__ == "__main__":
    tap.run(globals())
