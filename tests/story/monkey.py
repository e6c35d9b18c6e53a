#!/usr/bin/env python3
"""Random keys at the real programs, seeded: after every few of them the screen still answers, and the program ends only
in order. TUIMAIL_MONKEY=SEED:ROUNDS for others and more; what fails says what each process was doing."""
import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import termios
import time

import stuck
import tap
from tap import TUIMAIL
from user import User, message

NAMED = [b"\r", b"\t", b"\x1b[Z", b"\x1b", b"\x7f", b"\x1b[3~", b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D", b"\x1b[H", b"\x1b[F",
         b"\x1b[5~", b"\x1b[6~", b"\x07", b"\x12", b"\x1ba", b"\x1bc", b"\x17", b"\x1b[200~", b"\x1b[201~", "😀".encode(),
         "\u0301".encode(), b"\x1b[I", b"\x1b[O", b"\x1b[<0;20;4M", b"\x1b[<64;2;2M", b"\x1b[", b"\x1bO", b"\xff", b"\x1b[?2026;2$y",
         b"\x1b[0n", b"\x0c", b"\x1bOP", b"\x00"]
ANSWER_S = 60  # a bound, not an expectation
NOT_TYPED = re.compile(rb"(quit|shell|pipe|suspend)")  # what ends the round, not the program


class Screen:
    """The program on a pseudo terminal; everything that it writes is read at once, the last of it kept."""

    def __init__(self, user):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.environ.update(user.env, TERM="xterm-256color", SHELL="/bin/true", EDITOR="/bin/true")
            os.environ.pop("TMUX", None)
            os.chdir(user.root)
            os.execv(TUIMAIL, [TUIMAIL, "-c", user.rc])
        self.tty, self.out, self.status = os.readlink("/proc/%d/fd/0" % self.pid), b"", None
        while b"mail 5" not in self.out and self.ended() is None:
            self.read(0.1)

    def read(self, wait):
        if select.select([self.fd], [], [], wait)[0]:
            try:
                self.out = (self.out + os.read(self.fd, 65536))[-200000:]
                return True
            except OSError:
                pass
        return False

    def ended(self):
        """Its status once it ended. Stopped by a key, it goes on."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                os.kill(self.pid, signal.SIGCONT)
            elif pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def type(self, keys):
        while keys:
            self.read(0)
            if select.select([], [self.fd], [], 0.1)[1]:
                keys = keys[os.write(self.fd, keys[:64]):]
            if self.ended() is not None:
                return

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def answers(self, number):
        """Is a command shown that is typed behind all keys so far, once nothing else is open? True too where it ended."""
        want, deadline = b"step %d." % number, time.monotonic() + ANSWER_S
        again = 0.0
        self.resize(24, 80)
        while want not in self.out and self.ended() is None and time.monotonic() < deadline:
            if time.monotonic() > again:  # what asks is answered, what is open closed, a paste ended
                self.type(b"\x1b[201~")
                for key in (b"n", b"\x1b", b"\x1b", b"\x1b", b":echo step %d.\r" % number, b"\x0c"):
                    self.type(key)
                    for _ in range(4):
                        self.read(0.02)
                again = time.monotonic() + 1
            self.read(0.2)
        return want in self.out or self.ended() is not None

    def close(self):
        if self.ended() is None:
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while self.ended() is None and time.monotonic() < deadline:
            self.read(0.1)
        if self.ended() is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def mails(root):
    mail = os.path.join(root, "mail")
    for box in ("", ".Lists", ".Archive", ".Trash", ".Drafts"):
        for d in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(mail, box, d), mode=0o700)
    for i in range(60):
        extra = "" if i % 3 == 0 else "References: <mail%d@example.org>\n" % (i - i % 3)
        text = message("mail %d" % i, "see https://example.org/%d\n> quoted\n" % i, "Alice %d <a%d@example.org>" % (i % 7, i % 7), extra)
        with open(os.path.join(mail, (".Lists" if i % 4 == 0 else ""), "cur", "%d.m:2,%s" % (1700000000 + i * 4000, "S" * (i % 2))), "w") as f:
            f.write(text)
    return mail


def commands(user):
    """Names for `:`."""
    names = [line.split("\t")[0].encode() for line in user.command("dump", "commands", "tsv").splitlines()]
    return sorted(n for n in names if not NOT_TYPED.match(n))


def some_keys(rng, names):
    kind = rng.random()
    if kind < 0.1:
        return b":" + rng.choice(names) + rng.choice((b"\r", b" \t\r", b" 1\r", b" Lists\r", b" -x\r", b" mail\r"))
    if kind < 0.4:
        return rng.choice(NAMED)
    return bytes([rng.randrange(32, 127)])


def play(seed, rounds):
    rng = random.Random(seed)
    with tap.directory() as root:
        lines = ('account work maildir:%s\nset -a work from "Bob Example <bob@example.org>"\nset escape-time 5\n' % mails(root))
        user = User(root, lines=lines)
        names = commands(user)
        screen, typed, number = Screen(user), [], 0
        try:
            for number in range(1, rounds + 1):
                typed = []
                for _ in range(rng.randrange(5, 40)):
                    typed.append(some_keys(rng, names))
                    screen.type(typed[-1])
                    if rng.random() < 0.03:
                        size = rng.randrange(1, 60), rng.randrange(1, 200)
                        typed.append(size)
                        screen.resize(*size)
                    if rng.random() < 0.3:
                        screen.read(rng.choice((0, 0.01, 0.05)))
                assert screen.answers(number), failure(screen, seed, number, typed)
                if screen.ended() is not None:
                    assert screen.status == 0, failure(screen, seed, number, typed)
                    os.close(screen.fd)
                    screen = Screen(user)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, user.logs())) from e
        finally:
            screen.close()


def failure(screen, seed, number, typed):
    """All that is known when it does not answer, or ended otherwise than in order."""
    what = "no answer" if screen.status is None else "it ended with status %d" % screen.status
    words = ["seed %d, round %d: %s after %r" % (seed, number, what, typed)]
    if screen.status is None:
        words.append(stuck.evidence(screen.tty, [screen.pid]))
        screen.read(1)
    return "\n".join(words + ["what it wrote last: %r" % screen.out[-3000:]])


def test_random_keys():
    seed, _, rounds = os.environ.get("TUIMAIL_MONKEY", "").partition(":")
    play(int(seed or 20261122), int(rounds or 40))


if __name__ == "__main__":
    tap.run(globals())
