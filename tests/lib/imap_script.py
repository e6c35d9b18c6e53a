"""IMAP servers in the hands of a test.

Dialogue answers each command by rules: (pattern, answer) pairs, the first that fits wins. An answer is bytes ("{tag}" is filled in; without
one "{tag} OK done" follows), a function of the match that gives such bytes, None to hang up, or STALL to say nothing more. once() adds a
rule for one command. `heard` has every command without its tag.

Server is a Dialogue with mailboxes in memory behind the rules: what no rule answers is done as RFC 3501 says, with UIDPLUS, MOVE, ESEARCH,
IDLE, CONDSTORE, QRESYNC, LIST-EXTENDED and LIST-STATUS. What it announces is `caps`; `hide` names response codes it does not give. Gmail is such a server with
labels. With a directory they speak TLS under the test CA and have the `info` of the real servers in dovecot.py.
"""
import contextlib
import email
import os
import re
import socket
import ssl
import threading

import dovecot
from listener import Listener

STALL = object()
CAPS = "IMAP4rev1 LITERAL+ UIDPLUS MOVE ESEARCH IDLE"


def octets(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def quoted(name):
    return '"%s"' % re.sub(r'(["\\])', r"\\\1", name)


class Connection:
    """One client: lines and literals in, with a time limit for IDLE."""

    def __init__(self, server, sock):
        self.server, self.sock, self.data = server, sock, b""
        self.box, self.readonly, self.view, self.flags, self.enabled = None, False, [], {}, set()

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError
        self.data += piece

    def line(self, seconds=None):
        """The next line, or None when none has come in that time."""
        self.sock.settimeout(seconds)
        while b"\n" not in self.data:
            try:
                self.more()
            except socket.timeout:
                return None
        raw, _, self.data = self.data.partition(b"\n")
        return raw.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def literal(self, size):
        self.sock.settimeout(None)
        while len(self.data) < size:
            self.more()
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    def send(self, data):
        self.sock.settimeout(None)
        self.sock.sendall(data)

    def end(self):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class Dialogue(Listener):
    def __init__(self, rules=(), directory=None, greeting=b"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n", listen="127.0.0.1"):
        self.rules, self.greeting = [(re.compile(p, re.S | re.I), a) for p, a in rules], greeting
        self.heard, self.connections, self.lock, self.first = [], [], threading.RLock(), []
        self.context, self.info, self.before_plus = None, {}, b""
        super().__init__(listen)
        if directory:
            os.makedirs(directory, exist_ok=True)
            dovecot.make_ca(directory)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(os.path.join(directory, "server.pem"), os.path.join(directory, "server.key"))
            self.info = {"imaps": self.port, "submissions": 9, "ca": os.path.join(directory, "ca.pem"), "dir": directory}

    def once(self, pattern, answer):
        self.first.append((re.compile(pattern, re.S | re.I), answer))

    def talk(self, sock):
        with contextlib.suppress(EOFError), sock:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            conn = Connection(self, sock)
            self.connections.append(conn)
            try:
                conn.send(self.greeting)
                while self.command(conn, conn.line()):
                    pass
            finally:
                self.connections.remove(conn)
                conn.end()

    def rule(self, text):
        for rules in (self.first, self.rules):
            for i, (pattern, answer) in enumerate(rules):
                m = pattern.fullmatch(text)
                if m:
                    if rules is self.first:
                        del rules[i]
                    return True, answer(m) if callable(answer) else answer
        return False, None

    def command(self, conn, line):
        """One command; False ends the connection."""
        tag, _, text = line.partition(" ")
        literals = []
        while True:
            announced = re.search(r"\{(\d+)(\+?)\}$", text)
            if announced and announced[2]:
                literals.append(conn.literal(int(announced[1])))
            elif announced:
                found, answer = self.rule(text)
                if found:
                    break
                conn.send(self.before_plus + b"+ go\r\n")
                literals.append(conn.literal(int(announced[1])))
            else:
                found, answer = self.rule(text or tag)
                break
            text = text[:announced.start()] + "{literal}" + conn.line()
        self.heard.append(text or tag)
        if not found:
            answer = self.perform(conn, tag, text, literals)
        if answer is STALL:
            conn.sock.settimeout(None)
            while True:
                conn.more()
        if answer is None:
            return False
        if b"{tag}" not in answer:
            answer += b"{tag} OK done\r\n"
        conn.send(answer.replace(b"{tag}", octets(tag)))
        return b"* BYE" not in answer

    def perform(self, conn, tag, text, literals):
        return b""

    def drop(self):
        """Ends every connection."""
        for conn in list(self.connections):
            conn.end()

    def asked(self, pattern):
        return [c for c in self.heard if re.match(pattern, c, re.I)]

    def close(self):
        super().close()
        self.drop()


# ---- Mailboxes in memory -------------------------------------------------------------------------
class No(Exception):
    """The tagged answer is this text, "NO ..." or "BAD ..."."""


class Message:
    def __init__(self, raw, flags=(), date="22-Nov-2026 14:02:05 +0000", **extra):
        self.raw, self.flags, self.date, self.extra, self.modseq = octets(raw), set(flags), date, extra, 1


class Box:
    def __init__(self, name, attrs="", keywords=True, delim="/", kept=()):
        self.name, self.attrs, self.keywords, self.delim = name, attrs, keywords, delim
        self.kept = set(kept)  # keywords that can be set where not any can
        self.messages, self.uidnext, self.uidvalidity, self.subscribed, self.highest = {}, 1, 7, True, 1  # by UID

    def add(self, message):
        uid = self.uidnext
        self.messages[uid] = message
        message.modseq = self.highest = self.highest + 1
        self.uidnext += 1
        return uid

    @property
    def flags(self):
        words = r"\Answered \Flagged \Deleted \Seen \Draft".split()
        return words + sorted(({f for m in self.messages.values() for f in m.flags} | self.kept) - set(words))


def in_set(text, numbers):
    """The members of the sequence set among the sorted numbers, as sorted as they are."""
    top, out = numbers[-1] if numbers else 0, []
    spans = []
    for piece in text.split(","):
        lo, _, hi = piece.partition(":")
        ends = [top if x == "*" else int(x) for x in (lo, hi or lo)]
        spans.append((min(ends), max(ends)))
    for n in numbers:
        if any(lo <= n <= hi for lo, hi in spans):
            out.append(n)
    return out


def a_set(numbers):
    return ",".join(map(str, numbers))


def tokens(text):
    """Atoms, quoted strings without quotes, and lists in parentheses as one string; BODY[...]<...> stays whole."""
    out, at = [], 0
    form = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\((?:[^()"]|"(?:[^"\\]|\\.)*"|\([^()]*\))*\)|[^\s\[\]()"]+\[[^\]]*\](?:<[\d.]+>)?|[^\s()"]+)')
    while at < len(text):
        m = form.match(text, at)
        if not m:
            if not text[at:].strip():
                break
            raise No("BAD cannot read: " + text[at:])
        word, at = m[1], m.end()
        out.append(re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] == '"' else word)
    return out


def structure(part):
    """BODYSTRUCTURE of an email.message.Message."""
    def text(value):
        return "NIL" if value is None else quoted(str(value))

    def params(pairs):
        return "(%s)" % " ".join(text(x) for pair in pairs for x in pair) if pairs else "NIL"
    if part.is_multipart() and part.get_content_maintype() == "multipart":
        return "(%s %s)" % ("".join(structure(p) for p in part.get_payload()), text(part.get_content_subtype()))
    body = part.get_payload() if isinstance(part.get_payload(), str) else ""
    lines = " %d" % body.count("\n") if part.get_content_maintype() == "text" else ""
    disposition = part.get_content_disposition()
    tail = " NIL (%s %s) NIL" % (text(disposition), params([("filename", part.get_filename())] if part.get_filename() else [])) if disposition else ""
    return "(%s %s %s NIL NIL %s %d%s%s)" % (
        text(part.get_content_maintype()), text(part.get_content_subtype()), params(part.get_params(failobj=[("", "")])[1:]),
        text(part.get("Content-Transfer-Encoding", "7bit")), len(octets(body)), lines, tail)


def section(raw, name):
    """The bytes of BODY[name]."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = re.fullmatch(r"HEADER\.FIELDS \((.*)\)", name, re.I)
    if not name:
        return raw
    if fields:
        wanted = fields[1].lower().split()
        kept = [f for f in re.findall(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*", head) if f.partition(b":")[0].decode("latin-1").lower() in wanted]
        return b"".join(f + b"\r\n" for f in kept) + b"\r\n"
    if name.upper() in ("HEADER", "TEXT"):
        return head + b"\r\n\r\n" if name.upper() == "HEADER" else body
    part = email.message_from_bytes(raw)
    words = name.split(".")
    for i, word in enumerate(words):
        if word.upper() == "MIME":
            return b"".join(octets("%s: %s\r\n" % h) for h in part.items()) + b"\r\n"
        if part.is_multipart():
            part = part.get_payload()[int(word) - 1]
        elif (i, word) != (len(words) - 1, "1"):
            return b""
    payload = part.get_payload()
    return octets(payload) if isinstance(payload, str) else b""


class Server(Dialogue):
    """`boxes`: names, or Box objects. The password is not looked at."""

    def __init__(self, boxes=("INBOX",), caps=CAPS, rules=(), directory=None, hide=(), before_login="", listen="127.0.0.1"):
        self.caps, self.hide, self.namespace = caps, set(hide), '(("" "/"))'
        self.boxes = {b.name: b for b in (x if isinstance(x, Box) else Box(x) for x in boxes)}
        super().__init__(rules, directory, octets("* OK [CAPABILITY %s] ready\r\n" % (before_login or "IMAP4rev1 LITERAL+")), listen)

    def __getitem__(self, name):
        return self.boxes[name]

    def add(self, box, *messages, flags=()):
        """Mail that comes in by itself."""
        with self.lock:
            return [self.deliver(self.boxes[box], Message(m, flags)) for m in messages]

    # What another kind of server does in another way.
    def deliver(self, box, message):
        return box.add(message)

    def copy(self, source, uids, target):
        return [target.add(Message(m.raw, m.flags - {r"\Deleted"}, m.date, **m.extra)) for m in (source.messages[u] for u in uids)]

    def remove(self, box, uids):
        for uid in uids:
            del box.messages[uid]

    def stored(self, box, uid, changed):
        """After a STORE."""

    # ---- commands ----
    def perform(self, conn, tag, text, literals):
        verb, _, rest = text.partition(" ")
        by_uid = verb.upper() == "UID"
        if by_uid:
            verb, _, rest = rest.partition(" ")
        self.literals, do = literals, getattr(self, "do_" + verb.lower(), None)
        with self.lock:
            try:
                if not do:
                    raise No("BAD unknown command")
                if verb.upper() == "IDLE":
                    self.lock.release()
                    try:
                        out = do(conn)
                    finally:
                        self.lock.acquire()
                else:
                    out = do(conn, rest, uid=by_uid) if verb.upper() in ("FETCH", "STORE", "COPY", "MOVE", "SEARCH", "EXPUNGE") else do(conn, rest)
            except No as no:
                return octets(self.news(conn)) + b"{tag} " + octets(str(no)) + b"\r\n"
            out, end = out if isinstance(out, tuple) else (out, "OK done")
            quiet = verb.upper() in ("FETCH", "STORE", "SEARCH") and not by_uid
            return octets(out) + (b"" if quiet else octets(self.news(conn))) + b"{tag} " + octets(self.code_hidden(end)) + b"\r\n"

    def code_hidden(self, text):
        return re.sub(r"\[(\w+)[^\]]*\] ?", lambda m: "" if m[1] in self.hide else m[0], text)

    def news(self, conn):
        """What has changed in the selected mailbox since this connection was told."""
        if not conn.box:
            return ""
        out, now = [], sorted(conn.box.messages)
        for seq in range(len(conn.view), 0, -1):
            if conn.view[seq - 1] not in conn.box.messages:
                out.append("* VANISHED %d\r\n" % conn.view[seq - 1] if "QRESYNC" in conn.enabled else "* %d EXPUNGE\r\n" % seq)
                del conn.view[seq - 1]
        if now != conn.view:
            conn.view = now
            out.append("* %d EXISTS\r\n" % len(now))
        for seq, uid in enumerate(now, 1):
            flags = frozenset(conn.box.messages[uid].flags)
            if conn.flags.get(uid, flags) != flags:
                out.append("* %d FETCH (UID %d FLAGS (%s))\r\n" % (seq, uid, " ".join(sorted(flags))))
            conn.flags[uid] = flags
        return "".join(out)

    def find(self, name, code="[TRYCREATE] "):
        box = self.boxes.get("INBOX" if name.upper() == "INBOX" else name)
        if not box or "\\Noselect" in box.attrs:
            raise No("NO %sno such mailbox" % code)
        return box

    def selected(self, conn, write=False):
        if not conn.box:
            raise No("BAD nothing selected")
        if write and conn.readonly:
            raise No("NO [READ-ONLY] only looking")
        return conn.box

    def uids(self, conn, text, uid):
        if uid:
            return in_set(text, conn.view)
        return [conn.view[n - 1] for n in in_set(text, list(range(1, len(conn.view) + 1)))]

    def string(self, word):
        return self.literals.pop(0).decode("utf-8", "surrogateescape") if word == "{literal}" else word

    def do_capability(self, conn, rest):
        return "* CAPABILITY %s\r\n" % self.caps

    def do_login(self, conn, rest):
        return "", "OK [CAPABILITY %s] in" % self.caps

    def do_authenticate(self, conn, rest):
        if len(rest.split()) == 1:
            conn.send(b"+ \r\n")
            conn.line()
        return "", "OK [CAPABILITY %s] in" % self.caps

    def do_noop(self, conn, rest):
        return ""

    do_check = do_noop

    def do_logout(self, conn, rest):
        return "* BYE bye\r\n"

    def do_id(self, conn, rest):
        return '* ID ("name" "script")\r\n'

    def do_enable(self, conn, rest):
        conn.enabled |= set(rest.upper().split())
        return "* ENABLED %s\r\n" % rest

    def do_namespace(self, conn, rest):
        return "* NAMESPACE %s NIL NIL\r\n" % self.namespace

    def status_line(self, box, items):
        values = {"MESSAGES": len(box.messages), "UNSEEN": sum(r"\Seen" not in m.flags for m in box.messages.values()),
                  "UIDNEXT": box.uidnext, "UIDVALIDITY": box.uidvalidity, "RECENT": 0, "HIGHESTMODSEQ": box.highest,
                  "SIZE": sum(len(m.raw) for m in box.messages.values())}
        return "* STATUS %s (%s)\r\n" % (quoted(box.name), " ".join("%s %d" % (i, values[i]) for i in items.upper().strip("()").split() if i in values))

    def do_list(self, conn, rest):
        words = tokens(rest)
        pattern = next(w for w in words[1:] if not w.startswith("("))
        match = re.compile(re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*"), re.I)
        want = words[words.index("RETURN") + 1] if "RETURN" in words else ""
        status, out = re.search(r"STATUS (\([^)]*\))", want), ""
        for box in self.boxes.values():
            if not match.fullmatch(box.name):
                continue
            attrs = box.attrs + (" \\Subscribed" if "SUBSCRIBED" in want and box.subscribed else "")
            out += '* LIST (%s) "%s" %s\r\n' % (attrs.strip(), box.delim, quoted(box.name))
            if status and "\\Noselect" not in attrs:
                out += self.status_line(box, status[1])
        return out

    def do_lsub(self, conn, rest):
        return "".join('* LSUB () "%s" %s\r\n' % (b.delim, quoted(b.name)) for b in self.boxes.values() if b.subscribed)

    def do_status(self, conn, rest):
        name, items = tokens(rest)
        return self.status_line(self.find(self.string(name), ""), items)

    def do_select(self, conn, rest, readonly=False):
        conn.box = None
        conn.box = box = self.find(self.string(tokens(rest)[0]), "[NONEXISTENT] ")
        conn.readonly, conn.view = readonly, sorted(box.messages)
        conn.flags = {uid: frozenset(m.flags) for uid, m in box.messages.items()}
        permanent = "" if readonly else " ".join(box.flags + ["\\*"] * box.keywords)
        codes = ["[PERMANENTFLAGS (%s)] x" % permanent, "[UIDVALIDITY %d] x" % box.uidvalidity, "[UIDNEXT %d] x" % box.uidnext]
        codes += ["[HIGHESTMODSEQ %d] x" % box.highest] if "CONDSTORE" in self.caps else []
        lines = ["* FLAGS (%s)" % " ".join(box.flags), "* %d EXISTS" % len(box.messages), "* 0 RECENT"]
        known = re.search(r"QRESYNC \((\d+) (\d+)", rest)
        if known and int(known[1]) == box.uidvalidity:
            gone = [u for u in range(1, box.uidnext) if u not in box.messages]
            lines += ["* VANISHED (EARLIER) " + a_set(gone)] if gone else []
            lines += ["* %d FETCH (UID %d FLAGS (%s) MODSEQ (%d))" % (i, u, " ".join(sorted(m.flags)), m.modseq)
                      for i, (u, m) in enumerate(sorted(box.messages.items()), 1) if m.modseq > int(known[2])]
        lines += ["* OK " + c for c in codes if c[1:].split()[0].rstrip("]") not in self.hide]
        return "".join(x + "\r\n" for x in lines), "OK [READ-%s] selected" % ("ONLY" if readonly else "WRITE")

    def do_examine(self, conn, rest):
        return self.do_select(conn, rest, True)

    def do_unselect(self, conn, rest):
        conn.box, conn.view = None, []
        return ""

    def item(self, conn, box, uid, name):
        """A FETCH item as it is answered, or None."""
        m, upper = box.messages[uid], name.upper()
        body = re.fullmatch(r"BODY(\.PEEK)?\[(.*)\](?:<(\d+)\.(\d+)>)?", name, re.I)
        if body:
            data, origin = section(m.raw, body[2]), ""
            if body[3]:
                data, origin = data[int(body[3]):][:int(body[4])], "<%s>" % body[3]
            if not body[1] and not conn.readonly:
                m.flags.add(r"\Seen")
            return b"BODY[%s]%s {%d}\r\n%s" % (octets(body[2]), octets(origin), len(data), data)
        simple = {"UID": str(uid), "MODSEQ": "(%d)" % m.modseq, "FLAGS": "(%s)" % " ".join(sorted(m.flags)), "INTERNALDATE": '"%s"' % m.date, "RFC822.SIZE": str(len(m.raw)),
                  "BODYSTRUCTURE": structure(email.message_from_bytes(m.raw))}
        return octets("%s %s" % (upper, simple[upper])) if upper in simple else None

    def do_fetch(self, conn, rest, uid):
        box = self.selected(conn)
        which, _, items = rest.partition(" ")
        words = tokens(items)
        names = tokens(words[0][1:-1] if words[0].startswith("(") else words[0])
        since = re.search(r"CHANGEDSINCE (\d+)", words[-1], re.I)
        if since:
            names.append("MODSEQ")
        out = b""
        for u in self.uids(conn, which, uid):
            if u not in box.messages or since and box.messages[u].modseq <= int(since[1]):
                continue
            values = [self.item(conn, box, u, n) for n in (["UID"] if uid and "UID" not in names else []) + names]
            out += b"* %d FETCH (%s)\r\n" % (conn.view.index(u) + 1, b" ".join(v for v in values if v))
            conn.flags[u] = frozenset(box.messages[u].flags)
        return out

    def do_store(self, conn, rest, uid):
        box = self.selected(conn, True)
        which, item, words = re.fullmatch(r"(\S+) ([+-]?\S+) (.*)", rest).groups()
        out = ""
        for u in self.uids(conn, which, uid):
            if u not in box.messages:
                continue
            self.change(box, u, item.upper(), tokens(words.strip("()")))
            if u in box.messages:
                flags = box.messages[u].flags
                conn.flags[u] = frozenset(flags)
                if not item.upper().endswith(".SILENT"):
                    out += "* %d FETCH (UID %d FLAGS (%s))\r\n" % (conn.view.index(u) + 1, u, " ".join(sorted(flags)))
        return out

    def change(self, box, uid, item, words):
        flags = box.messages[uid].flags
        new = {w for w in words if box.keywords or w.startswith("\\") or w in box.kept}  # what is not permitted is ignored
        if item[0] == "+":
            flags |= new
        elif item[0] == "-":
            flags -= new
        else:
            flags.clear()
            flags |= new
        box.messages[uid].modseq = box.highest = box.highest + 1
        self.stored(box, uid, new)

    def do_copy(self, conn, rest, uid, move=False):
        box = self.selected(conn, move)
        which, _, name = rest.partition(" ")
        target = self.find(self.string(tokens(name)[0]))
        have = [u for u in self.uids(conn, which, uid) if u in box.messages]
        new = self.copy(box, have, target)
        code = "[COPYUID %d %s %s] " % (target.uidvalidity, a_set(have), a_set(new)) if have and "UIDPLUS" in self.caps else ""
        if not move:
            return "", "OK %sdone" % code
        self.remove(box, [u for u in have if u in box.messages])
        return "* OK %smoved\r\n" % self.code_hidden(code)

    def do_move(self, conn, rest, uid):
        return self.do_copy(conn, rest, uid, True)

    def do_expunge(self, conn, rest, uid):
        box = self.selected(conn, True)
        gone = [u for u, m in sorted(box.messages.items()) if r"\Deleted" in m.flags]
        self.remove(box, in_set(rest.strip(), gone) if uid else gone)
        return ""

    def matches(self, conn, box, uid, words):
        """Does the message fit all of these search keys?"""
        m, seq = box.messages[uid], conn.view.index(uid) + 1
        flags = {"SEEN": r"\Seen", "DELETED": r"\Deleted", "FLAGGED": r"\Flagged", "ANSWERED": r"\Answered"}
        words = list(words)
        while words:
            word = words.pop(0).upper()
            if word == "UID":
                ok = uid in in_set(words.pop(0), conn.view)
            elif word == "HEADER":
                field, value = words.pop(0), self.search_string(words.pop(0))
                ok = value.lower() in str(email.message_from_bytes(m.raw).get(field, "")).lower()
            elif word in flags or word[:2] == "UN" and word[2:] in flags:
                ok = (flags[word[2:] if word[:2] == "UN" else word] in m.flags) != (word[:2] == "UN")
            elif re.fullmatch(r"[\d:*,]+", word):
                ok = seq in in_set(word, list(range(1, len(conn.view) + 1)))
            elif word == "ALL":
                ok = True
            else:
                raise No("BAD unknown search key " + word)
            if not ok:
                return False
        return True

    def search_string(self, word):
        return self.literals[0].decode() if word == "{literal}" else word

    def do_search(self, conn, rest, uid):
        box, words = self.selected(conn), tokens(rest)
        wanted = None
        if words[0].upper() == "RETURN":
            wanted, words = words[1].upper(), words[2:]
        hits = [u if uid else s for s, u in enumerate(conn.view, 1) if u in box.messages and self.matches(conn, box, u, words)]
        if wanted is None:
            return "* SEARCH %s\r\n" % " ".join(map(str, hits))
        out = "* ESEARCH (TAG \"{tag}\")%s" % (" UID" if uid else "")
        out += " ALL %s" % a_set(hits) if hits and (wanted == "()" or "ALL" in wanted) else ""
        return out + (" COUNT %d" % len(hits) if "COUNT" in wanted else "") + "\r\n"

    def do_append(self, conn, rest):
        words = tokens(rest.replace("{literal}", '"{literal}"'))
        raw = self.literals.pop()
        box = self.find(self.string(words[0]))
        flags = words[1].strip("()").split() if words[1].startswith("(") else []
        date = next((w for w in words[1:] if re.match(r"[ \d]\d-\w{3}-\d{4} ", w)), "22-Nov-2026 14:02:05 +0000")
        uid = self.deliver(box, Message(raw, flags, date))
        return "", "OK %sdone" % ("[APPENDUID %d %d] " % (box.uidvalidity, uid) if "UIDPLUS" in self.caps else "")

    def do_create(self, conn, rest):
        name = self.string(tokens(rest)[0])
        if name in self.boxes:
            raise No("NO [ALREADYEXISTS] it is there")
        self.boxes[name] = Box(name)
        return ""

    def do_delete(self, conn, rest):
        self.boxes.pop(self.find(self.string(tokens(rest)[0]), "[NONEXISTENT] ").name)
        return ""

    def do_rename(self, conn, rest):
        old, new = (self.string(w) for w in tokens(rest))
        box = self.boxes.pop(self.find(old, "[NONEXISTENT] ").name)
        box.name = new
        self.boxes[new] = box
        return ""

    def do_subscribe(self, conn, rest, on=True):
        self.find(self.string(tokens(rest)[0])).subscribed = on
        return ""

    def do_unsubscribe(self, conn, rest):
        return self.do_subscribe(conn, rest, False)

    def do_idle(self, conn):
        conn.send(self.before_plus + b"+ idling\r\n")
        while True:
            with self.lock:
                news = self.news(conn)
            if news:
                conn.send(octets(news))
            line = conn.line(0.05)
            if line is not None:
                return ""


# ---- Gmail ---------------------------------------------------------------------------------------
GMAIL_CAPS = ("IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS ENABLE MOVE CONDSTORE ESEARCH UTF8=ACCEPT "
              "LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584")
SYSTEM = {"INBOX": r"\Inbox", r"\Sent": r"\Sent", r"\Drafts": r"\Draft", r"\Important": r"\Important", r"\Flagged": r"\Starred"}


class Gmail(Server):
    """Mailboxes are labels of one pool of messages: All Mail has all of them but for Trash and Spam. Removing a message from a label's
    mailbox takes the label away, in Trash and Spam the message. Marking as \\Deleted does so at once (auto-expunge, the default there).
    `prefix` is "[Google Mail]" in some countries; names are in the user's language, so only SPECIAL-USE tells them."""

    def __init__(self, directory=None, rules=(), prefix="[Gmail]", names=("All Mail", "Trash", "Spam", "Sent Mail", "Drafts", "Starred", "Important"),
                 labels=("Work", "Receipts"), auto_expunge=True):
        uses = ("\\All", "\\Trash", "\\Junk", "\\Sent", "\\Drafts", "\\Flagged", "\\Important")
        special = [Box("%s/%s" % (prefix, n), "\\HasNoChildren " + u, keywords=True) for n, u in zip(names, uses)]
        self.all, self.trash, self.spam = special[:3]
        self.auto_expunge, self.counter = auto_expunge, 1278455344230334000
        super().__init__([Box("INBOX", "\\HasNoChildren"), Box(prefix, "\\HasChildren \\Noselect")] + special + [Box(x) for x in labels],
                         GMAIL_CAPS, rules, directory, before_login="IMAP4rev1 X-GM-EXT-1 SASL-IR AUTH=PLAIN")

    def label(self, box):
        """The label that a mailbox is, or None for All Mail, Trash and Spam."""
        if box in (self.all, self.trash, self.spam):
            return None
        return SYSTEM.get(box.name) or next((SYSTEM[a] for a in box.attrs.split() if a in SYSTEM), box.name)

    def labels(self, message, but=None):
        return sorted({self.label(b) for b in self.boxes.values() if message in b.messages.values()} - {None, self.label(but) if but else None})

    def deliver(self, box, message):
        self.counter += 7
        message.extra = {"msgid": self.counter, "thrid": self.counter}
        if box not in (self.all, self.trash, self.spam):
            self.all.add(message)
        return box.add(message)

    def matches(self, conn, box, uid, words):
        """With X-GM-RAW (words in quotes, has:attachment) and X-GM-LABELS, which NOT may stand before."""
        rest, words, message = [], list(words), box.messages[uid]
        while words:
            word = words.pop(0).upper()
            no = word == "NOT" and bool(words) and words[0].upper().startswith("X-GM-")
            if no:
                word = words.pop(0).upper()
            if word == "X-GM-RAW":
                value = self.search_string(words.pop(0)).strip('"').replace("\\", "").strip('"').lower()
                ok = b"attachment" in message.raw if value == "has:attachment" else value in message.raw.decode().lower()
            elif word == "X-GM-LABELS":
                ok = self.search_string(words.pop(0)).strip('"') in self.labels(message)
            else:
                rest.append(word)
                continue
            if ok == no:
                return False
        return super().matches(conn, box, uid, rest)

    def uid_in(self, box, message):
        return next((u for u, m in box.messages.items() if m is message), None)

    def put(self, box, message):
        """The UID there; a message stands in a mailbox once."""
        if box in (self.trash, self.spam):
            for other in self.boxes.values():
                if other is not box:
                    other.messages = {u: m for u, m in other.messages.items() if m is not message}
        elif self.uid_in(self.all, message) is None:
            for gone in (self.trash, self.spam):
                gone.messages = {u: m for u, m in gone.messages.items() if m is not message}
            self.all.add(message) if box is not self.all else None
        return self.uid_in(box, message) or box.add(message)

    def copy(self, source, uids, target):
        return [self.put(target, m) for m in [source.messages[u] for u in uids]]

    def remove(self, box, uids):
        for uid in uids:
            message = box.messages.pop(uid)
            if box is self.all:  # the last place: it goes to Trash
                self.put(self.trash, message)

    def stored(self, box, uid, changed):
        if self.auto_expunge and r"\Deleted" in box.messages[uid].flags:
            box.messages[uid].flags.discard(r"\Deleted")
            self.remove(box, [uid])

    def change(self, box, uid, item, words):
        if "X-GM-LABELS" not in item:
            return super().change(box, uid, item, words)
        message = box.messages[uid]
        for word in words:
            where = next((b for b in self.boxes.values() if self.label(b) == word), None)
            if item[0] == "-" and where:
                where.messages = {u: m for u, m in where.messages.items() if m is not message}
            elif item[0] == "+":
                if not where:
                    where = self.boxes[word] = Box(word)
                self.put(where, message)

    def item(self, conn, box, uid, name):
        m = box.messages[uid]
        if name.upper() == "X-GM-LABELS":
            return octets("X-GM-LABELS (%s)" % " ".join(x if re.fullmatch(r"\\?[\w-]+", x) and not x.startswith("\\") else quoted(x) for x in self.labels(m, box)))
        if name.upper() in ("X-GM-MSGID", "X-GM-THRID"):
            return octets("%s %d" % (name.upper(), m.extra[name.upper()[5:].lower()]))
        return super().item(conn, box, uid, name)
