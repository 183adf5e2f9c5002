"""The score of the Numenta Anomaly Benchmark, over every threshold at once.

Lavin & Ahmad (2015), "Evaluating Real-time Anomaly Detection Algorithms"; the details are those of
NAB's own sweeper, whose published raw scores `tests/benchmarks/test_nab.py` reproduces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a false alarm and a missed window cost, in found windows."""

    name: str
    false_positive: float
    false_negative: float


PROFILES = (
    Profile("nab_standard", 0.11, 1.0),
    Profile("nab_low_fp", 0.22, 1.0),
    Profile("nab_low_fn", 0.11, 2.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A series' windows, as inclusive index ranges in order, and how many points count.

    Points before `probation` count neither way.
    """

    points: int
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """15 % of a series, at most 750 points."""
        return min(int(0.15 * self.points), 750)


def sigmoid(position: Floats) -> Floats:
    """1 well before the end of a window (-1), 0 at its end, -1 far behind it."""
    scaled = 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, 3.0))) - 1.0
    return np.asarray(np.where(position > 3.0, -1.0, scaled))


_BEST = float(sigmoid(np.array([-1.0]))[0])


def worths(truth: Truth) -> tuple[Floats, NDArray[np.int64]]:
    """What an alarm at each point is worth (false ones unweighted), and its window's number or -1."""
    index = np.arange(truth.points)
    window = np.full(truth.points, -1)
    worth = np.full(truth.points, -1.0)
    for number, (left, right) in enumerate(truth.windows):
        width = right - left + 1
        after = index > right
        behind = (index[after] - right) / max(width - 1.0, 1.0)
        worth[after] = sigmoid(behind)
        inside = (index >= left) & (index <= right)
        worth[inside] = sigmoid(-(right - index[inside] + 1) / width) / _BEST
        window[inside] = number
    return worth, window


@dataclass(frozen=True, slots=True)
class Result:
    """The best score of a profile, 0 (nothing told) to 100, its threshold and raw sum."""

    score: float
    threshold: float
    raw: float


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """How a series' raw score grows as the threshold falls: by `gain` at each of `score`."""

    score: Floats
    gain: Floats
    windows: int


def steps(truth: Truth, scores: Floats, profile: Profile) -> Steps:
    """A window gains when its earliest point so far is told; a false alarm always costs.

    Parameters
    ----------
    scores : float64, shape (truth.points,)
        Of a detector, in time order.
    """
    worth, window = worths(truth)
    counts = np.arange(truth.points) >= truth.probation
    at = np.flatnonzero(counts & (window < 0))
    falls = [(scores[at], profile.false_positive * worth[at])]
    found = 0
    for number in range(len(truth.windows)):
        inside = np.flatnonzero(counts & (window == number))
        if len(inside) == 0:
            continue
        found += 1
        order = inside[np.argsort(-scores[inside], kind="stable")]
        best = np.maximum.accumulate(worth[order])
        gain = np.diff(best, prepend=-profile.false_negative)
        falls.append((scores[order], gain))
    score = np.concatenate([s for s, _ in falls])
    return Steps(score, np.concatenate([g for _, g in falls]), found)


def optimum(parts: list[Steps], profile: Profile) -> Result:
    """The best one threshold over all series, and what it scores."""
    score = np.concatenate([part.score for part in parts])
    gain = np.concatenate([part.gain for part in parts])
    windows = sum(part.windows for part in parts)
    order = np.argsort(-score, kind="stable")
    score, total = score[order], np.cumsum(gain[order])
    # All points of one score are told together.
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True))
    best = int(last[np.argmax(total[last])]) if len(last) else -1
    silent = -profile.false_negative * windows
    raw = silent + (max(float(total[best]), 0.0) if best >= 0 else 0.0)
    threshold = float(score[best]) if best >= 0 and total[best] > 0 else np.inf
    return Result(normal(raw, windows, profile), threshold, raw)


def at_threshold(parts: list[Steps], threshold: float, profile: Profile) -> float:
    """The raw score at a given threshold."""
    silent = -profile.false_negative * sum(part.windows for part in parts)
    return silent + sum(float(part.gain[part.score >= threshold].sum()) for part in parts)


def normal(raw: float, windows: int, profile: Profile) -> float:
    """Raw to 0 (silent) .. 100 (each window at its first point, nothing else)."""
    silent = -profile.false_negative * windows
    return 100.0 * (raw - silent) / (windows - silent) if windows else 0.0
