"""One incident as the correlator holds it: its members, summed up so that one more costs little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from correlator.deduplicate import is_flapping
from correlator.evidence import TITLES, Kind, Sighting, Sightings, kind_of, sentence, title
from correlator.rank import CAUSES_MAX, rank, suspects
from correlator.settings import CorrelatorSettings
from correlator.topology import Topology
from model.alert import Alert, AlertStatus, Severity
from model.change import Change
from model.incident import Grouping, Signal
from model.reason import Reason

EVIDENCE_MAX = 10
Bucket = tuple[str, Kind]
SOURCES_MAX = 20


@dataclass(slots=True)
class _Members:
    """Members of one kind about one service; `sighting` None until it is summed up again."""

    keys: dict[str, None] = field(default_factory=dict)
    sighting: Sighting | None = None


class Case:
    """Members of one incident and what was last said of it.

    Everything here follows from `said` and the members' rows, so that it can be built from them
    again after a restart.
    """

    def __init__(self, said: Grouping, topology: Topology, settings: CorrelatorSettings) -> None:
        self.said = said
        self.closed_ms = said.closed_ms
        self.firing = 0
        self.muted_firing = 0
        self.latest_ms = said.active_since_ms
        self.members: dict[str, None] = {}
        self.places: dict[str, int] = {}  # how many members each has
        self.touched = True
        self._sources = set(said.sources)
        self._buckets: dict[Bucket, _Members] = {}
        self._bucket_of: dict[str, Bucket] = {}
        self._flapping: dict[str, int] = {}
        self._topology = topology
        self._settings = settings

    @property
    def id(self) -> str:
        """The incident's id."""
        return self.said.id

    @property
    def quiet(self) -> bool:
        """Whether it is over, and only remembered to be reopened."""
        return self.said.quiet_ms is not None

    @property
    def joinable(self) -> bool:
        """Whether alerts may join it."""
        return not self.quiet and self.closed_ms is None

    @property
    def culprit(self) -> str:
        """The first suspect, as last said."""
        return self.said.services[0] if self.said.services else ""

    def put(self, key: str, old: AlertStatus | None, new: AlertStatus) -> None:
        """Take in a member, or its new row."""
        self.touched = True
        if len(self._sources) < SOURCES_MAX:
            self._sources.add(new.alert.source)
        if old is None or key not in self.members:
            self.members[key] = None
            place = self._topology.place(new.alert)
            self.places[place] = self.places.get(place, 0) + 1
        else:
            self._count(old, -1)
        self._count(new, 1)
        self.latest_ms = max(self.latest_ms, new.changes_ms[-1])
        if is_flapping(new.changes_ms, self._settings):
            self._flapping[key] = new.changes_ms[-1]
        else:
            self._flapping.pop(key, None)
        self._sort_in(key, old, new)

    def remove(self, key: str, old: AlertStatus) -> None:
        """Let a member go to another incident."""
        if key not in self.members:
            return
        del self.members[key]
        self._count(old, -1)
        self._flapping.pop(key, None)
        members = self._buckets[self._bucket_of.pop(key)]
        members.keys.pop(key, None)
        members.sighting = None
        place = self._topology.place(old.alert)
        self.places[place] -= 1
        if not self.places[place]:
            del self.places[place]

    def reopen(self, statuses: Mapping[str, AlertStatus]) -> None:
        """A person took the closing back: alerts may join again."""
        self.closed_ms = None
        changes = (statuses[key].changes_ms[-1] for key in self.members)
        self.latest_ms = max(changes, default=self.latest_ms)
        if not self.firing and not self.quiet:
            # Whoever reopens it with nothing firing will close it too.
            self.said = replace(self.said, quiet_ms=self.latest_ms)

    def _count(self, status: AlertStatus, sign: int) -> None:
        if status.alert.firing:
            self.firing += sign
            self.muted_firing += sign if status.silenced_by else 0

    def _sort_in(self, key: str, old: AlertStatus | None, new: AlertStatus) -> None:
        service = self._topology.service(new.alert)
        ground = self._topology.is_infrastructure(service)
        bucket = (service, kind_of(new.alert, infrastructure=ground))
        before = self._bucket_of.get(key)
        if before == bucket:
            assert old is not None
            a, b = old.alert, new.alert
            if (a.starts_ms, a.ends_ms, a.severity) != (b.starts_ms, b.ends_ms, b.severity):
                self._buckets[bucket].sighting = None
            return
        if before is not None:
            self._buckets[before].keys.pop(key, None)
            self._buckets[before].sighting = None
        self._bucket_of[key] = bucket
        members = self._buckets.setdefault(bucket, _Members(sighting=Sighting(self._limit)))
        members.keys[key] = None
        if members.sighting is not None and self._tells(new):
            members.sighting.add(key, new.alert)

    @property
    def _limit(self) -> int:
        return self._settings.alert_keys_max

    def _tells(self, status: AlertStatus) -> bool:
        """Whether it belongs to the present trouble, not to what was over before it refired."""
        ends_ms = status.alert.ends_ms
        return ends_ms is None or ends_ms >= self.said.active_since_ms

    def flapping(self, now_ms: int) -> bool:
        """Whether a member changes too often, and was not stable for `flap_stable` since."""
        stable_ms = self._settings.flap_stable_ms
        return any(now_ms < latest + stable_ms for latest in self._flapping.values())

    def sightings(self, statuses: Mapping[str, AlertStatus]) -> Sightings:
        """Per affected service and kind, what is seen."""
        found: Sightings = {}
        for bucket in sorted(self._buckets):
            members = self._buckets[bucket]
            if members.sighting is None:
                rows = ((key, statuses[key]) for key in members.keys)
                told = ((key, status) for key, status in rows if self._tells(status))
                members.sighting = Sighting.of(told, limit=self._limit)
            if members.sighting.count:
                found.setdefault(bucket[0], {})[bucket[1]] = members.sighting
        return found

    def view(
        self,
        statuses: Mapping[str, AlertStatus],
        changes: Mapping[str, Sequence[Change]],
        now_ms: int,
    ) -> Grouping:
        """The incident as it is seen now; signal, reason and time are those last said."""
        now = replace(
            self.said,
            alert_count=len(self.members),
            firing_count=self.firing,
            muted=0 < self.firing == self.muted_firing,
            flapping=self.flapping(now_ms),
            closed_ms=self.closed_ms,
            sources=tuple(sorted(self._sources)),
        )
        if self.firing == 0:
            now = replace(now, muted=self.said.muted)
        sightings = self.sightings(statuses)
        if not sightings:
            return now
        return describe(now, sightings, statuses, self._topology, changes, self._settings)


def blank(incident_id: str, first: Alert, *, now_ms: int, previous_id: str) -> Grouping:
    """A new incident before anything is said of it."""
    return Grouping(
        id=incident_id,
        signal=Signal.OPENED,
        at_ms=now_ms,
        began_ms=first.starts_ms,
        detected_ms=now_ms,
        severity=first.severity,
        title=Reason(""),
        reason=Reason(""),
        services=(),
        previous_id=previous_id,
        simulated=first.simulated,
        active_since_ms=first.starts_ms,
    )


def describe(
    grouping: Grouping,
    sightings: Sightings,
    statuses: Mapping[str, AlertStatus],
    topology: Topology,
    changes: Mapping[str, Sequence[Change]],
    settings: CorrelatorSettings,
) -> Grouping:
    """Fill in cause, title, evidence and severity from what is seen."""
    causes = rank(sightings, topology, changes, settings)
    services = tuple(cause.service for cause in causes)
    keys = telling_keys(services, sightings, settings.alert_keys_max)
    best = causes[0].service
    severity = max(
        (s.severity for kinds in sightings.values() for s in kinds.values()),
        key=lambda severity: severity.rank,
        default=Severity.INFO,
    )
    began_ms = min(s.first_ms for kinds in sightings.values() for s in kinds.values())
    return replace(
        grouping,
        began_ms=min(grouping.began_ms, began_ms),
        severity=severity,
        title=title(best, sightings[best], statuses[keys[0]].alert),
        services=services,
        alert_keys=keys,
        evidence=tuple(
            sentence(statuses[key].alert, topology.service(statuses[key].alert))
            for key in keys[:EVIDENCE_MAX]
        ),
        causes=causes[:CAUSES_MAX],
        change_ids=_change_ids(services, sightings, changes, settings),
    )


def telling_keys(services: Iterable[str], sightings: Sightings, limit: int) -> tuple[str, ...]:
    """Keys of the alerts that tell most: one of each kind by suspicion, then the rest."""
    ordered = [
        sightings[service][kind]
        for service in services
        for kind in TITLES
        if kind in sightings[service]
    ]
    heads = [s.earliest[0][1] for s in ordered[:limit]]
    rest: list[str] = []
    for sighting in ordered:
        if len(heads) + len(rest) >= limit:
            break
        rest += [key for _, key in sighting.earliest[1:]]
    return tuple((heads + rest)[:limit])


def _change_ids(
    services: Iterable[str],
    sightings: Sightings,
    changes: Mapping[str, Sequence[Change]],
    settings: CorrelatorSettings,
) -> tuple[str, ...]:
    if not changes:
        return ()
    found: list[str] = []
    for service in services:
        if known := changes.get(service):
            began_ms = min(s.first_ms for s in sightings[service].values())
            found += [change.id for change in suspects(known, began_ms, settings)]
    return tuple(dict.fromkeys(found))[:EVIDENCE_MAX]
