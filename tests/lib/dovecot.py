"""A real Dovecot of the test's own: IMAP, POP3, submission and LMTP on free loopback ports, with its own CA.

    python3 tests/lib/dovecot.py start DIR     starts it, prints ports and paths as JSON
    python3 tests/lib/dovecot.py deliver DIR USER < mail
    python3 tests/lib/dovecot.py stop DIR

Users alice, bob and carol, password "secret". Mail given to the submission port goes through a small relay in this
file to LMTP, so a mail that alice sends to bob@example.org lands in bob's INBOX. Works as root and as a plain user.
"""
import atexit
import contextlib
import functools
import getpass
import grp
import imaplib
import json
import os
import pwd
import random
import shutil
import signal
import smtplib
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

USERS = ("alice", "bob", "carol")
PASSWORD = "secret"
PROTOCOLS = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "lmtp", "relay", "sieve")


def free_ports(count):
    """Ports that were free a moment ago, all distinct; below those that the system gives to connections, which would take one of a server
    that is down for a while."""
    socks = []
    while len(socks) < count:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.SystemRandom().randrange(10000, 32000)))
            socks.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


@functools.cache
def made_ca():
    """One for all servers of a test file."""
    directory = tempfile.mkdtemp(prefix="tuimail-test-ca-")
    atexit.register(shutil.rmtree, directory, True)

    def openssl(*args):
        subprocess.run(("openssl",) + args, cwd=directory, check=True, capture_output=True)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=tuimail test CA",
            "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    with open(os.path.join(directory, "ext"), "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "ext", "-out", "server.pem")
    return directory


def make_ca(directory):
    """ca.pem and a certificate for localhost and 127.0.0.1 signed by it."""
    for name in os.listdir(made_ca()):
        shutil.copy(os.path.join(made_ca(), name), directory)


def searchable(directory):
    """As root: the path below /tmp can be walked by the users that a server turns into."""
    at = directory
    while os.geteuid() == 0 and at.startswith("/tmp/") and at != "/tmp":
        os.chmod(at, os.stat(at).st_mode | 0o711)
        at = os.path.dirname(at)


CONFIG = """
base_dir = {dir}/run
state_dir = {dir}/run
instance_name = tuimail-test
log_path = {dir}/dovecot.log
auth_verbose = yes
protocols = imap pop3 submission lmtp
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
ssl = yes
ssl_cert = <{dir}/server.pem
ssl_key = <{dir}/server.key
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n {dir}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/home/%n allow_all_users=yes
}}
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:~/Maildir
mailbox_idle_check_interval = 1 secs
maildir_very_dirty_syncs = no
imap_capability = {imap_capability}
namespace inbox {{
  inbox = yes
  separator = {separator}
  mailbox Archive {{
    auto = subscribe
    special_use = \\Archive
  }}
  mailbox Drafts {{
    auto = subscribe
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
  mailbox Trash {{
    auto = subscribe
    special_use = \\Trash
  }}
  mailbox Junk {{
    auto = subscribe
    special_use = \\Junk
  }}
}}
submission_host = 127.0.0.1
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
hostname = localhost
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {submission}
  }}
  inet_listener submissions {{
    port = {submissions}
    ssl = yes
  }}
}}
service lmtp {{
  user = {user}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  user = {user}
}}
{extra}
"""


SIEVE = """
protocols = $protocols sieve
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
}}
service managesieve-login {{
  chroot =
  inet_listener sieve {{
    port = {sieve}
  }}
}}
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_max_script_size = 100k
}}
"""


RELAY = """import socket, sys, threading, os
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def up():
    while True:
        data = os.read(0, 65536)
        if not data:
            s.shutdown(socket.SHUT_WR)
            return
        s.sendall(data)
threading.Thread(target=up, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data:
        break
    os.write(1, data)
"""


def deliver(port, recipient, message, sender="sender@example.org"):
    with contextlib.closing(smtplib.LMTP("127.0.0.1", port)) as lmtp:
        lmtp.sendmail(sender, [recipient], message)


def append(imap, mailbox, messages, flags=""):
    """All or none, in one command (RFC 3502, 7888)."""
    how = b" (%s)" % flags.strip("()").encode() if flags else b""
    tag = imap._new_tag()
    imap.send(tag + b' APPEND "%s"' % mailbox.encode())
    for message in messages:
        raw = imaplib.MapCRLF.sub(imaplib.CRLF, message if isinstance(message, bytes) else message.encode())
        imap.send(b"%s {%d+}\r\n" % (how, len(raw)) + raw)
    imap.send(b"\r\n")
    ok, answer = imap._command_complete("APPEND", tag)
    assert ok == "OK", answer


class _Relay(socketserver.StreamRequestHandler):
    """Just enough SMTP for Dovecot's submission proxy; hands each mail to LMTP and answers what LMTP said."""

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        sender, rcpts = None, []
        self.say("220 localhost relay")
        for raw in self.rfile:
            line = raw.decode("latin-1").strip()
            verb = line[:4].upper()
            if verb == "EHLO":
                self.say("250-localhost")
                self.say("250-8BITMIME")
                self.say("250-PIPELINING")
                self.say("250 SIZE 50000000")
            elif verb == "MAIL":
                sender, rcpts = line[line.find("<") + 1:line.find(">")], []
                self.say("250 ok")
            elif verb == "RCPT":
                rcpt = line[line.find("<") + 1:line.find(">")]
                if rcpt.split("@")[0] in USERS:
                    rcpts.append(rcpt)
                    self.say("250 ok")
                else:
                    self.say("550 5.1.1 no such user")
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                for data in self.rfile:
                    if data in (b".\r\n", b".\n"):
                        break
                    lines.append(data[1:] if data.startswith(b".") else data)
                try:
                    for rcpt in rcpts:
                        deliver(self.server.lmtp, rcpt, b"".join(lines), sender or "")
                    self.say("250 taken")
                except smtplib.SMTPException as e:
                    self.say("451 " + str(e).replace("\n", " ")[:200])
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")


class _RelayServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Outside:
    """What all servers have: `process`, `dir`, and by `info` another way to the mailboxes."""

    def wait_for(self, *names):
        """Until these ports greet: a server that has just begun takes connections and resets them. submission: only where its relay does."""
        deadline = time.monotonic() + 20
        tls = ssl.create_default_context(cafile=self.info["ca"])
        for name in names:
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", self.info[name]), 5) as sock:
                        if name in ("imaps", "pop3s"):
                            sock = tls.wrap_socket(sock, server_hostname="localhost")
                        if name != "submission" and not sock.recv(1):
                            raise OSError("ended before its greeting")
                    break
                except OSError:
                    if time.monotonic() > deadline or self.process.poll() is not None:
                        raise RuntimeError("the server did not start: " + open(os.path.join(self.dir, "stdout")).read())
                    time.sleep(0.05)

    def stop(self):
        """Ends the server; start() brings it back on the same ports."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def deliver(self, user, message):
        if isinstance(message, str):
            message = message.encode()
        deliver(self.info["lmtp"], user + "@example.org", message)

    def append(self, user, mailbox, messages, flags=""):
        """Appends by IMAP, for what LMTP cannot do: other mailboxes, flags, many at once."""
        with self.imap(user) as imap:
            append(imap, mailbox, messages, flags)

    @contextlib.contextmanager
    def imap(self, user):
        """Another IMAP client, to look at the server from outside."""
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.info["imaps"],
                                 ssl_context=ssl.create_default_context(cafile=self.info["ca"]))
        imap.login(user, PASSWORD)
        try:
            yield imap
        finally:
            with contextlib.suppress(Exception):
                imap.logout()

    def subjects(self, user, mailbox):
        """Subjects of a mailbox in arrival order, as the server has them now."""
        import email
        import email.header
        with self.imap(user) as imap:
            ok, _ = imap.select('"%s"' % mailbox, readonly=True)
            if ok != "OK":
                return []
            _, data = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])") if imap.untagged_responses.get(
                "EXISTS", [b"0"])[-1] != b"0" else ("OK", [])
            out = []
            for item in data:
                if isinstance(item, tuple):
                    subject = email.message_from_bytes(item[1])["Subject"] or ""
                    out.append(str(email.header.make_header(email.header.decode_header(subject))))
            return out


class Server(Outside):
    """Starts on construction, stops on close(). `info` holds ports and paths. before: called with it, where it has a directory and
    certificates and no line is answered yet: a login process greets when the password database can be read."""
    refuses = ""  # in names of mailboxes

    def __init__(self, directory, extra="", mechanisms="plain login cram-md5 scram-sha-1 scram-sha-256",
                 imap_capability="", separator="/", relay=True, compress=False, before=None, sieve=False):
        self.sieve = sieve
        self.dir = os.path.abspath(directory)
        if compress:
            extra += "protocol imap {\n mail_plugins = $mail_plugins imap_zlib\n}\n"
        for d in ("", "run", "home"):
            os.makedirs(os.path.join(self.dir, d), exist_ok=True)
        make_ca(self.dir)
        root = os.geteuid() == 0
        me = getpass.getuser()
        my_group = grp.getgrgid(os.getegid()).gr_name
        owner = pwd.getpwnam("mail" if root else me)
        with open(os.path.join(self.dir, "users"), "w") as f:
            for user in USERS:
                f.write("%s:{PLAIN}%s\n" % (user, PASSWORD))
        for user in USERS:
            home = os.path.join(self.dir, "home", user)
            os.makedirs(home, exist_ok=True)
            os.chown(home, owner.pw_uid, owner.pw_gid)
        config = dict(
            dir=self.dir, uid=owner.pw_uid, gid=owner.pw_gid, extra=extra, mechanisms=mechanisms,
            internal="dovecot" if root else me, internal_group="dovecot" if root else my_group,
            login="dovenull" if root else me, user="root" if root else me, separator=separator, imap_capability=imap_capability)
        searchable(self.dir)
        self.relay = None
        self.info = {"ca": os.path.join(self.dir, "ca.pem")}
        if before:
            before(self)
        for tries in range(5):
            try:
                self.begin(config, relay)
                break
            except (OSError, RuntimeError) as e:  # another test has taken a port that was free a moment ago
                if "already in use" not in str(e) or tries == 4:
                    raise
                self.close()
        atexit.register(self.close)

    def begin(self, config, relay):
        """On ports that are free now."""
        ports = dict(zip(PROTOCOLS, free_ports(len(PROTOCOLS))))
        with open(os.path.join(self.dir, "dovecot.conf"), "w") as f:
            f.write((CONFIG + (SIEVE if self.sieve else "")).format(**config, **ports))
        self.info = dict(ports, ca=os.path.join(self.dir, "ca.pem"), dir=self.dir, users=USERS, password=PASSWORD)
        if relay:
            self.relay = _RelayServer(("127.0.0.1", ports["relay"]), _Relay)
            self.relay.lmtp = ports["lmtp"]
            threading.Thread(target=self.relay.serve_forever, args=(0.1,), daemon=True).start()
        self.start()

    def start(self):
        program = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.process = subprocess.Popen([program, "-F", "-c", os.path.join(self.dir, "dovecot.conf")],
                                        stdout=open(os.path.join(self.dir, "stdout"), "w"), stderr=subprocess.STDOUT,
                                        start_new_session=True)
        self.wait_for("imap", "imaps", "pop3", "pop3s", "lmtp", "submission", *(["sieve"] if self.sieve else []))

    def relay_to(self, port):
        """A command whose standard input and output are a connection to that port."""
        path = os.path.join(self.dir, "relay.py")
        with open(path, "w") as f:
            f.write(RELAY)
        return "exec python3 %s %d" % (path, port)

    def close(self):
        """For good: its log process alone would take a second to end."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.relay:
            self.relay.shutdown()
            self.relay.server_close()
            self.relay = None


def main():
    command, directory = sys.argv[1:3]
    state = os.path.join(directory, "state.json")
    if command == "start":
        ready, child = os.pipe(), None
        child = os.fork()
        if child == 0:
            os.setsid()
            server = Server(directory)
            with open(state, "w") as f:
                json.dump(dict(server.info, pid=os.getpid()), f)
            os.write(ready[1], b"1")
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.close(ready[1])
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            end = time.monotonic() + 3600
            while time.monotonic() < end:
                time.sleep(1)
            return
        os.close(ready[1])
        if os.read(ready[0], 1) != b"1":
            sys.exit("dovecot did not start")
        print(open(state).read())
    elif command == "deliver":
        info = json.load(open(state))
        deliver(info["lmtp"], sys.argv[3] + "@example.org", sys.stdin.buffer.read())
    elif command == "stop":
        os.kill(json.load(open(state))["pid"], signal.SIGTERM)


if __name__ == "__main__":
    main()
