#!/usr/bin/env python3
"""OAuth 2.0 against a provider on loopback and a real Dovecot that asks it about every token: login by device and by browser,
refresh, refusals; no token in an argument, an environment, a log or a file that is not its own (THREATS 20, 23)."""
import contextlib
import os
import re
import socket
import subprocess
import threading

import tap
import oauth_server
from dovecot import Server, free_ports
from oauth_server import CLIENT_ID, CLIENT_SECRET, Provider
from tap import TUIMAIL, contains, equal
from user import User, eventually, message


class Watch:
    """Looks for secrets where every process of this user can be seen, while a test runs."""

    def __init__(self, provider):
        self.provider, self.found, self.end = provider, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.end.wait(0.02):
            words = [w.encode() for w in list(self.provider.everything)] + [CLIENT_SECRET.encode()]
            for pid in filter(str.isdigit, os.listdir("/proc")):
                if int(pid) == os.getpid():
                    continue
                for part in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        data = open("/proc/%s/%s" % (pid, part), "rb").read()
                        # The client secret's own command is the user's doing.
                        if b"client-secret" not in data and any(w in data for w in words):
                            self.found.append((part, data[:200]))

    def close(self):
        self.end.set()
        self.thread.join()


@contextlib.contextmanager
def world(mechanisms="oauthbearer xoauth2", **options):
    with tap.directory() as root:
        path = os.path.join(root, "dovecot")
        os.makedirs(path, exist_ok=True)
        made = []

        def before(server):
            made.append(Provider(server, **options))
            oauth_server.dovecot_conf(path, made[0])
        server = Server(path, mechanisms="plain " + mechanisms, extra=oauth_server.PASSDB % {"dir": path}, before=before)
        provider = made[0]
        provider.root = root
        watch = Watch(provider)
        try:
            yield server, provider
            equal(watch.found, [], "secrets in /proc")
        finally:
            watch.close()
            provider.close()
            server.close()


def account(server, provider, name, flow="device", protocol="imaps", keep="file", lines=""):
    u = User(os.path.join(provider.root, name), server, protocol=protocol)
    os.unlink(u.password)
    rc = open(u.rc).read().replace("set -a work password-file %s\n" % u.password, "")
    if keep == "file":
        rc += "set -a work password-file %s\n" % u.password
    elif keep == "command":
        rc += ('set -a work token-save-command "umask 077; cat > %s"\nset -a work password-command "cat %s"\n' % (u.password, u.password))
    rc += ("set -a work oauth-client-id %s\nset -a work oauth-scope \"mail offline\"\nset -a work oauth-token-url %s/token\n"
           "set -a work oauth-auth-url %s/auth\nset -a work oauth-device-url %s/device\nset -a work oauth-ca-file %s\n"
           "set -a work oauth-flow %s\nset -a work oauth-provider custom\nset log-level debug\nset undo-send 0\n" % (
               CLIENT_ID, provider.url, provider.url, provider.url, provider.ca, flow))
    if provider.client_secret:
        with open(os.path.join(u.root, "client-secret"), "w") as f:
            f.write(provider.client_secret + "\n")
        rc += 'set -a work oauth-client-secret-command "cat %s/client-secret"\n' % u.root
    u.write_rc(rc + lines)
    return u


class Login:
    """`tuimail login work`, talked to through pipes."""

    def __init__(self, user):
        self.process = subprocess.Popen((TUIMAIL, "-c", user.rc, "login", "work"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, env=dict(os.environ, **user.env))
        self.said = ""

    def until(self, pattern):
        for line in self.process.stdout:
            self.said += line
            found = re.search(pattern, line)
            if found:
                return found.group(0).strip()
        raise AssertionError("no %r in %r" % (pattern, self.said))

    def paste(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self, status=0):
        out, _ = self.process.communicate(timeout=60)
        self.said += out
        equal(self.process.returncode, status, "status of login: " + self.said)
        return self.said


def no_secret_kept(user, provider, but=()):
    words = [w.encode() for w in provider.everything | {CLIENT_SECRET}]
    for folder, _, names in os.walk(user.root):
        for path in (os.path.join(folder, name) for name in names):
            if path not in but and os.path.isfile(path):
                data = open(path, "rb").read()
                equal([w for w in words if w in data], [], "secrets in " + path)


def device_login(user, provider):
    login = Login(user)
    login.until(re.escape(provider.url) + "/activate")
    provider.grant(login.until(r"^ +[0-9A-F]{4}-[0-9A-F]{4}$"))
    contains(login.end(), "may use the account now")


def test_device_flow_and_all_protocols():
    for mechanism in ("oauthbearer", "xoauth2"):
        with world(mechanism) as (server, provider):
            server.deliver("bob", message("by token"))
            u = account(server, provider, "u")
            provider.device_answers = ["slow_down"]
            device_login(u, provider)
            equal(os.stat(u.password).st_mode & 0o777, 0o600)
            contains(u.command("fetch"), "1 new")
            contains(u.command("send", "-t", stdin="From: bob@example.org\nTo: alice@example.org\nSubject: bearer of news\n\nx\n"), "sent")
            eventually("it arrives", lambda: "bearer of news" in server.subjects("alice", "INBOX"))
            no_secret_kept(u, provider, but=[u.password])
            p = account(server, provider, "p", protocol="pop3s", keep="command")
            device_login(p, provider)
            contains(p.command("fetch"), "1 new")
            no_secret_kept(p, provider, but=[p.password])


def test_code_flow():
    with world(client_secret=CLIENT_SECRET) as (server, provider):
        u = account(server, provider, "u", flow="code", keep="command")
        login = Login(u)
        url = login.until(r"https://localhost\S+/auth\?\S+")
        contains(url, "redirect_uri=http%3A%2F%2F127.0.0.1%3A")
        contains(url, "login_hint=bob")
        # another page's guess is not the answer, nor is another path
        where, _ = provider.browse(url, follow=False)
        base = where.split("?")[0]
        equal(oauth_server.fetch(base + "?code=evil&state=guessed")[0], 400)
        equal(oauth_server.fetch(base + "/favicon.ico?code=evil")[0], 404)
        where, (status, page) = provider.browse(url)
        equal(status, 200)
        contains(page, "You may close this page")
        contains(login.end(), "may use the account now")
        contains(u.command("fetch"), "0 new")
        no_secret_kept(u, provider, but=[u.password, os.path.join(u.root, "client-secret")])


def test_code_flow_among_strangers():
    """Connections that say nothing, say too much or say it wrongly do not keep the browser out."""
    with world() as (server, provider):
        u = account(server, provider, "u", flow="code")
        login = Login(u)
        url = login.until(r"https://localhost\S+/auth\?\S+")
        where, _ = provider.browse(url, follow=False)
        at = ("127.0.0.1", int(re.search(r":(\d+)", where).group(1)))
        silent = [socket.create_connection(at) for _ in range(6)]
        with socket.create_connection(at) as flood, contextlib.suppress(OSError):
            for _ in range(100):
                flood.sendall(b"GET /?code=" + b"x" * 65536)
        with socket.create_connection(at) as wrong:
            wrong.sendall(b"POST /?code=1&state=2 HTTP/1.1\r\n\r\n")
            contains(wrong.recv(1000).decode(), "404")
        equal(oauth_server.fetch(where)[0], 200)
        contains(login.end(), "may use the account now")
        for s in silent:
            s.close()


def test_code_flow_pasted():
    """Over SSH: the browser is elsewhere, its last address is pasted; or only the code."""
    with world() as (server, provider):
        for whole in (True, False):
            u = account(server, provider, "u%d" % whole, flow="code")
            login = Login(u)
            where, _ = provider.browse(login.until(r"https://localhost\S+/auth\?\S+"), follow=False)
            login.paste(where if whole else re.search(r"code=([^&]+)", where).group(1))
            contains(login.end(), "may use the account now")
            contains(u.command("fetch"), "0 new")


def test_code_flow_with_an_https_redirect():
    with world() as (server, provider):
        u = account(server, provider, "u", flow="code", lines="set -a work oauth-redirect-url https://localhost:7777/done\n")
        login = Login(u)
        where, _ = provider.browse(login.until(r"https://localhost\S+/auth\?\S+"), follow=False)
        contains(where, "https://localhost:7777/done?code=")
        login.paste(where)
        contains(login.end(), "may use the account now")


def test_code_flow_refusals():
    with world() as (server, provider):
        u = account(server, provider, "u", flow="code")
        for pasted, words in (("http://127.0.0.1/?code=x&state=of-another", "state"), ("http://127.0.0.1/?error=access_denied", "state"),
                              ("not-the-code", "consent is no longer valid")):
            login = Login(u)
            login.until("Waiting")
            login.paste(pasted)
            contains(login.end(77), words)
        login = Login(u)
        url = login.until(r"https://localhost\S+/auth\?\S+")
        where, _ = provider.browse(url, follow=False)
        state = re.search(r"state=([^&]+)", where).group(1)
        oauth_server.fetch(where.split("?")[0] + "?error=access_denied&error_description=the+user%1b[31m+says+no&state=" + state)
        contains(login.end(77), "access_denied")
        if os.path.exists(u.password):
            raise AssertionError("a token was kept")


def test_device_flow_refusals():
    with world() as (server, provider):
        u = account(server, provider, "u")
        for answer, words in (("access_denied", "consent was denied"), ("expired_token", "not used in time")):
            provider.device_answers = [answer]
            login = Login(u)
            contains(login.end(77), words)
        provider.no_refresh = True
        login = Login(u)
        provider.grant(login.until(r"^ +[0-9A-F]{4}-[0-9A-F]{4}$"))
        contains(login.end(77), "no refresh token")


def test_refresh():
    with world() as (server, provider):
        u = account(server, provider, "u")
        device_login(u, provider)
        u.command("fetch")
        term = u.start()
        try:
            term.wait("work")
            server.deliver("bob", message("first"))
            term.wait("first")
            count = len([r for r in provider.requests if r[1].get("grant_type") == "refresh_token"])
            # THREATS 23: the token is refused in the middle: one refresh, one retry, and nobody notices
            provider.revoke()
            subprocess.run(["doveadm", "-c", os.path.join(server.dir, "dovecot.conf"), "kick", "bob"], check=True, capture_output=True,
                           env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin"))
            server.deliver("bob", message("second"))
            term.wait("second", 60)
            after = len([r for r in provider.requests if r[1].get("grant_type") == "refresh_token"])
            equal(after - count, 1, "refreshes")
            # the same for a delivery, with the token that is kept
            provider.revoke()
            contains(u.command("send", "-t", stdin="From: bob@example.org\nTo: alice@example.org\nSubject: third\n\nx\n"), "sent")
            equal(len([r for r in provider.requests if r[1].get("grant_type") == "refresh_token"]) - after, 1, "refreshes for a delivery")
        finally:
            term.close()


def test_rotated_refresh_token():
    with world() as (server, provider):
        u = account(server, provider, "u")
        device_login(u, provider)
        first = open(u.password).read()
        provider.rotate = True
        u.command("fetch")
        second = open(u.password).read()
        if first == second:
            raise AssertionError("the new refresh token was not kept")
        equal(os.stat(u.password).st_mode & 0o777, 0o600)
        u.command("fetch")
        no_secret_kept(u, provider, but=[u.password])


def test_expired_refresh_token():
    with world() as (server, provider):
        u = account(server, provider, "u")
        done = u.run("fetch")  # never logged in
        equal(done.returncode, 77, done.stderr)
        contains(done.stderr, "run: tuimail login work")
        device_login(u, provider)
        provider.refresh.clear()
        done = u.run("fetch")
        equal(done.returncode, 77, done.stderr)
        contains(done.stderr, "run: tuimail login work")
        contains(done.stderr, "invalid_grant")
        for word in provider.everything:
            if word in done.stderr or "\033" in done.stderr:
                raise AssertionError(done.stderr)
        no_secret_kept(u, provider, but=[u.password])
        term = u.start(cols=120)
        try:
            term.wait("tuimail login work")
            device_login(u, provider)  # elsewhere: the running one goes on by itself
            server.deliver("bob", message("it works again"))
            term.wait("it works again", 60)
        finally:
            term.close()


def test_login_on_the_screen():
    with world() as (server, provider):
        server.deliver("bob", message("behind the consent"))
        u = account(server, provider, "u")
        term = u.start(cols=120)
        try:
            term.wait("run: tuimail login work")
            term.keys(":")
            term.type("login")
            term.keys("Enter")
            term.wait("type in the code")
            provider.grant(re.search(r"^ +([0-9A-F]{4}-[0-9A-F]{4})$", term.screen(), re.M).group(1))
            term.wait("behind the consent")
        finally:
            term.close()


def test_token_that_cannot_be_kept():
    """The provider replaces the refresh token and the user's command fails: said at once, not at the next start."""
    with world() as (server, provider):
        u = account(server, provider, "u", keep="command")
        device_login(u, provider)
        u.write_rc(re.sub(r'token-save-command ".*"', 'token-save-command "echo no room >&2; exit 3"', open(u.rc).read()))
        provider.rotate = True
        term = u.start(cols=120)
        try:
            term.wait("token-save-command: exit status 3: no room")
        finally:
            term.close()


def test_token_refused_for_good():
    """The provider is content, the mail server is not: two tries, then the words of both."""
    with world("oauthbearer xoauth2") as (server, provider):
        u = account(server, provider, "u")
        device_login(u, provider)
        provider.introspect = lambda token: {"active": False}
        done = u.run("fetch")
        equal(done.returncode, 77, done.stderr)
        contains(done.stderr, "run: tuimail login work")
        contains(done.stderr, "of the access token: invalid_token")
        equal(len([r for r in provider.requests if r[1].get("grant_type") == "refresh_token"]), 2)


def test_provider_faults():
    with world() as (server, provider):
        u = account(server, provider, "u")
        device_login(u, provider)
        provider.token_errors = [(503, {"error": "temporarily_unavailable"})]
        done = u.run("fetch")
        equal(done.returncode, 75, done.stderr)
        contains(done.stderr, "asks to wait")
        provider.token_errors = [(200, {"access_token": "with a blank"})]
        contains(u.run("fetch").stderr, "no access token")
        provider.token_errors = [(200, {"access_token": "x" * 300000})]
        u.run("fetch")
        provider.token_errors = [(302, {"Location": "https://elsewhere.example/"})]
        contains(u.run("fetch").stderr, "status 302")
        provider.token_errors = [(200, [[[[1]]]])]
        contains(u.run("fetch").stderr, "no JSON")
        rc = open(u.rc).read()
        port, = free_ports(1)
        u.write_rc(re.sub(r"token-url https://localhost:\d+", "token-url https://localhost:%d" % port, rc))
        done = u.run("fetch")
        equal(done.returncode, 69, done.stderr)
        contains(done.stderr, "localhost")
        u.write_rc(rc.replace("set -a work oauth-ca-file %s\n" % provider.ca, ""))
        done = u.run("fetch")
        equal(done.returncode, 69, done.stderr)
        contains(done.stderr.lower(), "certificate")
        no_secret_kept(u, provider, but=[u.password])


def test_long_tokens():
    with world(filler=3000) as (server, provider):
        u = account(server, provider, "u")
        device_login(u, provider)
        contains(u.command("fetch"), "0 new")


def test_token_command():
    with world() as (server, provider):
        _, body = provider.issue()
        path = os.path.join(provider.root, "token")
        with open(path, "w") as f:
            f.write(body["access_token"] + "\n")
        users = [User(os.path.join(provider.root, name), server) for name in "uv"]
        for u in users:
            u.write_rc(open(u.rc).read() + 'set -a work token-command "cat %s"\n' % path)
        contains(users[0].command("fetch"), "0 new")
        provider.revoke()
        done = users[1].run("fetch")
        equal(done.returncode, 77, done.stderr)
        contains(done.stderr, "token-command of work")


if __name__ == "__main__":
    tap.run(globals())
