"""Whose word about a sender's address is believed."""

import http.client
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from fastapi import FastAPI, Request

from pipeline.server import WebServer, listen


@contextmanager
def _serving(trusted: Sequence[str]) -> Iterator[int]:
    app = FastAPI()

    @app.get("/who")
    def who(request: Request) -> str:
        assert request.client is not None
        return request.client.host

    bound = listen("127.0.0.1:0")
    server = WebServer(app, bound, trusted_proxies=trusted)
    server.start()
    try:
        yield bound.getsockname()[1]
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.9"), (("10.0.0.1",), "127.0.0.1")],
)
def test_a18_only_a_named_proxy_may_speak_for_others(trusted: Sequence[str], seen: str) -> None:
    with _serving(trusted) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("GET", "/who", headers={"X-Forwarded-For": "203.0.113.9"})
        assert connection.getresponse().read().decode().strip('"') == seen
        connection.close()
