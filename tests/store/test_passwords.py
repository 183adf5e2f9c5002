"""Hashes of passwords and tokens."""

from __future__ import annotations

import pytest

from store.passwords import (
    PASSWORD_BYTES_MAX,
    hash_password,
    hash_token,
    is_outdated,
    new_token,
    verify_password,
)

KEPT = hash_password("correct horse", cost=4)


@pytest.mark.parametrize(
    ("password", "right"),
    [
        ("correct horse", True),
        ("correct horse ", False),
        ("Correct horse", False),
        ("", False),
        ("x" * (PASSWORD_BYTES_MAX + 1), False),
        ("\ud800", False),
    ],
)
def test_only_the_password_verifies(password: str, right: bool) -> None:
    assert verify_password(password, KEPT) is right


# What a row of another make, a damaged or a forged one may hold: refused, not computed or crashed on.
@pytest.mark.parametrize(
    "kept",
    [
        "",
        "correct horse",
        "$" * 5,
        KEPT.replace("scrypt", "plain"),
        KEPT.replace("scrypt$4", "scrypt$60"),
        KEPT.replace("$8$1$", "$99999$1$"),
        KEPT.replace("$8$1$", "$8$x$"),
        KEPT + "$",
        KEPT[:-6] + "!!!!!!",
    ],
)
def test_a_text_that_is_no_hash_verifies_nothing(kept: str) -> None:
    assert not verify_password("correct horse", kept)
    assert is_outdated(kept)


def test_each_hash_has_its_own_salt_and_says_how_it_was_made() -> None:
    assert KEPT != hash_password("correct horse", cost=4)
    assert is_outdated(KEPT)
    today = hash_password("用户 pässword")
    assert today.startswith("scrypt$15$8$1$") and not is_outdated(today)
    assert verify_password("用户 pässword", today)


def test_a_password_longer_than_the_limit_is_refused() -> None:
    assert hash_password("x" * PASSWORD_BYTES_MAX, cost=1)
    with pytest.raises(ValueError, match="at most"):
        hash_password("ü" * (PASSWORD_BYTES_MAX // 2 + 1), cost=1)


def test_what_is_too_long_is_refused_even_where_it_begins_like_the_password() -> None:
    kept = hash_password("x" * PASSWORD_BYTES_MAX, cost=1)
    assert verify_password("x" * PASSWORD_BYTES_MAX, kept)
    assert not verify_password("x" * (PASSWORD_BYTES_MAX + 1), kept)


def test_tokens_are_long_distinct_and_kept_as_hashes() -> None:
    made = [new_token() for _ in range(100)]
    assert len({token for token, _ in made}) == 100
    for token, kept in made:
        assert token.startswith("tocsin_") and len(token) == len("tocsin_") + 43
        assert kept == hash_token(token) and token not in kept and len(kept) == 64
