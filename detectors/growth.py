"""A leak: a level that only ever grows, by much, into territory it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.history import LENGTH
from model.batch import Bools, Floats, Ints

MIB = 2.0**20
_WARM = 20  # points of ordinary life before anything is judged


@dataclass(frozen=True, slots=True)
class Stretch:
    """How much growth over how many samples is a leak, for series sampled at most every `interval_ms_max`."""

    steps: int
    floor: float
    relative: float
    interval_ms_max: float


STRETCHES = (
    Stretch(9, 12 * MIB, 0.10, 5_000.0),
    Stretch(30, 16 * MIB, 0.15, 5_000.0),
    # At 15 s and more a process that warms up, or follows the day, grows for long too.
    Stretch(48, 64 * MIB, 0.50, float("inf")),
)


def may_have_grown(latest: Floats, before: Sequence[Floats]) -> Bools:
    """Which rows `grown` need be asked of: all others have not grown by enough over any stretch.

    Parameters
    ----------
    latest : float64, shape (n_rows,)
    before : one for each of `STRETCHES`, float64, shape (n_rows,)
        The value so many steps earlier; NaN where there is none yet.
    """
    may = np.zeros(len(latest), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        for stretch, value in zip(STRETCHES, before, strict=True):
            may |= latest - value >= np.maximum(stretch.floor, stretch.relative * value)
    return may


def grown(times_ms: Ints, values: Floats, interval_ms: Floats) -> tuple[Bools, Floats, Floats]:
    """Find leaks.

    Parameters
    ----------
    times_ms : int64, shape (n_rows, LENGTH)
        Event times, oldest first; 0 where there is none yet.
    values : float64, shape (n_rows, LENGTH)
        Bytes; NaN where there is none yet.
    interval_ms : float64, shape (n_rows,)
        Usual time between samples.

    Returns
    -------
    leaking : bool, shape (n_rows,)
    amount : float64, shape (n_rows,)
        Bytes grown over the stretch that was found, else 0.
    seconds : float64, shape (n_rows,)

    Notes
    -----
    Each third of the stretch must bring a share of the growth (a cache filled at once is no leak), what
    falls back must be little (a collector's saw-tooth is none either), and the level must pass all that
    was seen before the stretch.
    """
    leaking = np.zeros(len(values), dtype=np.bool_)
    amount, seconds = np.zeros(len(values)), np.zeros(len(values))
    filled = np.count_nonzero(~np.isnan(values), axis=1)
    for stretch in STRETCHES:
        start = LENGTH - 1 - stretch.steps
        part = values[:, start:]
        net = part[:, -1] - part[:, 0]
        thirds = np.diff(part[:, [0, stretch.steps // 3, 2 * stretch.steps // 3, -1]], axis=1)
        falls = -np.minimum(np.diff(part, axis=1), 0.0).sum(axis=1)
        span_ms = (times_ms[:, -1] - times_ms[:, start]).astype(np.float64)
        before = np.nan_to_num(values[:, :start], nan=-np.inf).max(axis=1)
        with np.errstate(invalid="ignore"):
            found = (
                (filled >= stretch.steps + 1 + _WARM)
                & (interval_ms <= stretch.interval_ms_max)
                & (span_ms <= 3.0 * stretch.steps * interval_ms)
                & (net >= np.maximum(stretch.floor, stretch.relative * part[:, 0]))
                & (thirds >= 0.15 * net[:, None]).all(axis=1)
                & (falls <= 0.2 * net)
                & (part[:, -1] > 1.02 * before)
            )
        fresh = found & ~leaking
        amount[fresh], seconds[fresh] = net[fresh], span_ms[fresh] / 1000.0
        leaking |= found
    return leaking, amount, seconds
