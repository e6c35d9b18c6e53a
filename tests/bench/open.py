#!/usr/bin/env python3
"""How soon the text of a message is on the screen after the key, over a line with a round trip of 100 ms and 10 Mbit/s (delayproxy), and
without delay: a mail of 20 KB, a mail with an attachment of 2 MB, and the next unread one, fetched ahead.

    make bench            or: python3 tests/bench/open.py [RTT-MS]"""
import base64
import os
import random
import time

import tap
from bench import Line, Pty, arguments, dated, dovecot, maildir, median, owned, put, share, table
from user import User

RTT, = arguments(100)
EACH = 8
HEAD = ("From: Alice Example <alice@example.org>\nTo: Bob <bob@example.org>\nSubject: %s\nDate: %s\nMessage-ID: <%s@example.org>\n"
        "MIME-Version: 1.0\n")
TWO_PARTS = ('Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\n%s\n--b\nContent-Type: application/pdf; '
             'name=x.pdf\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=x.pdf\n\n%s\n--b--\n')


def fill(server):
    """Newest first: EACH of 20 KB, EACH with 2 MB, and the rest for the fetching ahead."""
    path, now = maildir(server), int(time.time())
    noise = base64.encodebytes(random.Random(1).randbytes(1500000)).decode()
    for i in reversed(range(3 * EACH + 4)):
        stamp = now - i * 60
        text = "token%03d\n" % i + "This line is one of the many of this mail, and it is of the usual length.\n" * (270 if i < EACH else 40)
        body = TWO_PARTS % (text, noise) if EACH <= i < 2 * EACH else "Content-Type: text/plain\n\n" + text
        put(path, 100 - i, stamp, HEAD % ("mail %03d" % i, dated(stamp), "m%d" % i) + body)
    owned(path)


def not_ahead(base, server, line, figures):
    term = Pty(User(os.path.join(base, "asked%d" % line.rtt), server, port=line.port, lines="set prefetch 0\n"))
    term.wait("mail 000")
    line.quiet(term, 2)
    for what, first in (("20 KB", 0), ("2 MB attachment", EACH)):
        took, cost = [], []
        for i in range(first, first + EACH):
            begin = time.monotonic()
            took.append(term.until(b"j" if i else b"\r", "token%03d" % i))
            cost.append(line.since(begin, begin + (took[-1] or 0))[0])
            term.rest(0.3 + line.rtt / 250)
        figures["%s, first screen, median" % what] = median(took[1:])
        figures["%s, first screen, slowest" % what] = share(took[1:], 1)
        figures["%s, first screen: bytes" % what] = median(cost[1:])
    term.close()


def ahead(base, server, line, figures):
    with server.imap("bob") as imap:
        imap.select("INBOX")
        imap.store("1:*", "-FLAGS", "\\Seen")
    term = Pty(User(os.path.join(base, "ahead%d" % line.rtt), server, port=line.port))
    term.wait("mail 000")
    line.quiet(term, 2)
    term.send(b"j" * 2 * EACH)
    took = []
    for i in range(2 * EACH, 3 * EACH + 2):
        term.rest(1.5)
        took.append(term.until(b"\r" if i == 2 * EACH else b"j", "token%03d" % i))
    figures["the next unread, fetched ahead, median"] = median(took[1:])
    figures["the next unread, fetched ahead, slowest"] = share(took[1:], 1)
    term.close()


def measure(base, server, rtt):
    figures, line = {}, Line(base, server.info["imaps"], rtt)
    try:
        not_ahead(base, server, line, figures)
        ahead(base, server, line, figures)
    finally:
        line.close()
    return figures


def main():
    with tap.directory() as base, dovecot(os.path.join(base, "dovecot")) as server:
        fill(server)
        table("opening a message", measure(base, server, 0), measure(base, server, RTT), RTT)


if __name__ == "__main__":
    main()
