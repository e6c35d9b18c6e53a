"""The store's end of a channel: messages by the definitions of src/ipc/messages.def, and a program started with it."""
import array
import collections
import contextlib
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time

import tap

FIELD = re.compile(r"(U8|U32|U64|I64|BYTES)\((\w+)(?:,\s*\d+)?\)")
FORMATS = {"U8": "<B", "U32": "<I", "U64": "<Q", "I64": "<q"}


def definitions():
    text = open(os.path.join(tap.SRC, "src/ipc/messages.def")).read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return [(m[1], FIELD.findall(m[2])) for m in re.finditer(r"^MSG\((\w+),[^,]*,\s*(?:NOFD|FD),?(.*)\)$", text, re.M)]


MESSAGES = definitions()
KINDS = {name: i + 1 for i, (name, _) in enumerate(MESSAGES)}


class Message(dict):
    def __init__(self, name, fields, fd=None):
        super().__init__(fields)
        self.name, self.fd = name, fd

    def __getattr__(self, key):
        return self[key]

    def __repr__(self):
        return "%s%r" % (self.name, dict(self))


def encode(name, fields):
    out = struct.pack("<I", KINDS[name])
    unknown = set(fields) - {f for _, f in MESSAGES[KINDS[name] - 1][1]}
    assert not unknown, unknown
    for kind, field in MESSAGES[KINDS[name] - 1][1]:
        value = fields.get(field, b"" if kind == "BYTES" else 0)
        if kind == "BYTES":
            value = value.encode() if isinstance(value, str) else value
            out += struct.pack("<I", len(value)) + value
        else:
            out += struct.pack(FORMATS[kind], value)
    return out


def decode(packet):
    number, at, fields = struct.unpack_from("<I", packet)[0], 4, {}
    name, layout = MESSAGES[number - 1]
    for kind, field in layout:
        if kind == "BYTES":
            n = struct.unpack_from("<I", packet, at)[0]
            fields[field] = packet[at + 4:at + 4 + n]
            at += 4 + n
        else:
            fields[field] = struct.unpack_from(FORMATS[kind], packet, at)[0]
            at += struct.calcsize(FORMATS[kind])
    assert at == len(packet), "%s has %d bytes too many" % (name, len(packet) - at)
    return Message(name, fields)


Listed = collections.namedtuple("Listed", "number size uidl")


def ranges(*pairs):
    return b"".join(struct.pack("<II", *(p if isinstance(p, tuple) else (p, p))) for p in pairs)


def unrange(data):
    return [x for lo, hi in struct.iter_unpack("<II", data) for x in range(lo, hi + 1)]


def listing(messages):
    """[(number, size, uidl)] of POP_UIDLS messages."""
    out = []
    for m in messages:
        data = m.mails
        while data:
            number, size, n = struct.unpack_from("<IQH", data)
            out.append(Listed(number, size, data[14:14 + n]))
            data = data[14 + n:]
    return out


class Program:
    """A program of libexec with our end of its channel."""

    def __init__(self, name, *args, secret="secret", env=None):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock, self.secret, self.step, self.seen = ours, secret, 0, []
        self.log = open(os.path.join(env or "/tmp", "log"), "ab") if env else subprocess.DEVNULL
        libexec = os.environ.get("TUIMAIL_LIBEXEC", os.path.join(tap.BUILD, "libexec"))
        fd = theirs.fileno()
        # The channel has to be descriptor 3, whatever it is here.
        self.process = subprocess.Popen([os.path.join(libexec, name), *args], pass_fds=(3,) if fd == 3 else (fd, 3),
                                        preexec_fn=(lambda: None) if fd == 3 else (lambda: os.dup2(fd, 3)),
                                        stdin=subprocess.DEVNULL, stderr=self.log)
        theirs.close()

    def send(self, kind, fd=None, **fields):
        packet = encode(kind, fields)
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
        self.sock.sendmsg([packet], anc)

    def receive(self, timeout=60):
        """The next message; secrets are given on the way. None at the end of the channel."""
        end = time.monotonic() + timeout
        while True:
            if not select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("no message; seen: %r" % self.seen[-20:])
            packet, anc, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(16))
            if not packet:
                return None
            m = decode(packet)
            for level, kind, data in anc:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    m.fd = struct.unpack("i", data[:4])[0]
            self.seen.append(m)
            if m.name != "SECRET_ASK":
                return m
            r, w = os.pipe()
            os.write(w, self.secret.encode() + b"\n")
            os.close(w)
            self.send("SECRET", fd=r, service=0)
            os.close(r)

    def until(self, name, /, timeout=60, **match):
        """Reads to the message wanted; it is the last of what is returned."""
        got = []
        while True:
            m = self.receive(timeout)
            if m is None:
                raise EOFError("the program ended; seen: %r" % self.seen[-20:])
            got.append(m)
            if m.name == name and all(m[k] == v for k, v in match.items()):
                return got

    def begin(self, kind, fd=None, **fields):
        self.step += 1
        self.send(kind, fd=fd, step=self.step, **fields)
        return self.step

    def do(self, kind, fd=None, want=0, **fields):
        """A step to its DONE; what came before it, in a dict by name. `want`: the error kind expected."""
        step = self.begin(kind, fd=fd, **fields)
        return self.end(step, want)

    def end(self, step, want=0):
        got = self.until("DONE", step=step)
        done = got.pop()
        if done.kind != want:
            raise AssertionError("DONE is %d %r, not %d" % (done.kind, done.text, want))
        out = {}
        for m in got:
            out.setdefault(m.name, []).append(m)
        out["DONE"] = done
        return out

    def close(self):
        self.sock.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        return self.process.returncode


@contextlib.contextmanager
def running(role, directory, conf, account="work", secret="secret"):
    """A program of an account, READY, with this tuimailrc; `root` is its store. It has to end well; where the test fails its log is shown."""
    rc = os.path.join(directory, "rc")
    with open(rc, "w") as f:
        f.write(conf)
    os.chmod(rc, 0o600)
    root = os.path.join(directory, "store")
    p = Program(role, "-c", rc, "--store", root, account, secret=secret, env=directory)
    p.directory, p.root = directory, root
    try:
        p.until("READY")
        yield p
        tap.equal(p.close(), 0, "exit status")
    except tap.Skip:
        raise
    except BaseException:
        sys.stderr.write(open(os.path.join(directory, "log"), errors="replace").read()[-6000:])
        raise
    finally:
        if p.process.poll() is None:
            p.process.kill()
            p.process.wait()


def error_kinds():
    """Numbers of errors.def by name."""
    text = open(os.path.join(tap.SRC, "src/base/errors.def")).read()
    return {name: i for i, name in enumerate(re.findall(r"^ERR\((\w+),", text, re.M))}
