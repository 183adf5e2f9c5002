"""What benchmarks and integration tests stand on: ports, and a desk that outlives who asks it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from benchmarks.ports import free_port
from benchmarks.process import Outside


def test_no_port_is_given_twice() -> None:
    given = [free_port() for _ in range(100)]
    assert len(set(given)) == len(given)
    with pytest.raises(OSError, match="no port from"):
        free_port(given[0], given[0])


def _binds(port: int) -> bool:
    """Whether another process is given it."""
    script = f"import socket; socket.socket().bind(('127.0.0.1', {port}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return done.returncode == 0


def test_a_port_is_for_the_server_it_was_given_for_and_for_nobody_else() -> None:
    """Before it starts, and while it is away: clients are refused, and other processes are not given it."""
    port = free_port()
    for _ in range(2):
        assert not _binds(port)
        with socket.create_server(("127.0.0.1", port)) as server:
            with socket.create_connection(("127.0.0.1", port)):
                server.accept()[0].close()
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_who_is_killed_while_asking_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """The desk answers somebody who is not there any more; what else goes wrong is said."""
    outside = Outside()
    reached, gone, ended = threading.Event(), threading.Event(), threading.Event()

    def before(path: str) -> None:
        reached.set()
        assert gone.wait(240)

    handle = outside.handle_error

    def handled(request: Any, client_address: Any) -> None:
        handle(request, client_address)
        ended.set()

    outside.before_answer = before
    outside.handle_error = handled  # type: ignore[method-assign]
    try:
        with socket.create_connection(("127.0.0.1", outside.server_port)) as asking:
            # A reset, as from a process that is killed with the answer unread.
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            asking.sendall(b"POST /pager HTTP/1.1\r\nContent-Length: 9\r\n\r\n[not json")
            assert ended.wait(240)
        assert "JSONDecodeError" in capfd.readouterr().err
        ended.clear()
        body = b'{"action": "update", "number": "T-1"}'
        with socket.create_connection(("127.0.0.1", outside.server_port)) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            head = f"POST /desk HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
            asking.sendall(head.encode() + body)
            assert reached.wait(240)
        gone.set()
        assert ended.wait(240)
        assert capfd.readouterr().err == ""
    finally:
        outside.shutdown()
        outside.server_close()
