"""Spikes: far by the series' own extremes, unless it came at this time yesterday."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from detectors.full.combine import COMPONENTS
from detectors.full.spikes import Spikes, median_of_seven, median_of_three
from detectors.full.tier import FullTier

START_MS = 1_767_571_200_000
MINUTE_MS = 60_000
DAY = 1440


def spikes(*series: np.ndarray) -> np.ndarray:
    """Points by minute of series beside each other, shape (n_samples, n_series); of one alone, its points."""
    count, rows = len(series), np.arange(len(series))
    view, floor = Spikes(count), np.full(count, 1e-3, np.float32)
    out = [
        view.look(slice(0, count), rows, np.full(count, START_MS + step * MINUTE_MS), sample, floor)
        for step, sample in enumerate(np.stack(series, axis=1).astype(np.float32))
    ]
    return np.array(out).squeeze()


def noise(steps: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(50.0, 1.0, steps)


def naive(values: np.ndarray) -> np.ndarray:
    """The same, a sample at a time, as one would say it."""
    samples = values.astype(np.float32).tolist()
    past = [samples[0]] * 9  # as if it had always been so
    errors, medians = [0.0] * 3, [samples[0]] * 2
    level, moved = samples[0], 0
    gates, squares, rests = ([0.0] * 2 for _ in range(3))
    yesterday: dict[int, list[float]] = {}
    today: dict[int, list[float]] = {}
    out = []
    for step, value in enumerate(samples):
        slot = step % DAY // 10
        if step % DAY == 0:
            yesterday, today = today, {}
        three = (value + past[-1] + past[-2]) / 3
        median = float(np.median(past[-7:]))
        sizes = [abs(value - median - float(np.median(errors[-3:]))), abs(three - medians[-2])]
        reach = max(gates[0], 1e-3) if step > 20 else np.inf
        moves = sizes[0] > 1e-3 or step <= 200
        share = 60 / 6000 if step else 0.001
        points = 0.0
        for view, (size, judged) in enumerate(zip(sizes, (value, three), strict=True)):
            new = size
            if slot in yesterday:
                low, high = min(yesterday[slot]) + level, max(yesterday[slot]) + level
                new = min(size, max(low - judged, judged - high, 0.0))
            lesson = max(new, size / 2) + 1e-3
            gate = max(gates[view], 1e-3)
            far = max(np.log((new + 1e-3) / gate), 0.0)
            points = max(points, min((7.5, 5.25)[view] * far**2, 40.0))
            if not moves:
                continue
            if rests[view]:
                rests[view] -= 1
            else:
                rate = max(50 / (20 + moved), 0.005)
                rests[view] = 4 if lesson > gate else 0
                gate *= 1.0 + rate * ((lesson > gate) - share)
                gates[view] = max(gate, np.sqrt(squares[view]) / 2, 1e-3)
            keep = max(1.0 / (1.0 + moved), 1 / 20_000)
            squares[view] += keep * (lesson**2 - squares[view])
        moved += moves
        out.append(points if step >= 200 else 0.0)
        today.setdefault(slot, []).append(value - level)
        level += max(1 / 30, 1 / (1 + step)) * min(max(value - level, -reach), reach)
        errors.append(value - median)
        medians.append(median)
        past.append(value)
    return np.array(out)


def test_as_the_naive_twin_says() -> None:
    values = noise(3 * DAY)
    values[[500, 501, 2000, 3000, 3001, 3002, 3003]] += 20.0
    found = spikes(values)
    np.testing.assert_allclose(found, naive(values), rtol=0.02, atol=0.05)
    assert found[500] > 12.0 and found[3000] > 12.0


@settings(deadline=None)
@given(arrays.arrays(np.float32, (7, 5), elements=st.floats(-1e6, 1e6, width=32)))
def test_the_median_of_seven_is_the_median(ring: np.ndarray) -> None:
    np.testing.assert_array_equal(median_of_seven(ring), np.median(ring, axis=0))


@settings(deadline=None)
@given(arrays.arrays(np.float32, (3, 5), elements=st.floats(-1e6, 1e6, width=32)))
def test_the_median_of_three_is_the_median(ring: np.ndarray) -> None:
    np.testing.assert_array_equal(median_of_three(ring), np.median(ring, axis=0))


def test_what_comes_every_day_is_no_spike_from_the_second_day_on() -> None:
    values = noise(4 * DAY)
    for day in range(4):
        values[day * DAY + 903 : day * DAY + 905] += 40.0  # a backup at five past three
    another = values.copy()
    another[3 * DAY + 600] += 40.0  # at another time it is one
    found, again = spikes(values, another).T
    assert found[903] > 12.0
    assert max(found[day * DAY + 903 : day * DAY + 905].max() for day in (1, 2, 3)) < 12.0
    assert again[3 * DAY + 600] > 12.0


def test_to_an_idle_series_that_bursts_a_burst_is_nothing_new() -> None:
    rng = np.random.default_rng(5)
    steps = 4 * DAY
    bursts = np.where(rng.random(steps) < 0.03, rng.lognormal(2.0, 0.5, steps), 0.0)
    bursts[-3] = 3000.0
    found = spikes(bursts)
    assert (found[2 * DAY : -3] > 12.0).mean() < 5e-4
    assert found[-3] > 12.0


def test_a_sag_that_no_sample_alone_tells_is_told_by_three_together() -> None:
    values = noise(2 * DAY)
    alone = values.copy()
    alone[-1] -= 4.5
    values[-3:] -= 4.5
    sag, dip = spikes(values, alone)[-1]
    assert sag > dip


def test_rows_apart_and_beside_each_other_learn_alike() -> None:
    """A slice of rows is a view of the state and a list of rows a copy: neither may see what was just learnt."""
    both, apart, rows = Spikes(3), Spikes(3), np.array([0, 2])
    floor = np.full(2, 1e-3, np.float32)
    series = np.stack((noise(500), noise(500, seed=3))).astype(np.float32)
    for step in range(500):
        times_ms = np.full(2, START_MS + step * MINUTE_MS)
        one = both.look(slice(0, 2), np.array([0, 1]), times_ms, series[:, step], floor)
        two = apart.look(rows, rows, times_ms, series[:, step], floor)
        np.testing.assert_array_equal(one, two)
    for (_, mine), theirs in zip(both.arrays().items(), apart.arrays().values(), strict=True):
        np.testing.assert_array_equal(mine[..., [0, 1]], theirs[..., rows])


@pytest.mark.parametrize(("every_s", "spikes"), [(15, True), (60, True), (300, False)])
def test_what_comes_every_fifty_minutes_is_not_extreme_however_often_one_looks(
    every_s: int, spikes: bool
) -> None:
    """But of a series of five minutes one sample in a hundred is the measure: noise alone stays below it."""
    view, row, floor = Spikes(1), np.array([0]), np.full(1, 1e-3, np.float32)
    values = noise(10 * DAY).astype(np.float32)
    if spikes:
        values[:: 3_000 // every_s] += 20.0
    above = 0
    for step, value in enumerate(values):
        at_ms = np.array([START_MS + step * every_s * 1_000])
        points = view.look(slice(0, 1), row, at_ms, values[step : step + 1], floor)
        above += bool(step > 5 * DAY and (points > 0.0).any() and value < 10.0)
    if spikes:
        assert float(view.extremes.gate[0, 0]) > 5.0
    assert above < 0.03 * 5 * DAY


def test_the_tier_tells_a_spike_and_shows_its_band() -> None:
    tier, rows = FullTier(2), np.arange(2)
    values = np.stack((noise(2 * DAY), noise(2 * DAY, seed=3)), axis=1)
    values[-1, 1] += 15.0
    for step, sample in enumerate(values[:-1]):
        times_ms = np.full(2, START_MS + step * MINUTE_MS)
        tier.alarms(rows, tier.score(rows, times_ms, sample))
    times_ms = times_ms + MINUTE_MS
    middle, reach = (each[COMPONENTS.index("spike")] for each in tier.expected(rows, times_ms))
    assert (middle - reach <= 50.0).all() and (middle + reach >= 50.0).all()
    assert middle[1] + reach[1] < values[-1, 1]
    scores = tier.score(rows, times_ms, values[-1])
    told = tier.alarms(rows, scores)
    assert scores[1] > 12.0 > scores[0]
    assert told[1] > 5.5 and told[0] == 0.0


def test_a_snapshot_of_the_former_spikes_loads_and_begins_them_anew() -> None:
    """They had one gate a row; names whose shape or meaning changed are new ones."""
    tier, rows = FullTier(3), np.arange(3)
    for step, value in enumerate(noise(400)):
        tier.score(rows, np.full(3, START_MS + step * MINUTE_MS), np.full(3, value))
    arrays_of = tier.arrays()
    kept = {n: a for n, a in arrays_of.items() if not n.startswith("spikes.")}
    kept["spikes.ring"], kept["spikes.turn"] = arrays_of["spikes.ring"], arrays_of["spikes.turn"]
    for name in ("gate", "square", "rest", "seen"):
        kept[f"spikes.{name}"] = np.full(3, 400.0, np.float32)
    kept["spikes.envelope.low"] = np.zeros((144, 3), np.float32)
    fresh = FullTier(1)
    fresh.restore(kept)
    assert fresh.ages(rows).tolist() == [400.0] * 3
    learnt = fresh.arrays()
    assert (learnt["spikes.learnt"] == 0.0).all()
    assert np.isnan(learnt["spikes.yesterday.low"]).all()


def test_a_snapshot_older_than_these_views_loads() -> None:
    tier, rows = FullTier(3), np.arange(3)
    for step, value in enumerate(noise(400)):
        tier.score(rows, np.full(3, START_MS + step * MINUTE_MS), np.full(3, value))
    later = ("spikes.", "spike_alarms.", "last", "day.phases.", "week.phases.", "spread.")
    old = {name: array for name, array in tier.arrays().items() if not name.startswith(later)}
    old["levels.short"] = old["levels.mean"]  # a level that nothing asked for: it was kept once
    fresh = FullTier(1)
    fresh.restore(old)
    assert fresh.capacity == 3 and fresh.ages(rows).tolist() == [400.0] * 3
    for step, value in enumerate(noise(400, seed=9)):
        score = fresh.score(
            rows, np.full(3, START_MS + (400 + step) * MINUTE_MS), np.full(3, value)
        )
        assert (score < 12.0).all()
