"""From scores to alarms: what is more than what was just told, by one who has not cried wolf."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_HOLD = 100.0  # samples for which an alarm must be beaten
_FATIGUE = np.float32(0.7)  # decades by which an alarm raises its row's bar
_TIRED = np.float32(np.exp(-1.0 / 4000.0))  # a raised bar comes down by this a sample
_LEAST = np.float32(4.5)
_MARGIN = np.float32(1.0)


class Alarms:
    """Emits the score where it is an alarm, else 0."""

    def __init__(self, capacity: int) -> None:
        self.held = np.zeros(capacity, dtype=np.float32)
        self.since = np.full(capacity, np.inf, dtype=np.float32)
        self.bar = np.zeros(capacity, dtype=np.float32)

    def look(self, at: At, scores: Array32) -> Array32:
        """Take the next score of each row, in decades."""
        bar, since = self.bar[at] * _TIRED, self.since[at]
        held = np.where(since >= _HOLD, np.float32(0.0), self.held[at])
        less = scores - bar
        tell = (less > held + _MARGIN) & (less > _LEAST)
        self.held[at] = np.where(tell, less, held)
        self.since[at] = np.where(tell, np.float32(0.0), since + np.float32(1.0))
        self.bar[at] = bar + _FATIGUE * tell
        return np.asarray(np.where(tell, less, np.float32(0.0)), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"held": self.held, "since": self.since, "bar": self.bar}
