#!/usr/bin/env python3
"""Offline: lists and cached mail stay, what is done waits and is shown, and goes to the server in order when the line is back."""
import contextlib
import json
import os
import re
import sqlite3
import time

import faults
import tap
from dovecot import Server
from lineproxy import LineProxy
from tap import contains, equal
from user import User, eventually, message


class Scene:
    """Dovecot, a line to it, a user at its end."""

    def __init__(self, root, lines="", **user):
        self.server = Server(os.path.join(root, "dovecot"))
        self.line = LineProxy(self.server.info["imaps"])
        self.out = LineProxy(self.server.info["submissions"])
        self.user = User(os.path.join(root, "bob"), self.server, port=self.line.port, lines=lines, **user)
        with open(self.user.rc) as f:
            text = f.read()
        self.user.write_rc(text.replace("localhost:%d" % self.server.info["submissions"], "localhost:%d" % self.out.port))

    def deliver(self, *subjects, body="Hello.\n"):
        """In order: the last one is the newest."""
        with self.server.imap("bob") as imap:
            for subject in subjects:
                put(imap, "INBOX", subject, body)

    def down(self):
        for line in (self.line, self.out):
            line.refuse()
            line.cut()

    def up(self):
        for line in (self.line, self.out):
            line.accept()

    def close(self):
        self.down()
        self.server.close()


COUNT = [0]


def put(imap, box, subject, body="Hello.\n", age=0):
    """Appends a mail that is `age` days old; later ones are newer."""
    COUNT[0] += 1
    stamp = time.time() - age * 86400 - 3600 + COUNT[0]
    text = message(subject, body).replace("Sun, 22 Nov 2026 10:00:00 +0000",
                                          time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(stamp)))
    ok, answer = imap.append(box, "", '"%s"' % time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(stamp)),
                             text.replace("\n", "\r\n").encode())
    assert ok == "OK", answer


def scene(**more):
    def decorate(test):
        def run():
            with tap.directory() as root:
                s = Scene(root, **more)
                try:
                    test(s)
                except BaseException:
                    print("\n".join("# " + line for line in s.user.logs().splitlines()))
                    raise
                finally:
                    s.close()
        return run
    return decorate


def state(user, sql, account="work", db="cache"):
    """Lines of values with a bar between; nothing while the database cannot be read."""
    path = "file:%s?mode=ro" % os.path.join(user.store, "state", account, db + ".db")
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, uri=True, timeout=10)) as con:
        return "\n".join("|".join("" if v is None else str(v) for v in row) for row in con.execute(sql))
    return ""


def cached(user):
    """Subjects of the mails whose file is here, by the database; each must have its file, unless it went meanwhile."""
    def rows():
        return state(user, "select cast(subject as text)||'|'||cast(body as text) from msg where body is not null order by date desc").splitlines()
    lines = rows()
    missing = [line for line in lines if not os.path.exists(os.path.join(user.store, "mail", "work", line.rsplit("|", 1)[1]))]
    if missing:
        lines = rows()
        assert not set(missing) & set(lines), missing
    return [line.rsplit("|", 1)[0] for line in lines]


def files(user):
    out = []
    for folder, _, names in os.walk(os.path.join(user.store, "mail", "work")):
        out += [os.path.join(folder, n) for n in names if len(os.path.basename(folder)) == 32]
    return sorted(out)


def queue(user):
    return [q["text"] for q in json.loads(user.command("queue", "--json"))]


@scene()
def test_started_offline_for_the_first_time(s):
    s.deliver("first")
    with s.user.at_screen(args=["--offline"], cols=100) as term:
        contains(term.wait("Nothing is on this machine yet"), "work offline")
        term.command("compose alice@example.org")
        term.wait("To       alice@example.org")
        term.keys("y")
        term.wait("Send without a subject?")
        term.keys("y")
        term.wait("sent when work is online")
        term.keys("Q")
        term.wait('send to alice@example.org: ""')
        term.keys("q")
        term.command("offline off")
        term.wait(lambda screen: "first" in screen and "work live" in screen)


@scene()
def test_started_offline_connects_to_nothing(s):
    s.deliver("first", "second")
    s.user.command("fetch")
    eventually("the store has ended", lambda: not running(s.user))
    before = s.line.accepted
    term = s.user.start(args=["--offline"], cols=100)
    try:
        term.wait("work offline")
        term.wait("second")
        term.keys("Home", "F")
        term.wait("1 queued")
        time.sleep(3)  # time in which a connection would be made
        equal(s.line.accepted, before, "connections while offline")
        term.command("offline off work")
        term.wait("work live")
        eventually("the flag is on the server", lambda: flagged(s.server) == ["second"])
        equal(s.line.accepted > before, True, "a connection when online")
    finally:
        term.close()


def running(user):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = open("/proc/%s/cmdline" % pid, "rb").read()
        except OSError:
            continue
        if user.root.encode() in argv and b"libexec/store" in argv:
            found.append(int(pid))
    return found


def flagged(server, box="INBOX"):
    with server.imap("bob") as imap:
        imap.select(box, readonly=True)
        found = imap.search(None, "FLAGGED")[1][0].split()
        out = []
        for n in found:
            data = imap.fetch(n, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode()
            out.append(re.search(r"Subject: (.*)\r", data)[1])
        return out


@scene(lines='set -a work cache "recent 30"\nmailbox work Lists* cache headers\n')
def test_cache_policies(s):
    with s.server.imap("bob") as imap:
        imap.create("Lists/kernel")
        put(imap, "INBOX", "old letter", "The word is amethyst.\n", age=100)
        for i in range(6):
            put(imap, "INBOX", "fresh %d" % i, "The word is obsidian%d.\n" % i)
        put(imap, "Lists/kernel", "patch", "The word is malachite.\n")
    term = s.user.start(cols=120)
    try:
        term.wait("fresh 5")
        eventually("the recent ones are here", lambda: cached(s.user) == ["fresh %d" % i for i in range(5, -1, -1)])
        equal(len(files(s.user)), 6, "files")
        # a policy that is changed takes effect
        term.command("set -a work cache all")
        eventually("the old one is here too", lambda: "old letter" in cached(s.user))
        term.command('mailbox work Lists/kernel cache "recent 10"')
        eventually("that of the list as well", lambda: "patch" in cached(s.user))
        # what comes in is fetched by itself
        with s.server.imap("bob") as imap:
            put(imap, "INBOX", "just in", "The word is turquoise.\n")
        eventually("the new one is here", lambda: "just in" in cached(s.user))
        eventually("their texts are found", lambda: "old letter" in s.user.run("search", "amethyst").stdout and
                   "just in" in s.user.run("search", "turquoise").stdout)
        # what another client removes goes from the disk
        with s.server.imap("bob") as imap:
            imap.select("INBOX")
            imap.store(imap.search(None, 'SUBJECT "fresh 3"')[1][0].decode(), "+FLAGS", "\\Deleted")
            imap.expunge()
        eventually("the file of a removed mail is gone", lambda: len(files(s.user)) == 8)
        with s.server.imap("bob") as imap:
            imap.delete("Lists/kernel")
        term.command("sync")
        eventually("the files of a removed mailbox are gone", lambda: len(files(s.user)) == 7)
        equal(sorted(cached(s.user)), ["fresh 0", "fresh 1", "fresh 2", "fresh 4", "fresh 5", "just in", "old letter"])
        # without a line all of it is read and searched
        s.down()
        term.wait("offline, again")
        term.keys("End", "Enter")
        term.wait("amethyst")
        term.keys("q", "/")
        term.type("obsidian4")
        term.keys("Enter")
        term.wait(lambda screen: "fresh 4" in screen and "fresh 2" not in screen)
        term.keys("Enter")
        term.wait("The word is obsidian4")
    finally:
        term.close()


@scene()
def test_mail_that_is_not_here(s):
    s.deliver(*["number %d" % i for i in range(12)])
    term = s.user.start(cols=120)
    try:
        term.wait("number 11")
        term.keys("Home", "Enter")
        term.wait("Hello.")
        term.keys("q")
        term.keys("W")
        term.wait("work offline")
        term.keys("Enter")
        term.wait("Hello.")
        term.keys("q", "End", "Enter")
        term.wait(":offline off")  # what to do about it
        term.command("offline off")
        term.wait("work live")
        term.keys("q", "Enter")
        term.wait("Hello.")
    finally:
        term.close()


DISK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
int statvfs(const char *path, struct statvfs *v)
{
    memset(v, 0, sizeof *v);
    v->f_frsize = v->f_bsize = 4096;
    v->f_bavail = access(getenv("DISK_FULL"), F_OK) == 0 ? 100 : 1 << 30;
    (void)path;
    return 0;
}
"""


@scene(lines="set -a work cache all\n")
def test_a_disk_that_is_nearly_full(s):
    # THREATS 89: what nobody has asked for leaves room for what the user does
    with tap.directory() as d:
        full = os.path.join(d, "full")
        programs = faults.programs_with(d, "store", DISK, "DISK_FULL=" + full)
        with open(full, "w"):
            pass
        s.deliver(*["number %d" % i for i in range(12)])
        term = s.user.start(cols=120, env={"TUIMAIL_LIBEXEC": programs})
        try:
            term.wait("number 11")
            term.wait("nearly full: no mail is fetched ahead")
            term.keys("Home", "a")
            eventually("what the user does is done", lambda: s.server.subjects("bob", "Archive") == ["number 11"])
            assert len(files(s.user)) <= 3, files(s.user)  # what the screen asked for
            assert "ahead" not in term.screen(), term.screen()
            os.unlink(full)
            s.deliver("number 12")  # now, not in a minute
            eventually("all is here", lambda: len(cached(s.user)) == 13)
        finally:
            term.close()


@scene(lines='set -a work cache "recent 30"\nset -a work cache-size 100K\nmailbox work Keep cache all\n')
def test_cache_limits(s):
    body = ("x" * 72 + "\n") * 270  # 20 KB
    with s.server.imap("bob") as imap:
        imap.create("Keep")
        put(imap, "Keep", "kept", body)
        for i in range(8):
            put(imap, "INBOX", "mail %d" % i, body)
    term = s.user.start(cols=120)
    try:
        term.wait("mail 7")
        # the newest fill the room; what is kept for good came first or finds its place
        eventually("the newest are here", lambda: {"mail 7", "mail 6", "mail 5"} <= set(cached(s.user)))
        time.sleep(4)
        total = int(state(s.user, "select sum(size) from msg where body is not null"))
        equal(total <= 100 * 1024, True, "within the limit: %d" % total)
        equal("mail 0" in cached(s.user), False, "the oldest is not here")
        # new mail takes the place of the oldest
        with s.server.imap("bob") as imap:
            put(imap, "INBOX", "mail 8", body)
            put(imap, "INBOX", "mail 9", body)
        eventually("the new ones are here", lambda: {"mail 9", "mail 8"} <= set(cached(s.user)))
        kept = "kept" in cached(s.user)
        # a smaller room: the oldest go, what is kept for good stays
        term.command("set -a work cache-size 50K")
        eventually("less is here", lambda: int(state(s.user, "select sum(size) from msg where body is not null")) <= 50 * 1024)
        equal("kept" in cached(s.user), kept, "cache all is never dropped")
        equal("mail 9" in cached(s.user), True, "the newest stays")
        eventually("no file without its mail", lambda: len(files(s.user)) == len(cached(s.user)))
    finally:
        term.close()


@scene(lines="set -a work cache all\n")
def test_files_and_rows_are_compared(s):
    s.deliver("one", "two", "three")
    s.user.command("fetch")
    term = s.user.start(cols=120)
    term.wait("three")
    eventually("all are here", lambda: len(cached(s.user)) == 3)
    term.close()
    eventually("the store has ended", lambda: not running(s.user))
    gone, other = files(s.user)[0], files(s.user)[1]
    os.unlink(gone)
    stray = os.path.join(os.path.dirname(other), "4000000000")
    with open(stray, "w") as f:
        f.write("of nobody\n")
    with contextlib.closing(sqlite3.connect(os.path.join(s.user.store, "state/work/keep.db"))) as db, db:
        db.execute("delete from meta where cast(name as text)='u:files-swept'")
    term = s.user.start(cols=120)
    try:
        term.wait("three")
        eventually("the stray file is gone", lambda: not os.path.exists(stray))
        eventually("the lost one is fetched again", lambda: os.path.exists(gone))
        eventually("and known", lambda: len(cached(s.user)) == 3)
    finally:
        term.close()


def subjects_flagged(server, box, flag):
    with server.imap("bob") as imap:
        imap.select('"%s"' % box, readonly=True)
        out = []
        for n in imap.search(None, flag)[1][0].split():
            head = imap.fetch(n, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode()
            out.append(re.search(r"Subject: (.*?)\r", head)[1])
        return out


def act(term, *keys):
    """Keys one by one, as fast as they are taken."""
    for key in keys:
        term.keys(key)


@scene(lines="set -a work cache all\nset undo-send 1\n")
def test_a_journey(s):
    """Everything is done without a line, others change the same mail meanwhile, and in the end the server has it all."""
    names = ["m%02d" % i for i in range(40)]
    s.deliver(*names)
    term = s.user.start(cols=140, rows=50, env={"EDITOR": s.user.editor("Sent from the train.")})
    try:
        term.wait("m39")
        eventually("all mail is here", lambda: len(cached(s.user)) == 40)
        s.down()
        term.wait("work offline")
        act(term, "Home", "F", "j", *["a"] * 30)  # m39 is flagged, m38 to m09 are archived
        term.wait(lambda screen: "m08" in screen and "m09" not in screen)
        term.command("create-mailbox Projects")
        term.wait("Projects")
        term.command("move Projects")  # m08
        term.wait(lambda screen: "m08" not in screen)
        act(term, "F", "u")  # m07 is flagged and not
        act(term, "j", "j", "j", "j", "F")  # m03 is flagged, and removed by another
        act(term, "k", "k", "F")  # m05 is flagged: dropped below
        term.wait(lambda screen: re.search(r"m05", screen))
        term.keys("Q")
        screen = term.wait(lambda screen: all(w in screen for w in (
            "waits for the server", 'flag in INBOX: "m39"', "create mailbox Projects", 'move from INBOX to Projects: "m08"', 'flag in INBOX: "m05"')))
        equal("m07" in screen.split("waits for the server")[1], False, "what was undone waits for nothing")
        # the row that is dropped is the last of the queue
        act(term, *["j"] * 40, "d")
        term.wait("Drop this?")
        term.keys("y")
        term.wait("dropped")
        term.keys("q")
        equal([q for q in queue(s.user) if "m05" in q], [], "the dropped change")
        equal(len(queue(s.user)), 34, "changes that wait: two flags, 30 archived, a mailbox, a move")
        term.keys("Home", "Enter")
        term.wait("Hello.")
        term.keys("r")
        term.wait("Sent from the train.")
        term.keys("y")
        term.wait("1 to send")
        # the others
        with s.server.imap("bob") as imap:
            imap.select("INBOX")
            for name, what in (("m20", "move"), ("m21", "remove"), ("m03", "remove"), ("m22", "read"), ("m39", "read")):
                uid = imap.uid("search", None, 'SUBJECT "%s"' % name)[1][0].decode()
                if what == "move":
                    imap.uid("MOVE", uid, "Trash")
                elif what == "remove":
                    imap.uid("store", uid, "+FLAGS", "\\Deleted")
                    imap.uid("expunge", uid)
                else:
                    imap.uid("store", uid, "+FLAGS", "\\Seen")
        s.deliver("while away")
        s.up()
        term.command("reconnect")
        term.wait(lambda screen: "offline" not in screen)  # what is said of conflicts may hide the word "live"
        archived = [n for n in names[9:39] if n not in ("m20", "m21")]
        eventually("the archive is right", lambda: sorted(s.server.subjects("bob", "Archive")) == archived, 60)
        eventually("the mailbox is made and filled", lambda: s.server.subjects("bob", "Projects") == ["m08"])
        eventually("the reply arrived", lambda: "Re: m39" in s.server.subjects("alice", "INBOX"))
        eventually("its copy is in Sent", lambda: s.server.subjects("bob", "Sent") == ["Re: m39"])
        eventually("the answered mail is marked", lambda: subjects_flagged(s.server, "INBOX", "ANSWERED") == ["m39"])
        equal(sorted(s.server.subjects("bob", "INBOX")), sorted([n for n in names[:8] if n != "m03"] + ["m39", "while away"]))
        equal(subjects_flagged(s.server, "INBOX", "FLAGGED"), ["m39"], "flagged in the end")
        contains(subjects_flagged(s.server, "Archive", "SEEN"), "m22", "what another did to it")
        equal(s.server.subjects("bob", "Trash"), ["m20"], "what another moved stays where it was put")
        eventually("nothing waits", lambda: queue(s.user) == [])
        term.command("messages")
        screen = term.wait("what happened")
        equal(len(re.findall(r'\d:\d\d +work: .*m20', screen)), 1, "one word about m20")
        equal(len(re.findall(r'\d:\d\d +work: .*m21', screen)), 1, "one word about m21")
        equal(len(re.findall(r'\d:\d\d +work: .*m03', screen)), 1, "one word about m03")
    finally:
        term.close()


def end(user, term):
    term.keys("q")
    term.exit_status()
    term.close()
    eventually("the store has ended", lambda: not running(user))


@scene()
def test_an_account_that_becomes_another(s):
    s.deliver("first", "second", "third")
    with s.server.imap("carol") as imap:
        put(imap, "INBOX", "to carol", "Hello.\n")
    s.user.command("fetch")
    eventually("the store has ended", lambda: not running(s.user))
    term = s.user.start(cols=140, args=["--offline"])
    term.wait("third")
    act(term, "Home", "F", "j", "a")  # third is flagged, second archived
    term.wait("2 queued")
    end(s.user, term)
    # the same mail by another way: the user says so
    moved = LineProxy(s.server.info["imaps"])
    with open(s.user.rc) as f:
        rc = f.read()
    s.user.write_rc(rc.replace(":%d" % s.line.port, ":%d" % moved.port))
    term = s.user.start(cols=200)
    try:
        term.wait(":identity same|new")
        term.wait(re.compile(r" work +held").search)
        time.sleep(2)  # time in which it would connect
        equal(moved.accepted, 0, "connections before the choice")
        contains(s.user.run("fetch").stderr + s.user.run("fetch").stdout, "held")
        term.command("queue")
        contains(term.wait("waits for the server"), 'flag in INBOX: "third"')
        term.keys("q")
        term.command("identity same work")
        term.wait("2 changes go on")
        eventually("the flag is there", lambda: subjects_flagged(s.server, "INBOX", "FLAGGED") == ["third"])
        eventually("the other is archived", lambda: s.server.subjects("bob", "Archive") == ["second"])
        eventually("nothing waits", lambda: queue(s.user) == [])
        term.command("offline on")
        act(term, "End", "F")  # first
        term.wait("1 queued")
        end(s.user, term)
        # another login: nothing of what was meant for bob is done to carol
        s.user.write_rc(rc.replace("imaps://bob@", "imaps://carol@"))
        term = s.user.start(cols=200)
        term.wait(":identity same|new")
        term.command("identity new")
        term.wait("to carol")
        term.wait(lambda screen: "first" not in screen)
        equal(queue(s.user), [])
        with s.server.imap("carol") as imap:
            imap.select("INBOX", readonly=True)
            equal(imap.search(None, "FLAGGED")[1], [b""], "flags in the other account")
        equal(subjects_flagged(s.server, "INBOX", "FLAGGED"), ["third"], "what was dropped is not done")
    finally:
        term.close()
        moved.close()


@scene(lines="set -a work offline yes\n")
def test_offline_by_option_and_without_a_screen(s):
    s.deliver("first")
    before = s.line.accepted
    out = s.user.run("fetch")
    contains(out.stdout + out.stderr, "offline")
    text = message("on the train").replace("bob@", "alice@")
    contains(s.user.command("--offline", "send", "-t", "-a", "work", stdin=text), "queued")
    equal([q for q in queue(s.user) if "send" in q], ['send to alice@example.org: "on the train"'])
    line = s.user.command("queue").split("\n")[0]
    contains(line, "work m")
    s.user.command("queue", "drop", "work", line.split()[1])
    equal(queue(s.user), [])
    equal(s.line.accepted, before, "connections of an account that is offline")
    equal(s.server.subjects("alice", "INBOX"), [], "what was dropped is not sent")
    equal(s.user.run("queue", "drop", "work", "99").returncode != 0, True, "a number that is none")


@scene()
def test_mail_goes_out_in_order(s):
    s.deliver("first")
    s.user.command("fetch")
    eventually("the store has ended", lambda: not running(s.user))
    for name in ("letter one", "letter two", "letter three"):
        text = message(name).replace("To: Bob <bob@", "To: Alice <alice@")
        contains(s.user.command("--offline", "send", "-t", "-a", "work", stdin=text), "queued")
    eventually("the store has ended", lambda: not running(s.user))
    equal(s.server.subjects("alice", "INBOX"), [], "sent while offline")
    term = s.user.start(cols=120, args=["--offline"])
    try:
        term.wait("3 to send")
        term.command("offline off")
        eventually("all are sent", lambda: len(s.server.subjects("alice", "INBOX")) == 3, 60)
        equal(s.server.subjects("alice", "INBOX"), ["letter one", "letter two", "letter three"])
        eventually("their copies are filed", lambda: len(s.server.subjects("bob", "Sent")) == 3)
        equal(len(s.server.subjects("alice", "INBOX")), 3, "sent once each")
    finally:
        term.close()


def test_fetching_ahead_gives_way():
    """A large mail is on its way, unasked: what the user opens meanwhile is there first, and a cut does not begin it again."""
    with tap.directory() as root:
        s = Scene(root, lines="set -a work cache all\n")
        large = "".join("%072d\n" % i for i in range(30000))  # 2 MB
        with s.server.imap("bob") as imap:
            for i in range(30):
                put(imap, "INBOX", "small %02d" % i)
            put(imap, "INBOX", "the large one", large)
        s.line.rate = 150000
        term = s.user.start(cols=120)
        try:
            term.wait("the large one")
            term.wait("ahead")  # in the status line
            eventually("it is under way", lambda: s.line.passed > 200000)
            term.keys("End", "Enter")  # small 00, the last that would be fetched
            term.wait("Hello.")
            equal("the large one" in cached(s.user), False, "the large one is here before what was opened")
            s.line.cut()
            term.wait(re.compile("work offline").search)
            term.keys("q")
            term.command("reconnect")
            eventually("all is here", lambda: len(cached(s.user)) == 31, 60)
            equal(s.line.passed < 1.6 * len(large), True, "it went on from where it was: %d bytes" % s.line.passed)
        except BaseException:
            print("\n".join("# " + line for line in s.user.logs().splitlines()))
            raise
        finally:
            term.close()
            s.close()


if __name__ == "__main__":
    tap.run(globals())
