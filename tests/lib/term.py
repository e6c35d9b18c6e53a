"""A real terminal for tests: tmux on a socket of its own. Keys in, screen out."""
import os
import shlex
import subprocess
import tempfile
import time

import stuck

PATIENT = 5  # seconds: who waits less is trying


class Terminal:
    """Runs one command in a tmux window of the given size; close() ends it."""

    def __init__(self, argv, cols=80, rows=24, env=None, term="tmux-256color"):
        self.dir = tempfile.mkdtemp(prefix="tuimail-term-")
        self.socket = os.path.join(self.dir, "tmux")
        self.sent = 0  # send-keys, of which tmux keeps the number of the last
        conf = os.path.join(self.dir, "conf")
        with open(conf, "w") as f:
            f.write("set -g default-terminal %s\nset -s escape-time 0\nset -g remain-on-exit on\nset -g status off\n" % term)
        environment = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **(env or {})}
        environment.pop("TMUX", None)
        command = " ".join(shlex.quote(a) for a in argv)
        self.tmux("-f", conf, "new-session", "-d", "-x", str(cols), "-y", str(rows), command, env=environment)
        self.pid = int(self.tmux("display-message", "-p", "#{pane_pid}"))

    def tmux(self, *args, env=None, check=True):
        """What it prints. Now and then tmux 3.3a never answers a client: then another one is asked, what only asks again, keys where they did not arrive."""
        command, keys = ("tmux", "-S", self.socket) + args, args[0] == "send-keys"
        if keys:
            self.sent += 1
            command += (";", "set-option", "-g", "@sent", str(self.sent))
        for last in (False, True):
            try:
                result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)
                break
            except subprocess.TimeoutExpired as e:
                if keys and not last and self.tmux("show-options", "-gqv", "@sent").strip() == str(self.sent):
                    return ""
                if last or args[0] == "new-session":
                    raise AssertionError("tmux did not answer: %s\n%s" % (args, self.server())) from e
        if check and result.returncode:
            raise RuntimeError("tmux %s: %s" % (args, result.stderr))
        return result.stdout

    def keys(self, *keys):
        """tmux key names (Enter, Escape, C-r, Space) or literal text of one character each."""
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def command(self, line):
        """Types it at the `:` prompt."""
        self.keys(":")
        self.type(line)
        self.keys("Enter")

    def go(self, mailbox, want=None, timeout=60):
        """Opens a mailbox by its name; waits for `want`."""
        self.keys("c")
        self.type(mailbox)
        self.keys("Enter")
        if want:
            self.wait(want, timeout)

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def screen_escaped(self):
        return self.tmux("capture-pane", "-p", "-e")

    def resize(self, cols, rows):
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def wait(self, want, timeout=60, gone=False):
        """Waits until `want` (text, or a function of the screen) holds; returns the screen, raises with it otherwise. A picture may be
        taken while one is painted: the one returned has been taken twice."""
        test = want if callable(want) else (lambda screen: want in screen)
        deadline = time.monotonic() + timeout
        before = None
        while True:
            screen = self.screen()
            if bool(test(screen)) != gone:
                if screen == before or time.monotonic() > deadline:
                    return screen
                before = screen
                continue
            if time.monotonic() > deadline:
                why = self.evidence() if timeout >= PATIENT else ""
                raise AssertionError("waited for %s%r; the screen is:\n%s\n%s" % ("the end of " if gone else "", want, screen, why))
            time.sleep(0.05)

    def server(self):
        """What tmux itself is doing."""
        mine = [int(p) for p in os.listdir("/proc") if p.isdigit() and self.socket in stuck.slurp("/proc/%s/cmdline" % p)]
        return "\n".join(stuck.process(pid) for pid in mine)

    def evidence(self):
        """Whose fault it is: has the program read its keys and written its frame, has tmux taken it, does a second client see another picture,
        does the program paint where it is asked to anew?"""
        try:
            dead, status, tty = self.tmux("display-message", "-p", "#{pane_dead} #{pane_dead_status} #{pane_tty}").rstrip("\n").split(" ")
            if dead == "1":
                return "it ended with status %s; all that it wrote outside of its screen:\n%s\n%s" % (
                    status, self.tmux("capture-pane", "-p", "-S", "-", check=False), self.tmux("capture-pane", "-p", "-a", "-q", "-S", "-", check=False))
            words = ["now: " + stuck.evidence(tty, [self.pid])]
            before = self.screen()
            self.tmux("send-keys", "C-l")
            time.sleep(2)
            words.append("the picture %s after C-l" % ("is the same" if self.screen() == before else "changed"))
            self.tmux("resize-window", "-x", "100", "-y", "30")
            time.sleep(2)
            words += ["at another size:\n" + self.screen(), self.server()]
            return "\n".join(words)
        except (AssertionError, OSError, RuntimeError, ValueError) as e:
            return "no evidence: %s" % e

    def exit_status(self, timeout=60):
        """Status of the command once it ended, None while it runs."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            dead, status = (self.tmux("display-message", "-p", "#{pane_dead} #{pane_dead_status}") + " ").split(" ")[:2]
            if dead == "1":
                return int(status.strip() or 0)
            time.sleep(0.05)
        return None

    def close(self):
        self.tmux("kill-server", check=False)
        subprocess.run(["rm", "-rf", self.dir], check=False)
