"""Attempt number to delay."""

from __future__ import annotations

from model.identity import derive_id


def delay_ms(tries: int, *, first_ms: int, longest_ms: int, seed: str) -> int:
    """How long to wait after so many failed attempts: doubling, up to the longest, with jitter.

    The jitter (down to half) keeps those that failed together from coming back together. It is
    drawn from `seed`, so that a replay waits the same.

    Parameters
    ----------
    tries : int
        Failed attempts so far, at least 1.
    seed : str
        What is tried, e.g. the action's id.

    Examples
    --------
    >>> [delay_ms(n, first_ms=1_000, longest_ms=8_000, seed="a") for n in (1, 2, 3, 9)]
    [700, 1097, 2224, 7922]
    """
    # 2**40 ms is 35 years; more doublings would only make large integers.
    whole_ms = min(first_ms << min(tries - 1, 40), longest_ms)
    share = int(derive_id("jitter", seed, tries, length=8), 16) / 0xFFFFFFFF
    return round(whole_ms * (0.5 + share / 2))
