"""Made-up pasts of things that fill up, and of things that do not: one share used a minute.

Each family draws its own rates, sizes and hours from the generator; none is drawn from what the
detector assumes. A family ends in `fills` where it is full at the end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY = 1440


def _hours(minutes: int) -> Floats:
    return np.arange(minutes) / 60.0


def _start(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.2, 0.6))


def _rate(rng: np.random.Generator, start: float, minutes: int) -> float:
    """So fast that it is full in the last third."""
    return (1.0 - start) / (minutes * float(rng.uniform(0.6, 0.95)))


def steady(rng: np.random.Generator, minutes: int) -> Floats:
    """A line with a little noise."""
    start = _start(rng)
    noise = rng.normal(0, rng.uniform(0.0003, 0.004), minutes)
    return start + _rate(rng, start, minutes) * np.arange(minutes) + noise


def wandering(rng: np.random.Generator, minutes: int) -> Floats:
    """A random walk with a drift."""
    start = _start(rng)
    rate = _rate(rng, start, minutes)
    steps = rng.normal(rate, rng.uniform(2, 12) * rate, minutes)
    return start + np.cumsum(steps)


def daily(rng: np.random.Generator, minutes: int) -> Floats:
    """Grows by day, hardly by night, and its level follows the day too."""
    start = _start(rng)
    angle = 2 * np.pi * (_hours(minutes) / 24 + rng.uniform())
    rate = _rate(rng, start, minutes) * (1 + rng.uniform(0.5, 1) * np.sin(angle))
    swing = rng.uniform(0, 0.02) * np.sin(angle + 1)
    return start + np.cumsum(rate) + swing + rng.normal(0, 0.001, minutes)


def bursts(rng: np.random.Generator, minutes: int) -> Floats:
    """Nothing but files of very different sizes, some an hour."""
    start = _start(rng)
    often = rng.uniform(0.2, 4) / 60
    sizes = rng.lognormal(0, 1, minutes) * (rng.uniform(size=minutes) < often)
    return start + np.cumsum(sizes * _rate(rng, start, minutes) / max(sizes.mean(), 1e-12))


def drifting(rng: np.random.Generator, minutes: int) -> Floats:
    """Its pace changes by a third or so, over days."""
    start, keep = _start(rng), np.exp(-1 / (2 * DAY))
    pace = np.empty(minutes)
    state = 0.0
    for at, shock in enumerate(rng.normal(0, 0.35 * np.sqrt(1 - keep**2), minutes)):
        state = keep * state + shock
        pace[at] = state
    pace = np.exp(pace)
    rate = _rate(rng, start, minutes) * pace / pace.mean()
    return start + np.cumsum(rate) + rng.normal(0, 0.0005, minutes)


def saw(rng: np.random.Generator, minutes: int) -> Floats:
    """Logs are rotated once or twice a day; what stays grows."""
    start, every = _start(rng) * 0.8, int(rng.choice([12, 24])) * 60
    tooth = rng.uniform(0.04, 0.12)
    begin = int(rng.integers(every))
    phase = ((np.arange(minutes) + begin) % every) / every
    rate = (1.0 - start - tooth) / (minutes * rng.uniform(0.6, 0.95))
    return start + tooth * phase + rate * np.arange(minutes) + rng.normal(0, 0.0005, minutes)


def cleaned(rng: np.random.Generator, minutes: int) -> Floats:
    """Somebody makes room once; it goes on as before."""
    start, at = _start(rng), int(minutes * rng.uniform(0.2, 0.5))
    room = rng.uniform(0.1, 0.2)
    line = start + _rate(rng, start - room, minutes) * np.arange(minutes)
    line[at:] -= room
    return line + rng.normal(0, 0.0008, minutes)


def sudden(rng: np.random.Generator, minutes: int) -> Floats:
    """Quiet for long, then full in two to eight hours."""
    level = np.full(minutes, rng.uniform(0.3, 0.7)) + 0.0005 * np.sin(np.arange(minutes) / 200)
    begin = int(minutes * rng.uniform(0.4, 0.8))
    level[begin:] += np.arange(minutes - begin) * (1 - level[0]) / (60 * rng.uniform(2, 8))
    return level + rng.normal(0, 0.0005, minutes)


def still(rng: np.random.Generator, minutes: int) -> Floats:
    """Noise around a level."""
    return rng.uniform(0.5, 0.93) + rng.normal(0, rng.uniform(0.0005, 0.01), minutes)


def rhythm(rng: np.random.Generator, minutes: int) -> Floats:
    """Up by day and down by night, with a weekend."""
    hours = _hours(minutes) + rng.uniform(0, 168)
    shape = np.sin(2 * np.pi * hours / 24) * np.where(hours // 24 % 7 < 5, 1.0, 0.4)
    return rng.uniform(0.55, 0.75) + rng.uniform(0.05, 0.15) * shape + rng.normal(0, 0.004, minutes)


def saw_still(rng: np.random.Generator, minutes: int) -> Floats:
    """Rotated logs, nothing more; the teeth are not all alike."""
    every = int(rng.choice([6, 24, 72])) * 60
    teeth = rng.uniform(0.05, 0.25) * rng.uniform(0.8, 1.2, minutes // every + 2)
    at = np.arange(minutes) + int(rng.integers(every))
    return rng.uniform(0.45, 0.6) + teeth[at // every] * (at % every) / every + rng.normal(0, 0.001, minutes)  # fmt: skip


def backups(rng: np.random.Generator, minutes: int) -> Floats:
    """A dump is written each night, and moved away an hour or two later."""
    at = (np.arange(minutes) + int(rng.integers(DAY))) % DAY
    write, rest = rng.uniform(30, 120), rng.uniform(30, 120)
    size = rng.uniform(0.1, 0.3)
    shape = np.clip(at / write, 0, 1) * (at < write + rest)
    return rng.uniform(0.4, 0.65) + size * shape + rng.normal(0, 0.0005, minutes)


def copies(rng: np.random.Generator, minutes: int) -> Floats:
    """Now and then somebody copies much, and leaves it there."""
    level = np.full(minutes, rng.uniform(0.4, 0.55))
    for begin in rng.integers(0, minutes, 3).tolist():
        took = int(rng.uniform(5, 60))
        level += rng.uniform(0.03, 0.1) * np.clip((np.arange(minutes) - begin) / took, 0, 1)
    return level + rng.normal(0, 0.0005, minutes)


def returning(rng: np.random.Generator, minutes: int) -> Floats:
    """Wanders, and is drawn back to its level within a day or so."""
    keep, state = np.exp(-1 / (rng.uniform(0.2, 2) * DAY)), 0.0
    wide = rng.uniform(0.02, 0.06)
    out = np.empty(minutes)
    for at, shock in enumerate(rng.normal(0, wide * np.sqrt(1 - keep**2), minutes)):
        state = keep * state + shock
        out[at] = state
    return rng.uniform(0.5, 0.75) + out


Make = Callable[[np.random.Generator, int], Floats]
FILL: dict[str, Make] = {
    f.__name__: f for f in (steady, wandering, daily, bursts, drifting, saw, cleaned, sudden)
}
STAY: dict[str, Make] = {
    f.__name__: f for f in (still, rhythm, saw_still, backups, copies, returning)
}
