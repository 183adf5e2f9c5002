"""A rhythm that was found and has stopped, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detectors.alerting import Entry
from detectors.explain import alert_labels, quantity
from detectors.roles import UNKNOWN, Role, service_of
from detectors.tell import SOURCE, finite
from model.alert import Alert, Evidence, Severity
from model.batch import Floats
from model.labels import Labels
from model.reason import because
from model.series import NAME
from model.units import format_duration

ALERTNAME = "RhythmLost"
SHOWN = 240  # buckets


@dataclass(frozen=True, slots=True, eq=False)
class Lost:
    """What a rhythm expected, and what came.

    Attributes
    ----------
    period_ms, width_ms, first : int
        Of the rhythm; of a bucket; and the first shown bucket's number.
    values, expects : float64, shape (n,)
        The last buckets, NaN where there is none.
    reach : float
        Half the width of the band.
    window : int
        Buckets by which it was judged, the last ones.
    strength, limit : float
        How strongly the rhythm still shows, and below what it is lost.
    """

    period_ms: int
    width_ms: int
    first: int
    values: Floats
    expects: Floats
    reach: float
    window: int
    strength: float
    limit: float


def rhythm_alert(
    series: Labels, role: Role, found: Lost, entry: Entry, at_ms: int, *, warn: bool
) -> Alert:
    """An alert on a rhythm that does not go on."""
    severity = Severity.WARNING if warn else Severity.INFO
    # What is said is of the place in the window at which most of the beat is missing.
    lacks = (found.expects - found.values) * (found.expects - float(np.mean(found.expects)))
    lacks = np.where(np.isfinite(lacks), lacks, -np.inf)[-found.window :]
    at = len(found.values) - len(lacks) + int(np.argmax(lacks))
    value, expected = float(found.values[at]), float(found.expects[at])
    low, high = expected - found.reach, expected + found.reach
    if role.signal not in ("", "level"):
        low = max(low, 0.0)
    named = replace(UNKNOWN, alertname=ALERTNAME, signal=role.signal or UNKNOWN.signal)
    times = (found.first + np.arange(len(found.values)) + 0.5) * found.width_ms
    return Alert(
        labels=alert_labels(series, named, severity, exact=not role.signal or role is UNKNOWN),
        source=SOURCE,
        starts_ms=entry.since_ms,
        arrival_ms=at_ms,
        summary=because(
            "{metric} of {service} no longer keeps its rhythm of {period}: {value}"
            " where {low} to {high} is expected by it",
            metric=series.get(NAME, ""),
            service=service_of(series) or series.get("instance", ""),
            period=format_duration(found.period_ms),
            value=quantity(value, role.unit),
            low=quantity(low, role.unit),
            high=quantity(high, role.unit),
        ),
        evidence=Evidence(
            series, "rhythm", role.unit, finite(value), finite(low), finite(high),
            score=round(found.strength, 2), threshold=found.limit,
            times_ms=tuple(times.astype(np.int64).tolist()),
            values=_plain(found.values),
            lows=_plain(found.expects - found.reach),
            highs=_plain(found.expects + found.reach),
            component="rhythm",
        ),
        simulated=series.get("simulated") == "true",
    )  # fmt: skip


def _plain(values: Floats) -> tuple[float | None, ...]:
    return tuple(x if np.isfinite(x) else None for x in values.tolist())
