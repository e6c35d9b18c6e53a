"""Why a program at a terminal does not do what is waited for: what each process there is doing, and what lies in the
terminal's queues. For the words of a test that failed."""
import array
import fcntl
import glob
import os
import subprocess
import termios


def slurp(path, limit=2000):
    try:
        with open(path, errors="replace") as f:
            return f.read(limit).replace("\0", " ").strip()
    except OSError as e:
        return str(e)


def at_terminal(tty):
    """Ids of the processes whose terminal that is."""
    device, found = os.stat(tty).st_rdev, []
    for path in glob.glob("/proc/[0-9]*/stat"):
        fields = slurp(path).rpartition(")")[2].split()
        if len(fields) > 4 and fields[4] == str(device):  # else it has ended meanwhile
            found.append(int(path.split("/")[2]))
    return sorted(found)


def process(pid):
    """State, system call, stack and descriptors of one process."""
    proc, lines = "/proc/%d/" % pid, []
    status = slurp(proc + "status", 4000).splitlines()
    lines.append("%d %s" % (pid, slurp(proc + "cmdline")))
    lines += ["  " + s for s in status if s.split(":")[0] in ("State", "SigPnd", "ShdPnd", "SigBlk")]
    lines += ["  %s: %s" % (name, slurp(proc + name)) for name in ("wchan", "syscall", "stack")]
    for fd in sorted(glob.glob(proc + "fd/*"), key=lambda p: int(p.rpartition("/")[2])):
        try:
            lines.append("  fd %s %s" % (fd.rpartition("/")[2], os.readlink(fd)))
        except OSError:
            pass
    try:
        done = subprocess.run(["gdb", "-p", str(pid), "-batch", "-nx", "-ex", "thread apply all bt 25"], capture_output=True,
                              text=True, timeout=60, check=False)
        lines += ["  " + s for s in done.stdout.splitlines() if s.startswith(("#", "Thread"))] or ["  gdb: " + done.stderr[-300:]]
    except (OSError, subprocess.TimeoutExpired) as e:
        lines.append("  gdb: %s" % e)
    return "\n".join(lines)


def queues(tty):
    """Bytes typed that no program has read, and bytes written that the terminal has not taken."""
    counts = array.array("i", [-1, -1])
    try:
        fd = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as e:
        return "%s: %s" % (tty, e)
    try:
        for i, request in enumerate((termios.FIONREAD, termios.TIOCOUTQ)):
            one = array.array("i", [-1])
            fcntl.ioctl(fd, request, one)
            counts[i] = one[0]
    finally:
        os.close(fd)
    return "%s: %d bytes typed and not read, %d written and not taken" % (tty, counts[0], counts[1])


def evidence(tty, pids=()):
    """All of it; `pids` beside those that have this terminal."""
    words = [queues(tty), slurp("/proc/loadavg")]
    return "\n".join(words + [process(pid) for pid in sorted({*at_terminal(tty), *pids})])
