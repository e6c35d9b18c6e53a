#!/usr/bin/env python3
"""What a user can get wrong, and what a machine can: each ends in a clear word, the documented status, and nothing lost."""
import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading

import tap
from dovecot import Server, free_ports
from tap import TUIMAIL, contains, equal
from term import Terminal
from user import User, eventually, message

SECRET = "secret"


def fails(user, args, status, *words, env=None):
    done = user.run(*args, env=env)
    said = done.stdout + done.stderr
    equal(done.returncode, status, "status of tuimail %s (%s)" % (" ".join(args), said))
    for word in words:
        contains(said, word, "tuimail " + " ".join(args))
    if SECRET in said or SECRET in user.logs():
        raise AssertionError("the password is in the output or a log")
    return said


def test_wrong_words():
    with tap.directory() as root:
        user = User(root, lines="acount work imaps://a@h.example\n")
        fails(user, ["serach", "x"], 64, "serach", "search")
        fails(user, ["check"], 78, "tuimailrc:1", "acount", "account")
        user.write_rc("account work imaps://a@h.example\nset -a work archvie Old\nset -a wrok archive Old\nbind list a archvie\n")
        fails(user, ["check"], 78, "tuimailrc:2", "archvie", "archive", "tuimailrc:3", "wrok", "work", "tuimailrc:4")
        user.write_rc("account work imaps://a@h.example\n")
        fails(user, ["fetch", "wrok"], 78, "wrok", "work")
        fails(user, ["search", "--format=xml", "x"], 64, "xml")


def test_no_account_and_no_terminal():
    with tap.directory() as root:
        user = User(root)
        done = user.run()
        contains(done.stdout + done.stderr, "demo")
        user.write_rc("account work imaps://a@127.0.0.1\n")
        fails(user, [], 64, "terminal")


def test_tls_none_needs_loopback():
    with tap.directory() as root:
        user = User(root, lines="account work imap://a@mail.example.org\nset -a work tls none\n")
        fails(user, ["check"], 78, "tls")


def test_oauth_options():
    base = "account work imaps://a@h.example\n"
    client = base + "set -a work oauth-client-id x\n"
    if "HAVE_OAUTH 1" not in open(os.path.join(tap.BUILD, "config.h")).read():
        tap.skip("built without OAuth 2.0")
    with tap.directory() as root:
        user = User(root)
        for lines, words in (
                (base + "set -a work oauth-provider gogle\n", ("tuimailrc:2", "gogle", "google")),
                (base + "set -a work oauth-provider google\n", ("oauth-client-id", "missing")),
                (client + "set -a work oauth-provider custom\n", ("oauth-token-url",)),
                (client + "set -a work oauth-provider google\nset -a work oauth-flow device\n", ("oauth-device-url",)),
                (client + "set -a work oauth-provider google\nset -a work oauth-token-url http://h/t\n", ("oauth-token-url", "https")),
                (client + "set -a work oauth-provider google\nset -a work oauth-redirect-url http://evil.example/\n", ("redirect", "this machine"))):
            user.write_rc(lines)
            fails(user, ["check"], 78, *words)
        user.write_rc(base)
        fails(user, ["login", "work"], 78, "oauth-provider")
        fails(user, ["login", "wrok"], 78, "wrok", "work")
        fails(user, ["login"], 64, "one account")
        google = client + "set -a work oauth-provider google\n"
        user.write_rc(google)  # nowhere to keep the token: said before the browser is
        fails(user, ["login", "work"], 78, "token-save-command", "password-file")
        user.write_rc(google + 'set -a work password-command "true"\n')
        fails(user, ["login", "work"], 78, "token-save-command")
        user.write_rc(google + 'set -a work token-save-command "true"\n')
        fails(user, ["login", "work"], 78, "password-command")


def test_secret_file():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        try:
            user = User(os.path.join(root, "u"), server)
            os.chmod(user.password, 0o640)
            fails(user, ["fetch"], 77, "work", user.password, "chmod 600")
            os.unlink(user.password)
            fails(user, ["fetch"], 77, "work", user.password)
            with open(user.password, "w") as f:
                f.write("wrong\n")
            os.chmod(user.password, 0o600)
            said = fails(user, ["fetch"], 77, "work", "bob")
            if "wrong\n" in said:
                raise AssertionError("the wrong password was shown")
        finally:
            server.close()


def test_network_faults():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"))
        try:
            port, = free_ports(1)
            for protocol in ("imaps", "pop3s"):
                base = os.path.join(root, protocol)
                fails(User(base + "1", server, protocol=protocol, port=port), ["fetch"], 69, "work", "localhost", str(port))
                user = User(base + "2", server, protocol=protocol)
                user.write_rc(open(user.rc).read().replace("@localhost:%d\nset -a work tls" % server.info[protocol],
                                                           "@no-such-host.invalid\nset -a work tls"))
                fails(user, ["fetch"], 68, "work", "no-such-host.invalid")
                # The certificate is for localhost: another name of the same address is refused, and so is an unknown CA.
                user = User(base + "3", server, protocol=protocol, lines="set -a work tls-ca-file \"\"\n")
                fails(user, ["fetch"], 69, "work", "tls-ca-file")
                # Plaintext where TLS is expected.
                user = User(base + "4", server, protocol=protocol, port=server.info[protocol[:-1]])
                fails(user, ["fetch"], 69, "work")
        finally:
            server.close()


def test_server_closes_at_once():
    with tap.directory() as root:
        server = Server(os.path.join(root, "dovecot"), relay=False)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)

        def closer():
            for _ in range(8):
                try:
                    listener.accept()[0].close()
                except OSError:
                    return
        threading.Thread(target=closer, daemon=True).start()
        try:
            port = listener.getsockname()[1]
            for protocol in ("imap", "pop3", "imaps"):
                done = User(os.path.join(root, protocol), server, protocol=protocol, port=port).run("fetch")
                contains(done.stdout + done.stderr, "work")
                if done.returncode not in (69, 75, 76):
                    raise AssertionError("status %d: %s" % (done.returncode, done.stdout + done.stderr))
        finally:
            listener.close()
            server.close()


def test_unwritable_store():
    with tap.directory() as root:
        user = User(root, lines="account work imaps://a@127.0.0.1\n")
        place = os.path.join(root, "file")
        open(place, "w").close()
        fails(user, ["--store", os.path.join(place, "store"), "fetch"], 74, place)
        shared = os.path.join(root, "shared")
        os.mkdir(shared)
        os.chmod(shared, 0o777)
        fails(user, ["--store", shared, "fetch"], 77, shared)


@contextlib.contextmanager
def small_disk(size, **server):
    """A directory on a disk of so many megabytes, a function that gives it another size, a server, and where a user may live."""
    if os.geteuid() != 0:
        tap.skip("mounting a small file system needs root")
    with tap.directory() as root, contextlib.ExitStack() as stack:
        small = os.path.join(root, "small")
        os.mkdir(small, 0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700" % size, "none", small], capture_output=True).returncode:
            tap.skip("no tmpfs can be mounted here")
        stack.callback(subprocess.run, ["umount", "-l", small], check=False)
        yield (small, lambda size: subprocess.run(["mount", "-o", "remount,size=%dm" % size, small], check=True),
               stack.enter_context(contextlib.closing(Server(os.path.join(root, "dovecot"), **server))), os.path.join(root, "u"))


def test_full_disk():
    """THREATS 89: the disk fills while mail is fetched: nothing is removed from the server, and the next pass gets all."""
    with small_disk(3) as (small, resize, server, home):
        for i in range(12):
            server.deliver("bob", message("big %d" % i, "0123456789abcdef\n" * 30000))
        user = User(home, server, protocol="pop3s", lines="set -a work leave delete\n")
        done = user.run("--store", small, "fetch")
        contains(done.stdout + done.stderr, "disk")
        equal(done.returncode, 74, "status on a full disk")

        def here():
            return int(subprocess.run("find %s/mail -type f -path '*/new/*' | wc -l" % small, shell=True, capture_output=True, text=True).stdout)
        left = len(server.subjects("bob", "INBOX"))
        if left + here() < 12:
            raise AssertionError("%d on the server and %d here are fewer than 12" % (left, here()))
        resize(40)
        user.command("--store", small, "fetch")
        equal(len(server.subjects("bob", "INBOX")), 0, "all left the server")
        equal(here(), 12, "mails here")


def test_full_disk_imap():
    """THREATS 89, 157: the rows do not fit: the pass ends in a word, and the next one, with room, ends well."""
    with small_disk(2, relay=False) as (small, resize, server, home):
        server.append("bob", "INBOX", [message("number %d %s" % (i, "x" * 900)) for i in range(800)])
        user = User(home, server)
        done = user.run("--store", small, "fetch", timeout=90)
        contains(done.stdout + done.stderr, "disk is full")
        equal(done.returncode, 74, "status on a full disk")
        resize(80)
        user.command("--store", small, "fetch")
        with contextlib.closing(sqlite3.connect("file:%s/state/work/cache.db?mode=ro" % small, uri=True)) as cache:
            equal(cache.execute("SELECT count(*) FROM msg").fetchone()[0], 800, "rows here after the second pass")


def test_a_store_that_begins_on_a_full_disk():
    """THREATS 89, 157: it says why and when it is tried again; with room, what waited is done and all goes on."""
    with small_disk(8, relay=False) as (small, resize, server, home):
        for i in range(4):
            server.deliver("bob", message("number %d" % i))
        user = User(home, server)
        term = user.start(cols=160, args=["--store", small])
        try:
            term.wait(lambda s: "number 3" in s and "work live" in s)
            term.keys("W")
            term.wait("work offline")
            term.keys("Home", "a")
            term.wait("1 queued")
            term.keys("W")  # a store that begins anew is to connect
            with open(os.path.join(small, "filler"), "wb", buffering=0) as f:
                with contextlib.suppress(OSError):
                    while f.write(bytes(4096)):
                        pass
            for pid, name in user.programs():
                if name == "store":
                    os.kill(pid, signal.SIGKILL)
            term.wait(re.compile(r"work \w+.*again \d\d:\d\d:\d\d.*disk is full").search, 30)
            term.keys("d")
            term.wait(lambda s: "disk is full" in s and "number 2" in s)
            os.unlink(os.path.join(small, "filler"))
            term.command("reconnect")
            term.wait("work live", 30)
            eventually("what waited is done", lambda: "number 3" in server.subjects("bob", "Archive"))
            server.deliver("bob", message("after it all"))
            term.wait("after it all")
        finally:
            term.close()


def test_terminals():
    """THREATS 123: unknown TERM, a terminal too small, and back."""
    with tap.directory() as root:
        user = User(root)
        term = user.start(args=["demo"])
        try:
            term.wait("Welcome")
            term.resize(18, 4)
            term.wait(lambda s: "Welcome" not in s)
            term.resize(80, 24)
            term.wait("Welcome")
        finally:
            term.close()
        bad = user.start(args=["demo"], env={"TERM": "no-such-terminal"})
        try:
            bad.keys("x")
        finally:
            bad.close()
        script = subprocess.run(["script", "-qec", "%s demo" % TUIMAIL, "/dev/null"], capture_output=True, text=True,
                                env=dict(os.environ, **user.env, TERM="no-such-terminal"), timeout=60)
        contains(script.stdout, "no-such-terminal")
        equal(script.returncode, 64, "status with an unknown TERM")


def test_signals():
    """THREATS 165: SIGHUP and SIGTERM end it cleanly; SIGTSTP stops it and it comes back."""
    with tap.directory() as root:
        user = User(root)
        for number in (signal.SIGHUP, signal.SIGTERM):
            term = user.start(args=["demo"])
            try:
                term.wait("Welcome")
                os.kill(term.pid, number)
                if term.exit_status() is None:
                    raise AssertionError("it still runs after %s" % number)
            finally:
                term.close()
        # tmux wakes what stops in it at once, so a shell with job control stands between.
        term = Terminal(["bash", "--norc", "-i"], env=user.env)
        try:
            term.type("%s -c %s demo" % (TUIMAIL, user.rc))
            term.keys("Enter")
            term.wait("Welcome")
            pid = int(subprocess.run(["pgrep", "-P", str(term.pid)], capture_output=True, text=True).stdout)
            os.kill(pid, signal.SIGTSTP)
            term.wait("Stopped")
            term.type("fg")
            term.keys("Enter")
            term.wait("Archive me")
            term.keys("q")
            term.wait(lambda s: "Archive me" not in s)
            term.type("echo status=$?")
            term.keys("Enter")
            term.wait("status=0")
        finally:
            term.close()
        eventually("no program is left behind", lambda: not subprocess.run(
            ["pgrep", "-f", user.env["XDG_RUNTIME_DIR"]], capture_output=True, text=True).stdout, 15)


if __name__ == "__main__":
    tap.run(globals())
