"""A network between two programs of this machine that a test can break: a TCP relay."""

import selectors
import socket
import threading
import time

PIECE = 1 << 16


class Link:
    """Listens on a port of its own (`address`) and passes all bytes on to `target`, as long as it is in order.

    hold()   packets are lost: nothing arrives any more, nobody is told
    reset()  all connections break, and new ones do too
    delay()  each piece takes some time
    mend()   as if nothing had been; what was held arrives
    """

    def __init__(self, target, listen="127.0.0.1"):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.state, self.seconds = "pass", 0.0
        self.lock = threading.Condition()
        self.pairs = set()
        self.listener = socket.create_server((listen, 0))
        self.address = "%s:%d" % (listen, self.listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _set(self, state, seconds=0.0):
        with self.lock:
            self.state, self.seconds = state, seconds
            broken = list(self.pairs) if state in ("reset", "closed") else []
            self.lock.notify_all()
        for pair in broken:
            self._close(pair)

    def hold(self):
        self._set("hold")

    def reset(self):
        self._set("reset")

    def delay(self, seconds):
        self._set("delay", seconds)

    def mend(self):
        self._set("pass")

    def close(self):
        self._set("closed")
        self.listener.close()

    def _close(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for end in pair:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _wait_until_open(self):
        """False when the pieces of this connection go nowhere any more."""
        with self.lock:
            self.lock.wait_for(lambda: self.state != "hold")
            state, seconds = self.state, self.seconds
        if state == "delay":
            time.sleep(seconds)
        return state not in ("reset", "closed")

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near):
        far = None
        try:
            if self._wait_until_open():
                far = socket.create_connection(self.target)
        except OSError:
            pass
        if far is None:
            near.close()
            return
        pair = (near, far)
        with self.lock:
            self.pairs.add(pair)
        self._relay(near, far)
        self._close(pair)
        near.close()
        far.close()

    def _relay(self, near, far):
        other = {near: far, far: near}
        with selectors.DefaultSelector() as selector:
            for end in other:
                selector.register(end, selectors.EVENT_READ)
            try:
                while True:
                    for key, _ in selector.select():
                        piece = key.fileobj.recv(PIECE)
                        if not piece or not self._wait_until_open():
                            return
                        other[key.fileobj].sendall(piece)
            except OSError:
                return
