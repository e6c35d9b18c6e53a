#!/usr/bin/env python3
"""Lists of hits, in the real programs: every order, threads and filters of searches and limits; what arrives, is read or is
filed comes into them and leaves them by itself; a conversation is whole across mailboxes and accounts."""
import contextlib
import os
import re

import tap
from tap import equal
from user import User, eventually


def deliver(folder, number, subject, sender="Alice Example <alice@example.org>", answers=None, seen=True, words="Hello.", ids="<m%d@example.org>"):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(folder, sub), exist_ok=True)
    text = ("From: %s\nTo: Bob <bob@example.org>\nSubject: %s\nDate: Fri, 20 Nov 2026 10:%02d:00 +0000\nMessage-ID: %s\n"
            % (sender, subject, number, ids % number))
    if answers:
        text += "References: %s\n" % " ".join(ids % a for a in answers)
    with open(os.path.join(folder, "cur", "%d.m.host:2,%s" % (number, "S" if seen else "")), "w") as f:
        f.write("%s\n%s\n" % (text, words))


def subjects(screen):
    """The subjects of the list, with what stands before them, in their order."""
    found = []
    for line in screen.splitlines():
        at = re.search(r"(Alice Example|Zoe Sample|Bob Example) +(.*)", line)
        if at:
            found.append(re.split(r"  |│", at.group(2))[0].rstrip())
    return found


def test_lists_of_hits():
    with tap.directory() as root:
        work, home = os.path.join(root, "work"), os.path.join(root, "home-mail")
        deliver(work, 1, "plan budget")
        deliver(work, 2, "lunch budget", sender="Zoe Sample <zoe@example.org>")
        deliver(work, 3, "Re: plan budget", answers=[1], seen=False)
        deliver(work, 4, "unrelated")
        deliver(os.path.join(work, ".Sent"), 5, "Re: plan budget mine", sender="Bob Example <bob@example.org>", answers=[1, 3])
        deliver(home, 6, "Re: plan budget at home", answers=[1, 3])
        user = User(os.path.join(root, "bob"), lines="account work maildir:%s\naccount home maildir:%s\nset sidebar-width 0\nset threads-across no\n"
                    "set mark-seen no\n" % (work, home))
        with user.at_screen(cols=100, rows=24) as term:
            term.wait("unrelated")
            eventually("all is indexed", lambda: user.command("count", "subject:budget", status=None).strip() == "5")
            term.keys(":", "search subject:budget", "Enter")
            term.wait("1 of 5")
            want = ["Re: plan budget at home", "Re: plan budget mine", "Re: plan budget", "lunch budget", "plan budget"]
            eventually("the hits", lambda: subjects(term.screen()) == want)
            assert "1 unread" in term.screen(), term.screen()
            # orders
            term.keys(":", "sort subject", "Enter")
            screen = term.wait("by subject")
            eventually("the order", lambda: subjects(term.screen())[0] == "lunch budget")
            term.keys(":", "sort reverse-from", "Enter")
            eventually("the order", lambda: subjects(term.screen())[0] == "lunch budget" and "from the end" in term.screen())
            # threads, across the accounts
            term.keys(":", "sort activity", "Enter")
            screen = term.wait("of 2 threads")
            equal(subjects(screen), ["plan budget", "└ Re: plan budget", "├ Re: plan budget mine", "└ Re: plan budget at home", "lunch budget"])
            term.keys("Home", "M-v")
            screen = term.wait("▸4")
            equal(subjects(screen), ["▸4 Re: plan budget at home", "lunch budget"])
            term.keys("M-v")
            term.wait("├ Re: plan budget mine")
            # filters
            term.keys(":", "filter unread", "Enter")
            screen = term.wait("1 of 1 thread")
            equal(subjects(screen), ["Re: plan budget"])
            term.keys(":", "filter all", "Enter")
            term.wait("of 2 threads")
            # it is live: what comes and what is read
            deliver(work, 7, "late budget", seen=False)
            term.wait("late budget", timeout=60)
            term.wait("of 3 threads")
            term.keys("q")
            term.wait("unrelated")
            # a limit keeps to its list, and is live too
            term.keys(":", "change work/INBOX", "Enter")
            term.wait("INBOX · work")
            term.keys(":", "limit subject:budget", "Enter")
            screen = term.wait("1 of 4")
            equal(sorted(subjects(screen)), ["Re: plan budget", "late budget", "lunch budget", "plan budget"])
            term.keys("Home", "d")
            term.wait("deleted 1 message")
            term.wait("of 3")
            equal(sorted(subjects(term.screen())), ["Re: plan budget", "lunch budget", "plan budget"])
            term.keys("u")
            term.wait("of 4")
            # whole conversations in place, and one of them alone
            term.keys("q", "o", "c")
            screen = term.wait("whole conversations")
            eventually("they are whole", lambda: any("mine" in s for s in subjects(term.screen())) and any("at home" in s for s in subjects(term.screen())))
            term.keys("o", "c")
            term.wait("mine", gone=True)
            term.keys(":", "go inbox", "Enter")
            term.keys(":", "search id:m3@example.org", "Enter")
            term.wait("1 of 1")
            term.keys(":", "conversation", "Enter")
            screen = term.wait("1 thread")
            eventually("it is whole", lambda: len(subjects(term.screen())) == 4)
            # its mailboxes stand there, whatever tags it has
            user.command("tag", "+x", "--", "id:m3@example.org")
            eventually("it is tagged", lambda: user.command("count", "tag:x") == "1\n")
            where = lambda: [line.split()[-1] for line in term.screen().splitlines() if "budget" in line and "conversation" not in line]
            eventually("they stand there", lambda: sorted(where()) == ["INBOX", "INBOX", "Sent", "home"])
            deliver(home, 8, "Re: plan budget again", answers=[1, 3, 6])
            term.wait("budget again", timeout=60)
            # a limit of it is live, too; and of one that no query can name
            term.keys("l", "a", "g", "a", "i", "n", "Enter")
            eventually("it is alone", lambda: len(subjects(term.screen())) == 1)
            deliver(work, 9, "Re: plan budget again and again", answers=[1, 3, 8])
            term.wait("again and again", timeout=60)
            odd = {"ids": "<o'dd%d@example.org>"}
            deliver(work, 10, "odd question", **odd)
            term.keys(":", "go inbox", "Enter")
            term.wait("odd question", timeout=60)
            term.keys(":", "search subject:odd", "Enter")
            term.wait("1 of 1")
            term.keys(":", "conversation", "Enter")
            term.wait("1 thread")
            deliver(work, 11, "odd answer", answers=[10], **odd)
            term.wait("odd answer", timeout=60)
            term.keys("l", "a", "n", "s", "w", "e", "r", "Enter")
            eventually("it is alone", lambda: subjects(term.screen()) == ["odd answer"])
            deliver(work, 12, "unrelated answer")
            deliver(work, 13, "odd answer once more", answers=[10, 11], **odd)
            term.wait("once more", timeout=60)
            assert "unrelated answer" not in term.screen(), term.screen()


if __name__ == "__main__":
    tap.run(globals())
