"""Every step by which the programs of a run change files, make them durable or speak to a server: counted, recorded, and the n-th of them the
last one or failing (tests/lib/steps.c, loaded into the programs of that run alone).

    steps = Steps(directory, under=user.store)
    user.run("fetch", env=steps.env)              counts: steps.n, and steps.record() has what was done
    steps.arm(7, KILL_ALL)                        the next run ends before its 7th step, as by a power cut
    steps.arm(7, FAIL_ONCE, errno.EIO, kinds="S") the 7th sync of the next run fails

Kinds: W write, T truncate, S sync of a file or directory, Y syncfs, C create, D make a directory, R rename, L link, U unlink, N sent on a line.

Disk is what a disk would hold after a cut of the power at any point of a record.
"""
import contextlib
import mmap
import os
import signal
import stat
import struct
import time

from tap import BUILD

COUNT_ONLY, KILL_ONE, KILL_ALL, FAIL_ONCE, FAIL_ON = range(5)
LIBRARY = os.path.join(BUILD, "tests", "lib", "libsteps.so")
ALL = "WTSYCDRLUN"
HEAD = struct.Struct("=QQIIIIIIIIQqQQ1000I16s1024s")
FIELDS = ("n", "at", "mode", "error", "kinds", "fired", "npids", "failed", "fold", "last_pid", "last_ino", "clock", "used", "size")
RECORD = struct.Struct("=IIQQQQII")


class Steps:
    def __init__(self, directory, under, size=64 << 20):
        self.path, self.under, self.size = os.path.join(directory, "steps"), under, size
        with open(self.path, "wb") as f:
            f.truncate(HEAD.size + size)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), HEAD.size + size)
        self.env = {"LD_PRELOAD": LIBRARY, "TUIMAIL_STEPS": self.path,
                    "ASAN_OPTIONS": ":".join(filter(None, (os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))}
        self.arm(0, COUNT_ONLY)

    def arm(self, at, mode, error=0, kinds=ALL, role="", fold=False, clock=0):
        """For the next run; no program of an earlier one may be alive. fold: a write behind one into the same file is no step of its own.
        clock: seconds by which its clock is wrong."""
        mask = sum(1 << ord(k) - 65 for k in kinds)
        self.map[:HEAD.size] = HEAD.pack(0, at, mode, error, mask, 0, 0, 0, fold, 0, 0, clock, 0, self.size, *[0] * 1000, role.encode(), self.under.encode())

    def next(self, after, mode):
        """It happens at that step from now on, to programs that run."""
        struct.pack_into("=QI", self.map, 8, self.n + after, mode)

    def disarm(self):
        """Nothing more happens to the programs that are alive, and to those that come."""
        struct.pack_into("=Q", self.map, 8, 0)
        struct.pack_into("=I", self.map, 16, COUNT_ONLY)

    def __getattr__(self, name):
        """n: steps so far; fired: it happened; failed: how often a step failed."""
        if name not in FIELDS:
            raise AttributeError(name)
        return HEAD.unpack_from(self.map)[FIELDS.index(name)]

    def programs(self):
        """Process ids of the run's programs that are alive."""
        head, alive = HEAD.unpack_from(self.map), []
        for pid in head[len(FIELDS):len(FIELDS) + min(self.npids, 1000)]:
            with contextlib.suppress(OSError):
                if os.readlink("/proc/%d/exe" % pid).startswith(BUILD):
                    alive.append(pid)
        return alive

    def kill(self):
        """All programs of the run; returns when none is left."""
        deadline = time.monotonic() + 20
        while self.programs():
            for pid in self.programs():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise AssertionError("programs that do not end: %r" % self.programs())
            time.sleep(0.002)

    def record(self):
        """[(step, kind, inode, other, at, bytes, bytes2)]"""
        at, end, out = HEAD.size, HEAD.size + self.used, []
        if HEAD.unpack_from(self.map)[FIELDS.index("size")] == 0:
            raise AssertionError("the record is not whole")
        while at < end:
            kind, _, number, ino, other, pos, n, n2 = RECORD.unpack_from(self.map, at)
            at += RECORD.size
            out.append((number, chr(kind), ino, other, pos, self.map[at:at + n], self.map[at + n:at + n + n2]))
            at += n + n2
        return out


class Disk:
    """Files and directories below `root` as they are now, and as they would be after a cut of the power."""

    def __init__(self, root):
        self.root = os.stat(root).st_ino
        self.files, self.dirs, self.safe_files, self.safe_dirs = {}, {}, {}, {}
        for folder, names, files in os.walk(root):
            held = self.dirs.setdefault(os.stat(folder).st_ino, {})
            for name in names + files:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                held[name.encode()] = info.st_ino
                if stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as f:
                        self.files[info.st_ino] = f.read()
        self.lost = set()
        self.sync()

    def sync(self):
        self.safe_files = {i: self.safe_files.get(i, b"") if i in self.lost else f for i, f in self.files.items()}
        self.safe_dirs = {i: dict(d) for i, d in self.dirs.items()}

    def apply(self, step):
        """True where what is durable has changed."""
        _, kind, ino, other, at, name, name2 = step
        if kind == "W":
            old = self.files.get(ino, b"")
            self.files[ino] = old[:at] + bytes(max(0, at - len(old))) + name + old[at + len(name):]
        elif kind == "T":
            self.files[ino] = self.files.get(ino, b"")[:at].ljust(at, b"\0")
        elif kind == "C":
            self.files[ino] = b""
            self.lost.discard(ino)
            if self.dirs.setdefault(other, {}).get(name) != ino:
                self.safe_files[ino] = b""  # a new file, maybe with an old number
            self.dirs[other][name] = ino
        elif kind == "D":
            self.dirs[ino] = {}
            self.safe_dirs[ino] = {}
            self.dirs.setdefault(other, {})[name] = ino
        elif kind == "U":
            self.dirs.setdefault(other, {}).pop(name, None)
        elif kind in "RL":
            moved = self.dirs.setdefault(ino, {}).get(name)
            if kind == "R":
                self.dirs[ino].pop(name, None)
            self.dirs.setdefault(other, {})[name2] = moved
        elif kind == "S" and other:
            changed = self.safe_dirs.get(ino) != self.dirs.get(ino)
            self.safe_dirs[ino] = dict(self.dirs.get(ino, {}))
            return changed
        elif kind == "E":
            self.lost.add(ino)
        elif kind == "S" and ino not in self.lost:
            changed = self.safe_files.get(ino) != self.files.get(ino)
            self.safe_files[ino] = self.files.get(ino, b"")
            return changed
        elif kind == "Y":
            self.sync()
            return True
        return False

    def durable(self, *path):
        """Contents of the files in a directory after a cut."""
        at = self.root
        for name in path:
            at = self.safe_dirs.get(at, {}).get(name)
        return [self.safe_files.get(ino, b"") for ino in self.safe_dirs.get(at, {}).values() if ino in self.files]

    def write(self, to, names=False):
        """What a cut leaves, as a tree of its own: what was synced; with `names` the directories too as they were last, as a file system's
        journal may have it, though not the contents of files."""
        dirs = self.dirs if names else self.safe_dirs

        def put(ino, path):
            os.mkdir(path, 0o700)
            for name, child in dirs.get(ino, {}).items():
                at = os.path.join(path.encode(), name)
                if child in self.dirs:
                    put(child, at.decode())
                elif child in self.files:
                    with open(os.open(at, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
                        f.write(self.safe_files.get(child, b""))
        put(self.root, to)
