"""Kinds of trouble, and how much each tells of where the trouble comes from."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from model.alert import Alert, AlertStatus, Severity
from model.reason import Reason, because, gettext


class Kind(StrEnum):
    """What an alert says, strongest evidence against its own service first."""

    AVAILABILITY = "availability"  # it does not answer at all
    RESOURCES = "resources"  # its own process: CPU, memory, disk
    LOGS = "logs"  # its own log says something new
    ERRORS = "errors"
    OTHER = "other"  # pushed alerts that do not say what they measure
    LATENCY = "latency"
    LEVEL = "level"
    LOAD = "load"  # requests in flight, queues, connections: they pile up behind a slow callee
    HOST = "host"  # the ground it stands on
    EXPIRY = "expiry"  # of a certificate: nothing is wrong yet
    TRAFFIC = "traffic"  # less (or more) to do: the effect of trouble elsewhere


POINTS: dict[Kind, int] = {
    Kind.AVAILABILITY: 50,
    Kind.RESOURCES: 40,
    Kind.LOGS: 15,
    Kind.ERRORS: 12,
    Kind.OTHER: 12,
    Kind.LATENCY: 10,
    Kind.LEVEL: 8,
    Kind.LOAD: 8,
    Kind.HOST: 8,
    Kind.TRAFFIC: 3,
    Kind.EXPIRY: 3,
}

OWN = frozenset({Kind.AVAILABILITY, Kind.RESOURCES})
"""Kinds that a service does not inherit from the services it calls."""

_SIGNALS = {
    "availability": Kind.AVAILABILITY,
    "errors": Kind.ERRORS,
    "latency": Kind.LATENCY,
    "traffic": Kind.TRAFFIC,
    "saturation": Kind.RESOURCES,
    "logs": Kind.LOGS,
    "level": Kind.LEVEL,
    "expiry": Kind.EXPIRY,
}
_PILES_UP = re.compile(
    r"in.?flight|in.?progress|queue|pending|backlog|connection|thread|pool", re.I
)

TITLES: dict[Kind, str] = {
    Kind.AVAILABILITY: gettext("{service}: does not answer"),
    Kind.RESOURCES: gettext("{service}: uses far more resources than usual"),
    Kind.ERRORS: gettext("{service}: answers with errors"),
    Kind.LATENCY: gettext("{service}: answers slowly"),
    Kind.OTHER: gettext("{service}: {alert}"),
    Kind.LOGS: gettext("{service}: logs show unusual messages"),
    Kind.LEVEL: gettext("{service}: a measurement left its usual range"),
    Kind.LOAD: gettext("{service}: work is piling up"),
    Kind.HOST: gettext("{service}: the host is overloaded"),
    Kind.TRAFFIC: gettext("{service}: traffic is far from usual"),
    Kind.EXPIRY: gettext("{service}: a certificate will expire"),
}
"""What is said first, in the order in which it is told: what hurts before what merely hints."""

_RESOURCE_TITLES = (
    (re.compile(r"cpu|load", re.I), gettext("{service}: uses far more CPU than usual")),
    (
        re.compile(r"mem|rss|resident|heap|swap", re.I),
        gettext("{service}: uses far more memory than usual"),
    ),
    (
        re.compile(r"disk|filesystem|inode|volume", re.I),
        gettext("{service}: a disk is filling up or busy"),
    ),
    (re.compile(r"fds|descriptor", re.I), gettext("{service}: runs out of file descriptors")),
)


def kind_of(alert: Alert, *, infrastructure: bool = False) -> Kind:
    """What an alert says.

    Examples
    --------
    >>> from model.labels import Labels
    >>> kind_of(Alert(Labels.of({"signal": "saturation", "metric": "requests_in_flight"}), "", 0, 0))
    <Kind.LOAD: 'load'>
    """
    if infrastructure:
        return Kind.HOST
    kind = _SIGNALS.get(alert.signal, Kind.OTHER)
    if kind is Kind.RESOURCES:
        if _PILES_UP.search(alert.labels.get("metric", "") or alert.name):
            return Kind.LOAD
        seen = alert.evidence
        if seen is not None and seen.value is not None and seen.low is not None:
            # A service that waits for another uses less, not more.
            return Kind.TRAFFIC if seen.value < seen.low else kind
    return kind


@dataclass(slots=True)
class Sighting:
    """Alerts of one kind about one service, summed up: the earliest, how many, how bad.

    `earliest` holds (start in ms, key), oldest first, at most `limit`.
    """

    limit: int = 50
    count: int = 0
    severity: Severity = Severity.INFO
    earliest: list[tuple[int, str]] = field(default_factory=list)

    @property
    def first_ms(self) -> int:
        """Event time of the earliest."""
        return self.earliest[0][0]

    def add(self, key: str, alert: Alert) -> None:
        """Count one more."""
        self.count += 1
        if alert.severity.rank > self.severity.rank:
            self.severity = alert.severity
        if len(self.earliest) < self.limit or (alert.starts_ms, key) < self.earliest[-1]:
            insort(self.earliest, (alert.starts_ms, key))
            del self.earliest[self.limit :]

    @classmethod
    def of(cls, members: Iterable[tuple[str, AlertStatus]], *, limit: int = 50) -> Sighting:
        """Sum up members."""
        found = cls(limit)
        for key, status in members:
            found.add(key, status.alert)
        return found


Sightings = dict[str, dict[Kind, Sighting]]
"""Per affected service, per kind."""


def sentence(alert: Alert, service: str) -> Reason:
    """One sentence for an alert: the detector's own, the sender's summary, or its name."""
    if alert.summary is not None:
        return alert.summary
    said = alert.annotations.get("summary") or alert.annotations.get("description")
    name = alert.name or service
    if said:
        return because("{alert}: {summary}", alert=name, summary=said[:500])
    return because("{alert} fires on {service}", alert=name, service=service or "?")


def title(service: str, kinds: dict[Kind, Sighting], alert: Alert) -> Reason:
    """What a person reads first: where, and what in plain words.

    Parameters
    ----------
    alert : Alert
        The one that tells most, named where its kind is not known.
    """
    kind = next(kind for kind in TITLES if kind in kinds)
    if kind is Kind.OTHER:
        what = alert.annotations.get("summary", "")[:200] or alert.name or "?"
        return because(TITLES[kind], service=service or "?", alert=what)
    if kind in (Kind.RESOURCES, Kind.HOST):
        measured = alert.labels.get("metric", "") or alert.name
        for pattern, template in _RESOURCE_TITLES:
            if pattern.search(measured):
                return because(template, service=service or "?")
    return because(TITLES[kind], service=service or "?")
