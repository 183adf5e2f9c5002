"""Remote write 2.0: `io.prometheus.write.v2.Request`, whose labels are numbers of texts in a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collectors.exemplars import Exemplar, exemplar_labels
from collectors.protowire import split
from collectors.remote_messages import KINDS, Exemplar2, Series2
from collectors.remote_series import Book, read_labels
from collectors.remote_write import (
    FULL_BYTES,
    SERIES_BYTES_MAX,
    ZERO_BYTES,
    Bytes,
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
from model.labels import LABEL_BYTES_MAX, Labels
from model.series import NAME

_SERIES, _SYMBOL = 0x2A, 0x22
_WIDE_MAX = 3
"""Bytes of a label number before its last one; no table has 2**28 texts."""
_CREATED_WITHIN_MS = 300_000
_NO_SYMBOL = 2**32 - 1
"""Stands in keys for a number beyond the table, or a text too long: such a series is never valid."""
_PARTS = {
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """Where the parts of regular series stand: label numbers, one sample, perhaps metadata.

    Attributes
    ----------
    regular : bool, shape (n_series,)
    refs, refs_end, sample_end : int64, shape (n_series,)
    zero : bool, shape (n_series,)
        Whether the value is left out.
    """

    regular: Bools
    refs: Ints
    refs_end: Ints
    sample_end: Ints
    zero: Bools


def read(body: bytes, book: Book, source: str, *, parts_max: int) -> tuple[RemoteWrite, Reading]:
    """Read a decoded request; series that are not valid are left out and told of.

    Raises
    ------
    InputError
        If it is not protobuf, or has more than `parts_max` series and texts, or samples: nothing of it is
        taken then.
    """
    if body[:1] == b"\x0a":  # 2.0 has no field 1, so that this can be told
        raise InputError(f"body: must be {Version.V2.value}; it is of version 1.0")
    begins, ends, symbols = split(body, _SERIES, _SYMBOL, parts_max=parts_max)
    if symbols[:1] != [b""] and (symbols or begins):
        raise InputError("symbols/0: must be the empty text")
    reading = Reading(book, parts_max)
    octets = octets_of(body)
    numbers = _numbers(symbols, book)
    shape = _shape(octets, np.array(begins, dtype=np.int64), np.array(ends, dtype=np.int64))
    places = np.flatnonzero(shape.regular)
    keys = _keys(octets, shape.refs[places], shape.refs_end[places], numbers)

    def meet(at: int, key: bytes) -> int | None:
        return _meet(parse(Series2, body[begins[at] : ends[at]]), key, at, reading)

    slots = look_up(keys, places, meet, book)
    for at in np.flatnonzero(~shape.regular).tolist():
        _read_one(body[begins[at] : ends[at]], at, numbers, reading)
    fine = slots >= 0
    taken = places[fine]
    sample_end, full = shape.sample_end[taken], ~shape.zero[taken]
    values = np.zeros(len(taken))
    values[full] = values_at(octets, sample_end[full] - 15)
    times, _ = times_at(octets, sample_end - 6)
    return reading.push(source, slots[fine], times, values), reading


def _numbers(symbols: list[bytes], book: Book) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """The book's numbers of a request's texts."""
    known = list(map(book.symbols.get, symbols))
    if None in known:
        for at, number in enumerate(known):
            if number is None:
                fits = len(symbols[at]) <= 4 * LABEL_BYTES_MAX
                known[at] = book.number(symbols[at]) if fits else _NO_SYMBOL
    return np.array([*known, _NO_SYMBOL], dtype=np.uint32)


def _shape(octets: Bytes, first: Ints, last: Ints) -> _Shape:
    length = len(octets)

    def byte(at: Ints) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return octets[np.minimum(at, length - 1)].astype(np.int64)

    size = byte(first + 1)
    refs_end = first + 2 + size
    regular = (byte(first) == 0x0A) & (size > 0) & (size < 0x80) & (byte(refs_end - 1) < 0x80)
    sample_size = byte(refs_end + 1)
    zero = sample_size == ZERO_BYTES - 2
    sample_end = refs_end + 2 + sample_size
    regular &= (byte(refs_end) == 0x12) & (zero | (sample_size == FULL_BYTES - 2))
    regular &= (zero | (byte(refs_end + 2) == 0x09)) & (byte(sample_end - 7) == 0x10)
    regular &= sample_end <= last
    regular &= times_at(octets, np.clip(sample_end - 6, 0, max(0, length - 6)))[1]
    # After the sample: nothing, metadata, and perhaps when the counter was made.
    told = np.where(byte(sample_end) == 0x2A, sample_end + 2 + byte(sample_end + 1), sample_end)
    plain = byte(sample_end + 1) < 0x80
    made = (byte(told) == 0x30) & (told + 7 == last)
    made &= times_at(octets, np.clip(told + 1, 0, max(0, length - 6)))[1]
    regular &= (sample_end == last) | (plain & ((told == last) | made))
    return _Shape(regular, first + 2, refs_end, sample_end, zero)


def _keys(
    octets: Bytes,
    first: Ints,
    last: Ints,
    numbers: np.ndarray[tuple[int], np.dtype[np.uint32]],
) -> list[bytes]:
    """The keys of series: the book's numbers of their labels, four bytes each.

    A series' label numbers are varints between `first` and `last`, whose last byte ends one.
    """
    if not len(first):
        return []
    sizes = last - first
    stops = np.cumsum(sizes)
    flat = octets[np.arange(int(stops[-1])) + np.repeat(first - (stops - sizes), sizes)]
    final = flat < 0x80
    ends = np.flatnonzero(final)
    wide = np.diff(ends, prepend=-1) - 1
    flat = (flat & 0x7F).astype(np.int32)
    refs = flat[ends]
    for more in range(1, min(int(wide.max()), _WIDE_MAX) + 1):
        refs = np.where(wide >= more, refs << 7 | flat[ends - more], refs)
    refs[wide > _WIDE_MAX] = len(numbers)
    data = numbers[np.minimum(refs, len(numbers) - 1)].tobytes()
    cuts = (4 * np.cumsum(final)[stops - 1]).tolist()
    return [data[a:b] for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]


def _key(refs: list[int], numbers: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> bytes:
    known = np.minimum(np.array(refs, dtype=np.int64), len(numbers) - 1)
    return numbers[known].tobytes()


def _labels(key: bytes, book: Book) -> Labels:
    return read_labels(_pairs(key, book))


def _pairs(key: bytes, book: Book) -> list[tuple[bytes, bytes]]:
    numbers = np.frombuffer(key, dtype=np.uint32).tolist()
    if len(numbers) % 2:
        raise InputError("labels_refs: must be pairs of name and value")
    if _NO_SYMBOL in numbers:
        raise InputError("labels_refs: beyond the symbols, or of a text that is too long")
    texts = [book.texts[number] for number in numbers]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _meet(series: Series2, key: bytes, at: int, reading: Reading) -> int:
    """The slot of a series that is seen for the first time; its kind, and when its counter began."""
    try:
        labels = _labels(key, reading.book)
    except InputError as error:
        reading.problem(at, error, len(series.samples))
        return -2
    slot = reading.book.add(key, labels)
    kind = KINDS[series.metadata.type] if 0 < series.metadata.type < len(KINDS) else "unknown"
    family = labels[NAME]
    for part in _PARTS.get(kind, ()):
        family = family.removesuffix(part)
    reading.describe(family, kind)
    # Until 2.0-rc.3 of the series, since rc.4 (Prometheus 3.8) of the sample.
    first_ms = series.samples[0].start_timestamp if series.samples else 0
    made_ms = first_ms or series.created_timestamp
    if kind == "counter" and made_ms > 0 and series.samples:
        # Its first value has all grown since: without this it would only be where counting starts.
        if 0 < series.samples[0].timestamp - made_ms <= _CREATED_WITHIN_MS:
            reading.sample(slot, made_ms, 0.0)
            reading.made += 1
    return slot


def _read_one(
    data: bytes, at: int, numbers: np.ndarray[tuple[int], np.dtype[np.uint32]], reading: Reading
) -> None:
    """A series with several samples, with none, or with something else."""
    if len(data) > SERIES_BYTES_MAX:
        raise InputError(f"timeseries/{at}: longer than {SERIES_BYTES_MAX} bytes")
    series = parse(Series2, data)
    key = _key(series.labels_refs, numbers)

    def exemplar(data: bytes) -> Exemplar:
        sent = parse(Exemplar2, data)
        labels = exemplar_labels(_pairs(_key(sent.labels_refs, numbers), reading.book))
        return Exemplar(Labels(()), labels, sent.timestamp, sent.value)

    reading.parts(series, lambda: _labels(key, reading.book), exemplar, key, at)
    if not series.samples:
        return
    reading.room(len(series.samples))
    slot = reading.book.slots.get(key)
    if slot is None:
        slot = _meet(series, key, at, reading)
    if slot >= 0:
        for sample in series.samples:
            reading.sample(slot, sample.timestamp, sample.value)
