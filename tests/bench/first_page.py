#!/usr/bin/env python3
"""How soon the first page is there, how soon a key is answered, and what it costs: an INBOX of 10,000 messages over a line with
100 ms round trip (delayproxy), and the same without delay, in one run.

    make bench            or: python3 tests/bench/first_page.py [MESSAGES] [RTT-MS]

Prints seconds and ratios; asserts nothing. Times are stamped when bytes are read from the terminal."""
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

import pyte  # Debian: python3-pyte, for /usr/bin/python3

import tap
from dovecot import Server, free_ports
from user import User, message

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
RTT = int(sys.argv[2]) if len(sys.argv) > 2 else 100


class Pty:
    """The program on a bare pty: when did which bytes come?"""

    def __init__(self, argv, env, cols=120, rows=40):
        self.start = time.monotonic()
        self.screen = pyte.Screen(cols, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, {**os.environ, **env, "TERM": "xterm-256color"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def read_until(self, test, timeout):
        """Seconds from the start of the program until `test(screen)`, and the bytes read; the time is that of the read."""
        begin, n = time.monotonic(), 0
        while time.monotonic() - begin < timeout:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    break
                at = time.monotonic()
                n += len(data)
                self.stream.feed(data)
                if test("\n".join(self.screen.display)):
                    return at - self.start, n
        return None, n

    def drain(self, quiet):
        while select.select([self.fd], [], [], quiet)[0]:
            os.read(self.fd, 65536)

    def key(self, text, timeout=5, quiet=0.06):
        """Seconds until the first byte of the answer, and all its bytes until `quiet` seconds of silence."""
        begin = time.monotonic()
        os.write(self.fd, text)
        took, n = None, 0
        while select.select([self.fd], [], [], timeout if took is None else quiet)[0]:
            n += len(os.read(self.fd, 65536))
            took = took or time.monotonic() - begin
        return took, n

    def close(self):
        try:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


def pss(root):
    """Proportional memory in KiB of each program that works on this store."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = open("/proc/%s/cmdline" % pid, "rb").read().split(b"\0")
            environ = open("/proc/%s/environ" % pid, "rb").read()
            if not (root.encode() in b" ".join(argv) or root.encode() in environ) or tap.BUILD.encode() not in argv[0]:
                continue
            for line in open("/proc/%s/smaps_rollup" % pid):
                if line.startswith("Pss:"):
                    name = os.path.basename(argv[0].decode())
                    out[name] = out.get(name, 0) + int(line.split()[1])
        except (OSError, IndexError):
            continue
    return out


def median(values):
    values = sorted(v for v in values if v is not None)
    return values[len(values) // 2] if values else float("nan")


def wait_rows(user, term, count, where=""):
    """Reads the terminal until all rows are here."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        term.drain(0)
        done = subprocess.run(["sqlite3", os.path.join(user.store, "state/work/cache.db"), "select count(*) from msg" + where],
                              capture_output=True, text=True).stdout.strip()
        if done.isdigit() and int(done) >= count:
            break
        time.sleep(0.25)


def fill(server):
    """COUNT messages in bob's INBOX, and the server's own cache of them, before the clock runs."""
    maildir = os.path.join(server.dir, "home/bob/Maildir")
    shutil.rmtree(maildir, ignore_errors=True)
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(maildir, sub), exist_ok=True)
    stamp = int(time.time()) - COUNT * 60
    for i in range(COUNT):
        text = message("subject %d" % i, "line %d\n" % i * 20).replace(
            "Sun, 22 Nov 2026 10:00:00 +0000", time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(stamp + i * 60)))
        path = os.path.join(maildir, "cur", "%d.M%dP1.bench:2,S" % (stamp + i * 60, i))
        with open(path, "w") as f:
            f.write(text)
        os.utime(path, (stamp + i * 60, stamp + i * 60))
    subprocess.run(["chown", "-R", "mail:mail", maildir], check=False)
    with server.imap("bob") as imap:
        imap.select("INBOX", readonly=True)
        imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE MESSAGE-ID)] RFC822.SIZE INTERNALDATE)")


def measure(base, server, rtt, name):
    port, = free_ports(1)
    proxy = subprocess.Popen([os.path.join(tap.BUILD, "tests/bench/delayproxy"), str(port), str(server.info["imaps"]), str(rtt),
                              "10000" if rtt else "0", "600"])
    figures = {}
    try:
        user = User(os.path.join(base, name), server, port=port)
        newest = "subject %d" % (COUNT - 1)
        for run in ("cold", "warm"):
            term = Pty([tap.TUIMAIL, "-c", user.rc], user.env)
            figures["first page, " + run], figures["bytes to the screen, " + run] = term.read_until(
                lambda screen: newest in screen, 60)
            if run == "cold":
                begin = time.monotonic()
                os.write(term.fd, b"\x1b[F")  # End, while the list fills
                shown, _ = term.read_until(lambda screen: "subject 0 " in screen, 30)
                figures["End: the oldest row, from launch"] = shown
                figures["End: the oldest row, from the key"] = shown and shown - (begin - term.start)
                os.write(term.fd, b"\x1b[H")
                term.drain(0.1)
                # keys while the rest of the list streams in behind
                times = [term.key(b"j")[0] for _ in range(20)]
                figures["key to screen while filling (j), median"] = median(times)
                wait_rows(user, term, COUNT)
                figures["all rows here"] = time.monotonic() - term.start
                wait_rows(user, term, COUNT, " where attrs & 32")
                figures["all rows whole (second pass)"] = time.monotonic() - term.start
                time.sleep(3)
                term.drain(0.3)
                for what, key in (("j", b"j"), ("page down", b"\x1b[6~"), ("flag", b"F"), ("archive", b"a"), ("undo", b"u")):
                    samples = [term.key(key) for _ in range(15)]
                    figures["key to screen: %s, median" % what] = median([s[0] for s in samples])
                    figures["bytes to the terminal: %s" % what] = median([s[1] for s in samples])
                time.sleep(10)
                figures["pss"] = pss(user.root)
            term.close()
            time.sleep(4)
    finally:
        proxy.terminate()
        proxy.wait()
    return figures


def main():
    with tap.directory() as base:
        server = Server(os.path.join(base, "dovecot"), relay=False)
        try:
            fill(server)
            near = measure(base, server, 0, "near")
            far = measure(base, server, RTT, "far")
            print("%d messages: figure, at 0 ms, at %d ms, ratio" % (COUNT, RTT))
            for key in near:
                if key == "pss":
                    for program in sorted(set(near[key]) | set(far[key])):
                        print("PSS %-42s %9d KiB %9d KiB" % (program, near[key].get(program, 0), far[key].get(program, 0)))
                    print("PSS %-42s %9d KiB %9d KiB" % ("sum", sum(near[key].values()), sum(far[key].values())))
                elif key.startswith("bytes"):
                    print("%-46s %9s     %9s" % (key, near[key], far[key]))
                else:
                    a, b = near[key] or float("nan"), far[key] or float("nan")
                    print("%-46s %9.4f s %9.4f s %6.2f" % (key, a, b, b / a))
        finally:
            server.close()


if __name__ == "__main__":
    main()
