"""A user with an empty home and a tuimailrc; commands run as that user would run them."""
import contextlib
import glob
import os
import re
import subprocess
import time

from tap import BUILD, TUIMAIL
from term import Terminal


def message(subject, body="Hello.\n", sender="Alice Example <alice@example.org>", extra=""):
    """A small RFC 5322 message; its id is made of the subject's letters."""
    ident = "".join(c for c in subject if c.isalnum() and c.isascii())
    return ("From: %s\nTo: Bob <bob@example.org>\nSubject: %s\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n"
            "Message-ID: <%s@example.org>\n%s\n%s" % (sender, subject, ident, extra, body))


def eventually(what, test, timeout=90):
    """Polls `test` until it holds; a bound for things that happen behind the user's back."""
    deadline = time.monotonic() + timeout
    while not test():
        if time.monotonic() > deadline:
            raise AssertionError("in %d s it did not happen that %s" % (timeout, what))
        time.sleep(0.1)


class User:
    """`server` may be None; `lines` are added to the tuimailrc."""

    def __init__(self, root, server=None, user="bob", protocol="imaps", port=None, lines="", account=True):
        self.root = root
        for d in ("home", "run"):
            os.makedirs(os.path.join(root, d), mode=0o700, exist_ok=True)
        self.rc = os.path.join(root, "tuimailrc")
        self.password = os.path.join(root, "password")
        with open(self.password, "w") as f:
            f.write("secret\n")
        os.chmod(self.password, 0o600)
        text = ""
        if account and server:
            text = ("account work %s://%s@localhost:%d\nset -a work tls-ca-file %s\nset -a work password-file %s\n"
                    'set -a work from "Bob Example <%s@example.org>"\nset -a work send smtps://%s@localhost:%d\n'
                    % (protocol, user, port or server.info[protocol], server.info["ca"], self.password, user, user,
                       server.info.get("submissions", 9)))
        self.write_rc(text + lines)
        self.env = {"HOME": os.path.join(root, "home"), "XDG_RUNTIME_DIR": os.path.join(root, "run"),
                    "XDG_CONFIG_HOME": os.path.join(root, "home", ".config"),
                    "XDG_DATA_HOME": os.path.join(root, "home", ".data"), "LC_ALL": "C.UTF-8", "EDITOR": "true"}
        self.store = os.path.join(self.env["XDG_DATA_HOME"], "tuimail")

    def write_rc(self, text):
        with open(self.rc, "w") as f:
            f.write(text)
        os.chmod(self.rc, 0o600)

    def run(self, *args, stdin=None, env=None, timeout=120):
        """CompletedProcess of `tuimail ARGS` with text output."""
        return subprocess.run((TUIMAIL, "-c", self.rc) + args, input=stdin, capture_output=True, text=True,
                              env=dict(os.environ, **self.env, **(env or {})), timeout=timeout)

    def command(self, *args, stdin=None, status=0, env=None):
        """Output of a command that must end with `status` (None: any)."""
        done = self.run(*args, stdin=stdin, env=env)
        if status is not None and done.returncode != status:
            raise AssertionError("tuimail %s: status %d, not %d\n%s%s\n%s" % (
                " ".join(args), done.returncode, status, done.stdout, done.stderr, self.logs()))
        return done.stdout

    def start(self, cols=80, rows=24, env=None, term="tmux-256color", args=()):
        return Terminal([TUIMAIL, "-c", self.rc] + list(args), cols, rows, env=dict(self.env, **(env or {})), term=term)

    @contextlib.contextmanager
    def at_screen(self, **how):
        """Starts it and ends it; where the test fails its logs are printed."""
        term = self.start(**how)
        try:
            yield term
        except BaseException:
            print("\n".join("# " + line for line in self.logs().splitlines()[-200:]))
            raise
        finally:
            term.close()

    def settled(self):
        """Waits until nothing is under way on the IMAP line: the last command sent is IDLE (log-level debug). What a Dovecot sees just while it
        answers another command it may not tell."""
        def idles():
            with open(os.path.join(self.store, "log", "fetch.log"), errors="replace") as f:
                sent = re.findall(r"> T\d+ (\w+)", f.read())
            return sent and sent[-1] == "IDLE"
        eventually("the line is watched", lambda: idles() and (time.sleep(0.3) or idles()))

    def programs(self):
        """[(pid, name)] of those that run: each has this directory in its environment or its arguments."""
        found, mark = [], self.root.encode()
        for proc in glob.glob("/proc/[0-9]*"):
            try:
                exe = os.readlink(proc + "/exe")
                with open(proc + "/environ", "rb") as env, open(proc + "/cmdline", "rb") as args:
                    if exe.startswith(BUILD) and mark in env.read() + args.read():
                        found.append((int(proc[6:]), os.path.basename(exe)))
            except OSError:
                pass
        return found

    def logs(self):
        """The programs' logs, for the report of a failed test."""
        folder, out = os.path.join(self.store, "log"), []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), errors="replace") as f:
                out.append("--- %s\n%s" % (name, f.read()[-4000:]))
        return "\n".join(out)

    def editor(self, text):
        """An $EDITOR that keeps the headers of the draft and writes `text` as its body."""
        path = os.path.join(self.root, "editor")
        with open(path, "w") as f:
            f.write("#!/bin/sh\nsed '/^$/q' \"$1\" > \"$1.new\"\nprintf '%%s\\n' '%s' >> \"$1.new\"\n"
                    "mv \"$1.new\" \"$1\"\n" % text)
        os.chmod(path, 0o755)
        return path
