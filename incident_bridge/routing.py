"""Who is told of an incident: Alertmanager's routing tree.

A node's children are tried in order; the first that matches decides, unless it says `continue`.
What a node does not set it inherits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from incident_bridge.settings import RouteSettings
from model.catalogue import Catalogue
from model.errors import LabelError
from model.incident import Incident, Priority
from model.labels import Labels, Matcher, matches_all
from model.reason import Reason, because

OWNER = "@team"
"""A receiver of this name stands for the receivers of the service's owner."""

NO_DESK = "none"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one matching route says, everything inherited filled in.

    `former`: no route names the receiver any more (the cause moved to another team); it hears the
    end of what it was told of, and nothing else.
    """

    path: str = "route"
    receiver: str = "console"
    desks: tuple[str, ...] = ("builtin",)
    repeat_interval_ms: int = 30 * 60_000
    escalate_after_ms: int = 0
    escalate_to: tuple[str, ...] = ()
    priority_min: Priority = Priority.P4
    mute_simulated: bool = True
    send_resolved: bool = True
    former: bool = False

    def wants(self, priority: Priority) -> bool:
        """Whether an incident of this priority is paged."""
        return priority.value <= self.priority_min.value


@dataclass(frozen=True, slots=True)
class Route:
    """A node with its matchers read and its inheritance done."""

    matchers: tuple[Matcher, ...]
    continues: bool
    plan: Plan
    children: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A node that was looked at, and why it was taken or not: what `route_test` shows."""

    path: str
    taken: bool
    reason: Reason


def build(settings: RouteSettings, parent: Plan | None = None, path: str = "route") -> Route:
    """Read a tree of settings.

    Raises
    ------
    LabelError
        If a matcher cannot be read; `problems` finds all of them, with their places.

    Examples
    --------
    >>> tree = build(RouteSettings(receiver="ops", routes=(
    ...     RouteSettings(match=('team="db"',), receiver="dba", continue_=True),
    ...     RouteSettings(match=('priority="P1"',), repeat_interval_ms=300_000))))
    >>> [p.receiver for p in plans(tree, Labels.of({"team": "db", "priority": "P1"}))]
    ['dba', 'ops']
    """
    base = parent or Plan()
    own = {
        name: value
        for name, value in (
            ("receiver", settings.receiver or None),
            ("desks", settings.desks),
            ("repeat_interval_ms", settings.repeat_interval_ms),
            ("escalate_after_ms", settings.escalate_after_ms),
            ("escalate_to", settings.escalate_to),
            ("priority_min", settings.priority_min),
            ("mute_simulated", settings.mute_simulated),
            ("send_resolved", settings.send_resolved),
        )
        if value is not None
    }
    plan = replace(base, path=path, **own)  # type: ignore[arg-type]
    return Route(
        tuple(Matcher.parse(text) for text in settings.match),
        settings.continue_,
        plan,
        tuple(
            build(child, plan, f"{path}.routes[{number}]")
            for number, child in enumerate(settings.routes)
        ),
    )


def plans(route: Route, labels: Labels) -> tuple[Plan, ...]:
    """The plans of all routes that match, in the tree's order; the root's where no child matches."""
    return tuple(_walk(route, labels, []))


def route_test(route: Route, labels: Labels) -> tuple[tuple[Plan, ...], tuple[Match, ...]]:
    """The plans, and every node that was looked at with the reason.

    Examples
    --------
    >>> tree = build(RouteSettings(routes=(RouteSettings(match=('team="db"',)),)))
    >>> [m.reason.text() for m in route_test(tree, Labels.of({"team": "web"}))[1]]
    ['the root matches everything', 'team="db" does not match "web"']
    """
    looked: list[Match] = []
    found = tuple(_walk(route, labels, looked))
    return found, tuple(looked)


def _walk(route: Route, labels: Labels, looked: list[Match]) -> Iterator[Plan]:
    if not matches_all(route.matchers, labels):
        failed = next(m for m in route.matchers if not m.matches(labels))
        reason = because(
            '{matcher} does not match "{value}"',
            matcher=failed,
            value=labels.get(failed.name, ""),
        )
        looked.append(Match(route.plan.path, False, reason))
        return
    looked.append(Match(route.plan.path, True, _why(route)))
    deeper = False
    for child in route.children:
        matched = False
        for plan in _walk(child, labels, looked):
            matched = deeper = True
            yield plan
        if matched and not child.continues:
            break
    if not deeper:
        yield route.plan


def _why(route: Route) -> Reason:
    if not route.matchers:
        return (
            because("the root matches everything")
            if route.plan.path == "route"
            else because("it has no matchers")
        )
    return because("{matchers} match", matchers=", ".join(map(str, route.matchers)))


def labels_of(incident: Incident, catalogue: Catalogue) -> Labels:
    """What routes match on."""
    return Labels.of(
        {
            "service": incident.service,
            "team": incident.team,
            "severity": incident.severity.value,
            "priority": incident.priority.value,
            "tier": str(catalogue.get(incident.service).tier),
            "simulated": "true" if incident.simulated else "",
        }
    )


def receivers_of(plan: Plan, team: str, catalogue: Catalogue) -> tuple[str, ...]:
    """The receivers that a plan names; `OWNER` becomes the team's, and the console where it has none."""
    return _named(plan.receiver, team, catalogue)


def escalates_to(plan: Plan, team: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Whom a plan escalates to, `OWNER` read as in `receivers_of`."""
    return tuple(r for name in plan.escalate_to for r in _named(name, team, catalogue))


def _named(receiver: str, team: str, catalogue: Catalogue) -> tuple[str, ...]:
    if receiver != OWNER:
        return (receiver,)
    known = catalogue.teams.get(team)
    return known.receivers if known and known.receivers else ("console",)


def problems(
    settings: RouteSettings,
    *,
    receivers: Iterable[str],
    desks: Iterable[str],
    path: str = "",
) -> list[tuple[str, str]]:
    """Every mistake of a tree, as (dotted path of the setting, message)."""
    receivers, desks = set(receivers), set(desks)
    found: list[tuple[str, str]] = []
    for number, text in enumerate(settings.match):
        try:
            Matcher.parse(text)
        except LabelError as error:
            found.append((f"{path}match[{number}]", str(error)))
    named = [("receiver", settings.receiver)] if settings.receiver else []
    named += [(f"escalate_to[{n}]", name) for n, name in enumerate(settings.escalate_to or ())]
    for where, name in named:
        if name not in receivers and name != OWNER:
            found.append((path + where, _unknown("receiver", name, receivers)))
    for number, name in enumerate(settings.desks or ()):
        if name not in desks and name != NO_DESK:
            found.append((f"{path}desks[{number}]", _unknown("desk", name, desks)))
    for number, child in enumerate(settings.routes):
        below = f"{path}routes[{number}]."
        found += problems(child, receivers=receivers, desks=desks, path=below)
    return found


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    return (
        f"must be the name of a {kind} ({', '.join(sorted(known)) or 'none is set'}), got {name!r}"
    )
