"""Incidents, alerts and log lines as documents in ECS names; what ECS has no name for is below `tocsin`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from model.alert import AlertStatus
from model.batch import LogBatch
from model.identity import derive_id
from model.incident import Incident, TimelineEntry

ECS = "8.11.0"
HISTORY = ("tocsin.incident", "tocsin.alert")
LOGS = ("tocsin.log", "tocsin.refused")
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


def log_document(batch: LogBatch, at: int, *, again: int, namespace: str) -> Document:
    """A log line, masked already, with the template it is of.

    Parameters
    ----------
    at : int
        Its place in the batch.
    again : int
        How many lines before it in the batch are the same in everything.
    """
    time_ms, service, line = int(batch.times_ms[at]), batch.services[at], batch.lines[at]
    severity = int(batch.severities[at])
    template = batch.template_texts.get(int(batch.templates[at]), "")
    ident = derive_id("log", batch.source, service, time_ms, line, again)
    log: dict[str, Any] = {"level": _log_level(severity)}
    if batch.source.startswith("/"):
        log["file"] = {"path": batch.source}
    return Document(
        "tocsin.log",
        ident,
        {
            **_head("tocsin.log", namespace, time_ms),
            "message": line[:_TEXT_MAX],
            "log": log,
            "event": {
                "kind": "event",
                "provider": "tocsin",
                "dataset": "tocsin.log",
                "id": ident,
                "created": _time(batch.arrival_ms),
                "severity": severity or None,
            },
            "service": {"name": service or None},
            "tocsin": {
                "source": batch.source,
                "template": {
                    "id": derive_id("template", template),
                    "text": template[:_TEXT_MAX],
                },
                "numbers": (batch.fields[at] if batch.fields else "") or None,
            },
        },
    )


def refused_document(one: Document, reason: str, *, namespace: str) -> Document:
    """A document that the server will never take as it is, as text, so that it can be found."""
    ident = derive_id("refused", one.dataset, one.id)
    head = _head("tocsin.refused", namespace, 0)
    return Document(
        "tocsin.refused",
        ident,
        {
            **head,
            "@timestamp": one.body.get("@timestamp"),
            "message": json.dumps(one.body, ensure_ascii=False)[:_TEXT_MAX],
            "error": {"message": reason},
            "event": {
                "kind": "pipeline_error",
                "provider": "tocsin",
                "dataset": "tocsin.refused",
                "id": one.id,
            },
            "tocsin": {"source": one.dataset},
        },
    )


def _log_level(severity: int) -> str | None:
    """In the words of ECS, of OpenTelemetry's numbers.

    Examples
    --------
    >>> [_log_level(n) for n in (0, 1, 9, 14, 17, 24)]
    [None, 'trace', 'info', 'warn', 'error', 'fatal']
    """
    if not 1 <= severity <= 24:
        return None
    return ("trace", "debug", "info", "warn", "error", "fatal")[(severity - 1) // 4]


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
