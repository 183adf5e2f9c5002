"""A label set becomes a row number once; from there on a sample is (row, time, value)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import orjson

from model.batch import Ints, Rows
from model.errors import SnapshotError
from model.labels import Labels

NAME = "__name__"
SENDER = "sender\0"
"""Begins the source of a series that says whether a sender is heard; the sender's name follows."""
_VERSION = 2
_BLOCK = 4096


class SeriesIndex:
    """Interns label sets (the metric's name is the label `__name__`) to row numbers.

    Rows are dense from 0 and reused after eviction, so that state can be arrays over rows.
    `generation` of a row grows with each reuse. Whoever keeps state by row registers
    `on_evict` to clear it.

    Parameters
    ----------
    series_max : int
        Series in all; beyond it `intern` gives -1 and `refused` counts.
    per_source_max : int
        Series per source (scrape target, file, intake key), so that one source cannot
        take the room of the others.

    Examples
    --------
    >>> index = SeriesIndex(series_max=1)
    >>> index.intern(Labels.of({"__name__": "up", "job": "a"}), source="t")
    0
    >>> index.intern(Labels.of({"__name__": "up", "job": "b"}), source="t"), index.refused
    (-1, 1)
    """

    def __init__(self, series_max: int = 1_000_000, per_source_max: int = 200_000) -> None:
        self.series_max = series_max
        self.per_source_max = per_source_max
        self.refused = 0
        self.epoch = 0  # grows whenever a row may have come to stand for something else
        self._rows: dict[Labels, int] = {}
        self._labels: list[Labels | None] = []
        self._sources: list[str] = []
        self._free: list[int] = []
        self._per_source: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        self._on_evict: list[Callable[[Rows], None]] = []
        self._last_seen = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def capacity(self) -> int:
        """One more than the largest row number ever given: the length that arrays over rows need."""
        return len(self._labels)

    def intern(self, labels: Labels, *, source: str = "", now_ms: int = 0) -> int:
        """The row of a label set, a new one if it is new; -1 where a limit refuses it."""
        row = self._rows.get(labels)
        if row is not None:
            return row
        used = self._per_source.get(source, 0)
        if len(self._rows) >= self.series_max or used >= self.per_source_max:
            self.refused += 1
            return -1
        if self._free:
            row = self._free.pop()
            self._labels[row], self._sources[row] = labels, source
        else:
            row = len(self._labels)
            self._labels.append(labels)
            self._sources.append(source)
            if row >= len(self._last_seen):
                grown = np.zeros(max(1024, 2 * row), dtype=np.int64)
                grown[: len(self._last_seen)] = self._last_seen
                self._last_seen = grown
        self._last_seen[row] = now_ms
        self._rows[labels] = row
        self._per_source[source] = used + 1
        return row

    def find(self, labels: Labels) -> int | None:
        """The row of a label set, or None."""
        return self._rows.get(labels)

    def labels(self, row: int) -> Labels:
        """The label set of a row that is in use."""
        labels = self._labels[row]
        assert labels is not None, f"row {row} is free"
        return labels

    def in_use(self, row: int) -> bool:
        """Whether a row stands for a series now."""
        return 0 <= row < len(self._labels) and self._labels[row] is not None

    def source(self, row: int) -> str:
        """The source that brought a row."""
        return self._sources[row]

    def rows(self) -> Iterable[int]:
        """All rows in use, ascending."""
        return (row for row, labels in enumerate(self._labels) if labels is not None)

    def describe(self, metric: str, kind: str) -> None:
        """Remember what an exposition's TYPE line says: counter, gauge, histogram, summary, unknown."""
        self._kinds[metric] = kind

    def kind(self, metric: str) -> str:
        """What `describe` was told of a metric family, or "unknown"."""
        return self._kinds.get(metric, "unknown")

    def touch(self, rows: Rows | Ints, now_ms: int) -> None:
        """Note that these rows had a sample at `now_ms`."""
        self._last_seen[rows] = now_ms

    def on_evict(self, forget: Callable[[Rows], None]) -> None:
        """Have `forget(rows)` called before rows are given to other series."""
        self._on_evict.append(forget)

    def evict_stale(self, before_ms: int) -> Rows:
        """Forget every series not seen since `before_ms`; returns the freed rows."""
        stale = np.flatnonzero(self._last_seen[: len(self._labels)] < before_ms)
        freed = np.array([r for r in stale if self._labels[r] is not None], dtype=np.int32)
        self.evict(freed)
        return freed

    def evict(self, freed: Rows) -> None:
        """Forget these series; a sample that comes of one makes a new series of it."""
        if len(freed):
            self.epoch += 1
            for forget in self._on_evict:
                forget(freed)
        for row in freed.tolist():
            labels = self._labels[row]
            assert labels is not None
            del self._rows[labels]
            self._labels[row] = None
            self._per_source[self._sources[row]] -= 1
            self._free.append(row)

    def save(self) -> bytes:
        """A snapshot: a line of JSON for the whole, then one for each block of rows.

        In blocks, because other threads wait while one is written.
        """
        sources = sorted(set(self._sources))
        number = {source: i for i, source in enumerate(sources)}
        head = {
            "version": _VERSION,
            "rows": len(self._labels),
            "sources": sources,
            "kinds": self._kinds,
            "refused": self.refused,
        }
        lines = [orjson.dumps(head)]
        for begin in range(0, len(self._labels), _BLOCK):
            end = min(begin + _BLOCK, len(self._labels))
            block = {
                "labels": [None if ls is None else ls.pairs for ls in self._labels[begin:end]],
                "sources": [number[source] for source in self._sources[begin:end]],
                "last_seen": self._last_seen[begin:end],
            }
            lines.append(orjson.dumps(block, option=orjson.OPT_SERIALIZE_NUMPY))
        return b"\n".join(lines)

    def load(self, data: bytes) -> None:
        """Take over a snapshot made by `save`; what was here is gone.

        Raises
        ------
        SnapshotError
            If it is damaged or of another version; nothing has changed then.
        """
        try:
            head, *blocks = [orjson.loads(line) for line in data.split(b"\n")]
            if head["version"] != _VERSION:
                raise SnapshotError(f"a series index of version {head['version']}, not {_VERSION}")
            found = [pairs for block in blocks for pairs in block["labels"]]
            numbers = [number for block in blocks for number in block["sources"]]
            seen = [time_ms for block in blocks for time_ms in block["last_seen"]]
            labels = [None if pairs is None else Labels.of(pairs) for pairs in found]
            sources = [head["sources"][number] for number in numbers]
            kinds, refused = dict(head["kinds"]), int(head["refused"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise SnapshotError(f"not a series index: {error}") from None
        self.epoch += 1
        self._labels, self._sources = labels, sources
        self._last_seen = np.array(seen, dtype=np.int64)
        self._kinds, self.refused = kinds, refused
        self._rows = {ls: row for row, ls in enumerate(labels) if ls is not None}
        self._free = [row for row, ls in enumerate(labels) if ls is None]
        self._per_source = {}
        for row in self._rows.values():
            source = sources[row]
            self._per_source[source] = self._per_source.get(source, 0) + 1
