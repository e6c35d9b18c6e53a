"""What the benches share: the program on a pty, a line that delays, a mailbox to look at, memory and wake-ups, and the table at the end.

Times are stamped when bytes are read from the terminal, in a thread of its own, before anything interprets them. Nothing here
asserts: a figure that did not come is printed as nan."""
import contextlib
import fcntl
import os
import pty
import queue
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time

import pyte  # Debian: python3-pyte, for /usr/bin/python3

import tap
from dovecot import Server, free_ports
from user import message

sys.setswitchinterval(0.0005)
NAN = float("nan")


def arguments(*defaults):
    """Numbers of the command line, in order."""
    return [int(sys.argv[1 + i]) if len(sys.argv) > 1 + i else value for i, value in enumerate(defaults)]


def median(values):
    return share(values, 0.5)


def share(values, part):
    """The value below which `part` of those that came lie; 1 is the slowest."""
    values = sorted(v for v in values if v is not None)
    return values[min(len(values) - 1, int(len(values) * part))] if values else NAN


class Pty:
    """tuimail for `user`, or another program, on a terminal of 120x40."""

    def __init__(self, user, *args, argv=None, env=None):
        self.screen = pyte.Screen(120, 40)
        self.stream = pyte.ByteStream(self.screen)
        self.chunks, self.nbytes = queue.SimpleQueue(), 0
        self.own = argv is None
        argv, env = argv or [tap.TUIMAIL, "-c", user.rc, *args], env or user.env
        self.start = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, {**os.environ, **env, "TERM": "xterm-256color"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        threading.Thread(target=self.reads, daemon=True).start()

    def reads(self):
        with contextlib.suppress(OSError):
            while True:
                data = os.read(self.fd, 65536)
                self.chunks.put((time.monotonic(), data))
                if not data:
                    return

    def take(self, timeout):
        """When the next bytes came; None when none did."""
        try:
            at, data = self.chunks.get(timeout=timeout) if timeout > 0 else self.chunks.get_nowait()
        except queue.Empty:
            return None
        self.stream.feed(data)
        self.nbytes += len(data)
        return at

    def wait(self, test, timeout=60):
        """When the bytes came after which the screen holds `test` (text, or a function of the screen); None if they did not."""
        holds = test if callable(test) else lambda screen: test in screen
        at = time.monotonic()
        end = at + timeout
        while at and not holds("\n".join(self.screen.display)):
            at = self.take(max(0, end - time.monotonic()))
        return at

    def rest(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.take(left)

    def settle(self, quiet=0.3):
        """Until nothing was written for so long."""
        while self.take(quiet):
            pass

    def send(self, keys):
        """What was written before is read; the time of the keys."""
        while self.take(0):
            pass
        at = time.monotonic()
        os.write(self.fd, keys)
        return at

    def key(self, keys, timeout=5):
        """Seconds until the first byte of the answer."""
        at = self.send(keys)
        answer = self.take(timeout)
        return answer - at if answer else None

    def until(self, keys, test, timeout=30):
        """Seconds from the keys until the screen holds `test`."""
        at = self.send(keys)
        shown = self.wait(test, timeout)
        return shown - at if shown else None

    def row(self):
        """The line of the screen on which the list's cursor is: its date stands out. None without one."""
        for y in range(1, 39):
            if self.screen.buffer[y][30].reverse or self.screen.buffer[y][30].bg != "default":
                return y
        return None

    def close(self):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
        if self.own:
            time.sleep(4)  # its programs end behind it


class Line:
    """A line to `port` with a round trip of `rtt` ms and 10 Mbit/s; 0: neither."""

    def __init__(self, directory, port, rtt):
        self.port, = free_ports(1)
        self.rtt, self.log = rtt, os.path.join(directory, "line-%d" % self.port)
        self.proxy = subprocess.Popen([os.path.join(tap.BUILD, "tests/bench/delayproxy"), str(self.port), str(port), str(rtt),
                                       "10000" if rtt else "0", "3600", self.log])

    def since(self, begin, end=None):
        """(bytes that came, round trips that the client waited for) between two times."""
        down, trips, last = 0, 0, -1e9
        for line in open(self.log):
            at, direction, n = line.split()
            at = float(at)
            if at < begin or (end and at > end):
                continue
            if direction == "<":
                down += int(n)
            elif at - last > self.rtt * 0.95e-3:
                trips, last = trips + 1, at
        return down, trips if self.rtt else None

    def quiet(self, term, seconds):
        """Until nothing came or went for so long."""
        size = -1
        while size != os.path.getsize(self.log):
            size = os.path.getsize(self.log)
            term.rest(seconds)

    def close(self):
        self.proxy.terminate()
        self.proxy.wait()


@contextlib.contextmanager
def dovecot(directory, **more):
    """PLAIN as most servers have it: SCRAM costs two round trips more."""
    server = Server(directory, relay=False, mechanisms="plain login", **more)
    try:
        yield server
    finally:
        server.close()


def maildir(server, user="bob"):
    """The folder of an empty INBOX."""
    return maildir_of(os.path.join(server.dir, "home", user, "Maildir"))


def maildir_of(path):
    shutil.rmtree(path, ignore_errors=True)
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub))
    return path


def put(path, number, stamp, text, flags=""):
    """A message of that date into a Maildir."""
    name = os.path.join(path, "cur", "%d.M%dP1.bench:2,%s" % (stamp, number, flags))
    with open(name, "w") as f:
        f.write(text)
    os.utime(name, (stamp, stamp))


def dated(stamp):
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(stamp))


def numbered(i, stamp):
    return message("subject %d" % i, "line %d\n" % i * 20).replace("Sun, 22 Nov 2026 10:00:00 +0000", dated(stamp))


def fill(server, count, user="bob"):
    """`count` messages "subject N", one a minute, and the server's own cache of them, before the clock runs."""
    path, stamp = maildir(server, user), int(time.time()) - count * 60
    for i in range(count):
        put(path, i, stamp + i * 60, numbered(i, stamp + i * 60), "S")
    owned(path)
    with server.imap(user) as imap:
        imap.select("INBOX", readonly=True)
        imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE MESSAGE-ID)] RFC822.SIZE INTERNALDATE)")


def owned(path):
    subprocess.run(["chown", "-R", "mail:mail", path], check=False)


def cpu(pid):
    """Seconds of processor that it has used."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


def query(user, sql, account="work", name="cache"):
    """A number of cache.db, or of keep.db; None while there is none."""
    path = "file:%s?mode=ro" % os.path.join(user.store, "state", account, name + ".db")
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, uri=True, timeout=10)) as db:
        return db.execute(sql).fetchone()[0]
    return None


def rows(user, term, count, where="1", timeout=600, account="work"):
    """When that many messages have rows such as these; None if they did not come."""
    end = time.monotonic() + timeout
    while (query(user, "select count(*) from msg where " + where, account) or 0) < count:
        if time.monotonic() > end:
            return None
        term.rest(0.2)
    return time.monotonic()


def programs(root):
    """pid -> name of everything that runs on this store."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            argv = open("/proc/%s/cmdline" % pid, "rb").read().split(b"\0")
            if root.encode() in b" ".join(argv + [open("/proc/%s/environ" % pid, "rb").read()]) and tap.BUILD.encode() in argv[0]:
                out[int(pid)] = os.path.basename(argv[0].decode())
    return out


def ended(user, timeout=600):
    """Until no program of this user is left: what comes next begins cold."""
    end = time.monotonic() + timeout
    while programs(user.root) and time.monotonic() < end:
        time.sleep(0.2)


def field(path, name):
    for line in open(path):
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def memory(root):
    """[(program, PSS in KiB, private dirty in KiB)]"""
    out = []
    for pid, name in programs(root).items():
        with contextlib.suppress(OSError):
            out.append((name, field("/proc/%d/smaps_rollup" % pid, "Pss:"), field("/proc/%d/smaps_rollup" % pid, "Private_Dirty:")))
    return sorted(out)


def wakeups(root):
    return {(pid, name): field("/proc/%d/status" % pid, "voluntary_ctxt_switches:") for pid, name in programs(root).items()}


def table(title, near, far, rtt):
    """Two dictionaries of figures beside each other; seconds with their ratio, all else as it is."""
    print("%s\n%-52s %11s %11s %7s" % (title, "", "0 ms", "%d ms" % rtt, "ratio"))
    for name in dict.fromkeys([*near, *far]):
        a, b = (NAN if v is None else v for v in (near.get(name), far.get(name)))
        if isinstance(a, int) or isinstance(b, int):
            print("%-52s %11s %11s" % (name, a, b))
        else:
            print("%-52s %9.4f s %9.4f s %7.2f" % (name, a, b, b / a if a else NAN), flush=True)
