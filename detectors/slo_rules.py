"""When a burning error budget is told: pure rules over counts.

Source: Google, The Site Reliability Workbook, chapter 5, "multiwindow, multi-burn-rate alerts". Departures:

- A span that was not seen (a cold start) counts as if it had had as many requests and no failure.
  So "2 % of the budget in an hour" means that from the first minute on.
- Failures that one pair has told are no news to a slower pair. So an outage that was paged and is
  over does not leave a second alert behind for half an hour, and a third for six.
- Fewer failures than `errors_min` tell nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from detectors.slo_rings import BAD, FRESH, TOTAL, UNTOLD
from model.alert import Severity
from model.batch import Floats
from model.slo import DAY_MS, MINUTE_MS

HOUR_MS = 60 * MINUTE_MS
SHORT_ERRORS_MIN = 2
SAMPLES_PER_WINDOW = 4
"""A window shorter than so many samples would be empty at times; it is stretched."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A burn rate and the two windows that must both reach it; `field` of the rings is its failures."""

    factor: float
    long_ms: int
    short_ms: int
    severity: Severity
    field: int


PAIRS = (
    Pair(14.4, HOUR_MS, 5 * MINUTE_MS, Severity.CRITICAL, BAD),  # 2 % of a month's budget in 1 h
    Pair(6.0, 6 * HOUR_MS, 30 * MINUTE_MS, Severity.CRITICAL, FRESH),  # 5 % in 6 h
    Pair(3.0, DAY_MS, 2 * HOUR_MS, Severity.WARNING, UNTOLD),  # 10 % in 1 d
    Pair(1.0, 3 * DAY_MS, 6 * HOUR_MS, Severity.WARNING, UNTOLD),  # 10 % in 3 d
)


def scaled(pair: Pair, scale: float, interval_ms: float) -> tuple[int, int]:
    """A pair's windows for a shorter SLO window, none shorter than a few samples.

    Examples
    --------
    >>> scaled(PAIRS[0], 1.0, 15_000.0), scaled(PAIRS[0], 0.5, 15_000.0)
    ((3600000, 300000), (1800000, 150000))
    >>> scaled(PAIRS[0], 1.0, 300_000.0)
    (3600000, 1200000)
    """
    least = round(SAMPLES_PER_WINDOW * interval_ms)
    long_ms = max(round(pair.long_ms * scale), least)
    return long_ms, min(max(round(pair.short_ms * scale), least), long_ms)


def burn_rate(
    counts: Floats, field: int, *, window_ms: int, seen_ms: int, budget: float
) -> float | None:
    """How many times faster than allowed a window used the budget; None where nothing was counted.

    Parameters
    ----------
    counts : float64, shape (fields,)
        Of the window.
    seen_ms : int
        How long anything has been counted; the rest of the window counts as good.

    Examples
    --------
    >>> import numpy as np
    >>> half = np.array([1000.0, 10.0, 10.0, 10.0])
    >>> burn_rate(half, BAD, window_ms=100, seen_ms=100, budget=0.001)
    10.0
    >>> burn_rate(half, BAD, window_ms=100, seen_ms=50, budget=0.001)
    5.0
    """
    if counts[TOTAL] <= 0:
        return None
    coverage = min(1.0, max(seen_ms, 0) / window_ms)
    share = min(max(float(counts[field]), 0.0) / float(counts[TOTAL]), 1.0)
    return round(share * coverage / budget, 9)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One pair's windows now. `long`, `short` are burn rates, `bad` the failures behind them."""

    long: float | None
    short: float | None
    long_bad: float
    short_bad: float


def burns(pair: Pair, seen: Verdict, *, errors_min: int, firing: bool) -> bool:
    """Whether a pair tells; one that is told stays so while both windows burn."""
    if seen.long is None or seen.short is None:
        return False
    if min(seen.long, seen.short) < pair.factor:
        return False
    return firing or (seen.long_bad >= errors_min and seen.short_bad >= SHORT_ERRORS_MIN)


def remaining(counts: Floats, *, window_ms: int, seen_ms: int, budget: float) -> float:
    """Share of the budget that is left, of the whole window's counts; 1.0 where nothing was counted."""
    used = burn_rate(counts, BAD, window_ms=window_ms, seen_ms=seen_ms, budget=budget)
    return 1.0 if used is None else 1.0 - used


def spent_in(
    left: float, burn: float | None, bad: float, window_ms: int
) -> tuple[int | None, int | None, int | None]:
    """In how long the budget is spent at a burn, with an 80 % interval from the count behind it.

    Parameters
    ----------
    left : float
        Share of the budget left.
    burn, bad
        The burn and the failures of the window it was measured in.

    Returns
    -------
    expected, soonest, latest : milliseconds
        `latest` None: perhaps never. All None where it burns no faster than allowed, or is spent.

    Source
    ------
    The interval of a Poisson count by Wilson and Hilferty's cube root. Failures come in clumps, so it is
    rather too narrow; failures that leave the window are not given back.
    """
    if burn is None or burn <= 1.0 or left <= 0.0 or bad < 1.0:
        return None, None, None
    expected = left * window_ms / burn
    z = 1.2816
    few = bad * max(0.0, 1 - 1 / (9 * bad) - z / (3 * math.sqrt(bad))) ** 3
    many = (bad + 1) * (1 - 1 / (9 * (bad + 1)) + z / (3 * math.sqrt(bad + 1))) ** 3
    slow = burn * few / bad
    latest = round(left * window_ms / slow) if slow > 1.0 else None
    return round(expected), round(expected * bad / many), latest
