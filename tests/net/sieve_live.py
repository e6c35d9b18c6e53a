#!/usr/bin/env python3
"""tuimail sieve and libexec/sieve against a real ManageSieve server, Dovecot's; mail by LMTP shows that scripts work."""
import contextlib
import os
import re
import socketserver
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import dovecot  # noqa: E402
import tap  # noqa: E402
from user import User, message  # noqa: E402

FILES = 'require ["fileinto", "mailbox"];\r\nif header :contains "subject" "report" {\r\n  fileinto :create "R\u00e9ports";\r\n}\r\n'
BROKEN = 'require "fileinto";\nif header :contains "subject" {\n  keep;\n}\n'


# For the program without its master: what auth answers elsewhere.
OWNER = "mail_uid = %s\nmail_gid = %s\n" % (("mail", "mail") if os.geteuid() == 0 else (os.geteuid(), os.getegid()))
SERVER = []


def server():
    """One for all tests, with an account each."""
    if not SERVER:
        stack = contextlib.ExitStack()
        d = stack.enter_context(tap.directory())
        SERVER.append((stack.enter_context(contextlib.closing(dovecot.Server(os.path.join(d, "dovecot"), sieve=True, extra=OWNER))), d, stack))
    return SERVER[0]


def user_of(name, url="sieve", host="localhost:%d", password="secret", lines=""):
    s, d, _ = server()
    user = User(os.path.join(d, name + url + password + str(len(os.listdir(d)))), s, name)
    with open(user.rc, "a") as f:
        f.write("set -a work sieve %s://%s\n%s" % (url, host % s.info["sieve"] if "%" in host else host, lines))
    with open(user.password, "w") as f:
        f.write(password + "\n")
    return s, user


def test_scripts():
    s, user = user_of("alice")
    tap.equal(user.command("sieve", "list", "work"), "")
    user.command("sieve", "put", "work", "files", stdin=FILES)
    user.command("sieve", "put", "work", 'a "b" \\c', stdin="keep;\n")
    tap.equal(sorted(user.command("sieve", "list", "work").split("\n")), ["", '  a "b" \\c', "  files"])
    # byte for byte
    got = os.path.join(user.root, "got")
    user.command("sieve", "get", "work", "files", got)
    with open(got, newline="") as f:
        tap.equal(f.read(), FILES.replace("\r\n", "\n").replace("\n", "\r\n"))
    user.command("sieve", "activate", "work", "files")
    tap.contains(user.command("sieve", "list", "work"), "* files")
    s.deliver("alice", message("the report"))
    s.deliver("alice", message("lunch"))
    tap.equal((s.subjects("alice", "R&AOk-ports"), s.subjects("alice", "INBOX")), (["the report"], ["lunch"]))
    # what is active can be renamed, and is not deleted
    user.command("sieve", "rename", "work", "files", "filing")
    done = user.run("sieve", "delete", "work", "filing")
    tap.equal(done.returncode, 69)
    tap.contains(done.stderr.lower(), "active")
    user.command("sieve", "deactivate", "work")
    user.command("sieve", "delete", "work", "filing")
    tap.equal(user.command("sieve", "list", "work"), '  a "b" \\c\n')


def test_errors():
    s, user = user_of("bob")
    for words in (("put", "work", "x"), ("check", "work")):
        done = user.run("sieve", *words, stdin=BROKEN)
        tap.equal(done.returncode, 65)
        tap.contains(done.stderr, "line 2")
    tap.equal(user.command("sieve", "list", "work"), "")
    user.command("sieve", "check", "work", stdin=FILES)
    tap.equal(user.run("sieve", "get", "work", "none").returncode, 66)
    tap.equal(user.run("sieve", "put", "work", "x", stdin="# long\n" * 20000).returncode, 69)
    tap.equal(user.run("sieve", "put", "work", "bad\nname", stdin="keep;").returncode, 64)
    tap.equal(user.run("sieve", "get", "work").returncode, 64)
    tap.contains(user.run("sieve", "lst", "work").stderr, 'did you mean "list"')


def test_no_login():
    s, user = user_of("carol", password="wrong")
    done = user.run("sieve", "list", "work")
    tap.equal(done.returncode, 77)
    assert "wrong" not in done.stderr, done.stderr
    s, user = user_of("carol", host="127.0.0.1:1")
    tap.equal(user.run("sieve", "list", "work").returncode, 69)
    s, user = user_of("carol", url="sieves")  # the port speaks no TLS from its first byte
    tap.equal(user.run("sieve", "list", "work").returncode, 69)


def test_tunnel():
    """By a command: to the port, with the password; to the program itself, which knows who calls; and to nothing."""
    s, user = user_of("carol", host="localhost:9")
    with open(user.rc, "a") as f:
        f.write('set -a work sieve-tunnel "%s"\n' % s.relay_to(s.info["sieve"]))
    user.command("sieve", "put", "work", "tunneled", stdin="keep;\n")
    # As root it refuses a socket as its standard output, fearing inetd.
    program = "env USER=carol HOME=%s/home/carol /usr/lib/dovecot/managesieve -c %s/dovecot.conf | cat" % (s.dir, s.dir)
    s, user = user_of("carol", host="localhost:9", lines='set -a work sieve-tunnel "%s"\nunset -a work password-file\n' % program)
    tap.equal(user.command("sieve", "list", "work"), "  tunneled\n")
    user.command("sieve", "delete", "work", "tunneled")
    s, user = user_of("carol", host="localhost:9", lines='set -a work sieve-tunnel "echo no route >&2; exit 255"\n')
    done = user.run("sieve", "list", "work")
    tap.equal(done.returncode, 75)
    tap.contains(done.stderr, "tunnel command: exit status 255: no route")


class Hostile(socketserver.StreamRequestHandler):
    """Names, errors and scripts that want to be more than text (THREATS 173)."""

    def handle(self):
        say = self.wfile.write
        say(b'"IMPLEMENTATION" "\x1b]0;x\x07"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\n"VERSION" "1.0"\r\nOK\r\n')
        for line in self.rfile:
            verb = line.split()[0].upper()
            literal = re.search(rb"{(\d+)\+}\r\n$", line)
            if literal:
                self.rfile.read(int(literal.group(1)))
                self.rfile.readline()
            if verb == b"LISTSCRIPTS":
                say('"plain"\r\n"\x1b[2Jclear"\r\n"\u202egpj.exe"\r\n"\u0007bell" ACTIVE\r\n"\u898b\u7a4d"\r\nOK\r\n'.encode())
            elif verb == b"CAPABILITY":
                say(b'"SIEVE" "fileinto"\r\nOK\r\n')
            elif verb == b"GETSCRIPT":
                say(b'"keep;\x1b[2J"\r\nOK\r\n')
            elif verb == b"PUTSCRIPT":
                say(b'NO {34}\r\nline 1: \x1b[31mred\x1b]52;c;aGk=\x07\r\n\xff\xfe!!\r\n')
            elif verb == b"LOGOUT":
                return
            else:
                say(b"OK\r\n")


def test_hostile_server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Hostile) as hostile:
        hostile.daemon_threads = True
        threading.Thread(target=hostile.serve_forever, args=(0.1,), daemon=True).start()
        s, user = user_of("carol", host="localhost:%d" % hostile.server_address[1], lines="set -a work tls none\n")
        listed = user.command("sieve", "list", "work")
        tap.contains(listed, "  plain\n")
        tap.contains(listed, "\u898b\u7a4d")
        done = user.run("sieve", "put", "work", "x", stdin="keep;\n")
        tap.equal(done.returncode, 65)
        for text in (listed, done.stderr):
            assert not [c for c in text if c < " " and c != "\n" or c in "\x7f\x9b\u202e"], repr(text)
        with user.at_screen() as term:
            term.command("sieve")
            screen = term.wait("scripts of work")
            tap.contains(screen, "plain")
            assert "exe" not in screen or "\u202e" not in screen, screen
            assert "clear" not in screen and "bell" not in screen, screen
            term.keys("q")
        hostile.shutdown()


class Leaving(socketserver.StreamRequestHandler):
    """Lets everybody in and is gone with the first request."""

    def handle(self):
        self.wfile.write(b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\n"VERSION" "1.0"\r\nOK\r\n')
        for line in self.rfile:
            if line.upper().startswith(b"LISTSCRIPTS"):
                return
            self.wfile.write(b"OK\r\n")


def test_connection_is_lost():
    """A request is not made again by itself, and nobody says that it is."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Leaving) as leaving:
        leaving.daemon_threads = True
        threading.Thread(target=leaving.serve_forever, args=(0.1,), daemon=True).start()
        s, user = user_of("dave", host="localhost:%d" % leaving.server_address[1], lines="set -a work tls none\n")
        with user.at_screen() as term:
            term.command("sieve")
            term.wait("scripts of work")
            said = " ".join(user.command("cmd", "messages").split())
            tap.contains(said, "closed the connection. Try again; an account does so by itself.")
        leaving.shutdown()


def test_doctor():
    s, user = user_of("carol")
    tap.contains(user.command("doctor", status=None), "ok    account work: scripts: name, connection, TLS and login")
    s, user = user_of("carol", host="localhost:9")
    done = user.run("doctor")
    tap.contains(done.stdout, "fail  account work: scripts: ")
    tap.equal(done.returncode, 78)


if __name__ == "__main__":
    try:
        tap.run(globals())
    finally:
        for _, _, stack in SERVER:
            stack.close()
