"""Request bodies: read no more than is allowed, as sent and as decoded."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from starlette.requests import Request

_PIECE_BYTES = 64 * 1024


class BodyRefused(Exception):
    """The body is too large (413), or its encoding is unknown or damaged (415, 400)."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Gunzip:
    """Decodes gzip piece by piece and stops at a limit: a bomb costs no more than the limit.

    Examples
    --------
    >>> import gzip
    >>> Gunzip(100).feed(gzip.compress(b"hello"))
    b'hello'
    """

    def __init__(self, bytes_max: int) -> None:
        self._decoder = zlib.decompressobj(wbits=31)
        self._left = bytes_max

    def feed(self, data: bytes) -> bytes:
        """Decode a piece.

        Raises
        ------
        BodyRefused
            If it is no gzip, or if the decoded body passes the limit.
        """
        parts: list[bytes] = []
        while data:
            try:
                part = self._decoder.decompress(data, min(_PIECE_BYTES, self._left + 1))
            except zlib.error:
                raise BodyRefused(400, "the body is not valid gzip") from None
            self._left -= len(part)
            if self._left < 0:
                raise BodyRefused(413, "the decoded body is too large")
            parts.append(part)
            data = self._decoder.unconsumed_tail
            if self._decoder.eof and self._decoder.unused_data:
                raise BodyRefused(400, "there is something after the end of the gzip body")
        return b"".join(parts)

    def finish(self) -> None:
        """Check that the end was reached."""
        if not self._decoder.eof:
            raise BodyRefused(400, "the gzip body ends too early")


async def read(request: Request, *, bytes_max: int, decoded_bytes_max: int) -> bytes:
    """Read a whole body, decoding `Content-Encoding: gzip`.

    The limit is applied while reading: a declared length is believed only when it is too large.

    Raises
    ------
    BodyRefused
        With the status to answer.
    """
    _check_declared(request, bytes_max)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return b"".join([piece async for piece in _pieces(request, bytes_max)])
    if encoding not in ("gzip", "x-gzip"):
        raise BodyRefused(415, "only gzip is understood as Content-Encoding")
    gunzip = Gunzip(decoded_bytes_max)
    decoded = [gunzip.feed(piece) async for piece in _pieces(request, bytes_max)]
    gunzip.finish()
    return b"".join(decoded)


async def read_as_sent(request: Request, *, bytes_max: int) -> bytes:
    """Read a whole body without decoding it.

    Raises
    ------
    BodyRefused
        If it is too large.
    """
    _check_declared(request, bytes_max)
    return b"".join([piece async for piece in _pieces(request, bytes_max)])


def _check_declared(request: Request, bytes_max: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > bytes_max:
        raise BodyRefused(413, f"the body may have at most {bytes_max} bytes")


async def _pieces(request: Request, bytes_max: int) -> AsyncIterator[bytes]:
    total = 0
    async for piece in request.stream():
        total += len(piece)
        if total > bytes_max:
            raise BodyRefused(413, f"the body may have at most {bytes_max} bytes")
        if piece:
            yield piece
