"""Histograms that find their own buckets, on buckets that stay.

An exponential histogram halves its resolution as it grows, so that its bounds change from push to push;
a series per bound needs bounds that do not. The grid is a part of the histogram's own bounds wherever its
resolution is that of the grid or finer, and then the counts on it are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_SECONDS = {"s": 0, "ms": 10, "us": 20, "ns": 30}
"""Octaves by which durations in this unit are larger than in seconds, nearly."""
STEPS = 33
"""Bounds of the grid."""


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
    first, per_octave = grid(unit)
    steps = [0] * STEPS
    # In powers of two: an exponent of 2 ** -scale / per_octave is one step.
    for at, count in enumerate(counts):
        if count:
            ends = (offset + at + 1) * 2.0**-scale  # log2 of the bucket's upper bound
            step = math.ceil((ends - first) * per_octave - 1e-9)
            if step < STEPS:
                steps[max(step, 0)] += count
    made, total = [], zero + below
    for count in steps:
        total += count
        made.append(total)
    return made
