#!/usr/bin/env python3
"""Logins without a password of ours: tunnels, PREAUTH, client certificates; against a real Dovecot and against servers that lie
(THREATS 3, 4, 17, 20)."""
import contextlib
import os
import select
import socket
import sqlite3
import ssl
import subprocess
import threading

import cyrus
import imap_script
import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message

KEY_PASSWORD = "k3yPassw0rd"
MAIL = "mail" if os.geteuid() == 0 else str(os.geteuid())
EXTERNAL = """
ssl_ca = <%(dir)s/ca.pem
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_username_from_cert = yes
passdb {
  driver = static
  args = nopassword=y
  mechanisms = external
}
"""


@contextlib.contextmanager
def server(**options):
    with tap.directory() as root:
        path = os.path.join(root, "dovecot")
        options["extra"] = options.get("extra", "") % {"dir": path} + "mail_uid = %s\nmail_gid = %s\n" % (
            MAIL, MAIL if os.geteuid() == 0 else os.getegid())
        s = Server(path, **options)
        s.top = root
        try:
            yield s
        finally:
            s.close()


def user(s, name, lines, protocol="imap", port=None, password=False):
    u = User(os.path.join(s.top, name), s, protocol=protocol, port=port)
    rc = open(u.rc).read()
    u.write_rc((rc if password else rc.replace("set -a work password-file %s\n" % u.password, "")) + lines)
    return u


def client_certificate(s, name="bob", encrypted=False):
    def openssl(*args):
        subprocess.run(("openssl",) + args, cwd=s.dir, check=True, capture_output=True)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "client.key", "-out",
            "client.csr", "-subj", "/CN=" + name)
    openssl("x509", "-req", "-in", "client.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-out", "client.pem")
    if encrypted:
        openssl("pkcs8", "-topk8", "-in", "client.key", "-out", "client.enc", "-passout", "pass:" + KEY_PASSWORD)
        os.rename(os.path.join(s.dir, "client.enc"), os.path.join(s.dir, "client.key"))
    for part in ("pem", "key"):
        os.chmod(os.path.join(s.dir, "client." + part), 0o600)
    return "set -a work tls-cert-file %s/client.pem\nset -a work tls-key-file %s/client.key\n" % (s.dir, s.dir)


def failed(u, status, *words):
    done = u.run("fetch")
    said = done.stdout + done.stderr
    for word in words:
        contains(said, word)
    equal(done.returncode, status, "status: " + said)
    return said


def imap_binary(s):
    # As root it refuses a socket as its standard output, fearing inetd.
    return "env USER=bob HOME=%s/home/bob /usr/lib/dovecot/imap -c %s/dovecot.conf | cat" % (s.dir, s.dir)


def test_tunnel_to_the_imap_program():
    """What `ssh host imapd` does: the program itself, which greets with PREAUTH."""
    with server() as s:
        s.deliver("bob", message("through the tunnel"))
        u = user(s, "u", 'set -a work tunnel "%s"\n' % imap_binary(s))
        contains(u.command("fetch"), "1 new")
        contains(u.command("search", "subject:tunnel"), "through the tunnel")
        contains(u.logs(), "online: tunnel")
        # it is a line like any other: actions reach the server, and its end is the command's
        term = u.start()
        try:
            term.wait("through the tunnel")
            term.keys("Home", "a")
            eventually("the message is in Archive", lambda: "through the tunnel" in s.subjects("bob", "Archive"))
            term.keys("q")
            equal(term.exit_status(), 0, "exit status")
        finally:
            term.close()
        eventually("no tunnel is left", lambda: subprocess.run(
            ["pgrep", "-f", "dovecot/imap -c %s/dovecot.conf" % s.dir], capture_output=True).returncode == 1)


def test_tunnel_to_a_port():
    """Every protocol, with the password inside, with and without TLS in the tunnel."""
    with server() as s:
        s.deliver("bob", message("by relay"))
        for protocol in ("imap", "imaps", "pop3", "pop3s"):
            u = user(s, protocol, 'set -a work tunnel "%s"\n' % s.relay_to(s.info[protocol]), protocol, port=9, password=True)
            contains(u.command("fetch"), "1 new", protocol)
        u = user(s, "smtp", 'set -a work send-tunnel "%s"\nset undo-send 0\n' % s.relay_to(s.info["submissions"]), "imaps",
                 password=True)
        u.write_rc(open(u.rc).read().replace("@localhost:%d" % s.info["submissions"], "@localhost:9"))
        contains(u.command("send", "-t", stdin="From: bob@example.org\nTo: alice@example.org\nSubject: by tunnel\n\nx\n"), "sent")
        eventually("it arrives", lambda: "by tunnel" in s.subjects("alice", "INBOX"))


def test_tunnel_that_fails():
    with server() as s:
        script = os.path.join(s.top, "fails.sh")
        with open(script, "w") as f:
            f.write("printf 'first\\nssh: no route \\033[31mto \\033[0mhost\\r\\n' >&2\nexit 255\n")
        u = user(s, "u", 'set -a work tunnel "sh %s"\n' % script)
        said = failed(u, 75, "tunnel command", "exit status 255", "no route")
        if "\033" in said or "first" in said:
            raise AssertionError("not cleaned: %r" % said)
        u = user(s, "v", 'set -a work tunnel "no-such-program-here"\n')
        failed(u, 75, "tunnel command", "not found")
        # a server in it that wants a login
        u = user(s, "w", 'set -a work tunnel "%s"\n' % s.relay_to(s.info["imap"]))
        failed(u, 77, "set password-command")


def test_password_command_that_fails():
    with server() as s:
        u = user(s, "u", 'set -a work password-command "echo gpg: no secret key >&2; exit 2"\n', "imaps")
        failed(u, 77, "password command", "exit status 2", "no secret key")


def test_client_certificate():
    """SASL EXTERNAL, for all three protocols; the key never shows anywhere."""
    with server(mechanisms="plain external", extra=EXTERNAL) as s:
        s.deliver("bob", message("by certificate"))
        lines = client_certificate(s)
        for protocol in ("imaps", "imap", "pop3s"):
            contains(user(s, protocol, lines, protocol).command("fetch"), "1 new", protocol)
        u = user(s, "send", lines + "set undo-send 0\n", "imaps")
        contains(u.command("send", "-t", stdin="From: bob@example.org\nTo: alice@example.org\nSubject: signed line\n\nx\n"), "sent")
        eventually("it arrives", lambda: "signed line" in s.subjects("alice", "INBOX"))
        # a key with a password, from a command
        lines = client_certificate(s, encrypted=True)
        u = user(s, "enc", lines.replace("tls-key-file %s/client.key" % s.dir, 'tls-key-command "cat %s/client.key"' % s.dir) +
                 'set -a work tls-key-password-command "echo %s"\n' % KEY_PASSWORD, "imaps")
        contains(u.command("fetch"), " new")
        key = open(os.path.join(s.dir, "client.key")).read().splitlines()[1]
        for word in (KEY_PASSWORD, key):
            held = subprocess.run(["grep", "-rlaF", word, u.root], capture_output=True, text=True).stdout.split()
            equal([h for h in held if h != u.rc], [], "files that hold a secret")
        failed(user(s, "nopw", lines, "imaps"), 77, "tls-key-password-command")
        failed(user(s, "badpw", lines + 'set -a work tls-key-password-command "echo wrong"\n', "imaps"), 77, "private key")
        os.chmod(os.path.join(s.dir, "client.key"), 0o644)
        failed(user(s, "mode", lines, "imaps"), 77, "chmod 600")
        failed(user(s, "nofile", "set -a work tls-cert-file /nowhere.pem\n", "imaps"), 78, "tls-cert-file /nowhere.pem")


def test_certificate_of_somebody_else():
    with server(mechanisms="plain external", extra=EXTERNAL) as s:
        failed(user(s, "u", client_certificate(s, "carol"), "imaps"), 77, "work")
    with server() as s:  # nobody asks for it
        failed(user(s, "u", client_certificate(s), "imaps"), 77, "did not ask for the client certificate")


def scripted(s, greeting, tls, want_certificate=False):
    """Says a greeting by TLS or without, answers every command, and keeps what it heard."""
    fake = imap_script.Server(caps="IMAP4rev1 LOGINDISABLED")
    fake.greeting = greeting + b"\r\n"
    if tls:
        fake.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        fake.context.load_cert_chain(os.path.join(s.dir, "server.pem"), os.path.join(s.dir, "server.key"))
    if want_certificate:
        fake.context.verify_mode = ssl.CERT_REQUIRED
        fake.context.load_verify_locations(os.path.join(s.dir, "ca.pem"))
    return fake


def test_preauth():
    """Believed only where the line itself says who we are."""
    hello = b"* PREAUTH [CAPABILITY IMAP4rev1] hi"
    with server() as s:
        for tls, protocol, lines, want in (
                (False, "imap", "", "before any encryption"),
                (False, "imap", "set -a work tls none\n", "before any encryption"),
                (True, "imaps", "", "nothing has told it who we are")):
            fake = scripted(s, hello, tls)
            u = user(s, "u%d" % fake.port, lines, protocol, port=fake.port, password=True)
            done = u.run("fetch")
            contains(done.stdout + done.stderr, want)
            equal(fake.heard, [], "said to a stranger")
        fake = scripted(s, hello, True, want_certificate=True)
        u = user(s, "cert", client_certificate(s), "imaps", port=fake.port)
        contains(u.command("fetch"), "0 new")
        fake = scripted(s, hello, False)
        u = user(s, "tunnel", 'set -a work tunnel "%s"\n' % s.relay_to(fake.port), port=9)
        contains(u.command("fetch"), "0 new")


def binding_remembered(u):
    """The next program does not offer the binding again, but for another key, and after a week."""
    keep = os.path.join(u.store, "state", "work", "keep.db")
    for change, tries in (("", 1), ("replace(value, 'sha256/', 'sha256/0')", 2), ("", 1),
                          ("substr(value, 1, length(value) - 10) || (strftime('%s') - 8 * 86400)", 2)):
        eventually("its store has ended", lambda: not u.programs())
        if change:
            with contextlib.closing(sqlite3.connect(keep)) as db, db:
                equal(db.execute("UPDATE meta SET value = CAST(%s AS BLOB) WHERE CAST(name AS TEXT) = 'u:unbound'" % change).rowcount, 1)
        before = open(os.path.join(u.store, "log", "fetch.log")).read().count("login by SCRAM-SHA-256")
        contains(u.command("fetch"), "0 new")
        after = open(os.path.join(u.store, "log", "fetch.log")).read().count("login by SCRAM-SHA-256")
        equal(after - before, tries, "exchanges, with %s" % change)


def test_channel_binding():
    """SCRAM-SHA-256-PLUS with Cyrus, which knows tls-unique; under TLS 1.3, which has it not, the login is done without."""
    with tap.directory() as root:
        for tls, want in (("tls1_2", "login by SCRAM-SHA-256-PLUS, channel binding tls-unique"), ("tls1_3", "login by SCRAM-SHA-256\n")):
            s = cyrus.Server(os.path.join(root, tls), tls=tls)
            try:
                s.info["submissions"] = 9
                u = User(os.path.join(root, "user-" + tls), s, lines="set log-level debug\n")
                contains(u.command("fetch"), "0 new")
                log = open(os.path.join(u.store, "log", "fetch.log")).read()
                contains(log, want)
                equal(log.count("login by SCRAM-SHA-256"), 1 if tls == "tls1_2" else 2)
                if tls == "tls1_3":
                    binding_remembered(u)
            finally:
                s.close()


class Unbound:
    """A proxy that ends TLS: the server behind it seems to offer a channel binding, and cannot follow it."""

    def __init__(self, s, port, refusal):
        self.target, self.refusal, self.heard = port, refusal, []
        self.near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.near.load_cert_chain(os.path.join(s.dir, "server.pem"), os.path.join(s.dir, "server.key"))
        self.far = ssl.create_default_context(cafile=s.info["ca"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.listener.accept()
                threading.Thread(target=self.talk, args=(conn,), daemon=True).start()

    def talk(self, conn):
        with contextlib.suppress(OSError), self.near.wrap_socket(conn, server_side=True) as near, self.far.wrap_socket(
                socket.create_connection(("127.0.0.1", self.target)), server_hostname="localhost") as far:
            while True:
                for sock in [x for x in (near, far) if x.pending()] or select.select([near, far], [], [])[0]:
                    data = sock.recv(65536)
                    if not data:
                        return
                    if data.upper().startswith(b"AUTH "):
                        self.heard.append(data.split()[1].decode())
                    if sock is far:
                        near.sendall(data.replace(b" SCRAM-SHA-256", b" SCRAM-SHA-256-PLUS SCRAM-SHA-256"))
                    elif data.startswith(b"AUTH SCRAM-SHA-256-PLUS"):
                        near.sendall(self.refusal)
                    else:
                        far.sendall(data)


def test_channel_binding_that_a_proxy_breaks():
    with server() as s:
        s.deliver("bob", message("behind a proxy"))
        proxy = Unbound(s, s.info["pop3s"], b"-ERR [AUTH] bad protocol / cancel\r\n")
        u = user(s, "pop", "", "pop3s", port=proxy.port, password=True)
        contains(u.command("fetch"), "1 new")
        equal(proxy.heard, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])
        proxy = Unbound(s, s.info["submissions"], b"535 5.7.8 Error: authentication failed: bad protocol / cancel\r\n")
        u = user(s, "smtp", "set undo-send 0\n", "imaps", password=True)
        u.write_rc(open(u.rc).read().replace("@localhost:%d" % s.info["submissions"], "@localhost:%d" % proxy.port))
        contains(u.command("send", "-t", stdin="From: bob@example.org\nTo: alice@example.org\nSubject: through it\n\nx\n"), "sent")
        equal(proxy.heard, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])
        eventually("it arrives", lambda: "through it" in s.subjects("alice", "INBOX"))
        # a password that is wrong is not tried twice
        proxy = Unbound(s, s.info["pop3s"], b"-ERR [AUTH] no\r\n")
        failed(user(s, "wrong", "", "pop3s", port=proxy.port, password=True), 77, "no")
        equal(proxy.heard, ["SCRAM-SHA-256-PLUS"])


def test_login_disabled():
    with server() as s:
        fake = scripted(s, b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi", True)
        u = user(s, "u", "", "imaps", port=fake.port, password=True)
        failed(u, 77, "no login")
        equal(fake.asked("LOGIN|AUTH"), [])


if __name__ == "__main__":
    tap.run(globals())
