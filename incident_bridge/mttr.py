"""Times to detect, to acknowledge, to resolve; their means and percentiles; time not available."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.batch import Floats, Ints
from model.incident import Incident


@dataclass(frozen=True, slots=True)
class Measure:
    """A distribution of durations in milliseconds; None where nothing was measured."""

    count: int = 0
    mean_ms: int | None = None
    p50_ms: int | None = None
    p90_ms: int | None = None


def measure(durations_ms: Floats) -> Measure:
    """Mean and percentiles (linear between neighbours) of what is not NaN.

    Examples
    --------
    >>> measure(np.array([1_000.0, 3_000.0, np.nan]))
    Measure(count=2, mean_ms=2000, p50_ms=2000, p90_ms=2800)
    """
    found = durations_ms[~np.isnan(durations_ms)]
    if not len(found):
        return Measure()
    p50, p90 = np.percentile(found, [50, 90])
    return Measure(len(found), round(float(found.mean())), round(float(p50)), round(float(p90)))


def detect_ms(incidents: Sequence[Incident]) -> Floats:
    """From the beginning to the opening, shape (n_incidents,)."""
    return _durations([(i.began_ms, i.opened_ms) for i in incidents])


def acknowledge_ms(incidents: Sequence[Incident]) -> Floats:
    """From the opening to the first acknowledgement, NaN where there was none; shape (n_incidents,)."""
    return _durations([(i.opened_ms, i.acknowledged_ms) for i in incidents])


def resolve_ms(incidents: Sequence[Incident]) -> Floats:
    """From the opening to the resolution, NaN while there is none; shape (n_incidents,)."""
    return _durations([(i.opened_ms, i.resolved_ms) for i in incidents])


def _durations(spans: Sequence[tuple[int, int | None]]) -> Floats:
    values = [np.nan if end is None else float(max(end - begin, 0)) for begin, end in spans]
    return np.array(values, dtype=np.float64)


def union_ms(begins_ms: Ints, ends_ms: Ints) -> int:
    """Length of the union of intervals: two incidents at once take a service down once.

    Parameters
    ----------
    begins_ms, ends_ms : int64, shape (n_intervals,)
        In any order; one that ends before it begins counts nothing.

    Examples
    --------
    >>> union_ms(np.array([0, 5, 20]), np.array([10, 12, 21]))
    13
    """
    if not len(begins_ms):
        return 0
    order = np.argsort(begins_ms, kind="stable")
    begins, ends = begins_ms[order], ends_ms[order]
    # Each interval adds what reaches beyond every earlier end.
    reached = np.concatenate(([np.iinfo(np.int64).min], np.maximum.accumulate(ends)[:-1]))
    return int(np.maximum(ends - np.maximum(begins, reached), 0).sum())
