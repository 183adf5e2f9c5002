"""Spikes: far by the series' own extremes, unless it came at this time yesterday."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from detectors.full.combine import COMPONENTS
from detectors.full.spikes import Spikes, median_of_seven
from detectors.full.tier import FullTier

START_MS = 1_767_571_200_000
MINUTE_MS = 60_000
DAY = 1440


def spikes(values: np.ndarray) -> np.ndarray:
    """Points of a series by minute."""
    view, at, row = Spikes(1), slice(0, 1), np.array([0])
    floor = np.full(1, 1e-3, np.float32)
    out = [
        view.look(at, row, np.array([START_MS + step * MINUTE_MS]), np.array([value]), floor)[0]
        for step, value in enumerate(values.astype(np.float32))
    ]
    return np.array(out)


def noise(steps: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(50.0, 1.0, steps)


def naive(values: np.ndarray) -> np.ndarray:
    """The same, a sample at a time, as one would say it."""
    gate = mean_square = rest = 0.0
    yesterday: dict[int, list[float]] = {}
    today: dict[int, list[float]] = {}
    out = []
    samples = values.astype(np.float32).tolist()
    for step, value in enumerate(samples):
        slot = step % DAY // 10
        if step % DAY == 0:
            yesterday, today = today, {}
        recent = samples[max(0, step - 7) : step]
        level = float(np.median([samples[0]] * (7 - len(recent)) + recent))
        distance = abs(value - level)
        if slot in yesterday:
            seen = yesterday[slot]
            distance = min(distance, max(min(seen) - value, value - max(seen), 0.0))
        distance += 1e-3
        gate = max(gate, 1e-3)
        far = max(np.log(distance / max(gate, 2.0 * np.sqrt(mean_square))), 0.0)
        out.append(min(6.7 * far**2, 40.0) if step >= 200 else 0.0)
        if rest:
            rest -= 1
        else:
            rate = max(1.0 / (1.0 + step / 20.0), 0.002)
            rest = 4 if distance > gate else 0
            gate *= 1.0 + 2.5 * rate * ((distance > gate) - 0.01)
            gate = max(gate, np.sqrt(mean_square))
        mean_square += max(1.0 / (1.0 + step), 1 / 20_000) * (distance**2 - mean_square)
        today.setdefault(slot, []).append(value)
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


def test_what_comes_every_day_is_no_spike_from_the_second_day_on() -> None:
    values = noise(4 * DAY)
    for day in range(4):
        values[day * DAY + 903 : day * DAY + 905] += 40.0  # a backup at five past three
    found = spikes(values)
    assert found[903] > 12.0
    assert max(found[day * DAY + 903 : day * DAY + 905].max() for day in (1, 2, 3)) < 12.0
    values[3 * DAY + 600] += 40.0  # at another time it is one
    assert spikes(values)[3 * DAY + 600] > 12.0


def test_to_an_idle_series_that_bursts_a_burst_is_nothing_new() -> None:
    rng = np.random.default_rng(5)
    steps = 7 * DAY
    bursts = np.where(rng.random(steps) < 0.03, rng.lognormal(2.0, 0.5, steps), 0.0)
    assert (spikes(bursts)[2 * DAY :] > 12.0).mean() < 5e-4
    bursts[-3] = 3000.0
    assert spikes(bursts)[-3] > 12.0


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
