"""Histograms that find their own buckets, on buckets that stay.

An exponential histogram halves its resolution as it grows, so that its bounds change from push to push;
a series per bound needs bounds that do not. The grid is a part of the histogram's own bounds wherever its
resolution is that of the grid or finer, and then the counts on it are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

_SECONDS = {"s": 0, "ms": 10, "us": 20, "ns": 30}
"""Octaves by which durations in this unit are larger than in seconds, nearly."""
STEPS = 33
"""Bounds of the grid."""
Count = TypeVar("Count", int, float)


def grid(unit: str) -> tuple[int, int]:
    """The grid for a unit: the exponent of its first bound and how many bounds an octave has.

    Durations from a millisecond to a minute at two bounds an octave; everything else from 1 to 4 G at one.

    Examples
    --------
    >>> grid("s"), grid("By")
    ((-10, 2), (0, 1))
    """
    if unit in _SECONDS:
        return _SECONDS[unit] - 10, 2
    return 0, 1


def bounds(unit: str) -> tuple[float, ...]:
    """The grid's bounds, ascending, without the infinite one.

    Examples
    --------
    >>> len(bounds("s")), bounds("s")[0], bounds("s")[-1]
    (33, 0.0009765625, 64.0)
    """
    first, per_octave = grid(unit)
    return tuple(2.0 ** (first + step / per_octave) for step in range(STEPS))


def bound_text(bound: float) -> str:
    """`le` of a bound as Prometheus writes it: the shortest text that reads back the same, no `.0`.

    >>> bound_text(2.0), bound_text(0.0009765625)
    ('2', '0.0009765625')
    """
    return repr(bound).removesuffix(".0")


def cumulate(
    unit: str, *, scale: int, zero: int, below: int, offset: int, counts: Sequence[int]
) -> list[int]:
    """How many observations were at most as large as each bound of the grid.

    Parameters
    ----------
    scale, offset, counts
        As in OTLP: bucket `i` of `counts` reaches up to and with `2 ** ((offset + i + 1) / 2 ** scale)`.
    zero, below : int
        Observations that were zero, and that were negative.

    Examples
    --------
    >>> made = cumulate("s", scale=0, zero=1, below=0, offset=-1, counts=[2, 3])
    >>> dict(zip(bounds("s"), made))[1.0], dict(zip(bounds("s"), made))[2.0]
    (3, 6)
    """
    numbered = ((offset + at + 1, count) for at, count in enumerate(counts) if count)
    return cumulate_sparse(unit, scale=scale, least=zero + below, buckets=numbered)


def cumulate_sparse(
    unit: str, *, scale: int, least: Count, buckets: Iterable[tuple[int, Count]]
) -> list[Count]:
    """As `cumulate`, of buckets that are named by number: number `i` reaches up to and with `2 ** (i / 2 ** scale)`.

    Parameters
    ----------
    least
        Observations that were zero or negative.
    buckets
        Numbers and counts, in any order.

    Examples
    --------
    >>> made = cumulate_sparse("s", scale=0, least=1, buckets=[(0, 2), (1, 3)])
    >>> dict(zip(bounds("s"), made))[1.0], dict(zip(bounds("s"), made))[2.0]
    (3, 6)
    """
    first, per_octave = grid(unit)
    steps: list[Any] = [0] * STEPS
    # In powers of two: an exponent of 2 ** -scale / per_octave is one step.
    for number, count in buckets:
        step = math.ceil((number * 2.0**-scale - first) * per_octave - 1e-9)
        if step < STEPS:
            steps[max(step, 0)] += count
    made, total = [], least
    for count in steps:
        total += count
        made.append(total)
    return made
