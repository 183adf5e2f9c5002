"""Incidents and alerts as documents in ECS names; what ECS has no name for is below `tocsin`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from model.alert import AlertStatus
from model.identity import derive_id
from model.incident import Incident, TimelineEntry

ECS = "8.11.0"
DATASETS = ("tocsin.incident", "tocsin.alert")
LINES_MAX = 20
_TEXT_MAX = 8_000
_LEVELS = {"info": "info", "warning": "warning", "critical": "critical"}

Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Document:
    """A document, where it goes, and what it is called: the same content has the same name."""

    dataset: str
    id: str
    body: dict[str, Any]


def incident_document(
    entry: TimelineEntry, incident: Incident, *, namespace: str, translate: Translate = str
) -> Document:
    """One line of an incident's history, with the incident as it stands.

    Parameters
    ----------
    translate
        To the language of messages and titles.
    """
    return Document(
        "tocsin.incident",
        entry.id,
        {
            **_head("tocsin.incident", namespace, entry.time_ms),
            "message": entry.text.text(translate)[:_TEXT_MAX],
            "log": {"level": _LEVELS[incident.severity]},
            "event": {
                "kind": "event",
                "provider": "tocsin",
                "dataset": "tocsin.incident",
                "id": entry.id,
                "action": f"incident-{entry.kind.value}",
                "severity": incident.severity.rank,
                "start": _time(incident.began_ms),
                "end": _time(incident.resolved_ms),
            },
            "service": {"name": incident.service},
            "user": {"name": entry.actor},
            "tocsin": {"incident": _incident(incident, translate)},
        },
    )


def alert_document(status: AlertStatus, *, namespace: str, translate: Translate = str) -> Document:
    """An alert as it fires or after it was resolved, with examples of the log lines behind it."""
    alert, evidence = status.alert, status.alert.evidence
    action = "alert-firing" if alert.firing else "alert-resolved"
    said = alert.summary.text(translate) if alert.summary else alert.annotations.get("summary", "")
    about: dict[str, Any] = {
        "key": alert.key,
        "source": alert.source,
        "signal": alert.signal,
        "silenced_by": list(status.silenced_by),
    }
    if evidence is not None:
        about |= {
            "series": evidence.series.get("__name__", ""),
            "method": evidence.method,
            "unit": evidence.unit,
            "value": evidence.value,
            "low": evidence.low,
            "high": evidence.high,
            "log_examples": [line[:_TEXT_MAX] for line in evidence.lines[:LINES_MAX]],
        }
    return Document(
        "tocsin.alert",
        derive_id(alert.id, action, alert.ends_ms or 0),
        {
            **_head("tocsin.alert", namespace, alert.ends_ms or alert.starts_ms),
            "message": (said or alert.name)[:_TEXT_MAX],
            "log": {"level": _LEVELS[alert.severity]},
            "event": {
                "kind": "alert",
                "provider": "tocsin",
                "dataset": "tocsin.alert",
                "id": alert.id,
                "action": action,
                "severity": alert.severity.rank,
                "start": _time(alert.starts_ms),
                "end": _time(alert.ends_ms),
                "url": alert.generator_url or None,
            },
            "rule": {"name": alert.name},
            "service": {"name": alert.service},
            # ECS' labels are flat: a dot would make an object of one and clash with the other.
            "labels": {name.replace(".", "_"): value for name, value in alert.labels.pairs},
            "tocsin": {"alert": about, "incident": {"id": status.incident_id}},
        },
    )


def _head(dataset: str, namespace: str, time_ms: int) -> dict[str, Any]:
    return {
        "@timestamp": _time(time_ms),
        "ecs": {"version": ECS},
        "data_stream": {"type": "logs", "dataset": dataset, "namespace": namespace},
    }


def _incident(incident: Incident, translate: Translate) -> dict[str, Any]:
    acknowledged, resolved = incident.acknowledged_ms, incident.resolved_ms
    cause = incident.causes[0] if incident.causes else None
    return {
        "id": incident.id,
        "state": incident.state.value,
        "title": incident.title.text(translate)[:_TEXT_MAX],
        "severity": incident.severity.value,
        "priority": incident.priority.value,
        "impact": incident.impact,
        "urgency": incident.urgency,
        "team": incident.team,
        "services": list(incident.services),
        "alerts": incident.alert_count,
        "firing": incident.firing_count,
        "flapping": incident.flapping,
        "muted": incident.muted,
        "opened": _time(incident.opened_ms),
        "acknowledged": _time(acknowledged),
        "resolved": _time(resolved),
        "time_to_acknowledge_ms": None
        if acknowledged is None
        else acknowledged - incident.opened_ms,  # fmt: skip
        "time_to_resolve_ms": None if resolved is None else resolved - incident.opened_ms,
        "cause": None if cause is None else {"service": cause.service, "score": cause.score},
    }


def _time(time_ms: int | None) -> str | None:
    """As ECS writes times.

    Examples
    --------
    >>> _time(1_700_000_000_250)
    '2023-11-14T22:13:20.250Z'
    """
    if time_ms is None:
        return None
    try:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
