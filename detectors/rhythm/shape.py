"""What a cycle of a found period looks like, how steadily the series keeps it, and whether it does now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.rhythm.periods import (
    clipped_to_what_recurs,
    detrended,
    filled,
    phases,
    proof,
    proved,
)
from model.batch import Bools, Floats, Ints

PARTS = 102  # of a cycle, at most: a fifth of a ring
_WHOLE = 0.9  # of what a window can hold of the cycle's energy: then it is judged
_QUARTER = 4.0  # a window is a quarter of the period
_REACH = 0.95  # of the past samples lie within half the band


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A cycle, as the middle of the last ones.

    Attributes
    ----------
    period : float
        In buckets.
    anchor : int
        The bucket at which a cycle begins.
    proof : float
        See `periods.Period`.
    steady : float
        The least strength with which a past cycle came, but for one in ten.
    reach : float
        Half the width of the band around the cycle.
    most : float
        The most energy that a window of a quarter of the period holds.
    mean : float64, shape (parts,)
        What is expected, less the level.
    """

    period: float
    anchor: int
    proof: float
    steady: float
    reach: float
    most: float
    mean: Floats

    def expects(self, buckets: Ints | Floats) -> Floats:
        """What these buckets hold, less the level."""
        at = np.asarray(buckets, dtype=np.float64) - self.anchor
        return np.asarray(self.mean[phases(at, self.period, len(self.mean))])

    @property
    def window(self) -> int:
        """Buckets by which it is judged."""
        return max(round(self.period / _QUARTER), 2)

    def needed(self) -> int:
        """Buckets that `strength` wants to see to judge one."""
        return round(self.period) + self.window

    def strength(self, values: Floats, first: int) -> tuple[Floats, Bools]:
        """How strongly the rhythm shows in the window that ends at each value, and where that can be said.

        1 is as usual, 0 not at all. It can be said at the end of a beat, or of any stretch in which the cycle
        differs from its level as much as it ever does within a quarter of it; and where no value is missing.

        Parameters
        ----------
        values : float64, shape (n,)
            Buckets in order, NaN where there is none.
        first : int
            The first one's number.
        """
        length, window = round(self.period), self.window
        level = _running(values, length) / np.maximum(_running(np.isfinite(values), length), 1.0)
        expects = self.expects(first + np.arange(len(values)))
        good = np.isfinite(values) & (np.arange(len(values)) >= length - 1)
        got = _running(np.where(good, (values - level) * expects, 0.0), window)
        could = _running(np.where(good, expects * expects, 0.0), window)
        judged = could >= _WHOLE * self.most
        return np.asarray(got / np.maximum(could, 1e-300)), np.asarray(judged & good)


def fitted(values: Floats, first: int, near: float) -> Shape | None:
    """The cycle of about `near` buckets; None where there are too few values or nothing moves."""
    known = clipped_to_what_recurs(filled(values))
    if known is None:
        return None
    period = proved(known, near).buckets
    flat, begin = detrended(known, period)
    count = min(max(int(period), 2), PARTS)
    part = phases(np.arange(begin, begin + len(flat)), period, count)
    mean = _middles(part, flat, count)
    mean -= mean.mean()
    shape = Shape(period, first, proof(known, period), 0.0, 0.0, 0.0, mean)
    every = shape.expects(first + np.arange(round(period) + shape.window))
    most = float(_running(every * every, shape.window).max())
    reach = float(np.quantile(np.abs(flat - mean[part]), _REACH))
    shape = Shape(period, first, shape.proof, 0.0, 2.0 * reach, most, mean)
    return Shape(period, first, shape.proof, _steady(shape, known, first), 2.0 * reach, most, mean)


def _steady(shape: Shape, values: Floats, first: int) -> float:
    strength, judged = shape.strength(values, first)
    cycle = (np.arange(len(values)) / shape.period).astype(np.int64)
    least = [strength[judged & (cycle == each)] for each in np.unique(cycle[judged]).tolist()]
    ordered = sorted(float(some.min()) for some in least)
    return ordered[len(ordered) // 10] if ordered else 0.0


def _middles(part: Ints, values: Floats, count: int) -> Floats:
    """The median of the values of each part; 0 of one without any."""
    order = np.lexsort((values, part))
    ordered, counts = values[order], np.bincount(part, minlength=count)
    begin = np.concatenate(([0], np.cumsum(counts)[:-1]))
    low = np.minimum(begin + np.maximum(counts - 1, 0) // 2, len(values) - 1)
    high = np.minimum(begin + counts // 2, len(values) - 1)
    return np.where(counts > 0, (ordered[low] + ordered[high]) / 2.0, 0.0)


def _running(values: Floats | Bools, length: int) -> Floats:
    """Sums of the last `length` values at each, of fewer at the beginning; NaN counts as 0."""
    total = np.cumsum(np.where(np.isfinite(values), values, 0.0))
    return np.asarray(total - np.concatenate((np.zeros(min(length, len(total))), total[:-length])))
