"""The service catalogue (CMDB): services, tiers, owners, dependencies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Service:
    """One service as the catalogue knows it.

    Attributes
    ----------
    tier : int
        1 (the business stops without it) to 4 (nobody notices for a day); gives the impact.
    owner : str
        The team that is told.
    depends_on : tuple of str
        Services it calls.
    labels : tuple of (name, value)
        Label values besides `service` by which telemetry is recognised as this service's
        (`("job", "pg")`).
    domain : str
        The correlation domain that it belongs to, where `correlator.separate_domains` is set and the graph
        of calls should not say it.
    """

    name: str
    tier: int = 3
    owner: str = ""
    description: str = ""
    depends_on: tuple[str, ...] = ()
    runbooks: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Team:
    """People who are told together; `receivers` are names of the routing tree's receivers."""

    name: str
    members: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """All services and the graph of who calls whom.

    Examples
    --------
    >>> shop = Catalogue.of([Service("gateway", depends_on=("cart",)), Service("cart", tier=2)])
    >>> shop.distance("gateway", "cart"), shop.distance("cart", "gateway")
    (1, None)
    >>> shop.callers("cart"), shop.get("unheard-of").tier
    (('gateway',), 3)
    """

    services: dict[str, Service] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    _callers: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    _reach: dict[str, dict[str, int]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, services: Iterable[Service], teams: Iterable[Team] = ()) -> Catalogue:
        """Build the graph; a dependency that is not listed becomes a service with defaults."""
        known = {service.name: service for service in services}
        for service in list(known.values()):
            for name in service.depends_on:
                known.setdefault(name, Service(name))
        callers: dict[str, list[str]] = {name: [] for name in known}
        for service in known.values():
            for name in service.depends_on:
                callers[name].append(service.name)
        return cls(
            known,
            {team.name: team for team in teams},
            {name: tuple(sorted(names)) for name, names in callers.items()},
        )

    def get(self, name: str) -> Service:
        """The service of that name, or one with defaults."""
        return self.services.get(name) or Service(name)

    def callees(self, name: str) -> tuple[str, ...]:
        """Services it calls directly."""
        return self.get(name).depends_on

    def callers(self, name: str) -> tuple[str, ...]:
        """Services that call it directly."""
        return self._callers.get(name, ())

    def distance(self, caller: str, callee: str) -> int | None:
        """Calls on the shortest way from `caller` down to `callee`; None where there is no way."""
        reach = self._reach.get(caller)
        if reach is None:
            reach = self._reach[caller] = self._walk(caller)
        return reach.get(callee)

    def _walk(self, start: str) -> dict[str, int]:
        seen, edge = {start: 0}, [start]
        while edge:
            following: list[str] = []
            for name in edge:
                for callee in self.callees(name):
                    if callee not in seen:
                        seen[callee] = seen[name] + 1
                        following.append(callee)
            edge = following
        return seen
