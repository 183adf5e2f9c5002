"""Room for what is in between, made once: arrays of one chunk that stay in the processor's cache."""

from __future__ import annotations

import numpy as np

from detectors.light.state import Array32
from model.batch import Bools

# Places at a time: below it NumPy's calls cost more than what they do, far above it the cache.
CHUNK = 16_384
_SIZES_MAX = 256


class Work:
    """Views of `n` places on arrays that all chunks share.

    Attributes
    ----------
    value, bound, size, some : float32, shape (n,)
    usual, off, far, rate : float32, shape (2, n)
    learnt, clock : float32, shapes (5, n) and (4, n)
        For places that are no neighbours: gathered, worked on, put back.
    look, other : bool, shape (n,)
    both : bool, shape (2, n)
    """

    __slots__ = (
        "both", "bound", "clock", "far", "learnt", "look", "off", "other", "rate", "size", "some",
        "usual", "value",
    )  # fmt: skip

    def __init__(self, room: Array32, masks: Bools, n: int) -> None:
        def floats(begin: int, count: int) -> Array32:
            return room[begin * CHUNK : begin * CHUNK + count * n].reshape(count, n)

        self.usual, self.off, self.far, self.rate = (floats(at, 2) for at in (0, 2, 4, 6))
        self.value, self.bound, self.size, self.some = (floats(at, 1)[0] for at in (8, 9, 10, 11))
        self.learnt, self.clock = floats(12, 5), floats(17, 4)
        self.both = masks[: 2 * n].reshape(2, n)
        self.look, self.other = (masks[at * CHUNK : at * CHUNK + n] for at in (2, 3))


class Room:
    """Gives `Work` by size.

    Examples
    --------
    >>> Room().of(3).usual.shape
    (2, 3)
    """

    def __init__(self) -> None:
        self._room: Array32 = np.empty(21 * CHUNK, dtype=np.float32)
        self._masks: Bools = np.empty(4 * CHUNK, dtype=np.bool_)
        self._of: dict[int, Work] = {}

    def of(self, n: int) -> Work:
        """Arrays for `n` places, at most `CHUNK`; what the last caller left in them is undefined."""
        work = self._of.get(n)
        if work is None:
            if len(self._of) >= _SIZES_MAX:
                self._of.clear()
            work = self._of[n] = Work(self._room, self._masks, n)
        return work

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._room.nbytes + self._masks.nbytes
