"""Where an objective's events come from: derived sums, named counters, probes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.slo_objective import Budget
from model import codec
from model.alert import Alert
from model.batch import MetricBatch
from model.labels import Labels
from model.slo import DAY_MS, Objective, ObjectiveKind
from tests.detectors.slo_world import BURN, HOUR, INTERVAL, MINUTE, SHOP, START, World, fired


def test_instances_are_summed_and_come_and_go() -> None:
    world = World(SHOP, instances=3)
    world.run(HOUR, errors=0.01)
    state = world.state()
    assert state.total == pytest.approx(36_000, rel=0.02)
    assert state.bad == pytest.approx(360, rel=0.02)
    assert state.attained == pytest.approx(0.99, abs=1e-4)
    # One goes and comes back from zero; nothing is counted twice.
    world.counts[1] = 0.0
    world.run(HOUR, errors=0.01)
    assert world.state().total == pytest.approx(72_000, rel=0.02)
    assert world.state().bad == pytest.approx(720, rel=0.02)


def test_another_services_failures_are_not_ours() -> None:
    world = World(SHOP)
    for _ in range(400):
        world.now_ms += INTERVAL
        row = world.index.intern(
            Labels.of({"__name__": "http_requests_total", "service": "other", "code": "500"})
        )
        world.counts[0, 1] += 100
        assert world.push({row: float(world.counts[0, 1])}) == []
    assert world.state().total == 0 and world.state().attained is None


def test_latency_counts_what_is_slower_than_a_bound() -> None:
    world = World(
        Objective("shop", kind=ObjectiveKind.LATENCY, threshold_ms=300, objective=99.0),
        Objective("shop", kind=ObjectiveKind.LATENCY, threshold_ms=500, objective=99.0),
    )
    bounds = ("0.1", "0.5", "1", "+Inf")
    found: list[Alert] = []
    for scrape in range(1, 241):
        world.now_ms += INTERVAL
        done = scrape * 150.0
        slow = 0.0 if scrape < 200 else (scrape - 199) * 150.0
        values = (done - slow - 10, done - slow, done - slow, done)
        found += world.push(
            {
                world.row("http_request_duration_seconds_bucket", le=le): value
                for le, value in zip(bounds, values, strict=True)
            }
        )
    assert {a.labels["slo"] for a in found if a.firing} == {
        "shop-latency-300ms",
        "shop-latency-500ms",
    }
    assert found[0].summary is not None
    assert "took longer than 300ms" in found[0].summary.text()
    world.state()
    first, second = world.engine.slos()
    # No bound at 300 ms: counted at the next one, and said so.
    assert (first.bound_s, second.bound_s) == (0.5, None)
    assert first.bad == pytest.approx(41 * 150, rel=0.05)


@pytest.mark.parametrize("which", ["good", "bad"])
def test_named_counters(which: str) -> None:
    total = 'orders_total{region="eu"}'
    chosen: dict[str, Any] = (
        {"good": 'orders_total{region="eu",ok="yes"}'} if which == "good"
        else {"bad": 'orders_total{region="eu",ok="no"}'}
    )  # fmt: skip
    world = World(Objective("shop", total=total, **chosen))
    found: list[Alert] = []
    for scrape in range(1, 300):
        world.now_ms += INTERVAL
        failed = 0.0 if scrape < 250 else (scrape - 249) * 75.0
        samples = {
            world.row("orders_total", region="eu", ok="yes"): scrape * 150.0 - failed,
            world.row("orders_total", region="eu", ok="no"): failed,
            world.row("orders_total", region="us", ok="no"): scrape * 1000.0,
        }
        found += world.push(samples)
    assert fired(found) == [(BURN, "critical")]
    state = world.state()
    assert state.total == pytest.approx(298 * 150)
    assert state.bad == pytest.approx(50 * 75)


def test_a_named_counter_that_begins_again() -> None:
    world = World(Objective("shop", total="orders_total", bad="failed_orders_total"))
    for total, bad in ((10, 1), (30, 2), (5, 1), (15, 1)):
        world.now_ms += INTERVAL
        world.push({world.row("orders_total"): total, world.row("failed_orders_total"): bad})
    # 20 of the first two scrapes, 5 after the reset, 10; failures: 1, 1, 0.
    assert (world.state().total, world.state().bad) == (35.0, 2.0)


def test_probes_count_one_by_one() -> None:
    world = World(
        Objective("shop", kind=ObjectiveKind.PROBE, probe="front", objective=99.0, errors_min=3)
    )
    found: list[Alert] = []
    for number in range(120):
        world.now_ms += MINUTE
        up = 0.0 if number >= 100 else 1.0
        found += world.push(
            {
                world.row("probe_success", probe="front"): up,
                world.row("probe_success", probe="back"): 0.0,
            }
        )
    assert fired(found) == [(BURN, "critical")]
    assert found[0].summary is not None and "of probes failed" in found[0].summary.text()
    assert (world.state().total, world.state().bad) == (120.0, 20.0)


def test_back_fill_fills_the_window_and_tells_nobody() -> None:
    world = World(SHOP)
    world.past(10 * DAY_MS, every=10 * MINUTE, errors=0.0005)
    state = world.state()
    assert state.at_ms - state.since_ms == pytest.approx(10 * DAY_MS, rel=0.01)
    assert state.total == pytest.approx(10 * 864_000, rel=0.02)
    # Half of what is allowed, for a third of the window.
    assert state.remaining == pytest.approx(1 - 0.5 / 3, abs=0.01)
    # Cold, 60 s of nothing but failures would page; with a full hour behind it, it does so as well.
    assert fired(world.run(10 * MINUTE)) == []
    assert fired(world.run(2 * MINUTE, errors=1.0)) == [(BURN, "critical")]


def test_the_past_of_a_target_after_the_present_of_another() -> None:
    budget = Budget(SHOP)
    budget.count(START, 100.0, 1.0)
    budget.count(START - HOUR, 100.0, 1.0)
    budget.count(START - 40 * DAY_MS, 100.0, 1.0)  # older than the window: not counted
    assert budget.state(START, "").total == 200.0
    assert (budget.since_ms, budget.latest_ms) == (START - 40 * DAY_MS, START)


WILD = st.sampled_from([0.0, 1.0, -1.0, 5.0, 1e12, 1e299, -1e299, np.nan, np.inf, 1e-300])
NAMES = ("orders_total", "good_total", "probe_success", "http_requests_total")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4_000), WILD), max_size=60))
def test_f26_wild_samples_leave_finite_counts(samples: list[tuple[int, int, float]]) -> None:
    world = World(
        SHOP,
        Objective("shop", "orders", total="orders_total", good="good_total", errors_min=1),
        Objective("shop", kind=ObjectiveKind.PROBE, errors_min=1),
    )
    for which, seconds, value in samples:
        world.now_ms += 1_000
        row = world.row(NAMES[which], code="500")
        batch = MetricBatch.of([row], START + seconds * 1000, [value], arrival_ms=world.now_ms)
        found = world.engine.take(batch, now_ms=world.now_ms) + world.engine.step(world.now_ms)
        for alert in found:
            codec.encode(alert)
    world.restart()
    for state in world.engine.slos():
        numbers = [state.total, state.bad, state.remaining, *state.totals, *state.bads, *state.left]
        assert np.isfinite(numbers).all() and state.total >= 0 and state.bad >= 0
