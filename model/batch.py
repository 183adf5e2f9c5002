"""Columns: metrics and logs as they travel between the stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.reason import Reason

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.int32]
Bools = NDArray[np.bool_]

SMALL = 4_096
"""Samples: batches with fewer are joined, until there are twice as many."""

STALE_NAN = np.frombuffer(np.uint64(0x7FF0000000000002).tobytes(), dtype=np.float64)[0]
"""Prometheus' staleness marker: a NaN with these bits says that the series ended."""


def is_stale(values: Floats) -> Bools:
    """Which values are staleness markers (other NaNs are ordinary missing values).

    Examples
    --------
    >>> is_stale(np.array([1.0, np.nan, STALE_NAN])).tolist()
    [False, False, True]
    """
    bits = np.ascontiguousarray(values).view(np.uint64)
    return np.asarray(bits == np.uint64(0x7FF0000000000002))


def _freeze(*arrays: NDArray[Any]) -> None:
    for array in arrays:
        array.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class MetricBatch:
    """Samples of many series.

    Attributes
    ----------
    rows : int32, shape (n_samples,)
        Row numbers of the `SeriesIndex`; a row may occur more than once, oldest first.
    times_ms : int64, shape (n_samples,)
        Event times.
    values : float64, shape (n_samples,)
        NaN for a missing sample, `STALE_NAN` where the series ended.
    arrival_ms : int
        When it reached us.
    source : str
        Name of the collector or target it came from.
    notes : dict of int to Reason
        Why a row's latest value is what it is, where the collector knows ("answers HTTP 503").
    """

    rows: Rows
    times_ms: Ints
    values: Floats
    arrival_ms: int
    source: str
    notes: Mapping[int, Reason] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.rows.shape == self.times_ms.shape == self.values.shape
        _freeze(self.rows, self.times_ms, self.values)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(
        cls, rows: Any, times_ms: Any, values: Any, *, arrival_ms: int, source: str = ""
    ) -> MetricBatch:
        """Build from any sequences; one time may stand for all."""
        row_array = np.array(rows, dtype=np.int32)
        time_array = np.empty(row_array.shape, dtype=np.int64)
        time_array[:] = times_ms
        return cls(row_array, time_array, np.array(values, dtype=np.float64), arrival_ms, source)


@dataclass(frozen=True, slots=True, eq=False)
class LogBatch:
    """Log lines of one source, templated.

    Attributes
    ----------
    times_ms : int64, shape (n_lines,)
        Event times.
    templates : int32, shape (n_lines,)
        Template numbers, stable for the life of the miner (see `template_texts`).
    severities : int8, shape (n_lines,)
        OpenTelemetry severity numbers: 0 unknown, 5 debug, 9 info, 13 warn, 17 error, 21 fatal.
    services : tuple of str, length n_lines
        Service that wrote the line ("" where unknown).
    lines : tuple of str, length n_lines
        The message as read, control characters escaped, cut at a limit.
    template_texts : dict of int to str
        The text of each template number in the batch.
    arrival_ms : int
    source : str
        File or feed.
    merged : dict of int to int
        Template numbers that turned out to be another's since the batch before, each with the number that
        stands for it from this batch on.
    fields : tuple of str, of length n_lines or empty
        Numbers that stood beside the message in a structured line, as `name=value` with a blank between.
    """

    times_ms: Ints
    templates: Rows
    severities: NDArray[np.int8]
    services: tuple[str, ...]
    lines: tuple[str, ...]
    template_texts: dict[int, str]
    arrival_ms: int
    source: str
    merged: dict[int, int] = field(default_factory=dict)
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.lines)
        assert len(self.times_ms) == len(self.templates) == len(self.severities) == count
        assert len(self.services) == count and len(self.fields) in (0, count)
        _freeze(self.times_ms, self.templates, self.severities)

    def __len__(self) -> int:
        return len(self.lines)


def joined(batches: Iterable[MetricBatch | LogBatch]) -> Iterator[MetricBatch | LogBatch]:
    """The same samples and lines in the same order, but small batches of metrics that follow on each other as one.

    A stage pays for each batch as for some hundred samples, and a site is scraped in as many batches as it has
    targets. Large ones stay apart: the rows of one target are neighbours, and those of many are not.
    Two that note something of one row stay apart, too.

    Examples
    --------
    >>> one = MetricBatch.of([3, 4], 1_000, [0.1, 0.2], arrival_ms=1_000, source="a")
    >>> other = MetricBatch.of([3], 2_000, [0.3], arrival_ms=2_000, source="b")
    >>> [(batch.rows.tolist(), batch.times_ms.tolist()) for batch in joined([one, other])]
    [([3, 4, 3], [1000, 1000, 2000])]
    """
    held: list[MetricBatch] = []
    samples, noted = 0, set[int]()
    for batch in batches:
        if isinstance(batch, LogBatch) or len(batch) >= SMALL:
            yield from _as_one(held)
            held, samples, noted = [], 0, set()
            yield batch
            continue
        if samples >= 2 * SMALL or not noted.isdisjoint(batch.notes):
            yield from _as_one(held)
            held, samples, noted = [], 0, set()
        held.append(batch)
        samples += len(batch)
        noted.update(batch.notes)
    yield from _as_one(held)


def _as_one(batches: list[MetricBatch]) -> Iterator[MetricBatch]:
    if len(batches) < 2:
        yield from batches
        return
    yield MetricBatch(
        np.concatenate([batch.rows for batch in batches]),
        np.concatenate([batch.times_ms for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
        max(batch.arrival_ms for batch in batches),
        "",
        {row: why for batch in batches for row, why in batch.notes.items()},
    )
