"""How many lines of each severity a service writes: series like any other, and judged like them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.rows import Array
from detectors.writers import Writers
from model.batch import Ints, LogBatch

WINDOW_MS = 10_000
LEVELS = ("info", "warn", "error")
_ERROR = 17
_LINES_MAX = 3
_FUTURE_MS = 5_000


def level_of(severity: int) -> str:
    """The level a severity number (OpenTelemetry) counts as: info, warn or error.

    Examples
    --------
    >>> level_of(9), level_of(13), level_of(21)
    ('info', 'warn', 'error')
    """
    return "error" if severity >= _ERROR else "warn" if severity >= 13 else "info"


@dataclass(slots=True)
class _Stream:
    """Lines of one service and level, counted by second, with the last few as examples."""

    counts: deque[tuple[int, int]]
    lines: deque[str]
    row: int = -1


class LogRates:
    """Counts by service, level and second of log time."""

    def __init__(self, streams_max: int) -> None:
        self._streams_max = streams_max
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._evaluated_ms = 0
        self.refused = 0

    def take(self, batch: LogBatch, now_ms: int, writers: Writers | None = None) -> None:
        """Count a batch, of which it may be known already who wrote it."""
        if writers is None:
            writers = Writers.of_lines(batch.services)
        seconds = np.minimum(batch.times_ms, now_ms + _FUTURE_MS) // 1000
        for service, severity, second, lines in _alike(writers, batch.severities, seconds):
            stream = self._stream(service, level_of(severity), lines)
            if stream is not None:
                _count(stream.counts, second, lines)
        for at in np.flatnonzero(batch.severities >= _ERROR).tolist():
            stream = self._streams.get((batch.services[at], "error"))
            if stream is not None:
                stream.lines.append(batch.lines[at])

    def _stream(self, service: str, level: str, lines: int) -> _Stream | None:
        stream = self._streams.get((service, level))
        if stream is None:
            if len(self._streams) >= self._streams_max:
                self.refused += lines
                return None
            for each in LEVELS:  # a service's silence about errors is learnt from its first line on
                self._streams[(service, each)] = _Stream(deque(), deque(maxlen=_LINES_MAX))
            stream = self._streams[(service, level)]
        return stream

    def due(self, now_ms: int) -> list[tuple[str, str, float]]:
        """Service, level and lines per second, at most once a second, for every stream."""
        second = now_ms // 1000
        if not self._streams or second * 1000 <= self._evaluated_ms:
            return []
        window_ms = WINDOW_MS
        if self._evaluated_ms:
            window_ms = max(window_ms, second * 1000 - self._evaluated_ms)
        self._evaluated_ms = second * 1000
        since = second - window_ms // 1000
        out = []
        for (service, level), stream in self._streams.items():
            while stream.counts and stream.counts[0][0] <= since:
                stream.counts.popleft()
            lines = sum(count for at, count in stream.counts if at <= second)
            out.append((service, level, lines * 1000.0 / window_ms))
        return out

    def row(self, service: str, level: str) -> int:
        """The derived row of a stream, -1 before it has one."""
        return self._streams[(service, level)].row

    def set_row(self, service: str, level: str, row: int) -> None:
        """Remember the derived row of a stream."""
        self._streams[(service, level)].row = row

    def examples(self, service: str, level: str) -> tuple[str, ...]:
        """The last few lines of a stream."""
        stream = self._streams.get((service, level))
        return () if stream is None else tuple(stream.lines)

    def forget(self, rows: set[int]) -> None:
        """Derived rows that are gone."""
        for stream in self._streams.values():
            if stream.row in rows:
                stream.row = -1

    def save(self) -> dict[str, Any]:
        """Plain JSON values."""
        streams = [
            [service, level, list(map(list, s.counts)), list(s.lines), s.row]
            for (service, level), s in self._streams.items()
        ]
        return {"streams": streams, "evaluated_ms": self._evaluated_ms, "refused": self.refused}

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._streams = {
            (service, level): _Stream(
                deque((at, count) for at, count in counts), deque(lines, maxlen=_LINES_MAX), row
            )
            for service, level, counts, lines, row in saved["streams"]
        }
        self._evaluated_ms, self.refused = saved["evaluated_ms"], saved["refused"]


def _alike(
    writers: Writers, severities: Array, seconds: Ints
) -> Iterator[tuple[str, int, int, int]]:
    """Service, severity, second, and how many lines have these; in the order of their first lines."""
    if not len(seconds):
        return
    times, of = np.unique(seconds, return_inverse=True)
    keys = (writers.of.astype(np.int64) * len(times) + of) * 256 + (
        severities.astype(np.int64) & 255
    )
    _, first, lines = np.unique(keys, return_index=True, return_counts=True)
    for place in np.argsort(first).tolist():
        at = int(first[place])
        service = writers.names[int(writers.of[at])]
        yield service, int(severities[at]), int(seconds[at]), int(lines[place])


def _count(counts: deque[tuple[int, int]], second: int, lines: int) -> None:
    """Add lines; they may come a little out of order."""
    if counts and counts[-1][0] == second:
        counts[-1] = (second, counts[-1][1] + lines)
        return
    at = len(counts)
    while at and counts[at - 1][0] > second:
        at -= 1
    if at and counts[at - 1][0] == second:
        counts[at - 1] = (second, counts[at - 1][1] + lines)
    else:
        counts.insert(at, (second, lines))
