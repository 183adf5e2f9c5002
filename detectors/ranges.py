"""Between which extremes a series has lasted in the last weeks; and other facts by place of the full tier."""

from __future__ import annotations

import numpy as np

from detectors.rows import Array, RowArrays
from model.batch import Floats, Ints

_MEMORY_MS = 14 * 86_400_000.0


class Ranges:
    """The lowest and the highest that three samples in a row kept to, fading over a fortnight.

    A spike of a sample or two does not widen it: what is told must last as well.

    Examples
    --------
    >>> ranges = Ranges()
    >>> ranges.rows.ensure(1)
    >>> for minute, value in enumerate([5.0, 5.0, 5.0, 90.0, 5.0, 7.0, 7.0, 8.0]):
    ...     ranges.learn(np.array([0]), np.array([60_000 * minute]), np.array([value]))
    >>> float(ranges.rows["low"][0]), float(ranges.rows["high"][0].round(2))
    (5.0, 7.0)
    """

    def __init__(self) -> None:
        self.rows = RowArrays(
            {
                "low": (np.float32, np.nan),
                "high": (np.float32, np.nan),
                "before": (np.float32, np.nan),
                "earlier": (np.float32, np.nan),
                "seen_ms": (np.int64, 0),
                "since_ms": (np.int64, 0),
                "bar": (np.float32, np.inf),
                "score": (np.float32, 0.0),
                "earlier_score": (np.float32, 0.0),
            }
        )

    @property
    def row_bytes(self) -> int:
        """Bytes a place costs."""
        return 7 * 4 + 2 * 8

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.rows.nbytes

    def lasting(self, slots: Array, scores: Array) -> Array:
        """What the last three scores of each keep to at least, these among them; they are noted."""
        rows = self.rows
        before, earlier = rows["score"][slots], rows["earlier_score"][slots]
        rows["earlier_score"][slots], rows["score"][slots] = before, scores
        return np.minimum(np.minimum(scores, before), earlier)

    def learn(self, slots: Array, times_ms: Ints, values: Floats) -> None:
        """Take normal samples in."""
        rows = self.rows
        value = np.clip(values, -1e38, 1e38).astype(np.float32)
        before, earlier = rows["before"][slots], rows["earlier"][slots]
        least = np.fmin(np.fmin(value, before), earlier)
        most = np.fmax(np.fmax(value, before), earlier)
        low, high = rows["low"][slots], rows["high"][slots]
        passed_ms = np.clip(times_ms - rows["seen_ms"][slots], 0, _MEMORY_MS)
        share = np.where(np.isnan(low), 0.0, passed_ms / _MEMORY_MS).astype(np.float32)
        fade = share * (high - low) * np.float32(0.5)
        rows["low"][slots] = np.fmin(low + fade, most)
        rows["high"][slots] = np.fmax(high - fade, least)
        rows["earlier"][slots], rows["before"][slots] = before, value
        rows["seen_ms"][slots] = times_ms
