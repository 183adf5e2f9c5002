"""More unrest than usual: how far samples lie from their season lately, and how far they did for weeks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.rounds import one_if_same
from detectors.full.tails import Array32, At

_RECENT = np.float32(1 / 30)  # samples: two and a half hours at 5 min
_LONG = 4000.0


class Spread:
    """The mean distance from the season of the last samples, less that of the last weeks.

    A series whose mean stays and whose noise grows is off by little at any one time, and each of its samples is
    soon nothing new. That there are so many of them is.
    """

    def __init__(self, capacity: int) -> None:
        self.recent = np.zeros(capacity, dtype=np.float32)
        self.usual = np.zeros(capacity, dtype=np.float32)
        # Its own count: a row of a snapshot older than this view is old, but not here.
        self.seen = np.zeros(capacity, dtype=np.float32)

    def look(self, at: At, distance: Array32) -> Array32:
        """How much further than usual the last samples lie on average, >= 0; `distance` is learnt.

        Parameters
        ----------
        distance : float32, shape (n,)
            From what this time of day or hour of the week expects, >= 0.
        """
        seen = one_if_same(self.seen[at]) + np.float32(1.0)
        first = np.float32(1.0) / seen
        recent = self.recent[at]
        recent = recent + np.maximum(first, _RECENT) * (distance - recent)
        usual = self.usual[at]
        more = np.where(seen * _RECENT > 1.0, np.maximum(recent - usual, 0.0), np.float32(0.0))
        self.recent[at] = recent
        self.usual[at] = usual + np.maximum(first, np.float32(1.0 / _LONG)) * (distance - usual)
        self.seen[at] = np.minimum(seen, np.float32(_LONG))
        return np.asarray(more, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"recent": self.recent, "usual": self.usual, "seen": self.seen}
