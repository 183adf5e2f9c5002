"""Alerts on kinds of log lines in words: labels, sentence and evidence."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.alerting import Entry
from detectors.explain import TEMPLATE_LABEL_MAX, quantity
from detectors.tell import SOURCE
from model.alert import Alert, Evidence, Severity
from model.labels import Labels
from model.reason import Reason, because
from model.series import NAME
from model.units import format_duration


@dataclass(frozen=True, slots=True)
class Missing:
    """Regular lines of a service that have stopped; what is told of is the first that was due."""

    service: str
    text: str
    kinds: int
    sure: bool
    last_ms: int
    usual_ms: int
    waited_ms: int
    allowed_ms: int
    lines: tuple[str, ...]


def missing_alert(found: Missing, entry: Entry, now_ms: int) -> Alert:
    """Regular lines of a service have stopped."""
    words = {
        "service": found.service,
        "text": found.text[:TEMPLATE_LABEL_MAX],
        "waited": _about(found.waited_ms),
        "usual": _about(found.usual_ms),
    }
    if found.kinds == 1:
        summary = because(
            "{service} no longer writes “{text}”: the last was {waited} ago,"
            " usually one comes every {usual}",
            **words,
        )
    else:
        summary = because(
            "{kinds} regular lines of {service} have stopped, first “{text}”: the last was"
            " {waited} ago, usually one comes every {usual}",
            kinds=found.kinds,
            **words,
        )
    series = {NAME: "log_line_gap_seconds", "service": found.service, "template": words["text"]}
    seen = Evidence(
        Labels.of(series), "expectedline", "seconds",
        found.waited_ms / 1000, 0.0, found.allowed_ms / 1000,
        score=round(found.waited_ms / max(1, found.usual_ms), 2),
        threshold=round(found.allowed_ms / max(1, found.usual_ms), 2),
        lines=found.lines,
    )  # fmt: skip
    severity = Severity.WARNING if found.sure else Severity.INFO
    return _alert("ExpectedLineMissing", found.service, severity, {}, entry, now_ms, summary, seen)


@dataclass(frozen=True, slots=True)
class Flood:
    """A kind of line that comes far more often than it ever did; rates by second."""

    service: str
    text: str
    severity: int
    rate: float
    high: float
    usual: float
    score: float
    lines: tuple[str, ...]
    times_ms: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()


def flood_alert(found: Flood, entry: Entry, now_ms: int) -> Alert:
    """A kind of line comes far more often than it ever did."""
    text = found.text[:TEMPLATE_LABEL_MAX]
    summary = because(
        "{service} writes “{text}” at {value}, usually {usual}",
        service=found.service,
        text=text,
        value=quantity(found.rate, "per second"),
        usual=quantity(found.usual, "per second"),
    )
    series = {NAME: "log_template_lines_per_second", "service": found.service, "template": text}
    seen = Evidence(
        Labels.of(series), "templaterate", "per second", found.rate, 0.0, found.high,
        score=round(found.score, 2), threshold=1.0, lines=found.lines,
        times_ms=found.times_ms, values=found.rates,
    )  # fmt: skip
    severity = Severity.WARNING if found.severity >= 17 else Severity.INFO
    own = {"template": text}
    return _alert("LogLineFlood", found.service, severity, own, entry, now_ms, summary, seen)


@dataclass(frozen=True, slots=True)
class Strayed:
    """A number in a kind of line that left its range; or a class of status codes ("5xx")."""

    service: str
    text: str
    parameter: str
    unit: str
    share: float
    value: float
    low: float | None
    high: float | None
    usual_share: float
    severity: Severity
    lines: tuple[str, ...]
    times_ms: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


def strayed_alert(found: Strayed, entry: Entry, now_ms: int) -> Alert:
    """A number in many lines of a kind left its range."""
    text = found.text[:TEMPLATE_LABEL_MAX]
    words = {
        "share": quantity(found.share, "ratio"),
        "service": found.service,
        "text": text,
        "parameter": found.parameter,
    }
    if found.unit == "status":
        summary = because(
            "{share} of the lines “{text}” of {service} say {parameter}, usually {usual}",
            usual=quantity(found.usual_share, "ratio"),
            **words,
        )
    else:
        summary = because(
            "{share} of the lines “{text}” of {service} have “{parameter}” out of range:"
            " about {value}, usually {low} to {high}",
            value=quantity(found.value, found.unit),
            low=quantity(found.low, found.unit),
            high=quantity(found.high, found.unit),
            **words,
        )
    series = {NAME: "log_parameter", "service": found.service, "parameter": found.parameter}
    seen = Evidence(
        Labels.of({**series, "template": text}), "parameters",
        "ratio" if found.unit == "status" else found.unit,
        found.share if found.unit == "status" else found.value, found.low, found.high,
        score=round(found.share, 3), threshold=round(found.usual_share, 3), lines=found.lines,
        times_ms=found.times_ms, values=found.values,
    )  # fmt: skip
    own = {"template": text, "parameter": found.parameter}
    name = "ParameterOutOfRange"
    return _alert(name, found.service, found.severity, own, entry, now_ms, summary, seen)


@dataclass(frozen=True, slots=True)
class OddCourses:
    """Identifiers of a kind whose lines are unusual in the same way, in the last `window_ms`."""

    service: str
    kind: str
    text: str
    missing: bool
    count: int
    of: int
    share: float
    window_ms: int
    once_in_ms: int
    severity: Severity
    lines: tuple[str, ...]


def courses_alert(found: OddCourses, entry: Entry, now_ms: int) -> Alert:
    """Identifiers whose lines are unusual."""
    text = found.text[:TEMPLATE_LABEL_MAX]
    words = {
        "count": found.count,
        "kind": found.kind.rstrip("_-"),
        "service": found.service,
        "text": text,
        "duration": format_duration(found.window_ms),
        "share": quantity(found.share, "ratio"),
    }
    if found.missing:
        summary = because(
            "{service}: {count} “{kind}” ended in {duration} without “{text}”,"
            " which {share} of those like them have",
            **words,
        )
    else:
        summary = because(
            "{service}: {count} “{kind}” met “{text}” in {duration}, which only {share} ever meet",
            **words,
        )
    series = {NAME: "odd_sequences", "service": found.service, "identifier": found.kind}
    seen = Evidence(
        Labels.of({**series, "template": text}), "sequences", "", float(found.count),
        score=float(found.count), threshold=1.0, lines=found.lines,
        component="missing" if found.missing else "rare", once_in_ms=found.once_in_ms,
    )  # fmt: skip
    own = {"template": text, "identifier": found.kind, "odd": seen.component}
    name = "OddSequences"
    return _alert(name, found.service, found.severity, own, entry, now_ms, summary, seen)


def _alert(
    name: str,
    service: str,
    severity: Severity,
    own: dict[str, str],
    entry: Entry,
    now_ms: int,
    summary: Reason,
    seen: Evidence,
) -> Alert:
    labels = {"alertname": name, "service": service, "severity": severity.value, "signal": "logs"}
    return Alert(
        Labels.of({**labels, **own}), SOURCE, entry.since_ms, now_ms, summary=summary, evidence=seen
    )


def _about(ms: int) -> str:
    """A duration in words, in whole seconds."""
    return format_duration(max(1_000, round(ms, -3)))
