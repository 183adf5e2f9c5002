"""Two weeks of a service with days and nights, noise and a past fault, as a Prometheus stored them."""

from __future__ import annotations

import numpy as np

from model.batch import Floats, Ints
from model.labels import Labels

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
STEP_MS = 15_000
DAY_MS = 86_400_000
START_MS = 1_800_000_000_000


def service(
    name: str,
    *,
    seed: int,
    days: float,
    slow: tuple[tuple[int, int, float], ...] = (),
    step_ms: int = STEP_MS,
) -> dict[Labels, tuple[Ints, Floats]]:
    """Series of one instance from START_MS on; `slow` are faults: from, until (ms after the start), times latency."""
    rng = np.random.default_rng(seed)
    times: Ints = np.arange(START_MS, START_MS + round(days * DAY_MS), step_ms, dtype=np.int64)
    n, seconds = len(times), step_ms / 1000
    phase = 2 * np.pi * (times % DAY_MS) / DAY_MS
    rate = rng.uniform(4, 20) * (1 + 0.6 * np.sin(phase)) * rng.gamma(60, 1 / 60, n)
    served = rng.poisson(rate * seconds)
    failed = rng.binomial(served, rng.choice([0.0, 0.002, 0.01]))
    median = np.full(n, rng.uniform(0.02, 0.06)) * (1 + 0.2 * np.sin(phase))
    for begin, end, factor in slow:
        at = (times - START_MS >= begin) & (times - START_MS < end)
        median[at] *= factor
    shares = 1.0 / (1.0 + (median[:, None] / np.array(BOUNDS)[None, :]) ** 2.5)
    within = rng.binomial(served[:, None], shares)
    within = np.sort(within, axis=1)
    labels = {"job": "shop", "instance": f"{name}:80"}
    columns: dict[str, tuple[dict[str, str], Floats, bool]] = {}

    def add(metric: str, values: Floats | Ints, *, counter: bool, **more: str) -> None:
        columns[metric + str(more)] = (
            {"__name__": metric, **more},
            values.astype(np.float64),
            counter,
        )

    add("http_requests_total", served - failed, counter=True, code="200")
    add("http_requests_total", failed, counter=True, code="500")
    for i, bound in enumerate(BOUNDS):
        add("http_request_duration_seconds_bucket", within[:, i], counter=True, le=str(bound))
    add("http_request_duration_seconds_bucket", served, counter=True, le="+Inf")
    add("process_cpu_seconds_total", served * 0.01 * rng.gamma(20, 1 / 20, n), counter=True)
    add("process_resident_memory_bytes", 2e8 + 2e7 * rng.random(n), counter=False)
    add("queue_depth", rng.gamma(2.0, 4.0, n).round(), counter=False)
    add("jobs_processed_total", rng.poisson(0.4, n), counter=True)
    add("up", np.ones(n), counter=False)
    add("scrape_duration_seconds", rng.gamma(4, 0.002, n), counter=False)
    add("scrape_samples_scraped", np.full(n, 20.0), counter=False)
    found = {}
    for own, values, counter in columns.values():
        told = np.cumsum(values).astype(np.float64) if counter else np.asarray(values, np.float64)
        if counter:  # a restart in the middle: every counter begins again
            told[n // 2 :] -= told[n // 2]
        found[Labels.of({**labels, **own})] = (times, told)
    return found
