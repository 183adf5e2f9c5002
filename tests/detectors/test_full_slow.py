"""The slow baseline: an outage of a day stays one, and a wild sample moves nothing."""

from __future__ import annotations

import numpy as np

from detectors.full.slow import Slow


def play(slow: Slow, values: np.ndarray, begin: int = 0) -> np.ndarray:
    return np.array(
        [
            slow.look(
                slice(0, 1), np.array([age], dtype=np.float32), np.array([value], dtype=np.float32)
            )[0]
            for age, value in enumerate(values.tolist(), begin)
        ]
    )


def test_an_outage_of_a_day_stays_abnormal_after_a_fortnight() -> None:
    rng = np.random.default_rng(1)
    slow = Slow(1)
    assert np.median(play(slow, rng.normal(10, 1, 20_160))[2_000:]) < 1.0
    found = play(slow, rng.normal(20, 1, 1_440), 20_160)
    assert found[-100:].min() > 3.0


def test_one_wild_sample_moves_nothing() -> None:
    slow = Slow(1)
    play(slow, np.random.default_rng(2).normal(10, 1, 2_000))
    before = float(slow.mean[0])
    assert play(slow, np.array([1e9]), 2_000)[0] == 50.0
    assert abs(float(slow.mean[0]) - before) < 0.01
