#!/usr/bin/env python3
"""How soon the text of a message is on the screen after the key, over a line with a round trip of 100 ms and 10 Mbit/s (delayproxy), and
without delay: a mail of 20 KB, a mail with an attachment of 2 MB, and the next unread one, fetched ahead.

    make bench            or: python3 tests/bench/open.py [RTT-MS]

Prints seconds and bytes; asserts nothing."""
import base64
import os
import random
import subprocess
import sys
import time

import tap
from dovecot import Server, free_ports
from first_page import Pty, median
from user import User

RTT = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 100
EACH = 8
HEAD = ("From: Alice Example <alice@example.org>\nTo: Bob <bob@example.org>\nSubject: %s\nDate: %s\nMessage-ID: <%s@example.org>\n"
        "MIME-Version: 1.0\n")


def mails():
    """Newest first: EACH of 20 KB, EACH with 2 MB, EACH + 2 for the fetching ahead."""
    noise = base64.encodebytes(random.Random(1).randbytes(1500000)).decode()
    out, stamp = [], int(time.time())
    for i in range(3 * EACH + 4):
        head = HEAD % ("mail %03d" % i, time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(stamp - i * 60)), "m%d" % i)
        text = "token%03d\n" % i + "This line is one of the many of this mail, and it is of the usual length.\n" * (270 if i < EACH else 40)
        if EACH <= i < 2 * EACH:
            body = ('Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\n%s\n--b\nContent-Type: application/pdf; '
                    'name=x.pdf\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=x.pdf\n\n%s\n--b--\n' % (text, noise))
        else:
            body = "Content-Type: text/plain\n\n" + text
        out.append((stamp - i * 60, head + body))
    return out


def step(term, key, token):
    begin = time.monotonic()
    os.write(term.fd, key)
    took, _ = term.read_until(lambda screen: token in screen, 30)
    return (took + term.start - begin) if took is not None else None


def measure(base, server, rtt, name):
    port, = free_ports(1)
    proxy = subprocess.Popen([os.path.join(tap.BUILD, "tests/bench/delayproxy"), str(port), str(server.info["imaps"]), str(rtt),
                              "10000" if rtt else "0", "600"])
    figures = {}
    try:
        user = User(os.path.join(base, name), server, port=port, lines="set prefetch 0\n")
        term = Pty([tap.TUIMAIL, "-c", user.rc], user.env)
        term.read_until(lambda screen: "mail 000" in screen, 60)
        time.sleep(3)
        times = [step(term, b"\r" if i == 0 else b"j", "token%03d" % i) for i in range(2 * EACH)]
        figures["20 KB, first screen, median"] = median(times[1:EACH])
        figures["2 MB attachment, first screen, median"] = median(times[EACH + 1:])
        figures["worst of these"] = max(t or 99 for t in times[1:])
        term.close()
        time.sleep(2)
        with server.imap("bob") as imap:
            imap.select("INBOX")
            imap.store("1:*", "-FLAGS", "\\Seen")
        user = User(os.path.join(base, name + "-ahead"), server, port=port)
        term = Pty([tap.TUIMAIL, "-c", user.rc], user.env)
        term.read_until(lambda screen: "mail 000" in screen, 60)
        time.sleep(3)
        ahead = []
        os.write(term.fd, b"j" * 2 * EACH)
        for i in range(2 * EACH, 3 * EACH + 2):
            term.read_until(lambda screen: False, 1.5)
            ahead.append(step(term, b"\r" if i == 2 * EACH else b"j", "token%03d" % i))
        figures["the next unread, fetched ahead, median"] = median(ahead[1:])
        figures["the same, worst"] = max(t or 99 for t in ahead[1:])
        term.close()
        time.sleep(2)
    finally:
        proxy.terminate()
        proxy.wait()
    return figures


def main():
    with tap.directory() as base:
        server = Server(os.path.join(base, "dovecot"), relay=False)
        try:
            maildir = os.path.join(server.dir, "home/bob/Maildir")
            for sub in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(maildir, sub), exist_ok=True)
            for i, (stamp, text) in enumerate(reversed(mails())):
                path = os.path.join(maildir, "cur", "%d.M%dP1.bench:2," % (stamp, i))
                with open(path, "w") as f:
                    f.write(text)
                os.utime(path, (stamp, stamp))
            subprocess.run(["chown", "-R", "mail:mail", maildir], check=False)
            near, far = measure(base, server, 0, "near"), measure(base, server, RTT, "far")
            print("opening: figure, at 0 ms, at %d ms" % RTT)
            for key in near:
                print("%-46s %9.4f s %9.4f s" % (key, near[key] or float("nan"), far[key] or float("nan")))
        finally:
            server.close()


if __name__ == "__main__":
    main()
