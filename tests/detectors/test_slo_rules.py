"""When an error budget is told: one row a rule, both sides of every boundary; the rings against a list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.slo_rings import BAD, SLOTS, Ring, Rings, steps_of
from detectors.slo_rules import (
    PAIRS,
    Verdict,
    burn_rate,
    burns,
    remaining,
    scaled,
    spent_in,
)
from model.slo import DAY_MS, Objective

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("at", "long", "short", "long_bad", "short_bad", "firing", "tells"),
    [
        # Each pair at its factor, and just below it in either window.
        (0, 14.4, 14.4, 10, 2, False, True),
        (0, 14.39, 99.0, 10, 2, False, False),
        (0, 99.0, 14.39, 10, 2, False, False),
        (1, 6.0, 6.0, 10, 2, False, True),
        (1, 5.99, 99.0, 10, 2, False, False),
        (1, 99.0, 5.99, 10, 2, False, False),
        (2, 3.0, 3.0, 10, 2, False, True),
        (2, 2.99, 99.0, 10, 2, False, False),
        (2, 99.0, 2.99, 10, 2, False, False),
        (3, 1.0, 1.0, 10, 2, False, True),
        (3, 0.99, 99.0, 10, 2, False, False),
        (3, 99.0, 0.99, 10, 2, False, False),
        # One failure of ten requests at night: 10 % of a budget of 0.1 % is 100 times too fast, and no alert.
        (0, 100.0, 100.0, 1, 1, False, False),
        (0, 100.0, 100.0, 9, 2, False, False),
        (0, 100.0, 100.0, 10, 1, False, False),
        # What is told already stays, however few they are, while both windows burn.
        (0, 100.0, 100.0, 1, 1, True, True),
        (0, 100.0, 14.39, 1, 1, True, False),
        # Nothing was counted: nothing is known.
        (0, None, 99.0, 10, 2, True, False),
        (0, 99.0, None, 10, 2, True, False),
    ],
)
def test_a_pair_tells_if_both_windows_burn_and_failures_are_enough(
    at: int, long: float | None, short: float | None, long_bad: float, short_bad: float,
    firing: bool, tells: bool,
) -> None:  # fmt: skip
    seen = Verdict(long, short, long_bad, short_bad)
    assert burns(PAIRS[at], seen, errors_min=10, firing=firing) is tells


def test_the_pairs_are_the_workbooks() -> None:
    """2 % of a month's budget within an hour, 5 % within six, 10 % within a day and within three."""
    shares = [pair.factor * pair.long_ms / (30 * DAY_MS) for pair in PAIRS]
    assert shares == pytest.approx([0.02, 0.05, 0.10, 0.10])
    assert [pair.long_ms / pair.short_ms for pair in PAIRS] == [12] * 4


@pytest.mark.parametrize(
    ("days", "long_ms", "short_ms"),
    [(30, HOUR, 300_000), (28, HOUR, 300_000), (90, HOUR, 300_000), (7, 840_000, 70_000)],
)
def test_windows_shrink_with_shorter_objectives(days: int, long_ms: int, short_ms: int) -> None:
    scale = Objective("a", window_ms=days * DAY_MS).scale
    assert scaled(PAIRS[0], scale, 15_000.0) == (long_ms, short_ms)


def test_windows_hold_several_samples() -> None:
    assert scaled(PAIRS[0], 1.0, 75_000.0) == (HOUR, 300_000)
    assert scaled(PAIRS[0], 1.0, 75_001.0) == (HOUR, 300_004)
    assert scaled(PAIRS[0], 1.0, HOUR) == (4 * HOUR, 4 * HOUR)


@pytest.mark.parametrize(
    ("seen_ms", "burn"), [(HOUR, 20.0), (2 * HOUR, 20.0), (HOUR // 2, 10.0), (0, 0.0), (-5, 0.0)]
)
def test_what_was_not_seen_counts_as_good(seen_ms: int, burn: float) -> None:
    counts = np.array([1000.0, 20.0, 20.0, 20.0])
    found = burn_rate(counts, BAD, window_ms=HOUR, seen_ms=seen_ms, budget=0.001)
    assert found == pytest.approx(burn)


def test_no_events_no_burn_and_a_full_budget() -> None:
    nothing = np.zeros(4)
    assert burn_rate(nothing, BAD, window_ms=HOUR, seen_ms=HOUR, budget=0.001) is None
    assert remaining(nothing, window_ms=HOUR, seen_ms=HOUR, budget=0.001) == 1.0


def test_the_budget_is_spent_at_exactly_what_is_allowed() -> None:
    for bad, left in ((0, 1.0), (5, 0.5), (10, 0.0), (20, -1.0)):
        counts = np.array([10_000.0, bad, bad, bad])
        found = remaining(counts, window_ms=DAY_MS, seen_ms=DAY_MS, budget=0.001)
        assert found == pytest.approx(left)


def test_when_the_budget_is_spent() -> None:
    month = 30 * DAY_MS
    expected, soonest, latest = spent_in(0.5, 10.0, 100.0, month)
    assert expected == 1.5 * DAY_MS
    assert soonest is not None and latest is not None
    assert 0.8 * expected < soonest < expected < latest < 1.25 * expected
    # Ten times more failures say it more exactly.
    _, sooner, later = spent_in(0.5, 10.0, 1000.0, month)
    assert sooner is not None and later is not None
    assert later - sooner < (latest - soonest) / 2.5
    # As fast as allowed, or spent already: there is nothing to foretell.
    assert spent_in(0.5, 1.0, 100.0, month) == (None, None, None)
    assert spent_in(0.0, 10.0, 100.0, month) == (None, None, None)
    # Few failures, a slow burn: perhaps never.
    assert spent_in(0.5, 1.1, 4.0, month)[2] is None


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Four times in five the true burn lies in it (Poisson counts, 2,000 draws a rate)."""
    rng = np.random.default_rng(3)
    for mean in (5.0, 30.0, 400.0):
        hits = 0
        for count in rng.poisson(mean, 2000).tolist():
            if count == 0:
                continue
            burn = 10.0 * count / mean
            _, soonest, latest = spent_in(1.0, burn, float(count), 1_000_000)
            true = 1_000_000 / 10.0
            low = soonest if soonest is not None else float("inf")
            high = latest if latest is not None else float("inf")
            hits += low <= true <= high
        assert 0.76 <= hits / 2000 <= 0.9, mean


EVENTS = st.lists(
    st.tuples(st.integers(0, 4_000), st.integers(0, 5), st.integers(0, 5)), max_size=60
)


@settings(deadline=None)
@given(EVENTS, st.integers(1, 90), st.integers(2, 40), st.integers(0, 300), st.integers(1, 3000))
def test_a_ring_is_a_list_of_slots(
    events: list[tuple[int, int, int]], step_ms: int, size: int, later: int, window_ms: int
) -> None:
    """Against the obvious: keep every event, add up those whose slot lies in the window."""
    ring = Ring(step_ms, size)
    newest, kept = -1, list[tuple[int, int, int]]()
    for time_ms, total, bad in events:
        ring.add(time_ms, np.array([total, bad, bad, 0.0]))
        slot = time_ms // step_ms
        if newest < 0 or slot > newest - size:
            kept.append((slot, total, bad))
        newest = max(newest, slot)
    end_ms = newest * step_ms + later
    window_ms = min(window_ms, (size - 1) * step_ms)
    count = -(-window_ms // step_ms)
    last = end_ms // step_ms
    inside = [row for row in kept if last - count < row[0] <= last and row[0] > newest - size]
    want = [sum(row[1] for row in inside), sum(row[2] for row in inside)]
    assert ring.sum(end_ms, window_ms)[:2].tolist() == want


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([1, 7, 28, 30, 90]), EVENTS)
def test_every_window_finds_a_ring_and_nothing_is_lost(
    days: int, events: list[tuple[int, int, int]]
) -> None:
    objective = Objective("a", window_ms=days * DAY_MS)
    rings = Rings(objective.scale, objective.window_ms)
    end_ms = 100 * DAY_MS
    for seconds, total, bad in sorted(events):
        rings.add(end_ms - 4_000_000 + seconds * 1000, np.array([total, bad, bad, bad]))
    for pair in PAIRS:
        for window_ms in scaled(pair, objective.scale, 1_000.0):
            ring = rings.fitting(window_ms)
            assert ring.covers(window_ms)
            # Known to a thirtieth of the window, but for the SLO's own, which is known to 1/720.
            assert ring.step_ms <= max(window_ms // 15, 1_000)
    total = rings.sum(end_ms, objective.window_ms)[0]
    assert total == sum(row[1] for row in events)


def test_memory_does_not_grow() -> None:
    rings = Rings(1.0, 30 * DAY_MS)
    before = rings.nbytes
    for hour in range(2000):
        rings.add(hour * HOUR, np.ones(4))
    assert rings.nbytes == before < 60_000
    assert [len(ring.cells) for ring in rings.rings] == list(SLOTS)
    assert steps_of(1.0, 30 * DAY_MS) == (10_000, 60_000, 600_000, HOUR)
    assert rings.sum(1999 * HOUR, 30 * DAY_MS)[0] == 720
