#!/usr/bin/env python3
"""The screen on real terminals' descriptions: every TERM draws, a strange one is refused in words, signals and a lost
line end in order, and a key costs few bytes (THREATS 115-117, 123, 165)."""
import base64
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import tap
from tap import TUIMAIL, contains, equal

WELCOME = b"Welcome: read this first"


class Pty:
    """`tuimail demo` on a pseudo terminal of the given size, with a home of its own."""

    def __init__(self, root, rows=24, cols=80, **env):
        os.makedirs(os.path.join(root, "run"), mode=0o700, exist_ok=True)
        base = {"HOME": root, "XDG_RUNTIME_DIR": os.path.join(root, "run"), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        base.update(env)
        size = struct.pack("HHHH", rows, cols, 0, 0)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.environ.pop("NO_COLOR", None)
            os.environ.update(base)
            os.execv(TUIMAIL, [TUIMAIL, "demo"])
        self.status = None

    def read(self, quiet=0.3, limit=20.0):
        """What comes until nothing comes for `quiet` seconds."""
        out = b""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], quiet)[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
        return out

    def wait(self, want, limit=20.0):
        out = b""
        end = time.monotonic() + limit
        while want not in out:
            if time.monotonic() > end:
                raise AssertionError("no %r in %r" % (want, out))
            out += self.read(0.1, 1)
        return out + self.read()

    def type(self, keys):
        os.write(self.fd, keys)
        return self.read()

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def end(self, limit=10.0):
        """Exit status; everything it writes is read meanwhile."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd) if self.fd >= 0 else None
                return os.waitstatus_to_exitcode(status)
            if self.fd >= 0:
                self.read(0.02, 0.05)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("it does not end")


def test_every_terminal_draws():
    for term in ("vt100", "xterm", "linux", "xterm-256color", "screen-256color", "tmux-256color"):
        with tap.directory() as root:
            p = Pty(root, TERM=term)
            p.wait(WELCOME)
            p.type(b"j")
            os.kill(p.pid, signal.SIGTERM)
            equal(p.end(), 0, term)


def test_strange_terminals_are_refused_in_words():
    for term, words in (("no-such-terminal", b"not known"), ("dumb", b"cannot move its cursor"), ("", b"not known")):
        with tap.directory() as root:
            p = Pty(root, TERM=term)
            out = p.wait(words)
            assert b"\x1b" not in out, "no escape sequence for a terminal that nobody knows: %r" % out
            equal(p.end(), 64, term)


def test_no_color_and_ascii():
    with tap.directory() as root:
        p = Pty(root, NO_COLOR="1")
        out = p.wait(WELCOME)
        assert b"[38;5" not in out and b"[48;5" not in out and b"[36m" not in out
        os.kill(p.pid, signal.SIGTERM)
        equal(p.end(), 0)
    with tap.directory() as root:
        p = Pty(root, LC_ALL="C")
        out = p.wait(WELCOME)
        assert all(c < 128 for c in out), "a locale without UTF-8 gets ASCII alone"
        os.kill(p.pid, signal.SIGTERM)
        equal(p.end(), 0)


def test_mail_never_reaches_the_terminal_raw():
    with tap.directory() as root:
        p = Pty(root, 40, 120)
        out = p.wait(b"Your terminal")
        out += p.type(b"*k\r")
        assert b"\x1b]0;is mine" not in out and b"\x1b]52" not in out
        os.kill(p.pid, signal.SIGTERM)
        equal(p.end(), 0)


def test_resize_storm_and_too_small():
    with tap.directory() as root:
        p = Pty(root)
        p.wait(WELCOME)
        for i in range(150):
            p.resize(1 + i % 45, 1 + i * 7 % 190)
            if i % 10 == 0:
                p.type(b"jk")
        p.resize(3, 15)
        p.wait(b"too small")
        p.resize(24, 80)
        p.wait(WELCOME)
        os.kill(p.pid, signal.SIGTERM)
        equal(p.end(), 0)


def test_signals_end_in_order():
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        with tap.directory() as root:
            p = Pty(root)
            p.wait(WELCOME)
            p.type(b"\r")
            os.kill(p.pid, number)
            equal(p.end(), 0, number.name)


def test_a_lost_line_ends_it():
    with tap.directory() as root:
        p = Pty(root)
        p.wait(WELCOME)
        os.close(p.fd)
        p.fd = -1
        equal(p.end(), 0)


def test_suspend_and_continue():
    with tap.directory() as root:
        p = Pty(root)
        p.wait(WELCOME)
        p.type(b"\x1a")
        for _ in range(200):
            pid, status = os.waitpid(p.pid, os.WNOHANG | os.WUNTRACED)
            if pid:
                break
            time.sleep(0.05)
        assert pid and os.WIFSTOPPED(status), "C-z stops it"
        os.kill(p.pid, signal.SIGCONT)
        p.wait(WELCOME)
        p.type(b"q")
        equal(p.end(), 0)


def test_a_key_costs_few_bytes():
    with tap.directory() as root:
        p = Pty(root, 40, 120, TERM="tmux-256color")
        p.wait(WELCOME)
        p.read(1.5)
        p.type(b"jj")
        cost = max(len(p.type(b"j")) for _ in range(3))
        assert 0 < cost <= 330, "j costs %d bytes" % cost
        p.type(b"q")
        equal(p.end(), 0)


def test_a_slow_line_gets_an_arrow():
    """A terminal that takes half a second for a large frame, twice: the bar becomes a mark. Keys come through between the answers."""
    with tap.directory() as root:
        p = Pty(root, 40, 120)
        out, answered = p.wait(WELCOME), 0
        while answered < 2:
            if b"\x1b[5n" in out:
                equal(out.count(b"\x1b[5n"), 2, "questions around the frame")
                os.write(p.fd, b"\x1b[0n")
                p.read(0.6)
                os.write(p.fd, b"\x1b[0n")
                answered += 1
            out = p.type(b"\x0c")
        contains(out, b">")
        cost = max(len(p.type(b"j")) for _ in range(3))
        assert 0 < cost <= 45, "j costs %d bytes" % cost
        os.write(p.fd, b":set arrow-cursor no\r")
        p.read()
        assert len(p.type(b"k")) > 60, "the bar is back"
        p.type(b"q")
        equal(p.end(), 0)


def yanked(out):
    """What an OSC 52 among these bytes holds."""
    return base64.b64decode(out.split(b"\x1b]52;c;", 1)[1].split(b"\x07", 1)[0])


def test_yank_reaches_the_terminal():
    """OSC 52 with the words of the mail in base64, so that nothing of them can end the sequence (THREATS 115)."""
    with tap.directory() as root:
        p = Pty(root, TMUX="")
        p.wait(WELCOME)
        contains(yanked(p.type(b"\x1by")).decode(), "@")
        equal(yanked(p.type(b":yank subject\r")), WELCOME)
        contains(p.type(b":yank link 9999\r"), b"no link 9999")
        p.type(b"q")
        equal(p.end(), 0)


if __name__ == "__main__":
    contains(str(TUIMAIL), "tuimail")
    tap.run(globals())
