"""Which period a series keeps, if any: found by its autocorrelation, proved by cycles that were not in the profile.

Red noise has humps in its autocorrelation, too, and the best of a hundred lags always looks good. So a period
counts only if the other cycles' mean predicts a cycle: for noise of any colour that is worse than the level alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.batch import Floats, Ints

SHORTEST = 6  # buckets; what is faster is not resolved
CYCLES = 5  # are the fewest that prove anything
_BANDS = (
    12,
    25,
    51,
    102,
    204,
)  # ends of bands of lags, each looked at without what is slower than it
_HUMP = 0.15  # the least autocorrelation of a candidate
_CANDIDATES = 2  # per band
_NEARLY = 0.9  # of the best proof is as good: then the shorter period is the truth, the longer its multiple
_FINE = 10  # steps to either side when a period is fitted
_LOOKED_AT = 4  # candidates, the most promising ones


@dataclass(frozen=True, slots=True)
class Period:
    """A period in buckets, and the share of the variance (less what is slower) that other cycles predict."""

    buckets: float
    proof: float


def find(values: Floats, least: float) -> Period | None:
    """The period of evenly spaced values, NaN where there is none; None if nothing is proved.

    Parameters
    ----------
    values : float64, shape (n,)
        Oldest first.
    least : float
        The proof that is asked for.
    """
    clipped = clipped_to_what_recurs(filled(values))
    if clipped is None:
        return None
    rough = [_best(clipped, p, 0.04 * p, 4) for p in _candidates(clipped)]
    rough.sort(key=lambda each: -each.proof)
    found = [proved(clipped, each.buckets) for each in rough[:_LOOKED_AT] if each.proof > 0.0]
    best = max((each.proof for each in found), default=0.0)
    if best <= 0.0 or best < least:
        return None
    longest = max(each.buckets for each in found if each.proof == best)
    parts = [longest / part for part in range(2, CYCLES + 1) if longest / part >= SHORTEST]
    found += [proved(clipped, part) for part in parts]
    return min((each for each in found if each.proof >= _NEARLY * best), key=lambda p: p.buckets)


def proved(values: Floats, near: float) -> Period:
    """The period next to `near`, to a fraction of a bucket, that its own cycles prove best."""
    cycles = max(len(values) / near, 1.0)
    wide = _best(values, near, min(1.0, 0.04 * near), _FINE)
    return _best(values, wide.buckets, 1.0 / cycles, _FINE)


def _best(values: Floats, near: float, width: float, steps: int) -> Period:
    tries = near + np.linspace(-width, width, 2 * steps + 1)
    proofs = [proof(values, p) for p in tries.tolist()]
    best = int(np.argmax(proofs))
    return Period(float(tries[best]), proofs[best])


def proof(values: Floats, period: float) -> float:
    """What the mean of the other cycles explains of each, as a share; below 0 for noise."""
    flat, first = detrended(values, period)
    count = int(period)
    phase = phases(np.arange(first, first + len(flat)), period, count)
    total = np.bincount(phase, flat, minlength=count)
    number = np.bincount(phase, minlength=count)
    others = np.maximum(number[phase] - 1, 1)
    error = flat - (total[phase] - flat) / others
    return float(1.0 - np.dot(error, error) / max(float(np.dot(flat, flat)), 1e-300))


def detrended(values: Floats, period: float) -> tuple[Floats, int]:
    """Values less their mean over one period around each, which leaves a rhythm of that period as it is.

    Returns
    -------
    float64, shape (n - length + 1,), and int
        The first of them belongs to this position.
    """
    length = max(round(period), 2)
    total = np.concatenate(([0.0], np.cumsum(values)))
    level = (total[length:] - total[:-length]) / length
    first = length // 2
    return values[first : first + len(level)] - level, first


def phases(at: Ints | Floats, period: float, count: int) -> Ints:
    """Which of `count` parts of a period positions fall into."""
    turns = np.asarray(at, dtype=np.float64) / period
    # A hair more, or whole periods' bounds would fall to either side.
    return ((turns - np.floor(turns)) * count + 1e-6).astype(np.int64) % count


def _candidates(values: Floats) -> list[float]:
    """Lags at which the autocorrelation, less what is slower than their band, has its highest humps."""
    found, begin = [], SHORTEST
    for end in _BANDS:
        end = min(end, len(values) // CYCLES)
        if end <= begin:
            break
        fast, _ = detrended(values, min(2 * end, len(values) // 2))
        known = _autocorrelation(fast)[: end + 2]
        middle = known[begin : end + 1]
        humps = (middle >= known[begin - 1 : end]) & (middle >= known[begin + 1 : end + 2])
        lags = np.flatnonzero(humps & (middle > _HUMP)) + begin
        best = lags[np.argsort(-known[lags], kind="stable")][:_CANDIDATES]
        found += [float(lag) for lag in best.tolist()]
        begin = end
    return found


def _autocorrelation(values: Floats) -> Floats:
    centred = values - values.mean()
    size = 1 << (2 * len(values) - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    raw = np.fft.irfft(spectrum * np.conj(spectrum), size)[: len(values)]
    overlap = np.arange(len(values), 0, -1) / len(values)
    return np.asarray(raw / np.maximum(overlap, 0.25) / max(float(raw[0]), 1e-300))


def filled(values: Floats) -> Floats | None:
    """Missing values as the one before them; None where a fifth is missing."""
    good = np.isfinite(values)
    if np.count_nonzero(good) < 0.8 * len(values):
        return None
    at = np.maximum.accumulate(np.where(good, np.arange(len(values)), 0))
    at = np.where(good[at], at, int(np.argmax(good)))
    return np.asarray(values[at])


def clipped_to_what_recurs(values: Floats | None) -> Floats | None:
    """What comes in every cycle comes at least so often: what came less often is cut; None where nothing moves."""
    if values is None or len(values) < SHORTEST * CYCLES:
        return None
    ordered = np.sort(values)
    low, high = ordered[CYCLES - 1], ordered[-CYCLES]
    return np.clip(values, low, high) if high > low else None
