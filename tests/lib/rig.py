"""store and fetch with a test in the place of spawn and ui, and a line that a test can cut where it likes.

Rig starts the real `store`, gives it a client channel, and starts the real `fetch` when store asks, so that a test says intents
as the ui does, kills programs by their number, and looks into the databases. Line stands between fetch and a Dovecot of
tests/lib/dovecot.py, with that server's certificate: it sees each command, and ends the connection at a given one."""
import array
import contextlib
import os
import re
import select
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import time

import channel
import tap
from listener import Listener

ROLE_STORE, ROLE_FETCH = 1, 3
(FLAGS, TAGS, MOVE, COPY, ARCHIVE, TRASH, SPAM, PURGE, BOX_CREATE, BOX_RENAME, BOX_DELETE, APPEND, MARK_ALL_READ, HAM,
 BOX_SUBSCRIBE, BOX_UNSUBSCRIBE) = range(1, 17)
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT, FORWARDED, JUNK, NOTJUNK = (1 << i for i in range(8))


class Line(Listener):
    """A relay that ends TLS on both sides. `cut(pattern, where)` arms one cut; `commands` holds what was asked, without tags.

    where: "before" the command reaches the server; "after" the server has done it, nothing of its answer comes back;
    "middle" half of the answer's bytes come back; "literal" half of the command's literal reaches the server; "down" as before, and no new connection until up(); "hold": from it on what
    the client says waits.
    hide: what is taken out of what the server says."""

    def __init__(self, info, port="imaps", hide=None):
        self.info, self.target, self.hide = info, info[port], hide
        self.commands, self.armed, self.cuts, self.down = [], [], 0, False
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(os.path.join(info["dir"], "server.pem"), os.path.join(info["dir"], "server.key"))
        self.client = ssl.create_default_context(cafile=info["ca"])
        self.links = []
        super().__init__()

    def cut(self, pattern, where, times=1):
        self.armed += [(re.compile(pattern, re.I), where)] * times

    def asked(self, pattern):
        return [c for c in self.commands if re.match(pattern, c, re.I)]

    def talk(self, sock):
        if self.down:
            sock.close()
            return
        try:
            link = Link(self, self.server.wrap_socket(sock, server_side=True),
                        self.client.wrap_socket(socket.create_connection(("127.0.0.1", self.target)), server_hostname="localhost"))
        except (OSError, ssl.SSLError):
            sock.close()
            return
        self.links.append(link)
        link.run()
        self.links.remove(link)

    def drop(self, down=False):
        """Ends every connection; with `down` new ones are refused until up()."""
        self.down = down
        for link in list(self.links):
            link.end()

    def up(self):
        self.down = False

    def close(self):
        super().close()
        self.drop(True)


class Link:
    """One connection, in one thread: TLS sockets are not to be read and written by two at once."""

    def __init__(self, line, near, far):
        self.line, self.near, self.far = line, near, far
        self.pending = b""       # of the client, not yet a whole line, or held back
        self.literal = 0         # bytes of a literal that follow
        self.half = None         # bytes of a literal after which the line is cut
        self.want = None         # (tag, where): the answer that is held back
        self.held = b""
        self.ended = False

    def end(self):
        self.ended = True
        for s in (self.near, self.far):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(s, socket.SHUT_RDWR)

    def run(self):
        try:
            while not self.ended:
                ready = [s for s in (self.near, self.far) if s.pending()] or select.select([self.near, self.far], [], [], 0.2)[0]
                for s in ready:
                    data = s.recv(65536)
                    if not data:
                        return
                    (self.from_client if s is self.near else self.from_server)(data)
                    if self.ended:
                        return
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            for s in (self.near, self.far):
                s.close()

    def cut_now(self):
        self.line.cuts += 1
        self.ended = True

    def from_client(self, data):
        self.pending += data
        while self.pending and not self.ended:
            if self.literal:
                piece, self.pending = self.pending[:self.literal], self.pending[self.literal:]
                if self.half is not None and self.literal - len(piece) < self.half:
                    self.far.sendall(piece[:len(piece) // 2])
                    self.cut_now()
                    return
                self.literal -= len(piece)
                self.far.sendall(piece)
                continue
            raw, newline, rest = self.pending.partition(b"\r\n")
            if not newline:
                return
            self.pending = rest
            tag, _, command = raw.decode("latin-1").partition(" ")
            announced = re.search(r"\{(\d+)\+?\}$", command)
            if tag.startswith("T"):
                self.line.commands.append(command)
                for i, (pattern, where) in enumerate(self.line.armed):
                    if not pattern.match(command):
                        continue
                    if where == "hold":
                        self.pending = raw + newline + rest
                        self.line.commands.pop()
                        return
                    del self.line.armed[i]
                    if where == "down":
                        self.line.down = True
                    if where in ("before", "down"):
                        self.cut_now()
                        return
                    if where == "literal":
                        self.half = int(announced[1]) // 2 + 1
                    else:
                        self.want = (tag.encode() + b" ", where)
                    break
            if announced:
                self.literal = int(announced[1])
            self.far.sendall(raw + b"\r\n")

    def from_server(self, data):
        if self.line.hide:
            data = re.sub(self.line.hide, b"", data)
        if not self.want:
            self.near.sendall(data)
            return
        self.held += data
        tag, where = self.want
        if b"\r\n+ " in b"\r\n" + self.held and not (b"\r\n" + tag) in b"\r\n" + self.held:
            self.near.sendall(self.held)  # the server asks for the literal
            self.held = b""
        elif b"\r\n" + tag in b"\r\n" + self.held:
            if where == "middle":
                self.near.sendall(self.held[:len(self.held) // 2])
            self.cut_now()


class Rig:
    """The programs of one account "work". `lines` are added to the tuimailrc."""

    def __init__(self, root, info, port=None, user="bob", lines=""):
        self.root, self.info, self.user = root, info, user
        os.makedirs(root, mode=0o700, exist_ok=True)
        self.store_dir = os.path.join(root, "store")
        self.rc = os.path.join(root, "rc")
        with open(self.rc, "w") as f:
            f.write("account work imaps://%s@localhost:%d\nset -a work tls-ca-file %s\nset log-level debug\n%s" %
                    (user, port or info["imaps"], info["ca"], lines))
        os.chmod(self.rc, 0o600)
        self.log = open(os.path.join(root, "log"), "ab")
        self.store = self.fetch = self.spawn = self.client = None
        self.children, self.notes, self.accounts, self.answers, self.req = [], [], [], {}, 0
        self.refuse_fetch = False
        self.start()

    # ---- programs ----
    def launch(self, name, *args):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()
        libexec = os.environ.get("TUIMAIL_LIBEXEC", os.path.join(tap.BUILD, "libexec"))
        process = subprocess.Popen([os.path.join(libexec, name), "-c", self.rc, "--store", self.store_dir, *args],
                                   pass_fds=(3,) if fd == 3 else (fd, 3),
                                   preexec_fn=(lambda: None) if fd == 3 else (lambda: os.dup2(fd, 3)),
                                   stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        theirs.close()
        return process, ours

    @staticmethod
    def say(sock, kind, /, fd=None, **fields):
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        sock.sendmsg([channel.encode(kind, fields)], anc)

    def start(self):
        self.store, self.spawn = self.launch("store")
        self.client, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.say(self.spawn, "CLIENT_FD", fd=theirs.fileno())
        theirs.close()
        self.say(self.client, "HELLO", version=1, program="test")
        self.accounts = []

    def kill(self, which, signo=signal.SIGKILL):
        """Ends store or fetch. A store that is killed takes its fetch with it; start() brings both back."""
        if which == "store":
            self.store.send_signal(signo)
            self.store.wait(20)
            for sock in (self.spawn, self.client):
                sock.close()
            self.reap(True)
        elif self.fetch:
            self.fetch[0].send_signal(signo)
            self.fetch[0].wait(20)

    def restart(self, signo=signal.SIGKILL):
        self.kill("store", signo)
        self.start()

    def reap(self, all_of_them=False):
        for child in list(self.children):
            process, role, tag = child
            if all_of_them:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if process.poll() is None:
                continue
            self.children.remove(child)
            if not all_of_them:
                self.say(self.spawn, "EXITED", role=role, account="work", tag=tag, status=1, text="ended")

    def close(self):
        self.kill("store", signal.SIGTERM)
        self.log.close()

    # ---- messages ----
    def take(self, sock):
        packet, anc, _, _ = sock.recvmsg(65536, socket.CMSG_SPACE(16))
        if not packet:
            raise EOFError("store ended: " + self.tail())
        m = channel.decode(packet)
        for level, kind, data in anc:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                m.fd = struct.unpack("i", data[:4])[0]
        return m

    def pump(self, seconds=0.05):
        """Answers what store asks of spawn, and keeps what it says to the client."""
        end = time.monotonic() + seconds
        while True:
            self.reap()
            ready = select.select([self.spawn, self.client], [], [], max(0, min(0.1, end - time.monotonic())))[0]
            for sock in ready:
                self.heard(self.take(sock), sock is self.spawn)
            if time.monotonic() >= end:
                return

    def heard(self, m, of_spawn):
        if of_spawn:
            if m.name == "START" and m.role == ROLE_FETCH and not self.refuse_fetch:
                process, ours = self.launch("fetch", "work")
                self.fetch = (process, m.tag)
                self.children.append((process, ROLE_FETCH, m.tag))
                self.say(self.spawn, "STARTED", fd=ours.fileno(), role=ROLE_FETCH, account="work", tag=m.tag)
                ours.close()
            elif m.name == "SECRET_GET":
                r, w = os.pipe()
                os.write(w, b"secret\n")
                os.close(w)
                self.say(self.spawn, "SECRET_PIPE", fd=r, account="work", service=m.service, tag=m.tag)
                os.close(r)
            return
        if m.fd is not None and m.name != "BODY":
            os.close(m.fd)
        if m.name == "NOTE":
            self.notes.append(m.text.decode())
        elif m.name == "ACCOUNT":
            self.accounts.append(m)
        elif "req" in m:
            self.answers[m.req] = m

    def ask(self, kind, /, fd=None, timeout=60, **fields):
        self.req += 1
        self.say(self.client, kind, fd=fd, req=self.req, **fields)
        req, end = self.req, time.monotonic() + timeout
        while req not in self.answers:
            self.pump(0.02)
            if time.monotonic() > end:
                raise TimeoutError("no answer to %s: %s" % (kind, self.tail()))
        return self.answers.pop(req)

    def intent(self, kind, /, ids=(), clear=0, want="INTENT_OK", **fields):
        if kind == FLAGS:
            fields["arg"] = struct.pack("<I", clear)
        m = self.ask("INTENT", account="work", kind=kind, msgs=b"".join(struct.pack("<Q", i) for i in ids), **fields)
        if m.name != want:
            raise AssertionError("%r, not %s" % (m, want))
        return m

    def bytes(self, ident):
        """The message, byte for byte as the server has it."""
        m = self.ask("OPEN", account="work", msg=ident, want="*")
        if m.name != "BODY":
            raise AssertionError("%r, not BODY" % m)
        with open(m.fd, "rb") as f:
            return f.read()

    def sent(self, pattern):
        """Commands of this kind that went to the server, by the log."""
        log = open(os.path.join(self.root, "log"), errors="replace").read()
        return re.findall(r"> T\d+ (%s.*)" % pattern, log)

    def undo(self, redo=0, want="UNDONE"):
        m = self.ask("UNDO", redo=redo)
        if m.name != want:
            raise AssertionError("%r, not %s" % (m, want))
        return m

    def retry(self):
        """Connect now, whatever the back-off says."""
        self.ask("RELOAD")

    def until(self, what, test, timeout=60):
        end, nudge = time.monotonic() + timeout, 0
        while not test():
            self.pump(0.05)
            if time.monotonic() > nudge:
                nudge = time.monotonic() + 1
                self.retry()
            if time.monotonic() > end:
                raise AssertionError("in %d s it did not happen that %s; notes %r; intents %r\n%s" % (
                    timeout, what, self.notes, self.sql("keep", "select id,kind,state,box,target,why,text from intent"), self.tail()))

    def tail(self):
        return open(os.path.join(self.root, "log"), errors="replace").read()[-5000:]

    # ---- what is known ----
    def sql(self, name, query, *args):
        path = os.path.join(self.store_dir, "state/work/%s.db" % name)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=10)) as db:
                    return db.execute(query, args).fetchall()
            except sqlite3.OperationalError:
                time.sleep(0.05)  # not made yet
        raise AssertionError("%s cannot be read" % path)

    def boxes(self):
        return {bytes(name).decode(): i for i, name in self.sql("cache", "select id,name from box where hidden=0")}

    def box(self, name):
        return self.boxes()[name]

    def rows(self, name):
        """Subject -> id of what is shown in a mailbox."""
        return {bytes(s).decode(): i for i, s in self.sql(
            "cache", "select m.id,m.subject from msg m join box b on b.id=m.box where b.name=? order by m.id", name.encode())}

    def flags(self, ident):
        found = self.sql("cache", "select flags from msg where id=?", ident)
        return found[0][0] if found else None

    def pending(self):
        return self.sql("keep", "select count(*) from intent where state<3")[0][0]

    def settled(self, timeout=60):
        """All intents have ended, one way or another, and no row is marked as pending."""
        self.until("every intent ends", lambda: self.pending() == 0, timeout)
        self.pump(0.05)
        tap.equal(self.sql("cache", "select count(*) from msg where state & 1")[0][0], 0, "rows with a pending mark")

    def filled(self, name, count, timeout=60):
        self.until("%s has %d rows" % (name, count), lambda: len(self.rows(name)) == count, timeout)
        # INBOX and its rows come first, the list of mailboxes behind them
        self.until("the mailboxes are listed", lambda: len(self.boxes()) > 1, timeout)
