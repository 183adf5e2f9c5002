"""Alerts and changes as CloudEvents 1.0: structured, in a batch, or binary (attributes as headers)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from collectors.json_input import Json, Reader, load, read_items
from collectors.settings import IntakeLimits
from collectors.told import Action, Told, cut, key_of, labels_of, notes_of
from model.change import Change
from model.errors import InputError
from model.identity import derive_id

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
_LIMITS = IntakeLimits()
_ALERT = re.compile(r"(?:^|\.)alert\.(firing|resolved|acknowledged)(?:\.v\d+)?$")
_CHANGE = re.compile(r"(?:^|\.)change(?:\.v\d+)?$")
_CDEVENT = re.compile(r"^dev\.cdevents\.(?:service)\.(deployed|upgraded|rolledback)\.[\w.-]+$")
_QUOTED = re.compile(r"\\(.)")
_ACTIONS = {
    "firing": Action.FIRE,
    "resolved": Action.RESOLVE,
    "acknowledged": Action.ACKNOWLEDGE,
}
_REQUIRED = ("id", "source", "type")


@dataclass(frozen=True, slots=True)
class Events:
    """What a body held: alerts, changes, and how many events of other types."""

    told: tuple[Told, ...] = ()
    changes: tuple[Change, ...] = ()
    ignored: int = 0


def parse(
    body: bytes,
    *,
    headers: Mapping[str, str],
    now_ms: int,
    source: str,
    limits: IntakeLimits = _LIMITS,
    encoded: bool = True,
) -> Events:
    """Read events in any mode of the HTTP binding; the type says what an event is.

    Where the content type names an event format, attributes in headers are copies and not looked at.
    Without `encoded` the values of headers are as they are: Kafka's binding neither quotes nor encodes them.

    `….alert.firing`, `….alert.resolved`, `….alert.acknowledged` and `….change` (a version ".v1" may follow) and
    CDEvents' service deployed, upgraded and rolledback are understood.

    Raises
    ------
    InputError
        With every problem.

    Examples
    --------
    >>> headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/ci", "ce-type": "acme.change.v1"}
    >>> events = parse(b'{"service": "cart", "title": "cart 2"}', headers=headers, now_ms=9, source="ci")
    >>> events.changes[0].title, events.told, events.ignored
    ('cart 2', (), 0)
    """
    kind = media_type(headers)
    if kind == BATCHED:
        data = load(body, limits)
        if not isinstance(data, list):
            raise InputError("/: must be an array of events")
        found = read_items(data, "", lambda reader: _event(reader, now_ms, source), limits)
        return Events(
            tuple(told for one in found for told in one.told),
            tuple(change for one in found for change in one.changes),
            sum(one.ignored for one in found),
        )
    if "ce-specversion" in headers and kind != STRUCTURED:
        reader = Reader(_binary(body, _attributes(headers, encoded), kind, limits))
    else:
        reader = Reader(load(body, limits))
    events = _event(reader, now_ms, source)
    reader.check()
    return events


def media_type(headers: Mapping[str, str]) -> str:
    """What a body is, without parameters and in small letters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _attributes(headers: Mapping[str, str], encoded: bool) -> dict[str, str]:
    found = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
    if encoded:
        found = {name: header_value(name, value) for name, value in found.items()}
    for name, value in found.items():
        if any(char in value for char in "\0\r\n"):
            raise InputError(f"ce-{name}: must not hold control characters")
    return found


def header_value(name: str, value: str) -> str:
    """An attribute's value out of its header: quotes undone first, then percent-encoding, once.

    Raises
    ------
    InputError
        If the bytes that are encoded are no UTF-8.

    Examples
    --------
    >>> header_value("id", '"a \\\\"b\\\\""'), header_value("id", "%e2%82%ac%2525")
    ('a "b"', '€%25')
    """
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _QUOTED.sub(r"\1", text[1:-1])
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"ce-{name}: percent-encoded bytes must be UTF-8") from None


def _binary(
    body: bytes, attributes: Mapping[str, str], kind: str, limits: IntakeLimits
) -> dict[str, Json]:
    """The event that headers and body make together; data of other types is nobody's business here."""
    if not _is_ours(attributes.get("type", "")):
        return dict(attributes)
    if body and kind not in ("", "application/json") and not kind.endswith("+json"):
        raise InputError(f"content-type: data must be JSON, got {kind[:80]!r}")
    return {**attributes, "data": load(body, limits) if body else {}}


def _event(reader: Reader, now_ms: int, source: str) -> Events:
    version = reader.text("specversion")
    if version != "1.0":
        reader.problem("specversion", 'must be "1.0"', version)
    ident, origin, kind = (reader.text(name) for name in _REQUIRED)
    for name, value in zip(_REQUIRED, (ident, origin, kind), strict=True):
        if not value:
            reader.problem(name, "must be given")
    time_ms = min(reader.time_ms("time") or now_ms, now_ms)
    subject = reader.text("subject")
    alert, cdevent = _ALERT.search(kind), _CDEVENT.match(kind)
    if not _is_ours(kind):
        return Events(ignored=1)
    data = Reader(_data(reader), f"{reader.path}/data", reader.problems)
    if alert is not None:
        key = data.text("key") or subject or (ident if alert[1] == "firing" else "")
        if not key:
            reader.problem("subject", "must be given, or data.key, as when it fired")
        told = _told(data, key_of(f"{origin} {key}"), _ACTIONS[alert[1]], time_ms)
        return Events(told=(told,))
    if cdevent is not None:
        return Events(changes=(_deployed(data, cdevent[1], ident, time_ms, now_ms, source),))
    return Events(changes=(_change(data, f"{origin} {ident}", time_ms, now_ms, source),))


def _is_ours(kind: str) -> bool:
    return any(found(kind) for found in (_ALERT.search, _CDEVENT.match, _CHANGE.search))


def _data(reader: Reader) -> Json:
    packed = reader.text("data_base64")
    if not packed:
        return reader.data.get("data", {})
    if "data" in reader.data:
        reader.problem("data_base64", "must not be given beside data")
    try:
        return load(base64.b64decode(packed, validate=True))
    except InputError as error:
        reader.problem("data_base64", f"must hold JSON ({str(error)[:100]})")
    except ValueError:
        reader.problem("data_base64", "must be base64")
    return {}


def _told(data: Reader, key: str, action: Action, time_ms: int) -> Told:
    labels, notes = data.labels("labels"), data.labels("annotations", cut=True)
    name = data.text("name") or labels.get("alertname", "")
    severity = data.text("severity") or labels.get("severity", "warning")
    summary, text = data.text("summary"), data.text("description")
    service, url = data.text("service"), data.text("url")
    if action is Action.FIRE and not (name or summary):
        data.problem("name", "must be given, or a summary or labels.alertname")
    others = {**dict(labels), **({"service": service} if service else {})}
    others.pop("alertname", None), others.pop("severity", None)
    told = {**dict(notes), **{k: v for k, v in (("summary", summary), ("description", text)) if v}}
    return Told(
        key,
        action,
        time_ms,
        labels_of(key, name or summary or key, severity, others.items()),
        notes_of(told),
        cut(url),
    )


def _change(data: Reader, given: str, time_ms: int, now_ms: int, source: str) -> Change:
    service = data.short("service")
    title = data.short("title", "summary", cut=True)
    if not service and not title:
        data.problem("", "must have a service or a title")
    version, kind = data.short("version"), data.short("kind", default="deploy")
    return Change(
        # Source and id name an event once for all: a repeat is the same change.
        id=derive_id("change", source, given),
        time_ms=time_ms,
        kind=kind,
        service=service,
        title=title or f"{kind} {version}".strip(),
        author=data.short("author"),
        version=version,
        url=data.short("url"),
        source=source,
        labels=data.labels("labels"),
        arrival_ms=now_ms,
    )


def _deployed(
    data: Reader, what: str, ident: str, time_ms: int, now_ms: int, source: str
) -> Change:
    """A CDEvent: subject.id is the service, subject.content.artifactId what runs there now."""
    subject = Reader(data.data.get("subject", {}), f"{data.path}/subject", data.problems)
    content = subject.data.get("content")
    artifact = content.get("artifactId") if isinstance(content, dict) else None
    service = subject.short("id")
    if not service:
        subject.problem("id", "must be given")
    version = cut(artifact) if isinstance(artifact, str) else ""
    kind = "rollback" if what == "rolledback" else "deploy"
    return Change(
        id=derive_id("change", source, ident),
        time_ms=time_ms,
        kind=kind,
        service=service,
        title=cut(f"{service} {what} {version}".strip()),
        version=version,
        source=source,
        arrival_ms=now_ms,
    )
