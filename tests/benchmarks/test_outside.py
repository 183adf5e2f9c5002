"""What benchmarks and integration tests stand on: ports, and a desk that outlives who asks it."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from benchmarks.ports import free_port
from benchmarks.process import Outside


def test_no_port_is_given_twice() -> None:
    """The system has some 28,000 to give: among so many it names the same again."""
    given = [free_port() for _ in range(2_000)]
    assert len(set(given)) == len(given)


def test_who_is_killed_while_asking_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """The desk answers somebody who is not there any more; what else goes wrong is said."""
    outside = Outside()
    reached, gone, ended = threading.Event(), threading.Event(), threading.Event()

    def before(path: str) -> None:
        reached.set()
        assert gone.wait(60)

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
            assert ended.wait(60)
        assert "JSONDecodeError" in capfd.readouterr().err
        ended.clear()
        body = b'{"action": "update", "number": "T-1"}'
        with socket.create_connection(("127.0.0.1", outside.server_port)) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            head = f"POST /desk HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
            asking.sendall(head.encode() + body)
            assert reached.wait(60)
        gone.set()
        assert ended.wait(60)
        assert capfd.readouterr().err == ""
    finally:
        outside.shutdown()
        outside.server_close()
