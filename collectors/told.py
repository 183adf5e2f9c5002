"""Alerts of systems that name each by a key of their own and may resolve it by that key alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from model.alert import Alert
from model.identity import derive_id
from model.labels import LABEL_BYTES_MAX, LABELS_MAX, Labels

KEY_LABEL = "dedup_key"
EXPIRY_MS = 7 * 86_400_000
"""Such a system says a thing once: what nothing is heard of for so long ends (F11)."""
_KEY_CHARS_MAX = 255
_OURS = frozenset(("alertname", "severity", KEY_LABEL))


class Action(StrEnum):
    """What the other system says."""

    FIRE = "fire"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Told:
    """What another system said of one of its alerts.

    Attributes
    ----------
    key : str
        Its own name for it; only what the same source fired is found by it (A25).
    labels : Labels
        With `KEY_LABEL`; may be empty where it is not firing.
    time_ms : int
        When that happened; never ahead of now.
    """

    key: str
    action: Action
    time_ms: int
    labels: Labels = Labels()
    annotations: Labels = Labels()
    url: str = ""
    text: str = ""


def settle(told: Told, known: Alert | None, *, source: str, now_ms: int) -> list[Alert]:
    """The alerts that follow, given the one that fires under the same source and key.

    What fires already keeps its labels, by which it is known; another severity makes it another alert,
    fired before the old one is resolved, so that its incident goes on. What nobody fired is not resolved.

    Examples
    --------
    >>> labels = Labels.of({"alertname": "Down", "severity": "warning"})
    >>> fired, = settle(Told("k", Action.FIRE, 5, labels), None, source="pd", now_ms=9)
    >>> worse = Told("k", Action.FIRE, 8, Labels.of({**labels, "severity": "critical"}))
    >>> [(a.labels["severity"], a.ends_ms) for a in settle(worse, fired, source="pd", now_ms=9)]
    [('critical', None), ('warning', 9)]
    >>> [a.ends_ms for a in settle(Told("k", Action.RESOLVE, 7), fired, source="pd", now_ms=9)]
    [7]
    >>> settle(Told("k", Action.RESOLVE, 7), None, source="pd", now_ms=9)
    []
    """
    if told.action is Action.RESOLVE:
        return [] if known is None else [_ended(known, min(told.time_ms, now_ms), now_ms)]
    if told.action is Action.ACKNOWLEDGE:
        return []
    fresh = Alert(
        labels=told.labels,
        source=source,
        starts_ms=min(told.time_ms, now_ms),
        arrival_ms=now_ms,
        expires_ms=now_ms + EXPIRY_MS,
        annotations=told.annotations,
        generator_url=told.url,
    )
    if known is None:
        return [fresh]
    severity = told.labels.get("severity", "")
    if severity == known.labels.get("severity", ""):
        return [replace(fresh, labels=known.labels, starts_ms=known.starts_ms)]
    labels = Labels.of({**dict(known.labels), "severity": severity})
    return [replace(fresh, labels=labels), _ended(known, now_ms, now_ms)]


def _ended(known: Alert, ends_ms: int, now_ms: int) -> Alert:
    return replace(known, ends_ms=max(known.starts_ms, ends_ms), arrival_ms=now_ms, expires_ms=None)


def key_of(text: str) -> str:
    """A key that fits into a label: a long one by its hash."""
    return text if len(text) <= _KEY_CHARS_MAX else derive_id("key", text)


def labels_of(key: str, name: str, severity: str, others: Iterable[tuple[str, str]] = ()) -> Labels:
    """Labels of an alert: ours, and the sender's as far as they fit and do not pretend to be ours.

    Examples
    --------
    >>> labels_of("k1", "Down", "critical", [("severity", "fun"), ("host", "web1"), ("empty", "")]).pairs
    (('alertname', 'Down'), ('dedup_key', 'k1'), ('host', 'web1'), ('severity', 'critical'), ('tag_severity', 'fun'))
    """
    found = {"alertname": cut(name), "severity": severity, KEY_LABEL: key}
    for label, value in others:
        label = f"tag_{label}" if label in _OURS else label
        if label and value and len(label) <= LABEL_BYTES_MAX and len(found) < LABELS_MAX:
            found[label] = cut(f"{found[label]},{value}" if label in found else value)
    return Labels.of(found)


def notes_of(others: Mapping[str, str]) -> Labels:
    """Annotations: what is not empty, cut at a limit."""
    kept = [(name, cut(text)) for name, text in others.items() if name and text]
    return Labels.of(dict(kept[:LABELS_MAX]))


def cut(text: str) -> str:
    """Text as long as a label may be."""
    return text[:LABEL_BYTES_MAX]
