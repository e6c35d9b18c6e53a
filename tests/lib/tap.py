"""Runs the test_* functions of a test file and prints TAP. A test fails by raising; skip() skips it with a reason."""
import contextlib
import os
import shutil
import subprocess
import signal
import sys
import tempfile
import time
import traceback

SRC = os.environ.get("TUIMAIL_SRC", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("TUIMAIL_BUILD", os.path.join(SRC, "build"))
TUIMAIL = os.path.join(BUILD, "tuimail")
LIMIT = int(os.environ.get("TUIMAIL_TEST_LIMIT", "400"))  # seconds for one test; a bound, not an expectation


class Skip(Exception):
    pass


def skip(why):
    raise Skip(why)


def forbid(path, on):
    """Nobody may change the directory, root neither."""
    if os.geteuid() == 0:
        if subprocess.run(["chattr", "+i" if on else "-i", path], capture_output=True).returncode:
            skip("no file system that can forbid root anything")
    else:
        os.chmod(path, 0o500 if on else 0o700)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError("%s: got %r, want %r" % (what or "values differ", got, want))


def contains(text, want, what=""):
    if want not in text:
        raise AssertionError("%s: no %r in:\n%s" % (what or "text", want, text))


@contextlib.contextmanager
def directory():
    """A directory that the test's servers may search, removed at the end."""
    path = tempfile.mkdtemp(prefix="tuimail-test-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def run(tests):
    """tests: globals() of the file."""
    only = sys.argv[1:]
    todo = [(name, f) for name, f in tests.items() if name.startswith("test_") and callable(f) and (not only or name in only)]
    print("1..%d" % len(todo), flush=True)
    failed = 0

    def on_alarm(*_):
        raise TimeoutError("the test took more than %d s" % LIMIT)
    signal.signal(signal.SIGALRM, on_alarm)
    for number, (name, function) in enumerate(todo, 1):
        signal.alarm(LIMIT)
        began = time.monotonic()
        try:
            function()
            print("ok %d - %s" % (number, name), flush=True)
        except Skip as why:
            print("ok %d - %s # SKIP %s" % (number, name, why), flush=True)
        except BaseException as e:  # noqa: one test must not end the others
            signal.alarm(0)
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("not ok %d - %s" % (number, name), flush=True)
            if isinstance(e, KeyboardInterrupt):
                raise
        finally:
            signal.alarm(0)
            print("# %.1f s" % (time.monotonic() - began), flush=True)
    sys.exit(1 if failed else 0)
