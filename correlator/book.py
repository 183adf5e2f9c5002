"""All incidents that are remembered, and which of them an alert could belong to."""

from __future__ import annotations

from collections.abc import Iterable

from correlator.case import Case
from correlator.join import Candidate
from correlator.settings import CorrelatorSettings
from correlator.topology import Topology
from model.alert import AlertStatus


class Book(dict[str, Case]):
    """Cases by id, with an index by place: finding candidates costs by neighbours, not by incidents."""

    def __init__(self, topology: Topology, settings: CorrelatorSettings) -> None:
        super().__init__()
        self._topology = topology
        ground = settings.infrastructure_services
        self._ground = tuple(place for place in ground if topology.is_ground(place))
        self._far = settings.graph_distance_max + 1
        self._at: dict[str, dict[str, None]] = {}

    def in_order(self) -> list[Case]:
        """All cases by id."""
        return [self[name] for name in sorted(self)]

    def at(self, places: Iterable[str]) -> list[Case]:
        """Cases with a member at one of these places, by id."""
        found = dict.fromkeys(name for place in places for name in self._at.get(place, ()))
        return [self[name] for name in sorted(found)]

    def enter(self, case: Case, key: str, status: AlertStatus) -> None:
        """Make an alert a member; it leaves the incident it belonged to."""
        before = self.get(status.incident_id)
        self._at.setdefault(self._topology.place(status.alert), {})[case.id] = None
        if before is not None and before is not case:
            self.leave(before, key, status)

    def leave(self, case: Case, key: str, status: AlertStatus) -> None:
        """Let a member go."""
        case.remove(key, status)
        place = self._topology.place(status.alert)
        if place not in case.places:
            self._unlist(place, case.id)

    def drop(self, case: Case) -> None:
        """Forget a case; its members stay where they are."""
        del self[case.id]
        for place in case.places:
            self._unlist(place, case.id)

    def _unlist(self, place: str, case_id: str) -> None:
        cases = self._at.get(place)
        if cases is not None:
            cases.pop(case_id, None)
            if not cases:
                del self._at[place]

    def candidates(self, status: AlertStatus) -> list[Candidate]:
        """Open incidents that an alert may join, with the distance to each.

        An alert of the ground (a host) reaches every incident; an incident of the ground alone is
        reached by every alert.
        """
        place = self._topology.place(status.alert)
        found: dict[str, int] = {}
        for name, distance in self._topology.near(place):
            for case_id in self._at.get(name, ()):
                found.setdefault(case_id, distance)
        for case_id in self._over_ground(place):
            found.setdefault(case_id, self._far)
        return [
            (case, distance)
            for case, distance in ((self[name], distance) for name, distance in found.items())
            if case.joinable and case.said.simulated is status.alert.simulated
        ]

    def _over_ground(self, place: str) -> list[str]:
        if place in self._ground:
            return list(self)
        if not any(ground in self._at for ground in self._ground):
            return []
        return [
            case_id
            for ground in self._ground
            for case_id in self._at.get(ground, ())
            if all(p in self._ground for p in self[case_id].places)
        ]
