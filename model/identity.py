"""Identities are derived, not drawn: a replay names the same things the same."""

from __future__ import annotations

import hashlib


def derive_id(*parts: object, length: int = 16) -> str:
    """Hash what a thing is about, and when it began, to a short hexadecimal id.

    Parameters
    ----------
    parts
        Text or integers, in a fixed order; each is length-prefixed, so that
        ("ab", "c") and ("a", "bc") differ.
    length : int
        Hexadecimal digits, at most 64.

    Examples
    --------
    >>> derive_id("incident", "payment", 1_700_000_000_000, length=8)
    '8a46f0d5'
    """
    texts = [str(part).encode("utf-8", "surrogatepass") for part in parts]
    # One digest of all of it: this is done for each alert several times over.
    framed = b"".join([len(text).to_bytes(4, "big") + text for text in texts])
    return hashlib.sha256(framed).hexdigest()[:length]
