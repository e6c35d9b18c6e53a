"""A POP3 server in the hands of a test: honest about a maildrop in memory until a rule says otherwise.

    server = Server([b"Subject: a\\r\\n\\r\\nhello\\r\\n", Mail(b"...", uidl=b"x/../y")], directory=root)
    server.rule("UIDL", b"-ERR no\\r\\n")     from now on; once() for one command, rules=... from the start
    server.cut("RETR 2", 100)                 the line ends 100 bytes into that answer, with a reset if reset=True

An answer is bytes, an iterable of bytes (sent as it goes; may be endless), a function of the match that gives one of these or NOT_MINE (the next
rule, at last the server itself), None to hang up, or STALL to say nothing more. Patterns fit the whole command, in any case.

What it announces is `caps`. Without PIPELINING there it still takes commands in flight; `lossy` drops what came behind the first one of a flight.
`delay` seconds pass before each flight is answered. `exclusive` locks the maildrop while a session has it. `heard` has every command, `flights`
the same in lists: the commands that came before the answer to the first one of them was sent. `sessions` counts the lines,
`clear` are the commands heard without TLS, `maildrop` is what the server still holds: DELE counts with QUIT only. `logins` has (mechanism, user, right or not).

With a directory it speaks TLS under the test CA, at once or after STLS, and has the `info` of the real servers in dovecot.py.
"""
import base64
import contextlib
import hashlib
import hmac
import os
import re
import select
import socket
import ssl
import struct
import threading
import time

import dovecot
from listener import Listener

STALL, NOT_MINE = object(), object()
CAPS = "TOP UIDL USER RESP-CODES AUTH-RESP-CODE PIPELINING"
APOP = b"<1896.697170952@pop.example.org>"


def octets(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def lines(*texts):
    """A multi-line answer's end: each line, then the dot."""
    return b"".join(stuffed(octets(t)) + b"\r\n" for t in texts) + b".\r\n"


def stuffed(raw):
    return re.sub(rb"(\A|\r\n)\.", rb"\1..", raw)


class Mail:
    counter = 0

    def __init__(self, raw, uidl=None, size=None):
        Mail.counter += 1
        self.raw = octets(raw)
        self.uidl = octets("%08x-test" % Mail.counter if uidl is None else uidl)
        self.size = len(self.raw) if size is None else size


class Cut(Exception):
    """The line ends here."""


class Connection:
    """One client."""

    def __init__(self, server, sock):
        self.server, self.sock, self.data, self.flight = server, sock, b"", None
        self.user, self.view, self.deleted = None, None, set()

    def line(self):
        """The next command; a new flight begins where the client had to wait for us."""
        if b"\n" not in self.data:
            self.flight = None
        while b"\n" not in self.data:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError
            self.data += piece
        raw, _, self.data = self.data.partition(b"\n")
        if self.server.lossy:
            self.data = b""
        return raw.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def command(self):
        text, server = self.line(), self.server
        with server.lock:
            server.heard.append(text)
            if not isinstance(self.sock, ssl.SSLSocket):
                server.clear.append(text)
            if self.flight is None:
                self.flight = []
                server.flights.append(self.flight)
                wait = server.delay
            else:
                wait = 0
            self.flight.append(text)
        if wait:
            self.gather(wait)
        return text

    def gather(self, seconds):
        """What comes in this time belongs to the same flight."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            pending = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
            if left <= 0:
                return
            if pending or select.select([self.sock], [], [], left)[0]:
                piece = self.sock.recv(65536)
                if not piece:
                    time.sleep(max(0, end - time.monotonic()))
                    return
                self.data += piece

    def send(self, data):
        self.sock.sendall(data)

    def ask(self, challenge):
        """A turn of AUTH: the client's answer, or None when it gave up."""
        self.send(b"+ " + base64.b64encode(challenge) + b"\r\n")
        answer = self.command()
        return None if answer == "*" else base64.b64decode(answer)

    def end(self, reset=False):
        with contextlib.suppress(OSError):
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.sock.close()
            else:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class Server(Listener):
    def __init__(self, messages=(), directory=None, caps=CAPS, rules=(), user="bob", password="secret", starttls=False, greeting=None, lossy=False,
                 delay=0, exclusive=False, token="token", sasl="PLAIN", lang="en"):
        self.maildrop = [m if isinstance(m, Mail) else Mail(m) for m in messages]
        self.caps, self.user, self.password, self.token, self.sasl, self.lang = caps, user, password, token, sasl, lang
        self.rules = [(re.compile(p, re.S | re.I), a) for p, a in rules]
        self.first, self.cuts, self.lock = [], [], threading.RLock()
        self.lossy, self.delay, self.exclusive, self.locked = lossy, delay, exclusive, False
        self.heard, self.clear, self.flights, self.connections, self.sessions, self.logins = [], [], [], [], 0, []
        self.greeting, self.starttls, self.context, self.info = greeting or b"+OK ready\r\n", starttls, None, {}
        self.dir = directory
        if directory:
            os.makedirs(directory, exist_ok=True)
            dovecot.make_ca(directory)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(os.path.join(directory, "server.pem"), os.path.join(directory, "server.key"))
        super().__init__()
        if directory:
            self.info = {"pop3" if starttls else "pop3s": self.port, "submissions": 9, "ca": os.path.join(directory, "ca.pem"), "dir": directory}

    # ---- In the test's hands
    def rule(self, pattern, answer):
        self.rules.insert(0, (re.compile(pattern, re.S | re.I), answer))

    def once(self, pattern, answer):
        self.first.append((re.compile(pattern, re.S | re.I), answer))

    def cut(self, pattern, at, reset=False, once=True):
        self.cuts.append([re.compile(pattern, re.S | re.I), at, reset, once])

    def add(self, *messages):
        """Mail that comes in; sessions under way do not see it."""
        with self.lock:
            self.maildrop += [m if isinstance(m, Mail) else Mail(m) for m in messages]

    def asked(self, pattern):
        return [c for c in self.heard if re.match(pattern, c, re.I)]

    def forget(self):
        """Begins the record anew."""
        with self.lock:
            self.heard, self.clear, self.flights, self.logins, self.sessions = [], [], [], [], 0

    def drop(self):
        for conn in list(self.connections):
            conn.end()

    def close(self):
        super().close()
        self.drop()

    # ---- The line
    def talk(self, sock):
        with contextlib.suppress(EOFError, Cut), sock:
            if self.context and not self.starttls:
                sock = self.context.wrap_socket(sock, server_side=True)
            conn = Connection(self, sock)
            self.connections.append(conn)
            self.sessions += 1
            try:
                self.reply(conn, "", self.greeting)
                while self.one(conn):
                    pass
            finally:
                self.connections.remove(conn)
                if conn.view is not None:
                    self.locked = False
                conn.end()

    def one(self, conn):
        """One command; False ends the connection."""
        text = conn.command()
        answer = NOT_MINE
        for rules in (self.first, self.rules):
            for rule in list(rules):
                m = rule[0].fullmatch(text)
                if m and answer is NOT_MINE:
                    if rules is self.first:
                        rules.remove(rule)
                    answer = rule[1](m) if callable(rule[1]) else rule[1]
        if answer is NOT_MINE:
            word, _, rest = text.partition(" ")
            do = getattr(self, "do_" + word.lower(), None)
            try:
                answer = do(conn, rest) if do else b"-ERR unknown command\r\n"
            except (ValueError, IndexError):
                answer = b"-ERR no such message\r\n"
        if answer is STALL:
            while conn.sock.recv(65536):
                pass
        if answer is STALL or answer is None:
            return False
        self.reply(conn, text, answer)
        if text.upper() == "STLS" and self.starttls and answer[:3] == b"+OK" and not isinstance(conn.sock, ssl.SSLSocket):
            conn.sock, conn.data = self.context.wrap_socket(conn.sock, server_side=True), b""
        return text.upper() != "QUIT"

    def reply(self, conn, text, answer):
        left = None
        for cut in list(self.cuts):
            if left is None and cut[0].fullmatch(text):
                left, reset = cut[1], cut[2]
                if cut[3]:
                    self.cuts.remove(cut)
        for piece in [answer] if isinstance(answer, bytes) else answer:
            if left is not None and len(piece) >= left:
                conn.send(piece[:left])
                conn.end(reset)
                raise Cut
            conn.send(piece)
            left = None if left is None else left - len(piece)

    # ---- Authorization state
    def do_capa(self, conn, rest):
        words = self.caps.split()
        if self.starttls and not isinstance(conn.sock, ssl.SSLSocket):
            words.append("STLS")
        words = [w.replace("_", " ") for w in words] + (["SASL " + self.sasl] if self.sasl else [])
        return b"+OK capabilities\r\n" + lines(*words)

    def do_stls(self, conn, rest):
        return b"+OK begin\r\n" if self.starttls else b"-ERR no\r\n"

    def logged_in(self, conn, mechanism, user, right):
        with self.lock:
            self.logins.append((mechanism, user, right))
            if not right:
                return b"-ERR [AUTH] invalid login\r\n" if "AUTH-RESP-CODE" in self.caps else b"-ERR invalid login\r\n"
            if self.exclusive and self.locked:
                return b"-ERR [IN-USE] another session has the maildrop\r\n"
            self.locked, conn.view = True, list(self.maildrop)
            return b"+OK maildrop ready\r\n"

    def do_user(self, conn, rest):
        conn.user = rest
        return b"+OK\r\n"

    def do_pass(self, conn, rest):
        return self.logged_in(conn, "USER", conn.user, conn.user == self.user and rest == self.password)

    def do_apop(self, conn, rest):
        user, _, digest = rest.partition(" ")
        challenge = re.search(rb"<[^>]*>", self.greeting)
        right = challenge and hashlib.md5(challenge[0] + octets(self.password)).hexdigest() == digest
        return self.logged_in(conn, "APOP", user, bool(right) and user == self.user)

    def do_auth(self, conn, rest):
        mechanism, _, first = rest.partition(" ")
        do = getattr(self, "sasl_" + mechanism.lower().replace("-", "_"), None)
        if not do or mechanism.upper() not in self.sasl.upper().split():
            return b"-ERR no such mechanism\r\n"
        first = None if not first else b"" if first == "=" else base64.b64decode(first)
        got = do(conn, first)
        return b"-ERR given up\r\n" if got is None else self.logged_in(conn, mechanism.upper(), *got)

    def sasl_plain(self, conn, first):
        said = first if first is not None else conn.ask(b"")
        if said is None:
            return None
        _, user, password = said.decode().split("\0")
        return user, (user, password) == (self.user, self.password)

    def sasl_login(self, conn, first):
        user = conn.ask(b"Username:")
        password = user is not None and conn.ask(b"Password:")
        return None if not password else (user.decode(), (user.decode(), password.decode()) == (self.user, self.password))

    def sasl_cram_md5(self, conn, first):
        said = conn.ask(APOP)
        if said is None:
            return None
        user, _, digest = said.decode().partition(" ")
        return user, user == self.user and digest == hmac.new(octets(self.password), APOP, "md5").hexdigest()

    def scram(self, conn, first, binding):
        """RFC 5802, 7677; binding: what "c=" has to hold."""
        said = (first if first is not None else conn.ask(b"")).decode()
        gs2, bare = re.fullmatch(r"((?:p=[^,]*|n|y),[^,]*,)(.*)", said).groups()
        fields = dict(f.split("=", 1) for f in bare.split(","))
        salt, rounds, nonce = b"salt of the test", 4096, fields["r"] + "3rfcNHYJY1ZVvWVs7j"
        challenge = "r=%s,s=%s,i=%d" % (nonce, base64.b64encode(salt).decode(), rounds)
        final = conn.ask(challenge.encode())
        if final is None:
            return None
        proofless, _, proof = final.decode().rpartition(",p=")
        salted = hashlib.pbkdf2_hmac("sha256", octets(self.password), salt, rounds)

        def mac(key, text):
            return hmac.new(key, octets(text), "sha256").digest()
        text = ",".join((bare, challenge, proofless))
        key = mac(salted, "Client Key")
        want = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), text)))
        right = (proofless == "c=%s,r=%s" % (base64.b64encode(octets(gs2) + binding).decode(), nonce) and fields["n"] == self.user
                 and base64.b64decode(proof) == want)
        if right:
            conn.ask(b"v=" + base64.b64encode(mac(mac(salted, "Server Key"), text)))
        return fields["n"], right

    def sasl_scram_sha_256(self, conn, first):
        return self.scram(conn, first, b"")

    def sasl_scram_sha_256_plus(self, conn, first):
        """tls-unique, which needs TLS 1.2."""
        return self.scram(conn, first, conn.sock.get_channel_binding("tls-unique"))

    def bearer(self, conn, said):
        fields = said.decode().split("\1")
        token = next((f[12:] for f in fields if f.startswith("auth=Bearer ")), "")
        if token != self.token:
            conn.ask(b'{"status":"invalid_token","schemes":"bearer"}')
        name = re.search(r"(?:user|,a)=([^,\1]*)", said.decode())
        return name[1] if name else "", token == self.token

    def sasl_xoauth2(self, conn, first):
        return self.bearer(conn, first if first is not None else conn.ask(b""))

    sasl_oauthbearer = sasl_xoauth2

    def sasl_external(self, conn, first):
        user = (first if first is not None else conn.ask(b"")).decode()
        cert = isinstance(conn.sock, ssl.SSLSocket) and conn.sock.getpeercert(True)
        return user, bool(cert) and user in ("", self.user)

    def do_utf8(self, conn, rest):
        return b"+OK UTF8 enabled\r\n" if "UTF8" in self.caps else b"-ERR unknown command\r\n"

    def do_lang(self, conn, rest):
        if "LANG" not in self.caps:
            return b"-ERR unknown command\r\n"
        if not rest:
            return b"+OK languages\r\n" + lines(*(x + " " + x for x in self.lang.split()))
        return b"+OK %s\r\n" % octets(rest) if rest in self.lang.split() else b"-ERR no such language\r\n"

    # ---- Transaction state
    def mail(self, conn, number):
        i = int(number) - 1
        if conn.view is None or i < 0 or i in conn.deleted:
            raise ValueError
        return conn.view[i]

    def there(self, conn):
        if conn.view is None:
            raise ValueError
        return [(i + 1, m) for i, m in enumerate(conn.view) if i not in conn.deleted]

    def do_stat(self, conn, rest):
        there = self.there(conn)
        return b"+OK %d %d\r\n" % (len(there), sum(m.size for _, m in there))

    def do_list(self, conn, rest):
        if rest:
            return b"+OK %s %d\r\n" % (octets(rest), self.mail(conn, rest).size)
        return b"+OK\r\n" + lines(*("%d %d" % (i, m.size) for i, m in self.there(conn)))

    def do_uidl(self, conn, rest):
        if "UIDL" not in self.caps.split():
            return b"-ERR unknown command\r\n"
        if rest:
            return b"+OK %s %s\r\n" % (octets(rest), self.mail(conn, rest).uidl)
        return b"+OK\r\n" + b"".join(b"%d %s\r\n" % (i, m.uidl) for i, m in self.there(conn)) + b".\r\n"

    def do_retr(self, conn, rest):
        raw = self.mail(conn, rest).raw
        return b"+OK %d octets\r\n" % len(raw) + stuffed(raw) + (b".\r\n" if raw.endswith(b"\r\n") or not raw else b"\r\n.\r\n")

    def do_top(self, conn, rest):
        if "TOP" not in self.caps.split():
            return b"-ERR unknown command\r\n"
        number, count = rest.split()
        head, _, body = self.mail(conn, number).raw.partition(b"\r\n\r\n")
        rows = body.split(b"\r\n")[:int(count)]
        return b"+OK\r\n" + stuffed(head + b"\r\n\r\n" + b"".join(r + b"\r\n" for r in rows)) + b".\r\n"

    def do_dele(self, conn, rest):
        self.mail(conn, rest)
        conn.deleted.add(int(rest) - 1)
        return b"+OK marked\r\n"

    def do_rset(self, conn, rest):
        conn.deleted = set()
        return b"+OK\r\n"

    def do_noop(self, conn, rest):
        return b"+OK\r\n" if conn.view is not None else b"-ERR log in first\r\n"

    def do_quit(self, conn, rest):
        with self.lock:
            gone = {id(m) for i, m in enumerate(conn.view or []) if i in conn.deleted}
            self.maildrop = [m for m in self.maildrop if id(m) not in gone]
            if conn.view is not None:
                self.locked, conn.view = False, None
        return b"+OK bye\r\n"
