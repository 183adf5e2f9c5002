"""Just enough HTTP/1.1 for the shop: keep-alive on both sides, fixed-length bodies, loopback only.

A web framework would spend more processor time than the shop it serves; the demo shares two
cores with the pipeline it demonstrates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

HEAD_BYTES_MAX = 16_384
BODY_BYTES_MAX = 65_536
IDLE_CONNECTIONS_MAX = 16

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are lower case, the path comes without its query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"


class CallFailed(Exception):
    """A call had no answer; `code` is "timeout" or "refused"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Handler = Callable[[Request], Awaitable[Response]]


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Split a message's head into its first line and its headers.

    Examples
    --------
    >>> parse_head(b"GET / HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n")
    ('GET / HTTP/1.1', {'content-length': '2'})
    """
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first, headers


async def _read_message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    first, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= BODY_BYTES_MAX:
        raise ValueError(f"content-length {length} is out of bounds")
    return first, headers, await reader.readexactly(length) if length else b""


async def serve(handler: Handler, port: int) -> asyncio.Server:
    """Listen on the loopback address; every connection is kept alive until its client leaves."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first, headers, body = await _read_message(reader)
                method, target, _ = first.split(" ", 2)
                request = Request(method, target.partition("?")[0], headers, body)
                writer.write(_render(await handler(request)))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, OSError):
            pass  # the client left, or is no client of ours: there is nobody to tell
        finally:
            writer.close()

    return await asyncio.start_server(converse, "127.0.0.1", port, limit=HEAD_BYTES_MAX)


def _render(response: Response) -> bytes:
    head = (
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}\r\n"
        f"Content-Type: {response.content_type}\r\nContent-Length: {len(response.body)}\r\n\r\n"
    )
    return head.encode("latin-1") + response.body


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(slots=True)
class Client:
    """Calls services on loopback, over connections that are kept and reused."""

    _idle: dict[int, list[_Connection]] = field(default_factory=dict)

    async def get(self, port: int, path: str, *, trace_id: str, timeout_s: float) -> Response:
        """GET one path.

        Raises
        ------
        CallFailed
            If there is no answer within `timeout_s`, or nobody listens.
        """
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._connect(port)
                connection.writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Trace-Id: {trace_id}\r\n\r\n".encode()
                )
                first, _, body = await _read_message(connection.reader)
        except TimeoutError:
            self._drop(connection)
            raise CallFailed("timeout") from None
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self._drop(connection)
            raise CallFailed("refused") from None
        except asyncio.CancelledError:
            self._drop(connection)
            raise
        idle = self._idle.setdefault(port, [])
        if len(idle) < IDLE_CONNECTIONS_MAX:
            idle.append(connection)
        else:
            self._drop(connection)
        return Response(int(first.split(" ", 2)[1]), body)

    async def _connect(self, port: int) -> _Connection:
        idle = self._idle.get(port, [])
        while idle:
            connection = idle.pop()
            if not connection.reader.at_eof():  # its server was restarted meanwhile
                return connection
            self._drop(connection)
        return _Connection(*await asyncio.open_connection("127.0.0.1", port))

    @staticmethod
    def _drop(connection: _Connection | None) -> None:
        if connection is not None:
            connection.writer.close()
