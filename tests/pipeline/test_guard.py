"""The web server against those who are slow, or talk without end, before they ask (A22)."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from console.metrics import Counters
from pipeline.guard import HEAD_BYTES_MAX, GuardedProtocol, quiet

HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
WAIT_S = 240.0


class Hasty(GuardedProtocol):
    """Waits for nobody."""

    patience_s = 0.05


@pytest.fixture
def counters() -> Counters:
    return Counters()


def serving(protocol: type[GuardedProtocol], counters: Counters) -> Iterator[int]:
    app = FastAPI(openapi_url=None)
    app.state.counters = counters

    async def echo(request: Request) -> Response:
        return Response(await request.body() or b"nothing")

    app.add_route("/echo", echo, methods=["GET", "POST"])
    config = uvicorn.Config(app, http=protocol, ws="none", log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        server.should_exit = True
        thread.join(WAIT_S)


@pytest.fixture
def port(counters: Counters) -> Iterator[int]:
    yield from serving(GuardedProtocol, counters)


@pytest.fixture
def hasty_port(counters: Counters) -> Iterator[int]:
    yield from serving(Hasty, counters)


def ask(port: int, *pieces: bytes) -> bytes:
    """Send the pieces and read until the other side closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while data := connection.recv(65_536):
                answer += data
        except ConnectionError:
            pass
    return answer


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nhi"],
        [b"P", HEAD[1:], b"Content-Length: 2\r\nConnection: close\r\n\r\nh", b"i"],
        # A large body is no large head, though both come in one piece.
        [HEAD + b"Content-Length: 100000\r\nConnection: close\r\n\r\n" + b"hi" * 50_000],
        [HEAD + b"Content-Length: 2\r\n\r\nhi" + HEAD + b"Connection: close\r\n\r\n"],
    ],
)
def test_requests_are_answered(port: int, pieces: list[bytes]) -> None:
    assert b" 200 OK" in ask(port, *pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"PO"],
        [HEAD, b"X: y"],
        [HEAD + b"Content-Length: 9\r\n\r\n", b"hi"],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"],
    ],
)
def test_a22_a_request_that_does_not_end_is_ended(hasty_port: int, pieces: list[bytes]) -> None:
    assert b" 200 OK" not in ask(hasty_port, *pieces)


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"y" * 2 * HEAD_BYTES_MAX,
        b"X: y\r\n" * HEAD_BYTES_MAX,
    ],
)
@pytest.mark.parametrize("size", [1_000, 10_000_000])
def test_a22_a_head_has_a_size(port: int, counters: Counters, head: bytes, size: int) -> None:
    whole = HEAD + head + b"\r\n\r\n"
    answer = ask(port, *[whole[at : at + size] for at in range(0, len(whole), size)])
    assert b" 200 OK" not in answer
    assert counters.values()["tocsin_console_refused_http_total"] == 1


def test_a07_what_is_no_http_is_counted_and_not_logged(port: int, counters: Counters) -> None:
    assert b" 400 " in ask(port, b"\x16\x03\x01\r\n\r\n")
    assert counters.values()["tocsin_console_refused_http_total"] == 1
    warning = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, "Invalid HTTP", (), None)
    assert not quiet(warning)
