"""What summaries say of how long requests take, where a service has no histogram.

Clients of Java and Go count requests and the seconds they took (`_count`, `_sum`), and some work out quantiles themselves. A sum
over a count is the mean of all routes together over a window of ours, exactly; quantiles can be neither summed nor taken over
another window than the client's (ten minutes, mostly), so they say only what lasts and is seen on most routes.
"""

from __future__ import annotations

import numpy as np

from detectors.derive import Family
from detectors.families import SUMMED
from detectors.roles import service_of
from detectors.signals import Signal, request_signals
from detectors.trend import median
from model.batch import Bools, Floats, Ints
from model.labels import Labels

FAMILY, QUANTILES = "summary", "quantile"
_REQUESTS_ENOUGH = 12
_LONGEST_MS = 10_000
_INTERVALS_MOST = 10
_BEYOND_ENOUGH = 3.0  # requests in the tail: one or two outliers are not a slow service
_CLIENTS_WINDOW_MS = 600_000
_BEST = 0.95  # of several quantiles the one that is nearest to it, of two the higher
_SCALE = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6}
_SECONDS = np.array([_SCALE[name] for name in SUMMED[2:]])


class Summaries:
    """Signals of the families "summary" and "quantile", of services for which no better ones speak.

    Parameters
    ----------
    families : dict of name to Family
        All of them: histograms and counters of requests go before summaries.
    """

    def __init__(self, families: dict[str, Family]) -> None:
        self._families = families
        self._version = -1
        self._bests: Ints = np.zeros(0, dtype=np.int64)

    def signals(
        self, groups: Ints, times_ms: Ints, sums: Floats, usual_errors: Floats
    ) -> list[Signal]:
        """Request rate and errors, where nothing else counts requests; the mean, where there is no histogram.

        Parameters
        ----------
        groups, times_ms, sums : shapes (n_groups,), (n_groups,), (n_groups, 5)
            Groups of the family "summary", with the running totals of `families.SUMMED`.
        usual_errors : float64, shape (n_groups,)
            The error ratio learnt so far.
        """
        family = self._families[FAMILY]
        counted = self._without("requests", family, groups)
        some = (groups[counted], times_ms[counted], sums[counted])
        found = request_signals(family, *some, usual_errors[counted]) if counted.any() else []
        slow = self._without("latency", family, groups)
        if slow.any():
            found.append(mean_signal(family, groups[slow], times_ms[slow]))
        return found

    def tails(self, groups: Ints, times_ms: Ints, values: Floats) -> list[Signal]:
        """The tail on the middle one of a service's routes, by the client; only where enough requests lie in it.

        Parameters
        ----------
        groups, times_ms, values : shapes (n_groups,), (n_groups,), (n_groups, n_fields)
            Groups of the family "quantile": one of an instance and a quantile, a field of each label set; NaN where the client says nothing.
        """
        family = self._families[QUANTILES]
        at = np.flatnonzero(self._without("latency", family, groups) & self._best(groups))
        if len(at) == 0:
            return []
        groups, times_ms, values = groups[at], times_ms[at], values[at]
        used = family.used(groups)
        scale, share, requests = np.array([self._about(group) for group in groups.tolist()]).T
        middle = median(np.where(used, values, np.nan)) * scale
        enough = requests * (1.0 - share) >= _BEYOND_ENOUGH - 1e-6
        return [Signal("latency_tail_seconds", "tail", 0, groups, times_ms, middle, enough)]

    def _without(self, name: str, family: Family, groups: Ints) -> Bools:
        """Which groups are of services that have none in another family."""
        others = self._families[name].services()
        services = (service_of(family.labels(group)) for group in groups.tolist())
        return np.array([service not in others for service in services], dtype=np.bool_)

    def _best(self, groups: Ints) -> Bools:
        """Which groups have the best quantile of those of their instance and unit."""
        family = self._families[QUANTILES]
        if family.version != self._version:
            self._version = family.version
            ranked: dict[Labels, tuple[float, float, int]] = {}
            for group in family.all_groups():
                labels = family.labels(group)
                share = float(labels["quantile"])
                mine = (round(abs(share - _BEST), 9), -share, group)
                owner = labels.without("quantile")
                ranked[owner] = min(mine, ranked.get(owner, mine))
            self._bests = np.array([group for _, _, group in ranked.values()], dtype=np.int64)
        return np.isin(groups, self._bests)

    def _about(self, group: int) -> tuple[float, float, float]:
        """Seconds in its unit, the quantile, and how many requests its instance's summaries counted lately."""
        labels, counts = self._families[QUANTILES].labels(group), self._families[FAMILY]
        counted = counts.group(labels.without("quantile", "unit"))
        requests = 0.0 if counted is None else counts.lately(counted, _CLIENTS_WINDOW_MS)
        return _SCALE[labels["unit"]], float(labels["quantile"]), requests


def mean_signal(family: Family, groups: Ints, times_ms: Ints) -> Signal:
    """Mean latency by interval, of the last ten seconds (three intervals at least) the median.

    A stall, or one request that hung, stands in one interval and does not move it.
    """
    grown = family.increases(groups, _INTERVALS_MOST)
    reach = np.clip(_LONGEST_MS / np.maximum(family.interval_ms(groups), 1.0), 3, _INTERVALS_MOST)
    near = np.arange(_INTERVALS_MOST)[None, :] < np.round(reach)[:, None]
    counts = np.where(near, np.nan_to_num(grown[:, :, 0]), 0.0)
    seconds = grown[:, :, 2:] @ _SECONDS
    means = np.where(counts > 0, seconds / np.maximum(counts, 1.0), np.nan)
    some = np.count_nonzero(counts > 0, axis=1) >= 3
    middle = np.where(some, median(means), np.nan)
    enough = counts.sum(axis=1) >= _REQUESTS_ENOUGH
    return Signal("latency_mean_seconds", "mean", 2, groups, times_ms, middle, enough)
