"""Plays a recording through the real stages in virtual time: which incidents would there have been?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from model.batch import LogBatch, MetricBatch
from model.codec import encode
from model.incident import Incident, TimelineEntry
from model.series import SeriesIndex
from pipeline.recorded_logs import LogReader
from pipeline.recorded_metrics import FOREVER_MS, Samples
from pipeline.recording import Recording
from pipeline.settings import Settings
from pipeline.virtual import Pushed, Stride, Virtual
from store import incidents as incident_rows
from store import timeline as timeline_rows

T = TypeVar("T")

INCIDENTS_MAX = 1_000_000
GRID_MS = 1_000


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a replay found.

    Attributes
    ----------
    incidents : tuple of Incident
        In the order in which they were opened.
    timelines : tuple of tuple of TimelineEntry
        One for each incident.
    began_ms, ended_ms : int
        First and last time of the recording.
    series, samples, steps : int
        What was played, and in how many steps.
    """

    incidents: tuple[Incident, ...]
    timelines: tuple[tuple[TimelineEntry, ...], ...]
    began_ms: int
    ended_ms: int
    series: int
    samples: int
    steps: int

    @property
    def recorded_s(self) -> float:
        """Seconds of the recording."""
        return (self.ended_ms - self.began_ms) / 1000

    def canonical(self) -> list[bytes]:
        """Each incident with its timeline, byte for byte the same for the same input."""
        pairs = zip(self.incidents, self.timelines, strict=True)
        return [encode(incident) + b"\n" + encode(list(lines)) for incident, lines in pairs]


def run(
    folder: Path, settings: Settings, *, batching: int = 0, settle_ms: int = 1_800_000
) -> Backtest:
    """Play a recording.

    Parameters
    ----------
    folder : Path
        As `pipeline/recording.py` describes it.
    batching : int
        Samples (or log lines) of one batch at most; 0: everything of a step at once. What comes
        out must not depend on it.
    settle_ms : int
        How long to go on after the end, so that incidents can resolve and close.

    Raises
    ------
    InputError
        If nothing is recorded there, or it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-backtest-") as name:
        # A file may hold everything: the limit of one source is not for it.
        series_max = settings.machine.pipeline.series_max
        index = SeriesIndex(series_max, series_max)
        recording = Recording(folder, index)
        began_ms = recording.next_ms()
        virtual = Virtual.build(settings, Path(name), began_ms, index=index)
        try:
            return _play(recording, virtual, began_ms, batching, settle_ms)
        finally:
            virtual.close()


def _play(
    recording: Recording, virtual: Virtual, began_ms: int, batching: int, settle_ms: int
) -> Backtest:
    logs = LogReader()
    stride = Stride()
    samples = steps = 0
    now_ms = ended_ms = _grid(began_ms)
    while now_ms <= ended_ms + settle_ms:
        part = recording.take_until(now_ms)
        batches: list[MetricBatch | LogBatch] = []
        for taken in part.metrics:
            virtual.index.touch(taken.rows, now_ms)
            samples += len(taken)
            batches += _batches(taken, now_ms, batching)
        for lines in _chunks(part.logs, batching):
            batches += logs.read(lines, now_ms)
        values: list[Pushed] = [*part.changes, *part.alerts]
        out = virtual.step(now_ms, batches=batches, values=values)
        steps += 1
        stride.note(busy=bool(values) or not out.empty)
        if batches or values:
            ended_ms = now_ms
        now_ms = _grid(min(now_ms + stride.ms, max(recording.next_ms(), now_ms + 1)))
        if recording.next_ms() < FOREVER_MS:
            ended_ms = max(ended_ms, now_ms)
    return _result(virtual, began_ms, ended_ms, samples, steps)


def _grid(time_ms: int) -> int:
    """The next whole second, so that a step's time does not depend on one odd sample."""
    return -(-time_ms // GRID_MS) * GRID_MS


def _batches(samples: Samples, now_ms: int, size: int) -> Iterator[MetricBatch]:
    size = size or len(samples)
    for start in range(0, len(samples), size):
        part = slice(start, start + size)
        yield MetricBatch(
            samples.rows[part].copy(),
            samples.times_ms[part].copy(),
            samples.values[part].copy(),
            now_ms,
            "recording",
        )


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    size = size or len(items) or 1
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _result(virtual: Virtual, began_ms: int, ended_ms: int, samples: int, steps: int) -> Backtest:
    with virtual.store.records.read() as conn:
        found = incident_rows.recent(conn, limit=INCIDENTS_MAX)
        found.sort(key=lambda incident: (incident.opened_ms, incident.id))
        timelines = tuple(tuple(timeline_rows.by_incident(conn, i.id)) for i in found)
    return Backtest(tuple(found), timelines, began_ms, ended_ms, len(virtual.index), samples, steps)
