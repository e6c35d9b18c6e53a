#!/usr/bin/env python3
"""Scripts on the server at the screen: one is written with an error, mended on its line, activated, and files mail; then a
rule is made from a message, into the same script, and for the mail that is here."""
import os

import tap
from dovecot import Server, free_ports
from tap import contains, equal
from user import User, eventually, message

GOOD = 'require "fileinto";\n# mine\nif header :contains "subject" "report" {\n  fileinto "Archive";\n}\n'


def editor(alice):
    """Writes a script with an error in its line 4 first; opened there, the one without."""
    path = os.path.join(alice.root, "editor")
    with open(path, "w") as f:
        f.write("#!/bin/sh\nif [ \"$1\" = +4 ]; then shift; cat > \"$1\" <<'END'\n%sEND\nelse cat > \"$1\" <<'END'\n%sEND\nfi\n"
                % (GOOD, GOOD.replace("fileinto \"A", "filinto \"A")))
    os.chmod(path, 0o755)
    return path


def test_story():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), sieve=True)
        alice = User(os.path.join(root, "alice"), server, "alice",
                     lines="set -a work sieve sieve://localhost:%d\n" % server.info["sieve"])
        listed = "List-Id: <dev.example.org>\n"
        server.append("alice", "INBOX", [message("lunch"), message("patch one", extra=listed)])
        with alice.at_screen(env={"EDITOR": editor(alice)}) as term:
            term.wait("patch one")
            term.command("sieve")
            term.wait(lambda screen: "no script yet" in screen and "asking work" not in screen)
            term.keys("n")
            term.wait("name of the new script")
            term.type("mine")
            term.keys("Enter")
            asked = term.wait("Edit line 4?")
            contains(asked, "line 4")
            contains(asked, "filinto")
            equal(alice.command("sieve", "list", "work"), "")
            term.keys("y")
            term.wait("mine is on the server")
            equal(alice.command("sieve", "list", "work"), "  mine\n")
            assert not os.listdir(os.path.join(alice.store, "scripts")), "the server has it"
            term.wait("scripts of work")
            term.keys("a")
            term.wait("the script is active")
            equal(alice.command("sieve", "list", "work"), "* mine\n")
            server.deliver("alice", message("the report"))
            equal(server.subjects("alice", "Archive"), ["the report"])
            # deleted is put back
            term.wait("scripts of work")
            term.keys("a")
            term.wait("no script is active")
            term.wait("scripts of work")
            term.keys("d")
            term.wait("Delete the script")
            term.keys("y")
            term.wait("no script yet")
            term.keys("u")
            term.wait("it is back")
            term.wait(lambda screen: "no script yet" not in screen and " mine" in screen)
            term.keys("a")
            term.wait("the script is active")
            term.wait("scripts of work")
            term.keys("q")
            term.wait("scripts of work", gone=True)
            # a rule from a message: for its list, into a mailbox, for what is here too
            term.command("create-mailbox Patches")
            term.wait("mailbox created")
            term.wait("patch one")
            eventually("the index has it", lambda: alice.run("count", "subject:patch").stdout == "1\n")
            term.keys("Home")
            term.command("make-rule")
            term.wait("[x] mailing list: dev.example.org")
            term.keys("m")
            term.wait("move to:")
            term.type("Patches")
            term.keys("Enter")
            term.wait("[x] move to: Patches")
            term.keys("r")
            term.wait("[x] mark read")
            term.keys("w")
            shown = term.wait("Add this to the script mine?")
            contains(shown, 'fileinto')
            contains(shown, 'dev.example.org')
            term.keys("y")
            term.wait("Do the same to mail that is here: 1 message")
            term.keys("y")
            eventually("the older mail is moved", lambda: server.subjects("alice", "Patches") == ["patch one"])
            server.deliver("alice", message("patch two", extra=listed))
            server.deliver("alice", message("report two"))
            equal(server.subjects("alice", "Patches"), ["patch one", "patch two"])
            equal(server.subjects("alice", "Archive"), ["the report", "report two"])
            got = alice.command("sieve", "get", "work", "mine")
            rest = got.replace("\r\n", "\n")
            assert rest.startswith('require "fileinto";\nrequire ['), rest
            contains(rest, GOOD.partition("\n")[2])
            # one undo takes back the rule and what was done to older mail; redo does both again
            term.command("undo")
            eventually("the older mail is back", lambda: "patch one" in server.subjects("alice", "INBOX"))
            eventually("so is the script", lambda: alice.command("sieve", "get", "work", "mine").replace("\r\n", "\n") == GOOD)
            term.command("redo")
            eventually("it is moved again", lambda: "patch one" in server.subjects("alice", "Patches"))
            eventually("the rule is there again", lambda: alice.command("sieve", "get", "work", "mine") == got)
            # but not where somebody has changed the script since
            alice.command("sieve", "put", "work", "mine", stdin="keep;\n")
            term.command("undo")
            term.wait("the script mine has changed since")
            equal(alice.command("sieve", "get", "work", "mine"), "keep;\n")


def test_at_once():
    """The option, set at the prompt, counts; a rule begins a script, which undo takes away; a server that lacks an extension, or is
    not there, leaves the rule to this program."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), sieve=True, extra="plugin {\n sieve_extensions = -imap4flags\n}\n")
        alice = User(os.path.join(root, "alice"), server, "alice")
        other = User(os.path.join(root, "other"), server, "alice",
                     lines="set -a work sieve sieve://localhost:%d\n" % server.info["sieve"])
        server.append("alice", "INBOX", [message("lunch")])
        with alice.at_screen() as term:
            term.wait("lunch")
            term.command("sieve")
            term.wait("set -a work sieve sieve://HOST")
            term.command("set -a work sieve sieve://localhost:%d" % free_ports(1)[0])
            term.command("sieve")
            term.wait("scripts of work: localhost port")
            term.command("set -a work sieve sieve://localhost:%d" % server.info["sieve"])
            term.command("sieve")
            term.wait("no script yet")
            term.keys("q")
            term.command("make-rule")
            term.wait("[x] from: alice@example.org")
            term.keys("p")
            term.wait("[x] stop")
            term.keys("w")
            contains(term.wait("Begin the script tuimail with this"), "stop;")
            term.keys("y")
            term.wait("the rule is kept on the server")
            equal(other.command("sieve", "list", "work"), "* tuimail\n")
            term.command("undo")
            term.wait("the script tuimail is gone again")
            equal(other.command("sieve", "list", "work"), "")
            term.command("redo")
            term.wait("the rule is in the script tuimail again")
            equal(other.command("sieve", "list", "work"), "* tuimail\n")
            # an inactive one of that name is added to, activated, and left as it was
            other.command("sieve", "deactivate", "work")
            was = other.command("sieve", "get", "work", "tuimail")
            term.command("make-rule")
            term.wait("[x] from: alice@example.org")
            term.keys("p")
            term.wait("[x] stop")
            term.keys("w")
            term.wait("Add this to the script tuimail, and activate it?")
            term.keys("y")
            term.wait("the rule is kept on the server")
            equal(other.command("sieve", "list", "work"), "* tuimail\n")
            term.command("undo")
            term.wait("the script tuimail is as it was")
            equal(other.command("sieve", "list", "work"), "  tuimail\n")
            equal(other.command("sieve", "get", "work", "tuimail"), was)
            # flags are what this server's scripts cannot do
            term.command("make-rule")
            term.wait("[x] from: alice@example.org")
            term.keys("F")
            term.wait("[x] flag")
            term.keys("w")
            asked = term.wait("Keep the rule here")
            contains(asked, "lacks the extension imap4flags")
            eventually("the index has it", lambda: alice.run("count", "subject:lunch").stdout == "1\n")
            term.keys("y")
            term.wait("Do the same to mail that is here: 1 message")
            term.keys("n")
            contains(alice.command("rules"), 'from:"alice@example.org"')
            term.command("undo")
            term.wait("the rule is kept no more")
            assert "alice@example.org" not in alice.command("rules", status=None)
            server.deliver("alice", message("dinner"))
            term.wait("dinner")
            equal(alice.command("search", "tag:flagged", status=None), "")
            term.command("set -a work sieve sieve://localhost:9")
            term.command("sieve")
            term.wait("localhost port 9")


def test_changed_meanwhile():
    """A script that another program writes while the editor is open is not lost."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), sieve=True)
        alice = User(os.path.join(root, "alice"), server, "alice",
                     lines="set -a work sieve sieve://localhost:%d\n" % server.info["sieve"])
        server.append("alice", "INBOX", [message("lunch")])
        alice.command("sieve", "put", "work", "mine", stdin="keep;\n")
        path = os.path.join(root, "slow-editor")
        with open(path, "w") as f:
            f.write('#!/bin/sh\necho "# mine" >> "$1"\ntouch %s/open\nwhile [ -e %s/open ]; do sleep 0.1; done\n' % (root, root))
        os.chmod(path, 0o755)
        with alice.at_screen(env={"EDITOR": path}) as term:
            term.wait("lunch")
            term.command("sieve")
            term.wait("scripts of work")
            for answer, has in (("n", "discard;\n"), ("y", "keep;\n# mine\n")):
                term.keys("e")
                if answer == "y":
                    term.wait("Go on with that text?")
                    term.keys("y")
                eventually("the editor is open", lambda: os.path.exists(os.path.join(root, "open")))
                alice.command("sieve", "put", "work", "mine", stdin="discard;\n" if answer == "n" else "stop;\n")
                os.unlink(os.path.join(root, "open"))
                term.wait("It was changed on the server meanwhile")
                term.keys(answer)
                term.wait("your text is in" if answer == "n" else "mine is on the server")
                contains(alice.command("sieve", "get", "work", "mine").replace("\r\n", "\n"), has)
                term.wait("scripts of work")


def test_local_rule():
    """Without such a server the rule is a line of our own file, and used at once for mail that comes."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        old = os.path.join(root, "old")
        for folder in ("", "cur", "new", "tmp", ".Patches", ".Patches/cur", ".Patches/new", ".Patches/tmp"):
            os.makedirs(os.path.join(old, folder), exist_ok=True)
        bob = User(os.path.join(root, "bob"), server, "bob", lines="account old maildir:%s\n" % old)
        listed = "List-Id: <dev.example.org>\n"
        server.append("bob", "INBOX", [message("lunch"), message("patch one", extra=listed)])
        with open(bob.rc) as f:
            rc = f.read()
        with bob.at_screen() as term:
            term.wait("patch one")
            eventually("the index has it", lambda: bob.run("count", "subject:patch").stdout == "1\n")
            term.keys("Home")
            term.command("make-rule")
            term.wait("[x] mailing list: dev.example.org")
            term.keys("F")
            term.wait("[x] flag")
            term.keys("m")  # a mailbox of another account is none of its rule
            shown = term.wait("move to:")
            contains(shown, "Archive")
            equal("old/" in shown, False)
            term.type("Patches")
            term.wait("no mailbox has this name: Enter creates it")
            term.keys("Enter")  # nor has one of this account: the rule makes it
            term.wait("[x] move to a new mailbox: Patches")
            term.keys("m")
            term.wait("[ ] move to")
            term.keys("w")
            contains(term.wait("Keep this rule?"), "-account work -flag")
            term.keys("y")
            term.wait("the rule is kept in %s" % bob.root[:20])
            term.wait("Do the same to mail that is here: 1 message")
            term.keys("n")
            server.deliver("bob", message("patch two", extra=listed))
            eventually("the rule is used", lambda: bob.run("search", "--format=text", "tag:flagged").stdout.count("patch two") == 1)
            assert "patch one" not in bob.command("search", "tag:flagged")
        with open(bob.rc) as f:
            equal(f.read(), rc)
        contains(bob.command("rules"), "dev.example.org")
        with bob.at_screen() as term:  # into a mailbox that is not there yet
            term.wait("patch two")
            term.command("go 1")
            term.keys("End")
            term.command("make-rule")
            term.wait("a rule for mail that comes to work")
            term.keys("m")
            term.type("Lists")
            term.keys("Enter")
            term.wait("[x] move to a new mailbox: Lists")
            term.keys("w")
            contains(term.wait("Keep this rule?"), "-folder Lists")
            term.keys("y")
            term.wait("Do the same to mail that is here")
            term.keys("y")
            eventually("it is made, and the mail is there", lambda: "lunch" in server.subjects("bob", "Lists"))
            term.keys("u")
            eventually("one undo", lambda: "lunch" in server.subjects("bob", "INBOX"))
            term.wait("lunch")
        equal("-folder Lists" in bob.command("rules"), False)


if __name__ == "__main__":
    tap.run(globals())
