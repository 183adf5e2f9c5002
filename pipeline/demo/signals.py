"""Thirty days of the shop's vital signs as arrays: what each service would have shown, and why.

Nothing here is a sample yet; `history.py` makes counters, histograms and batches of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.batch import Bools, Floats, Ints
from pipeline.demo.blueprint import SHOP
from pipeline.demo.troubles import DAY_MS, Trouble

GATEWAY_RATE = 40.0
_MIB = 2.0**20
_PASSED_ON = 0.9
"""How much of a callee's trouble its caller shows: not every route calls it."""


@dataclass(slots=True, eq=False)
class Vitals:
    """One service over time; arrays of shape (n_steps,).

    Attributes
    ----------
    rate : requests per second
    median_s : median latency, seconds
    error_ratio : share of requests answered with 500
    cores : processor time used, cores
    memory : resident bytes
    up : whether the process runs
    """

    rate: Floats
    median_s: Floats
    error_ratio: Floats
    cores: Floats
    memory: Floats
    up: Bools


def rhythm(times_ms: Ints) -> Floats:
    """Traffic over the week, mean about 1: busy evenings, quiet nights, weekends a little fuller.

    Examples
    --------
    >>> night, evening = rhythm(np.array([3, 20]) * 3_600_000)
    >>> bool(evening > 1.5 * night)
    True
    """
    hour = times_ms % DAY_MS / 3_600_000
    day = times_ms // DAY_MS % 7  # 0 is a Thursday, as 1970-01-01 was
    daily = 1.0 + 0.38 * np.cos((hour - 19.5) * (2 * np.pi / 24))
    daily += 0.08 * np.cos((hour - 12.5) * (4 * np.pi / 24))
    return np.asarray(daily * np.where((day == 2) | (day == 3), 1.12, 0.96))


def live(times_ms: Ints, troubles: Sequence[Trouble], *, seed: int) -> dict[str, Vitals]:
    """The vital signs of every service at the given times."""
    rng = np.random.default_rng([seed, 7])
    vitals = {name: _healthy(name, times_ms, rng) for name in SHOP}
    for trouble in troubles:
        during = (times_ms >= trouble.start_ms) & (times_ms < trouble.end_ms)
        _hurt(vitals, trouble, during, times_ms)
    return vitals


def _healthy(name: str, times_ms: Ints, rng: np.random.Generator) -> Vitals:
    count = len(times_ms)
    rate = GATEWAY_RATE * _share(name) * rhythm(times_ms) * rng.lognormal(0.0, 0.04, count)
    load = rate / (GATEWAY_RATE * max(_share(name), 1e-9))
    median_s = _answer_s(name) * (1.0 + 0.15 * (load - 1.0)) * rng.lognormal(0.0, 0.03, count)
    return Vitals(
        rate=rate,
        median_s=median_s,
        error_ratio=rng.uniform(0.0, 0.002, count),
        cores=0.004 + 0.0006 * rate * rng.lognormal(0.0, 0.05, count),
        memory=30.0 * _MIB + 0.3 * _MIB * rng.standard_normal(count),
        up=np.ones(count, dtype=np.bool_),
    )


def _share(name: str) -> float:
    """Requests to a service for each one to the gateway, if all routes are used alike."""
    if name == "gateway":
        return 1.0
    total = 0.0
    for plan in SHOP.values():
        calls = sum(c.chance for route in plan.routes for c in route.calls if c.peer == name)
        if calls:
            total += _share(plan.name) * calls / len(plan.routes)
    return total


def _answer_s(name: str) -> float:
    """Median time to answer: own work, then the slowest of the calls."""
    routes = SHOP[name].routes
    own = sum(route.work_ms for route in routes) / len(routes) / 1000
    return own + max((_answer_s(peer) for peer in SHOP[name].peers), default=0.0)


def _hurt(vitals: dict[str, Vitals], trouble: Trouble, during: Bools, times_ms: Ints) -> None:
    """Put a trouble on its culprit, and what its callers notice on them."""
    mine = vitals[trouble.service]
    late_s, failing = 0.0, 0.0
    match trouble.kind:
        case "latency":
            late_s = 0.8 * trouble.force
        case "errors":
            failing = 0.4 * trouble.force
        case "deploy":
            late_s, failing = 0.4 * trouble.force, 0.35 * trouble.force
        case "cpu":
            late_s = 0.25 * trouble.force
            mine.cores[during] += 0.9 * trouble.force
        case "leak":
            minutes = (times_ms[during] - trouble.start_ms) / 60_000
            mine.memory[during] += minutes * 1.2 * trouble.force * _MIB
        case "down":
            mine.up[during] = False
            failing = 1.0
    mine.median_s[during] += late_s
    mine.error_ratio[during] += failing
    _pass_on(vitals, trouble.service, during, late_s, failing)


def _pass_on(
    vitals: dict[str, Vitals], callee: str, during: Bools, late_s: float, failing: float
) -> None:
    for plan in SHOP.values():
        if callee in plan.peers:
            routes = [any(call.peer == callee for call in route.calls) for route in plan.routes]
            reached = _PASSED_ON * sum(routes) / len(routes)
            caller = vitals[plan.name]
            # A median moves only where most requests are late; the tail is what is seen.
            caller.median_s[during] += late_s * reached
            caller.error_ratio[during] += failing * reached
            _pass_on(vitals, plan.name, during, late_s * reached, failing * reached)
