"""Metrics of a recording: OpenMetrics text with timestamps, or VictoriaMetrics' export; oldest first."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from collectors.exposition import Format, read_line, read_number, read_type
from model.batch import STALE_NAN, Floats, Ints, Rows
from model.errors import InputError
from model.labels import Labels
from model.series import SeriesIndex

SAMPLES_MAX = 50_000_000
LINE_CHARACTERS_MAX = 1 << 20
FOREVER_MS = 1 << 62
STALE = "StaleNaN"  # OpenMetrics itself has no word for a series that ended


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Columns of equal length, oldest first."""

    rows: Rows
    times_ms: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.rows)


class MetricFile(Protocol):
    """Samples in the order of their times."""

    def next_ms(self) -> int:
        """Time of the next sample; `FOREVER_MS` after the last."""
        ...

    def take_until(self, until_ms: int) -> Samples:
        """The samples up to and at a time."""
        ...


class Interner:
    """A series' text to its row, once for each text."""

    def __init__(self, index: SeriesIndex, source: str) -> None:
        self.index = index
        self.source = source
        self._rows: dict[str, int] = {}

    def row(self, text: str) -> int:
        """The row; -1 where a limit of the index refuses it."""
        row = self._rows.get(text)
        if row is None:
            row = self.of(Labels.of(read_line(f"{text} 0", Format.OPENMETRICS).labels))
            self._rows[text] = row
        return row

    def of(self, labels: Labels) -> int:
        """The row of a label set."""
        return self.index.intern(labels, source=self.source)


def read_sample(line: str) -> tuple[str, float, int]:
    """Read `name{labels} value seconds`; an exemplar is left out.

    Examples
    --------
    >>> read_sample('up{job="pg"} 1 1700000000.5')
    ('up{job="pg"}', 1.0, 1700000000500)
    """
    if " # {" in line:
        line = line.partition(" # {")[0]
    parts = line.rsplit(" ", 2)
    if len(parts) != 3:
        raise InputError(f"must be a series, a value and a timestamp, got {line[:80]!r}")
    value = STALE_NAN if parts[1] == STALE else read_number(parts[1])
    return parts[0], value, _time_ms(parts[2])


@lru_cache(maxsize=256)  # a scrape's samples share one
def _time_ms(text: str) -> int:
    seconds = read_number(text)
    if not math.isfinite(seconds):
        raise InputError(f"must be a timestamp in seconds, got {text!r}")
    return round(seconds * 1000)


def _om_lines(path: Path, index: SeriesIndex) -> Iterator[tuple[str, float, int]]:
    for number, line in numbered_lines(path):
        line = line.rstrip("\n")
        if line == "# EOF":
            return
        if line.startswith("#"):
            if described := read_type(line):
                index.describe(*described)
            continue
        try:
            yield read_sample(line)
        except InputError as error:
            raise InputError(f"{path}:{number}:1: {error}") from None


class OrderedFile:
    """An OpenMetrics file whose samples stand in the order of their times: streamed."""

    def __init__(self, path: Path, index: SeriesIndex) -> None:
        self._lines = _om_lines(path, index)
        self._interner = Interner(index, path.name)
        self._ahead = next(self._lines, None)

    def next_ms(self) -> int:
        """Time of the next sample."""
        return FOREVER_MS if self._ahead is None else self._ahead[2]

    def take_until(self, until_ms: int) -> Samples:
        """The samples up to and at a time."""
        rows, times, values = [], [], []
        while self._ahead is not None and self._ahead[2] <= until_ms:
            series, value, time_ms = self._ahead
            if (row := self._interner.row(series)) >= 0:
                rows.append(row)
                times.append(time_ms)
                values.append(value)
            self._ahead = next(self._lines, None)
        return _samples(rows, times, values)


class SortedFile:
    """Samples in any order, sorted in memory."""

    def __init__(self, samples: Iterator[tuple[int, int, float]], path: Path) -> None:
        rows: list[int] = []
        times: list[int] = []
        values: list[float] = []
        for row, time_ms, value in samples:
            if len(rows) >= SAMPLES_MAX:
                raise InputError(f"{path}: more than {SAMPLES_MAX} samples out of order; split it")
            if row >= 0:
                rows.append(row)
                times.append(time_ms)
                values.append(value)
        columns = _samples(rows, times, values)
        order = np.argsort(columns.times_ms, kind="stable")
        self._all = Samples(columns.rows[order], columns.times_ms[order], columns.values[order])
        self._at = 0

    def next_ms(self) -> int:
        """Time of the next sample."""
        return int(self._all.times_ms[self._at]) if self._at < len(self._all) else FOREVER_MS

    def take_until(self, until_ms: int) -> Samples:
        """The samples up to and at a time."""
        end = int(np.searchsorted(self._all.times_ms, until_ms, side="right"))
        part = slice(self._at, end)
        self._at = max(self._at, end)
        return Samples(self._all.rows[part], self._all.times_ms[part], self._all.values[part])


def _samples(rows: list[int], times_ms: list[int], values: list[float]) -> Samples:
    return Samples(
        np.array(rows, dtype=np.int32),
        np.array(times_ms, dtype=np.int64),
        np.array(values, dtype=np.float64),
    )


def open_metrics(path: Path, index: SeriesIndex) -> MetricFile:
    """Streamed if its times never go back, else sorted."""
    if _is_ordered(path):
        return OrderedFile(path, index)
    interner = Interner(index, path.name)
    return SortedFile(
        ((interner.row(text), time_ms, value) for text, value, time_ms in _om_lines(path, index)),
        path,
    )


def _is_ordered(path: Path) -> bool:
    """Whether the last words of the lines never go back; what they mean is read later, with care."""
    last, last_word = -math.inf, ""
    for _, line in numbered_lines(path):
        word = line.rpartition(" ")[2]
        if line.startswith("# EOF"):
            break
        if line[0] == "#" or word == last_word:
            continue
        try:
            time_s = float(word)
        except ValueError:
            return False
        if time_s < last:
            return False
        last, last_word = time_s, word
    return True


def json_metrics(path: Path, index: SeriesIndex) -> MetricFile:
    """Sorted in memory: an export goes series by series."""
    return SortedFile(_json_samples(path, Interner(index, path.name)), path)


def _json_samples(path: Path, interner: Interner) -> Iterator[tuple[int, int, float]]:
    for number, line in numbered_lines(path):
        try:
            data = json.loads(line)
            row = interner.of(Labels.of(data["metric"]))
            for time_ms, value in zip(data["timestamps"], data["values"], strict=True):
                yield row, int(time_ms), math.nan if value is None else float(value)
        except (ValueError, TypeError, KeyError, InputError) as error:
            raise InputError(f"{path}:{number}:1: not an exported series: {error!r}") from None


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers; never the whole file."""
    with path.open(encoding="utf-8") as file:
        number = 0
        while line := file.readline(LINE_CHARACTERS_MAX):
            number += 1
            if line.strip():
                yield number, line
