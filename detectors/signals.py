"""From windows of sums to what a person would plot: rates, ratios, quantiles. Pure arithmetic by family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.derive import Family
from detectors.quantile import bucket_quantile
from detectors.roles import CPU, ERRORS, HOST_CPU, LATENCY, TRAFFIC
from model.batch import Bools, Floats, Ints

_REQUESTS_ENOUGH = 12
_ERRORS_ENOUGH = 30
_LONGEST_MS = 10_000
_LATELY = 6  # intervals


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A derived value of some groups at their times; arrays of shape (n_groups,).

    `enough` says where the counts behind a value are many enough to call it abnormal.
    `metric` names the derived series, `role` how it is judged, `column` its place in `Family.out_rows`.
    """

    metric: str
    role: str
    column: int
    groups: Ints
    times_ms: Ints
    values: Floats
    enough: Bools


def request_signals(
    family: Family, groups: Ints, times_ms: Ints, sums: Floats, usual_errors: Floats
) -> list[Signal]:
    """Request rate and error ratio; `usual_errors`, shape (n_groups,), is the ratio learnt so far."""
    long = family.window(groups, sums, TRAFFIC.window_ms)
    rate = long.delta[:, 0] / long.seconds
    short = family.window(groups, sums, ERRORS.window_ms)
    longer = family.window(groups, sums, _LONGEST_MS)
    few = ~(short.delta[:, 0] >= _ERRORS_ENOUGH) & ~np.isnan(longer.seconds)
    delta = np.where(few[:, None], longer.delta, short.delta)
    requests, errors = delta[:, 0], delta[:, 1]
    ratio = np.where(requests >= 5, errors / np.maximum(requests, 1.0), np.nan)
    chance = requests * np.clip(np.nan_to_num(usual_errors), 0.005, 1.0)
    # Errors come at random: so many as this are not seen by chance in years (Poisson, about 4e-6).
    enough = errors >= chance + 4.0 * np.sqrt(chance) + 3.0
    return [
        Signal("request_rate", "traffic", 0, groups, times_ms, rate, long.delta[:, 0] >= 0),
        Signal("error_ratio", "errors", 1, groups, times_ms, np.minimum(ratio, 1.0), enough),
    ]


def latency_signals(family: Family, groups: Ints, times_ms: Ints, sums: Floats) -> list[Signal]:
    """Median, tail and p99 of a histogram.

    The tail is the 95th percentile or, of few requests, what the third slowest took: one or two
    outliers are not a slow service. Few requests are gathered over a longer window. Requests as slow as the
    tail must have come in most of the last few intervals: a stall or two of the machine is not a slow service,
    though each of them stands in the window for seconds.
    """
    bounds = family.bounds(groups)
    order = np.argsort(bounds, axis=1, kind="stable")  # NaN last
    bounds = np.take_along_axis(bounds, order, axis=1)
    top = np.isinf(bounds).argmax(axis=1)
    counts = np.full(bounds.shape, np.nan)
    for window_ms in (LATENCY.window_ms, 2 * LATENCY.window_ms, _LONGEST_MS):
        window = family.window(groups, sums, window_ms)
        wider = np.take_along_axis(window.delta, order, axis=1)
        have = counts[np.arange(len(groups)), top]
        use = ~(have >= _REQUESTS_ENOUGH) & ~np.isnan(window.seconds)
        counts[use] = wider[use]
    total = counts[np.arange(len(groups)), top]
    counts = np.nan_to_num(counts)
    usable = total >= 4
    safe = np.maximum(np.nan_to_num(total), 4.0)
    tail = np.minimum(0.95, 1.0 - 2.5 / safe)
    quantiles = [
        np.where(usable, bucket_quantile(bounds, counts, q), np.nan)
        for q in (tail, np.full(len(groups), 0.5), np.full(len(groups), 0.99))
    ]
    kept = np.take_along_axis(
        family.increases(groups, _LATELY), np.repeat(order[:, None, :], _LATELY, axis=1), axis=2
    )
    usable = usable & _keeps_coming(bounds, kept, quantiles[0])
    names = ("latency_p95_seconds", "latency_p50_seconds", "latency_p99_seconds")
    roles = ("latency", "median", "quiet")
    return [Signal(names[c], roles[c], c, groups, times_ms, quantiles[c], usable) for c in range(3)]


def _keeps_coming(bounds: Floats, kept: Floats, tail: Floats) -> Bools:
    """Where requests as slow as the tail came in two of the last three intervals, or in half of six.

    Parameters
    ----------
    bounds : shape (n_groups, n_bounds)
        Sorted, NaN last.
    kept : shape (n_groups, 6, n_bounds)
        Cumulative counts of each interval, newest first.
    tail : shape (n_groups,)
        What the slowest took; its bucket and those above it count as slow.
    """
    below = (
        np.count_nonzero(bounds < tail[:, None], axis=1) - 1
    )  # the bound under the tail's bucket
    everything = np.nanmax(np.where(np.isnan(kept), -1.0, kept), axis=2)
    at = np.broadcast_to(np.maximum(below, 0)[:, None, None], (*kept.shape[:2], 1))
    fast = np.where(below[:, None] >= 0, np.take_along_axis(kept, at, axis=2)[:, :, 0], 0.0)
    slow, some = everything - np.nan_to_num(fast) > 0, everything > 0
    share = [
        np.count_nonzero(slow[:, :n], axis=1) / np.maximum(np.count_nonzero(some[:, :n], axis=1), 2)
        for n in (3, _LATELY)
    ]
    out: Bools = (share[0] >= 0.6) | (share[1] >= 0.5)
    return out


def cpu_signals(family: Family, groups: Ints, times_ms: Ints) -> list[Signal]:
    """CPU cores used by a process: the median of the last seconds, which a spike of two does not move."""
    rates = family.rates(groups, CPU.window_ms)
    ordered = np.sort(rates, axis=1)  # NaN last
    count = np.count_nonzero(~np.isnan(rates), axis=1)
    middle = ordered[np.arange(len(groups)), np.maximum(count - 1, 0) // 2]
    cores = np.where(count >= 3, middle, np.nan)
    return [Signal("cpu_cores", "cpu", 0, groups, times_ms, cores, ~np.isnan(cores))]


def host_cpu_signals(family: Family, groups: Ints, times_ms: Ints, sums: Floats) -> list[Signal]:
    """Share of a host's CPU time that was not idle."""
    window = family.window(groups, sums, HOST_CPU.window_ms)
    everything = window.delta[:, 1]
    share = np.where(
        everything > 0, 1.0 - window.delta[:, 0] / np.maximum(everything, 1e-9), np.nan
    )
    share = np.clip(share, 0.0, 1.0)
    return [Signal("host_cpu_busy_ratio", "host_cpu", 0, groups, times_ms, share, share >= 0)]


def used_signals(
    metric: str, role: str, groups: Ints, times_ms: Ints, sums: Floats
) -> list[Signal]:
    """Share used of what is there (memory, a file system)."""
    size = sums[:, 1]
    used = np.where(size > 0, 1.0 - sums[:, 0] / np.maximum(size, 1.0), np.nan)
    return [Signal(metric, role, 0, groups, times_ms, np.clip(used, 0.0, 1.0), used >= 0)]


def signals(
    name: str, family: Family, groups: Ints, times_ms: Ints, sums: Floats, usual_errors: Floats
) -> list[Signal]:
    """The signals of one family."""
    if name == "requests":
        return request_signals(family, groups, times_ms, sums, usual_errors)
    if name == "latency":
        return latency_signals(family, groups, times_ms, sums)
    if name == "cpu":
        return cpu_signals(family, groups, times_ms)
    if name == "host_cpu":
        return host_cpu_signals(family, groups, times_ms, sums)
    metric = "host_memory_used_ratio" if name == "host_memory" else "disk_used_ratio"
    return used_signals(metric, name, groups, times_ms, sums)
