#!/usr/bin/env python3
"""The tests of imap_live.py against a real Cyrus; those that need an option of Dovecot's are skipped."""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cyrus  # noqa: E402
import imap_live  # noqa: E402
import tap  # noqa: E402
from channel import ranges  # noqa: E402

imap_live.dovecot = cyrus


def test_debians_own_namespace():
    """Everything lies below INBOX, with dots."""
    with imap_live.session(count=2, separator=".") as p:
        boxes = {b["name"]: b for b in p.do("STEP_LIST")["BOX"]}
        tap.equal((boxes[b"INBOX"].delim, boxes[b"INBOX"].total), (ord("."), 2))
        tap.equal((boxes[b"INBOX.Trash"].role, boxes[b"INBOX.Archive"].role, boxes[b"INBOX.Sent"].role), (5, 2, 4))
        imap_live.select(p)
        moved = p.do("STEP_MOVE", box=1, uids=ranges(1), target=2, target_name="INBOX.Trash")
        tap.equal([(m.uid, m.target) for m in moved["MOVED"]], [(1, 2)])
        p.do("STEP_BOX", op=0, name="Top", want=imap_live.ERR["SERVER_NO"])
        p.do("STEP_BOX", op=0, name="INBOX.a.b")
        assert b"INBOX.a.b" in {b["name"] for b in p.do("STEP_LIST")["BOX"]}


def test_a_checkout_that_its_user_cannot_reach():
    """Cyrus turns into another user: below a home of mode 0700 it is run all the same."""
    unpacked = cyrus.ROOT
    with tap.directory() as d:
        cyrus.ROOT = os.path.join(d, "build-cyrus")
        try:
            if os.path.isdir(unpacked):
                shutil.copytree(unpacked, cyrus.ROOT, symlinks=True)
            os.chmod(d, 0o700)
            with imap_live.session(count=1) as p:
                tap.equal({b["name"]: b["total"] for b in p.do("STEP_LIST")["BOX"]}[b"INBOX"], 1)
        finally:
            cyrus.ROOT = unpacked

def test_news_and_actions_overtake_a_long_body():
    """Cyrus tells nothing between FETCH commands that follow each other."""
    imap_live.news_and_actions_overtake_a_long_body(imap_capability=" ".join(cyrus.OFFERED))


if __name__ == "__main__":
    tap.run({**vars(imap_live), **globals()})
