#!/usr/bin/env python3
"""What tuimail holds and does while nobody does anything: memory (sum of PSS of all its programs, 10 s after the last activity) with
an empty account, with a large INBOX, and with further accounts; then wake-ups and terminal bytes over a minute of rest.

    make bench            or: python3 tests/bench/footprint.py [MESSAGES]

TUIMAIL_BENCH_SERVER=HOST:PORT:CA:BIG:EMPTY:MORE uses mailboxes of a server that runs already (users' names; password "secret") in place
of making them. Prints figures; asserts nothing."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import tap
from dovecot import Server
from user import User, message

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
QUIET = 10  # seconds without activity before memory is measured
REST = 60   # seconds of rest over which wake-ups are counted


class Screen:
    """The program on a pty whose output is read and counted."""

    def __init__(self, user):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(tap.TUIMAIL, [tap.TUIMAIL, "-c", user.rc], {**os.environ, **user.env, "TERM": "xterm-256color"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def rest(self, seconds):
        """Bytes written to the terminal meanwhile."""
        end, n = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            if select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                n += len(os.read(self.fd, 65536))
        return n

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def programs(root):
    """pid -> name of everything that runs on this store."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = open("/proc/%s/cmdline" % pid, "rb").read().split(b"\0")
            if root.encode() in b" ".join(argv + [open("/proc/%s/environ" % pid, "rb").read()]) and tap.BUILD.encode() in argv[0]:
                out[int(pid)] = os.path.basename(argv[0].decode())
        except (OSError, IndexError):
            pass
    return out


def field(path, name):
    for line in open(path):
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def memory(root):
    """[(program, PSS in KiB, private dirty in KiB)]"""
    rows = []
    for pid, name in programs(root).items():
        try:
            rows.append((name, field("/proc/%d/smaps_rollup" % pid, "Pss:"), field("/proc/%d/smaps_rollup" % pid, "Private_Dirty:")))
        except OSError:
            pass
    return sorted(rows)


def wakeups(root):
    return {(pid, name): field("/proc/%d/status" % pid, "voluntary_ctxt_switches:") for pid, name in programs(root).items()}


def query(user, account, sql):
    done = subprocess.run(["sqlite3", "file:%s?mode=ro" % os.path.join(user.store, "state", account, "cache.db"), sql],
                          capture_output=True, text=True).stdout.strip()
    return int(done) if done.isdigit() else None


def settled(user, accounts):
    """Lists are whole and the index has taken all of them."""
    for account in accounts:
        if query(user, account, "select count(*) from box where known<exists_ or exists_>4000000000") != 0:
            return False
        if query(user, account, "select count(*) from msg where istate>0 or (attrs & 32)=0") != 0:
            return False
    return True


def measure(base, name, lines, accounts, rest):
    user = User(os.path.join(base, name), lines=lines)
    screen = Screen(user)
    try:
        deadline = time.monotonic() + 1800
        while not settled(user, accounts) and time.monotonic() < deadline:
            screen.rest(2)
        screen.rest(QUIET)
        rows = memory(user.root)
        print("%s: %d KiB" % (name, sum(r[1] for r in rows)))
        for program, pss, dirty in rows:
            print("    %-10s PSS %6d KiB, private dirty %6d KiB" % (program, pss, dirty))
        if rest:
            before = wakeups(user.root)
            bytes_out = screen.rest(REST)
            after = wakeups(user.root)
            counts = {k: after[k] - before[k] for k in before if k in after}
            print("    rest of %d s: %d wake-ups (%s), %d bytes to the terminal" % (
                REST, sum(counts.values()), ", ".join("%s %d" % (k[1], v) for k, v in sorted(counts.items(), key=lambda i: i[0][1])),
                bytes_out), flush=True)
        return sum(r[1] for r in rows)
    finally:
        screen.close()
        time.sleep(4)


def account(name, port, ca, user, base):
    password = os.path.join(base, "password")
    with open(password, "w") as f:
        f.write("secret\n")
    os.chmod(password, 0o600)
    return "account %s imaps://%s@localhost:%d\nset -a %s tls-ca-file %s\nset -a %s password-file %s\n" % (
        name, user, port, name, ca, name, password)


def fill(server, user):
    maildir = os.path.join(server.dir, "home", user, "Maildir")
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(maildir, sub), exist_ok=True)
    stamp = int(time.time()) - COUNT * 60
    for i in range(COUNT):
        text = message("subject %d" % i, "line %d\n" % i * 20).replace(
            "Sun, 22 Nov 2026 10:00:00 +0000", time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(stamp + i * 60)))
        with open(os.path.join(maildir, "cur", "%d.M%dP1.bench:2,S" % (stamp + i * 60, i)), "w") as f:
            f.write(text)
    subprocess.run(["chown", "-R", "mail:mail", maildir], check=False)


def main():
    with tap.directory() as base:
        given, server = os.environ.get("TUIMAIL_BENCH_SERVER"), None
        if given:
            host, port, ca, big, empty, more = given.split(":")
        else:
            server = Server(os.path.join(base, "dovecot"), relay=False)
            port, ca, big, empty, more = server.info["imaps"], server.info["ca"], "bob", "alice", "carol"
            fill(server, big)
        try:
            one = [account(n, int(port), ca, u, base) for n, u in (("empty", empty), ("big", big), ("more", more))]
            measure(base, "empty account", one[0], ["empty"], True)
            large = measure(base, "large account", one[1], ["big"], True)
            all_ = measure(base, "large, empty and a further account", "".join(one), ["empty", "big", "more"], True)
            print("each further account: %d KiB" % ((all_ - large) // 2))
        finally:
            if server:
                server.close()


if __name__ == "__main__":
    main()
