"""A baseline that hardly moves: what an adaptive one gets used to within hours stays abnormal here for days."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_MEMORY = 50_000.0  # samples: a month at 1 min
_CLIP = 3.0  # spreads; a wilder sample is learnt as this
_SETTLING = 1000.0  # samples that are learnt as they are
_MOST = 50.0  # spreads; beyond it there is nothing more to say


class Slow:
    """Mean and deviation of rows over weeks, learnt from clipped samples."""

    def __init__(self, capacity: int) -> None:
        self.mean = np.zeros(capacity, dtype=np.float32)
        self.variance = np.zeros(capacity, dtype=np.float32)

    def look(self, at: At, age: Array32, values: Array32) -> Array32:
        """Deviations from the mean, 0 to 50, shape (n_rows,); then the samples are learnt."""
        mean = np.where(age < 1.0, values, self.mean[at])
        variance = self.variance[at]
        spread = np.sqrt(variance) + np.float32(1e-3) * np.abs(mean) + np.float32(1e-3)
        error = values - mean
        bound = np.where(age < _SETTLING, np.float32(np.inf), np.float32(_CLIP) * spread)
        learnt = np.clip(error, -bound, bound)
        rate = np.maximum(1.0 / (age + 1.0), np.float32(1.0 / _MEMORY))
        self.mean[at] = mean + rate * learnt
        self.variance[at] = variance + rate * (learnt * learnt - variance)
        return np.asarray(np.minimum(np.abs(error) / spread, np.float32(_MOST)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"mean": self.mean, "variance": self.variance}
