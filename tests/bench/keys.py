#!/usr/bin/env python3
"""What a key costs: bytes to the terminal beside other clients on the same mail, and key to frame with many rows.

    make bench            or: python3 tests/bench/keys.py [MESSAGES] [ROWS...]

Bytes: the message list alone at 120x40 on a local Maildir of so many messages, beside those of mutt, neomutt and aerc that are
installed, as a ratio. Key to frame: on databases of so many rows, offline; from the key to the first byte of the answer, and the
processor time of the program that owns the terminal, which does not depend on what else the machine does. Then the start, from exec
to the newest row on the screen, and PSS."""
import os
import random
import shutil
import subprocess
import time

import tap
from bench import Pty, arguments, dated, ended, field, maildir_of, median, put, query, share
from user import User

MESSAGES, *ROWS = arguments(10000, 100000, 1000000)
PGDN, END, HOME = b"\x1b[6~", b"\x1bOF", b"\x1bOH"
ALONE = "set sidebar-width 0\nset mark-seen no\n"
FRAME = 0.016


# ---- bytes per key ----
WORDS = ("budget quarter patch release notes meeting minutes invoice travel review draft backup kernel network holiday parser slides "
         "schedule print museum garden orders tickets summary").split()
FIRST = "Alice Bob Carol Dave Erin Frank Grace Heidi Ivan Judy Mallory Niaj Olivia Peggy Rupert Sybil".split()
LAST = "Example Sample Brown Winter Keller Marsh Stone Field Young".split()


def mails(path, count):
    """The same mail for each client."""
    rand, now = random.Random(5), int(time.time())
    for i in range(count):
        stamp = now - (count - i) * 600
        name = "%s %s" % (rand.choice(FIRST), rand.choice(LAST))
        subject = "%s%s" % ("Re: " if rand.random() < 0.5 else "", " ".join(rand.sample(WORDS, rand.randint(3, 9))))
        put(path, i, stamp, "From: %s <%s@example.org>\nTo: Bob <bob@example.org>\nSubject: %s\nDate: %s\nMessage-ID: <k%d@example.org>\n\n"
            "Hello.\n" % (name, name.replace(" ", "."), subject, dated(stamp), i), "S" if rand.random() < 0.95 else "")


class Peer:
    """Another client on a copy of the Maildir: its configuration, and its keys where they are not mutt's."""
    def __init__(self, name, configure, argv, keys=None):
        self.name, self.configure, self.argv = name, configure, argv
        self.keys = {"j": b"j", "page-down": PGDN, "flag": b"F", "delete": b"d", **(keys or {})}


def mutt_rc(home, box):
    with open(os.path.join(home, "rc"), "w") as f:
        f.write("set folder=%s spoolfile=%s mbox_type=Maildir sort=reverse-date header_cache=%s/cache quit=yes delete=yes move=no "
                "mail_check=60 timeout=60 sleep_time=0 resolve=yes mark_old=no wait_key=no read_inc=100000\n" % (box, box, home))


def aerc_rc(home, box):
    conf = os.path.join(home, ".config", "aerc")
    os.makedirs(conf)
    for name, text in (
            ("accounts.conf", "[b]\nsource = maildir://%s\noutgoing = /bin/true\nfrom = Me <me@example.org>\ndefault = INBOX\n" %
             os.path.dirname(box)),
            ("aerc.conf", "[general]\nunsafe-accounts-conf = true\n[ui]\nsidebar-width = 0\nmouse-enabled = false\n"
                          "new-message-bell = false\n"),
            ("binds.conf", "[messages]\nj = :next<Enter>\n<PgDn> = :next 100%<Enter>\nd = :delete<Enter>\nF = :flag -t<Enter>\n")):
        with open(os.path.join(conf, name), "w") as f:
            f.write(text)
        os.chmod(os.path.join(conf, name), 0o600)


PEERS = [Peer("mutt", mutt_rc, lambda home: ["mutt", "-n", "-F", home + "/rc"]),
         Peer("neomutt", mutt_rc, lambda home: ["neomutt", "-n", "-F", home + "/rc"]),
         Peer("aerc", aerc_rc, lambda home: ["aerc"])]
BYTES_WANTED = {"j": 260, "page-down": 3500, "flag": 100, "delete": 260}


def quiet_bytes(term, keys):
    """Bytes that the keys cost, until the terminal is quiet."""
    before = term.nbytes
    term.send(keys)
    term.settle(0.12)
    return term.nbytes - before


def bytes_per_key(term, keys):
    term.settle(1)
    out = {}
    term.send(keys["j"] * 3)
    term.settle(0.5)
    out["j"] = median(quiet_bytes(term, keys["j"]) for _ in range(25))
    out["page-down"] = median(quiet_bytes(term, keys["page-down"]) for _ in range(12))
    for what in ("flag", "delete"):
        took = []
        for _ in range(12):
            term.send(keys["j"])
            term.settle(0.12)
            took.append(quiet_bytes(term, keys[what]))
        out[what] = median(took)
    return out


def peer_bytes(base, peer, box):
    home = os.path.join(base, peer.name)
    copy = os.path.join(home, "INBOX")
    shutil.copytree(box, copy)
    os.makedirs(os.path.join(home, "run"), mode=0o700)
    peer.configure(home, copy)
    env = {"HOME": home, "XDG_RUNTIME_DIR": home + "/run", "XDG_CONFIG_HOME": home + "/.config", "XDG_DATA_HOME": home + "/data",
           "XDG_CACHE_HOME": home + "/cache", "LC_ALL": "C.UTF-8"}
    term = Pty(None, argv=peer.argv(home), env=env)
    term.wait(lambda screen: sum(w in screen for w in WORDS) > 8, 60)
    out = bytes_per_key(term, peer.keys)
    term.close()
    return out


def own_bytes(base, box, name, lines):
    home = os.path.join(base, name)
    shutil.copytree(box, os.path.join(home, "INBOX"))
    user = User(home, lines="account local maildir:%s\n%s%s" % (os.path.join(home, "INBOX"), ALONE, lines))
    term = Pty(user)
    term.wait("of {:,}".format(MESSAGES), 120)
    term.settle(3)
    out = bytes_per_key(term, {"j": b"j", "page-down": PGDN, "flag": b"F", "delete": b"d"})
    term.close()
    ended(user)
    return out


def bytes_table(base):
    box = maildir_of(os.path.join(base, "mail"))
    mails(box, MESSAGES)
    columns = {"tuimail": own_bytes(base, box, "own", ""), "arrow-cursor": own_bytes(base, box, "arrow", "set arrow-cursor yes\n")}
    for peer in PEERS:
        if shutil.which(peer.name):
            columns[peer.name] = peer_bytes(base, peer, box)
    print("bytes to the terminal per key, list alone at 120x40, %d messages (ratio: tuimail to it)" % MESSAGES)
    print("%-12s %8s" % ("", "at most") + "".join("%18s" % name for name in columns))
    for key, most in BYTES_WANTED.items():
        cells = ["%8d %8.2f" % (c[key], columns["tuimail"][key] / c[key]) if c[key] else "%8d %8s" % (c[key], "-") for c in columns.values()]
        print("%-12s %8d" % (key, most) + "".join("%18s" % cell for cell in cells), flush=True)


# ---- key to frame ----
def busy(pid):
    """Seconds of processor that the process has used."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


def timed(term, keys, times):
    wall, cpu = [], []
    for i in range(times):
        before = busy(term.pid)
        wall.append(term.key(keys[i % len(keys)]))
        term.settle(0.04)
        cpu.append(busy(term.pid) - before)
    return wall, cpu


def latencies(term, threaded):
    todo = [("move", [b"j"], 150), ("page", [PGDN], 60), ("jump to end", [END, HOME], 40), ("jump 50%", [b":jump 50%\r", b":jump 10%\r"], 20),
            ("flag", [b"F"], 40), ("flag and move", [b"F", b"j"], 40), ("next unread", [b"\t"], 30)]
    if threaded:
        todo += [("fold thread", [b"\x1bv"], 40)]
    out = {what: timed(term, keys, times) for what, keys, times in todo}
    term.send(b"l")
    term.settle(0.3)
    out["letter of limit"] = timed(term, [bytes([c]) for c in b"budget "] * 3, 21)
    term.send(b"\x1b")
    term.settle(0.5)
    return out


def filled(base, rows, *how):
    home = os.path.join(base, "rows%d%s" % (rows, "".join(how)))
    user = User(home, lines="account work imaps://bob@localhost:9\nset -a work password-file %s/password\n%s" % (home, ALONE))
    os.makedirs(os.path.join(user.store, "state"), mode=0o700)
    os.chmod(user.store, 0o700)
    begin = time.monotonic()
    subprocess.run([os.path.join(tap.BUILD, "tests/bench/fill_store"), os.path.join(user.store, "state"), "work", str(rows), *how], check=True)
    print("\n%d rows, filled in %.0f s" % (rows, time.monotonic() - begin))
    return user


def starts(user, rows):
    """From exec to a usable list, the store not yet running (cold) and running (warm)."""
    took, keep = {"first": [], "beside another": []}, None
    for what in took:
        for _ in range(7):
            ended(user) if what == "first" else None
            term = Pty(user, "--offline")
            shown = term.wait("of {:,}".format(rows), 20)
            took[what].append(shown - term.start if shown else None)
            term.settle(0.3)
            if what == "first":
                term.close()
            elif keep is None:
                keep = term
            else:
                term.close()
    if keep:
        keep.close()
    for what, values in took.items():
        print("start to list, %-14s median %6.1f ms, slowest %6.1f ms" % (what, median(values) * 1e3, share(values, 1) * 1e3), flush=True)


def frames(user, rows, threaded):
    ended(user)
    term = Pty(user, "--offline")
    term.wait("of ", 30)
    term.settle(1)
    if threaded:
        term.send(b":threads on\r")
        term.settle(1)
    print("%s, %d rows%32s %9s %9s %9s" % ("by threads" if threaded else "flat", rows, "wall p50", "p99", "cpu p50", "p99"))
    for what, (wall, cpu) in latencies(term, threaded).items():
        print("%-38s %8.2f %9.2f %9.2f %9.2f ms%s" % (
            what, *(v * 1e3 for v in (median(wall), share(wall, 0.99), median(cpu), share(cpu, 0.99))),
            "  OVER" if share(cpu, 0.99) > FRAME else ""), flush=True)
    print("PSS of the screen's program: %.1f MB" % (field("/proc/%d/smaps_rollup" % term.pid, "Pss:") / 1024))
    term.close()


# ---- hits ----
def indexed(user, rows):
    """Until all of them are; False where that takes too long."""
    end = time.monotonic() + 60 + rows / 300
    while time.monotonic() < end:
        if query(user, "select count(*) from msg where (istate & 15)<>0") == 0:
            return user.command("count", "*").strip() == str(rows)
        time.sleep(1)
    return False


def listed(word):
    """Whether the first rows of the screen are hits: all have the word. A limit keeps its list until something is found."""
    return lambda screen: all(word in line for line in screen.splitlines()[1:6])


def hits(base, rows):
    """From the last letter of a limit to its first hits, and PSS with as many hits as a list keeps, flat and by threads."""
    user = filled(base, rows, "unindexed")
    term = Pty(user, "--offline")
    term.wait("of ", 30)
    if not indexed(user, rows):
        print("the index is not whole: no hits are measured")
        term.close()
        return
    term.settle(1)
    took = []
    for word in (b"budget", b"kernel", b"patch", b"museum", b"travel", b"garden") * 4:
        term.send(b"l" + word + b"x")  # no word of any message begins so
        term.wait("nothing matches", 5)
        term.settle(0.3)
        took.append(term.until(b"\x7f", listed(word.decode()), 10))
        term.send(b"\x1b")
        term.wait(lambda screen: "of {:,}".format(rows) in screen, 10)
        term.settle(0.3)
    print("last letter of limit to first hits, %d rows: median %.1f ms, p95 %.1f ms%s" % (
        rows, median(took) * 1e3, share(took, 0.95) * 1e3, "  OVER" if share(took, 0.95) > 0.1 else ""))
    for threads in (b"off", b"on"):
        term.send(b":threads " + threads + b"\r:limit *\r")
        term.wait(lambda screen: "of {:,}".format(min(rows, 100000)) in screen or "thread" in screen, 60)
        term.settle(3)
        print("PSS with %d hits, threads %s: %.1f MB" % (min(rows, 100000), threads.decode(),
                                                         field("/proc/%d/smaps_rollup" % term.pid, "Pss:") / 1024), flush=True)
        print("most memory: %.1f MB" % (field("/proc/%d/status" % term.pid, "VmHWM:") / 1024))
        for what, (wall, cpu) in {"move": timed(term, [b"j"], 40), "jump to end": timed(term, [END, HOME], 20)}.items():
            print("%-38s %8.2f %9.2f %9.2f %9.2f ms" % (what, *(v * 1e3 for v in (median(wall), share(wall, 0.99), median(cpu), share(cpu, 0.99)))))
        term.send(b":limit all\r")
        term.settle(0.5)
    term.close()
    ended(user)


def main():
    only = os.environ.get("ONLY", "bytes frames hits")
    with tap.directory() as base:
        if "bytes" in only:
            bytes_table(base)
        for rows in ROWS:
            if "frames" in only:
                user = filled(base, rows)
                starts(user, rows)
                frames(user, rows, False)
                frames(user, rows, True)
                ended(user)
            if "hits" in only:
                hits(base, rows)


if __name__ == "__main__":
    main()
