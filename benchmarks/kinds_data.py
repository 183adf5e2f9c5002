"""Made-up series of many kinds, and trouble of many kinds in them, from a seed; nothing here knows a detector.

A series is a profile (what a person who knows the service expects) and noise around it. Sizes are such that somebody who
looks at a plot of a week sees the trouble at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY = 1_440
Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """One series, a value a minute, shape (n_minutes,); NaN where there is no sample.

    `away` is how far off plainly visible trouble is, signed; `least` and `most` what values can be. Of a
    counter these are rates a second: `counted` makes one of them.
    """

    profile: Floats
    noise: Floats
    away: float
    least: float = 0.0
    most: float = float("inf")
    step: float = 0.0

    def values(self) -> Floats:
        """Profile and noise, within what can be, on the grid of what the sensor can say."""
        value = np.clip(self.profile + self.noise, self.least, self.most)
        return np.round(value / self.step) * self.step if self.step else value


def rhythm(minutes: Floats) -> Floats:
    """A day's and a week's swing, -1 to 1: busy in the afternoon, less so at weekends. Minute 0 is a Monday's midnight."""
    day = -np.cos(2 * np.pi * minutes / DAY) + 0.3 * np.sin(4 * np.pi * minutes / DAY)
    weekend = (minutes // DAY % 7) >= 5
    return np.asarray(np.where(weekend, 0.5, 1.0) * day / 1.2)


def _ordinary(at: Floats, rng: Rng) -> Made:
    return Made(100 + 40 * rhythm(at), rng.normal(0, 4, len(at)), 120)


def _steady(at: Floats, rng: Rng) -> Made:
    return Made(np.full(len(at), 100.0), rng.normal(0, 3, len(at)), 60)


def _bursty(at: Floats, rng: Rng) -> Made:
    noise = rng.normal(0, 3, len(at))
    for begin in np.flatnonzero(rng.random(len(at)) < 1 / 360).tolist():
        noise[begin : begin + rng.integers(2, 8)] += rng.uniform(30, 120)
    return Made(60 + 15 * rhythm(at), noise, 300)


def _heavy(at: Floats, rng: Rng) -> Made:
    middle = 20 * np.exp(0.3 * rhythm(at))
    return Made(middle, middle * (rng.lognormal(0, 0.6, len(at)) - 1), 200)


def _mostly_zero(at: Floats, rng: Rng) -> Made:
    some = (rng.random(len(at)) < 0.1) * rng.exponential(4, len(at))
    return Made(np.zeros(len(at)), some, 80)


def _integer(at: Floats, rng: Rng) -> Made:
    mean = 5 + 3 * rhythm(at)
    return Made(mean, rng.poisson(mean) - mean, 30, step=1.0)


def _ratio(at: Floats, rng: Rng) -> Made:
    middle = np.full(len(at), 0.96)
    return Made(middle, 0.97 - rng.beta(2, 60, len(at)) - middle, -0.5, most=1.0)


def _quantised(at: Floats, rng: Rng) -> Made:
    return Made(60 + 10 * rhythm(at), rng.normal(0, 2, len(at)), 60, step=5.0)


def _wandering(at: Floats, rng: Rng) -> Made:
    noise = np.zeros(len(at))
    for n, push in enumerate(rng.normal(0, 2, len(at)).tolist()):
        noise[n] = 0.98 * noise[n - 1] + push if n else push
    return Made(np.full(len(at), 200.0), noise, 250)


def _sawtooth(at: Floats, rng: Rng) -> Made:
    return Made(300 + 200 * ((at % 47) / 47), rng.normal(0, 5, len(at)), 500)


def _counter(at: Floats, rng: Rng) -> Made:
    return Made(200 + 80 * rhythm(at), rng.normal(0, 10, len(at)), 300)


FAMILIES: dict[str, Callable[[Floats, Rng], Made]] = {
    "ordinary": _ordinary, "steady": _steady, "bursty": _bursty, "heavy": _heavy, "mostly_zero": _mostly_zero,
    "integer": _integer, "ratio": _ratio, "quantised": _quantised, "wandering": _wandering,
    "sawtooth": _sawtooth, "counter": _counter,
}  # fmt: skip


def _plus(made: Made, more: Floats) -> Made:
    return Made(made.profile + more, made.noise, made.away, made.least, made.most, made.step)


def _held(made: Made, where: slice, size: float) -> Made:
    more = np.zeros(len(made.profile))
    more[where] = size * made.away
    return _plus(made, more)


def _ramp(made: Made, where: slice, size: float) -> Made:
    more = np.zeros(len(made.profile))
    count = len(more[where])
    more[where] = size * made.away * np.arange(1, count + 1) / count
    return _plus(made, more)


def _spike(made: Made, where: slice) -> Made:
    return _held(made, where, 1.0)


def _shift(made: Made, where: slice) -> Made:
    return _held(made, where, 0.6)


def _trend(made: Made, where: slice) -> Made:
    return _ramp(made, where, 1.0)


def _drop(made: Made, where: slice) -> Made:
    profile, noise = made.profile.copy(), made.noise.copy()
    profile[where] = np.maximum(made.least, 0.2 * profile[where])
    noise[where] *= 0.2
    return Made(profile, noise, made.away, made.least, made.most, made.step)


def _variance(made: Made, where: slice) -> Made:
    noise = made.noise.copy()
    noise[where] *= 6.0
    return Made(made.profile, noise, made.away, -np.inf, made.most, made.step)


def _flattened(made: Made, where: slice) -> Made:
    profile = made.profile.copy()
    profile[where] = profile.mean()
    return Made(profile, made.noise, made.away, made.least, made.most, made.step)


def _moved(made: Made, where: slice) -> Made:
    profile = made.profile.copy()
    profile[where] = profile[where.start - 360 : where.stop - 360]
    return Made(profile, made.noise, made.away, made.least, made.most, made.step)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind: how long it lasts, and what it does; `families` where it is nothing for some of them."""

    minutes: int
    done: Callable[[Made, slice], Made]
    without: frozenset[str] = frozenset()


_NO_RHYTHM = frozenset(
    ("steady", "mostly_zero", "ratio", "wandering", "sawtooth", "heavy", "quantised", "bursty")
)
TROUBLES: dict[str, Trouble] = {
    "spike of 5 min": Trouble(5, _spike),
    "shift, 6 h": Trouble(360, _shift),
    "drop, 6 h": Trouble(360, _drop, frozenset(("mostly_zero",))),
    "rise over 6 h": Trouble(360, _trend),
    "rise over 2 d": Trouble(2 * DAY, _trend),
    "6 x the noise, 6 h": Trouble(360, _variance, frozenset(("counter",))),
    "a day flattened": Trouble(DAY, _flattened, _NO_RHYTHM),
    "a day 6 h late": Trouble(DAY, _moved, _NO_RHYTHM),
    "still, 3 h": Trouble(180, lambda made, where: made, frozenset(("mostly_zero", "integer", "quantised", "counter"))),
    "absent, 2 h": Trouble(120, lambda made, where: made),
}  # fmt: skip


def troubled(kind: str, made: Made, where: slice) -> Floats:
    """The values with trouble of a kind in them."""
    values = TROUBLES[kind].done(made, where).values()
    if kind.startswith("still"):
        values[where] = values[where.start - 1]
    elif kind.startswith("absent"):
        values[where] = np.nan
    return values


def counted(rates: Floats, rng: Rng, resets: int = 0) -> Floats:
    """A counter that grows by these rates a second, sampled each minute, and begins anew so many times."""
    total = np.nancumsum(rates * 60.0)
    for at in np.sort(rng.integers(1, len(rates), resets)).tolist():
        total[at:] -= total[at]
    return np.where(np.isnan(rates), np.nan, total)
