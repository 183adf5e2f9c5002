"""What a resource sends again and again differs only in its numbers: where these stand is remembered.

Times and values of plain points have a fixed width on the wire, so that a resource's metrics have the same length
and the same bytes around their numbers each time. They are compared with what was read with care once; if nothing
but numbers has changed, those are taken all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from collectors.otlp_numbers import ATTRIBUTE, DOUBLE, INT, START, TIME
from collectors.otlp_settings import OtlpSettings
from collectors.protowire import skip, varint
from model.batch import Bools, Floats, Ints
from model.errors import InputError

_RESOURCE, _SCOPE_METRICS, _METRIC, _POINT = 0x0A, 0x12, 0x12, 0x0A
_GAUGE, _SUM = 0x2A, 0x3A
_OTHER_KINDS = frozenset((0x4A, 0x52, 0x5A))  # histograms of both sorts, summaries
_NUMBER_BYTES = 8


class Unusual(Exception):
    """Bytes that are not as every exporter writes them; a parser may still understand them."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where in the bytes of a resource's metrics what stands.

    Attributes
    ----------
    times, values : int64, shape (n_points,)
        Offsets of the plain points' times and values, in their order.
    doubles : bool, shape (n_points,)
        Values that are no integers.
    others : tuple of (int, int)
        Metrics of other kinds: beginnings and ends.
    free : bool, shape (n_bytes,)
        Bytes that may change.
    """

    times: Ints
    values: Ints
    doubles: Bools
    others: tuple[tuple[int, int], ...]
    free: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A resource's metrics as they were read with care, and which series their plain points are of.

    Attributes
    ----------
    base : tuple of (str, str)
        The resource's labels.
    rising : bool, shape (n_points,)
        Increments of what only grows.
    kinds : tuple of (str, str, int)
        Families of plain points, what they are, and their first point.
    """

    settings: OtlpSettings
    base: tuple[tuple[str, str], ...]
    seen: NDArray[np.uint8]
    places: Places
    slots: Ints
    deltas: Bools
    rising: Bools
    kinds: tuple[tuple[str, str, int], ...]

    @property
    def nbytes(self) -> int:
        """About how much memory it holds."""
        return 2 * len(self.seen) + 40 * len(self.slots) + 1000

    def match(self, body: bytes) -> tuple[Ints, Floats] | None:
        """Times in epoch ms (0: none) and values of the plain points, if nothing but numbers differs."""
        places = self.places
        same = np.frombuffer(body, dtype=np.uint8) == self.seen
        same |= places.free
        if not same.all():
            return None
        # Every place as if a number began there: eight bytes, unaligned.
        whole = np.ndarray((len(body) - 7,), dtype="<i8", buffer=body, strides=(1,))
        found = whole[places.values]
        values = np.where(places.doubles, found.view(np.float64), found.astype(np.float64))
        nanos = whole[places.times].view(np.uint64)
        return (nanos // np.uint64(1_000_000)).astype(np.int64), values


def resource_of(body: bytes) -> bytes | None:
    """The bytes of the resource, which come first; None where they do not."""
    if body[:1] != b"\x0a":
        return None
    try:
        size, at = varint(body, 1)
    except (IndexError, InputError):
        return None
    return body[: at + size]


def places(body: bytes) -> Places:
    """Find the numbers in a resource's metrics.

    Raises
    ------
    Unusual
        If they are written in another way than usual: they are to be read with care each time.
    """
    found = _Finding()
    try:
        for tag, begin, end in _fields(body, 0, len(body)):
            if tag == _SCOPE_METRICS:
                for inner, at, until in _fields(body, begin, end):
                    if inner == _METRIC:
                        _metric(body, at, until, found)
    except (IndexError, InputError):
        raise Unusual from None
    free = np.zeros(len(body), dtype=np.bool_)
    for at in found.starts + found.times + found.values:
        free[at : at + _NUMBER_BYTES] = True
    for begin, end in found.others:
        free[begin:end] = True
    return Places(
        np.array(found.times, dtype=np.int64),
        np.array(found.values, dtype=np.int64),
        np.array(found.doubles, dtype=np.bool_),
        tuple(found.others),
        free,
    )


@dataclass(slots=True)
class _Finding:
    starts: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    doubles: list[bool] = field(default_factory=list)
    others: list[tuple[int, int]] = field(default_factory=list)


def _fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Tags of one byte, and where what they are for begins and ends."""
    while at < end:
        tag = body[at]
        if tag >= 0x80:
            raise Unusual
        if tag & 7 == 2:
            size, begin = varint(body, at + 1)
            at = begin + size
        else:
            begin, at = at + 1, skip(body, at)
        if at > end:
            raise Unusual
        yield tag, begin, at


def _metric(body: bytes, begin: int, end: int, found: _Finding) -> None:
    data = [each for each in _fields(body, begin, end) if each[0] in _OTHER_KINDS | {_GAUGE, _SUM}]
    if len(data) != 1:
        raise Unusual
    tag, at, until = data[0]
    if tag in _OTHER_KINDS:
        found.others.append((begin, end))
        return
    for inner, first, last in _fields(body, at, until):
        if inner == _POINT:
            _point(body, first, last, found)


def _point(body: bytes, at: int, end: int, found: _Finding) -> None:
    if body[at] == START:
        found.starts.append(at + 1)
        at += 1 + _NUMBER_BYTES
    value = at + 1 + _NUMBER_BYTES
    after = value + 1 + _NUMBER_BYTES
    if after > end or body[at] != TIME or body[value] not in (DOUBLE, INT):
        raise Unusual
    if any(tag != ATTRIBUTE for tag, _, _ in _fields(body, after, end)):
        raise Unusual
    found.times.append(at + 1)
    found.values.append(value + 1)
    found.doubles.append(body[value] == DOUBLE)
