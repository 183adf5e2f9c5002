"""The contract of the full tier: gaps, NaN, restored state, batches, forgotten rows; and that it notices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.full.tier import FullTier
from detectors.snapshot import pack
from model.errors import SnapshotError

START_MS = 1_767_571_200_000
STEP_MS = 300_000


def play(tier: FullTier, values: np.ndarray, begin: int = 0) -> np.ndarray:
    """Alarms and scores of `values`, shape (n_steps, n_rows)."""
    rows = np.arange(values.shape[1])
    out = []
    for step, sample in enumerate(values, begin):
        scores = tier.score(rows, np.full(len(rows), START_MS + step * STEP_MS), sample)
        out.append(np.stack((scores, tier.alarms(rows, scores))))
    return np.array(out)


def noise(steps: int, rows: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(10.0, 1.0, (steps, rows))


def test_a_hundred_rows_at_once_or_one_by_one() -> None:
    values = noise(60, 100)
    together, apart = FullTier(100), FullTier(100)
    wanted = play(together, values)
    for step, sample in enumerate(values):
        order = np.random.default_rng(step).permutation(100)
        for row in order.tolist():
            one = np.array([row])
            at_ms = np.array([START_MS + step * STEP_MS])
            score = apart.score(one, at_ms, sample[one])
            alarm = apart.alarms(one, score)
            np.testing.assert_allclose((score[0], alarm[0]), wanted[step, :, row], rtol=1e-4)


def of_all_kinds(steps: int, rows: int) -> np.ndarray:
    """Noise, constants, zeros, bursts, what only grows, shifts, the huge and the tiny, by row in turn."""
    rng = np.random.default_rng(6)
    usual = rng.normal(10.0, 1.0, (steps, rows))
    step, burst = np.arange(steps)[:, None], rng.random((steps, rows)) < 0.05
    kinds = (
        usual, np.full_like(usual, 7.0), np.zeros_like(usual), burst * usual, usual.cumsum(axis=0),
        usual + 9.0 * (step > steps // 2), usual * 1e20, usual * 1e-20,
    )  # fmt: skip
    return np.choose(np.arange(rows) % len(kinds), kinds)


@pytest.mark.parametrize("age", [None, 1_000_000.0, 2_879_900.0])
def test_neighbours_and_scattered_rows_of_one_age_and_of_several_learn_alike(
    age: float | None,
) -> None:
    """To the bit: a slice of rows, a list of them, ages asked once and ages asked row by row."""
    values = of_all_kinds(300, 40)
    slices, lists, mixed = FullTier(40), FullTier(80), FullTier(41)
    # One row is older by a sample from now on.
    mixed.score(np.array([40]), np.array([START_MS]), np.ones(1))
    of = {"slices": np.arange(40), "lists": np.arange(0, 80, 2)[::-1], "mixed": np.arange(41)}
    for step, sample in enumerate(values):
        if step == 100 and age is not None:
            for tier in (slices, lists, mixed):
                tier._age[:] += np.float32(age)
        found = []
        for tier, rows in zip((slices, lists, mixed), of.values(), strict=True):
            times_ms = np.full(len(rows), START_MS + step * STEP_MS)
            scores = tier.score(rows, times_ms, np.resize(sample, len(rows)))
            found.append(np.stack((scores, tier.alarms(rows, scores)))[:, :40])
        np.testing.assert_array_equal(found[1], found[0])
        np.testing.assert_array_equal(found[2], found[0])
    wanted = slices.arrays()
    for tier, rows in ((lists, of["lists"]), (mixed, of["mixed"][:40])):
        part = tier.part(rows).arrays()
        for name in wanted.keys() - {"calibration.counts"}:
            np.testing.assert_array_equal(part[name], wanted[name], err_msg=name)


@pytest.mark.parametrize("cut", [1, 33, 120])
def test_restored_state_equals_uninterrupted(cut: int) -> None:
    values = noise(160, 7)
    values[140] += 30.0
    whole, first, second = FullTier(7), FullTier(7), FullTier(7)
    wanted = play(whole, values)
    play(first, values[:cut])
    second.load(first.save())
    np.testing.assert_array_equal(play(second, values[cut:], cut), wanted[cut:])
    assert second.save() == whole.save()


def test_a14_a_damaged_or_foreign_snapshot_is_refused_and_changes_nothing() -> None:
    tier = FullTier(3)
    play(tier, noise(50, 3))
    data = tier.save()
    broken = bytearray(data)
    broken[len(broken) // 2] ^= 1
    wrong = pack({"age": np.zeros(3, dtype=np.float32)}, {"kind": "full tier 1"})
    for bad in (bytes(broken), data[:-1], b"", FullTier(4).save(), pack({}, {}), wrong):
        with pytest.raises(SnapshotError):
            tier.load(bad)
    assert tier.save() == data


def test_inputs_are_not_written() -> None:
    tier, rows = FullTier(4), np.arange(4)
    times_ms, values = np.full(4, START_MS), np.array([1.0, np.nan, np.inf, 1e300])
    for array in (rows, times_ms, values):
        array.setflags(write=False)
    tier.alarms(rows, tier.score(rows, times_ms, values))


def test_f26_what_is_not_finite_scores_nan_and_leaves_no_trace() -> None:
    values = noise(100, 2)
    clean, holed = FullTier(2), FullTier(2)
    play(clean, values)
    rows = np.arange(2)
    for step, sample in enumerate(values):
        times_ms = np.full(2, START_MS + step * STEP_MS)
        for bad in (np.nan, np.inf, -np.inf):
            assert np.isnan(holed.score(rows, times_ms, np.full(2, bad))).all()
        holed.alarms(rows, holed.score(rows, times_ms, sample))
    assert holed.save() == clean.save()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(-5, 2_000),
            st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e308, -1e308, 5.0, np.nan, np.inf, 1e-30]),
        ),
        max_size=150,
    )
)
def test_f26_scores_are_numbers_whatever_comes(samples: list[tuple[int, float]]) -> None:
    """Huge, tiny, constant, back in time, after a gap of weeks."""
    tier, row = FullTier(2), np.array([1])
    for minute, value in samples:
        at_ms = np.array([START_MS + minute * 3_600_000])
        score = tier.score(row, at_ms, np.array([value]))
        alarm = tier.alarms(row, score)
        assert np.isfinite(score[0]) == np.isfinite(value)
        assert np.isfinite(alarm[0]) and alarm[0] >= 0.0
    FullTier(2).load(tier.save())


def test_a_forgotten_row_begins_anew_and_its_neighbours_do_not() -> None:
    tier, other = FullTier(3), FullTier(3)
    values = noise(120, 3)
    play(tier, values)
    play(other, values)
    tier.forget(np.array([1]))
    again = noise(120, 3, seed=2)
    fresh = play(FullTier(3), again)
    after, kept = play(tier, again), play(other, again)
    np.testing.assert_array_equal(after[:, :, 1], fresh[:, :, 1])
    np.testing.assert_array_equal(after[:, :, [0, 2]], kept[:, :, [0, 2]])


def test_an_old_row_goes_on_counting() -> None:
    tier = FullTier(1)
    play(tier, noise(50, 1))
    tier._age[:] = 2_879_999.0
    tier._tails.epoch[:] = tier._combination.tails.epoch[:] = 2_879_000.0
    found = play(tier, noise(50, 1))
    assert np.isfinite(found).all()
    assert 1_440_000 < tier._age[0] < 1_440_100


@pytest.mark.parametrize("kind", ["spike", "level", "hour"])
def test_it_notices(kind: str) -> None:
    """After a fortnight: a spike, a shift, a usual value at an unusual hour."""
    steps = 14 * 288
    rng = np.random.default_rng(4)
    time = np.arange(steps + 40)
    values = 100 + 30 * np.sin(2 * np.pi * time / 288) + rng.normal(0, 2, len(time))
    late = slice(steps, None)
    usual = play(FullTier(1), values[:, None])[:, 0, 0]
    values[late] = {
        "spike": np.where(time[late] == steps + 5, 190.0, values[late]),
        "level": values[late] + 25.0,
        "hour": values[steps - 144 : steps - 104],
    }[kind]
    found = play(FullTier(1), values[:, None])
    assert found[late, 0, 0].max() > 1.3 * usual[steps // 2 :].max()
    assert found[late, 1, 0].max() > 0.0


def test_peeking_scores_as_scoring_does_and_learns_nothing() -> None:
    tier, other = FullTier(5), FullTier(5)
    values = noise(80, 5)
    play(tier, values)
    play(other, values)
    before = tier.save()
    rows = np.array([3, 0, 4])
    times_ms, sample = np.full(3, START_MS + 80 * STEP_MS), np.array([10.0, 60.0, np.nan])
    peeked = tier.peek(rows, times_ms, sample)
    assert tier.save() == before
    np.testing.assert_allclose(peeked, other.score(rows, times_ms, sample), rtol=1e-5)
    assert len(tier.peek(rows[:0], times_ms[:0], sample[:0])) == 0


def test_a_grown_tier_goes_on_where_it_was() -> None:
    values = noise(160, 9)
    whole, grown = FullTier(9), FullTier(2)
    wanted = play(whole, values)
    np.testing.assert_array_equal(play(grown, values[:80, :2]), wanted[:80, :, :2])
    grown.grow(9)
    late = play(grown, values[80:], 80)
    np.testing.assert_array_equal(late[:, :, :2], wanted[80:, :, :2])
    np.testing.assert_array_equal(late[:, :, 2:], play(FullTier(7), values[80:, 2:], 80))


def test_some_rows_are_kept_and_restored() -> None:
    tier, other = FullTier(6), FullTier(1)
    play(tier, noise(50, 6))
    kept = tier.part(np.array([5, 1]))
    other.restore(kept.arrays(2))
    assert other.capacity == 2
    again = noise(20, 6, seed=3)
    np.testing.assert_array_equal(
        play(other, again[:, [5, 1]], 50), play(tier, again, 50)[:, :, [5, 1]]
    )
    with pytest.raises(SnapshotError):
        other.restore({"age": np.zeros(2, dtype=np.float32)})


def test_what_is_expected_follows_the_hour() -> None:
    time = np.arange(3 * 288)
    tier = FullTier(1)
    play(tier, (100 + 30 * np.sin(2 * np.pi * time / 288))[:, None])
    expected, sizes = tier.expected(np.array([0]), np.array([START_MS + 72 * STEP_MS]))
    assert abs(expected[2, 0] - 130) < 3 and abs(expected[0, 0] - 100) < 12
    assert (sizes >= 0).all() and sizes[2, 0] < sizes[0, 0]
