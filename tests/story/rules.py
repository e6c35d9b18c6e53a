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
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines=RULES)
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


if __name__ == "__main__":
    tap.run(globals())
