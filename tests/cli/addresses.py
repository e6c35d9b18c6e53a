#!/usr/bin/env python3
"""Addresses of vCard files and of a query command, at the shell and while a mail is written; aliases of other programs."""
import contextlib
import os
import shutil

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message

CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:%s\r\nEMAIL;TYPE=home:%s\r\nEND:VCARD\r\n"


def user_at(root, lines=""):
    book = os.path.join(root, "book")
    os.makedirs(book)
    for name, full, addr in (("z", "Zoe Example", "zoe@example.org"), ("y", "Yann Other", "yann@example.net")):
        with open(os.path.join(book, name + ".vcf"), "w", newline="") as f:
            f.write(CARD % (full, addr))
    mail = os.path.join(root, "mail")
    for d in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(mail, d))
    return User(os.path.join(root, "user"), lines="account home maildir:%s\nset address-book %s\n"
                'set -a home from "Me <me@example.org>"\n%s' % (mail, book, lines))


def test_shell():
    with tap.directory() as root:
        me = user_at(root)
        equal(me.command("address", "zo"), "Zoe Example <zoe@example.org>\n")
        equal(me.command("address", "--format=mutt", "other"), "addresses met in mail\nyann@example.net\tYann Other\n")
        me.command("address", "nobody", status=1)
        # aliases of other programs; what is there stays
        mutt = os.path.join(root, "muttrc")
        with open(mutt, "w") as f:
            f.write('# mine\nset x=y\nalias -group friends zo Zoe Example <zoe@example.org> # friend\n'
                    'alias both a@example.org, \\\n b@example.org\nalias zo other@example.org\nalias bad@name x@y.z\n')
        contains(me.command("address", "import", mutt), "2 aliases added")
        aliases = os.path.join(me.env["XDG_CONFIG_HOME"], "tuimail", "aliases")
        with open(aliases) as f:
            text = f.read()
        contains(text, 'alias zo "Zoe Example <zoe@example.org>"')
        contains(text, "a@example.org,")
        abook = os.path.join(root, "addressbook")
        with open(abook, "w") as f:
            f.write("# abook addressbook file\n\n[format]\nprogram=abook\nversion=0.6.1\n\n[0]\nname=Carol C. Example\n"
                    "email=carol@example.org,c@example.org\n\n[1]\nname=Dave\nemail=dave@example.org\nnick=dd\n\n[7]\nname=Pat O'Brien\nemail=pat@example.org\nnick=o'pat\n\n[2]\nname=None\n")
        contains(me.command("address", "import", abook), "3 aliases added")
        with open(aliases) as f:
            now = f.read()
        assert now.startswith(text), now
        contains(now, "alias carol-c-example ")
        contains(now, "alias dd ")
        me.command("check")
        equal(me.run("address", "import", me.password).returncode, 65)


def test_screen():
    with tap.directory() as root:
        query = os.path.join(root, "query")
        with open(query, "w") as f:  # the term is data, whatever it holds
            f.write("#!/bin/sh\necho \"for $1\"\nprintf 'quinn@example.org\\tQuinn %s\\tx\\n' \"$1\"\n")
        os.chmod(query, 0o755)
        me = user_at(root, "set query-command \"%s '%%s'\"\n" % query)
        with me.at_screen(env={"EDITOR": "true"}) as term:
            term.wait("home live")
            term.command("add-alias q")
            term.wait("q is:")
            term.keys("C-u")
            term.type("zo")
            term.keys("Tab")
            term.wait("zoe@example.org")
            term.keys("C-u")
            term.type("$(id)")
            term.keys("Tab")
            term.wait("q is: quinn@example.org")


def test_sent():
    """To whom one writes is known: by the server's copies, and as soon as a mail is sent. Nobody else's recipients are."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"))) as server:
        bob = User(os.path.join(root, "bob"), server, "bob", lines="set undo-send 0\n")
        wrote = message("hello", sender="Bob Example <bob@example.org>").replace("To: Bob <bob@example.org>",
                                                                                "To: Dora Sent <dora@example.org>, bob@example.org\nCc: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>")
        server.append("bob", "Sent", [wrote])
        server.append("bob", "INBOX", [message("not mine").replace("To: Bob <", "To: Other <other@example.net>, Bob <")])
        bob.command("fetch")
        eventually("the list is whole", lambda: bob.run("address", "dora").returncode == 0)
        equal(bob.command("address", "dora"), "Dora Sent <dora@example.org>\n")
        equal(bob.command("address", "jorg"), "J\u00f6rg <joerg@example.org>\n")
        bob.command("address", "other@example", status=1)
        contains(bob.command("send", "-t", stdin="From: bob@example.org\nTo: Carol New <carol@example.org>\nSubject: new\n\nx\n"), "sent")
        eventually("it is known", lambda: bob.run("address", "new").stdout == "Carol New <carol@example.org>\n")


def test_programs():
    """The address books that people have, as they are run and as they write their files; each where it is installed."""
    programs = {"khard": "khard email --parsable %s", "abook": "abook --mutt-query '%s'", "lbdbq": "lbdbq %s"}
    there = [name for name in programs if shutil.which(name)]
    if not there:
        tap.skip("none of " + " ".join(programs))
    with tap.directory() as root:
        me = user_at(root)
        home = me.env["HOME"]
        files = {".contacts/family/1.vcf": CARD % ("Zack Khard\r\nUID:1", "zack.khard@example.org"),
                 ".config/khard/khard.conf": "[addressbooks]\n[[family]]\npath = ~/.contacts/family/\n",
                 ".abook/addressbook": "# abook addressbook file\n\n[format]\nprogram=abook\nversion=0.6.1\n\n[0]\nname=Zack Abook\n"
                                       "email=zack.abook@example.org\n",
                 ".lbdb/m_inmail.utf-8": "zack.lbdbq@example.org\tZack Lbdb\t2026\n"}
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(home, name)), exist_ok=True)
            with open(os.path.join(home, name), "w", newline="") as f:
                f.write(text)
        with me.at_screen() as term:
            term.wait("home live")
            for name in there:
                term.command('set query-command "%s"' % programs[name])
                term.command("add-alias q")
                term.wait("q is:")
                term.keys("C-u")
                term.type("zack")
                term.keys("Tab")
                term.wait("q is: zack.%s@example.org" % name)
                term.keys("C-g")
            # vdirsyncer's directory of collections, without any program
            term.command('set query-command ""')
            term.command("set address-book %s/.contacts" % home)
            term.command("add-alias q")
            term.wait("q is:")
            term.keys("C-u")
            term.type("zack")
            eventually("the cards are read", lambda: term.keys("Tab") or "zack.khard@example.org" in term.screen())
            term.keys("C-g")


if __name__ == "__main__":
    tap.run(globals())
