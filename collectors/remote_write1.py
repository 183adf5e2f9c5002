"""Remote write 1.0: `prometheus.WriteRequest`."""

from __future__ import annotations

from typing import Any

import numpy as np

from collectors.exemplars import Exemplar, exemplar_labels
from collectors.protowire import split
from collectors.remote_messages import KINDS, Exemplar1, Metadata1, Series1
from collectors.remote_series import Book, read_labels
from collectors.remote_write import (
    FULL_BYTES,
    SERIES_BYTES_MAX,
    ZERO_BYTES,
    Reading,
    RemoteWrite,
    Version,
    look_up,
    octets_of,
    parse,
    times_at,
    values_at,
)
from model.batch import Bools, Ints
from model.errors import InputError
from model.labels import Labels

_SERIES, _METADATA = 0x0A, 0x1A


def read(body: bytes, book: Book, source: str, *, parts_max: int) -> tuple[RemoteWrite, Reading]:
    """Read a decoded request; series that are not valid are left out and told of.

    Raises
    ------
    InputError
        If it is not protobuf, or has more than `parts_max` series and texts, or samples: nothing of it is
        taken then.
    """
    if body[:1] == b"\x22":  # 1.0 has no field 4, 2.0 begins with it
        raise InputError(f"body: must be {Version.V1.value}; it is of version 2.0")
    begins, ends, metadata = split(body, _SERIES, _METADATA, parts_max=parts_max)
    reading = Reading(book, parts_max)
    octets = octets_of(body)
    first, last = np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64)
    tails = _tails(octets, first, last)
    # What stands before its one sample is the series: nothing but labels, or `meet` says so.
    places = np.flatnonzero(tails)
    cuts = (last - tails)[places].tolist()
    some = range(len(begins)) if len(places) == len(begins) else places.tolist()
    keys = [body[begins[at] : cut] for at, cut in zip(some, cuts, strict=True)]

    def meet(at: int, key: bytes) -> int | None:
        try:
            series = parse(Series1, key)
        except InputError:  # the end only looks like a sample
            return None
        if series.samples or series.histograms or series.exemplars:
            return None
        return _slot(series, key, at, reading, samples=1)

    slots = look_up(keys, places, meet, book)
    for at in sorted({*np.flatnonzero(tails == 0).tolist(), *places[slots == -1].tolist()}):
        _read_one(body[begins[at] : ends[at]], at, reading)
    fine = slots >= 0
    ends_at, tail = last[places][fine], tails[places][fine]
    values = np.zeros(len(ends_at))
    full = tail == FULL_BYTES
    values[full] = values_at(octets, ends_at[full] - 15)
    times, _ = times_at(octets, ends_at - 6)
    for data in metadata:
        _describe(data, reading)
    return reading.push(source, slots[fine], times, values), reading


def _tails(octets: np.ndarray[tuple[int], np.dtype[np.uint8]], first: Ints, last: Ints) -> Ints:
    """How many bytes the sample takes that each series ends with; 0 where it looks otherwise."""
    length = last - first

    def stands(before_end: int, byte: int) -> Bools:
        return np.asarray(octets[np.maximum(last - before_end, 0)] == byte)

    _, timed = times_at(octets, np.maximum(last - 6, 0))
    timed &= stands(7, 0x10)
    full = timed & stands(18, 0x12) & stands(17, 0x10) & stands(16, 0x09) & (length >= FULL_BYTES)
    zero = timed & stands(9, 0x12) & stands(8, 0x07) & (length >= ZERO_BYTES) & ~full
    return np.where(full, FULL_BYTES, np.where(zero, ZERO_BYTES, 0))


def _slot(series: Series1, key: bytes, at: int, reading: Reading, *, samples: int) -> int | None:
    slot = reading.book.slots.get(key)
    if slot is not None:
        return slot
    try:
        labels = read_labels(_pairs(series))
    except InputError as error:
        reading.problem(at, error, samples)
        return -2
    return reading.book.add(key, labels)


def _read_one(data: bytes, at: int, reading: Reading) -> None:
    """A series with several samples, with none, or with something else."""
    if len(data) > SERIES_BYTES_MAX:
        raise InputError(f"timeseries/{at}: longer than {SERIES_BYTES_MAX} bytes")
    series = parse(Series1, data)
    key = Series1(labels=series.labels).SerializeToString()
    reading.parts(series, lambda: read_labels(_pairs(series)), _exemplar, key, at)
    if not series.samples:
        return
    reading.room(len(series.samples))
    slot = _slot(series, key, at, reading, samples=len(series.samples))
    if slot is not None and slot >= 0:
        for sample in series.samples:
            reading.sample(slot, sample.timestamp, sample.value)


def _pairs(message: Any) -> list[tuple[bytes, bytes]]:
    return [(label.name, label.value) for label in message.labels]


def _exemplar(data: bytes) -> Exemplar:
    sent = parse(Exemplar1, data)
    labels = exemplar_labels(_pairs(sent))
    return Exemplar(Labels(()), labels, sent.timestamp, sent.value)


def _describe(data: bytes, reading: Reading) -> None:
    told = parse(Metadata1, data)
    if 0 < told.type < len(KINDS):
        reading.describe(told.family.decode("utf-8", "replace")[:4096], KINDS[told.type])
