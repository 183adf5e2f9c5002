"""Which incident an alert belongs to: joining, merging, coming back."""

from __future__ import annotations

from collections.abc import Sequence

from correlator.case import Case
from correlator.evidence import OWN, kind_of
from correlator.settings import CorrelatorSettings
from correlator.topology import Topology
from model.alert import AlertStatus
from model.incident import Grouping

Candidate = tuple[Case, int]
"""An open incident, and the calls between the alert's place and the nearest place of it."""


def in_window(starts_ms: int, case: Case, settings: CorrelatorSettings) -> bool:
    """Whether something that began then belongs to the time of an incident."""
    window_ms = settings.group_window_ms
    return case.said.began_ms - window_ms <= starts_ms <= case.latest_ms + window_ms


def belongs(
    status: AlertStatus,
    place: str,
    candidate: Candidate,
    topology: Topology,
    settings: CorrelatorSettings,
) -> bool:
    """Whether an alert joins an open incident.

    It does if it began near the incident's latest event; later too if it is about a service that is
    in trouble already, or shows what the first suspect's trouble does to its callers.
    """
    case, distance = candidate
    if in_window(status.alert.starts_ms, case, settings):
        return True
    if status.alert.starts_ms < case.said.began_ms or not case.firing:
        return False
    if distance == 0:
        return True
    ground = topology.is_infrastructure(place)
    inherited = kind_of(status.alert, infrastructure=ground) not in OWN and not ground
    return inherited and topology.calls(place, case.culprit) is not None


def best_target(
    status: AlertStatus,
    place: str,
    candidates: Sequence[Candidate],
    topology: Topology,
    settings: CorrelatorSettings,
) -> Case | None:
    """The nearest incident an alert belongs to; of equals the one with the latest event."""
    fitting = [c for c in candidates if belongs(status, place, c, topology, settings)]
    best = min(fitting, key=lambda c: (c[1], -c[0].latest_ms, c[0].id), default=None)
    return best[0] if best else None


def merge_targets(
    status: AlertStatus,
    place: str,
    target: Case,
    candidates: Sequence[Candidate],
    topology: Topology,
    settings: CorrelatorSettings,
) -> list[Case]:
    """Open incidents that this alert shows to be one with `target`.

    It must lie below one of the suspects: a common caller in trouble is the effect of both, and does
    not make them one.
    """
    if topology.is_infrastructure(place):
        return []
    found = []
    for case, distance in sorted(candidates, key=lambda c: c[0].id):
        if case is target or distance > settings.graph_distance_max:
            continue
        if not in_window(status.alert.starts_ms, case, settings):
            continue
        if any(topology.calls(c.culprit, place) is not None for c in (case, target)):
            found.append(case)
    return found


def returns_to(
    view: Grouping,
    members: Sequence[AlertStatus],
    cases: Sequence[Case],
    now_ms: int,
    settings: CorrelatorSettings,
) -> Case | None:
    """The quiet incident that new trouble is the return of, within `reopen_window`; or None.

    It is the return if every alert was a member, or the first suspect is the same: another fault
    behind the same caller's symptoms is another incident.
    """
    culprit = view.services[0] if view.services else ""
    quiet = [
        case
        for case in cases
        if case.quiet
        and case.closed_ms is None
        and now_ms < case.said.at_ms + settings.reopen_window_ms
        and case.said.simulated is view.simulated
        and (all(s.incident_id == case.id for s in members) or case.culprit == culprit)
    ]
    return max(quiet, key=lambda case: (case.said.quiet_ms or 0, case.id), default=None)
