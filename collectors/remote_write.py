"""What Prometheus remote-writes (1.0 and 2.0), read as columns.

Nearly every series of a request is one that came before, with one sample: its label bytes are looked up,
and values and times of all of them are read at once from where such a sample must stand. What looks
otherwise is read as protobuf, one series at a time.

Source: the Prometheus Remote-Write specifications 1.0 and 2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from collectors.exemplars import Exemplar
from collectors.native_histograms import native_slots, read_native
from collectors.pushed import Door
from collectors.remote_series import Book
from model.batch import Bools, Floats, Ints, MetricBatch
from model.errors import InputError
from model.labels import Labels
from model.series import NAME, SeriesIndex

SERIES_BYTES_MAX = 1024 * 1024
"""Of one series with all its samples: protobuf objects are many times larger than their bytes."""
_PROBLEMS_MAX = 10
FULL_BYTES, ZERO_BYTES = 18, 9
"""Of a sample's field: with a value, and with 0.0, which is left out."""
_TIME = 6  # bytes of a time in milliseconds from 2004 to 2109, as a varint
_LEAST_BYTES = 32
_SHIFTS = 7 * np.arange(_TIME, dtype=np.int64)

Bytes = NDArray[np.uint8]


class Version(StrEnum):
    """The message that a request holds."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"


@dataclass(frozen=True, slots=True, eq=False)
class RemoteWrite:
    """The samples of one request; see `Push`.

    Attributes
    ----------
    slots : int64, shape (n_samples,)
        Numbers of the series in `book`.
    times_ms : int64, shape (n_samples,)
        As the sender says.
    values : float64, shape (n_samples,)
        Staleness markers with their bits.
    kinds : tuple of (family, kind)
        What the request says of metric families.
    """

    source: str
    book: Book
    slots: Ints
    times_ms: Ints
    values: Floats
    kinds: tuple[tuple[str, str], ...] = ()

    @property
    def size_bytes(self) -> int:
        """Bytes of its columns, and something for the rest."""
        return 24 * len(self.slots) + 100 * len(self.kinds) + 200

    def batches(self, door: Door, now_ms: int) -> Sequence[MetricBatch]:
        """One batch, the oldest sample first; without what is late, or beyond a limit on series."""
        door.senders.heard(self.source, now_ms)
        describe(door.index, self.kinds)
        rows = self.book.rows(self.slots, door.index, source=self.source, now_ms=now_ms)
        settled = door.samples.settle(self.times_ms, now_ms=now_ms)
        keep = settled.keep & (rows >= 0)
        rows, times, values = rows[keep], settled.times_ms[keep], self.values[keep]
        if not len(rows):
            return []
        if (np.diff(times) < 0).any():
            order = np.argsort(times, kind="stable")
            rows, times, values = rows[order], times[order], values[order]
        door.index.touch(rows, now_ms)
        return [MetricBatch(rows, times, values, now_ms, self.source)]


@dataclass(slots=True)
class Reading:
    """What was found in a request while it is read.

    Attributes
    ----------
    samples_max : int
        Samples that are read one by one: two bytes of a body can be a whole one.
    bad : int
        Samples of series whose labels are not valid.
    natives : list of (first, length)
        Which of the samples that were read one by one are a native histogram's.
    histograms_bad : int
        Native histograms that are not taken.
    exemplars : list of Exemplar
    exemplars_bad : int
        Exemplars that are not taken.
    made : int
        Zeros that stand for when a counter was made; the sender did not count them as samples.
    problems : list of str
        What is wrong, the first ten.
    """

    book: Book
    samples_max: int
    slots: list[int] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    bad: int = 0
    natives: list[tuple[int, int]] = field(default_factory=list)
    histograms_bad: int = 0
    exemplars: list[Exemplar] = field(default_factory=list)
    exemplars_bad: int = 0
    made: int = 0
    problems: list[str] = field(default_factory=list)

    def problem(self, number: int, error: Exception, samples: int) -> None:
        """A series that is not taken."""
        self.bad += samples
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(f"timeseries/{number}: {error}")

    def room(self, samples: int) -> None:
        """Have room for so many more samples.

        Raises
        ------
        InputError
            If there is none.
        """
        # Two bytes of a body can be a histogram or an exemplar as well.
        others = self.histograms_bad + self.exemplars_bad + len(self.exemplars)
        if len(self.slots) + others + samples > self.samples_max:
            raise InputError(f"body: more than {self.samples_max} samples; send less at a time")

    def sample(self, slot: int, time_ms: int, value: float) -> None:
        """A sample that was read by itself."""
        self.slots.append(slot)
        self.times_ms.append(time_ms)
        self.values.append(value)

    def native(self, data: bytes, key: bytes, labels: Labels, at: int) -> None:
        """A native histogram, as the samples of classic buckets."""
        try:
            found = read_native(data, labels[NAME])
            slots = native_slots(key, labels, found.steps, self.book)
        except InputError as error:  # one more label, `le`, may be one too many
            self.histograms_bad += 1
            self.problem(at, error, 0)
            return
        self.room(len(found.values))
        self.natives.append((len(self.slots), len(found.values)))
        for slot, value in zip(slots, found.values, strict=True):
            self.sample(slot, found.time_ms, value)
        self.describe(labels[NAME], "histogram")

    def parts(
        self,
        series: Any,
        labels: Callable[[], Labels],
        exemplar: Callable[[bytes], Exemplar],
        key: bytes,
        at: int,
    ) -> None:
        """What a series has beside its samples: histograms and exemplars, of both versions.

        Parameters
        ----------
        labels
            Reads the labels of the series.
        exemplar
            Reads an exemplar; its `series` is set here.
        """
        if not series.histograms and not series.exemplars:
            return
        self.room(len(series.histograms) + len(series.exemplars))
        try:
            known = labels()
        except InputError as error:
            self.histograms_bad += len(series.histograms)
            self.exemplars_bad += len(series.exemplars)
            self.problem(at, error, 0)
            return
        for data in series.histograms:
            self.native(data, key, known, at)
        for data in series.exemplars:
            try:
                self.exemplars.append(replace(exemplar(data), series=known))
            except InputError as error:
                self.exemplars_bad += 1
                self.problem(at, error, 0)

    def describe(self, family: str, kind: str) -> None:
        """What the sender says of a metric family."""
        if kind != "unknown" and self.book.describe(family):
            self.kinds[family] = kind
            if kind == "counter" and not family.endswith("_total"):
                self.kinds[family + "_total"] = kind  # OpenMetrics' names of families

    def push(self, source: str, slots: Ints, times_ms: Ints, values: Floats) -> RemoteWrite:
        """Everything as columns: these, and what was read one by one."""
        return RemoteWrite(
            source,
            self.book,
            np.concatenate([slots, np.array(self.slots, dtype=np.int64)]),
            np.concatenate([times_ms, np.array(self.times_ms, dtype=np.int64)]),
            np.concatenate([values, np.array(self.values, dtype=np.float64)]),
            tuple(self.kinds.items()),
        )


def describe(index: SeriesIndex, kinds: Sequence[tuple[str, str]]) -> None:
    """Remember what families are; series that were taken for gauges until now begin anew as counters.

    In 1.0 the kinds come up to a minute after the first samples. Names that end in _total tell by themselves.
    """
    late = set()
    for family, kind in kinds:
        if kind == "counter" and index.kind(family) == "unknown" and not family.endswith("_total"):
            late.add(family)
        index.describe(family, kind)
    if late:
        met = [row for row in index.rows() if index.labels(row).get(NAME) in late]
        index.evict(np.array(met, dtype=np.int32))


def octets_of(body: bytes) -> Bytes:
    """A body as numbers, long enough that what may stand at its end can be asked for."""
    return np.frombuffer(body.ljust(_LEAST_BYTES, b"\0"), dtype=np.uint8)


def times_at(octets: Bytes, begins: Ints) -> tuple[Ints, Bools]:
    """Times that stand as varints of six bytes at these places, and where that is so."""
    found = octets[begins[:, None] + np.arange(_TIME)]
    right = (found[:, :-1] >= 0x80).all(axis=1) & (found[:, -1] < 0x80)
    return ((found & 0x7F).astype(np.int64) << _SHIFTS).sum(axis=1), right


def values_at(octets: Bytes, begins: Ints) -> Floats:
    """Doubles that stand at these places."""
    found = octets[begins[:, None] + np.arange(8)]
    return np.ascontiguousarray(found).view("<f8").reshape(-1).astype(np.float64, copy=False)


def look_up(
    keys: list[bytes], places: Ints, meet: Callable[[int, bytes], int | None], book: Book
) -> Ints:
    """Slots of series by key; who is new is met. -1: not to be read this way.

    Parameters
    ----------
    places : int64, shape (n_keys,)
        The number of each in the request, for `meet`.
    """
    found = list(map(book.slots.get, keys))
    if None in found:
        for at, slot in enumerate(found):
            if slot is None:
                found[at] = meet(int(places[at]), keys[at])
    return np.array([-1 if slot is None else slot for slot in found], dtype=np.int64)


def parse(message: Any, data: bytes) -> Any:
    """A protobuf message.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return message.FromString(data)
    except DecodeError:
        raise InputError(
            "body: must be protobuf as specified; a part of it cannot be read"
        ) from None
