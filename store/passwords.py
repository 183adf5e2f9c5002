"""Passwords and tokens: only their hashes are kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

TOKEN_PREFIX = "tocsin_"  # lets secret scanners recognise a token that was published by mistake
PASSWORD_BYTES_MAX = 1024

_COST, _BLOCK, _LANES = 15, 8, 1  # 2**15 rounds of 8 blocks: 32 MiB and some 60 ms per guess
_COST_MAX, _MEMORY_MAX = 20, 2**31 - 1


def hash_password(password: str, *, cost: int = _COST) -> str:
    """Hash a password with scrypt and a fresh salt.

    Parameters
    ----------
    password : str
        At most `PASSWORD_BYTES_MAX` bytes in UTF-8.
    cost : int
        log2 of the rounds; only tests have a reason to lower it.

    Returns
    -------
    str
        ``scrypt$15$8$1$salt$hash``, with all that `verify_password` needs.

    Raises
    ------
    ValueError
        If the password is too long.

    Source
    ------
    RFC 7914; the parameters are OWASP's (Password Storage Cheat Sheet, 2024) lower memory choice.

    Examples
    --------
    >>> kept = hash_password("correct horse", cost=4)
    >>> verify_password("correct horse", kept), verify_password("wrong", kept)
    (True, False)
    """
    if len(password.encode()) > PASSWORD_BYTES_MAX:
        raise ValueError(f"a password has at most {PASSWORD_BYTES_MAX} bytes")
    salt = secrets.token_bytes(16)
    return _text(cost, _BLOCK, _LANES, salt, _scrypt(password, salt, cost, _BLOCK, _LANES))


def verify_password(password: str, kept: str) -> bool:
    """Whether this is the password, in a time that does not tell how much of it was right.

    A text that is no hash (an account without a password, an unknown account: pass "") costs the
    same time and is refused, so that nobody learns which accounts exist.
    """
    parts = _parse(kept)
    if len(password.encode("utf-8", "surrogatepass")) > PASSWORD_BYTES_MAX:
        password, parts = "", None
    cost, block, lanes, salt, expected = parts or (_COST, _BLOCK, _LANES, b"-" * 16, b"-" * 32)
    given = _scrypt(password, salt, cost, block, lanes)
    return hmac.compare_digest(given, expected) and parts is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with weaker parameters than today's: hash again at the next sign-in."""
    parts = _parse(kept)
    return parts is None or parts[:3] != (_COST, _BLOCK, _LANES)


def new_token() -> tuple[str, str]:
    """A fresh token and its hash: show the first once, keep the second.

    Examples
    --------
    >>> token, kept = new_token()
    >>> token.startswith("tocsin_"), hash_token(token) == kept
    (True, True)
    """
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, hash_token(token)


def hash_token(token: str) -> str:
    """SHA-256 in hexadecimal: enough for a text of 256 random bits, which nobody can guess."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        data, salt=salt, n=2**cost, r=block, p=lanes, maxmem=_MEMORY_MAX, dklen=32
    )


def _text(cost: int, block: int, lanes: int, salt: bytes, digest: bytes) -> str:
    salt_text, digest_text = (base64.b64encode(data).decode() for data in (salt, digest))
    return f"scrypt${cost}${block}${lanes}${salt_text}${digest_text}"


def _parse(kept: str) -> tuple[int, int, int, bytes, bytes] | None:
    try:
        name, cost, block, lanes, salt, digest = kept.split("$")
        numbers = int(cost), int(block), int(lanes)
        parts = (
            *numbers,
            base64.b64decode(salt, validate=True),
            base64.b64decode(digest, validate=True),
        )
    except ValueError:
        return None
    # A forged row must not make us compute for minutes.
    fits = name == "scrypt" and 1 <= numbers[0] <= _COST_MAX and numbers[1:] == (_BLOCK, _LANES)
    return parts if fits else None
