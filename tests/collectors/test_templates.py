"""The template miner: stable numbers, bounds, restart, and grouping."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.settings import TemplateSettings
from collectors.templates import OVERFLOW, TemplateMiner
from model.errors import SnapshotError

MESSAGES = st.lists(
    st.lists(
        st.sampled_from(
            ["user", "ann", "bob", "cy", "dan-1", "x_y", "took", "5ms", "failed", "a.b"]
        ),
        min_size=1,
        max_size=4,
    ).map(" ".join),
    max_size=60,
)


@settings(deadline=None)
@given(MESSAGES)
def test_one_batch_of_many_equals_many_of_one(messages: list[str]) -> None:
    one, many = TemplateMiner(), TemplateMiner()
    numbers = one.mine(messages)
    assert numbers == [many.mine([message])[0] for message in messages]
    assert [one.text(n) for n in numbers] == [many.text(n) for n in numbers]


@settings(deadline=None)
@given(MESSAGES, MESSAGES)
def test_restored_miner_goes_on_as_the_first(before: list[str], after: list[str]) -> None:
    first, second = TemplateMiner(), TemplateMiner()
    first.mine(before)
    second.load(first.save())
    assert second.save() == first.save()
    assert first.mine(after) == second.mine(after)
    assert first.save() == second.save()


@settings(deadline=None)
@given(MESSAGES)
def test_a_merged_number_is_replaced_by_a_lower_one_for_good(messages: list[str]) -> None:
    miner = TemplateMiner()
    numbers = miner.mine(messages)
    again = miner.mine(messages)
    assert all(
        miner.current(old) == miner.current(new) for old, new in zip(numbers, again, strict=True)
    )
    assert all(miner.current(old) <= old for old in numbers)


def test_words_become_a_parameter_after_enough_values() -> None:
    miner = TemplateMiner()
    names = [f"user {name} is locked out" for name in ("ann", "bob")]
    assert len(set(miner.mine(names))) == 2
    (number,) = miner.mine(["user cy is locked out"])
    assert miner.text(number) == "user <*> is locked out"
    assert miner.mine(names) == [number, number]
    # An ordinary word needs more: what failed is not a name.
    verbs = ["call was " + verb for verb in ("made", "lost", "slow", "late", "fine")]
    assert len(set(miner.mine(verbs))) == 5


def test_single_words_never_become_one_template() -> None:
    miner = TemplateMiner()
    assert len(set(miner.mine([f"on{letter}Start" for letter in "ABCDEFGHIJKLMNOP"]))) == 16


def test_templates_are_bounded_and_the_rest_counted() -> None:
    miner = TemplateMiner(TemplateSettings(templates_max=3))
    letters = ["a a", "b c", "d e f", "g h i j", "k l"]
    numbers = miner.mine(letters)
    assert numbers == [1, 2, 3, OVERFLOW, OVERFLOW]
    assert miner.mine(letters) == numbers
    assert miner.counters()["tocsin_log_templates_overflowed_total"] == 4


def test_contexts_are_bounded() -> None:
    miner = TemplateMiner(TemplateSettings(contexts_max=50))
    miner.mine([f"{'abcdefghij'[n % 10]} was {chr(97 + n // 10) * 3} today" for n in range(200)])
    assert len(miner._contexts) <= 50 + 4


def test_memory_of_keys_starts_anew_without_changing_numbers() -> None:
    small, large = TemplateMiner(TemplateSettings(keys_max=2)), TemplateMiner()
    messages = ["a b", "c d e", "f took 4", "a b", "g h", "f took 9", "c d e"]
    assert small.mine(messages) == large.mine(messages)


def test_a16_pathological_message() -> None:
    miner = TemplateMiner()
    (number,) = miner.mine(["a=" * 100_000 + " " + "x " * 10_000])
    assert len(miner.text(number)) < 10_000
    assert miner.mine([""]) != [number]


def test_f20_damaged_snapshot_is_refused_and_changes_nothing() -> None:
    miner = TemplateMiner()
    miner.mine(["a b"])
    saved = miner.save()
    with pytest.raises(SnapshotError):
        miner.load(saved.replace(b'"a b"', b'"a c"'))
    assert miner.save() == saved
