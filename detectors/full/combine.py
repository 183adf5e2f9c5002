"""Many rarities to one score: a weighted Euclidean length, and how rare its recent mean is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At, Tails

CONTEXT = (
    "mean", "spread", "day", "week", "change", "fast", "joint", "step", "day_drift", "week_drift", "season_drift",
)  # fmt: skip
COMPONENTS = (*CONTEXT, "spike")
# Alike, but for what repeats others in part. Their common size sets decades against the points of a spike.
WEIGHTS = tuple(0.75 * w for w in (1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 1.0, 0.1, 0.5, 0.5, 1.0))
SUSTAINED = 0.5
_RECENT = np.float32(0.2)
_LEAST = np.array([1e-3], dtype=np.float32)  # decades that count as something


class Combination:
    """Squares rather than a sum or a maximum: one loud component and several that agree both count.

    Parameters
    ----------
    weights : tuple of float
        Of the squares, in the order of `CONTEXT`.
    sustained : float
        Weight of the rarity of the last five scores' mean: what stays odd beats what was odd once.
    """

    def __init__(
        self, capacity: int, weights: tuple[float, ...] = WEIGHTS, sustained: float = SUSTAINED
    ) -> None:
        self._weights = np.array(weights, dtype=np.float32)
        self._sustained = np.float32(sustained)
        self.tails = Tails(1, capacity)
        self.recent = np.zeros(capacity, dtype=np.float32)

    def look(self, rare: Array32, at: At, age: Array32) -> Array32:
        """Decades of each row's components, shape (components, n), to one number each."""
        together = np.sqrt(np.einsum("c,cn->n", self._weights, rare * rare))
        recent = self.recent[at]
        recent = recent + _RECENT * (together - recent)
        self.recent[at] = recent
        lasting = self.tails.look(recent[None, :], at, age, _LEAST)[0]
        return np.asarray(together + self._sustained * lasting, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"recent": self.recent, **{f"tails.{n}": a for n, a in self.tails.arrays().items()}}
