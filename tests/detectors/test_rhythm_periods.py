"""Periods are found where there are some and not in noise of any colour; rings and shapes against naive twins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rhythm.follow import PROOF
from detectors.rhythm.periods import detrended, find, proof
from detectors.rhythm.rings import LENGTH, Rings
from detectors.rhythm.shape import fitted
from model.batch import Floats

Make = Callable[[np.random.Generator], Floats]
AT = np.arange(LENGTH)


def pulses(period: float, width: float, noise: float, jitter: float = 0.0) -> Make:
    """Beats of five, each bucket the mean of twenty finer ones."""

    def make(rng: np.random.Generator) -> Floats:
        fine, at = np.zeros(LENGTH * 20), rng.uniform(0, period)
        while at < LENGTH:
            begin = max(int((at + jitter * rng.normal()) * 20), 0)
            fine[begin : begin + int(width * 20)] += 5.0
            at += period
        return np.asarray(fine.reshape(LENGTH, 20).mean(axis=1) + noise * rng.normal(size=LENGTH))

    return make


def red(share: float) -> Make:
    def make(rng: np.random.Generator) -> Floats:
        values, noise = np.zeros(2 * LENGTH), rng.normal(size=2 * LENGTH)
        for at in range(1, len(values)):
            values[at] = share * values[at - 1] + noise[at]
        return values[LENGTH:]

    return make


def bursts(rng: np.random.Generator) -> Floats:
    return np.asarray((rng.random(LENGTH) < 0.03) * rng.lognormal(2, 1, LENGTH))


def irregular(rng: np.random.Generator) -> Floats:
    """Beats a fifth too early or too late."""
    values, at = rng.normal(0, 0.2, LENGTH), 5.0
    while at < LENGTH:
        values[int(at)] += 5.0
        at += max(3.0, 30.0 * (1 + 0.2 * rng.normal()))
    return values


def day(rng: np.random.Generator) -> Floats:
    return np.asarray(30 * np.sin(2 * np.pi * AT / 1440 + rng.random()) + red(0.7)(rng))


@pytest.mark.parametrize(
    ("make", "period"),
    [
        (pulses(20, 2, 0.3), 20.0),
        (pulses(7, 1, 0.3), 7.0),
        # No whole number of buckets.
        (pulses(37.4, 1, 0.3), 37.4),
        (pulses(90, 3, 0.3), 90.0),
        # A little sooner or later each time.
        (pulses(60, 3, 0.3, 0.5), 60.0),
        (lambda rng: 10 * np.sin(2 * np.pi * AT / 85.3) + 4 * rng.normal(size=LENGTH), 85.3),
        (lambda rng: AT % 53 / 10 + 0.5 * rng.normal(size=LENGTH), 53.0),
        # Upon what is slower.
        (lambda rng: pulses(45, 4, 0.3)(rng) + 10 * np.sin(AT / 229), 45.0),
        (lambda rng: pulses(45, 4, 0.3)(rng) + 0.2 * np.cumsum(rng.normal(size=LENGTH)), 45.0),
        # Two beats missing, one wild sample, a gap.
        (lambda rng: np.where((AT > 200) & (AT < 280), 0.0, pulses(40, 3, 0.3)(rng)), 40.0),
        (lambda rng: np.where(AT == 99, 1e6, pulses(40, 3, 0.3)(rng)), 40.0),
        (lambda rng: np.where((AT > 99) & (AT < 110), np.nan, pulses(40, 3, 0.3)(rng)), 40.0),
    ],
)
def test_a_period_is_found_to_a_fraction_of_a_bucket(make: Make, period: float) -> None:
    for seed in range(3):
        found = find(make(np.random.default_rng(seed)), PROOF)
        assert found is not None
        assert found.buckets == pytest.approx(period, abs=max(0.1, 0.015 * period))


@pytest.mark.parametrize(
    "make",
    [red(0.0), red(0.5), red(0.9), red(0.99), red(1.0), bursts, irregular, day,
     lambda rng: rng.standard_t(1.5, LENGTH), lambda rng: rng.lognormal(0, 1.5, LENGTH),
     lambda rng: rng.poisson(0.3, LENGTH).astype(float), lambda rng: np.zeros(LENGTH),
     lambda rng: np.full(LENGTH, np.nan), lambda rng: AT * 1.0, lambda rng: np.where(AT == 7, 1e30, 0.0)],
)  # fmt: skip
def test_noise_of_any_colour_has_none(make: Make) -> None:
    """One look in a hundred may err (the trial is for those): of twenty none or one."""
    found = [find(make(np.random.default_rng(seed)), PROOF) for seed in range(20)]
    assert sum(each is not None for each in found) <= 1


def test_the_proof_is_what_the_other_cycles_say() -> None:
    values = pulses(24, 3, 0.5)(np.random.default_rng(1))
    flat, first = detrended(values, 24.0)
    error = []
    for at, value in enumerate(flat):
        others = [flat[o] for o in range(len(flat)) if o != at and (o - at) % 24 == 0]
        error.append(value - np.mean(others))
    naive = 1 - np.sum(np.square(error)) / np.sum(np.square(flat))
    assert first == 12 and proof(values, 24.0) == pytest.approx(naive, abs=1e-9)


def test_strength_is_one_where_it_beats_and_none_where_it_does_not() -> None:
    values = pulses(40, 3, 0.2)(np.random.default_rng(2))
    shape = fitted(values, 1_000, 40.0)
    assert shape is not None and shape.steady > 0.8
    gone = values.copy()
    gone[300:] = 0.2 * np.random.default_rng(3).normal(size=LENGTH - 300)
    strength, judged = shape.strength(gone, 1_000)
    assert strength[:300][judged[:300]].min() > 0.7
    assert judged[345:].any() and np.abs(strength[345:][judged[345:]]).max() < 0.3
    # What is missing says nothing.
    gone[300:] = np.nan
    assert not shape.strength(gone, 1_000)[1][345:].any()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 90), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.integers(0, 2),
)
def test_rings_hold_the_means_of_their_buckets(steps: list[tuple[int, float]], widen: int) -> None:
    rings, place, at_s, kept = Rings(), np.array([1]), 7_000, []
    rings.ensure(3)
    rings.begin(np.array([1]), np.array([5_000.0]))
    for passed_s, value in steps:
        at_s += passed_s
        kept.append((at_s * 1000, value))
        rings.take(place, np.array([at_s * 1000]), np.array([value]))
    first, values = rings.last(1, LENGTH)
    for number, mean in enumerate(values, first):
        inside = [value for at_ms, value in kept if at_ms // 5_000 == number]
        if inside:
            assert mean == pytest.approx(np.mean(inside), rel=1e-5, abs=1e-2)
        else:
            assert np.isnan(mean)
    for _ in range(widen):
        rings.widen(1)
    first, wide = rings.last(1, LENGTH)
    assert int(rings.rows["open"][1]) == at_s * 1000 // (5_000 << widen)
    assert len(wide) == 0 or first * (5_000 << widen) >= 7_000_000 - (5_000 << widen)
    good = np.isfinite(wide)
    if good.any():
        every = [value for _, value in kept]
        assert min(every) - 1 <= wide[good].min() and wide[good].max() <= max(every) + 1
