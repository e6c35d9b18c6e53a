#!/usr/bin/env python3
"""Lines that fail, in the real programs: the list stays, the state and the next try are said, nothing is done twice."""
import contextlib
import errno
import os
import re
import struct
import subprocess
from contextlib import closing

import imap_script
import tap
from dovecot import Server
from lineproxy import LineProxy
from tap import equal
from user import User, eventually, message

AGAIN = re.compile(r"work offline.*again \d\d:\d\d:\d\d")
LINES = "set timeout 5\nset connect-timeout 5\nset log-level debug\n"


@contextlib.contextmanager
def at_work(count=3, lines="", env=None, **server):
    """Bob's screen on a mailbox of `count` messages, over a line that can be made bad."""
    with tap.directory() as root, closing(Server(os.path.join(root, "dovecot"), relay=False, **server)) as s, closing(LineProxy(s.info["imaps"])) as line:
        bob = User(os.path.join(root, "bob"), s, port=line.port, lines=LINES + lines)
        for i in range(count):
            s.deliver("bob", message("number %d" % i))
        with bob.at_screen(cols=120, env=env) as term:
            term.wait(lambda screen: "number 0" in screen and "work live" in screen and "Archive" in screen)
            yield s, line, bob, term


def test_a_line_that_is_cut():
    with at_work() as (server, line, _, term):
        line.refuse()
        line.cut()
        screen = term.wait(AGAIN.search)
        assert "number 0" in screen, "the list stays:\n" + screen
        term.keys("Home", "a")
        term.wait("queued")
        equal(server.subjects("bob", "Archive"), [])
        line.accept()
        term.wait("work live", 60)
        eventually("what was done offline is done there", lambda: server.subjects("bob", "Archive") == ["number 2"])
        server.deliver("bob", message("and on it goes"))
        term.wait("and on it goes")


def test_a_line_that_swallows():
    # THREATS 58: a NAT that forgot the line: no end, no answer
    with at_work() as (server, line, _, term):
        line.swallow()
        term.keys("Home", "a")
        screen = term.wait(AGAIN.search, 60)
        assert "number 0" in screen, screen
        line.heal()
        term.wait("work live", 90)
        eventually("archived once", lambda: server.subjects("bob", "Archive") == ["number 2"])
        equal(sorted(server.subjects("bob", "INBOX")), ["number 0", "number 1"])


def test_a_command_whose_answer_is_lost():
    # THREATS 166: the server did it, its answer never came: looked at, not done again
    with at_work() as (server, line, bob, term):
        bob.settled()
        line.deaf()
        term.keys("Home", "a")
        eventually("the server has moved it", lambda: server.subjects("bob", "Archive") == ["number 2"], 60)
        line.heal()
        line.cut()
        term.wait("work live", 90)
        term.wait("queued", gone=True)
        equal(server.subjects("bob", "Archive"), ["number 2"])
        equal(sorted(server.subjects("bob", "INBOX")), ["number 0", "number 1"])


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long *ahead;
__attribute__((constructor)) static void begin(void)
{
    int fd = open(getenv("CLOCK_AHEAD"), O_RDONLY);
    ahead = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
}
time_t time(time_t *t)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_sec += *ahead;
    return t ? *t = ts.tv_sec : ts.tv_sec;
}
int timerfd_create(int clock, int flags)
{
    (void)clock;
    (void)flags;
    errno = ENOSYS; /* nobody tells that the clock was set: it is looked at */
    return -1;
}
"""


def programs_with(directory, role, source, variable):
    """A directory of programs in which this one runs with a library of that source, and with NAME=VALUE."""
    path, library = (os.path.join(directory, role + end) for end in (".c", ".so"))
    with open(path, "w") as f:
        f.write(source)
    if subprocess.run(["cc", "-shared", "-fPIC", "-o", library, path], capture_output=True, check=False).returncode:
        tap.skip("no C compiler")
    real = os.environ.get("TUIMAIL_LIBEXEC", os.path.join(tap.BUILD, "libexec"))
    programs = os.path.join(directory, "libexec")
    os.mkdir(programs)
    for name in os.listdir(real):
        os.symlink(os.path.join(real, name), os.path.join(programs, name))
    os.unlink(os.path.join(programs, role))
    with open(os.path.join(programs, role), "w") as f:
        f.write("#!/bin/sh\nexec env %s LD_PRELOAD=%s ASAN_OPTIONS=verify_asan_link_order=0 %s/%s \"$@\"\n" % (variable, library, real, role))
    os.chmod(os.path.join(programs, role), 0o755)
    return programs


@contextlib.contextmanager
def clock_of_store(directory):
    """A directory of programs whose store sees the wall clock ahead by the number in a file; a function that sets it."""
    number = os.path.join(directory, "ahead")
    programs = programs_with(directory, "store", CLOCK, "CLOCK_AHEAD=" + number)

    def ahead(seconds):
        with open(number, "r+b" if os.path.exists(number) else "w+b") as f:
            f.write(struct.pack("l", seconds))
    ahead(0)
    yield programs, ahead


def test_the_machine_slept():
    # THREATS 166: no answer is waited for, the line is dropped at once, what was begun is done once
    with tap.directory() as d, clock_of_store(d) as (programs, ahead):
        with at_work(lines="set timeout 1h\n", env={"TUIMAIL_LIBEXEC": programs}) as (server, line, _, term):
            line.swallow()
            term.keys("Home", "a")
            term.wait("queued")
            line.heal()
            before = line.accepted
            ahead(3600)
            eventually("a new line is opened", lambda: line.accepted > before, 60)
            term.wait("queued", 60, gone=True)
            eventually("archived once", lambda: server.subjects("bob", "Archive") == ["number 2"])
            equal(sorted(server.subjects("bob", "INBOX")), ["number 0", "number 1"])
            server.deliver("bob", message("after the sleep"))
            term.wait("after the sleep")


NO_OPEN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
static volatile int *fails;
__attribute__((constructor)) static void begin(void)
{
    fails = mmap(NULL, sizeof *fails, PROT_READ, MAP_SHARED, open(getenv("NO_OPEN"), O_RDONLY), 0);
}
static int opened(const char *symbol, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, symbol);
    const char *end = strrchr(path, '/');
    if (fails && *fails && strcmp(end ? end + 1 : path, "cache.db-wal") == 0) {
        errno = *fails;
        return -1;
    }
    return real(path, flags, mode);
}
#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;                                                        \
        va_end(ap);                                                                                                    \
        return opened(#name, path, flags, mode);                                                                       \
    }
OPEN(open)
OPEN(open64)
"""


@contextlib.contextmanager
def with_a_store():
    """Bob with two mails here, and no store running."""
    with tap.directory() as root, closing(Server(os.path.join(root, "dovecot"), relay=False)) as server:
        bob = User(os.path.join(root, "bob"), server, lines=LINES)
        for i in range(2):
            server.deliver("bob", message("number %d" % i))
        bob.command("fetch")
        eventually("its store has ended", lambda: not bob.programs())
        yield server, bob, os.path.join(bob.store, "state/work/")


def works_again(server, term):
    term.wait(lambda screen: "number 1" in screen and "work live" in screen, 60)
    term.keys("Home", "a")
    eventually("what is done is done", lambda: server.subjects("bob", "Archive") == ["number 1"])


def test_a_database_that_comes_back():
    with with_a_store() as (server, bob, state):
        os.rename(state + "keep.db", state + "away")
        os.mkdir(state + "keep.db")
        with bob.at_screen(cols=160) as term:
            screen = term.wait(AGAIN.search)
            assert "Is a directory" in screen, screen
            os.rmdir(state + "keep.db")
            os.rename(state + "away", state + "keep.db")
            works_again(server, term)


def test_too_many_open_files():
    with tap.directory() as d, with_a_store() as (server, bob, state):
        switch = os.path.join(d, "errno")

        def fails(errnum):
            with open(switch, "r+b" if os.path.exists(switch) else "wb") as f:
                f.write(struct.pack("i", errnum))
        fails(errno.EMFILE)
        programs = programs_with(d, "store", NO_OPEN, "NO_OPEN=" + switch)
        inode = os.stat(state + "cache.db").st_ino
        with bob.at_screen(cols=160, env={"TUIMAIL_LIBEXEC": programs}) as term:
            screen = term.wait(AGAIN.search)
            assert "Too many open files" in screen and "number 1" in screen, screen
            fails(0)
            works_again(server, term)  # by itself
        equal(os.stat(state + "cache.db").st_ino, inode, "the list is the one it was")


def test_reconnect_now():
    with at_work() as (server, line, _, term):
        line.refuse()
        line.cut()
        term.wait(AGAIN.search)
        line.accept()
        before = line.accepted
        term.command("reconnect")
        term.wait("work live", 30)
        assert line.accepted > before
        server.deliver("bob", message("by the new line"))
        term.wait("by the new line")


def test_tls_that_breaks_in_the_middle():
    with at_work() as (server, line, _, term):
        line.garble()
        server.deliver("bob", message("garbled"))
        screen = term.wait(AGAIN.search, 60)
        assert "number 0" in screen, screen
        line.heal()
        line.cut()
        term.wait(lambda s: "work live" in s and "garbled" in s, 90)


def test_a_server_that_goes_and_comes():
    with at_work() as (server, _, _, term):
        server.stop()
        screen = term.wait(AGAIN.search, 30)
        assert "number 0" in screen, screen
        server.start()
        term.wait("work live", 90)


def test_a_name_that_does_not_resolve():
    with tap.directory() as root:
        bob = User(root, account=False, lines="account work imaps://bob@no-such-host.invalid\nset -a work password-file ~/p\n" + LINES)
        password = os.path.join(bob.env["HOME"], "p")
        with open(password, "w") as f:
            f.write("secret\n")
        os.chmod(password, 0o600)
        term = bob.start(cols=140)
        try:
            screen = term.wait(AGAIN.search, 60)
            assert "no-such-host.invalid" in screen, screen
        finally:
            term.close()


@contextlib.contextmanager
def greeted(*answers, greeting=None, idle=None):
    """Bob's screen on a server that answers LOGIN as told, one after the other; the last one for ever."""
    said = [("{tag} %s\r\n" % a).encode() for a in answers]
    rules = [("LOGIN .*", lambda m: said.pop(0) if len(said) > 1 else said[0])] + [("IDLE", idle)] * bool(idle)
    with tap.directory() as root, closing(imap_script.Server(rules=rules)) as server:
        server.add("INBOX", message("hello").replace("\n", "\r\n").encode())
        server.greeting = greeting or server.greeting
        bob = User(root, account=False, lines="account work imap://bob@127.0.0.1:%d\nset -a work tls none\nset -a work password-file %s/password\n%s"
                   % (server.port, root, LINES))
        with bob.at_screen(cols=140) as term:
            yield server, term


def test_throttled_logins_wait():
    # THREATS 19: each is a "later", tried once and not again before its time
    for answer in ("NO [UNAVAILABLE] backend", "NO [LIMIT] too much", "NO [INUSE] locked", "NO [SERVERBUG] oops", "NO [CONTACTADMIN] call",
                   "NO [ALERT] Too many simultaneous connections. (Failure)",
                   "NO Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)"):
        with greeted(answer) as (server, term):
            screen = term.wait(AGAIN.search)
            assert re.search(r"login: the server refused", screen), screen
            equal(len(server.asked("LOGIN")), 1, answer)


def test_refused_logins_are_not_repeated():
    # THREATS 19
    for answer in ("NO [AUTHENTICATIONFAILED] no", "NO [AUTHORIZATIONFAILED] no", "NO [EXPIRED] password too old"):
        with greeted(answer) as (server, term):
            term.wait("work failed")
            equal(len(server.asked("LOGIN")), 1, answer)


def test_throttled_once_then_served():
    with greeted("NO [UNAVAILABLE] later", "OK in") as (server, term):
        term.wait(AGAIN.search)
        term.command("reconnect")
        term.wait("work live")
        term.wait("hello")
        equal(len(server.asked("LOGIN")), 2)


def test_bye_with_its_reason():
    with greeted("OK in") as (server, term):
        term.wait(lambda s: "hello" in s and "work live" in s)
        eventually("the line is watched", lambda: server.asked("IDLE"))
        server.connections[-1].send(b"* BYE maintenance until \x1b]0;x\x07 noon\r\n")
        screen = term.wait("maintenance until")
        assert "hello" in screen and "\x1b]0" not in screen, screen
        term.wait("work live")
        assert "maintenance" not in term.screen(), "the line is up, and the words of its end stay:\n" + term.screen()
        term.command("messages")
        term.wait("maintenance until")


def test_idle_that_ends_at_once():
    # THREATS 59
    with greeted("OK in", idle=b"+ idling\r\n{tag} OK enough\r\n") as (server, term):
        term.wait(lambda s: "hello" in s and "work live" in s)
        eventually("the line is watched", lambda: server.asked("IDLE"))
        term.keys("Home", "F")
        term.wait("work live")
        equal(len(server.asked("LOGIN")), 1)
        equal(len(server.asked("IDLE")), 1, "it is not asked again and again")


def test_a_server_too_busy_for_anyone():
    with greeted("OK in", greeting=b"* BYE Too many connections, come back later\r\n") as (server, term):
        screen = term.wait(AGAIN.search)
        assert "come back later" in screen, screen
        equal(len(server.asked("LOGIN")), 0)


if __name__ == "__main__":
    tap.run(globals())
