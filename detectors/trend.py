"""A level's trend, and when it meets a bound: pure arithmetic over many tracks at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from detectors.rows import Array
from model.batch import Bools, Floats

_SIGNIFICANT = 5.0  # slopes, in standard errors
_HALF = 0.4  # each half must rise at least this share as fast as the whole
_LEAP = 3  # points
_LEAP_MOST = 0.5  # of the growth may come within so many points
_FILLED = 0.75  # of the points must be there
_EXCESS = 0.9  # quantile of what stands above the line that counts as usual peaks


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """Straight lines through the points of some tracks; shape (n,), units of level and points.

    Attributes
    ----------
    level, slope, slope_se : float64
        Where the line stands at the last point, its rise by point, and that rise's standard error.
    walk : float64
        Variance that the level's wandering adds by point (of a random walk; none for steady growth).
    peak : float64
        How far usual peaks stand above the line, >= 0.
    grown : float64
        From where the points begin to the line's end.
    points : int
        How many there are.
    holds : bool
        It rises, significantly, in both halves, not in one leap, on enough points.
    """

    level: Floats
    slope: Floats
    slope_se: Floats
    walk: Floats
    peak: Floats
    grown: Floats
    points: int
    holds: Bools


def median(values: Floats) -> Floats:
    """Median over the last axis without the NaN; NaN where there is nothing else.

    Examples
    --------
    >>> median(np.array([[3.0, np.nan, 1.0], [np.nan] * 3])).tolist()
    [2.0, nan]
    """
    missing = np.isnan(values)
    size = values.shape[-1]
    if size and not missing.any():
        two = (size - 1) // 2, size // 2
        parted = np.partition(values, two, axis=-1)
        full: Floats = 0.5 * (parted[..., two[0]] + parted[..., two[1]])
        return full
    ordered = np.sort(values, axis=-1)  # NaN last
    count = size - np.count_nonzero(missing, axis=-1)
    low = np.maximum(count - 1, 0) // 2
    high = np.where(count > 0, count // 2, 0)
    pick = np.stack([low, high], axis=-1)
    both = np.take_along_axis(ordered, pick, axis=-1)
    middle: Floats = 0.5 * (both[..., 0] + both[..., 1])
    return middle


def _quantile(values: Floats, share: float) -> Floats:
    """A quantile over the last axis without the NaN (the lower of two neighbours)."""
    ordered = np.sort(values, axis=-1)
    count = np.count_nonzero(~np.isnan(values), axis=-1)
    at = np.floor(share * np.maximum(count - 1, 0)).astype(np.int64)
    found: Floats = np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0]
    return found


def thin(values: Floats, by: int, *, peaks: bool = False) -> Floats:
    """Medians (or maxima) of `by` neighbours each, shape (n, m) to (n, m / by)."""
    if by == 1:
        return np.where(np.isfinite(values), values, np.nan) if peaks else values
    blocks = values.reshape(len(values), values.shape[1] // by, by)  # of no rows too
    if not peaks:
        return median(blocks)
    top = np.where(np.isnan(blocks), -np.inf, blocks).max(axis=-1)
    return np.where(np.isfinite(top), top, np.nan)


@cache
def _pairs(points: int, rhythm: int) -> tuple[Array, Array, Array, Array]:
    """Pairs of points (a whole number of `rhythm` apart), and which lie in the first and second half."""
    early, late = np.triu_indices(points, k=1)
    if rhythm:
        alike = (late - early) % rhythm == 0
        early, late = early[alike], late[alike]
        middle = (early + late) / 2
        return early, late, middle < (points - 1) / 2, middle > (points - 1) / 2
    half = points // 2
    return early, late, late < half, early >= points - half


def fit(points: Floats, peaks: Floats, rhythm: int = 0) -> Trend:
    """Draw the line.

    Parameters
    ----------
    points, peaks : float64, shape (n, m)
        Level by point and the highest within it, oldest first, NaN where missing.
    rhythm : int
        Points in a day, where the day's rhythm could be taken for a trend: then only like hours are
        compared. 0: all pairs.

    Source
    ------
    Theil (1950) and Sen (1968): the median of the slopes of all pairs. Hirsch & Slack (1984): of like
    seasons only. The wandering is what increments over a longer stretch vary more than increments over
    one point do (the variance ratio of Lo & MacKinlay 1988): a steady line measured with noise has
    none, a random walk has all of it.

    Examples
    --------
    >>> line = fit(*[np.array([np.arange(20) * 0.01])] * 2)
    >>> bool(line.holds[0]), float(line.slope[0].round(3)), float(line.level[0].round(3))
    (True, 0.01, 0.19)
    """
    count = points.shape[1]
    early, late, first, second = _pairs(count, rhythm)
    slopes = (points[:, late] - points[:, early]) / (late - early)
    slope = median(slopes)
    line = slope[:, None] * np.arange(count)
    shape = _daily(points - line, rhythm)
    bare = points - line - shape
    level = line[:, -1] + median(bare[:, -max(3, count // 8) :])
    walk, noise = _wandering(bare, rhythm)
    spread = 12.0 * noise / count**3 + 1.2 * walk / count
    peak = _quantile(shape + peaks - points, _EXCESS) + (0.0 if rhythm else 1.28 * np.sqrt(noise))
    error = np.sqrt(spread)
    halves = np.stack([median(slopes[:, first]), median(slopes[:, second])])
    grown = level - median(points[:, :3])
    leap = np.nan_to_num(points[:, _LEAP:] - points[:, :-_LEAP]).max(axis=1)
    with np.errstate(invalid="ignore"):
        there = np.count_nonzero(~np.isnan(points), axis=1) >= _FILLED * count
        there &= ~np.isnan(points[:, : max(2, count // 6)]).all(axis=1)
        steady = (halves >= _HALF * slope).all(axis=0) & (halves <= slope / _HALF).all(axis=0)
        if rhythm:  # like hours of two days differ alike, whether it grew or was changed once
            steady &= leap <= _LEAP_MOST * grown
        holds = there & steady & (slope > 1e-12) & (slope >= _SIGNIFICANT * error)
    return Trend(
        level, slope, error, walk, np.maximum(np.nan_to_num(peak), 0.0), grown, count, holds
    )


def _daily(bare: Floats, rhythm: int) -> Floats:
    """The day's shape, at each point: what like hours have in common, around the middle of their day."""
    if not rhythm:
        return np.zeros_like(bare)
    days = bare.reshape(len(bare), -1, rhythm)
    shape = median((days - median(days)[:, :, None]).transpose(0, 2, 1))
    return np.tile(shape, (1, bare.shape[1] // rhythm))


def _wandering(rest: Floats, rhythm: int) -> tuple[Floats, Floats]:
    """Variance by point of the walk, and of the noise around it, in what the line leaves."""
    count = rest.shape[1]
    steps = np.diff(rest, axis=1)
    short = (1.4826 * median(np.abs(steps))) ** 2
    lag = rhythm or max(2, count // 6)
    far = rest[:, lag:] - rest[:, :-lag]
    known = np.maximum(np.count_nonzero(~np.isnan(far), axis=1), 1)
    long = np.nansum(far * far, axis=1) / known
    if rhythm:
        return long / lag, short / 2
    walk = np.maximum(long - short, 0.0) / (lag - 1)
    noise = np.maximum(short - walk, 0.0) / 2
    return walk, noise


def crossing(
    room: Floats, trend: Trend, z: float, pace: float = 0.0
) -> tuple[Floats, Floats, Floats]:
    """When the level meets a bound `room` above the line's end: early, middle and late, in points.

    Parameters
    ----------
    room : float64, shape (n,)
        From the line's end, with its usual peaks, to the bound.
    z : float
        Half width of the interval in standard deviations.
    pace : float
        How much the slope itself is bound to change, as a share of it, by as far ahead as the line is
        long; farther ahead it changes more, with the root.

    Returns
    -------
    early, middle, late : float64, shape (n,)
        `inf` where it may as well never be.

    Notes
    -----
    After t points the level has grown by slope t, with the variance walk t + slope_se² t². The ends are
    the roots of (room - slope t)² = z² (walk t + slope_se² t²), a quadratic.

    Examples
    --------
    >>> line = fit(*[np.array([np.arange(20) * 0.01])] * 2)
    >>> [float(x[0].round(6)) for x in crossing(np.array([0.1]), line, 1.5)]
    [10.0, 10.0, 10.0]
    """
    room = np.maximum(room, 0.0)
    slope, walk = trend.slope, trend.walk
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        middle = np.where(slope > 0, room / slope, np.inf)
        far = np.clip(middle / trend.points, 0.25, 6.0)
        error = trend.slope_se**2 + (pace * slope) ** 2 * far
        a = slope**2 - z**2 * error
        b = -(2.0 * room * slope + z**2 * walk)
        root = np.sqrt(np.maximum(b * b - 4.0 * a * room**2, 0.0))
        early = 2.0 * room**2 / (-b + root)  # the smaller root, without cancellation
        late = np.where(a > 0, (-b + root) / (2.0 * a), np.inf)
    early = np.where(room > 0, np.where(np.isnan(early), np.inf, early), 0.0)
    return early, middle, np.where(np.isnan(late), np.inf, late)
