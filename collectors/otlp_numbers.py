"""Plain OTLP points as they are on the wire: their numbers in columns, their attributes as bytes that are known.

A point is written as 27 bytes of fixed width (start, time, value), then its attributes. Bytes that were met
before name their series, so that of nearly every point nothing is read but its numbers, and those all at once.
"""

from __future__ import annotations

import numpy as np

from model.batch import Floats, Ints

START, TIME, DOUBLE, INT = 0x11, 0x19, 0x21, 0x31  # tags of a NumberDataPoint's fixed fields
_NO_START = bytes((START, *([0] * 8)))
_HEAD = np.dtype(
    [("start_tag", "u1"), ("start", "<u8"), ("time_tag", "u1"), ("time", "<u8"), ("tag", "u1"), ("value", "<i8")]
)  # fmt: skip
_SIZE = _HEAD.itemsize
_TAGS = frozenset((DOUBLE, INT))
ATTRIBUTE = 0x3A


def cut(point: bytes) -> tuple[bytes, bytes] | None:
    """The 27 bytes of a point's numbers, and what follows them: its attributes, if it is the usual kind.

    None where it has exemplars, flags before any attribute, no time or no value: it is to be read with care.

    Examples
    --------
    >>> head, attributes = cut(bytes((0x19, *range(8), 0x31, *range(8))))
    >>> len(head), attributes, cut(b"")
    (27, b'', None)
    """
    if point[:1] != b"\x11":
        point = _NO_START + point
    if len(point) < _SIZE or point[9] != TIME or point[18] not in _TAGS:
        return None
    own = point[_SIZE:]
    return None if own and own[0] != ATTRIBUTE else (point[:_SIZE], own)


def numbers(heads: list[bytes]) -> tuple[Ints, Floats]:
    """Times in epoch ms (0: none) and values of the heads of points, shape (n,) each."""
    found = np.frombuffer(b"".join(heads), dtype=_HEAD)
    whole = found["value"]
    values = np.where(found["tag"] == DOUBLE, whole.view(np.float64), whole.astype(np.float64))
    times_ms = (found["time"] // np.uint64(1_000_000)).astype(np.int64)
    return times_ms, values
