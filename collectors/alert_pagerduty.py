"""Events in the shape of PagerDuty's Events API v2, so that what sends there can send here."""

from __future__ import annotations

from collectors.json_input import Reader, load
from collectors.settings import IntakeLimits
from collectors.told import Action, Told, cut, key_of, labels_of, notes_of
from model.change import Change
from model.errors import InputError
from model.identity import derive_id
from model.labels import Labels

BODY_BYTES_MAX = 512 * 1024
_LIMITS = IntakeLimits()
_ACTIONS = {
    "trigger": Action.FIRE,
    "acknowledge": Action.ACKNOWLEDGE,
    "resolve": Action.RESOLVE,
}
_SEVERITIES = ("critical", "error", "warning", "info")
_PARTS = ("component", "group", "class")


def routing_key(body: bytes) -> str:
    """The key in a body that nobody has checked yet; "" where there is none.

    Examples
    --------
    >>> routing_key(b'{"routing_key": "abc"}'), routing_key(b"[1]"), routing_key(b"{")
    ('abc', '', '')
    """
    try:
        data = load(body, _LIMITS)
    except InputError:
        return ""
    key = data.get("routing_key") if isinstance(data, dict) else None
    return key if isinstance(key, str) and len(key) <= 200 else ""


def parse(body: bytes, *, now_ms: int, source: str, limits: IntakeLimits = _LIMITS) -> list[Told]:
    """Read one event: trigger, acknowledge or resolve.

    Raises
    ------
    InputError
        With every problem.

    Examples
    --------
    >>> body = b'{"event_action": "trigger", "dedup_key": "k", "payload":'
    >>> body += b' {"summary": "cart is down", "source": "web1", "severity": "critical"}}'
    >>> told, = parse(body, now_ms=9, source="pd")
    >>> dict(told.labels)
    {'alertname': 'cart is down', 'dedup_key': 'k', 'instance': 'web1', 'severity': 'critical'}
    """
    reader = Reader(load(body, limits))
    action = reader.text("event_action")
    if action not in _ACTIONS:
        reader.problem("event_action", "must be trigger, acknowledge or resolve", action)
    given = reader.text("dedup_key")
    if len(given) > 255:
        reader.problem("dedup_key", "may have at most 255 characters")
    if action != "trigger":
        if not given:
            reader.problem("dedup_key", "must be given")
        reader.check()
        return [Told(given, _ACTIONS[action], now_ms)]
    payload = _payload(reader)
    summary, origin = payload.text("summary"), payload.text("source")
    severity = payload.text("severity")
    for name, value in (("summary", summary), ("source", origin)):
        if not value:
            payload.problem(name, "must be given")
    if severity not in _SEVERITIES:
        payload.problem("severity", "must be critical, error, warning or info", severity)
    time_ms = payload.time_ms("timestamp")
    parts = {name: payload.text(name) for name in _PARTS}
    notes = {"summary": summary, **_details(payload), **_links(reader)}
    client, url = reader.text("client"), reader.text("client_url")
    service = _service(payload)
    reader.problems += payload.problems
    reader.check()
    key = key_of(given or derive_id("event", source, now_ms, body))
    others = [("instance", origin), ("service", service), *parts.items()]
    return [
        Told(
            key,
            Action.FIRE,
            now_ms if time_ms is None else min(time_ms, now_ms),
            labels_of(key, parts["class"] or summary, severity, others),
            notes_of({**notes, "client": client}),
            cut(url),
        )
    ]


def parse_change(
    body: bytes, *, now_ms: int, source: str, limits: IntakeLimits = _LIMITS
) -> list[Change]:
    """Read a change event.

    Raises
    ------
    InputError
        With every problem.

    Examples
    --------
    >>> body = b'{"payload": {"summary": "cart 2.4", "source": "ci", "custom_details": {"service": "cart"}}}'
    >>> change, = parse_change(body, now_ms=9, source="ci")
    >>> change.service, change.kind, change.title
    ('cart', 'deploy', 'cart 2.4')
    """
    reader = Reader(load(body, limits))
    payload = _payload(reader)
    summary = payload.short("summary", cut=True)
    if not summary:
        payload.problem("summary", "must be given")
    told_ms = payload.time_ms("timestamp")
    details, links = _details(payload), _links(reader)
    service = _service(payload) or payload.short("source")
    reader.problems += payload.problems
    reader.check()
    time_ms = now_ms if told_ms is None or told_ms > now_ms else told_ms
    return [
        Change(
            id=derive_id("change", source, "pagerduty", service, summary, time_ms),
            time_ms=time_ms,
            kind=details.get("kind") or "deploy",
            service=service,
            title=summary,
            author=details.get("author", ""),
            version=details.get("version", ""),
            url=next(iter(links.values()), ""),
            source=source,
            labels=Labels(),
            arrival_ms=now_ms,
        )
    ]


def _payload(reader: Reader) -> Reader:
    data = reader.data.get("payload")
    return Reader(data, "/payload")


def _service(payload: Reader) -> str:
    details = payload.data.get("custom_details")
    service = details.get("service") if isinstance(details, dict) else None
    return cut(service) if isinstance(service, str) else ""


def _details(payload: Reader) -> dict[str, str]:
    """What is text or a number among the details, by name."""
    details = payload.data.get("custom_details")
    if details is None or isinstance(details, str):  # some libraries send a text
        return {"description": cut(details)} if details else {}
    if not isinstance(details, dict):
        payload.problem("custom_details", "must be an object", details)
        return {}
    return {
        name[:200]: cut(str(value))
        for name, value in list(details.items())[:40]
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def _links(reader: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, field in (("links", "href"), ("images", "src")):
        for number, item in enumerate(reader.items(kind)[:5]):
            href = item.get(field) if isinstance(item, dict) else None
            if not isinstance(href, str):
                reader.problem(f"{kind}/{number}", f'must be an object with "{field}"', item)
            else:
                found[f"{kind[:-1]}_{number + 1}"] = cut(href)
    return found
