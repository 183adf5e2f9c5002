"""Counts of good and bad events by time, at several resolutions, in memory that does not grow.

The finest ring that reaches over a window answers for it, so that five minutes are known to ten
seconds and thirty days to the hour. Times are event times.
"""

from __future__ import annotations

import numpy as np

from detectors.rows import Array
from model.batch import Floats, Ints

TOTAL, BAD, FRESH, UNTOLD = range(4)
"""Fields: all events; failures; failures not told by the fast page; nor by any page."""
FIELDS = 4

SLOTS = (32, 362, 434, 722)
"""Of each ring, two more than its longest window needs: the present slot is not over yet."""
_STEPS_MS = (10_000, 60_000, 600_000)
_PARTS = 720
_NEVER = -(1 << 62)


def steps_of(scale: float, window_ms: int) -> tuple[int, ...]:
    """How long the slots of each ring are: 5 m, 6 h, 3 d (scaled) and the SLO's window are covered."""
    return (*(max(1, round(step * scale)) for step in _STEPS_MS), max(1, window_ms // _PARTS))


class Ring:
    """Counts in slots of `step_ms`; a slot is used again once it is older than the ring is long.

    Examples
    --------
    >>> ring = Ring(10, 5)
    >>> ring.add(12, np.array([3.0, 1.0, 1.0, 1.0]))
    >>> ring.add(25, np.array([2.0, 0.0, 0.0, 0.0]))
    >>> ring.sum(25, 20)[:2].tolist(), ring.sum(45, 20)[:2].tolist()
    ([5.0, 1.0], [0.0, 0.0])
    """

    def __init__(self, step_ms: int, slots: int) -> None:
        self.step_ms = step_ms
        self.cells: Floats = np.zeros((slots, FIELDS))
        self.newest = _NEVER

    def add(self, time_ms: int, counts: Floats) -> None:
        """Count events of one time; what is older than the ring is dropped."""
        slot, size = time_ms // self.step_ms, len(self.cells)
        if slot > self.newest:
            if slot - self.newest >= size:
                self.cells[:] = 0.0
            else:
                self.cells[np.arange(self.newest + 1, slot + 1) % size] = 0.0
            self.newest = slot
        elif slot <= self.newest - size:
            return
        self.cells[slot % size] += counts

    def covers(self, window_ms: int) -> bool:
        """Whether a window fits, with a slot to spare."""
        return window_ms <= (len(self.cells) - 1) * self.step_ms

    def slots(self, end_ms: int, count: int) -> tuple[Ints, Floats]:
        """The last slots up to a time, oldest first: numbers, and counts of shape (count, fields)."""
        last, size = end_ms // self.step_ms, len(self.cells)
        numbers = np.arange(last - count + 1, last + 1)
        held = (numbers <= self.newest) & (numbers > self.newest - size)
        return numbers, np.where(held[:, None], self.cells[numbers % size], 0.0)

    def sum(self, end_ms: int, window_ms: int) -> Floats:
        """Counts of a window that ends now, to the slot: `ceil(window / step)` slots with the present one."""
        count = -(-window_ms // self.step_ms)
        return np.asarray(self.slots(end_ms, count)[1].sum(axis=0), dtype=np.float64)


class Rings:
    """The rings of one objective."""

    def __init__(self, scale: float, window_ms: int) -> None:
        steps = steps_of(scale, window_ms)
        self.rings = tuple(Ring(step, size) for step, size in zip(steps, SLOTS, strict=True))

    def add(self, time_ms: int, counts: Floats) -> None:
        """Count events of one time, shape (fields,)."""
        for ring in self.rings:
            ring.add(time_ms, counts)

    def fitting(self, window_ms: int) -> Ring:
        """The finest ring that reaches over a window."""
        return next((ring for ring in self.rings if ring.covers(window_ms)), self.rings[-1])

    def sum(self, end_ms: int, window_ms: int) -> Floats:
        """Counts of a window that ends at a time, shape (fields,)."""
        return self.fitting(window_ms).sum(end_ms, window_ms)

    def clear(self, end_ms: int, window_ms: int, fields: tuple[int, ...]) -> None:
        """Let fields be zero over a window, in every ring, to the slot."""
        for ring in self.rings:
            size = len(ring.cells)
            count = min(-(-window_ms // ring.step_ms), size)
            last = end_ms // ring.step_ms
            numbers = np.arange(last - count + 1, last + 1)
            held = numbers[(numbers <= ring.newest) & (numbers > ring.newest - size)] % size
            for field in fields:
                ring.cells[held, field] = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(int(ring.cells.nbytes) for ring in self.rings)

    def save(self) -> tuple[Array, list[int]]:
        """All cells, one ring after the other, and the newest slots."""
        cells = np.concatenate([ring.cells for ring in self.rings])
        return cells, [ring.newest for ring in self.rings]

    def load(self, cells: Array, newest: list[int]) -> None:
        """Take over what `save` gave.

        Raises
        ------
        ValueError
            If it is of another shape.
        """
        if cells.shape != (sum(SLOTS), FIELDS) or len(newest) != len(SLOTS):
            raise ValueError("rings of another shape")
        at = 0
        for ring, slot in zip(self.rings, newest, strict=True):
            size = len(ring.cells)
            ring.cells, ring.newest = np.array(cells[at : at + size], dtype=np.float64), int(slot)
            at += size
