"""Forms looked up by sums give the templates that forms looked up by themselves give, to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.holes import Contexts
from collectors.settings import TemplateSettings
from collectors.templates import TemplateMiner
from tests.collectors.naive_templates import TemplateMiner as Naive

WORDS = st.sampled_from(
    ("user", "ann", "bob", "eve", "joe", "cart-db", "fetchOrder", "is", "full", "gone", "12", "id=7", "(3)", "x.y.z", "-", "for", "lost", "found", "up")
)  # fmt: skip
MESSAGES = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), max_size=120)
TOLD = st.sampled_from(
    (
        TemplateSettings(),
        TemplateSettings(identifiers_min=2, names_min=2, words_min=3, first_words_min=4),
        TemplateSettings(identifiers_min=1, names_min=1, words_min=1, first_words_min=2),
        TemplateSettings(templates_max=12, names_min=2, words_min=3),
        TemplateSettings(contexts_max=20, keys_max=15, names_min=2, words_min=3, tokens_max=3),
    )
)


@settings(deadline=None, max_examples=150)
@given(MESSAGES, MESSAGES, TOLD)
def test_the_same_numbers_texts_and_snapshots(
    messages: list[str], more: list[str], told: TemplateSettings
) -> None:
    miner, naive = TemplateMiner(told), Naive(told)
    assert miner.mine(messages) == naive.mine(messages)
    assert miner.drain_merged() == naive.drain_merged()
    assert miner.save() == naive.save()
    # What the code before has saved is gone on with as that code does.
    restored, again = TemplateMiner(told), Naive(told)
    restored.load(naive.save())
    again.load(naive.save())
    assert restored.save() == naive.save()
    assert restored.mine(more) == again.mine(more) == miner.mine(more)
    assert restored.save() == again.save()
    assert miner.overflowed == restored.overflowed == again.overflowed
    assert [restored.text(n) for n in range(len(again))] == [again.text(n) for n in range(len(again))]  # fmt: skip


def test_what_there_is_no_room_for_is_counted_each_time() -> None:
    miner = TemplateMiner(TemplateSettings(templates_max=1))
    assert miner.mine(["cart is empty", "user is gone", "user is gone", "user is gone"]) == [1, 0, 0, 0]  # fmt: skip
    assert miner.overflowed == 3


@pytest.mark.parametrize("values", [("empty",), ("empty", "full")])
def test_two_places_with_one_sum_do_not_mix(values: tuple[str, ...]) -> None:
    """It does not happen; if it did, the one met first would have the place."""
    seen = Contexts(10)
    for value in values:
        seen.note(5, 2, (("cart", "is", value), 1))
    held = list(seen._held.values())
    assert seen.note(5, 2, (("disk", "is", "lost"), 2)) is None
    assert list(seen._held.values()) == held
