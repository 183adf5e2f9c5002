"""Servers that behave badly on the wire, on loopback."""

from __future__ import annotations

import gzip
import socket
import threading
import time

import pytest

from collectors.fetch import fetch, open_session
from collectors.settings import ScrapeTarget
from model.clock import SystemClock
from model.errors import DeliveryError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def answer(*parts: bytes, pause_s: float = 0.0, timeout_s: float = 120.0) -> bytes:
    """What `fetch` makes of a server that sends these bytes and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            try:
                for part in parts:
                    connection.sendall(part)
                    if pause_s:
                        time.sleep(pause_s)
            except OSError:
                pass  # the scraper has hung up

    thread = threading.Thread(target=serve)
    thread.start()
    target = ScrapeTarget(f"http://127.0.0.1:{listener.getsockname()[1]}/metrics")
    try:
        with open_session() as session:
            return fetch(
                session,
                target,
                timeout_s=timeout_s,
                body_bytes_max=1_000,
                clock=SystemClock(),
            ).body
    finally:
        thread.join()
        listener.close()


def test_chunked_body() -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    assert answer(chunked, b"4\r\na 1\n\r\n", b"4\r\nb 2\n\r\n", b"0\r\n\r\n") == b"a 1\nb 2\n"


def test_gzip_in_several_parts_is_read_to_its_end() -> None:
    packed = gzip.compress(b"a 1\n") + gzip.compress(b"") + gzip.compress(b"b 2\n")
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert answer(head, packed) == b"a 1\nb 2\n"
    assert answer(head, *[packed[n : n + 1] for n in range(len(packed))]) == b"a 1\nb 2\n"


@pytest.mark.parametrize(
    "parts",
    [
        # Fewer bytes than were promised.
        (HEAD + b"Content-Length: 100\r\n\r\n", b"a 1\n"),
        # A chunk that never ends.
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"ff\r\na 1\n"),
        (b"not http at all\r\n\r\n",),
        (b"",),
        (HEAD + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\n", b"x"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n", b"a 1\n"),
        # Something else behind the end of it, and a second part that is cut off.
        (HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"a 1\n") + b"b 2\n"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n", 2 * gzip.compress(b"a 1\n")[:-4]),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n", (2 * gzip.compress(b"a 1\n"))[:-4]),
    ],
)
def test_broken_answers_are_typed_errors(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(DeliveryError) as caught:
        answer(*parts)
    assert "127.0.0.1" not in str(caught.value)


def test_dripping_target_is_left_at_the_deadline() -> None:
    head = HEAD + b"Content-Length: 900\r\n\r\n"
    with pytest.raises(DeliveryError, match="no answer in time"):  # and not that it broke off
        answer(head, *[b"a"] * 899, pause_s=0.02, timeout_s=0.2)
