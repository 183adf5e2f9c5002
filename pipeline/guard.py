"""What uvicorn leaves to a proxy: a request's head has a size, a request and its answer have a time."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 64 * 1024
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 37\r\nconnection: close\r\n\r\nthe head of the request is too large\n"
)


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 that drops who is too slow or says too much before asking (A22).

    httptools gathers headers without a limit, and nothing in uvicorn ends a request that never ends. A
    timer is set only for a request that did not come whole in one piece, so that pushes pay nothing.

    Attributes
    ----------
    patience_s : float
        From the beginning of a connection or a request to the last byte of its body; and how long the
        other side may take nothing of an answer.
    """

    patience_s = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = self._in_request = True
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is a request that does not end."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._in_request = False
        self._watch()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and see whether the request is still incomplete."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse_head()
        self._watch()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = self._in_request = True

    def on_headers_complete(self) -> None:
        """Its head is here; one that came in a single large piece is measured now."""
        self._in_head = False
        if self._head_bytes > HEAD_BYTES_MAX:
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size + len(self.url) > HEAD_BYTES_MAX:
                self._refuse_head()
                return
        self._head_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """It is here as a whole."""
        self._in_request, self._head_bytes = False, 0
        self._watch()
        if not self.transport.is_closing():
            super().on_message_complete()

    def pause_writing(self) -> None:
        """The other side does not read: for how long?"""
        super().pause_writing()
        self._reader_timer = self.loop.call_later(self.patience_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads on."""
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None
        super().resume_writing()

    def _watch(self) -> None:
        if self._in_request and self._timer is None:
            self._timer = self.loop.call_later(self.patience_s, self.transport.abort)
        elif not self._in_request and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self._count()
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is counted, not logged: a line for each would fill the log."""
        self._count()
        super().send_400_response(msg)

    def _count(self) -> None:
        counters = getattr(self.config.app.state, "counters", None)  # type: ignore[union-attr]
        if counters is not None:
            counters.add("tocsin_console_refused_http_total")


def quiet(record: logging.LogRecord) -> bool:
    """A filter for uvicorn's logger: strangers must not be able to write a line for each attempt."""
    return record.levelno >= logging.ERROR
