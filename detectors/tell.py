"""Alerts in words: labels, sentence and evidence of what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace

from detectors.alerting import Entry
from detectors.explain import TEMPLATE_LABEL_MAX, alert_labels, quantity
from detectors.history import History
from detectors.lograte import LogRates
from detectors.newtemplate import Newcomer
from detectors.roles import UNKNOWN, Role, service_of
from detectors.settings import ThresholdRule
from model.alert import Alert, Evidence, Severity
from model.labels import LABELS_MAX, Labels
from model.reason import Reason, because, gettext
from model.series import NAME

SOURCE = "detector"
RULE_SOURCE = "rule"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One abnormal (or again normal) sample: where, when, what, and what was expected."""

    row: int
    at_ms: int
    value: float
    low: float
    high: float
    score: float
    threshold: float


def finite(value: float) -> float | None:
    """The value, or None where it is no number a person could read."""
    return value if -1e300 < value < 1e300 else None


def evidence(series: Labels, method: str, unit: str, seen: Sighting, history: History) -> Evidence:
    """What was seen, with the recent history of the row where one is kept."""
    times_ms, values, lows, highs = history.of(seen.row)
    return Evidence(
        series=series,
        method=method,
        unit=unit,
        value=finite(seen.value),
        low=finite(seen.low),
        high=finite(seen.high),
        score=round(min(max(seen.score, -1e6), 1e6), 2),
        threshold=min(seen.threshold, 1e6),
        times_ms=times_ms,
        values=values,
        lows=lows,
        highs=highs,
    )


def metric_alert(
    series: Labels, role: Role, method: str, seen: Sighting, entry: Entry, history: History
) -> Alert:
    """An alert on one series."""
    critical = 0.0 < role.critical_at <= entry.peak
    severity = Severity.CRITICAL if critical else role.severity
    words = {
        "service": service_of(series) or series.get("instance", series.get(NAME, "")),
        "metric": series.get(NAME, ""),
        "mountpoint": series.get("mountpoint", ""),
        "instance": series.get("instance", ""),
        "quantile": series.get("quantile", ""),
        "value": quantity(seen.value, role.unit),
        "low": quantity(seen.low, role.unit),
        "high": quantity(seen.high, role.unit),
        **entry.extra,
    }
    return Alert(
        labels=alert_labels(series, role, severity, exact=role is UNKNOWN),
        source=SOURCE,
        starts_ms=entry.since_ms,
        arrival_ms=seen.at_ms,
        summary=_because(role.template, words),
        evidence=evidence(series, method, role.unit, seen, history),
        simulated=series.get("simulated") == "true",
    )


def log_burst_alert(
    series: Labels, role: Role, seen: Sighting, entry: Entry, history: History, rates: LogRates
) -> Alert:
    """An alert on a rate of log lines, with examples of them."""
    alert = metric_alert(series, role, "lograte", seen, entry, history)
    assert alert.evidence is not None
    found = alert.evidence
    lines = rates.examples(series.get("service", ""), series.get("level", ""))
    return replace(alert, evidence=replace(found, lines=lines))


def flat_alert(series: Labels, seen: Sighting, entry: Entry, history: History) -> Alert:
    """A series that stands still."""
    role = Role(
        "flat",
        "MetricFlat",
        "level",
        "",
        gettext("{metric} of {service} always moved and now stands still at {value}"),
        severity=Severity.INFO,
    )
    alert = metric_alert(series, role, "flatline", seen, entry, history)
    labels = alert.labels.with_(series=series.fingerprint())
    return Alert(
        labels, SOURCE, alert.starts_ms, seen.at_ms, summary=alert.summary, evidence=alert.evidence
    )


def silent_alert(service: str, last_ms: int, entry: Entry) -> Alert:
    """A service of which nothing is heard any more."""
    return Alert(
        labels=Labels.of(
            {
                "alertname": "MetricAbsent",
                "service": service,
                "severity": Severity.WARNING.value,
                "signal": "availability",
            }
        ),
        source=SOURCE,
        starts_ms=last_ms,
        arrival_ms=entry.seen_ms,
        summary=because("nothing of {service} reports any more", service=service),
        evidence=Evidence(Labels.of({"service": service}), "absence"),
    )


def template_series(newcomer: Newcomer) -> Labels:
    """What stands for a template where a series is asked for."""
    text = newcomer.text[:TEMPLATE_LABEL_MAX]
    return Labels.of({NAME: "log_template", "service": newcomer.service, "template": text})


def template_alert(newcomer: Newcomer, entry: Entry, needed: int) -> Alert:
    """An error template that was never seen before."""
    text = newcomer.text[:TEMPLATE_LABEL_MAX]
    severity = Severity.CRITICAL if newcomer.severity >= 21 else Severity.WARNING
    count = newcomer.count
    return Alert(
        labels=Labels.of(
            {
                "alertname": "NewErrorTemplate",
                "service": newcomer.service,
                "severity": severity.value,
                "signal": "logs",
                "template": text,
            }
        ),
        source=SOURCE,
        starts_ms=newcomer.first_ms,
        arrival_ms=entry.seen_ms,
        summary=because(
            "{service} logs an error it never logged before: {text}",
            service=newcomer.service,
            text=text,
        ),
        evidence=Evidence(
            template_series(newcomer),
            "newtemplate",
            "",
            float(count),
            0.0,
            0.0,
            float(count),
            float(needed),
            lines=tuple(newcomer.lines),
        ),
    )


def rule_alert(
    rule: ThresholdRule, series: Labels, seen: Sighting, entry: Entry, history: History
) -> Alert:
    """An alert of a user's rule: the series' labels and the rule's, as Prometheus has it."""
    name = series.get(NAME, "")
    own = {
        "service": service_of(series),
        "signal": "level",
        "metric": name,
        **dict(rule.labels),
        "alertname": rule.alert,
        "severity": rule.severity.value,
    }
    # A series may have as many labels as are allowed: ours and the rule's go before its last ones.
    others = [(name, value) for name, value in series.without(NAME).items() if name not in own]
    labels = {**dict(others[: max(0, LABELS_MAX - len(own))]), **own}
    words = {
        "metric": name,
        "service": service_of(series) or series.get("instance", ""),
        "value": quantity(seen.value, ""),
        "op": rule.op,
        "bound": quantity(rule.value, ""),
    }
    return Alert(
        labels=Labels.of(labels),
        source=RULE_SOURCE,
        starts_ms=entry.since_ms,
        arrival_ms=seen.at_ms,
        annotations=rule.annotations,
        summary=_because(
            gettext("{metric} of {service} is {value}, the rule is {op} {bound}"), words
        ),
        evidence=evidence(series, "threshold", "", seen, history),
        simulated=series.get("simulated") == "true",
    )


def _because(template: str, words: dict[str, str]) -> Reason:
    return because(template, **{n: v for n, v in words.items() if "{" + n + "}" in template})
