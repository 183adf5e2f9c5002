"""Quantiles from cumulative histogram buckets, many groups at once."""

from __future__ import annotations

import numpy as np

from model.batch import Floats


def bucket_quantile(bounds: Floats, counts: Floats, q: Floats) -> Floats:
    """Estimate a quantile from cumulative buckets by linear interpolation within the bucket.

    Parameters
    ----------
    bounds : float64, shape (n_groups, n_buckets)
        Upper bounds, ascending, `inf` last; NaN where a group has fewer buckets (at the end).
    counts : float64, shape (n_groups, n_buckets)
        Observations at or below each bound (cumulative).
    q : float64, shape (n_groups,)
        From 0 to 1.

    Returns
    -------
    float64, shape (n_groups,)
        In the bounds' unit; NaN for an empty histogram. A quantile in the open bucket is its lower bound.

    Source
    ------
    Prometheus' histogram_quantile.

    Examples
    --------
    >>> bounds = np.array([[0.1, 0.2, np.inf]])
    >>> bucket_quantile(bounds, np.array([[10.0, 20.0, 20.0]]), np.array([0.75])).round(3)
    array([0.15])
    """
    usable = ~np.isnan(bounds)
    # Scrapes are not atomic: a bucket may be read a little before its neighbour.
    counts = np.maximum.accumulate(np.where(usable, counts, 0.0), axis=1)
    total = counts[:, -1]
    groups = np.arange(len(bounds))
    rank = q * total
    at = np.argmax((counts >= rank[:, None]) & usable, axis=1)
    before = np.maximum(at - 1, 0)
    lower = np.where(at > 0, bounds[groups, before], 0.0)
    below = np.where(at > 0, counts[groups, before], 0.0)
    inside = counts[groups, at] - below
    upper = bounds[groups, at]
    share = np.divide(rank - below, inside, out=np.zeros_like(rank), where=inside > 0)
    open_ended = np.isinf(upper)
    width = np.where(open_ended, 0.0, upper - lower)
    return np.where(total > 0, lower + width * np.clip(share, 0.0, 1.0), np.nan)
