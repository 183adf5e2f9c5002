"""Which runbooks fit an incident, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.alert import Alert
from model.catalogue import Catalogue
from model.incident import Incident
from model.labels import matches_all
from model.reason import Reason, because, gettext
from runbooks.library import Library
from runbooks.runbook import Runbook

LINKED = 100  # the catalogue names it for the first suspect
LINKED_ELSEWHERE = 40  # … or for another affected service
MATCHED = 50  # an alert of the first suspect has its labels
MATCHED_ELSEWHERE = 15
SIGNAL = 30  # what the first suspect shows
SIGNAL_ELSEWHERE = 10
SERVICE = 20
CHANGE = 60  # a change is among the suspects, and the runbook is about changes
SEVERITY = 5
CHANGE_TAG = "change"
MATCHES_MAX = 3


@dataclass(frozen=True, slots=True)
class Match:
    """A runbook that fits, how well, and each reason."""

    runbook: Runbook
    score: int
    reasons: tuple[Reason, ...]


def match(
    library: Library, incident: Incident, alerts: Sequence[Alert], catalogue: Catalogue
) -> list[Match]:
    """Rank the runbooks that fit an incident, best first, at most `MATCHES_MAX`.

    A link in the catalogue counts most, then label matchers, then the kind of trouble, then the
    service. A runbook limited to services, severities, matchers or (by the tag "change") to changes
    never fits others, unless the catalogue names it.

    Parameters
    ----------
    alerts
        Members of the incident, those that tell most first.
    """
    found = []
    for name in sorted(library.runbooks):
        book = library.runbooks[name]
        reasons = _reasons(book, incident, alerts, catalogue)
        if reasons:
            score = sum(points for points, _ in reasons)
            found.append(Match(book, score, tuple(reason for _, reason in reasons)))
    found.sort(key=lambda m: (-m.score, m.runbook.name))
    return found[:MATCHES_MAX]


_Reasons = list[tuple[int, Reason]]


def _reasons(
    book: Runbook, incident: Incident, alerts: Sequence[Alert], catalogue: Catalogue
) -> _Reasons:
    linked = _links(book, incident, catalogue)
    if not linked and not _fits(book, incident, alerts):
        return []
    reasons = linked + _by_labels(book, incident, alerts) + _by_signal(book, incident, alerts)
    if not reasons and not book.services and not _by_change(book, incident):
        return []
    if book.services and (common := [s for s in incident.services if s in book.services]):
        reasons.append((SERVICE, because("it is about {service}", service=common[0])))
    reasons += _by_change(book, incident)
    if reasons and incident.severity in book.severities:
        severity = incident.severity.value
        reasons.append((SEVERITY, because("it is for severity {severity}", severity=severity)))
    return reasons


def _fits(book: Runbook, incident: Incident, alerts: Sequence[Alert]) -> bool:
    if book.services and not set(book.services) & {incident.service, *incident.services}:
        return False
    if book.severities and incident.severity not in book.severities:
        return False
    if CHANGE_TAG in book.tags and not _by_change(book, incident):
        return False
    return not (book.all_of or book.any_of) or bool(_by_labels(book, incident, alerts))


def _links(book: Runbook, incident: Incident, catalogue: Catalogue) -> _Reasons:
    for service in dict.fromkeys((incident.service, *incident.services)):
        if book.name in catalogue.get(service).runbooks:
            points = LINKED if service == incident.service else LINKED_ELSEWHERE
            return [(points, because("the catalogue names it for {service}", service=service))]
    return []


def _by_labels(book: Runbook, incident: Incident, alerts: Sequence[Alert]) -> _Reasons:
    if not (book.all_of or book.any_of):
        return []
    own_first = sorted(alerts, key=lambda alert: alert.service != incident.service)
    for alert in own_first:
        if not matches_all(book.all_of, alert.labels):
            continue
        passed = [str(m) for m in book.any_of or book.all_of if m.matches(alert.labels)]
        if passed:
            points = MATCHED if alert.service == incident.service else MATCHED_ELSEWHERE
            said = gettext("alert {alert} matches {matcher}")
            return [(points, because(said, alert=alert.name or "?", matcher=passed[0]))]
    return []


def _by_signal(book: Runbook, incident: Incident, alerts: Sequence[Alert]) -> _Reasons:
    own = [a.signal for a in alerts if a.service == incident.service]
    for signal in book.signals:
        if signal in own:
            said = gettext("{service} shows {signal}")
            return [(SIGNAL, because(said, service=incident.service, signal=signal))]
    for alert in alerts:
        if alert.signal in book.signals:
            said = gettext("{service} shows {signal}")
            service = alert.service or "?"
            return [(SIGNAL_ELSEWHERE, because(said, service=service, signal=alert.signal))]
    return []


def _by_change(book: Runbook, incident: Incident) -> _Reasons:
    if CHANGE_TAG in book.tags and incident.causes and incident.causes[0].change_id:
        service = incident.causes[0].service
        return [(CHANGE, because("{service} was changed shortly before", service=service))]
    return []
