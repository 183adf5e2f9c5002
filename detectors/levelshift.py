"""A change of level by cumulative sums (CUSUM): what stays off, not what jumps once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.batch import Bools, Floats

_SLACK = 3.0  # deviations per sample that count for nothing
_CAP = 12.0  # no single sample may decide
_DECISION = 60.0


def shifted(sums: NDArray[np.float32], scores: Floats, outside: Bools) -> Bools:
    """Add scores to two one-sided sums per row (Page 1954); which rows' level has shifted.

    A sum begins with a sample outside the band and goes on until it is back at zero. So the many rows
    that are inside cost nothing; nothing less is told of anyway.

    Parameters
    ----------
    sums : float32, shape (2, n_rows)
        Up and down; written.
    scores : float64, shape (n_rows,)
        Signed robust deviations, 0 where they mean nothing yet.
    outside : bool, shape (n_rows,)

    Examples
    --------
    >>> sums = np.zeros((2, 1), dtype=np.float32)
    >>> [bool(shifted(sums, np.array([15.0]), np.array([True]))[0]) for _ in range(8)]
    [False, False, False, False, False, False, True, True]
    """
    runs = outside | (sums > 0.0).any(axis=0)
    step = np.clip(scores, -_CAP, _CAP).astype(np.float32)
    added = np.clip(sums + np.stack((step, -step)) - np.float32(_SLACK), 0.0, 2 * _DECISION)
    sums[:, runs] = added[:, runs]
    return np.asarray((sums >= _DECISION).any(axis=0))
