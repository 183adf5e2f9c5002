"""Which service is to blame: points for and against each, every one with its reason.

Trouble flows from the callee to the caller: a caller whose callee is in trouble inherits errors and
slowness. Own evidence (it is down, its own CPU or memory) is not inherited. Times order suspects
only beyond `order_tolerance`, since two scrapes do not happen at the same moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from correlator.evidence import OWN, POINTS, Kind, Sighting, Sightings
from correlator.settings import CorrelatorSettings
from correlator.topology import Topology
from model.alert import Severity
from model.change import Change
from model.incident import Cause
from model.reason import Reason, because, gettext

CAUSES_MAX = 5
KEYS_PER_CAUSE = 10
FURTHER_KIND = 2  # each kind of trouble beyond the strongest
CRITICAL = 5
FIRST = 15
CALLED = 5  # per affected caller that has nothing of its own to blame
CALLED_MAX = 3
INHERITED = -30
FOLLOWS_CALLEE = -30
FOLLOWS_TOLERANCES = 3  # own signs need longer to be seen than slow answers do
CHANGED = 25
SYMPTOM = -10

_KIND_SAYS: dict[Kind, str] = {
    Kind.AVAILABILITY: gettext("{service} does not answer ({points})"),
    Kind.RESOURCES: gettext("{service} itself uses unusual resources ({points})"),
    Kind.LOGS: gettext("{service} logs unusual messages ({points})"),
    Kind.ERRORS: gettext("{service} answers with errors ({points})"),
    Kind.OTHER: gettext("{service} has an alert of its own ({points})"),
    Kind.LATENCY: gettext("{service} answers slowly ({points})"),
    Kind.LEVEL: gettext("a measurement of {service} left its usual range ({points})"),
    Kind.LOAD: gettext("work piles up in {service} ({points})"),
    Kind.HOST: gettext("the host is under pressure ({points})"),
    Kind.TRAFFIC: gettext("traffic of {service} is unusual ({points})"),
    Kind.EXPIRY: gettext("a certificate of {service} will expire ({points})"),
}


_CALLS = gettext("{service} calls {callee}, which is in trouble too ({points})")
_CALLS_SEEN = gettext(
    "{service} calls {callee}, as its traces show; {callee} is in trouble too ({points})"
)


@dataclass(slots=True)
class _Tally:
    """The points of one suspect as they are added."""

    service: str
    score: int = 0
    reasons: list[Reason] = field(default_factory=list)
    change_id: str = ""

    def add(self, points: int, template: str, **params: object) -> None:
        self.score += points
        said = because(template, service=self.service or "?", points=f"{points:+d}", **params)
        self.reasons.append(said)


def rank(
    sightings: Sightings,
    topology: Topology,
    changes: Mapping[str, Sequence[Change]],
    settings: CorrelatorSettings,
) -> tuple[Cause, ...]:
    """Rank the affected services by how well each explains the rest, best first.

    Parameters
    ----------
    sightings : dict of service to dict of Kind to Sighting
        What is seen of each affected service.
    changes : mapping of service to changes
        Those still remembered, any order.

    Returns
    -------
    tuple of Cause
        Every affected service; `score` is the sum of the points its reasons name.
    """
    first = {name: min(s.first_ms for s in kinds.values()) for name, kinds in sightings.items()}
    blamed = {name: _callee_to_blame(name, sightings, first, topology, settings) for name in first}
    tallies = []
    for service in sorted(sightings):
        tally = _Tally(service)
        _add_kinds(tally, sightings[service])
        _add_graph(tally, sightings, first, blamed, topology, settings)
        _add_order(tally, first, settings)
        _add_change(tally, first[service], changes.get(service, ()), settings)
        tallies.append(tally)
    tallies.sort(key=lambda t: (-t.score, first[t.service], t.service))
    return tuple(_cause(tally, sightings[tally.service]) for tally in tallies)


def _cause(tally: _Tally, kinds: dict[Kind, Sighting]) -> Cause:
    keys = [key for kind in Kind if kind in kinds for _, key in kinds[kind].earliest]
    reasons = tuple(tally.reasons)
    return Cause(
        tally.service, float(tally.score), reasons, tally.change_id, tuple(keys[:KEYS_PER_CAUSE])
    )


def _add_kinds(tally: _Tally, kinds: dict[Kind, Sighting]) -> None:
    strongest = max(kinds, key=lambda kind: (POINTS[kind], kind))
    tally.add(POINTS[strongest], _KIND_SAYS[strongest])
    if len(kinds) > 1:
        others = len(kinds) - 1
        tally.add(
            FURTHER_KIND * min(others, 3),
            gettext("further kinds of trouble on {service}: {count} ({points})"),
            count=others,
        )
    if any(s.severity is Severity.CRITICAL for s in kinds.values()):
        tally.add(CRITICAL, gettext("an alert of {service} is critical ({points})"))


def _explains(kinds: dict[Kind, Sighting]) -> bool:
    return any(kind is not Kind.TRAFFIC for kind in kinds)


def _callee_to_blame(
    service: str,
    sightings: Sightings,
    first: Mapping[str, int],
    topology: Topology,
    settings: CorrelatorSettings,
) -> str:
    """The nearest affected callee whose trouble may be the source of this service's; "" if none."""
    for callee, _ in topology.near(service):
        if callee == service or callee not in sightings or not _explains(sightings[callee]):
            continue
        if topology.calls(service, callee) is None:
            continue
        if first[callee] <= first[service] + settings.explain_lag_ms:
            return callee
    return ""


def _own(kinds: dict[Kind, Sighting]) -> list[int]:
    return [kinds[kind].first_ms for kind in OWN if kind in kinds]


def _follows(kinds: dict[Kind, Sighting], callee_ms: int, settings: CorrelatorSettings) -> bool:
    """Whether a caller's own signs came so long after the callee's that they may be an effect.

    That it does not answer at all is never taken for an effect.
    """
    if Kind.AVAILABILITY in kinds:
        return False
    return min(_own(kinds)) > callee_ms + FOLLOWS_TOLERANCES * settings.order_tolerance_ms


def _add_graph(
    tally: _Tally,
    sightings: Sightings,
    first: Mapping[str, int],
    blamed: Mapping[str, str],
    topology: Topology,
    settings: CorrelatorSettings,
) -> None:
    service, kinds = tally.service, sightings[tally.service]
    if callee := blamed[service]:
        if not _own(kinds):
            inherited = _CALLS_SEEN if topology.learnt(service, callee) else _CALLS
            tally.add(INHERITED, inherited, callee=callee)
        elif _follows(kinds, first[callee], settings):
            follows = gettext("{service}'s own signs followed the trouble of {callee} ({points})")
            tally.add(FOLLOWS_CALLEE, follows, callee=callee)
    callers = [
        name
        for name, _ in topology.near(service)
        if name != service
        and name in sightings
        and topology.calls(name, service) is not None
        and (not _own(sightings[name]) or _follows(sightings[name], first[service], settings))
    ]
    if callers and _explains(kinds):
        tally.add(
            CALLED * min(len(callers), CALLED_MAX),
            gettext("affected services that call {service}: {count} ({points})"),
            count=len(callers),
        )
    only_effects = set(kinds) <= {Kind.TRAFFIC, Kind.HOST}
    if only_effects and any(set(k) - {Kind.TRAFFIC, Kind.HOST} for k in sightings.values()):
        tally.add(SYMPTOM, gettext("what {service} shows is usually an effect ({points})"))


def _add_order(tally: _Tally, first: Mapping[str, int], settings: CorrelatorSettings) -> None:
    others = [(ms, name) for name, ms in first.items() if name != tally.service]
    if not others:
        return
    next_ms, next_name = min(others)
    ahead_ms = next_ms - first[tally.service]
    if ahead_ms > settings.order_tolerance_ms:
        tally.add(
            FIRST,
            gettext("{service} began {seconds} s before {other} ({points})"),
            seconds=round(ahead_ms / 1000),
            other=next_name or "?",
        )


def suspects(
    changes: Sequence[Change], began_ms: int, settings: CorrelatorSettings
) -> list[Change]:
    """Changes shortly before `began_ms`, the latest first."""
    since_ms, until_ms = (
        began_ms - settings.change_window_ms,
        began_ms + settings.order_tolerance_ms,
    )
    near = [change for change in changes if since_ms <= change.time_ms <= until_ms]
    return sorted(near, key=lambda change: (-change.time_ms, change.id))


def _add_change(
    tally: _Tally, began_ms: int, changes: Sequence[Change], settings: CorrelatorSettings
) -> None:
    found = suspects(changes, began_ms, settings)
    if not found:
        return
    change = found[0]
    tally.change_id = change.id
    tally.add(
        CHANGED,
        gettext("{kind} of {service} {seconds} s before: {title} ({points})"),
        kind=change.kind,
        seconds=max(0, round((began_ms - change.time_ms) / 1000)),
        title=change.title or change.version or change.id,
    )
