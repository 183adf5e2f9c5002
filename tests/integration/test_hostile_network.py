"""What no well-meaning client sends, over raw sockets."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

import pytest

pytestmark = pytest.mark.integration

IDLE = 500
PATIENCE_S = 300


def _connect(tocsin: Any) -> socket.socket:
    host, _, port = tocsin.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


OUTSIDE = (
    "/static/../app.py",
    "/static/..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/static//etc/passwd",
    "/static/app.js%00",
    "/tickets/..%2f..%2fetc%2fpasswd",
    "/services/../../../etc/passwd",
)


def test_a15_no_path_leads_out(tocsin: Any) -> None:
    for path in OUTSIDE:
        with _connect(tocsin) as client:
            head = f"GET {path} HTTP/1.1\r\nHost: {tocsin.address}\r\nConnection: close\r\n\r\n"
            client.sendall(head.encode())
            answer = client.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 404 "), path
        assert b"root:" not in answer and b"import" not in answer, path


def test_a22_requests_that_never_end_hold_up_nobody(tocsin: Any) -> None:
    with ExitStack() as held:
        for _ in range(IDLE):
            client = held.enter_context(_connect(tocsin))
            client.sendall(b"POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        tocsin.push({"labels": {"alertname": "DiskFull", "service": "mail"}})
        tocsin.incident("mail")


def test_a22_a_header_without_end_is_cut_off(tocsin: Any) -> None:
    with _connect(tocsin) as client, pytest.raises(OSError):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
        for _ in range(64):
            client.sendall(b"a" * 1_000_000)
    assert tocsin.get("/api/v1/incidents", state="all")["incidents"] == []
