"""Slow rises and falls: pure arithmetic over hours of many series at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.trend import median
from model.batch import Bools, Floats

HOURS = 192  # eight days: each hour of the week, and a day
DAY = 24
_REST = 36  # of the last hours nothing is what is usual
_LEAST = 108  # hours that must be known, most of them, before anything is said
_FILLED = 0.75
_DAYS = 2  # at least, of those before, must be known at this hour
# Of the whole range it must lie so far beyond: in the first week, and once a week is known.
_WHOLE, _KNOWN_WEEK = 1.0, 0.5
_RELATIVE = 0.25  # of what is usual at this hour
_STEADY = 0.7  # Kendall's tau, over one of:
_WINDOWS = (6, 24)  # hours
_LEAP_MOST = 0.5  # of what it grew by may come from one hour to the next: else it is a shift


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What the newest hours lie beyond; arrays of shape (n,).

    Attributes
    ----------
    low, high : float64
        All that was at this hour of the day (an hour sooner or later), a day and a half ago and before. NaN where too little is known.
    beyond : float64
        How far the newest hour lies outside of them, as a share of what is asked for; below 0 it fell.
    rising : bool
        It got there bit by bit.
    """

    low: Floats
    high: Floats
    beyond: Floats
    rising: Bools


def drifts(hours: Floats) -> Drift:
    """Find what has slowly left everything that it was.

    Parameters
    ----------
    hours : float64, shape (n, 192)
        Levels, the newest last, NaN where unknown.

    Source
    ------
    Kendall (1938), Mann (1945): the share of pairs of hours that rise, less those that fall; Hirsch & Slack (1984): like hours are compared
    with like. The range of all that was stands for the spread: what always grows has grown by more in a week than in the two days that
    are left out, and a saw-tooth's own range is never left.

    Examples
    --------
    >>> usual = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 8)
    >>> leak = np.where(np.arange(192) >= 184, np.arange(192) - 183.0, 0.0)
    >>> found = drifts(np.array([usual, usual + leak]))
    >>> found.rising.tolist(), bool(found.beyond[1] > 1)
    ([False, True], True)
    """
    like = _like(hours)
    with np.errstate(invalid="ignore"):
        low, high, known = _bounds(like)
        before = hours[:, : HOURS - _REST]
        least, most, _ = _bounds(before)
        oldest = np.argmax(~np.isnan(hours), axis=1)
        filled = np.count_nonzero(~np.isnan(hours), axis=1) >= _FILLED * (HOURS - oldest)
        enough = (HOURS - oldest >= _LEAST) & filled & (known >= _DAYS)
        span = most - least
        share = np.where(oldest == 0, _KNOWN_WEEK, _WHOLE)
        usual = np.abs(median(like[:, :, 1]))
        wanted = np.maximum(share * span, _RELATIVE * usual)
        now = hours[:, -1]
        off = np.where(now > high, now - high, np.where(now < low, now - low, 0.0))
        beyond = np.where(enough & (span > 0), off / np.maximum(wanted, 1e-300), 0.0)
    beyond = np.nan_to_num(beyond)
    rising = np.zeros(len(hours), dtype=np.bool_)
    at = np.flatnonzero(np.abs(beyond) >= 1.0)
    if len(at):
        rising[at] = _steady(hours[at], np.sign(beyond[at]))
    return Drift(np.where(enough, low, np.nan), np.where(enough, high, np.nan), beyond, rising)


def _like(hours: Floats, back: int = 0) -> Floats:
    """Like hours of the days before, each between its neighbours, shape (n, n_days, 3), of the hour so far back."""
    days = np.arange(2, HOURS // DAY) * DAY
    at = HOURS - 1 - back - days[:, None] + np.array([-1, 0, 1])
    return np.where(at >= 0, hours[:, np.maximum(at, 0)], np.nan)


def _bounds(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Least, most and how many rows of `values` (n, m, …) are known, by the first axis."""
    axes = tuple(range(1, values.ndim))
    missing = np.isnan(values)
    low = np.where(missing, np.inf, values).min(axis=axes)
    high = np.where(missing, -np.inf, values).max(axis=axes)
    seen = ~missing.all(axis=2) if values.ndim == 3 else ~missing
    return low, high, np.count_nonzero(seen, axis=1).astype(np.float64)


def _steady(hours: Floats, sign: Floats) -> Bools:
    """Whether like hours differ the more the newer they are, over one of the windows."""
    out = np.zeros(len(hours), dtype=np.bool_)
    for window in _WINDOWS:
        rest = [
            hours[:, -1 - n] - median(_like(hours, n)[:, :, 1]) for n in reversed(range(window))
        ]
        off = np.stack(rest, axis=1) * sign[:, None]
        early, late = np.triu_indices(window, k=1)
        with np.errstate(invalid="ignore"):
            signs = np.nan_to_num(np.sign(off[:, late] - off[:, early]))
            leap = np.diff(off, axis=1)
            leap = np.where(np.isnan(leap), -np.inf, leap).max(axis=1)
            grown = off[:, -1] - np.where(np.isnan(off), np.inf, off).min(axis=1)
            bit_by_bit = leap <= _LEAP_MOST * grown
        out |= bit_by_bit & (signs.sum(axis=1) >= _STEADY * len(early))
    return out
