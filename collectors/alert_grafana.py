"""Alerts as Grafana's own alerting sends them to a webhook."""

from __future__ import annotations

from collectors.alertmanager import WEBHOOK_EXPIRY_MS
from collectors.json_input import Reader, load, read_items
from collectors.settings import IntakeLimits
from collectors.told import cut
from model.alert import Alert
from model.labels import LABELS_MAX, Labels

_LIMITS = IntakeLimits()
_LINKS = {
    "silenceURL": "silence_url",
    "dashboardURL": "dashboard_url",
    "panelURL": "panel_url",
    "imageURL": "image_url",
    "valueString": "value_string",
}


def parse(body: bytes, *, now_ms: int, source: str, limits: IntakeLimits = _LIMITS) -> list[Alert]:
    """Read Grafana's webhook: like Alertmanager's, with values and links, in a version of its own.

    Raises
    ------
    RefusedItems
        If some alerts are malformed; `accepted` holds the others.
    InputError
        If the body as a whole is.

    Examples
    --------
    >>> body = b'{"version": "1", "orgId": 1, "alerts": [{"status": "firing", "labels": {"alertname": "Hot"},'
    >>> alert, = parse(body + b' "values": {"B": 44.5, "C": 1}}]}', now_ms=9, source="grafana")
    >>> alert.name, alert.annotations["values"]
    ('Hot', 'B=44.5, C=1')
    """
    whole = Reader(load(body, limits))
    version = whole.text("version", default="1")
    if not (version.isascii() and version.isdigit() and len(version) < 5):
        whole.problem("version", 'must be a number such as "1"', version)
    if "alerts" not in whole.data:
        whole.problem("alerts", "must be a list of alerts")
    items = whole.items("alerts")
    whole.check()

    def read(reader: Reader) -> Alert:
        status = reader.text("status", default=str(whole.data.get("status") or "firing"))
        if status not in ("firing", "resolved"):
            reader.problem("status", 'must be "firing" or "resolved"', status)
        before = len(reader.problems)
        labels = reader.labels("labels")
        if not labels and len(reader.problems) == before:
            reader.problem("labels", "must have at least one label with a value")
        starts_ms = min(reader.time_ms("startsAt") or now_ms, now_ms)
        ends_ms = None
        if status == "resolved":
            ends_ms = max(starts_ms, min(reader.time_ms("endsAt") or now_ms, now_ms))
        return Alert(
            labels=labels,
            source=source,
            starts_ms=starts_ms,
            arrival_ms=now_ms,
            ends_ms=ends_ms,
            # Repeated by the notification policy, every 4 h by default.
            expires_ms=None if ends_ms is not None else now_ms + WEBHOOK_EXPIRY_MS,
            annotations=_annotations(reader),
            generator_url=reader.text("generatorURL"),
        )

    return read_items(items, "/alerts", read, limits)


def _annotations(reader: Reader) -> Labels:
    found = dict(reader.labels("annotations", cut=True))
    values = reader.data.get("values")
    if isinstance(values, dict):
        told = [f"{name}={value}" for name, value in values.items() if type(value) in (int, float)]
        found.setdefault("values", cut(", ".join(told)))
    elif values is not None:
        reader.problem("values", "must be an object of names and numbers", values)
    for field, name in _LINKS.items():
        if text := reader.text(field):
            found.setdefault(name, cut(text))
    return Labels.of(dict(list(found.items())[:LABELS_MAX]))
