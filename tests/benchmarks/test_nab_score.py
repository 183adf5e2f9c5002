"""NAB's score by the paper's definition, and against a sweep that tries every threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.nab_score import PROFILES, Profile, Truth, at_threshold, normal, optimum, steps

STANDARD = PROFILES[0]
TRUTH = Truth(1000, ((400, 449), (700, 749)))


def told(*points: int) -> np.ndarray:
    scores = np.zeros(1000)
    scores[list(points)] = 1.0
    return scores


def raw(truth: Truth, scores: np.ndarray, profile: Profile = STANDARD) -> float:
    return at_threshold([steps(truth, scores, profile)], 1.0, profile)


def worth(position: float) -> float:
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


@pytest.mark.parametrize(
    ("points", "wanted"),
    [
        # Silence: each window is missed.
        ((), -2.0),
        # Both at their first points: perfect.
        ((400, 700), 2.0),
        # More alarms in a window neither gain nor cost.
        ((400, 401, 449, 700), 2.0),
        # The last point of a window is worth little.
        ((449, 700), 1.0 + worth(-1 / 50) / worth(-1.0)),
        # Before any window a false alarm costs in full, in the probation nothing.
        ((149, 400, 700), 2.0),
        ((150, 400, 700), 2.0 - 0.11),
        # Just behind a window it costs little, far behind it everything.
        ((400, 450, 700), 2.0 + 0.11 * worth(1 / 49)),
        ((400, 699, 700), 2.0 - 0.11),
    ],
)
def test_each_rule(points: tuple[int, ...], wanted: float) -> None:
    assert raw(TRUTH, told(*points)) == pytest.approx(wanted)


def test_profiles_weigh_false_alarms_and_misses() -> None:
    low_fp, low_fn = PROFILES[1:]
    assert raw(TRUTH, told(200, 400), low_fp) == pytest.approx(1.0 - 1.0 - 0.22)
    assert raw(TRUTH, told(200, 400), low_fn) == pytest.approx(1.0 - 2.0 - 0.11)


@pytest.mark.parametrize("profile", PROFILES)
def test_silence_is_0_and_perfection_100(profile: Profile) -> None:
    perfect = optimum([steps(TRUTH, told(400, 700), profile)], profile)
    assert perfect.score == pytest.approx(100.0)
    assert optimum([steps(TRUTH, told(), profile)], profile).score == pytest.approx(0.0)


def test_published_raw_scores_normalise_to_the_published_ones() -> None:
    # config/thresholds.json against the table of the README, 116 windows.
    assert normal(46.634450197137596, 116, STANDARD) == pytest.approx(70.101, abs=1e-3)
    assert normal(57.66075157860638, 116, STANDARD) == pytest.approx(74.854, abs=1e-3)


def naive(truth: Truth, scores: np.ndarray, threshold: float, profile: Profile) -> float:
    """Row by row, as NAB's sweeper tells it."""
    parts = dict.fromkeys(range(len(truth.windows)), -profile.false_negative)
    false = 0.0
    for i in range(truth.probation, truth.points):
        if scores[i] < threshold:
            continue
        past = None
        for number, (left, right) in enumerate(truth.windows):
            if left <= i <= right:
                found = worth(-(right - i + 1) / (right - left + 1)) / worth(-1.0)
                parts[number] = max(parts[number], found)
                break
            if i > right:
                past = (left, right)
        else:
            if past is None:
                false -= profile.false_positive
            else:
                behind = (i - past[1]) / (past[1] - past[0])
                value = -1.0 if behind > 3 else worth(behind)
                false += profile.false_positive * value
    return sum(parts.values()) + false


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(PROFILES))
def test_the_sweep_finds_what_trying_each_threshold_finds(seed: int, profile: Profile) -> None:
    rng = np.random.default_rng(seed)
    truth = Truth(120, ((30, 39), (60, 79)))
    scores = np.round(rng.random(120), 1)
    made = steps(truth, scores, profile)
    every = [naive(truth, scores, t, profile) for t in [*np.unique(scores).tolist(), 2.0]]
    assert optimum([made], profile).raw == pytest.approx(max(every))
    for threshold in (0.3, 0.8):
        assert at_threshold([made], threshold, profile) == pytest.approx(
            naive(truth, scores, threshold, profile)
        )
