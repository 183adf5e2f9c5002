"""Which part of a round a sample falls into: slots of a day or a week, places of a ring."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_Kind = TypeVar("_Kind", bound=np.generic)


def slot_of(times_ms: NDArray[np.int64], period_ms: int, slots: int) -> int | NDArray[np.int64]:
    """The slots of a period that times fall into; one number where they all fall into the same.

    Most samples that come together do, and a number costs neither divisions nor look-ups by row.

    Examples
    --------
    >>> slot_of(np.array([0, 59_999]), 3_600_000, 60), slot_of(np.array([-1, 60_000]), 3_600_000, 60)
    (0, array([59,  1]))
    >>> slot_of(np.array([], dtype=np.int64), 3_600_000, 60)
    0
    """
    length_ms = period_ms // slots
    assert length_ms * slots == period_ms, (period_ms, slots)
    if not len(times_ms):
        return 0
    first = int(times_ms.min()) // length_ms
    if first == int(times_ms.max()) // length_ms:
        return first % slots
    return np.asarray(times_ms // length_ms % slots)


def one_if_same(counts: NDArray[_Kind]) -> NDArray[_Kind]:
    """Ages or times of rows, shape (n,); where all are the same, the first one, shape (1,).

    Rows that came together often are of one age and time, and what is asked by these is then asked once.

    Examples
    --------
    >>> one_if_same(np.array([3, 3], np.float32)), one_if_same(np.array([3, 4], np.float32))
    (array([3.], dtype=float32), array([3., 4.], dtype=float32))
    """
    return counts[:1] if (counts == counts[:1]).all() else counts


def block_of(age: Array32, length: int, blocks: int) -> tuple[int, bool] | None:
    """Which of `blocks` of `length` samples in turn rows of this one age are in, and whether they are at
    its beginning; None for rows of several ages."""
    if len(age) > 1:
        return None
    block, within = divmod(int(age[0]), length)
    return block % blocks, within == 0


def cell_of(at: At, rows: NDArray[np.int64], place: int | NDArray[np.integer], capacity: int) -> At:
    """Where in a flat (places, capacity) array each row's place is: neighbours as a slice."""
    if isinstance(place, int) and isinstance(at, slice):
        return slice(place * capacity + at.start, place * capacity + at.stop)
    return np.asarray(rows + np.int64(capacity) * place)
