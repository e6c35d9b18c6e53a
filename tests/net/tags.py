#!/usr/bin/env python3
"""Tags as keywords of an IMAP server, both ways, with the real store and fetch: two clients of one real Dovecot, and scripted servers
that refuse, forget and flood."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import actions  # noqa: E402
import quirks  # noqa: E402
import rig  # noqa: E402
import tap  # noqa: E402
from actions import RICH, flags_at, ids, offline, world  # noqa: E402
from imap_script import CAPS, Box, Server  # noqa: E402
from quirks import account, tags  # noqa: E402
from rig import ARCHIVE, SEEN, TAGS  # noqa: E402

POOR = RICH.replace(" CONDSTORE QRESYNC", "")


@contextlib.contextmanager
def second(r, lines=""):
    """Another tuimail of the same account: a root of its own."""
    other = rig.Rig(os.path.join(os.path.dirname(r.root), "other"), r.server.info, lines=lines)
    other.server, other.line = r.server, None
    try:
        other.until("the list is read", lambda: len(other.boxes()) > 1 and other.accounts and other.accounts[-1].state == 2)
        other.say(other.client, "WATCH", account="work", box=other.box("INBOX"))
        yield other
    finally:
        other.close()


def told(r, word):
    return [n for n in r.notes if word in n]


def between_two_devices(caps):
    with world(count=3, caps=caps) as r, second(r) as s:
        s.filled("INBOX", 3)
        one, two = ids(r, 1, 2)
        r.intent(TAGS, [one, two], arg="+urgent +To\xa0Do +café +a(b)")
        r.settled()
        want = {"urgent", "To=20Do", "caf=C3=A9", "a=28b=29"}
        tap.equal(flags_at(r, "INBOX")["number 1"], want)
        tap.equal(len(r.line.asked("UID STORE")), 1, "both in one command")
        there = ids(s, 1)[0]
        s.until("the tags are at the other device", lambda: tags(s, there) == ["To\xa0Do", "a(b)", "café", "urgent"])
        # and what that takes off and adds comes back, also what was set here
        s.intent(TAGS, [there], arg="-urgent -café +Later")
        s.settled()
        r.until("the change came back", lambda: tags(r, one) == ["Later", "To\xa0Do", "a(b)"])
        tap.equal(flags_at(r, "INBOX")["number 1"], {"To=20Do", "a=28b=29", "Later"})
        # one keyword in two cases is one tag, as it was spelled first
        r.intent(TAGS, [two], arg="+later")
        r.settled()
        s.until("it is spelled as known", lambda: "Later" in tags(s, ids(s, 2)[0]))
        # undo reaches both
        r.undo()
        r.undo()
        r.settled()
        tap.equal(flags_at(r, "INBOX")["number 2"], set())
        tap.equal((told(r, "failed"), told(s, "failed")), ([], []))


def test_between_two_devices():
    between_two_devices(RICH)


def test_between_two_devices_without_condstore():
    between_two_devices(POOR)


def test_the_table_of_names():
    with world(count=1, lines="tag-keyword important $label1\ntag-keyword mine -local\n") as r:
        one, = ids(r, 1)
        with r.server.imap("bob") as imap:
            imap.select("INBOX")
            imap.uid("STORE", "1:*", "+FLAGS", "($label1 $Label2 $Phishing $Forwarded NonJunk $MDNSent $Submitted Work mine)")
        r.until("they are here", lambda: tags(r, one) == ["Work", "important", "label2", "phishing"])
        assert r.flags(one) & (rig.FORWARDED | rig.NOTJUNK) == rig.FORWARDED | rig.NOTJUNK, r.flags(one)
        r.intent(TAGS, [one], arg="-important -phishing +mine +Junk")
        r.settled()
        tap.equal(flags_at(r, "INBOX")["number 1"], {"$label2", "$Forwarded", "NonJunk", "$MDNSent", "$Submitted", "Work", "mine", "=4Aunk"} ^ {"$label2", "$Label2"})
        tap.equal(tags(r, one), ["Junk", "Work", "label2", "mine"])


def tagged_on_both(r, s):
    """The first message with tag x, as each of the two devices knows it."""
    s.filled("INBOX", 2)
    one, = ids(r, 1)
    r.intent(TAGS, [one], arg="+x")
    r.settled()
    there = ids(s, 1)[0]
    s.until("it is there", lambda: tags(s, there) == ["x"])
    return one, there


def test_the_later_change_holds_and_is_told():
    """A removal that waits, and the same tag added again elsewhere meanwhile."""
    with world(count=2) as r, second(r) as s:
        one, there = tagged_on_both(r, s)
        offline(r)
        r.intent(TAGS, [one], arg="-x +y")
        for words in ("-x", "+x", "+z"):
            s.intent(TAGS, [there], arg=words)
            s.settled()
        r.line.up()
        r.settled()
        r.until("both have the same", lambda: tags(r, one) == ["y", "z"] and tags(s, there) == ["y", "z"])
        tap.equal(flags_at(r, "INBOX")["number 1"], {"y", "z"})


def test_the_opposite_of_another_device_is_told():
    """It takes a tag off that is taken off and set anew here while the line is away: what waits comes last, which is said once."""
    with world(count=2) as r, second(r) as s:
        one, there = tagged_on_both(r, s)
        offline(r)
        r.intent(TAGS, [one], arg="-x")
        r.intent(TAGS, [one], arg="+x")
        s.intent(TAGS, [there], arg="-x")
        s.settled()
        r.line.up()
        r.settled()
        s.until("it is there again", lambda: tags(s, there) == ["x"])
        tap.equal((tags(r, one), flags_at(r, "INBOX")["number 1"]), (["x"], {"x"}))
        r.until("it is said", lambda: told(r, "another device took off the tag x"))
        tap.equal(len(told(r, "another device")), 1, r.notes)


def test_a_tag_that_is_set_while_the_line_is_away():
    with world(count=2) as r:
        one, two = ids(r, 1, 2)
        offline(r)
        r.intent(TAGS, [one, two], arg="+x")
        r.intent(TAGS, [one], arg="-x")
        r.restart()
        tap.equal((tags(r, one), tags(r, two)), ([], ["x"]))
        r.line.up()
        r.settled()
        flags = flags_at(r, "INBOX")
        tap.equal((flags["number 1"], flags["number 2"]), (set(), {"x"}))


# ---- servers that keep not all ----

def some(keep=("urgent", "later")):
    def make(directory):
        return Server([Box("INBOX", keywords=False, kept=keep), "Archive"], CAPS + " CONDSTORE", directory=directory)
    return make


def any_keyword(directory):
    return Server(["INBOX", "Archive"], CAPS + " CONDSTORE", directory=directory)


def test_only_what_permanentflags_lists():
    with account(some()) as r:
        one, two = quirks.ids(r, 1, 2)
        r.intent(TAGS, [one], arg="+urgent +other")
        r.settled()
        tap.equal(sorted(r.server["INBOX"].messages[1].flags), ["urgent"])
        tap.equal(tags(r, one), ["other", "urgent"])
        r.intent(TAGS, [two], arg="+other")
        r.settled()
        tap.equal(len(told(r, "on this machine alone")), 1, "said once for the mailbox")
        assert "INBOX" in told(r, "on this machine alone")[0], r.notes
        # what the server says of the message takes no tag away that it cannot hold
        with r.server.lock:
            r.server.change(r.server["INBOX"], 1, "+FLAGS", ["\\Seen"])
        r.until("the flag is here", lambda: r.flags(one) & SEEN)
        tap.equal(tags(r, one), ["other", "urgent"])


def test_permanentflags_change_while_the_mailbox_is_open():
    with account(some(())) as r:
        one, two = quirks.ids(r, 1, 2)
        r.intent(TAGS, [one], arg="+x")
        r.settled()
        tap.equal(sorted(r.server["INBOX"].messages[1].flags), [])
        kept = "select keywords_ok,cast(ifnull(keeps,'') as text) from box where cast(name as text)='INBOX'"
        r.server["INBOX"].keywords = True
        r.server.once("UID STORE .*", b"* OK [PERMANENTFLAGS (\\Seen \\*)] more\r\n{tag} OK done\r\n")
        r.intent(rig.FLAGS, [one], flags=rig.FLAGGED)
        r.settled()
        r.until("any may be set", lambda: r.sql("cache", kept) == [(1, "")])
        r.intent(TAGS, [two], arg="+y")
        r.settled()
        tap.equal(sorted(r.server["INBOX"].messages[2].flags), ["y"])
        r.server.once("UID STORE .*", b"* OK [PERMANENTFLAGS (\\Seen y)] fewer\r\n{tag} OK done\r\n")
        r.intent(rig.FLAGS, [one], clear=rig.FLAGGED)
        r.settled()
        r.until("only some", lambda: r.sql("cache", kept) == [(0, "y")])
        r.intent(TAGS, [two], arg="+z")
        r.settled()
        assert not any("z)" in c for c in r.server.heard), r.server.heard


def test_a_server_that_refuses_one_more():
    """A limit of keywords: the tag stays here, once told; nothing is lost, and flags go on."""
    with account(any_keyword) as r:
        one, two = quirks.ids(r, 1, 2)
        for _ in range(2):
            r.server.once(r"UID STORE .*FLAGS.*", b"{tag} NO [LIMIT] Too many keywords in mailbox\r\n")
        r.intent(TAGS, [one], arg="+one")
        r.settled()
        r.intent(TAGS, [two], arg="+two")
        r.settled()
        tap.equal((tags(r, one), tags(r, two)), (["one"], ["two"]))
        tap.equal(len(told(r, "Too many keywords")), 1, repr(r.notes))
        r.intent(TAGS, [two], arg="+three")
        r.settled()
        tap.equal(sorted(r.server["INBOX"].messages[2].flags), ["three"])


def test_keywords_without_end():
    """10 KB of one keyword, 5,000 keywords on a message, words that are no atoms: the rest is read, nothing ends."""
    with account(any_keyword) as r:
        one, two, three = quirks.ids(r, 1, 2, 3)
        with r.server.lock:
            box = r.server["INBOX"]
            box.messages[1].flags |= {"k" * 10000, "good"}
            box.messages[2].flags |= {"k%04d" % n for n in range(5000)}
            box.messages[3].flags |= {"good", "caf\u00e9", "=ff=fe", "=", "=2", "a=0Ab", "$", "$x"}
            for uid in (1, 2, 3):
                r.server.change(box, uid, "+FLAGS", ["\\Flagged"])
            r.server.drop()
        r.until("the flags are here", lambda: all(r.flags(i) & rig.FLAGGED for i in (one, two, three)))
        tap.equal(tags(r, one), ["good"])
        assert 50 < len(tags(r, two)) < 5000, len(tags(r, two))
        assert all(len(t) == 5 for t in tags(r, two)), tags(r, two)
        assert "good" in tags(r, three) and not any("\n" in t or "]" in t for t in tags(r, three)), tags(r, three)
        r.intent(TAGS, [two], arg="-k0001 +mine")
        r.settled()
        assert "mine" in r.server["INBOX"].messages[2].flags, (r.notes, r.sql("keep", "select kind,state,why,text,arg from intent"), r.sql("keep", "select tags from item"), r.server.asked("UID STORE"))
        assert "k0001" not in r.server["INBOX"].messages[2].flags, (r.server.asked("UID STORE"), tags(r, two))
        assert r.store.poll() is None


def test_tags_go_along_with_a_move():
    with world(count=2) as r:
        one, = ids(r, 1)
        r.intent(TAGS, [one], arg="+x")
        r.intent(ARCHIVE, [one])
        r.settled()
        tap.equal((flags_at(r, "Archive")["number 1"], tags(r, one)), ({"x"}, ["x"]))


if __name__ == "__main__":
    try:
        tap.run(globals())
    finally:
        actions.Server.end()
