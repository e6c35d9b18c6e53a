"""A line that can be made bad: a TCP proxy on a free port of the loopback.

    line = LineProxy(port)       everything passes
    line.swallow()               accepts and takes what comes, and nothing of it arrives, on old and new lines: a NAT that
                                 forgot, a network that went away
    line.swallow_new = True      the same on new lines alone
    line.deaf()                  what the client says arrives, what the server says does not
    line.rate = 500000           bytes a second from the server; 0: as fast as can be
    line.cut()                   all lines end now; new ones pass
    line.refuse(), line.accept() no new lines; again some
    line.garble()                what the server sends next is changed on its way
"""
import contextlib
import select
import socket
import threading
import time

from listener import Listener


class LineProxy(Listener):
    def __init__(self, target):
        self.target, self.mode, self.lines, self.lock, self.accepted = target, "pass", [], threading.Lock(), 0
        self.rate, self.swallow_new = 0, False
        self.passed = 0  # bytes of the server
        super().__init__()

    def talk(self, client):
        self.accepted += 1
        server = client
        with contextlib.suppress(OSError, ValueError):
            if self.swallow_new:
                while client.recv(65536):
                    pass
            server = socket.create_connection(("127.0.0.1", self.target))
            with self.lock:
                self.lines.append((client, server))
            while True:
                for s in select.select([client, server], [], [])[0]:
                    data = s.recv(65536)
                    if not data:
                        raise OSError("the end")
                    if self.mode == "swallow" or (self.mode == "deaf" and s is server):
                        continue
                    if self.mode == "garble" and s is server:
                        data = bytes(b ^ 0x55 for b in data)
                    self.passed += len(data) if s is server else 0
                    if self.rate and s is server:
                        time.sleep(len(data) / self.rate)
                    (server if s is client else client).sendall(data)
        self.end(client, server)

    @staticmethod
    def end(*socks):
        for s in socks:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def swallow(self):
        self.mode = "swallow"

    def deaf(self):
        self.mode = "deaf"

    def garble(self):
        self.mode = "garble"

    def heal(self):
        """New lines are good; what is on the old ones stays lost."""
        self.mode = "pass"

    def cut(self):
        with self.lock:
            lines, self.lines = self.lines, []
        for pair in lines:
            self.end(*pair)

    def refuse(self):
        super().close()

    def accept(self):
        super().__init__(port=self.port)

    def close(self):
        self.refuse()
        self.cut()
