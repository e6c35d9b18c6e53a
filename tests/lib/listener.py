"""What the servers of tests have in common: a free port of the loopback, and a thread for each connection."""
import contextlib
import socket
import threading


class Listener:
    """talk(conn) runs in a thread of its own for each connection; a connection that breaks ends it quietly."""

    def __init__(self, address="127.0.0.1", port=0):
        self.listener = socket.create_server((address, port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accepting, args=(self.listener,), daemon=True).start()

    def accepting(self, listener):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = listener.accept()
                threading.Thread(target=self.quietly, args=(conn,), daemon=True).start()

    def quietly(self, conn):
        with contextlib.suppress(OSError):
            self.talk(conn)

    def close(self):
        """No new connections."""
        with contextlib.suppress(OSError):  # wakes the thread that waits for one
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
