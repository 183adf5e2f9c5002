"""Identifiers: found word by word and by the block as the one expression finds them in the whole message."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.keyblocks import block_names
from detectors.keys import Words, identifiers

PIECES = st.sampled_from(
    (
        "id", "Id", "ID=", "request_id=", "id: ", "x-id:", "blk_", "job-", "a_", "ab_", "-", "_", "=", ":", " ", "\t", "\x1c",
        "1", "12", "1234", "12345", "-1608999687919862906", "7f", "abcdef01", "0123456789abcdef", "abcdefabcdefabcd",
        "0123456789abcdef0123456789abcdef", "0123456789ABCDEF", "6f1c2d3e-1111-2222-3333-0123456789ab",
        "6F1C2D3E-", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", ",", ".", '"', "'", "g", "zz", "/10.0.0.1:50010", "x" * 140,
    )
)  # fmt: skip
OTHERS = st.sampled_from(("é", "ß12345", "٣٤٥٦", "\n", "\x85", "\u2028", "标识=", "ſ", "\ud800"))
MESSAGES = st.lists(PIECES, max_size=8).map("".join)
STRANGE = st.lists(st.one_of(PIECES, OTHERS), max_size=8).map("".join)


@settings(deadline=None, max_examples=400)
@given(st.lists(MESSAGES, max_size=12), st.sampled_from([2, 1000]))
def test_a_block_holds_what_its_lines_hold(messages: list[str], words_max: int) -> None:
    found = block_names(messages, Words(words_max))
    words = Words(1000)
    assert list(map(list, found)) == [list(words.of(message)) for message in messages]


@settings(deadline=None, max_examples=200)
@given(st.lists(STRANGE, max_size=12))
def test_of_other_alphabets_too(messages: list[str]) -> None:
    words = Words(1000)
    found = block_names(messages, words)
    assert list(map(list, found)) == [list(Words(10).of(message)) for message in messages]


@settings(deadline=None, max_examples=300)
@given(st.one_of(MESSAGES, STRANGE))
def test_words_hold_what_the_expression_finds(message: str) -> None:
    # What stands in two words is left to the expression: it sees them both.
    words = Words(1000)
    first = list(words.of(message))
    assert list(words.of(message)) == first
    if len(message.split()) <= 1 and message == message.strip():
        assert first == identifiers(message)
