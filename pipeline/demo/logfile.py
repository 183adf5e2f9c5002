"""A service's log: one JSON object per line, rotated by size."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson

from model.clock import Clock

FILE_BYTES_MAX = 8 * 2**20


class LogFile:
    """Appends lines to `path`; a full file becomes `path.1`, replacing the one before.

    Parameters
    ----------
    bytes_max : int
        Size at which the file is rotated, so that a demo left running fills no disk.
    """

    def __init__(
        self, path: Path, service: str, clock: Clock, *, bytes_max: int = FILE_BYTES_MAX
    ) -> None:
        self._path = path
        self._service = service
        self._clock = clock
        self._bytes_max = bytes_max
        self._open()

    def _open(self) -> None:
        # Unbuffered: a killed process must not take its last words with it.
        self._file = self._path.open("ab", buffering=0)
        self._bytes = self._file.tell()

    def write(self, level: str, message: str, **fields: object) -> None:
        """Write one line, timed now."""
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, tz=UTC)
        line = orjson.dumps(
            {
                "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "level": level,
                "service": self._service,
                "msg": message,
                **fields,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        if self._bytes + len(line) > self._bytes_max:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._open()
        self._file.write(line)
        self._bytes += len(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
