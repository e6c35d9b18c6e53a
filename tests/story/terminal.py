#!/usr/bin/env python3
"""The screen on real terminals' descriptions: every TERM draws, a strange one is refused in words, signals and a lost
line end in order, and a key costs few bytes (THREATS 115-117, 123, 165)."""
import base64
import fcntl
import os
import pty
import select
import re
import signal
import struct
import subprocess
import termios
import time
from contextlib import closing

import tap
from tap import TUIMAIL, contains, equal
from term import Terminal
from user import User, eventually, message

WELCOME = b"Welcome: read this first"


class Pty:
    """`tuimail demo` (or other arguments) on a pseudo terminal of the given size, with a home of its own."""

    def __init__(self, root, rows=24, cols=80, argv=("demo",), **env):
        os.makedirs(os.path.join(root, "run"), mode=0o700, exist_ok=True)
        base = {"HOME": root, "XDG_RUNTIME_DIR": os.path.join(root, "run"), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        base.update(env)
        size = struct.pack("HHHH", rows, cols, 0, 0)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.environ.pop("NO_COLOR", None)
            os.environ.update(base)
            os.execv(TUIMAIL, (TUIMAIL,) + tuple(argv))
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


def in_tmux(root, term, cols=80, rows=24, argv=(TUIMAIL, "demo")):
    os.makedirs(os.path.join(root, "run"), mode=0o700, exist_ok=True)
    return Terminal(["env", "-u", "NO_COLOR", "-u", "COLORTERM", "TERM=" + term, "HOME=" + root, "TZ=UTC",
                     "XDG_RUNTIME_DIR=" + os.path.join(root, "run")] + list(argv), cols, rows)


def text_of(screen):
    """Without the times of the mails, which are those of the start, and the signs that have a form in ASCII."""
    words = re.sub(r"\d\d:\d\d(:\d\d \+0000)?", "--:--", screen).translate(str.maketrans("●│─…·▸", "N|-.->"))
    return re.sub(r"\.+", ".", words)


def settled(term, number):
    """The picture after all keys so far: a command typed behind them has run."""
    term.command("echo step %d" % number)
    return term.wait(" step %d " % number).replace(" step %d " % number, " step ")


STEPS = ((("j",) * 5, "6 of 11"), (("Enter",), "見積書の件"), (("J", "J", "K"), ""), (("j",), "xylophones"), (("Escape", "v"), ""),
         (("?",), "keys here"), (("q",), ""), (("Tab", "Tab"), ""))


def test_every_terminal_draws():
    """The same picture on what terminals are called: with all their signs, with those that the font of a console has, or in
    ASCII."""
    pictures = {}
    for name in ("xterm-256color", "tmux-256color", "screen", "linux", "vt100"):
        with tap.directory() as root, closing(in_tmux(root, name, 99)) as term:
            term.wait("Your bank")
            term.command("set mark-seen no")
            pictures[name] = []
            for number, (keys, want) in enumerate(STEPS):
                term.keys(*keys)
                term.wait("????" if name == "vt100" and not want.isascii() else want)
                pictures[name].append(settled(term, number))
            term.command("quit")
            equal(term.exit_status(), 0, name)
    assert all(ord(c) < 128 for s in pictures["vt100"] for c in s), "vt100 gets ASCII alone"
    assert "見本 太郎" in pictures["linux"][0] and not set("●↩▸│─") & set("".join(pictures["linux"]))
    assert "●" in pictures["screen"][0] and "─" in "".join(pictures["xterm-256color"])
    for name in ("tmux-256color", "screen", "linux"):
        for step, (a, b) in enumerate(zip(pictures["xterm-256color"], pictures[name])):
            equal(text_of(b), text_of(a), "%s after step %d" % (name, step))


def test_what_is_painted_is_what_is_there():
    """After every step, and a storm of sizes, the screen is that which is painted anew."""
    with tap.directory() as root, closing(in_tmux(root, "tmux-256color", 120, 40)) as term:
        term.wait("Your bank")
        term.command("set mark-seen no")
        count = iter(range(1000))

        def check(what):
            before = settled(term, next(count))
            term.keys("C-l")
            equal(settled(term, next(count)), before, what)
        for keys, want in STEPS:
            term.keys(*keys)
            term.wait(want)
            check(keys)
        for i in range(40):
            term.resize(20 + i * 37 % 150, 6 + i * 13 % 40)
        term.resize(100, 30)
        term.wait(lambda s: "demo live" in s.splitlines()[29])  # drawn for the last size, not one of the storm
        check("a storm of sizes")
        term.command("theme gruvbox")
        check("a theme")
        term.command("quit")
        equal(term.exit_status(), 0)


def test_suspended_in_a_shell():
    """C-z gives the shell its terminal as it was, fg has the picture again, and the end leaves no mode behind."""
    with tap.directory() as root, closing(in_tmux(root, "tmux-256color", argv=("bash", "--norc", "-i"))) as term:
        term.type("PS1='> '; %s demo\n" % TUIMAIL)
        term.wait("Your bank")
        whole = term.screen()
        term.keys("C-z")
        term.wait("Stopped")
        term.type("stty -a | grep -o '[-]*icanon'; echo done\n")
        contains(term.wait("\ndone\n"), "\nicanon")
        term.type("fg\n")
        term.wait("Your bank")
        term.keys("C-l")
        equal(text_of(term.wait("Your bank")), text_of(whole))
        term.keys("q")
        term.wait("> ")
        flags = "#{alternate_on} #{cursor_flag} #{keypad_cursor_flag} #{mouse_any_flag}"
        eventually("the terminal is as it was", lambda: term.tmux("display-message", "-p", flags).strip() == "0 1 0 0")
        term.type("stty -a | grep -o '[-]*icanon'; exit\n")


def test_pasted_text_is_no_command():
    with tap.directory() as root, closing(in_tmux(root, "tmux-256color")) as term:
        term.wait("Your bank")
        term.tmux("set-buffer", "dddq\n:quit\nddd\n")
        term.keys("j")
        term.tmux("paste-buffer", "-p")
        term.keys("k")
        contains(term.wait("1 of 11"), "Welcome")
        term.keys(":")
        term.tmux("set-buffer", "echo one\nquit\n")
        term.tmux("paste-buffer", "-p")
        contains(term.wait("echo one quit"), ":")
        term.keys("Enter")
        term.wait("one quit")
        term.keys("q")


def test_links_lead_where_they_say():
    """OSC 8, its target encoded (THREATS 132), and only where the terminal knows it."""
    def shown(name):
        with tap.directory() as root:
            p = Pty(root, 40, 120, TERM=name, TMUX="")
            p.wait(WELCOME)
            os.write(p.fd, b":jump 7\r\r")
            out = p.wait(b"xylophones")
            os.kill(p.pid, signal.SIGTERM)
            equal(p.end(), 0)
            return out
    out = shown("xterm-256color")
    links = re.findall(rb"\x1b\]8;([^;]*);([^\x1b]*)\x1b\\", out)
    targets = [target for _, target in links]
    assert any(t.startswith(b"https://") for t in targets) and targets[-1] == b"", links
    for ident, target in links:
        assert re.fullmatch(rb"(id=[0-9a-f]+)?", ident) and re.fullmatch(rb"[!-~]*", target), links
    assert b"\x1b]8" not in shown("linux")


def test_colours_of_the_terminal():
    def shown(keys=b"", **env):
        with tap.directory() as root:
            p = Pty(root, 24, 80, **env)
            out = p.wait(WELCOME) + p.type(keys)
            os.kill(p.pid, signal.SIGTERM)
            equal(p.end(), 0)
            return out, {c for s in re.findall(rb"\x1b\[([0-9;]*)m", out) for c in s.split(b";")}
    out, _ = shown(b":theme nord\r", COLORTERM="truecolor")
    assert b"38;2;" in out and b"48;2;46;52;64" in out, "24-bit colours where the terminal has them"
    out, _ = shown(b":theme nord\r", COLORTERM="")
    assert b"38;2;" not in out and b"38;5;" in out, "else the nearest of 256"
    _, codes = shown(TERM="linux")
    assert b"38" not in codes and b"48" not in codes and b"44" in codes, "16 on a terminal of eight colours: %r" % codes
    _, codes = shown(b":theme dark\r", NO_COLOR="1")
    assert not codes - {b"", b"0", b"1", b"2", b"4", b"7", b"22", b"24", b"27"}, "attributes alone: %r" % codes
    assert b"7" in codes


def test_modes_begin_and_end():
    """Mouse, focus, paste and synchronized updates: asked for where the terminal can, and ended."""
    with tap.directory() as root:
        p = Pty(root, 24, 80, TMUX="")
        out = p.wait(WELCOME)
        assert b"\x1b[?2004h" in out and b"\x1b[?1004h" in out and b"\x1b[?1000" not in out, out
        assert out.count(b"\x1b[?2026$p") == 1 and b"\x1b[?2026h" not in out
        os.write(p.fd, b"\x1b[?2026;2$y")
        os.write(p.fd, b"?")
        out = p.wait(b"\x1b[?2026l")
        assert re.fullmatch(rb"(\x1b\[5n)?\x1b\[\?2026h.*\x1b\[\?2026l(\x1b\[5n)?", out, re.S), "a large frame is one: %r" % out[:80]
        p.type(b"q")
        p.type(b"\x1b[O")
        p.type(b"\x1b[I")
        assert b"\x1b[?1006;1000h" in p.type(b":set mouse yes\r")
        os.write(p.fd, b"\x1b[<0;20;4M\x1b[<0;20;4m" * 2)  # the third mail, then once more
        p.wait(b"Cc ")
        p.type(b"q")
        out = p.type(b"\x1b[<65;20;4M")  # the wheel
        assert b"\x1b" in out
        assert b"\x1b[?1006;1000l" in p.type(b":set mouse no\r")
        os.write(p.fd, b"q")
        out = b""
        while b"\x1b[?1004l" not in out:
            out += p.read(0.2, 5)
        assert b"\x1b[?2004l" in out
        equal(p.end(), 0)


def test_what_follows_escape():
    """A key that comes within option escape-time is one with Alt, as mutt's fingers type it. And a title is the pane's own inside tmux."""
    with tap.directory() as root:
        p = Pty(root, TMUX="/tmp/tmux-0/default,1,0")
        p.wait(WELCOME)
        p.type(b":set escape-time 5000\r")
        os.write(p.fd, b"\x1b")
        p.read()
        contains(p.type(b"y"), b"\x1b]52;c;")
        contains(p.type(b":set notify title\r"), b"\x1b]2;tuimail")
        assert b"\x1b\x1b]2;" not in p.type(b":set notify bell\r"), "past tmux"
        p.type(b"q")
        equal(p.end(), 0)


def test_a_lost_terminal_goes_on_at_the_next_start():
    with tap.directory() as root:
        mail = os.path.join(root, "mail")
        for box in ("", ".Lists"):
            for d in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(mail, box, d), mode=0o700)
        for i in range(12):
            with open(os.path.join(mail, ".Lists", "cur", "%d.m:2,S" % (1700000000 + i)), "w") as f:
                f.write(message("list mail %d" % i))
        user = User(root, lines='account work maildir:%s\nset -a work from "Bob Example <bob@example.org>"\n' % mail)
        with user.at_screen(cols=100) as term:
            term.wait("Lists")
            term.go("Lists", "list mail 3")
            term.keys("j", "j", "j", "Enter")
            subject = term.wait("Subject ").split("Subject  ", 1)[1].split("\n")[0].strip()
            term.command("compose carol@example.org")
            term.wait("y send")
            os.kill(term.pid, signal.SIGHUP)
            equal(term.exit_status(), 0)
        with user.at_screen(cols=100) as term:
            contains(term.wait("goes on there"), "the terminal went away at")
            term.keys("R")
            contains(term.wait("y send"), "carol@example.org")
            term.command("previous-buffer")
            contains(term.wait("Subject "), subject)
            term.keys("q", "q", "q")


def test_strange_terminals_are_refused_in_words():
    for term, words in (("no-such-terminal", b"not known"), ("dumb", b"cannot move its cursor"), ("", b"not known")):
        with tap.directory() as root:
            p = Pty(root, TERM=term)
            out = p.wait(words)
            assert b"\x1b" not in out, "no escape sequence for a terminal that nobody knows: %r" % out
            equal(p.end(), 64, term)


def test_ascii():
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
                os.write(p.fd, b"jk")
                p.read(0.02, 0.1)
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
        os.write(p.fd, b"\x1b[0n" * out.count(b"\x1b[5n"))
        cost = max(len(p.type(b"j")) for _ in range(3))
        assert 0 < cost <= 45, "j costs %d bytes" % cost
        os.write(p.fd, b":set arrow-cursor no\r")
        p.read()
        assert len(p.type(b"k")) > 60, "the bar is back"
        p.type(b"q")
        equal(p.end(), 0)


def taken(p, rate, until, limit=60):
    """A line of `rate` bytes a second to a terminal that answers: all that it brings until there is nothing for so long."""
    out, quiet, end = b"", time.monotonic(), time.monotonic() + limit
    while time.monotonic() < quiet + until:
        assert time.monotonic() < end, "it never ends: %d bytes" % len(out)
        time.sleep(0.05)
        if select.select([p.fd], [], [], 0)[0]:
            got = os.read(p.fd, rate // 20)
            before, out, quiet = len(out), out + got, time.monotonic()
            for _ in range(out.count(b"\x1b[5n", max(before - 3, 0))):
                os.write(p.fd, b"\x1b[0n")
    return out


def test_a_line_that_stands_still():
    """Nothing is taken from it: the program hears others all the same, goes on where it is taken again, with what is true then, and ends
    when it is told to."""
    with tap.directory() as root:
        mail = os.path.join(root, "mail")
        for d in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(mail, d), mode=0o700)
        for i in range(30):
            with open(os.path.join(mail, "cur", "%d.m:2,S" % (1700000000 + i)), "w") as f:
                f.write(message("mail number %d" % i))
        user = User(root, lines="account work maildir:%s\n" % mail)
        p = Pty(root, 40, 120, ("-c", user.rc), **user.env)
        p.wait(b"mail number 3")
        for _ in range(60):
            os.write(p.fd, b"\x0c")
            time.sleep(0.02)
        user.command("cmd", "echo still here")
        for i in range(30):
            p.resize(20 + i, 80 + i)
        user.command("cmd", "jump 5")
        p.resize(30, 100)
        out = p.wait(b"5 of 30")
        assert len(out) < 100000, "a backlog: %d bytes" % len(out)
        p.type(b"k")
        for _ in range(60):
            os.write(p.fd, b"\x0c")
            time.sleep(0.02)
        os.kill(p.pid, signal.SIGTERM)
        eventually("it ends", lambda: os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
        equal(p.end(), 0)


def test_a_slow_line_has_no_backlog():
    """At 2,000 bytes a second no more than some frames are on their way when keys end, however many were typed."""
    with tap.directory() as root:
        p = Pty(root, 24, 80)
        out = taken(p, 2000, 2)
        contains(out, WELCOME)
        os.write(p.fd, b"\x0c")
        taken(p, 2000, 2)
        for i in range(50):
            os.write(p.fd, b"\x0c")
            time.sleep(0.02)
        os.write(p.fd, b"jjj")
        out = taken(p, 2000, 2)
        assert len(out) < 6000, "a backlog: %d bytes" % len(out)
        contains(p.type(b"?") + taken(p, 20000, 1), b"keys here")
        os.kill(p.pid, signal.SIGTERM)
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
        p.type(b":select-range\r:jump 2\r:select-range\r")
        lines = yanked(p.type(b":yank subject\r")).split(b"\n")
        equal([lines[0] in (WELCOME, b"Archive me with a, then take it back with u"), len(lines)], [True, 2])
        p.type(b"q")
        equal(p.end(), 0)


if __name__ == "__main__":
    contains(str(TUIMAIL), "tuimail")
    tap.run(globals())
