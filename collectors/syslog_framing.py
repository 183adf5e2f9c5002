"""Messages out of a stream: octet counting and newlines (RFC 6587), told apart message by message."""

from __future__ import annotations

import re

_COUNT = re.compile(rb"([1-9]\d{0,8}) <")
_MAYBE_COUNT = re.compile(rb"[1-9]\d{0,8} ?\Z")
_ENDS = b"\n\0\r"


class Framer:
    r"""Cuts a stream into messages; holds no more than one message and one reading.

    A count is only one where "<" follows it: what else begins with a digit ends with its newline.
    Too long a message is cut, and its rest skipped.

    Examples
    --------
    >>> framer = Framer(bytes_max=20)
    >>> framer.feed(b"<13>one\n7 <13>two<13>th")
    [b'<13>one', b'<13>two']
    >>> framer.waiting, framer.feed(b"ree\n"), framer.waiting
    (True, [b'<13>three'], False)
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.cut = 0
        self._buffer = b""
        self._skip = 0  # bytes of a counted message that was cut
        self._skip_line = False

    @property
    def waiting(self) -> bool:
        """Whether a message was begun that has not ended."""
        return bool(self._buffer or self._skip or self._skip_line)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._skip_line and data:
            end = data.find(b"\n")
            self._skip_line = end < 0
            data = b"" if end < 0 else data[end + 1 :]
        data = self._buffer + data if self._buffer else data
        self._buffer = b""
        found: list[bytes] = []
        start = 0
        while start < len(data):
            counted = _COUNT.match(data, start)
            if counted:
                start = self._counted(data, counted.end() - 1, int(counted[1]), found)
            elif _MAYBE_COUNT.match(data, start):
                self._buffer, start = data[start:], len(data)
            elif data[start] in b"123456789":
                start = self._line(data, start, found)
            else:
                start = self._lines(data, start, found)
            if start < 0:
                break
        return [whole for message in found if (whole := message.strip(_ENDS))]

    def rest(self) -> list[bytes]:
        """What was begun when the stream ended: a last line without a newline is one."""
        left, self._buffer = self._buffer.strip(_ENDS), b""
        counted = _COUNT.match(left)
        return [left[counted.end() - 1 :] if counted else left] if left else []

    def _counted(self, data: bytes, start: int, size: int, found: list[bytes]) -> int:
        end = start + size
        if size > self.bytes_max:
            if len(data) < start + self.bytes_max:
                self._buffer = b"%d " % size + data[start:]
                return -1
            found.append(data[start : start + self.bytes_max])
            self.cut += 1
            self._skip = max(0, end - len(data))
        elif end > len(data):
            self._buffer = b"%d " % size + data[start:]
            return -1
        else:
            found.append(data[start:end])
        return min(end, len(data))

    def _lines(self, data: bytes, start: int, found: list[bytes]) -> int:
        """All that ends with a newline, as far as each begins like the first: what is sent mostly."""
        end = data.find(b"\n", start)
        while end >= 0:
            self._keep(data[start:end], found)
            start = end + 1
            if data[start : start + 1] != b"<":
                return start
            end = data.find(b"\n", start)
        return self._unended(data, start, found)

    def _line(self, data: bytes, start: int, found: list[bytes]) -> int:
        end = data.find(b"\n", start)
        if end < 0:
            return self._unended(data, start, found)
        self._keep(data[start:end], found)
        return end + 1

    def _keep(self, line: bytes, found: list[bytes]) -> None:
        self.cut += len(line) > self.bytes_max
        found.append(line[: self.bytes_max])

    def _unended(self, data: bytes, start: int, found: list[bytes]) -> int:
        left = data[start:]
        if len(left) > self.bytes_max:
            self._keep(left, found)
            self._skip_line = True
        else:
            self._buffer = left
        return -1
