#!/usr/bin/env python3
"""A POP3 pass that ends at any of its steps: each write, sync, rename, ledger and index commit, each command sent. Killed before the step are all
programs, or that alone which makes it; or the power is cut, and what was not synced is gone. Then one pass to its end: each mail is here once,
byte for byte, the server holds what the policy says, rows, ledger and index agree with the Maildir (THREATS 86, 87, 158).

A step is a write with those that follow it into the same file. TUIMAIL_CRASH=all (`make crash`) takes each write by itself, with every policy,
and adds sessions of 50 messages."""
import collections
import concurrent.futures
import contextlib
import os
import shutil
import sqlite3
import subprocess
import time

import tap
from pop_script import Mail, Server
from steps import COUNT_ONLY, KILL_ALL, KILL_ONE, Disk, Steps
from tap import TUIMAIL, equal
from user import User, eventually, message

WHOLE = os.environ.get("TUIMAIL_CRASH") == "all"
WORKERS = 8  # most of the time they wait
# Name in tuimailrc, and whether the server keeps what came in this pass and what came long ago.
POLICIES = {"keep": (True, True), "delete": (False, False), "days 14": (True, False), "first": (False, False)}
BODIES = {"bodies": (True, True), "bodies gone": (False, False)}


def crlf(text):
    return text.replace("\n", "\r\n").encode()


class Account:
    """One account with its server. The store begins each time as it was after a pass that brought a first mail; with policy
    "first" there is none before, with those of BODIES the new mail is here too, by its header alone, and max-size is no more."""

    def __init__(self, root, policy, count, size=3000):
        self.policy, self.old = policy, Mail(crlf(message("old")))
        self.fresh = [Mail(crlf(message("new %d" % i, "." + "x" * 70 + "\n" + "body\n" * (size // 5)))) for i in range(count)]
        bodies = policy in BODIES
        self.server = Server([self.old] + (self.fresh if bodies else []))
        os.makedirs(root)
        self.user = User(root, account=False)
        self.user.write_rc('account work pop3://bob@127.0.0.1:%d\nset -a work tls none\nset -a work password-file %s\nset -a work leave "%s"\n'
                           "set timeout 10\n" % (self.server.port, self.user.password, {"days 14": "keep", "first": "delete", "bodies": "keep", "bodies gone": "delete"}.get(policy, policy)))
        self.top = self.user.env["XDG_DATA_HOME"]
        os.mkdir(self.top)
        self.steps = Steps(root, self.top)
        if bodies:
            with open(self.user.rc, "a") as f:
                f.write("set -a work max-size 1K\nset -a work leave keep\n")
        if policy != "first":
            self.fetch()
            self.steps.kill()
        if bodies:
            equal(sorted(len(raw) < 1000 for raw in self.mail_here().values()), [True] * (count + 1), "headers alone")
            with open(self.user.rc) as f:
                text = f.read()
            self.user.write_rc(text.replace("set -a work max-size 1K\nset -a work leave keep\n", ""))
        if policy == "days 14":
            with open(self.user.rc) as f:
                text = f.read()
            self.user.write_rc(text.replace('"keep"', '"days 14"'))
            with contextlib.closing(self.database("keep")) as db:
                db.execute("UPDATE uidl SET delivered = delivered - 20 * 86400")
                db.commit()
        self.first = self.top + ".first"
        os.rename(self.top, self.first)
        self.held = [m for m in self.server.maildrop if m not in self.fresh]

    def database(self, name):
        return sqlite3.connect(os.path.join(self.user.store, "state", "work", name + ".db"), timeout=30)

    def begin(self, at=0, mode=COUNT_ONLY, **how):
        """Ready for a pass that meets the new mail."""
        self.steps.kill()
        shutil.rmtree(self.top, ignore_errors=True)
        shutil.copytree(self.first, self.top)
        self.server.drop()
        self.server.maildrop = self.held + self.fresh
        self.steps.arm(at, mode, fold=not WHOLE, **how)

    def fetch(self):
        done = self.user.run("fetch", env=self.steps.env)
        if done.returncode:
            raise AssertionError("fetch: %d\n%s%s%s" % (done.returncode, done.stdout, done.stderr, self.user.logs()))

    def crash(self):
        """A pass that may not come to its end; true where the step was reached."""
        run = subprocess.Popen((TUIMAIL, "-c", self.user.rc, "fetch"), env=dict(os.environ, **self.user.env, **self.steps.env),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while run.poll() is None and not (self.steps.mode == KILL_ALL and self.steps.fired):
            assert time.monotonic() < deadline, "the pass does not end"
            time.sleep(0.003)
        if self.steps.mode == KILL_ALL and self.steps.fired:
            self.steps.kill()
        run.wait(60)
        self.steps.disarm()
        return self.steps.fired

    def count(self, least=20, **how):
        """A pass as it should be: so many steps. Without the library there would be none, and nothing to test."""
        self.begin(**how)
        self.recover()
        assert self.steps.n >= least, "%d steps alone" % self.steps.n
        return self.steps.n

    def recover(self):
        """One pass to its end puts all in order; the index may need the time of another one."""
        self.fetch()
        self.check()

    def mail_here(self):
        top = os.path.join(self.user.store, "mail", "work")
        return {os.path.join(sub, name): open(os.path.join(top, sub, name), "rb").read() for sub in ("new", "cur") for name in os.listdir(os.path.join(top, sub))}

    def check(self):
        here = self.mail_here()
        want = collections.Counter(m.raw for m in [self.old] + self.fresh)
        got = collections.Counter(here.values())
        equal([raw[:200] for raw in (want - got).elements()], [], "mails lost")
        equal([raw[:200] for raw in (got - want).elements()], [], "mails twice, or not as they were")
        keeps = {**POLICIES, **BODIES}[self.policy]
        stay = (self.fresh if keeps[0] else []) + ([self.old] if keeps[1] else [])
        equal(sorted(m.uidl for m in self.server.maildrop), sorted(m.uidl for m in stay), "mails left on the server")
        names = sorted(os.path.basename(path).split(":")[0] for path in here)
        with contextlib.closing(self.database("cache")) as db:
            rows = db.execute("SELECT name, id FROM msg WHERE name IS NOT NULL").fetchall()
        equal(sorted(name.decode() for name, _ in rows), names, "rows and files")
        with contextlib.closing(self.database("keep")) as db:
            ledger = db.execute("SELECT uidl, state, msg FROM uidl").fetchall()
        ids = {i for _, i in rows}
        for uidl, state, msg in ledger:
            assert state > 0 and msg in ids, "the ledger has %r in state %d, message %r of %r" % (uidl, state, msg, ids)
        equal(sorted(set(m.uidl for m in stay) - set(uidl for uidl, _, _ in ledger)), [], "not in the ledger")
        equal(len(ledger), len(set(uidl for uidl, _, _ in ledger)), "mails of the ledger, each once")
        try:
            eventually("the index has what the Maildir has", lambda: self.indexed() == set(names) or (not self.steps.programs() and self.fetch()))
        except AssertionError as e:
            raise AssertionError("%s: %s and %s" % (e, sorted(self.indexed()), names)) from e

    def safe(self, disk):
        """What the server does not hold any more is durable here."""
        mails = disk.durable(b"tuimail", b"mail", b"work", b"new") + disk.durable(b"tuimail", b"mail", b"work", b"cur")
        left = {m.uidl for m in self.server.maildrop}
        for mail in [self.old] + self.fresh:
            assert mail.uidl in left or mail.raw in mails, "%r is neither on the server nor durable here" % mail.raw[:200]

    def indexed(self):
        done = subprocess.run(("notmuch", "--config=" + os.path.join(self.user.store, "index", "config"), "search", "--output=files", "*"),
                              capture_output=True, text=True)
        return set(os.path.basename(path).split(":")[0] for path in done.stdout.split())

    def close(self):
        self.steps.kill()
        self.server.close()


def together(jobs):
    """Runs work(account) for each (policy, count, work), several at once; failures are told together."""
    failures = []

    def run(job, root):
        policy, count, work = job
        account = Account(root, policy, count)
        try:
            work(account)
        except Exception as e:  # noqa: it is told below
            failures.append("%s, %d messages: %s\n%s" % (policy, count, e, account.user.logs()))
        finally:
            account.close()
    with tap.directory() as root, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, jobs, [os.path.join(root, str(i)) for i in range(len(jobs))]))
    if failures:
        raise AssertionError("%d failures\n%s" % (len(failures), "\n".join(failures)))


def killed(mode, part=0, parts=1, whole=True):
    """A kill at each step of a pass, counted first, or at each of a part of them; if not `whole` between the first RETR and what follows
    QUIT, for what is before and behind is the same with one message."""
    def work(account):
        first, last = 1, account.count()
        record = account.steps.record()
        if not whole:
            first = next(r[0] for r in record if r[1] == "N" and b"RETR" in r[5])
            quits = next(r[0] for r in record if r[1] == "N" and b"QUIT" in r[5])
            last = next((r[0] for r in record if r[0] > quits and r[1] == "S"), last)  # a sync may come before the answer to QUIT
        steps, fired = range(first + part, last + 1, parts), 0
        for at in steps:
            account.begin(at, mode)
            try:
                fired += account.crash()
                account.recover()
            except Exception as e:
                raise AssertionError("step %d: %s" % (at, e)) from e
        assert fired >= len(steps) // 2, "of %d steps %d were reached" % (len(steps), fired)
    return work


def power_cut(account):
    """At each point of a pass where what is durable, there or here, has changed."""
    account.begin()
    disk = Disk(account.top)
    account.recover()
    account.steps.kill()
    served, quitted = list(account.server.maildrop), False
    for step in account.steps.record():
        changed = disk.apply(step)
        quits = step[1] == "N" and b"QUIT" in step[5]
        quitted = quitted or quits
        for names in (False, True):
            for committed in ((False, True) if quitted else (False,)):
                if not changed and not quits:
                    continue
                account.begin()
                shutil.rmtree(account.top)
                disk.write(account.top, names)
                if committed:
                    account.server.maildrop = list(served)
                try:
                    account.recover()
                except Exception as e:
                    raise AssertionError("power cut at step %d (%s%s): %s" % (
                        step[0], "names kept" if names else "names lost", ", QUIT committed" if committed else "", e)) from e


def test_power_cut():
    more = [("keep", 1, power_cut), ("delete", 20, power_cut)] if WHOLE else []  # many are synced together
    together([(policy, 1, power_cut) for policy in ("first", "days 14", "delete")] + more)


def test_killed():
    """All programs at each step."""
    sessions = [(policy, n) for policy in POLICIES for n in (1, 3)] if WHOLE else [("delete", 1), ("days 14", 3)]
    together([(policy, n, killed(KILL_ALL, i, WORKERS, WHOLE or n == 1)) for policy, n in sessions for i in range(WORKERS)])


def test_one_program_killed():
    """The others live on, and the pass goes on or is made again with them."""
    sessions = [(policy, n) for policy in POLICIES for n in (1, 3)] if WHOLE else [("delete", 1)]
    together([(policy, n, killed(KILL_ONE, i, WORKERS)) for policy, n in sessions for i in range(WORKERS)])


def test_body():
    """While the body of a mail comes of which the header is here."""
    sessions = [(policy, n, mode) for policy in BODIES for n in (1, 3) for mode in (KILL_ALL, KILL_ONE)] if WHOLE else [("bodies gone", 1, KILL_ALL)]
    together([(policy, n, killed(mode, i, WORKERS, whole=False)) for policy, n, mode in sessions for i in range(WORKERS)])


def test_fifty_one_program():
    if not WHOLE:
        tap.skip("make crash does it")
    together([(policy, 50, killed(KILL_ONE, i, WORKERS)) for policy in POLICIES for i in range(WORKERS)])


def test_fifty():
    if not WHOLE:
        tap.skip("make crash does it")
    together([(policy, 50, killed(KILL_ALL, i, WORKERS)) for policy in ("keep", "delete", "days 14") for i in range(WORKERS)])


if __name__ == "__main__":
    tap.run(globals())
