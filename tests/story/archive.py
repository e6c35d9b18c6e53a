#!/usr/bin/env python3
"""tuimail export and tuimail import: what goes out comes back byte for byte with its flags, tags and times; other
programs read it; an import that was broken off and is run again doubles nothing; and a file that is no mbox, or a
hostile one, does no harm (THREATS 105, 114)."""
import collections
import contextlib
import email
import imaplib
import mailbox
import os
import resource
import signal
import subprocess
import time

import tap
from dovecot import Server
from tap import contains, equal
from user import User, eventually, message

FLAGS = ("", "S", "FS", "RS", "DF", "PRST", "T", "F")


def local(root, name="bob", lines=""):
    """A user whose one account is the Maildir ROOT/NAME.mail."""
    os.makedirs(os.path.join(root, name), exist_ok=True)
    return User(os.path.join(root, name), account=False,
                lines="account work maildir:%s\n%s" % (mail_of(root, name), lines))


def mail_of(root, name="bob"):
    return os.path.join(root, name + ".mail")


def write(path, data, mtime=None):
    with open(path, "wb") as f:
        f.write(data)
    if mtime:
        os.utime(path, (mtime, mtime))


def make_maildir(path):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub), mode=0o700, exist_ok=True)


def mails(path, times=True):
    """What a Maildir folder holds, without the names: each mail's bytes, flags and time, counted."""
    found = collections.Counter()
    for sub in ("cur", "new"):
        for name in os.listdir(os.path.join(path, sub)):
            file = os.path.join(path, sub, name)
            with open(file, "rb") as f:
                found[(f.read(), "".join(sorted(name.partition(":2,")[2])), int(os.stat(file).st_mtime) if times else 0)] += 1
    return found


def only_bytes(found):
    out = collections.Counter()
    for (data, _, _), n in found.items():
        out[data] += n
    return out


def same(got, want, what):
    if got != want:
        missing, more = list((want - got).elements()), list((got - want).elements())
        raise AssertionError("%s: %d missing, %d too many\nfirst missing: %r\nfirst too many: %r"
                             % (what, len(missing), len(more), missing[:1], more[:1]))


def corpus():
    """A fourth of the corpus (TUIMAIL_WHOLE_CORPUS: all of it), each mail once whatever ends its lines, and what no corpus has."""
    place, seen = os.environ.get("TUIMAIL_CORPUS", ""), {}
    for folder, _, names in os.walk(place):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and 0 < os.path.getsize(path) < 300000:
                with open(path, "rb") as f:
                    data = f.read()
                    seen[data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")] = data
    odd = [b"From alice@example.org Sun Nov 22 10:00:00 2026\nSubject: an mbox line in front\n\nFrom here\n",
           b"Subject: no end", b"Subject: ends empty\n\n\n\n", b"\n", b"\n\n", b"no header at all\n", b">From\n>>From x\nFrom \n",
           b"Subject: crlf\r\n\r\nFrom a\r\n>From b\r\n", b"Subject: bare cr\rFrom x\r\r\n\nFrom \r", b"\0\0\0\nFrom \0\n",
           b"Status: RO\nX-Status: A\nX-Keywords: x\nSubject: has what an mbox adds\n\nbody\n",
           b"X-Mbox-Last-Line: open\nSubject: that too\n\nbody\n", b"Content-Length: 5\nSubject: n\n\nFrom a\n",
           b"Content-Length: 7\nSubject: fits\n\nFrom a\n", b"X-IMAP: 1 2\nSubject: n\n\n", b"Subject: long\n\n" + b">" * 200000 + b"From x\n",
           b"Subject: long\n\n" + b"x" * 300000, b"From: a\n" * 3 + b"\n" + b"\nFrom a Sun Nov 22 10:00:00 2026\n\n"]
    every = 1 if os.environ.get("TUIMAIL_WHOLE_CORPUS") else 4
    return list(seen.values())[::every] + odd


def test_round_trip():
    """Maildir, mbox, Maildir: byte for byte, with flags and times."""
    with tap.directory() as root:
        bob, ann = local(root), local(root, "ann")
        make_maildir(mail_of(root))
        for i, data in enumerate(corpus()):
            flags = FLAGS[i % len(FLAGS)]
            name = "cur/%d.x:2,%s" % (i, flags) if flags else "new/%d.x" % i
            write(os.path.join(mail_of(root), name), data, 1000000000 + i * 1000)
        want = mails(mail_of(root))
        box = os.path.join(root, "all.mbox")
        bob.command("export", "--account", "work", "--output", box)
        count = sum(want.values())
        equal(len(mailbox.mbox(box)), count, "mails that Python reads")
        again = ann.run("import", box)
        contains(again.stderr, "%d mails imported, 0 duplicates, 0 not taken" % len(want))
        # P is none of the flags that Status and X-Status know: it is a keyword there.
        same(mails(mail_of(root, "ann")), want, "back out of the mbox")
        again = ann.run("import", box)
        contains(again.stderr, "0 mails imported, %d duplicates, 0 not taken" % count)
        same(mails(mail_of(root, "ann")), want, "after the same import")
        # And straight from Maildir to Maildir.
        copy = os.path.join(root, "copy")
        bob.command("export", "--account", "work", "--format=maildir", "--output", copy)
        same(mails(copy), want, "the exported Maildir")
        contains(bob.run("export", "--account", "work", "--format=maildir", "--output", copy).stderr, "%d were there already" % count)
        same(mails(copy), want, "the exported Maildir after a second run")
        eve = local(root, "eve")
        eve.command("import", copy)
        same(mails(mail_of(root, "eve")), want, "the imported Maildir")


def test_mutt_reads_it():
    """mutt counts the mails and knows their flags, and what it writes is read back."""
    with tap.directory() as root:
        bob = local(root)
        make_maildir(mail_of(root))
        for i in range(12):
            write(os.path.join(mail_of(root), "cur/%d.x:2,%s" % (i, FLAGS[i % 3])), message("mail %d" % i, "From %d\n>From\n\nFrom x\n" % i).encode())
        box = os.path.join(root, "box")
        bob.command("export", "--account", "work", "--output", box)
        # Deletes nothing, tags what it shows as read and flagged, and saves those.
        script = "set mbox_type=mbox\nset confirmappend=no\nset confirmcreate=no\nset delete=no\nset quit=yes\nset folder=%s\nset header_cache=''\n" % root
        script += "push '<tag-pattern>~R ~F<enter><tag-prefix><copy-message>%s/flagged<enter><quit>'\n" % root
        rc = os.path.join(root, "muttrc")
        with open(rc, "w") as f:
            f.write(script)
        try:
            from term import Terminal
            term = Terminal(["mutt", "-n", "-F", rc, "-f", box], 80, 24, env={"HOME": root})
        except FileNotFoundError:
            tap.skip("no mutt here")
        try:
            equal(term.exit_status(30), 0, "mutt's status")
        finally:
            term.close()
        out = mailbox.mbox(os.path.join(root, "flagged"), create=False)
        equal(sorted(m["Subject"] for m in out), sorted("mail %d" % i for i in range(12) if FLAGS[i % 3] == "FS"), "flagged and read, for mutt")
        ann = local(root, "ann")
        ann.command("import", os.path.join(root, "flagged"))
        same(only_bytes(mails(mail_of(root, "ann"))), only_bytes(collections.Counter(
            {k: v for k, v in mails(mail_of(root)).items() if k[1] == "FS"})), "what mutt copied")


def test_tags():
    """Tags go out as X-Keywords and come back as tags; a query chooses."""
    with tap.directory() as root:
        bob, ann = local(root), local(root, "ann")
        make_maildir(mail_of(root))
        box = os.path.join(root, "in.mbox")
        with open(box, "wb") as f:
            for i, words in enumerate(("todo", "todo später", "$Forwarded later", "")):
                f.write(b"From a@example.org Sun Nov 22 10:00:00 2026\nX-Keywords: %s\n%s\n"
                        % (words.encode(), message("mail %d" % i).encode()))
        bob.command("import", box)
        out = bob.run("export", "tag:todo")
        equal(out.returncode, 0, "status")
        equal(out.stdout.count("\nFrom "), 1, "mails behind the first")
        contains(out.stdout, "X-Keywords: todo\n")
        contains(out.stdout, "X-Keywords: später todo\n")
        everything = bob.command("export", "*")
        contains(everything, "X-Keywords: $Forwarded later\n")
        equal(sorted(f.partition(":2,")[2] for f in os.listdir(mail_of(root) + "/cur")), ["", "", "", "P"], "flags out of keywords")
        contains(ann.run("import", "-", stdin=everything).stderr, "4 mails imported")
        contains(ann.command("export", "tag:todo"), "X-Keywords: später todo\n")


def ended(user):
    """None of the user's programs runs, so that the next one says whether to connect."""
    eventually("all programs ended", lambda: not user.programs())


def on_server(server, box="INBOX"):
    """[(bytes with LF, flags, INTERNALDATE)] of a mailbox of bob's."""
    out = []
    with server.imap("bob") as imap:
        ok, n = imap.select('"%s"' % box, readonly=True)
        if ok != "OK" or n[0] == b"0":
            return out
        for item in imap.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
            if isinstance(item, tuple):
                flags = {f.decode() for f in imaplib.ParseFlags(item[0])} - {"\\Recent"}
                out.append((item[1].replace(b"\r\n", b"\n"), flags, time.mktime(imaplib.Internaldate2tuple(item[0]))))
    return out


def test_imap():
    """To a server with flags, keywords and INTERNALDATE, and back; none twice; what cannot be fetched is counted."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"))) as server:
        bob = User(os.path.join(root, "bob"), server)
        box = os.path.join(root, "in.mbox")
        want = []
        with open(box, "wb") as f:
            for i in range(40):
                data = message("mail %d" % i, "line\nFrom %d\n" % i + "x" * 2000 + "\n").encode()
                when = 1700000000 + 1000 * i
                f.write(b"From a@example.org %s\nStatus: %s\nX-Status: %s\nX-Keywords: %s\n%s\n" % (
                    time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(when)).encode(), (b"RO", b"O")[i % 2], (b"", b"AF")[i % 3 == 0],
                    (b"", b"todo")[i % 5 == 0], data.replace(b"\nFrom ", b"\n>From ")))
                want.append((data, ({"\\Seen"} if i % 2 == 0 else set()) | ({"\\Answered", "\\Flagged"} if i % 3 == 0 else set())
                             | ({"todo"} if i % 5 == 0 else set()), when))

        def key(mail):
            return mail[2], sorted(mail[1]), mail[0]
        contains(bob.run("import", "--mailbox", "Old", box).stderr, "40 mails imported, 0 duplicates, 0 not taken")
        for got, wanted in zip(sorted(on_server(server, "Old"), key=key), sorted(want, key=key)):
            equal(got, wanted, "on the server")
        equal(len(on_server(server, "Old")), 40, "mails on the server")
        again = bob.run("import", "--mailbox", "Old", box)
        contains(again.stderr, "0 mails imported, 40 duplicates")
        equal(len(on_server(server, "Old")), 40, "mails on the server")
        # A machine that has seen none of them.
        ann = User(os.path.join(root, "ann"), server)
        out = os.path.join(root, "out")
        ann.command("export", "--mailbox", "Old", "--format=maildir", "--output", out)
        same(collections.Counter({(d.replace(b"\r\n", b"\n"), f, t): n for (d, f, t), n in mails(out).items()}),
             collections.Counter((d, "".join(sorted({"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F"}[f] for f in flags if f[0] == "\\")), t)
                                 for d, flags, t in want), "exported from the server")
        contains(ann.run("--offline", "export", "--mailbox", "Old", "--format=maildir", "--output", out).stderr, "40 were there already")
        # Another machine that knows the list and not the mails, without a line: said, and counted.
        eve = User(os.path.join(root, "eve"), server, lines="set -a work cache headers\n")
        eve.command("fetch")
        ended(eve)
        done = eve.run("--offline", "export", "--mailbox", "Old", "--output", os.path.join(root, "none.mbox"))
        contains(done.stderr, "40 left out")
        equal(done.returncode, 75, "status without a line")
        # Without a line an import waits in the queue, and is not queued twice.
        with open(box, "ab") as f:
            f.write(b"From a Sun Nov 22 10:00:00 2026\n" + message("one more").encode())
        ended(ann)
        contains(ann.run("--offline", "import", "--mailbox", "Old", box).stderr, "1 wait for work")
        contains(ann.run("--offline", "import", "--mailbox", "Old", box).stderr, "0 mails imported, 41 duplicates")
        ann.command("fetch")  # while the programs of that still run
        equal(len(on_server(server, "Old")), 41, "mails on the server at the end")


def numbered(n, size=3000):
    return [message("number %d" % i, ("%d " % i) * (size // 5) + "\n").encode() for i in range(n)]


def write_mbox(path, list_of_mails):
    with open(path, "wb") as f:
        for data in list_of_mails:
            f.write(b"From a@example.org Sun Nov 22 10:00:00 2026\n" + data + b"\n")


def kill_when(user, args, programs, reached):
    """Runs it and kills these programs of it once `reached`."""
    run = subprocess.Popen([tap.TUIMAIL, "-c", user.rc] + args, env=dict(os.environ, **user.env),
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not reached() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    for pid, name in user.programs():
        if name in programs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    run.wait(60)


def files(path):
    return sum(len(os.listdir(os.path.join(path, d))) for d in ("new", "cur") if os.path.isdir(os.path.join(path, d)))


def test_killed():
    """kill -9 in the middle, of each program: the same command again ends it, with each mail once."""
    with tap.directory() as root:
        bob, box = local(root), os.path.join(root, "in.mbox")
        sent = numbered(400)
        write_mbox(box, sent)
        for some, programs in ((20, ("tuimail",)), (100, ("fetch",)), (160, ("store", "spawn")), (230, ("archive",))):
            kill_when(bob, ["import", box], programs, lambda: files(mail_of(root)) >= some)
        for delay in (0.1, 0.2, 0.4):  # while what is there is compared: that it cannot be read now is no reason to take it again
            begun = time.monotonic()
            kill_when(bob, ["import", box], ("fetch",), lambda: time.monotonic() > begun + delay)
        done = bob.run("import", box)
        equal(done.returncode, 0, "status of the last import: " + done.stderr)
        same(only_bytes(mails(mail_of(root))), collections.Counter(sent), "imported")
        out = os.path.join(root, "out")
        for some, programs in ((20, ("tuimail",)), (150, ("archive",)), (250, ("store", "fetch", "spawn"))):
            kill_when(bob, ["export", "--account", "work", "--format=maildir", "--output", out], programs, lambda: files(out) >= some)
        bob.command("export", "--account", "work", "--format=maildir", "--output", out)
        same(only_bytes(mails(out)), collections.Counter(sent), "exported")


def interrupt_when(user, args, reached):
    """Ctrl-C, as a terminal sends it: to the whole group."""
    run = subprocess.Popen([tap.TUIMAIL, "-c", user.rc] + args, env=dict(os.environ, **user.env), stderr=subprocess.PIPE,
                           text=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while not reached() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(run.pid, signal.SIGINT)
    return run.communicate(timeout=60)[1], run.returncode


def test_ctrl_c():
    """Ctrl-C: what was begun is ended, no half file stays, and it is said how to go on."""
    with tap.directory() as root:
        bob, box, out = local(root), os.path.join(root, "in.mbox"), os.path.join(root, "out")
        sent = numbered(1500, 10000)
        write_mbox(box, sent)
        said, status = interrupt_when(bob, ["import", box], lambda: files(mail_of(root)) >= 50)
        contains(said, "run the same import again")
        equal(status, 75, "status")
        here = files(mail_of(root))
        contains(said, "%d mails imported" % here)
        equal(os.listdir(mail_of(root) + "/tmp"), [], "files in tmp")
        bob.command("import", box)
        said, status = interrupt_when(bob, ["export", "--account", "work", "--format=maildir", "--output", out], lambda: files(out) >= 50)
        contains(said, "the same command adds the rest")
        equal(status, 75, "status")
        equal(os.listdir(out + "/tmp"), [], "files in tmp")
        said, status = interrupt_when(bob, ["export", "--account", "work", "--output", out + ".mbox"],
                                      lambda: any(name.endswith(".part") for name in os.listdir(root)))
        equal((sorted(os.listdir(root)), status), (["bob", "bob.mail", "in.mbox", "out"], 75), "of an mbox nothing stays")
        bob.command("export", "--account", "work", "--format=maildir", "--output", out)
        same(only_bytes(mails(out)), collections.Counter(sent), "at the end")


def test_in_the_jobs_of_a_screen():
    """The screen beside it lists what is imported, and ends it; it is the same as Ctrl-C."""
    with tap.directory() as root:
        bob, box = local(root), os.path.join(root, "in.mbox")
        sent = numbered(600)
        write_mbox(box, sent)
        make_maildir(mail_of(root))
        with bob.at_screen() as term:
            term.wait("No messages here")
            run = subprocess.Popen([tap.TUIMAIL, "-c", bob.rc, "import", box], env=dict(os.environ, **bob.env), stderr=subprocess.PIPE, text=True)
            eventually("mail comes in", lambda: files(mail_of(root)) >= 10)
            archive = [pid for pid, name in bob.programs() if name == "archive"]
            for pid in archive:
                os.kill(pid, signal.SIGSTOP)
            try:
                term.command("jobs")
                term.wait(lambda screen: "tuimail import: " + box[:20] in screen and "%" in screen)
                term.keys("d")
                term.wait("it is asked to stop")
            finally:
                for pid in archive:
                    os.kill(pid, signal.SIGCONT)
            said = run.communicate(timeout=60)[1]
            equal((len(archive), run.returncode), (1, 75), "status: " + said)
            contains(said, "run the same import again")
            assert files(mail_of(root)) < 600, "it went on to its end"
            term.wait("tuimail import", gone=True)
        bob.command("import", box)
        same(only_bytes(mails(mail_of(root))), collections.Counter(sent), "at the end")


@contextlib.contextmanager
def small_disk(megabytes):
    if os.geteuid() != 0:
        tap.skip("mounting a small file system needs root")
    with tap.directory() as root, contextlib.ExitStack() as stack:
        small = os.path.join(root, "small")
        os.mkdir(small, 0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700" % megabytes, "none", small], capture_output=True).returncode:
            tap.skip("no tmpfs can be mounted here")
        stack.callback(subprocess.run, ["umount", "-l", small], check=False)
        yield root, small, lambda size: subprocess.run(["mount", "-o", "remount,size=%dm" % size, small], check=True)


def test_full_disk():
    """THREATS 89: out of room it says so, nothing half is left, and with room the same command ends it."""
    with small_disk(2) as (root, small, resize):
        bob, box = local(root), os.path.join(root, "in.mbox")
        sent = numbered(60, 100000)
        write_mbox(box, sent)
        bob.command("import", box)
        out = os.path.join(small, "out.mbox")
        done = bob.run("export", "--account", "work", "--output", out)
        equal(done.returncode, 74, "status: " + done.stderr)
        contains(done.stderr, "Make room on the disk")
        equal(os.listdir(small), [], "left of an mbox")
        tree = os.path.join(small, "tree")
        done = bob.run("export", "--account", "work", "--format=maildir", "--output", tree)
        equal(done.returncode, 74, "status: " + done.stderr)
        contains(done.stderr, "the same command adds the rest")
        equal(os.listdir(tree + "/tmp"), [], "left in tmp")
        got = only_bytes(mails(tree))
        equal(got - collections.Counter(sent), collections.Counter(), "whole mails alone")
        resize(40)
        bob.command("export", "--account", "work", "--format=maildir", "--output", tree)
        same(only_bytes(mails(tree)), collections.Counter(sent), "with room")
    with small_disk(4) as (root, small, resize):
        ann = local(small, "ann")
        box = os.path.join(root, "in.mbox")
        write_mbox(box, sent)
        done = ann.run("import", box)
        equal(done.returncode, 74, "status: " + done.stderr)
        equal(only_bytes(mails(mail_of(small, "ann"))) - collections.Counter(sent), collections.Counter(), "whole mails alone")
        resize(80)
        equal(ann.run("import", box).returncode, 0, "status with room")
        same(only_bytes(mails(mail_of(small, "ann"))), collections.Counter(sent), "imported with room")


def test_never_overwrites():
    with tap.directory() as root:
        bob, out = local(root), os.path.join(root, "precious")
        write(out, b"precious\n")
        make_maildir(mail_of(root))
        write(mail_of(root) + "/new/1.x", message("a").encode())
        done = bob.run("export", "--account", "work", "--output", out)
        equal((done.returncode, open(out).read()), (64, "precious\n"), "a file that is there")
        contains(done.stderr, "--overwrite")
        bob.command("export", "--account", "work", "--output", out, "--overwrite")
        contains(open(out).read(), "Subject: a")
        equal(sorted(os.listdir(root)), ["bob", "bob.mail", "precious"], "nothing beside it")


A = message("first", "one\n").encode()
B = message("second", "two\n\nFrom the heart\n").encode()


def test_kinds():
    """Each kind of mbox, a single mail, standard input, and what is no mail at all with its place."""
    line = b"From alice@example.org Sun Nov 22 10:00:00 2026\n"
    quoted = B.replace(b"\nFrom ", b"\n>From ")

    def with_length(mail, n=None):
        head, _, body = mail.partition(b"\n\n")
        return head + b"\nContent-Length: %d\n\n" % (len(body) if n is None else n) + body
    raw = message("raw", "text\n\nFrom bob@example.org Sun Nov 22 11:00:00 2026\nSubject: not a mail\n\nend\n").encode()
    head, _, rest = raw.partition(b"\n\nFrom bob")
    split = [head + b"\n", b"Subject: not a mail\n\nend\n"]
    cases = {
        "mboxrd": (line + A + b"\n" + line + quoted + b"\n", [A, B], ""),
        "without the last empty line": (line + A + b"\n" + line + quoted, [A, B], ""),
        "without any empty line": (line + A + line + quoted, [A, B], ""),
        "crlf": ((line + A + b"\n" + line + quoted).replace(b"\n", b"\r\n"), [A.replace(b"\n", b"\r\n"), B.replace(b"\n", b"\r\n")], ""),
        "mboxcl2": (line + with_length(raw) + b"\n" + line + with_length(A) + b"\n", [raw, A], ""),
        "mboxcl": (line + with_length(quoted) + b"\n" + line + with_length(A), [B, A], ""),
        "a length that does not fit": (line + with_length(raw, 9) + b"\n" + line + A, split + [A], ""),
        "a length beyond the end": (line + with_length(A, 1 << 40) + b"\n" + line + quoted, [A, B], ""),
        "a length that wraps": (line + with_length(A, (1 << 64) - 1) + b"\n" + line + quoted, [A, B], ""),
        "empty lines first": (b"\n\n" + line + A, [A], ""),
        "rubbish first": (b"rubbish\n\n" + line + A, [A], "at 0: not imported: no From line stands before it"),
        "Thunderbird": (b"From \n" + A + b"\nFrom - Sun Nov 22 10:00:00 2026\n" + quoted, [A, B], ""),
        "an empty mail": (line + b"\n" + line + A, [A], "at 0: not imported: it is empty"),
        "a mail program's own": (line + b"X-IMAP: 1 2\nSubject: DON'T DELETE\n\ndata\n\n" + line + A, [A], "own data"),
        "one mail": (B, [B], ""),
        "nothing": (b"", [], ""),
        "rubbish": (b"\x7fELF\0\0\0" * 1000, [], "at 0: not imported: no From line"),
        "NUL": (line + A + b"\0\n\n" + line + b"\0\0\0\n", [A + b"\0\n", b"\0\0\0\n"], ""),
        "bare CR": (line + A + b"a\rFrom b\r\n\n", [A + b"a\rFrom b\r\n"], ""),
    }
    with tap.directory() as root:
        for i, (what, (data, want, said)) in enumerate(cases.items()):
            name = "u%d" % i
            user, path = local(root, name), os.path.join(root, "in")
            write(path, data)
            done = user.run("import", path)
            contains(done.stderr, said, what)
            equal(done.returncode, 65 if said else 0, what + ": status: " + done.stderr)
            make_maildir(mail_of(root, name))
            same(only_bytes(mails(mail_of(root, name))), collections.Counter(want), what)
        user = local(root, "stdin")
        contains(user.run("import", "--dry-run", "-", stdin=cases["mboxrd"][0].decode()).stderr, "2 mails would be imported")
        contains(user.run("import", "-", stdin=cases["mboxrd"][0].decode()).stderr, "2 mails imported")
        for args, status, said in ((["import"], 64, "path"), (["import", "/nowhere"], 66, "/nowhere"), (["import", root + "/stdin"], 66, "not a Maildir"),
                                   (["import", "/dev/null"], 64, "neither"), (["import", "--account", "wrok", "x"], 78, "work"),
                                   (["export"], 64, "--account"), (["export", "--mailbox", "Nope"], 66, "Nope"),
                                   (["export", "--format=maildir", "x"], 64, "--output"), (["export", "--format=zip", "x"], 64, "maildir")):
            done = user.run(*args)
            equal(done.returncode, status, " ".join(args) + ": " + done.stderr)
            contains(done.stderr, said)


def test_hostile_size():
    """A line without end, a header without end, a mail larger than any: bounded memory, and what follows is taken."""
    with tap.directory() as root:
        bob, box = local(root), os.path.join(root, "in")
        line = b"From alice@example.org Sun Nov 22 10:00:00 2026\n"
        with open(box, "wb") as f:
            f.write(line + A + b"\n" + line + b"Subject: huge\n\n")
            f.truncate(f.tell() + (1 << 30) + 1)
            f.seek(0, os.SEEK_END)
            f.write(b"\n\n" + line + b"X: y\n" * 400000 + b"\nbody\n\n" + line + b"Y: " + b"z" * 3000000 + b"\n\nbody\n\n" + line + B.replace(b"\nFrom ", b"\n>From "))
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        done = bob.run("import", box)
        contains(done.stderr, "larger than a gigabyte")
        contains(done.stderr, "4 mails imported, 0 duplicates, 1 not taken")
        equal(done.returncode, 65, "status")
        after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if after > max(before, 64 << 10):
            raise AssertionError("a program took %d KB" % after)
        contains(b"".join(only_bytes(mails(mail_of(root)))).decode(), "From the heart")


def test_maildir_tree():
    """A Maildir++ with folders, Dovecot's keywords, and files that are none: into mailboxes, and out into folders again."""
    with tap.directory() as root:
        tree, bob = os.path.join(root, "tree"), local(root)
        for folder in ("", ".Lists", ".Lists.kernel", ".Entw&APw-rfe"):
            make_maildir(os.path.join(tree, folder))
            write(os.path.join(tree, folder, "cur/1.x:2,Sa"), message("in " + (folder or "inbox")).encode(), 1600000000)
            write(os.path.join(tree, folder, "new/2.x"), A, 1600000001)
        write(tree + "/dovecot-keywords", b"0 todo\n1 $Forwarded\n")
        write(tree + "/.Lists/dovecot-keywords", b"0 $Forwarded\n")
        os.mkfifo(tree + "/new/fifo")
        os.symlink("/etc/passwd", tree + "/cur/link:2,")
        os.mkdir(tree + "/cur/directory")
        done = bob.run("import", tree)
        contains(done.stderr, "3 files there are no mail")
        contains(done.stderr, "8 mails imported, 0 duplicates, 1 not taken")
        equal(sorted(os.listdir(mail_of(root) + "/.Lists.kernel/cur") + os.listdir(mail_of(root) + "/.Lists.kernel/new")).__len__(), 2, "in the folder")
        contains(bob.command("export", "tag:todo"), "Subject: in inbox")
        equal(sorted(f.partition(":2,")[2] for f in os.listdir(mail_of(root) + "/.Lists/cur")), ["", "PS"], "a flag among Dovecot's keywords")
        contains(bob.run("import", tree).stderr, "0 mails imported, 8 duplicates")
        contains(bob.run("import", "--mailbox", "Old", tree).stderr, "8 mails imported")
        contains(bob.command("export", "--mailbox", "Entwürfe"), "Subject: first")
        equal(files(mail_of(root) + "/.Old.Lists.kernel"), 2, "below the mailbox named")
        out = os.path.join(root, "out")
        bob.command("export", "--account", "work", "--format=maildir", "--output", out)
        for folder in ("", ".Lists", ".Lists.kernel", ".Entw&APw-rfe", ".Old", ".Old.Lists", ".Old.Lists.kernel"):
            same(mails(os.path.join(out, folder)), mails(os.path.join(mail_of(root), folder)), "the folder " + folder)


def test_pop3():
    """Into a POP3 account's Maildir without its server; a mail of which only the header is here goes out whole, or is left out."""
    with tap.directory() as root, contextlib.closing(Server(os.path.join(root, "dovecot"))) as server:
        server.deliver("bob", message("small"))
        server.deliver("bob", message("large", "0123456789abcdef\n" * 20000))
        bob = User(os.path.join(root, "bob"), server, protocol="pop3s", lines="set -a work max-size 100000\n")
        bob.command("fetch")
        ended(bob)
        box = os.path.join(root, "in")
        write_mbox(box, [A, B.replace(b"\nFrom ", b"\n>From ")])
        server.stop()
        contains(bob.run("import", "--mailbox", "Old", box).stderr, "2 mails imported")
        contains(bob.run("import", "--mailbox", "Old", box).stderr, "2 duplicates")
        done = bob.run("--offline", "export", "--account", "work")
        contains(done.stderr, "1 left out")
        equal(done.returncode, 75, "status without the large mail")
        equal("Subject: large" in done.stdout, False, "a header for a mail")
        server.start()
        ended(bob)
        done = bob.run("export", "--account", "work")
        equal(done.returncode, 0, "status: " + done.stderr)
        contains(done.stdout, "0123456789abcdef\n" * 20000)


def test_same_id():
    """Mails that share a Message-ID and differ are each a mail; two that are equal in two copies are two."""
    with tap.directory() as root:
        bob, box, out = local(root), os.path.join(root, "in"), os.path.join(root, "out")
        others = [message("same", "body %d\n" % i).encode() for i in range(5)]
        write_mbox(box, others + others[:1])
        contains(bob.run("import", box).stderr, "5 mails imported, 1 duplicate,")
        make_maildir(mail_of(root))
        write(mail_of(root) + "/new/copy.x", others[0])
        for path in os.listdir(mail_of(root) + "/new"):
            os.utime(os.path.join(mail_of(root), "new", path), (1600000000, 1600000000))
        for _ in range(2):
            bob.command("export", "--account", "work", "--format=maildir", "--output", out)
            same(only_bytes(mails(out)), collections.Counter(others + others[:1]), "all of them")


if __name__ == "__main__":
    tap.run(globals())
