"""Where an alert belongs on the service graph, and what is near."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from correlator.domains import Domains
from correlator.settings import CorrelatorSettings
from model.alert import Alert, service_in
from model.calls import Calls
from model.catalogue import Catalogue
from model.labels import Labels

EXPIRY = "expiry"  # the `signal` of what is told long before it happens
GROUP = "\x00"
"""A place that begins so is not a service but a group by labels."""
SERVICE = "\x01"
"""Stands in the place of a service that the catalogue does not list: edges that were learnt reach it."""


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
        self._domains = Domains(catalogue) if settings.separate_domains else None
        self.edges_apart = 0
        self._distance_max = settings.graph_distance_max
        self._group_by = settings.group_by
        self._infrastructure = frozenset(settings.infrastructure_services)
        self._aliases = {
            pair: service.name for service in catalogue.services.values() for pair in service.labels
        }
        self._near: dict[str, tuple[tuple[str, int], ...]] = {}
        self._seen: Iterable[Calls] = ()
        self._callees: dict[str, tuple[str, ...]] = {}
        self._callers: dict[str, tuple[str, ...]] = {}
        self._calls = lru_cache(maxsize=100_000)(self._calls_within)
        # Both follow from the labels alone, and are asked for again and again while an alert is handled.
        self._service = lru_cache(maxsize=16_384)(self._service_of)
        self._place = lru_cache(maxsize=16_384)(self._place_of)

    def learn(self, calls: Iterable[Calls]) -> bool:
        """Take calls that were seen as edges beside the catalogue's; whether that changed anything.

        Examples
        --------
        >>> shop = Topology(Catalogue(), CorrelatorSettings())
        >>> shop.learn([Calls("cart", "stock")]), shop.learn([Calls("cart", "stock")])
        (True, False)
        >>> shop.calls("cart", "stock"), shop.calls("stock", "cart"), shop.learnt("cart", "stock")
        (1, None, True)
        """
        if calls is self._seen:
            return False
        self._seen = calls
        callees: dict[str, list[str]] = {}
        callers: dict[str, list[str]] = {}
        self.edges_apart = 0
        for caller, callee in sorted((self._named(c.caller), self._named(c.callee)) for c in calls):
            if not self._together(caller, callee):
                self.edges_apart += 1
            elif caller != callee:
                callees.setdefault(caller, []).append(callee)
                callers.setdefault(callee, []).append(caller)
        found = {name: tuple(dict.fromkeys(names)) for name, names in callees.items()}
        if found == self._callees:
            return False
        self._callees = found
        self._callers = {name: tuple(dict.fromkeys(names)) for name, names in callers.items()}
        self._near.clear()
        self._calls.cache_clear()
        return True

    def _named(self, service: str) -> str:
        """A service's name in the catalogue, where telemetry has another."""
        if service in self._catalogue.services:
            return service
        for label in ("service", "service_name", "job", "app"):
            if (label, service) in self._aliases:
                return self._aliases[label, service]
        return service

    def callees(self, service: str) -> tuple[str, ...]:
        """Services it calls directly, by the catalogue or as was seen."""
        return self._near_by(service, self._catalogue.callees(service)) + self._callees.get(
            service, ()
        )

    def callers(self, service: str) -> tuple[str, ...]:
        """Services that call it directly, by the catalogue or as was seen."""
        return self._near_by(service, self._catalogue.callers(service)) + self._callers.get(
            service, ()
        )

    def _near_by(self, service: str, others: tuple[str, ...]) -> tuple[str, ...]:
        if self._domains is None:
            return others
        return tuple([name for name in others if self._together(service, name)])

    def _together(self, one: str, other: str) -> bool:
        return self._domains is None or self._domains.together(one, other)

    def domain(self, labels: Labels) -> str:
        """The correlation domain of an alert with these labels; "" where domains are not kept apart."""
        return "" if self._domains is None else self._domains.of(self._service(labels))

    def learnt(self, caller: str, callee: str) -> bool:
        """Whether one calls the other by what was seen alone: the catalogue knows no such way."""
        distance = self._catalogue.distance(caller, callee)
        told = distance is not None and distance <= self._distance_max
        return not told and self.calls(caller, callee) is not None

    def service(self, alert: Alert) -> str:
        """The service an alert is about: by its catalogue name, an alias of it, or as the alert says."""
        return self._service(alert.labels)

    def _service_of(self, labels: Labels) -> str:
        named = service_in(labels)
        known = self._catalogue.services
        if named in known:
            return named
        if self._aliases:
            for pair in labels.pairs:
                if pair in self._aliases:
                    return self._aliases[pair]
        return named

    def place(self, alert: Alert) -> str:
        """What it groups by: its service, or the `group_by` labels where that is unknown.

        What says which signal of a service it measures (as our own detectors do) is about that
        service, in the catalogue or not: errors and slowness of one service are one trouble. What
        will expire in weeks is a matter of its own, which must not swallow the trouble of today.
        """
        return self._place(alert.labels)

    def _place_of(self, labels: Labels) -> str:
        service, signal = self._service(labels), labels.get("signal", "")
        if service and signal == EXPIRY:
            return GROUP.join(("", service, EXPIRY))
        if service in self._catalogue.services or service in self._infrastructure:
            return service
        if service and signal:
            return GROUP.join(("", SERVICE, service, labels.get("cluster", "")))
        group = GROUP + GROUP.join([labels.get(name, "") for name in self._group_by])
        return group if self._domains is None else GROUP.join((group, self._domains.of(service)))

    def domain_pairs(self) -> list[tuple[str, str]]:
        """Each service of the catalogue with its domain; empty where domains are not kept apart."""
        return [] if self._domains is None else self._domains.pairs()

    def is_infrastructure(self, place: str) -> bool:
        """Whether others stand on it."""
        return place in self._infrastructure

    def is_ground(self, place: str) -> bool:
        """Whether its alerts join whatever they may explain: with separate domains nothing does."""
        return self._domains is None and place in self._infrastructure

    def calls(self, caller: str, callee: str) -> int | None:
        """Calls from one down to the other, None beyond `graph_distance_max`; 0 for the same."""
        return self._calls(caller, callee)

    def _calls_within(self, caller: str, callee: str) -> int | None:
        return self._walk(_service_at(caller), self.callees).get(_service_at(callee))

    def near(self, place: str) -> tuple[tuple[str, int], ...]:
        """Connected places with their distance in calls (up or down), nearest first; itself is 0."""
        found = self._near.get(place)
        if found is None:
            found = self._near[place] = self._look_around(place)
        return found

    def _look_around(self, place: str) -> tuple[tuple[str, int], ...]:
        service = _service_at(place)
        if service.startswith(GROUP):
            return ((place, 0),)
        down = self._walk(service, self.callees)
        up = self._walk(service, self.callers)
        both = {**down, **{n: min(d, down.get(n, d)) for n, d in up.items()}}
        cluster = place.rpartition(GROUP)[2] if service != place else ""
        found = {p: d for name, d in both.items() for p in self._places(name, cluster, place)}
        return tuple(sorted(found.items(), key=lambda item: (item[1], item[0])))

    def _places(self, service: str, cluster: str, seen_from: str) -> tuple[str, ...]:
        """Where alerts of a service may be: a service that the catalogue does not list has a place for each cluster."""
        if service in self._catalogue.services or service in self._infrastructure:
            return (service,)
        place = GROUP.join(("", SERVICE, service, cluster))
        return (place,) if seen_from.startswith(GROUP) else (service, place)

    def _walk(self, start: str, following: Callable[[str], tuple[str, ...]]) -> dict[str, int]:
        seen, edge = {start: 0}, [start]
        for distance in range(1, self._distance_max + 1):
            edge = [n for name in edge for n in following(name)]
            edge = [n for n in dict.fromkeys(edge) if n not in seen]
            seen.update(dict.fromkeys(edge, distance))
        return seen


def _service_at(place: str) -> str:
    """The service of a place, where it is one's; else the place."""
    parts = place.split(GROUP)
    return parts[2] if len(parts) == 4 and parts[:2] == ["", SERVICE] else place
