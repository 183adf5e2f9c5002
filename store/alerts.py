"""Alerts: one row per occurrence, with what the correlator made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, and_, exists, func, or_, select

from model.alert import Alert, AlertStatus
from store.rows import Cursor, body, filtered, newest_first, read, read_one, upsert, words
from store.schema import alerts

_later = alerts.alias("later")

SUPERSEDED = exists().where(
    and_(_later.c.key == alerts.c.key, _later.c.starts_ms > alerts.c.starts_ms)
)
"""A later occurrence of a key stands for the earlier ones, resolved or not."""

FIRES = and_(alerts.c.ends_ms.is_(None), ~SUPERSEDED)


def save(conn: Connection, items: Iterable[AlertStatus]) -> None:
    """Insert or overwrite, by `Alert.id`."""
    upsert(conn, alerts, [_row(item) for item in items])


def _row(item: AlertStatus) -> dict[str, object]:
    alert = item.alert
    return {
        "id": alert.id,
        "key": alert.key,
        "source": alert.source,
        "name": alert.name,
        "service": alert.service,
        "severity": alert.severity.value,
        "incident_id": item.incident_id,
        "starts_ms": alert.starts_ms,
        "ends_ms": alert.ends_ms,
        "simulated": alert.simulated,
        "words": _words(alert),
        "body": body(item),
    }


def _words(alert: Alert) -> str:
    summary = alert.summary.text() if alert.summary else alert.annotations.get("summary", "")
    return words(*[f"{name}={value}" for name, value in alert.labels.pairs], summary)


def get(conn: Connection, alert_id: str) -> AlertStatus | None:
    """The occurrence of that id."""
    return read_one(conn, AlertStatus, select(alerts.c.body).where(alerts.c.id == alert_id))


def by_incident(conn: Connection, incident_id: str, *, limit: int = 1_000) -> list[AlertStatus]:
    """Members of an incident, oldest first."""
    query = select(alerts.c.body).where(alerts.c.incident_id == incident_id)
    return read(conn, AlertStatus, query.order_by(alerts.c.starts_ms, alerts.c.id).limit(limit))


def by_keys(conn: Connection, keys: Sequence[str]) -> dict[str, AlertStatus]:
    """The latest occurrence of each of at most some hundreds of keys; an unknown one is left out."""
    query = select(alerts.c.body).where(alerts.c.key.in_(keys), ~SUPERSEDED)
    return {item.alert.key: item for item in read(conn, AlertStatus, query)}


def firing(
    conn: Connection, *, simulated: bool | None = None, limit: int = 100_000
) -> list[AlertStatus]:
    """Alerts that have not been resolved, oldest first."""
    query = filtered(select(alerts.c.body).where(FIRES), alerts, simulated=simulated)
    return read(conn, AlertStatus, query.order_by(alerts.c.starts_ms, alerts.c.id).limit(limit))


def active(
    conn: Connection, *, resolved_since_ms: int, simulated: bool | None = None
) -> list[AlertStatus]:
    """What the correlator must know after a restart, oldest first.

    The latest occurrence of each key, where it fires or was resolved at or after `resolved_since_ms`.
    """
    query = select(alerts.c.body).where(
        ~SUPERSEDED, or_(alerts.c.ends_ms.is_(None), alerts.c.ends_ms >= resolved_since_ms)
    )
    query = filtered(query, alerts, simulated=simulated)
    return read(conn, AlertStatus, query.order_by(alerts.c.starts_ms, alerts.c.id))


def recent(
    conn: Connection,
    *,
    simulated: bool | None = None,
    firing: bool | None = None,
    service: str = "",
    severity: str = "",
    source: str = "",
    name: str = "",
    text: str = "",
    before: Cursor | None = None,
    limit: int = 100,
) -> list[AlertStatus]:
    """One page of occurrences, the latest begun first; `before` is `cursor` of the last one shown.

    Every word of `text` must occur in the labels (`name=value`) or the summary, in any case of letters.
    """
    query = filtered(
        select(alerts.c.body),
        alerts,
        text=text,
        simulated=simulated,
        service=service,
        severity=severity,
        source=source,
        name=name,
    )
    if firing is not None:
        query = query.where(FIRES if firing else ~FIRES)
    query = newest_first(query, alerts.c.starts_ms, alerts.c.id, before=before, limit=limit)
    return read(conn, AlertStatus, query)


def cursor(item: AlertStatus) -> Cursor:
    """Where a page that ends with this one ended."""
    return Cursor(item.alert.starts_ms, item.alert.id)


def firing_by_service(
    conn: Connection, *, simulated: bool | None = None
) -> dict[str, dict[str, int]]:
    """How many alerts fire, by service and severity: ``{"cart": {"critical": 2}}``."""
    count = func.count().label("count")
    query = select(alerts.c.service, alerts.c.severity, count).where(FIRES)
    query = filtered(query, alerts, simulated=simulated)
    query = query.group_by(alerts.c.service, alerts.c.severity)
    found: dict[str, dict[str, int]] = {}
    for service, severity, number in conn.execute(query.order_by(alerts.c.service)):
        found.setdefault(service, {})[severity] = number
    return found
