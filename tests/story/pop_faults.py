#!/usr/bin/env python3
"""What can go wrong in a POP3 pass besides a kill (pop_crash): a disk that is full or fails, at each step; a Maildir that goes away; a clock that
jumps; a line cut in each kind of place, a server that lies, stops in the middle or is locked, a password that changes; other programs in the same
Maildir. Whatever it was: no mail is lost or twice, nothing is deleted on the server that is not safe here, and the next pass goes on."""
import contextlib
import errno
import os
import shutil
import subprocess
import threading
import time

import tap
from pop_crash import WHOLE, Account, together
from pop_script import NOT_MINE
from steps import FAIL_ON, FAIL_ONCE, Disk
from tap import equal


def fails(account):
    """A pass that may fail, but ends."""
    done = account.user.run("fetch", env=account.steps.env, timeout=60)
    account.steps.disarm()
    return done


def failing(error, mode, kinds, part=0, parts=1, cut=False):
    """Each step of these kinds fails, once or from then on, and all is in order with the next pass of the same programs. With `cut` the power goes
    before that: what the server does not hold any more is safe here, as the disk has it."""
    def work(account):
        for at in range(1 + part, account.count(4, kinds=kinds) + 1, parts):
            account.begin(at, mode, error=error, kinds=kinds)
            try:
                disk = Disk(account.top)
                done = fails(account)
                if cut:
                    account.steps.kill()
                    for step in account.steps.record():
                        disk.apply(step)
                    account.safe(disk)
                if done.returncode == 0 and account.server.maildrop:
                    raise AssertionError("a pass that ends well and leaves mail on the server:\n" + done.stdout)
                account.recover()
            except Exception as e:
                raise AssertionError("%s at step %d of %s: %s" % (errno.errorcode[error], at, kinds, e)) from e
    return work


def test_disk_full():
    """Once; `make crash`: and until the pass is over."""
    how = ((FAIL_ONCE, 2), (FAIL_ON, 6)) if WHOLE else ((FAIL_ONCE, 2),)
    together([("delete", 2, failing(errno.ENOSPC, mode, "WTCDRL", i, parts)) for mode, parts in how for i in range(parts)])


def test_sync_fails():
    """What could not be made durable is not deleted on the server, and a second sync that succeeds proves nothing."""
    together([("delete", 2, failing(errno.EIO, mode, "SY", i, 2, cut=True)) for mode in (FAIL_ONCE, FAIL_ON) for i in range(2)])


def test_unwritable():
    together([("delete", 2, failing(errno.EACCES, FAIL_ON, "CDR", i, 2)) for i in range(2)])


@contextlib.contextmanager
def account(policy="delete", count=3, **how):
    with tap.directory() as root:
        it = Account(os.path.join(root, "a"), policy, count, **how)
        try:
            it.begin()
            yield it
        except BaseException:
            print("\n".join("# " + line for line in it.user.logs().splitlines()))
            raise
        finally:
            it.close()


def test_small_disk():
    """A real one: what does not fit stays on the server, and comes when there is room."""
    with account(count=30, size=1000000) as it:
        shutil.rmtree(it.top)
        os.mkdir(it.top)
        if subprocess.run(("mount", "-t", "tmpfs", "-o", "size=48m,mode=700", "tmpfs", it.top), capture_output=True).returncode:
            tap.skip("no file system can be mounted here")
        try:
            shutil.copytree(it.first, it.top, dirs_exist_ok=True)
            done = it.user.run("fetch", env=it.steps.env)
            tap.contains(done.stderr, "no room for more mail", "what is said")
            equal(done.returncode, 74)
            here = set(it.mail_here().values())
            left = {m.uidl for m in it.server.maildrop}
            assert all(m.uidl in left or m.raw in here for m in it.fresh), "a mail is lost"
            assert 0 < len(here) < 25, "%d mails fit" % len(here)
            subprocess.run(("mount", "-o", "remount,size=200m", it.top), check=True)
            it.recover()
        finally:
            it.steps.kill()
            subprocess.run(("umount", "-l", it.top), check=True)


def test_maildir_removed():
    """In the middle of a pass: what had not been published is not taken for fetched."""
    with account() as it:
        it.old, it.held = it.fresh[0], []
        it.server.maildrop = list(it.fresh)

        def remove(_):
            shutil.rmtree(os.path.join(it.user.store, "mail", "work"))
            return NOT_MINE
        it.server.once("RETR 2", remove)
        it.user.run("fetch", env=it.steps.env)
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(it.user.store, "mail", "work", sub), 0o700, exist_ok=True)
        it.fetch()
        here = set(it.mail_here().values())
        equal([m.raw[:200] for m in it.fresh if m.raw not in here], [], "mails that are not here")
        equal(it.server.maildrop, [])


def test_clock():
    """It jumps between two passes, back by years and forward again: what is counted is the time since a mail came (THREATS 161)."""
    day = 86400
    with account("days 14", 1) as it:
        new, = it.fresh
        for clock, want in ((0, [new]), (-3000 * day, [new]), (13 * day, [new]), (-20 * day, [new]), (15 * day, [])):
            it.steps.kill()
            it.steps.arm(0, 0, clock=clock)
            it.fetch()
            equal(sorted(m.uidl for m in it.server.maildrop), sorted(m.uidl for m in want), "left with the clock wrong by %d days" % (clock // day))
        equal(sorted(it.mail_here().values()), sorted([it.old.raw, new.raw]))


# Where an answer ends: in its status, between CR and LF, behind the status, in a line, in a dot that was doubled, before and in the final dot.
def places(answer):
    status = answer.index(b"\r\n")
    stuffed = answer.index(b"\r\n..") + 3 if b"\r\n.." in answer else 5
    return sorted({0, 2, status + 1, status + 2, status + 20, stuffed, len(answer) - 4, len(answer) - 3, len(answer) - 2, len(answer) - 1} & set(range(len(answer))))


def cuts(command, mode):
    def work(account):
        number = int((command.split() + ["0"])[1])
        account.begin()
        if command.startswith("RETR"):
            answer = account.server.do_retr(type("", (), {"view": account.server.maildrop, "deleted": set()}), str(number))
        elif command in ("UIDL", "LIST"):
            answer = getattr(account.server, "do_" + command.lower())(type("", (), {"view": account.server.maildrop, "deleted": set()}), "")
        else:
            answer = b"+OK marked\r\n" if command.startswith("DELE") else b"+OK bye\r\n"
        for at in places(answer):
            account.begin()
            account.server.cut(command, at, reset=mode)
            try:
                fails(account)
                equal(account.server.cuts, [], "cuts that did not come")
                account.recover()
            except Exception as e:
                raise AssertionError("%s cut at byte %d of %r: %s" % (command, at, answer[:60], e)) from e
    return work


def test_line_cut():
    """At each kind of place of each answer that matters; at that of QUIT with what it deleted done and not done."""
    together([("delete", 2, cuts(command, reset)) for command, reset in (
        ("UIDL", False), ("RETR 1", False), ("RETR 2", True), ("DELE 1", False), ("DELE 2", True), ("QUIT", False), ("QUIT", True))])


def test_quit_not_done():
    """The server dies in it: what was deleted is there again, and is deleted again without being fetched (THREATS 87)."""
    with account() as it:
        it.server.once("QUIT", None)
        fails(it)
        equal(len(it.server.maildrop), 3, "mails on the server")
        it.server.forget()
        it.recover()
        equal(it.server.asked("RETR"), [])


def test_drops_after_each():
    """A server that ends each session after one message, and after three: there is progress, and an end."""
    for most in (1, 3):
        with account(count=10) as it:
            counts = {}

            def few(_):
                counts[it.server.sessions] = counts.get(it.server.sessions, 0) + 1
                return None if counts[it.server.sessions] > most else NOT_MINE
            it.server.rule("RETR .*", few)
            for number in range(10 // most + 2):  # each brings something
                left = len(it.mail_here())
                done = fails(it)
                if done.returncode == 0:
                    break
                assert len(it.mail_here()) >= min(left + most, 11), "pass %d brought %d messages, not %d" % (number, len(it.mail_here()) - left, most)
            equal(done.returncode, 0)
            it.check()


def test_server_lies():
    """Sizes that are wrong, counts that are wrong, a message listed that cannot be had."""
    with account() as it:
        for mail, size in zip(it.fresh, (1, 10 ** 15, 0)):
            mail.size = size
        fails(it)
        it.recover()
    with account() as it:
        it.server.once("STAT", b"+OK 999 1\r\n")
        fails(it)
        it.recover()
    with account() as it:
        it.server.rule("RETR 2", b"-ERR [SYS/TEMP] not now\r\n")
        fails(it)
        equal([m.uidl for m in it.server.maildrop], [it.fresh[1].uidl], "what stays")
        it.server.rules.clear()
        it.recover()


def test_locked_and_password():
    with account() as it:
        it.server.exclusive = it.server.locked = True
        done = fails(it)
        equal(done.returncode, 75)
        tap.contains(done.stderr, "another session")
        it.server.locked = False
        it.server.password = "changed"
        done = fails(it)
        equal(done.returncode, 77)
        with open(it.user.password, "w") as f:
            f.write("changed\n")
        it.recover()


def test_server_stops():
    """In the middle of an answer, for ever."""
    with account() as it:
        raw = b"+OK\r\n" + it.fresh[1].raw

        def half(_):
            yield raw[:1000]
            time.sleep(30)
        it.server.once("RETR 2", half)
        done = fails(it)
        equal(done.returncode, 75)
        it.recover()


def test_two_at_once():
    """A second and a third `tuimail fetch` while the screen runs and fetches."""
    with account(count=40) as it:
        it.server.delay = 0.05
        term = it.user.start(env=it.steps.env)
        try:
            runs = [subprocess.Popen((tap.TUIMAIL, "-c", it.user.rc, "fetch"), env=dict(os.environ, **it.user.env, **it.steps.env),
                                     stdout=subprocess.DEVNULL) for _ in range(2)]
            equal([run.wait(60) for run in runs], [0, 0])
            it.recover()
        finally:
            term.close()


def test_foreign_reader():
    """Another program takes what is new into cur/ and changes flags while it comes."""
    with account(count=60) as it:
        top, going = os.path.join(it.user.store, "mail", "work"), True

        def read():
            turn = 0
            while going:
                for name in os.listdir(os.path.join(top, "new")):
                    with contextlib.suppress(OSError):
                        os.rename(os.path.join(top, "new", name), os.path.join(top, "cur", name + ":2,"))
                for name in os.listdir(os.path.join(top, "cur"))[turn % 7::7]:
                    turn += 1
                    with contextlib.suppress(OSError):
                        os.rename(os.path.join(top, "cur", name), os.path.join(top, "cur", name.split(":")[0] + (":2,S", ":2,FS", ":2,")[turn % 3]))
                time.sleep(0.01)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            it.server.delay = 0.01
            it.fetch()
        finally:
            going = False
            reader.join()
        it.recover()


if __name__ == "__main__":
    tap.run(globals())
