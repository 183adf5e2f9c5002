"""Problems as our media type for Zabbix sends them (docs/webhooks.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from collectors.json_input import Json, Reader, load
from collectors.settings import IntakeLimits
from collectors.told import Action, Told, cut, key_of, labels_of, notes_of
from model.errors import InputError
from model.identity import derive_id
from model.labels import Labels

_LIMITS = IntakeLimits()
_MACRO = re.compile(
    r"\{(?:[A-Z][A-Z0-9_]*(?:\.[^{}]{1,100})?|[$#][^{}]{1,200}|\?[^{}]{1,500})(?::[^{}]{0,200})?\}|\*UNKNOWN\*"
)
SEVERITIES = ("info", "info", "warning", "warning", "critical", "critical")
NAMES = ("Not classified", "Information", "Warning", "Average", "High", "Disaster")
EVENT_ID = "zabbix_event_id"
"""The annotation that says which event an alert is about: what is acknowledged there is found by it."""
_OTHER_SOURCES = ("1", "2")  # discovery and autoregistration: news, not problems


def without_macros(text: str) -> str:
    """Text without what Zabbix did not resolve: it sends such macros as they stand.

    Examples
    --------
    >>> without_macros("{EVENT.TAGS.service}"), without_macros("disk {#FSNAME} of {HOST.NAME1} is full")
    ('', 'disk of is full')
    >>> without_macros('{"json": "stays"} and {lower.case} too')
    '{"json": "stays"} and {lower.case} too'
    """
    return " ".join(_MACRO.sub(" ", text).split()) if "{" in text or "*" in text else text.strip()


def parse(body: bytes, *, now_ms: int, source: str, limits: IntakeLimits = _LIMITS) -> list[Told]:
    """Read one event: a problem (`event_value` "1"), its recovery ("0"), or an update of it.

    The trigger and its tags are the identity, so that the same problem is the same alert the next time.

    Raises
    ------
    InputError
        With every problem.

    Examples
    --------
    >>> body = b'{"event_value": "1", "event_id": "7", "trigger_id": "15", "event_name": "down",'
    >>> body += b' "nseverity": "5", "host": "web1", "host_ip": "{HOST.IP}"}'
    >>> told, = parse(body, now_ms=9, source="zabbix")
    >>> told.action, dict(told.labels)
    (<Action.FIRE: 'fire'>, {'alertname': 'down', 'dedup_key': '15', 'host': 'web1', 'instance': 'web1', 'severity': 'critical'})
    """
    reader = Reader(load(body, limits))
    fields = {name: _text(reader, name) for name in reader.data if name != "tags"}
    value = fields.get("event_value", "")
    key = fields.get("trigger_id") or fields.get("event_id") or ""
    if value not in ("0", "1"):
        reader.problem(
            "event_value", 'must be "1" (problem) or "0" (recovery)', *_came(reader, "event_value")
        )
    if not key:
        reader.problem(
            "event_id",
            "must be given, or trigger_id; is the macro resolved?",
            *_came(reader, "event_id"),
        )
    name = fields.get("event_name") or fields.get("trigger_name") or ""
    if value == "1" and not name:
        reader.problem("event_name", "must be given", *_came(reader, "event_name"))
    severity = fields.get("nseverity", "")
    if severity not in ("", "0", "1", "2", "3", "4", "5"):
        reader.problem("nseverity", "must lie between 0 and 5", severity)
    tags = _tags(reader)
    reader.check()
    if fields.get("event_source") in _OTHER_SOURCES:
        return []
    key = identity(key, tags)
    level = int(severity) if severity else 2
    host, group = fields.get("host", ""), fields.get("host_group", "")
    return [
        Told(
            key=key,
            action=_action(value, fields),
            time_ms=now_ms,
            labels=problem_labels(key, name, level, host, group, tags)
            if name
            else labels_of(key, key, ""),
            annotations=notes_of(
                {
                    "summary": f"{name} ({host})" if host else name,
                    "description": fields.get("event_opdata")
                    or fields.get("trigger_description", ""),
                    "zabbix_severity": NAMES[level],
                    EVENT_ID: fields.get("event_id", ""),
                    "zabbix_trigger_id": fields.get("trigger_id", ""),
                    "item": fields.get("item_name", ""),
                    "value": fields.get("item_value", ""),
                    "host_ip": fields.get("host_ip", ""),
                }
            ),
            url=cut(fields.get("event_url", "")),
            text=fields.get("update_message", ""),
        )
    ]


def identity(trigger: str, tags: Iterable[tuple[str, str]]) -> str:
    """A problem's own name: its trigger and tags, so that it is the same the next time.

    Examples
    --------
    >>> identity("15", []), identity("15", [("disk", "sda")])
    ('15', '15 ac72c02a')
    """
    told = [part for tag in sorted(tags) for part in tag]
    return key_of(f"{trigger} {derive_id(*told, length=8)}" if told else trigger)


def problem_labels(
    key: str, name: str, level: int, host: str, group: str, tags: Iterable[tuple[str, str]]
) -> Labels:
    """Labels of a problem, whichever way it came: pushed by the media type, or asked for.

    Parameters
    ----------
    level : int
        Zabbix's severity, 0 … 5.
    group : str
        Names of the host's groups, by commas.
    """
    names = [("instance", host), ("host", host), ("host_group", group)]
    return labels_of(key, name, SEVERITIES[level], [*names, *tags])


def _action(value: str, fields: dict[str, str]) -> Action:
    if value == "0":
        return Action.RESOLVE
    updated = fields.get("event_update") == "1"
    if updated and "acknowledged" in fields.get("update_action", "").replace("unacknowledged", ""):
        return Action.ACKNOWLEDGE
    return Action.FIRE


def _text(reader: Reader, name: str) -> str:
    value = reader.data[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return without_macros(reader.text(name)) if isinstance(value, str) else reader.text(name)


def _came(reader: Reader, name: str) -> tuple[Json, ...]:
    return (reader.data[name],) if name in reader.data else ()


def _tags(reader: Reader) -> list[tuple[str, str]]:
    """Tags as a list of objects, or as the text of {EVENT.TAGSJSON}."""
    data = reader.data.get("tags")
    if isinstance(data, str):
        if not without_macros(data):
            return []
        try:
            data = load(data.encode())
        except InputError:
            data = None
    if data is None and "tags" not in reader.data:
        return []
    if not isinstance(data, list):
        reader.problem("tags", 'must be a list of {"tag": …, "value": …}')
        return []
    found: list[tuple[str, str]] = []
    for item in data:
        name, value = (
            (item.get("tag"), item.get("value")) if isinstance(item, dict) else (None, None)
        )
        if not isinstance(name, str) or not isinstance(value, str):
            reader.problem("tags", 'must be a list of {"tag": …, "value": …}', item)
            break
        if without_macros(name) and without_macros(value):
            found.append((without_macros(name), without_macros(value)))
    return found
