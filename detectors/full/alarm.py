"""From scores to alarms: what is more than what was just told, by one who has not cried wolf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_HOLD = 100.0  # samples for which an alarm must be beaten


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """When a score is told.

    Attributes
    ----------
    fatigue : float
        Decades by which an alarm at `least` raises its row's bar.
    loud : float
        How much more of `fatigue` an alarm adds for each decade of its score above `least`: who cried loudly is
        believed again later than who only just spoke.
    recovery : float
        Samples in which a raised bar comes down to a third.
    least : float
        Decades above the bar below which nothing is told.
    margin : float
        Decades by which the last alarm must be beaten, within 100 samples of it.
    """

    fatigue: float = 0.4
    recovery: float = 4000.0
    least: float = 4.5
    margin: float = 3.0
    loud: float = 0.15


# Decades here that a point of a spike (`spikes`) counts: what is told is oddity that lasts, or a spike of seven
# times what is extreme for its series.
SPIKE_SHARE = np.float32(0.15)


class Alarms:
    """Emits the score where it is an alarm, else 0."""

    def __init__(self, capacity: int, settings: AlarmSettings | None = None) -> None:
        self._settings = settings or AlarmSettings()
        self._kept = np.float32(np.exp(-1.0 / self._settings.recovery))
        self.held = np.zeros(capacity, dtype=np.float32)
        self.since = np.full(capacity, np.inf, dtype=np.float32)
        self.bar = np.zeros(capacity, dtype=np.float32)

    def look(self, at: At, scores: Array32) -> Array32:
        """Take the next score of each row, in decades."""
        bar = self.bar[at] * self._kept
        less = scores - bar
        told = np.zeros(len(scores), dtype=np.float32)
        since = self.since[at]
        found = np.flatnonzero(less > np.float32(self._settings.least))
        if len(found):
            rows = found + at.start if isinstance(at, slice) else at[found]
            held = np.where(since[found] >= _HOLD, np.float32(0.0), self.held[rows])
            tell = less[found] > held + np.float32(self._settings.margin)
            found, rows = found[tell], rows[tell]
            told[found] = self.held[rows] = less[found]
            above = scores[found] - np.float32(self._settings.least)
            louder = np.float32(1.0) + np.float32(self._settings.loud) * above
            bar[found] += np.float32(self._settings.fatigue) * louder
        since = since + np.float32(1.0)
        since[found] = 0.0
        self.since[at], self.bar[at] = since, bar
        return told

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"held": self.held, "since": self.since, "bar": self.bar}
