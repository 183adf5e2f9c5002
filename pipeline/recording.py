"""Recorded telemetry as a folder, read in the order of its times and in bounded memory; and written.

    *.om            OpenMetrics text with timestamps, as `promtool tsdb create-blocks-from` takes it
    *.metrics.jsonl {"metric": {…}, "values": […], "timestamps": [ms, …]}, as VictoriaMetrics exports
    logs.jsonl      {"time_ms", "line", "service", "severity"} a line
    alerts.jsonl, changes.jsonl   one value of `model` a line, as `model.codec` writes it

Metrics that are in no order of time are sorted in memory as columns; all else is streamed. Logs,
alerts and changes stand in the order in which they arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from model.alert import Alert
from model.batch import Floats, Ints, Rows, is_stale
from model.change import Change
from model.codec import decode, encode
from model.errors import InputError
from model.labels import Labels
from model.series import NAME, SeriesIndex
from pipeline.recorded_metrics import (
    FOREVER_MS,
    STALE,
    MetricFile,
    Samples,
    json_metrics,
    numbered_lines,
    open_metrics,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One recorded log line; `severity` is a word such as "error", or "" where unknown."""

    time_ms: int
    line: str
    service: str = ""
    severity: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """What of a recording arrived up to a time and was not taken before."""

    metrics: tuple[Samples, ...] = ()
    logs: tuple[LogLine, ...] = ()
    alerts: tuple[Alert, ...] = ()
    changes: tuple[Change, ...] = ()


class ValueFile(Generic[T]):
    """One value a line, in the order of arrival."""

    def __init__(self, path: Path, kind: type[T], time_of: Callable[[T], int]) -> None:
        self._values = self._read(path, kind)
        self._time_of = time_of
        self._ahead = next(self._values, None)

    @staticmethod
    def _read(path: Path, kind: type[T]) -> Iterator[T]:
        if not path.exists():
            return
        for number, line in numbered_lines(path):
            try:
                yield decode(kind, line)
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                raise InputError(f"{path}:{number}:1: not a {kind.__name__}: {error}") from None

    def next_ms(self) -> int:
        """Time of the next value; `FOREVER_MS` after the last."""
        return FOREVER_MS if self._ahead is None else self._time_of(self._ahead)

    def take_until(self, until_ms: int) -> tuple[T, ...]:
        """The values up to and at a time."""
        taken = []
        while self._ahead is not None and self._time_of(self._ahead) <= until_ms:
            taken.append(self._ahead)
            self._ahead = next(self._values, None)
        return tuple(taken)


class Recording:
    """A folder of recorded telemetry, taken slice by slice.

    Parameters
    ----------
    folder : Path
        Whatever it holds is found by the endings above; other files are left alone.
    index : SeriesIndex
        Takes the series as they come.

    Raises
    ------
    InputError
        If the folder holds nothing recorded, or a line cannot be read (file:line:column).
    """

    def __init__(self, folder: Path, index: SeriesIndex) -> None:
        found = [*sorted(folder.glob("*.om")), *sorted(folder.glob("*.metrics.jsonl"))]
        self._metrics: list[MetricFile] = [
            open_metrics(path, index) if path.suffix == ".om" else json_metrics(path, index)
            for path in found
        ]
        self._logs = ValueFile(folder / "logs.jsonl", LogLine, lambda line: line.time_ms)
        self._alerts = ValueFile(folder / "alerts.jsonl", Alert, lambda a: a.arrival_ms)
        self._changes = ValueFile(
            folder / "changes.jsonl", Change, lambda c: c.arrival_ms or c.time_ms
        )
        if self.next_ms() == FOREVER_MS:
            raise InputError(f"{folder}: nothing recorded (*.om, *.metrics.jsonl, logs.jsonl, …)")

    def next_ms(self) -> int:
        """Time of the next thing; `FOREVER_MS` at the end."""
        return min(
            self._logs.next_ms(),
            self._alerts.next_ms(),
            self._changes.next_ms(),
            *(file.next_ms() for file in self._metrics),
        )

    def take_until(self, until_ms: int) -> Slice:
        """Everything up to and at a time."""
        taken = (file.take_until(until_ms) for file in self._metrics)
        return Slice(
            tuple(samples for samples in taken if len(samples)),
            self._logs.take_until(until_ms),
            self._alerts.take_until(until_ms),
            self._changes.take_until(until_ms),
        )


class Recorder:
    """Writes a recording that `Recording` streams: one scrape after another.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> index = SeriesIndex()
    >>> row = index.intern(Labels.of({"__name__": "up", "job": "pg"}))
    >>> with tempfile.TemporaryDirectory() as name:
    ...     recorder = Recorder(Path(name), index)
    ...     recorder.metrics(np.array([row]), np.array([1_500]), np.array([1.0]))
    ...     recorder.close()
    ...     Path(name, "metrics.om").read_text()
    'up{job="pg"} 1.0 1.5\\n# EOF\\n'
    """

    def __init__(self, folder: Path, index: SeriesIndex) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._index = index
        self._texts: dict[int, str] = {}
        self._open: dict[str, TextIO] = {}

    def metrics(self, rows: Rows | Ints, times_ms: Ints, values: Floats) -> None:
        """Write samples; times must not go back from call to call."""
        file = self._file("metrics.om")
        columns = zip(
            rows.tolist(),
            times_ms.tolist(),
            values.tolist(),
            is_stale(values).tolist(),
            strict=True,
        )
        for row, time_ms, value, stale in columns:
            text = self._texts.get(row)
            if text is None:
                text = self._texts[row] = series_text(self._index.labels(row))
            written = STALE if stale else "NaN" if value != value else repr(value)
            file.write(f"{text} {written} {time_ms / 1000}\n")

    def logs(self, lines: Iterable[LogLine]) -> None:
        """Write log lines."""
        self._values("logs.jsonl", lines)

    def alerts(self, alerts: Iterable[Alert]) -> None:
        """Write pushed alerts."""
        self._values("alerts.jsonl", alerts)

    def changes(self, changes: Iterable[Change]) -> None:
        """Write change events."""
        self._values("changes.jsonl", changes)

    def close(self) -> None:
        """Finish the files."""
        for name, file in self._open.items():
            if name.endswith(".om"):
                file.write("# EOF\n")
            file.close()
        self._open.clear()

    def _values(self, name: str, values: Iterable[object]) -> None:
        file = self._file(name)
        for value in values:
            file.write(encode(value).decode() + "\n")

    def _file(self, name: str) -> TextIO:
        if name not in self._open:
            self._open[name] = (self._folder / name).open("w", encoding="utf-8")
        return self._open[name]


def series_text(labels: Labels) -> str:
    """A series as OpenMetrics writes it.

    Examples
    --------
    >>> series_text(Labels.of({"__name__": "up", "job": "pg"}))
    'up{job="pg"}'
    """
    inside = ",".join(
        '{}="{}"'.format(n, v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for n, v in labels.without(NAME).pairs
    )
    return labels.get(NAME, "") + (f"{{{inside}}}" if inside else "")
