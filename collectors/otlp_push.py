"""An OTLP request's samples on their way to the pipeline: in columns, and what of it was rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from collectors.exemplars import Exemplar
from collectors.otlp_numbers import numbers
from collectors.otlp_settings import OtlpSettings
from collectors.pushed import Door
from collectors.remote_series import Book
from collectors.settings import WatermarkSettings
from collectors.watermark import Watermark
from model.batch import Bools, Floats, Ints, MetricBatch
from model.labels import Labels

_SIZE_BYTES = 120


@dataclass(slots=True)
class Rejected:
    """What of a request was not taken, and why the first of each kind was not."""

    count: int = 0
    whys: dict[str, None] = field(default_factory=dict)

    def note(self, why: str, count: int = 1) -> None:
        """Count items that were left out."""
        self.count += count
        if len(self.whys) < 10:
            self.whys[why] = None

    @property
    def message(self) -> str:
        """All reasons."""
        return "; ".join(self.whys)


@dataclass(frozen=True, slots=True, eq=False)
class MetricPush:
    """Samples of a request, in columns.

    Attributes
    ----------
    book, slots : shape (n_samples,)
        Which series of the sender's book they are of.
    times_ms, values : shape (n_samples,)
    deltas : bool, shape (n_samples,)
        Values that are what was added since the point before.
    kinds : mapping of str to (str, int)
        What each family is, and the first sample of it.
    exemplars : tuple of Exemplar
        Observations with their traces; not for the pipeline.
    """

    source: str
    book: Book
    slots: Ints
    times_ms: Ints
    values: Floats
    deltas: Bools
    kinds: Mapping[str, tuple[str, int]]
    exemplars: tuple[Exemplar, ...] = ()

    @property
    def size_bytes(self) -> int:
        """About how much memory it holds."""
        return _SIZE_BYTES * len(self.slots)

    @property
    def series(self) -> tuple[Labels, ...]:
        """The label set of each sample."""
        return tuple(map(self.book.labels, self.slots.tolist()))

    def batches(self, door: Door, now_ms: int) -> Sequence[MetricBatch]:
        """One batch, in the order of time."""
        index, source = door.index, self.source
        settled = door.samples.settle(self.times_ms, now_ms=now_ms)
        rows = self.book.rows(self.slots, index, source=source, now_ms=now_ms)
        for family, (kind, first) in self.kinds.items():
            if rows[first] >= 0:
                index.describe(family, kind)
        keep = settled.keep & (rows >= 0)
        order = np.argsort(settled.times_ms, kind="stable")
        order = order[keep[order]]
        rows, times_ms, values = rows[order], settled.times_ms[order], self.values[order]
        deltas = self.deltas[order]
        if deltas.any():
            values, fresh = door.deltas.add(rows, times_ms, values, deltas)
            rows, times_ms, values = rows[fresh], times_ms[fresh], values[fresh]
        if not len(rows):
            return ()
        index.touch(rows, now_ms)
        return (MetricBatch(rows, times_ms, values, now_ms, source),)


class TimesTold:
    """Which times the pipeline will not believe: senders are told of what it is going to drop.

    Attributes
    ----------
    low_ms, high_ms : int
        What lies between is believed as it is.
    why : str
        What the sender is told.

    Examples
    --------
    >>> told = TimesTold(WatermarkSettings(), now_ms=1_700_000_000_000)
    >>> told.dropped(np.array([1_700_000_000_000, 1_700_000_000, 1_600_000_000_000]))
    1
    """

    def __init__(self, bounds: WatermarkSettings, *, now_ms: int) -> None:
        self._bounds = bounds
        self._now_ms = now_ms
        self.low_ms, self.high_ms = now_ms - bounds.lateness_ms, now_ms + bounds.future_ms
        self.why = (
            f"data older than {bounds.lateness_ms // 1000} s or from the future"
            "; see watermark in tocsin.yaml"
        )

    def dropped(self, times_ms: Ints) -> int:
        """How many of these."""
        if ((times_ms >= self.low_ms) & (times_ms <= self.high_ms)).all():
            return 0
        settled = Watermark.for_samples(self._bounds).settle(times_ms, now_ms=self._now_ms)
        return int(np.count_nonzero(~settled.keep))


NO_INCREMENT = "an increment of what only grows must be zero or more"


def increments(values: Floats) -> Bools:
    """Which values may be increments of a monotonic sum: one below zero would look like a counter's reset.

    >>> increments(np.array([0.0, 2.0, -1.0, np.nan, np.inf])).tolist()
    [True, True, False, False, False]
    """
    return np.asarray((values >= 0) & (values < np.inf))


Block = tuple[Ints, Ints, Floats, Bools]
"""Slots, times, values, and which values are increments."""


@dataclass(slots=True)
class Columns:
    """A request on its way into columns: whole blocks, and the latest samples one after another."""

    settings: OtlpSettings
    book: Book
    now_ms: int
    told: TimesTold | None = None
    rejected: Rejected = field(default_factory=Rejected)
    kinds: dict[str, tuple[str, int]] = field(default_factory=dict)
    exemplars: list[Exemplar] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    before: int = 0
    slots: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    deltas: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return self.before + len(self.slots)

    def put(self, slots: Sequence[int], values: Sequence[float], nano: int, delta: bool) -> None:
        """Samples of one time."""
        self.slots += slots
        self.values += values
        time_ms = nano // 1_000_000 or self.now_ms
        self.times_ms += [time_ms] * len(slots)
        if self.told is not None and not self.told.low_ms <= time_ms <= self.told.high_ms:
            self._untimely(np.array([time_ms], dtype=np.int64))
        self.deltas += [delta] * len(slots)

    def put_heads(
        self, slots: list[int], heads: list[bytes], *, delta: bool, rising: str = ""
    ) -> None:
        """Plain points by their numbers' bytes, see `otlp_numbers.cut`; `rising` names what only grows."""
        times_ms, values = numbers(heads)
        if rising and (bad := ~increments(values)).any():
            self.rejected.note(f"{rising}: {NO_INCREMENT}", int(bad.sum()))
            slots = np.array(slots)[~bad].tolist()
            times_ms, values = times_ms[~bad], values[~bad]
        times_ms = np.where(times_ms == 0, self.now_ms, times_ms)
        self._untimely(times_ms)
        self.slots += slots
        self.values += values.tolist()
        self.times_ms += times_ms.tolist()
        self.deltas += [delta] * len(slots)

    def put_block(self, block: Block) -> None:
        """Samples in columns; those at time 0 are of now."""
        self.flush()
        slots, times_ms, values, deltas = block
        times_ms = np.where(times_ms == 0, self.now_ms, times_ms)
        self._untimely(times_ms)
        self.blocks.append((slots, times_ms, values, deltas))
        self.before += len(slots)

    def put_all(self, other: Columns) -> None:
        """The latest samples of another one, and its exemplars."""
        self.flush()
        self.exemplars += other.exemplars
        self.slots, self.times_ms = other.slots, other.times_ms
        self.values, self.deltas = other.values, other.deltas
        self.flush()

    def flush(self) -> None:
        """Make a block of the latest samples."""
        if self.slots:
            self.blocks.append(
                (
                    np.array(self.slots, dtype=np.int64),
                    np.array(self.times_ms, dtype=np.int64),
                    np.array(self.values, dtype=np.float64),
                    np.array(self.deltas, dtype=np.bool_),
                )
            )
            self.before += len(self.slots)
            self.slots, self.times_ms, self.values, self.deltas = [], [], [], []

    def _untimely(self, times_ms: Ints) -> None:
        """Tell of points that the pipeline will drop for their times; it counts them."""
        if self.told is not None and (late := self.told.dropped(times_ms)):
            self.rejected.note(self.told.why, late)

    def fits(self, samples: int) -> bool:
        """Whether there is room for so many more."""
        return len(self) + samples <= self.settings.samples_max

    def room(self, samples: int) -> bool:
        """The same; if not, it is noted."""
        fits = self.fits(samples)
        if not fits:
            self.rejected.note(f"more than {self.settings.samples_max} samples in one request")
        return fits

    def push(self, source: str) -> MetricPush:
        """What was put, as a push."""
        self.flush()
        empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_))
        slots, times_ms, values, deltas = map(
            np.concatenate, zip(*(self.blocks or [empty]), strict=True)
        )
        return MetricPush(
            *(source, self.book, slots, times_ms, values, deltas, self.kinds),
            exemplars=tuple(self.exemplars),
        )
