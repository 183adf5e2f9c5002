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
        Decades by which an alarm raises its row's bar.
    recovery : float
        Samples in which a raised bar comes down to a third.
    least : float
        Decades above the bar below which nothing is told.
    margin : float
        Decades by which the last alarm must be beaten, within 100 samples of it.
    """

    fatigue: float = 1.0
    recovery: float = 4000.0
    least: float = 5.5
    margin: float = 1.6


# Points of a spike (`spikes`) that count as a decade here, and how soon one tires of them.
SPIKE_SHARE = np.float32(0.15)
SPIKES = AlarmSettings(fatigue=2.0)


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
        bar, since = self.bar[at] * self._kept, self.since[at]
        held = np.where(since >= _HOLD, np.float32(0.0), self.held[at])
        less = scores - bar
        tell = (less > held + np.float32(self._settings.margin)) & (
            less > np.float32(self._settings.least)
        )
        self.held[at] = np.where(tell, less, held)
        self.since[at] = np.where(tell, np.float32(0.0), since + np.float32(1.0))
        self.bar[at] = bar + np.float32(self._settings.fatigue) * tell
        return np.asarray(np.where(tell, less, np.float32(0.0)), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"held": self.held, "since": self.since, "bar": self.bar}
