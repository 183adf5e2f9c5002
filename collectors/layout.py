"""A target's answer looks like its last one: only the values are read anew.

A scrape's body is compared with the layout of the one before: the same comments at the same
lines, the same text before each value. Where that holds (nearly always), rows are known and the
work is one prefix removal and one `float` a line, in C. Otherwise each line is looked up by the
text of its series, and only lines never seen before are parsed with care.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from collectors.exposition import Format, Sample, read_line, read_tail, read_type
from model.batch import Floats, Ints, Rows
from model.errors import InputError
from model.labels import Labels, check_writable
from model.reason import Reason, because
from model.series import NAME, SeriesIndex

NO_TIME = -(2**62)
"""Stands for "the line has no timestamp" in `Scraped.times_ms`."""

_REFUSED, _IGNORED = -1, -2
_RETRY_READS = 20
_LINES_PER_SERIES = 4  # a family's two comments may stand before a single sample
_BAD_LINES_MAX = 10_000  # what goes on after so many is no exposition; the loop has others to read
_EMPTY: Rows = np.zeros(0, dtype=np.int32)


def merge_labels(
    sent: Mapping[str, str], target: Mapping[str, str], *, honor_labels: bool
) -> dict[str, str]:
    """Put a target's labels on a sent series, as Prometheus does.

    A clash keeps the sent label where `honor_labels` is set; otherwise ours wins and the sent one
    is kept under `exported_` (again, until the name is free).

    Examples
    --------
    >>> merge_labels({"job": "a", "x": "1"}, {"job": "shop"}, honor_labels=False)
    {'x': '1', 'job': 'shop', 'exported_job': 'a'}
    """
    if honor_labels:
        return {**target, **sent}
    if target.keys().isdisjoint(sent):
        return {**sent, **target}
    clashes = {name: value for name, value in sent.items() if name in target and value}
    merged = {name: value for name, value in sent.items() if name not in target}
    merged.update(target)
    for name, value in clashes.items():
        while name in merged or name in sent:
            name = "exported_" + name
        merged[name] = value
    return merged


@dataclass(frozen=True, slots=True, eq=False)
class Scraped:
    """What one body held.

    Attributes
    ----------
    rows : int32, shape (n_samples,)
    times_ms : int64, shape (n_samples,), or None
        The samples' own timestamps, `NO_TIME` where a line has none; None where no line has one.
    values : float64, shape (n_samples,)
    gone : int32, shape (n_gone,)
        Rows of the body before that are not in this one.
    lines : int
        Sample lines in the body, kept or not.
    bad, refused, duplicates : int
        Lines that could not be read, were beyond a limit, or repeated a series.
    problem : Reason or None
        The first bad line: its number and what was expected.
    truncated : bool
        OpenMetrics without its `# EOF`: the end is missing.
    """

    rows: Rows
    times_ms: Ints | None
    values: Floats
    gone: Rows
    lines: int
    bad: int
    refused: int
    duplicates: int
    problem: Reason | None
    truncated: bool


@dataclass(slots=True)
class _Past:
    """The shape of the last body: one entry per line in the masks, one per sample in the rest."""

    is_sample: list[bool] = field(default_factory=list)
    is_other: list[bool] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    row_array: Rows = field(default_factory=lambda: _EMPTY)
    known_chars: int = 0  # of a body, without the text of its values
    kept: Rows | None = None  # positions of samples that have a row; None where all have
    bad: int = 0
    refused: int = 0
    duplicates: int = 0
    problem: Reason | None = None
    truncated: bool = False

    def other(self, line: str) -> None:
        self.is_sample.append(False)
        self.others.append(line)

    def sample(self, prefix: str, row: int) -> None:
        self.is_sample.append(True)
        self.prefixes.append(prefix)
        self.rows.append(row)

    def close(self) -> None:
        feeds = max(0, len(self.is_sample) - 1)
        self.known_chars = sum(map(len, self.others)) + sum(map(len, self.prefixes)) + feeds
        self.is_other = [not sample for sample in self.is_sample]
        self.row_array = np.array(self.rows, dtype=np.int32)
        if len(self.rows) and self.row_array.min() < 0:
            self.kept = np.flatnonzero(self.row_array >= 0).astype(np.int32)
            self.row_array = self.row_array[self.kept]


class Layout:
    """Reads the bodies of one target into rows of `index`.

    Parameters
    ----------
    index : SeriesIndex
        Where series get their rows, in the name of `source`.
    target : mapping of str to str
        Labels put on every series (`job`, `instance`, `service`, …).
    series_max, labels_max, label_chars_max : int
        See `ScrapeSettings`.

    Examples
    --------
    >>> layout = Layout(SeriesIndex(), source="t", target={"job": "shop"})
    >>> scraped = layout.read(b"# TYPE up gauge\\nup 1\\n", Format.TEXT, now_ms=0)
    >>> scraped.rows.tolist(), scraped.values.tolist()
    ([0], [1.0])
    """

    def __init__(
        self,
        index: SeriesIndex,
        *,
        source: str,
        target: Mapping[str, str],
        honor_labels: bool = False,
        series_max: int = 50_000,
        labels_max: int = 64,
        label_chars_max: int = 4096,
    ) -> None:
        self.source = source
        self._index = index
        self._target = dict(target)
        self._honor_labels = honor_labels
        self._series_max = series_max
        self._lines_max = _LINES_PER_SERIES * series_max
        self._labels_max = labels_max
        self._label_chars_max = label_chars_max
        self._rows: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        self._past: _Past | None = None
        self._present: Rows = _EMPTY
        self._reads = 0

    @property
    def present(self) -> Rows:
        """Rows of the last body that are expected in the next one (sorted)."""
        return self._present

    def read(self, body: bytes, form: Format, *, now_ms: int) -> Scraped:
        """Read one decoded body; never raises for what it holds."""
        text = body.decode("utf-8", "replace")
        lines = text.split("\n", self._lines_max)
        chars, beyond = len(text), 0
        if len(lines) > self._lines_max:  # even refused lines cost memory and the loop's time
            rest = lines.pop()
            chars -= len(rest) + 1
            beyond = rest.count("\n") + bool(rest.rpartition("\n")[2])
        self._reads += 1
        if self._past is not None and self._past.refused and self._reads % _RETRY_READS == 0:
            self._past, self._rows = None, {s: r for s, r in self._rows.items() if r >= 0}
        found = self._read_same(lines, chars, form) or self._read_anew(lines, form, now_ms)
        if beyond:
            found = replace(found, refused=found.refused + beyond, truncated=False)
        return found

    def fail(self) -> Rows:
        """The scrape failed: the rows that have ended by that."""
        gone, self._present = self._present, _EMPTY
        return gone

    def forget(self, rows: Rows) -> None:
        """These rows now stand for other series, or for none."""
        taken = set(rows.tolist())
        if taken.intersection(self._rows.values()):
            self.clear()

    def clear(self) -> None:
        """Forget all rows, as after `SeriesIndex.load`."""
        self._rows, self._past, self._present = {}, None, _EMPTY

    def _read_same(self, lines: list[str], chars: int, form: Format) -> Scraped | None:
        past = self._past
        if past is None or len(lines) != len(past.is_sample):
            return None
        if list(compress(lines, past.is_other)) != past.others:
            return None
        samples = list(compress(lines, past.is_sample))
        tails = list(map(str.removeprefix, samples, past.prefixes))
        joined = "".join(tails)
        # removeprefix takes all of a prefix or nothing, so that one sum tells whether all fitted.
        if len(joined) != chars - past.known_chars or "_" in joined or not joined.isascii():
            return None
        try:
            values, times = np.fromiter(map(float, tails), np.float64, len(tails)), None
        except ValueError:
            try:
                values, times = _read_tails(tails, form)
            except InputError:
                return None
        return self._scraped(past, values, times)

    def _scraped(self, past: _Past, values: Floats, times: Ints | None) -> Scraped:
        count = len(values)
        if past.kept is not None:
            values = values[past.kept]
            times = None if times is None else times[past.kept]
        # Series with timestamps of their own are not ended by their absence, as in Prometheus.
        expected = past.row_array if times is None else past.row_array[times == NO_TIME]
        present = np.unique(expected)
        if len(self._present) and not np.array_equal(self._present, present):
            gone = np.setdiff1d(self._present, past.row_array)
        else:
            gone = _EMPTY
        self._present = present
        return Scraped(
            past.row_array,
            times,
            values,
            gone,
            count,
            past.bad,
            past.refused,
            past.duplicates,
            past.problem,
            past.truncated,
        )

    def _read_anew(self, lines: list[str], form: Format, now_ms: int) -> Scraped:
        past, values, times = _Past(), list[float](), list[int]()
        known, self._rows = self._rows, {}
        seen: set[int] = set()
        ended = False
        for number, line in enumerate(lines, 1):
            if not line or line.lstrip()[:1] in ("", "#"):
                ended = ended or line.strip() == "# EOF"
                self._note_type(line.lstrip())
                past.other(line)
                continue
            try:
                if past.bad >= _BAD_LINES_MAX:
                    raise InputError("too many bad lines before it")
                if ended and form is Format.OPENMETRICS:
                    raise InputError("expected nothing after # EOF")
                series, row, value, time_ms = self._resolve(line, form, known, now_ms)
            except InputError as error:
                past.bad += 1
                past.problem = past.problem or because(
                    "line {line}: {error}", line=number, error=error
                )
                past.other(line)
                continue
            self._rows[series.lstrip()] = row
            if row == _REFUSED:
                past.refused += 1
            elif time_ms is None and row in seen:
                past.duplicates += row >= 0
                row = _IGNORED
            seen.add(row)
            past.sample(line[: len(series) + 1], row)
            values.append(value)
            times.append(NO_TIME if time_ms is None else time_ms)
        past.truncated = form is Format.OPENMETRICS and not ended
        past.close()
        self._past = past
        time_array = np.array(times, dtype=np.int64)
        timed = bool((time_array != NO_TIME).any())
        return self._scraped(
            past, np.array(values, dtype=np.float64), time_array if timed else None
        )

    def _resolve(
        self, line: str, form: Format, known: dict[str, int], now_ms: int
    ) -> tuple[str, int, float, int | None]:
        brace = line.find("} ")
        series = line[: brace + 1] if brace >= 0 else line.partition(" ")[0]
        row = known.get(series)
        if row is not None:
            value, time_ms = read_tail(line[len(series) :], form)
            return series, row, value, time_ms
        if len(self._rows) >= self._series_max:
            return series, _REFUSED, 0.0, None
        bare = line.lstrip()
        sample = read_line(bare, form)
        indent = line[: len(line) - len(bare)]
        return indent + sample.series, self._intern(sample, now_ms), sample.value, sample.time_ms

    def _intern(self, sample: Sample, now_ms: int) -> int:
        name = sample.labels[NAME]
        if name.endswith("_created") and self._is_created(name):
            return _IGNORED
        merged = merge_labels(sample.labels, self._target, honor_labels=self._honor_labels)
        if len(merged) > self._labels_max:
            raise InputError(f"expected at most {self._labels_max} labels, got {len(merged)}")
        # All together are mostly shorter than one may be.
        if len("".join(merged)) + len("".join(merged.values())) > self._label_chars_max:
            for name, value in merged.items():
                if max(len(name), len(value)) > self._label_chars_max:
                    raise InputError(f"label {name[:40]!r}: longer than {self._label_chars_max}")
        check_writable(merged)
        return self._index.intern(Labels.of(merged), source=self.source, now_ms=now_ms)

    def _is_created(self, name: str) -> bool:
        # When a counter was made is not a measurement; some libraries send it as a gauge of its own.
        base = name.removesuffix("_created")
        kinds = (self._kinds.get(base), self._kinds.get(base + "_total"))
        return any(k in ("counter", "histogram", "summary") for k in kinds)

    def _note_type(self, line: str) -> None:
        described = read_type(line) if line.startswith("#") else None
        if described is None:
            return
        family, kind = described
        if len(self._kinds) >= self._series_max and family not in self._kinds:
            return
        self._kinds[family] = kind
        self._index.describe(family, kind)
        if kind == "counter" and not family.endswith("_total"):
            # OpenMetrics names the family without the suffix that its samples carry.
            self._index.describe(family + "_total", kind)


def _read_tails(tails: list[str], form: Format) -> tuple[Floats, Ints]:
    values = np.empty(len(tails), dtype=np.float64)
    times = np.full(len(tails), NO_TIME, dtype=np.int64)
    for position, tail in enumerate(tails):
        value, time_ms = read_tail(" " + tail, form)
        values[position] = value
        if time_ms is not None:
            times[position] = time_ms
    return values, times
