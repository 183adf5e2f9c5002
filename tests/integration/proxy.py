"""A network that can be cut: TCP from a port of loopback to another."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from benchmarks.ports import free_port


class Proxy:
    """Forwards connections until it is cut; then they end, and new ones are refused.

    Examples
    --------
    >>> with socket.create_server(("127.0.0.1", 0)) as server:
    ...     proxy = Proxy(server.getsockname()[1])
    ...     with socket.create_connection(("127.0.0.1", proxy.port)) as client:
    ...         there, _ = server.accept()
    ...         client.sendall(b"hello")
    ...         said = there.recv(100)
    ...         proxy.cut()
    ...         ended = client.recv(100)
    ...     there.close()
    >>> said, ended
    (b'hello', b'')
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listening: socket.socket | None = None
        self.port = free_port()  # also while it is cut
        self.heal()

    def heal(self) -> None:
        """Let connections through, at the port of before."""
        self._listening = listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        with self._lock:
            listening, self._listening = self._listening, None
            pairs, self._pairs = self._pairs, set()
        if listening is not None:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a connection
            listening.close()
        for pair in pairs:
            for one in pair:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                here, _ = listening.accept()
            except OSError:
                return
            try:
                there = socket.create_connection(("127.0.0.1", self._target), 60)
            except OSError:  # nobody is there now: this one is told, the next may have more luck
                here.close()
                continue
            there.settimeout(None)
            with self._lock:
                if self._listening is not listening:
                    here.close()
                    there.close()
                    return
                self._pairs.add((here, there))
            threading.Thread(target=_carry, args=(here, there), daemon=True).start()


def _carry(here: socket.socket, there: socket.socket) -> None:
    back = threading.Thread(target=_pump, args=(there, here), daemon=True)
    back.start()
    _pump(here, there)
    back.join()
    here.close()
    there.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
