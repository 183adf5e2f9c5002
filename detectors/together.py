"""The alert that several metrics of one place are unusual together."""

from __future__ import annotations

from typing import Any

from detectors.alerting import Entry
from detectors.tell import SOURCE, finite
from model.alert import Alert, Evidence, Severity
from model.labels import Labels
from model.reason import because
from model.units import format_duration

ALERTNAME = "UnusualTogether"
LEAST = 3.0
"""A root mean square that is worth looking at, whatever is usual."""


def together_alert(
    series: Labels, metrics: tuple[str, ...], severity: Severity, entry: Entry,
    history: tuple[tuple[Any, ...], ...], *, recent: float, bar: float, once_ms: int, at_ms: int,
) -> Alert:  # fmt: skip
    """A group as a whole: which metrics carry it, and how rare that is."""
    times_ms, values, lows, highs = history
    service = series.get("service", "")
    labels = {
        "alertname": ALERTNAME, "service": service, "severity": severity.value, "signal": "level",
        "instance": series.get("instance", ""),
    }  # fmt: skip
    return Alert(
        labels=Labels.of({name: value for name, value in labels.items() if value}),
        source=SOURCE,
        starts_ms=entry.since_ms,
        arrival_ms=at_ms,
        summary=because(
            "{metrics} of {service} are unusual together; by chance once in {once}",
            metrics=", ".join(metrics),
            service=service,
            once=format_duration(once_ms),
        ),
        evidence=Evidence(
            series, "collective", "", finite(recent), 0.0, LEAST, recent, LEAST,
            times_ms=times_ms, values=values, lows=lows, highs=highs,
            component=", ".join(metrics), once_in_ms=once_ms,
        ),
    )  # fmt: skip
