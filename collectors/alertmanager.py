"""Alerts as Prometheus, vmalert, Grafana and other Alertmanagers push them, and as they ask for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from collectors.json_input import Json, Reader, load, read_items
from collectors.settings import IntakeLimits
from model.alert import Alert, AlertStatus
from model.errors import InputError

WEBHOOK_EXPIRY_MS = 8 * 3_600_000
"""A webhook is repeated after `repeat_interval` (4 h by default): nothing heard for twice that ends it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIMITS = IntakeLimits()


def parse_v2(
    body: bytes,
    *,
    now_ms: int,
    source: str,
    resolve_timeout_ms: int = 300_000,
    limits: IntakeLimits = _LIMITS,
) -> list[Alert]:
    """Read the body of `POST /api/v2/alerts`: an array of alerts.

    As in Alertmanager: a missing `startsAt` is now (or `endsAt` where that is given); `endsAt` ahead
    of now fires until then; `endsAt` past is a resolve; a missing `endsAt` fires until
    `resolve_timeout_ms` after now. A `startsAt` ahead of now is taken as now (F12).

    Raises
    ------
    RefusedItems
        If some alerts are malformed; `accepted` holds the others.
    InputError
        If the body as a whole is.

    Examples
    --------
    >>> alert, = parse_v2(b'[{"labels": {"alertname": "Down"}}]', now_ms=1_000, source="prom")
    >>> alert.name, alert.starts_ms, alert.expires_ms
    ('Down', 1000, 301000)
    """
    data = load(body, limits)
    if not isinstance(data, list):
        raise InputError("/: must be an array of alerts")

    def read(reader: Reader) -> Alert:
        starts_ms, ends_ms = reader.time_ms("startsAt"), reader.time_ms("endsAt")
        if starts_ms is not None and ends_ms is not None and ends_ms < starts_ms:
            reader.problem("endsAt", "must not be before startsAt", reader.data["endsAt"])
        if starts_ms is None:
            starts_ms = now_ms if ends_ms is None else ends_ms
        ahead = ends_ms is None or ends_ms > now_ms
        expires_ms = (
            (now_ms + resolve_timeout_ms if ends_ms is None else ends_ms) if ahead else None
        )
        return _alert(
            reader,
            source=source,
            now_ms=now_ms,
            starts_ms=starts_ms,
            ends_ms=None if ahead else ends_ms,
            expires_ms=expires_ms,
        )

    return read_items(data, "", read, limits)


def parse_webhook(
    body: bytes,
    *,
    now_ms: int,
    source: str,
    resolve_timeout_ms: int = WEBHOOK_EXPIRY_MS,
    limits: IntakeLimits = _LIMITS,
) -> list[Alert]:
    """Read an Alertmanager's webhook (version "4" and later ones that keep its fields).

    The status of each alert counts. Firing alerts end when nothing is heard for `resolve_timeout_ms`,
    at least `WEBHOOK_EXPIRY_MS`. What describes the group (`groupKey`, `commonLabels`,
    `truncatedAlerts`, `notification_reason`, …) is not needed and may be anything.

    Raises
    ------
    RefusedItems, InputError
        As `parse_v2`.
    """
    data = load(body, limits)
    whole = Reader(data)
    version = whole.text("version", default="4")
    if not (version.isascii() and version.isdigit() and len(version) < 5 and int(version) >= 4):
        whole.problem("version", 'must be "4" or later', version)
    if "alerts" not in whole.data:
        whole.problem("alerts", "must be a list of alerts")
    items = whole.items("alerts")
    whole.check()
    expiry_ms = max(resolve_timeout_ms, WEBHOOK_EXPIRY_MS)

    def read(reader: Reader) -> Alert:
        status = reader.text("status", default=str(whole.data.get("status") or "firing"))
        if status not in ("firing", "resolved"):
            reader.problem("status", 'must be "firing" or "resolved"', status)
        starts_ms, ends_ms = reader.time_ms("startsAt"), reader.time_ms("endsAt")
        resolved = status == "resolved"
        if resolved:
            ends_ms = now_ms if ends_ms is None else min(ends_ms, now_ms)
        if starts_ms is None:
            starts_ms = ends_ms if resolved and ends_ms is not None else now_ms
        return _alert(
            reader,
            source=source,
            now_ms=now_ms,
            starts_ms=starts_ms,
            ends_ms=ends_ms if resolved else None,
            expires_ms=None if resolved else now_ms + expiry_ms,
        )

    return read_items(items, "/alerts", read, limits)


def _alert(
    reader: Reader,
    *,
    source: str,
    now_ms: int,
    starts_ms: int,
    ends_ms: int | None,
    expires_ms: int | None,
) -> Alert:
    before = len(reader.problems)
    labels = reader.labels("labels")
    if not labels and len(reader.problems) == before:
        reader.problem("labels", "must have at least one label with a value")
    starts_ms = min(starts_ms, now_ms)
    return Alert(
        labels=labels,
        source=source,
        starts_ms=starts_ms,
        arrival_ms=now_ms,
        # No negative durations, whatever the sender's clock says (F11).
        ends_ms=None if ends_ms is None else max(starts_ms, ends_ms),
        expires_ms=expires_ms,
        annotations=reader.labels("annotations", cut=True),
        generator_url=reader.text("generatorURL"),
    )


def to_v2(
    statuses: Iterable[AlertStatus], *, now_ms: int, resolve_timeout_ms: int = 300_000
) -> list[dict[str, Json]]:
    """Write alerts as `GET /api/v2/alerts` does, ready for JSON.

    Examples
    --------
    >>> from model.labels import Labels
    >>> status = AlertStatus(Alert(Labels.of({"alertname": "Down"}), "prom", 0, 0))
    >>> to_v2([status], now_ms=0)[0]["status"]
    {'state': 'active', 'silencedBy': [], 'inhibitedBy': [], 'mutedBy': []}
    """
    return [_to_v2(status, now_ms, resolve_timeout_ms) for status in statuses]


def _to_v2(status: AlertStatus, now_ms: int, resolve_timeout_ms: int) -> dict[str, Json]:
    alert = status.alert
    ends_ms = alert.ends_ms
    if ends_ms is None:
        # Alertmanager always says until when it believes the alert.
        ends_ms = alert.expires_ms or now_ms + resolve_timeout_ms
    return {
        "annotations": dict(alert.annotations),
        "endsAt": rfc3339(ends_ms),
        "fingerprint": alert.labels.fingerprint(),
        "receivers": [],
        "startsAt": rfc3339(alert.starts_ms),
        "status": {
            "state": "suppressed" if status.silenced_by else "active",
            "silencedBy": list(status.silences),
            "inhibitedBy": list(status.inhibitors),
            "mutedBy": [],
        },
        "updatedAt": rfc3339(alert.arrival_ms),
        "generatorURL": alert.generator_url,
        "labels": dict(alert.labels),
    }


def rfc3339(time_ms: int) -> str:
    """A time as Alertmanager writes it.

    Examples
    --------
    >>> rfc3339(1_700_000_000_123)
    '2023-11-14T22:13:20.123Z'
    """
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"
