"""The template miner: stable numbers, bounds, restart, and grouping."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.settings import TemplateSettings
from collectors.snapshot import seal, unseal
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


# One template each: the freedoms of writing that are no difference of meaning, and what stays apart.
SAME = [
    # A unit, and a size told again in brackets.
    ("sent 5 bytes in 3 ms", "sent 7 KB (7168 bytes) in <1 sec", "sent 5 bytes in 00:02"),
    # Lists of any length; brackets that enclose them.
    ("peers [10.0.0.1:1] up", "peers [10.0.0.1:1, 10.0.0.2:1, 10.0.0.3:1] up"),
    # A run of records.
    ("nodes n1 0x1 <ok> n2 0x2 <ok>", "nodes n1 0x1 <ok> n2 0x2 <ok> n3 0x3 <ok>"),
    # Blanks within quotes, within an object's braces, within a call.
    ('lock tag="View Lock", uid=1', 'lock tag="View", uid=2'),
    ("info Task{1f a.b.C}, 0", "info Task{2e}, 1", "info Task{3d of u0 x t7}, 2"),
    ("gone Surface(name=Main) now", "gone Surface(name=View - a/b) now"),
    # Packages, hosts and hexadecimal words.
    ("send org.apache.a.B to db.example.org", "send org.apache.c.D to www.example.com"),
    ("dump 00000000 10000000", "dump ffffffff 10000000"),
    # Addresses at the very front, beside a bare value there.
    ("10.0.0.1:80 refused it", "wpad:80 refused it", "proxy:81 refused it"),
]
APART = [
    # What a message begins with, exceptions, and states that are told apart by a word.
    ("a.purge.interval set to 3", "a.tick.time set to 3", "b.max.x set to 1", "b.min.x set to 2"),
    ("caught java.io.IOException: disk", "caught java.lang.IllegalStateException: disk"),
    ("openFile(3)", "closeFile(3)"),
    ("link is up", "link is down"),
]


@pytest.mark.parametrize("messages", SAME)
def test_ways_of_writing_are_one_template(messages: tuple[str, ...]) -> None:
    miner = TemplateMiner()
    miner.mine(messages)
    assert len(set(miner.mine(messages))) == 1


@pytest.mark.parametrize("messages", APART)
def test_different_messages_stay_apart(messages: tuple[str, ...]) -> None:
    miner = TemplateMiner()
    miner.mine(messages)
    assert len(set(miner.mine(messages))) == len(messages)


def test_the_shown_text_keeps_units_and_loses_what_became_a_parameter() -> None:
    miner = TemplateMiner()
    (number,) = miner.mine(["user ann took 3 ms (0.003 s)"])
    assert miner.text(number) == "user ann took <*> ms"
    (*_, number) = miner.mine(["user bob took 3 s", "user cy took 1 min"])
    assert miner.text(number) == "user <*> took <*> ms"


def test_f25_a_snapshot_of_before_texts_had_units_is_read() -> None:
    old, new = TemplateMiner(), TemplateMiner()
    (number,) = old.mine(["cart is empty"])
    state = unseal("templates", 1, old.save())
    state["texts"] = [" ".join(words) for words in state["texts"]]
    new.load(seal("templates", 1, state))
    assert new.mine(["cart is empty"]) == [number]
    assert new.text(number) == "cart is empty"


@settings(deadline=None)
@given(MESSAGES, st.integers(1, 7))
def test_every_number_ever_given_can_be_followed_by_the_merges_told(
    messages: list[str], size: int
) -> None:
    miner, follow = TemplateMiner(), {}
    for at in range(0, len(messages), size):
        given_out = miner.mine(messages[at : at + size])
        follow.update(miner.drain_merged())
        # A restart between asking must lose none.
        restored = TemplateMiner()
        restored.load(miner.save())
        miner = restored
        follow.update({number: number for number in given_out if number not in follow})
    for number in list(follow):
        end = number
        while follow[end] != end:
            end = follow[end]
        assert end == miner.current(number)
