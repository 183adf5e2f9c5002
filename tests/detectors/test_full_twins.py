"""The full tier's hot parts against the obvious loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.full.alarm import Alarms, AlarmSettings
from detectors.full.rounds import slot_of
from detectors.full.tails import BINS, Tails

MEMORY = 20_000.0


class NaiveTail:
    """One component of one row."""

    def __init__(self) -> None:
        self.gate, self.excess = 0.0, 1.0
        self.counts: dict[int, float] = {}  # by half octave, decayed when read
        self.base: int | None = None

    def look(self, size: float, age: float, floor: float) -> float:
        gate = max(self.gate, floor)
        if age < 1:
            gate = max(size, floor)
        over = size > gate
        rate = max(1 / (1 + age / 4), 0.01)
        self.gate = gate * (1 + rate * ((1.0 if over else 0.0) - 0.1))
        return self._rare(size, gate, age) if over else 0.0

    def _rare(self, size: float, gate: float, age: float) -> float:
        low = 2 * math.log2(gate)
        if self.base is None or not 1 <= low - self.base < 9:
            self.base = math.floor(low) - 3
            kept = range(self.base, self.base + BINS)
            self.counts = {b: n for b, n in self.counts.items() if b in kept}
        ratio = 2 * math.log2(size) - low
        place = min(low + ratio, self.base + BINS - 1)
        own, weight = math.floor(place), math.exp(age / MEMORY)
        above = sum(n for b, n in self.counts.items() if b > own)
        above += self.counts.get(own, 0.0) * (own + 1 - place)
        nats = ratio * math.log(2) / 2
        further = math.exp(-min(1 / self.excess, 6.0) * nats)
        seen = MEMORY * (1 - math.exp(-age / MEMORY))
        share = (above / weight + further) / (seen + 10)
        self.counts[own] = self.counts.get(own, 0.0) + weight
        self.excess += 0.02 * (nats - self.excess)
        return min(max(-math.log10(max(share, 1e-30)), 0.0), 12.0)


@pytest.mark.parametrize("neighbours", [True, False])
@pytest.mark.parametrize("of_one_age", [True, False])
def test_tails_are_as_their_naive_twin_says(neighbours: bool, of_one_age: bool) -> None:
    rng = np.random.default_rng(3)
    rows = np.arange(2, 7) if neighbours else np.array([9, 0, 4, 5, 1])
    at = slice(2, 7) if neighbours else rows
    tails = Tails(3, 10)
    twins = [[NaiveTail() for _ in rows] for _ in range(3)]
    ages = np.zeros(1, np.float32) if of_one_age else np.array([0, 3, 0, 90, 7], np.float32)
    floor = np.full(5, 0.01, dtype=np.float32)
    swell = np.array([1.0, 30.0, 1e-3])
    for step in range(400):
        sizes = rng.exponential(1.0, (3, 5)) * (swell[:, None] if step > 200 else 1.0)
        residuals = sizes.astype(np.float32)
        found = tails.look(residuals, at, ages, floor)
        wanted = [
            [twin.look(float(size), float(age), 0.01) for twin, size, age in zip(*row, strict=True)]
            for row in zip(twins, residuals, [np.broadcast_to(ages, 5)] * 3, strict=True)
        ]
        np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-3)
        ages += 1.0


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([0.0, 5.0, 6.0, 7.0, 9.0, 14.0]), min_size=3, max_size=3)),
    st.booleans(),
)
def test_alarms_are_as_one_would_say_it(samples: list[list[float]], neighbours: bool) -> None:
    alarms, at = Alarms(4), slice(1, 4) if neighbours else np.array([1, 2, 3])
    said = AlarmSettings()
    held, since, bar = [0.0] * 3, [math.inf] * 3, [0.0] * 3
    for sample in samples:
        wanted = []
        for row, score in enumerate(sample):
            bar[row] *= math.exp(-1 / 4000)
            beat = 0.0 if since[row] >= 100 else held[row]
            less = score - bar[row]
            since[row] += 1
            if less > beat + said.margin and less > said.least:
                held[row], since[row] = less, 0
                bar[row] += said.fatigue * (1.0 + said.loud * (score - said.least))
                wanted.append(less)
            else:
                wanted.append(0.0)
        found = alarms.look(at, np.array(sample, dtype=np.float32))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


@given(st.lists(st.integers(-(10**13), 10**13), min_size=1), st.sampled_from([(1, 48), (7, 168)]))
def test_slots_are_parts_of_their_period(
    times_ms: list[int], days_and_slots: tuple[int, int]
) -> None:
    days, slots = days_and_slots
    period_ms = days * 86_400_000
    wanted = [at_ms % period_ms * slots // period_ms for at_ms in times_ms]
    found = slot_of(np.array(times_ms), period_ms, slots)
    assert np.broadcast_to(found, len(times_ms)).tolist() == wanted
