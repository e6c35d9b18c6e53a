#!/usr/bin/env python3
"""The headless commands: their words, their output, their manual pages and completions."""
import json
import os
import re
import subprocess

import tap
from dovecot import Server
from tap import SRC, TUIMAIL, contains, equal
from user import User, eventually, message

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")


def test_pages_are_those_of_the_program():
    done = subprocess.run(["sh", os.path.join(SRC, "doc", "refresh"), TUIMAIL, "--check"], capture_output=True, text=True)
    equal(done.stdout + done.stderr, "")
    equal(done.returncode, 0)


def test_pages_are_good_roff():
    if subprocess.run(["sh", "-c", "command -v groff"], capture_output=True).returncode:
        tap.skip("no groff here")
    for page in ("tuimail.1", "tuimailrc.5", "tuimail-commands.7"):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", os.path.join(SRC, "doc", page)], capture_output=True, text=True)
        equal(done.stderr, "", page)


def test_default_keys_name_commands():
    with tap.directory() as root:
        rows = [line.split("\t") for line in User(root).command("dump", "keys").splitlines()]
        keys = {(row[0], row[1]): row[2] for row in rows}
        equal(keys["list", "a"], "archive")
        equal(keys["global", "u"], "undo")
        equal(len(keys), len(rows), "keys bound twice")


def test_sample():
    with tap.directory() as root:
        with open(os.path.join(SRC, "tuimailrc.sample")) as f:
            sample = f.read()
        user = User(root)
        user.write_rc(sample)
        contains(user.command("check"), "no errors")
        # Its examples are good too, once they are uncommented.
        user.write_rc("".join(line[1:] if re.match("#[a-z]", line) else line for line in sample.splitlines(True)))
        contains(user.command("check"), "2 accounts, no errors")


def test_check():
    with tap.directory() as root:
        user = User(root)
        user.write_rc("account work imaps://a@h.example\nbind list a archvie\ncolor unraed red\non new-mial echo x\nset theme drak\n"
                      "rule x -folder y -bogus\n\x1b]0;x\n")
        done = user.run("check")
        equal(done.returncode, 78)
        for word in ("tuimailrc:2: error", "archive", "tuimailrc:3: error", "unread", "tuimailrc:4: error", "new-mail", "dark",
                     "tuimailrc:6: error", "tuimailrc:7: error: column 1: a control character"):
            contains(done.stdout, word)
        equal(CONTROL.search(done.stdout), None)
        os.chmod(user.rc, 0o666)
        done = user.run("check")
        equal(done.returncode, 78)
        contains(done.stdout, "chmod go-w")
        os.chmod(user.rc, 0o600)
        secret = os.path.join(root, "secret")
        user.write_rc("account work imaps://a@h.example\nset -a work password-file %s\n" % secret)
        for mode, word in ((None, "cannot open the password file"), (0o644, "can be read by others: chmod 600 " + secret), (0o600, "")):
            if mode:
                open(secret, "a").close()
                os.chmod(secret, mode)
            done = user.run("check")
            equal(done.returncode, 78 if word else 0, done.stdout)
            contains(done.stdout, "tuimailrc:1: error: account work: " if word else "no errors")
            contains(done.stdout, word)


def test_words():
    with tap.directory() as root:
        user = User(root)
        for args, status, word in ((["help"], 0, "doctor"), (["help", "send"], 0, "Bcc"), (["--help"], 0, "search"),
                                   (["help", "sned"], 64, '"send"'), (["-h"], 0, "search"), (["queue", "--help"], 0, "drop ACCOUNT"), (["send", "-h"], 0, "Bcc"),
                                   (["fetsh"], 64, '"fetch"'), (["--bogus"], 64, "--bogus"),
                                   (["view", "--widht", "3"], 64, "--width"), (["view", "--width", "x"], 64, "not a number"),
                                   (["dump"], 64, "dump options"), (["search"], 64, "query"), (["fetch"], 78, "account"),
                                   (["send", "-t"], 78, "account")):
            done = user.run(*args, stdin="")
            equal(done.returncode, status, " ".join(args))
            contains(done.stdout + done.stderr, word, " ".join(args))
        equal(user.command("--version").split()[0], "tuimail")


def test_view():
    """THREATS 117: text and JSON carry no control character and no bidi control, whatever the mail holds."""
    with tap.directory() as root:
        user = User(root)
        evil = "\x1b]0;title\x07 \x9b31m \u202e \u2066"
        mail = message("a " + evil, "Hello.\n> quoted\n" + evil + "\n" + "word " * 60 + "\n", extra="X-Evil: %s\n" % evil)
        mail = mail.replace("\nX-Evil", "\nContent-Type: text/plain; charset=utf-8\nX-Evil")
        for args in ([], ["--all-headers"], ["--format=json"], ["--width", "0"]):
            out = user.command("view", *args, stdin=mail)
            contains(out, "Hello.")
            equal(CONTROL.search(out), None, " ".join(args))
        document = json.loads(user.command("view", "--format=json", stdin=mail))
        equal([h["value"] for h in document["headers"] if h["name"] == "From"], ["Alice Example <alice@example.org>"])
        equal([line["quote"] for line in document["text"]][:2], [0, 1])
        narrow = user.command("view", "--width", "40", stdin=mail)
        contains(narrow, "\n> quoted\n")
        body = narrow.split("\n\n", 1)[1]
        if max(len(line) for line in body.splitlines()) > 40:
            raise AssertionError("wider than 40 columns:\n" + body)


def test_send_refuses():
    """What can be known before the store is asked: recipients, header, account, envelope."""
    with tap.directory() as root:
        user = User(root)
        user.write_rc('account a imaps://a@h.example\nset -a a from a@example.org\nset -a a send smtps://a@h.example\n'
                      'account b imaps://b@h.example\nset -a b from b@example.org\n')
        mail = "From: a@example.org\nTo: x@example.org\n\nHello\n"
        for args, text, status, word in ((["-t"], mail.replace("To: x@example.org\n", ""), 67, "no recipient"),
                                         (["-t"], mail.replace("x@", "x y@"), 67, "not an address"),
                                         ([], mail, 67, "-t"),
                                         (["x\r\nRCPT TO:<y@z>"], mail, 67, "not an address"),
                                         (["-t"], "no mail at all", 65, "no mail"),
                                         (["-t"], mail.replace("a@", "c@"), 64, "no account"),
                                         (["-t", "-a", "b"], mail, 78, "cannot send"),
                                         (["-t", "-a", "bb"], mail, 78, "unknown account")):
            done = user.run("send", *args, stdin=text)
            equal(done.returncode, status, word + ": " + done.stderr)
            contains(done.stderr, word)
            equal(os.path.exists(user.store), False, "the store")


def keywords(server, subject):
    """Flags and keywords of the message, as the server has them."""
    with server.imap("bob") as imap:
        imap.select("INBOX", readonly=True)
        number = imap.search(None, "SUBJECT", '"%s"' % subject)[1][0].split()[0]
        return set(re.search(r"FLAGS \(([^)]*)\)", imap.fetch(number, "(FLAGS)")[1][0].decode())[1].split())


def test_fetch_search_send():
    """On a real server: what cron and scripts do."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        try:
            for protocol in ("imaps", "pop3s"):
                user = User(os.path.join(root, protocol), server, protocol=protocol)
                subject = "budget over " + protocol
                server.deliver("bob", message(subject))
                equal(user.run("fetch", "wrok").returncode, 78)
                passes = json.loads(user.command("fetch", "--json"))
                equal([(p["account"], p["status"]) for p in passes], [("work", "ok")])
                if passes[0]["new"] < 1:
                    raise AssertionError("nothing new: %r" % passes)
                contains(user.command("fetch", "work"), "work: 0 new")
                contains(user.command("search", "subject:budget"), "  Alice Example             " + subject)
                hits = json.loads(user.command("search", "--format=json", "--limit", "1", "subject:%s" % protocol))
                equal([(h["subject"], h["account"]) for h in hits], [(subject, "work")])
                # A file that is named is there; over IMAP the mail is not here until somebody reads it.
                equal(os.path.isfile(hits[0]["file"]), protocol == "pop3s")
                equal(hits[0]["file"] == "", protocol == "imaps")
                contains(user.command("search", "--format=ids", "subject:budget"), "@example.org")
                equal(user.command("search", "--format=json", "subject:nothingofthekind").strip(), "[]")
                equal((user.command("count", "subject:" + protocol), user.command("count", "subject:nothing")), ("1\n", "0\n"))
                # Tags and flags, by the store: found again, and on the server.
                contains(user.command("tag", "+later", "+two words", "-unread", "--", "subject:" + protocol), "1 message changed; the key for undo takes it back\n")
                equal(user.command("count", 'tag:later and tag:"two words" and not tag:unread and subject:' + protocol), "1\n", "at once")
                if protocol == "imaps":
                    eventually("the server knows", lambda: keywords(server, subject) >= {"\\Seen", "later"})
                equal([user.run("tag", *words).returncode for words in (("subject:x",), ("+", "x"), ("+unread",))], [64] * 3)
                equal(user.run("tag", "+inbox", "--", "subject:" + protocol).returncode, 64, "a tag of the place")
                equal(user.command("tag", "+later", "subject:nothing"), "0 messages changed\n")
                contains(user.command("address", "ali"), "Alice Example <alice@example.org>\n")
                contains(user.command("address", "--format=mutt", "--account", "work", "alice"), "\nalice@example.org\tAlice Example\n")
                equal(user.run("address", "nobodyofthatname").returncode, 1)
                # Not the From of another account's, Bcc gone, Message-ID and Date there, no host name.
                out = user.command("send", "-t", stdin="To: alice@example.org\nBcc: carol@example.org\n"
                                   "Subject: by %s\n\nHello\n.\nend\n" % protocol)
                equal(out, "sent\n")
                with server.imap("alice") as imap:
                    imap.select("INBOX", readonly=True)
                    number = imap.search(None, "SUBJECT", '"by %s"' % protocol)[1][0].split()[0]
                    raw = imap.fetch(number, "(BODY.PEEK[])")[1][0][1].decode()
                contains(raw, "\r\n\r\nHello\r\n.\r\nend\r\n")
                contains(raw, "From: Bob Example <bob@example.org>")
                contains(raw, "Message-ID: <")
                if "carol" in raw or "Bcc" in raw:
                    raise AssertionError("Bcc is in the mail:\n" + raw)
                checked = user.command("doctor")
                contains(checked, "ok    account work: name, connection, TLS and login")
                contains(checked, "ok    account work: sending: name, connection, TLS and login")
                equal(server.subjects("alice", "INBOX").count("by " + protocol), 1, "doctor sends nothing")
                rc = open(user.rc).read()
                user.write_rc(rc + "set -a work send smtps://bob@localhost:1\n")
                checked = user.run("doctor")
                contains(checked.stdout, "ok    account work: name, connection, TLS and login")
                contains(checked.stdout, "fail  account work: sending: ")
                contains(checked.stdout, "Check the host, the port and the network.")
                equal(checked.returncode, 78)
                with open(os.path.join(user.root, "wrong"), "w") as f:
                    os.fchmod(f.fileno(), 0o600)
                    f.write("wrong\n")
                user.write_rc(rc + "set -a work send-password-file %s/wrong\n" % user.root)
                contains(user.run("doctor").stdout, "fail  account work: sending: ")
        finally:
            server.close()


def test_doctor():
    with tap.directory() as root:
        user = User(root, lines="account work imaps://a@h.example\nset -a work from a@example.org\n")
        done = user.run("doctor", "--offline")
        for word in ("config", "programs", "sandbox", "terminal", "store", "index", "cannot send"):
            contains(done.stdout, word)
        for line in done.stdout.splitlines():
            if not re.match("(ok  |warn|fail)  .*: ", line):
                raise AssertionError("an odd line: " + line)
        equal(done.returncode, 78 if "\nfail" in "\n" + done.stdout else 0)
        os.makedirs(user.store)
        os.chmod(user.store, 0o777)
        done = user.run("doctor", "--offline")
        contains(done.stdout, "fail  store: %s can be written by others: chmod go-w" % user.store)
        equal(done.returncode, 78)


def test_doctor_groups():
    """The lines of each account stand together, also where one answers long before the other."""
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        try:
            three = ("account three imaps://carol@localhost:%d\nset -a three tls-ca-file %s\nset -a three password-file %s\n"
                     % (server.info["imaps"], server.info["ca"], os.path.join(root, "alice", "password")))
            user = User(os.path.join(root, "alice"), server, lines="account none maildir:%s/none\n%s" % (root, three))
            told = re.findall("^(?:ok  |warn|fail)  account (\\w+): ", user.run("doctor").stdout, re.M)
            groups = [name for i, name in enumerate(told) if i == 0 or told[i - 1] != name]
            equal(sorted(groups), ["none", "three", "work"])
            assert len(told) > 6, told
        finally:
            server.close()


def test_completion():
    script = os.path.join(SRC, "contrib", "completion", "tuimail")
    with tap.directory() as root:
        user = User(root)
        folder = os.path.join(user.env["XDG_CONFIG_HOME"], "tuimail")
        os.makedirs(folder)
        with open(os.path.join(folder, "tuimailrc"), "w") as f:
            f.write("account work imaps://a@h.example\naccount home imaps://b@h.example\n")
        for words, want in (("tuimail fe", "fetch"), ("tuimail --off", "--offline"), ("tuimail fetch wo", "work"),
                            ("tuimail search --format j", "json"), ("tuimail send -a ho", "home"), ("tuimail help do", "doctor")):
            code = 'source "$1"; COMP_WORDS=(%s); COMP_WORDS[0]=$2; COMP_CWORD=%d; _tuimail; echo "${COMPREPLY[@]}"' % (
                words, len(words.split()) - 1)
            done = subprocess.run(["bash", "-c", code, "bash", script, TUIMAIL], capture_output=True, text=True,
                                  env=dict(os.environ, **user.env))
            equal(done.stdout.split(), [want], words + done.stderr)


if __name__ == "__main__":
    tap.run(globals())
