#!/usr/bin/env python3
"""Addresses of vCard files and of a query command, at the shell and while a mail is written; aliases of other programs."""
import os

import tap
from tap import contains, equal
from user import User

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


if __name__ == "__main__":
    tap.run(globals())
