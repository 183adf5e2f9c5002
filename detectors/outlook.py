"""From a level's past to when it runs out: trends over many windows, and which of them is believed.

A window's trend is believed only as far ahead as its `reach` times what it looked at: twenty steady
minutes say something of the next hour and nothing of next week.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detectors.levels import WIDTHS_MS, Levels
from detectors.trend import Trend, crossing, fit, thin
from model.batch import Bools, Floats, Ints

Z = 1.45  # 80 % of a Student t with about six degrees of freedom: so many blocks tell the wandering
_PACE = 0.2  # standard deviation of the pace, as a share of it, as far ahead as was looked back
_SOONER = 0.5  # a younger trend is believed beside an older one where it is over in half the time
_MINUTE_MS = 60_000
_ENOUGH = 0.75  # of a window's points must be there
_USUAL = 1.3  # a rise up to this multiple of what was seen before is nothing new
_BEYOND = 0.3  # … unless it goes this share of the past's range beyond all that was seen


@dataclass(frozen=True, slots=True)
class Span:
    """A window.

    Attributes
    ----------
    level, count, by : int
        Its resolution, how many of its buckets, and how many of them make a point.
    rhythm : int
        Points in a day, where like hours are compared; 0: all pairs.
    reach : float
        How far ahead it is believed, in lengths of itself.
    past_ms
        How much of the past must be known for it, beside itself.
    """

    level: int
    count: int
    by: int
    rhythm: int = 0
    reach: float = 6.0
    past_ms: int = 0

    @property
    def ms(self) -> int:
        """How long it is."""
        return self.count * WIDTHS_MS[self.level]

    @property
    def point_ms(self) -> int:
        """How long one of its points is."""
        return self.by * WIDTHS_MS[self.level]


_BURST = (
    3.0  # within minutes: what is copied or unpacked ends; it must have taken a quarter of the room
)
_DAY_MS = 26 * 3_600_000  # what follows the day climbs for hours: a day is seen first

SPANS: tuple[Span, ...] = (
    Span(0, 15, 1, reach=_BURST),  # a quarter of an hour
    Span(0, 30, 1, reach=_BURST),
    Span(0, 60, 2, reach=_BURST),
    Span(0, 120, 4, reach=_BURST),
    Span(1, 36, 1, past_ms=_DAY_MS),  # six hours
    Span(1, 72, 2, past_ms=_DAY_MS),
    Span(1, 144, 4, past_ms=_DAY_MS),  # a day
    Span(1, 288, 6, 24),  # two: from here on like hours are compared
    Span(2, 96, 2, 12),
    Span(2, 168, 4, 6),  # a week
    Span(2, 336, 8, 3),
    Span(2, 672, 24),  # four weeks, by whole days
)
LEVEL_SPANS = tuple(
    tuple(number for number, span in enumerate(SPANS) if span.level == level) for level in range(3)
)
FIELDS = ("early", "middle", "late", "slope", "line", "grown", "made")


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is believed of one track. Times in ms since the epoch.

    Attributes
    ----------
    span : Span
        The window.
    early_ms, middle_ms, late_ms : float
        When it is full; `inf` where it may as well never be.
    slope_ms : float
        Growth by millisecond.
    line : float
        The trend's level at `made_ms`, the end of the window.
    """

    span: Span
    early_ms: float
    middle_ms: float
    late_ms: float
    slope_ms: float
    line: float
    made_ms: float


def look(levels: Levels, tracks: Ints, full: Floats, number: int) -> dict[str, Floats]:
    """One window of some tracks.

    Parameters
    ----------
    tracks, full : shape (n,)
        Numbers, and the level at which each is full (`inf`: never; its growth is looked at all the same).
    number : int
        Of `SPANS`.

    Returns
    -------
    dict of `FIELDS` to float64, shape (n,)
        Times and slopes in milliseconds; `middle` NaN where no trend holds, `slope` where nothing is known.
    """
    span = SPANS[number]
    means, peaks = levels.window(span.level, tracks, span.count)
    points = thin(means, span.by)
    found = {name: np.full(len(tracks), np.nan) for name in FIELDS}
    found["made"] = levels.end_ms(span.level, tracks).astype(np.float64)
    # Of a young track there are no lines to be drawn, by most of the windows.
    some = np.flatnonzero(np.count_nonzero(~np.isnan(points), axis=1) >= _ENOUGH * points.shape[1])
    if len(some):
        trend = fit(points[some], thin(peaks[some], span.by, peaks=True), span.rhythm)
        made = _foretold(levels, tracks[some], full[some], span, trend)
        for name, values in made.items():
            found[name][some] = values
    return found


def _foretold(
    levels: Levels, tracks: Ints, full: Floats, span: Span, trend: Trend
) -> dict[str, Floats]:
    """What a window's trends come to; those of `FIELDS` but `made`."""
    room = full - trend.level - trend.peak
    early, middle, late = crossing(np.where(np.isinf(room), 1e150, room), trend, Z, _PACE)
    # A straight line starts at the last point's middle.
    from_ms = levels.end_ms(span.level, tracks).astype(np.float64) - 0.5 * span.point_ms
    endless = np.isinf(full)
    within = endless | (middle * span.point_ms <= span.reach * span.ms)
    known = (span.past_ms == 0) | (levels.age_ms(tracks) >= span.past_ms + span.ms)
    trend = replace(trend, holds=trend.holds & within & known)
    believed = trend.holds & ~_usual(levels, tracks, span, trend)
    with np.errstate(invalid="ignore"):
        coming = np.where(endless, np.inf, from_ms + middle * span.point_ms)
        return {
            "early": from_ms + early * span.point_ms,
            "middle": np.where(believed, coming, np.nan),
            "late": from_ms + late * span.point_ms,
            "slope": trend.slope / span.point_ms,
            "line": trend.level,
            "grown": trend.grown,
        }


def _usual(levels: Levels, tracks: Ints, span: Span, trend: Trend) -> Bools:
    """Which rises are like those before, that ended: backups, rotated logs, mornings, teeth of a saw."""
    usual = np.zeros(len(tracks), dtype=np.bool_)
    coarse = 1 if span.level == 0 else 2
    steps = -(-span.ms // WIDTHS_MS[coarse])
    size = 288 if coarse == 1 else 672
    for at in np.flatnonzero(trend.holds).tolist():
        track = tracks[at : at + 1]
        past = levels.window(coarse, track, size)[0][0]
        recent_ms = int(levels.end_ms(coarse, track)[0])
        begun_ms = int(levels.end_ms(span.level, track)[0]) - span.ms
        skip = max(0, -(-(recent_ms - begun_ms) // WIDTHS_MS[coarse]))
        past = past[: size - skip] if skip else past
        level, teeth = float(trend.level[at]), 2 if span.rhythm else 1
        usual[at] = is_usual(past, steps, float(trend.grown[at]), level, teeth=teeth)
    return usual


def is_usual(past: Floats, steps: int, grown: float, level: float, *, teeth: int) -> bool:
    """Whether a rise has its like in the past, and has not gone past it.

    Parameters
    ----------
    past : float64, shape (n,)
        The level before the rise, oldest first.
    steps : int
        How many of its points a rise takes.
    grown, level : float
        The rise, and where it has come to.
    teeth : int
        How often such a rise must have fallen back.

    Examples
    --------
    >>> saw = np.tile(np.arange(12) / 12, 5)
    >>> is_usual(saw, 6, 0.5, 0.8, teeth=2), is_usual(saw, 6, 0.5, 1.3, teeth=2)
    (True, False)
    """
    if np.count_nonzero(~np.isnan(past)) < max(24, 2 * steps):
        return False
    change = past[steps:] - past[:-steps]
    if np.isnan(change).all():
        return False
    most, top, bottom = (float(x) for x in (np.nanmax(change), np.nanmax(past), np.nanmin(past)))
    if most <= 0 or grown > _USUAL * most or level > top + _BEYOND * (top - bottom):
        return False
    with np.errstate(invalid="ignore"):
        fallen = change <= -0.5 * most
    return int(np.count_nonzero(fallen[1:] & ~fallen[:-1])) + int(fallen[0]) >= teeth


def believe(found: dict[str, Floats], track: int, last: float, *, least_ms: int) -> Outlook | None:
    """Of a track's windows the one to go by: the longest that holds, or a younger that is over in half the time.

    Parameters
    ----------
    found : dict of `FIELDS` to float64, shape (n_tracks, n_spans)
    last : float
        The level now: where it fell well below a line, the line is over.
    least_ms : int
        Windows shorter than this are not asked.
    """
    best: Outlook | None = None
    for number in range(len(SPANS) - 1, -1, -1):
        span = SPANS[number]
        middle = float(found["middle"][track, number])
        line, grown = float(found["line"][track, number]), float(found["grown"][track, number])
        if span.ms < least_ms or not middle == middle or last < line - 0.25 * grown:
            continue
        one = Outlook(
            span,
            float(found["early"][track, number]),
            middle,
            float(found["late"][track, number]),
            float(found["slope"][track, number]),
            line,
            float(found["made"][track, number]),
        )
        if best is None or one.middle_ms - one.made_ms < _SOONER * (best.middle_ms - one.made_ms):
            best = one
    return best
