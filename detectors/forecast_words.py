"""What runs out, in words and as a picture: the alert, its evidence, and the line of the capacity report."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.explain import quantity
from detectors.levels import SIZES, WIDTHS_MS, Levels
from detectors.outlook import Outlook
from detectors.resources import BACKLOG_TEMPLATE, RESOURCES, Resource
from detectors.roles import service_of
from detectors.tell import SOURCE
from detectors.trend import thin
from model.alert import Alert, Evidence, Severity
from model.batch import Floats, Ints
from model.capacity import PLACE_LABELS, Capacity
from model.labels import Labels
from model.reason import because
from model.series import NAME

_PAST_POINTS = 96
_COMING_POINTS = 16
_SPARK_POINTS = 56
_LABELS_KEPT = frozenset({NAME, "service", "service_name", "job", "app", "instance", "mountpoint"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What is told of: a track with its names, its level now, and the level at which it is full."""

    track: int
    resource: Resource
    series: Labels
    used: float
    full: float
    seen_ms: int

    @property
    def unit(self) -> str:
        """Of its level."""
        return "" if self.resource.name == "queue" else "ratio"


def lapse(milliseconds: float) -> str:
    """A stretch of time as a forecast can say it: two digits, one unit.

    Examples
    --------
    >>> lapse(40 * 60_000), lapse(30 * 3_600_000), lapse(2.44 * 86_400_000), lapse(float("inf"))
    ('40 min', '30 h', '2.4 d', '∞')
    """
    if not math.isfinite(milliseconds):
        return "∞"
    minutes = max(milliseconds, 0.0) / 60_000
    if minutes < 90:
        return f"{minutes:.0f} min"
    many, unit = (minutes / 60, "h") if minutes < 48 * 60 else (minutes / 1440, "d")
    return f"{many:.0f} {unit}" if many >= 10 else f"{many:.1f}".removesuffix(".0") + f" {unit}"


def _words(about: Subject, outlook: Outlook) -> dict[str, str]:
    series = about.series
    place = next((series[name] for name in PLACE_LABELS if name in series), "")
    ahead = outlook.middle_ms - about.seen_ms
    service = service_of(series)
    host = series.get("instance", service)
    return {
        "metric": series.get(NAME, ""),
        "service": service or series.get("instance", ""),
        "place": place,
        "host": service if place == host and service else host,
        "time": lapse(ahead),
        "early": lapse(min(outlook.early_ms - about.seen_ms, ahead)),
        "late": lapse(outlook.late_ms - about.seen_ms),
        "window": lapse(outlook.span.ms),
        "used": quantity(about.used, about.unit),
        "before": quantity(max(outlook.line - outlook.slope_ms * outlook.span.ms, 0.0), about.unit),
        "later": quantity(outlook.line + outlook.slope_ms * outlook.span.ms, about.unit),
    }


def forecast_alert(
    about: Subject, outlook: Outlook, levels: Levels, severity: Severity, since_ms: int
) -> Alert:
    """It runs out before long (or, of a queue without an end, grows and grows)."""
    series, words = about.series, _words(about, outlook)
    endless = math.isinf(about.full)
    template = BACKLOG_TEMPLATE if endless else about.resource.template
    used = {n: v for n, v in words.items() if "{" + n + "}" in template}
    labels = {
        "alertname": about.resource.alertname,
        "service": words["service"],
        "severity": severity.value,
        "signal": "saturation",
        "metric": series.get(NAME, ""),
        **series.only("instance", "mountpoint"),
    }
    if any(name not in _LABELS_KEPT for name in series):
        labels["series"] = series.fingerprint()
    return Alert(
        labels=Labels.of(labels),
        source=SOURCE,
        starts_ms=since_ms,
        arrival_ms=about.seen_ms,
        summary=because(template, **used),
        evidence=_evidence(about, outlook, levels),
        simulated=series.get("simulated") == "true",
    )


def _evidence(about: Subject, outlook: Outlook, levels: Levels) -> Evidence:
    """The past of the window, then the fan between the early and the late end, up to where it is full."""
    times, values = _past(about.track, outlook, levels)
    coming, lows, highs = _fan(about, outlook)
    none: tuple[float | None, ...] = (None,)
    return Evidence(
        series=about.series,
        method="forecast",
        unit=about.unit,
        value=about.used,
        high=None if math.isinf(about.full) else about.full,
        score=round(_ahead(outlook) / outlook.span.ms, 2),
        threshold=outlook.span.reach,
        times_ms=(*times, *coming),
        values=(*values, *(none * len(coming))),
        lows=_after(times, outlook, lows),
        highs=_after(times, outlook, highs),
        component="trend",
    )


def _after(
    times: tuple[int, ...], outlook: Outlook, ends: tuple[float | None, ...]
) -> tuple[float | None, ...]:
    """A fan's edge behind the past: it opens at the last sample."""
    opens: tuple[float | None, ...] = (outlook.line if ends else None,)
    return (None,) * (len(times) - 1) + opens + ends


def _ahead(outlook: Outlook) -> float:
    """How far the middle lies ahead, 0 where there is none."""
    ahead = outlook.middle_ms - outlook.made_ms
    return max(ahead, 0.0) if math.isfinite(ahead) else 0.0


def _past(
    track: int, outlook: Outlook, levels: Levels
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    span = outlook.span
    by = max(1, -(-span.count // _PAST_POINTS))
    count = span.count // by * by
    means, _ = levels.window(span.level, np.array([track]), count)
    points = thin(means, by)[0]
    width_ms = by * WIDTHS_MS[span.level]
    end_ms = int(levels.end_ms(span.level, np.array([track]))[0])
    times = tuple(end_ms - width_ms * (len(points) - 1 - at) for at in range(len(points)))
    return times, _plain(points)


def _fan(
    about: Subject, outlook: Outlook
) -> tuple[tuple[int, ...], tuple[float | None, ...], tuple[float | None, ...]]:
    """Straight lines from the trend's end to the bound at the early and at the late end."""
    if math.isinf(about.full):
        return (), (), ()
    middle = max(outlook.middle_ms - outlook.made_ms, 60_000.0)
    early = max(outlook.early_ms - outlook.made_ms, 1.0)
    late = max(outlook.late_ms - outlook.made_ms, middle)
    until = min(late, 2.0 * middle)
    room = max(about.full - outlook.line, 0.0)
    ahead = [until * at / _COMING_POINTS for at in range(1, _COMING_POINTS + 1)]
    lows = tuple(outlook.line + room * min(t / late, 1.0) for t in ahead)
    highs = tuple(outlook.line + room * min(t / early, 1.0) for t in ahead)
    return tuple(round(outlook.made_ms + t) for t in ahead), lows, highs


def _plain(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if value != value else round(float(value), 6) for value in values.tolist())


def capacity_of(
    about: Subject,
    outlook: Outlook | None,
    spark: tuple[float | None, ...],
    slope_ms: float | None,
) -> Capacity:
    """The line of the report."""
    endless = math.isinf(about.full)
    known = about.used == about.used
    sees = outlook is not None and not endless
    return Capacity(
        service=service_of(about.series) or about.series.get("instance", ""),
        resource=about.resource.name,
        series=about.series,
        used=round(about.used, 6) if known else None,
        unit=about.unit,
        growth_week=None if slope_ms is None else slope_ms * 7 * 86_400_000,
        full_ms=_moment(outlook.middle_ms) if sees and outlook else None,
        early_ms=_moment(outlook.early_ms) if sees and outlook else None,
        late_ms=_moment(outlook.late_ms) if sees and outlook else None,
        window_ms=outlook.span.ms if sees and outlook else 0,
        seen_ms=about.seen_ms,
        spark=spark,
    )


def _moment(time_ms: float) -> int | None:
    return round(time_ms) if math.isfinite(time_ms) else None


def sparks(tracks: Ints, levels: Levels) -> list[tuple[float | None, ...]]:
    """Each track's last week by three hours, or less where less is known."""
    found: list[tuple[float | None, ...]] = [()] * len(tracks)
    left = np.arange(len(tracks))
    for level, by in ((2, 3), (2, 1), (1, 1), (0, 1)):
        count = min(_SPARK_POINTS * by, SIZES[level])
        points = levels.window(level, tracks[left], count)[0]
        points = thin(points, by) if by > 1 else points
        known = ~np.isnan(points)
        enough = known.sum(axis=1) >= (2 if level == 0 else _SPARK_POINTS // 2)
        first = known.argmax(axis=1)
        for at in np.flatnonzero(enough).tolist():
            found[left[at]] = _plain(points[at, first[at] :])
        left = left[~enough]
    return found


def subject(
    track: int, resource: int, series: Labels, used: float, full: float, seen_ms: int
) -> Subject:
    """A subject by its resource's number."""
    return Subject(track, RESOURCES[resource], series, used, full, seen_ms)
