"""Where an alert belongs on the service graph, and what is near."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from correlator.settings import CorrelatorSettings
from model.alert import Alert
from model.catalogue import Catalogue

EXPIRY = "expiry"  # the `signal` of what is told long before it happens
GROUP = "\x00"
"""A place that begins so is not a service but a group by labels."""


class Topology:
    """The catalogue's graph, as grouping asks it.

    Examples
    --------
    >>> from model.catalogue import Service
    >>> shop = Catalogue.of([Service("gateway", depends_on=("cart",)), Service("cart")])
    >>> Topology(shop, CorrelatorSettings()).near("cart")
    (('cart', 0), ('gateway', 1))
    """

    def __init__(self, catalogue: Catalogue, settings: CorrelatorSettings) -> None:
        self._catalogue = catalogue
        self._distance_max = settings.graph_distance_max
        self._group_by = settings.group_by
        self._infrastructure = frozenset(settings.infrastructure_services)
        self._aliases = {
            pair: service.name for service in catalogue.services.values() for pair in service.labels
        }
        self._near: dict[str, tuple[tuple[str, int], ...]] = {}
        self._calls = lru_cache(maxsize=100_000)(self._calls_within)

    def service(self, alert: Alert) -> str:
        """The service an alert is about: by its catalogue name, an alias of it, or as the alert says."""
        named = alert.service
        known = self._catalogue.services
        if named in known:
            return named
        if self._aliases:
            for pair in alert.labels.pairs:
                if pair in self._aliases:
                    return self._aliases[pair]
        return named

    def place(self, alert: Alert) -> str:
        """What it groups by: its service, or the `group_by` labels where that is unknown.

        What says which signal of a service it measures (as our own detectors do) is about that
        service, in the catalogue or not: errors and slowness of one service are one trouble. What
        will expire in weeks is a matter of its own, which must not swallow the trouble of today.
        """
        service = self.service(alert)
        if service and alert.signal == EXPIRY:
            return GROUP.join(("", service, EXPIRY))
        if service in self._catalogue.services or service in self._infrastructure:
            return service
        if service and alert.signal:
            return GROUP.join(("", service, alert.labels.get("cluster", "")))
        return GROUP + GROUP.join(alert.labels.get(name, "") for name in self._group_by)

    def is_infrastructure(self, place: str) -> bool:
        """Whether others stand on it."""
        return place in self._infrastructure

    def calls(self, caller: str, callee: str) -> int | None:
        """Calls from one down to the other, None beyond `graph_distance_max`; 0 for the same."""
        return self._calls(caller, callee)

    def _calls_within(self, caller: str, callee: str) -> int | None:
        distance = self._catalogue.distance(caller, callee)
        return distance if distance is not None and distance <= self._distance_max else None

    def near(self, place: str) -> tuple[tuple[str, int], ...]:
        """Connected places with their distance in calls (up or down), nearest first; itself is 0."""
        found = self._near.get(place)
        if found is None:
            found = self._near[place] = self._look_around(place)
        return found

    def _look_around(self, place: str) -> tuple[tuple[str, int], ...]:
        if place.startswith(GROUP):
            return ((place, 0),)
        down = self._walk(place, self._catalogue.callees)
        up = self._walk(place, self._catalogue.callers)
        both = {**down, **{n: min(d, down.get(n, d)) for n, d in up.items()}}
        return tuple(sorted(both.items(), key=lambda item: (item[1], item[0])))

    def _walk(self, start: str, following: Callable[[str], tuple[str, ...]]) -> dict[str, int]:
        seen, edge = {start: 0}, [start]
        for distance in range(1, self._distance_max + 1):
            edge = [n for name in edge for n in following(name)]
            edge = [n for n in dict.fromkeys(edge) if n not in seen]
            seen.update(dict.fromkeys(edge, distance))
        return seen
