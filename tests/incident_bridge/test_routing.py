"""Alertmanager's tree: who is told, by which route, and why the others are not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident_bridge import priority, routing
from incident_bridge.routing import OWNER, Plan, build, plans, problems, route_test
from incident_bridge.settings import RouteSettings
from model.alert import Severity
from model.catalogue import Catalogue, Service, Team
from model.errors import LabelError
from model.incident import Priority
from model.labels import Labels

# The example of Alertmanager's manual, in our words.
TREE = RouteSettings(
    receiver="all",
    desks=("builtin",),
    repeat_interval_ms=100,
    routes=(
        RouteSettings(match=('service=~"pg|mysql"',), receiver="dba", repeat_interval_ms=50),
        RouteSettings(match=('team="web"',), receiver="web", continue_=True, desks=("ext",)),
        RouteSettings(
            match=('team="web"',),
            routes=(
                RouteSettings(match=('priority="P1"',), receiver="boss"),
                RouteSettings(match=('priority!~"P1|P2"',), desks=("none",)),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        # No child matches: the root decides.
        ({"service": "blog"}, [("all", 100, ("builtin",))]),
        # The first that matches decides, and inherits what it does not say.
        ({"service": "pg", "team": "web"}, [("dba", 50, ("builtin",))]),
        # `continue` looks at the siblings too; a child of theirs is deeper and decides.
        (
            {"team": "web", "priority": "P1"},
            [("web", 100, ("ext",)), ("boss", 100, ("builtin",))],
        ),
        ({"team": "web", "priority": "P2"}, [("web", 100, ("ext",)), ("all", 100, ("builtin",))]),
        ({"team": "web", "priority": "P3"}, [("web", 100, ("ext",)), ("all", 100, ("none",))]),
        # Regular expressions are anchored.
        ({"service": "pgbouncer"}, [("all", 100, ("builtin",))]),
    ],
)
def test_which_routes_match(
    labels: dict[str, str], told: list[tuple[str, int, tuple[str, ...]]]
) -> None:
    found = plans(build(TREE), Labels.of(labels))
    assert [(p.receiver, p.repeat_interval_ms, p.desks) for p in found] == told


def test_route_test_shows_the_path_and_the_reasons() -> None:
    found, looked = route_test(build(TREE), Labels.of({"team": "web", "priority": "P1"}))
    assert [p.path for p in found] == ["route.routes[1]", "route.routes[2].routes[0]"]
    assert [(m.path, m.taken, m.reason.text()) for m in looked][:2] == [
        ("route", True, "the root matches everything"),
        ("route.routes[0]", False, 'service=~"pg|mysql" does not match ""'),
    ]


def _naive(node: RouteSettings, labels: Labels, inherited: dict[str, str]) -> list[str]:
    """Every leaf decision by plain recursion over the settings."""
    own = {**inherited, **({"receiver": node.receiver} if node.receiver else {})}
    from model.labels import Matcher, matches_all

    if not matches_all([Matcher.parse(m) for m in node.match], labels):
        return []
    found = []
    for child in node.routes:
        below = _naive(child, labels, own)
        found += below
        if below and not child.continue_:
            break
    return found or [own["receiver"]]


NODES = st.recursive(
    st.builds(
        RouteSettings,
        match=st.sampled_from([(), ('a="1"',), ('a!="1"', 'b=~"x|y"')]),
        receiver=st.sampled_from(["", "r1", "r2"]),
        continue_=st.booleans(),
    ),
    lambda children: st.builds(
        RouteSettings,
        match=st.sampled_from([(), ('a="1"',), ('b="x"',)]),
        receiver=st.sampled_from(["", "r3"]),
        continue_=st.booleans(),
        routes=st.lists(children, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(NODES, st.dictionaries(st.sampled_from("ab"), st.sampled_from(["1", "x", "y"])))
def test_as_the_obvious_recursion(tree: RouteSettings, pairs: dict[str, str]) -> None:
    labels = Labels.of(pairs)
    found = [p.receiver for p in plans(build(tree), labels)]
    assert found == _naive(tree, labels, {"receiver": "console"})


def test_a_bad_matcher_is_refused_and_every_problem_is_listed() -> None:
    bad = RouteSettings(
        match=("a",),
        receiver="ghost",
        routes=(RouteSettings(match=('b=~"("',), desks=("nowhere",), escalate_to=("nobody",)),),
    )
    with pytest.raises(LabelError):
        build(bad)
    found = problems(bad, receivers=["console"], desks=["builtin"])
    assert [path for path, _ in found] == [
        "match[0]",
        "receiver",
        "routes[0].match[0]",
        "routes[0].escalate_to[0]",
        "routes[0].desks[0]",
    ]
    assert found[1][1] == "must be the name of a receiver (console), got 'ghost'"


def test_the_owner_stands_for_the_teams_receivers_and_the_console_for_nobody() -> None:
    shop = Catalogue.of([Service("a", owner="web")], [Team("web", receivers=("x", "y")), Team("e")])
    plan = Plan(receiver=OWNER)
    assert routing.receivers_of(plan, "web", shop) == ("x", "y")
    # F18: nobody is set, somebody is told all the same.
    assert routing.receivers_of(plan, "e", shop) == ("console",)
    assert routing.receivers_of(plan, "unknown", shop) == ("console",)


@pytest.mark.parametrize(
    ("impact", "urgency", "found"),
    [(1, 1, "P1"), (1, 3, "P3"), (2, 1, "P2"), (2, 2, "P3"), (3, 1, "P3"), (3, 3, "P4")],
)
def test_the_matrix(impact: int, urgency: int, found: str) -> None:
    assert priority.of(impact, urgency) is Priority(found)


@pytest.mark.parametrize(
    ("services", "impact"),
    [
        (("one",), 1),
        (("two",), 2),
        (("four",), 3),
        # The gravest counts.
        (("four", "two"), 2),
        # Many affected raise it by one, both sides of the boundary.
        (("four", "a", "b", "c"), 3),
        (("four", "a", "b", "c", "d"), 2),
        ((), 3),
    ],
)
def test_impact_from_tiers_and_width(services: tuple[str, ...], impact: int) -> None:
    shop = Catalogue.of([Service("one", 1), Service("two", 2), Service("four", 4)])
    assert priority.impact_of(services, shop) == impact


@pytest.mark.parametrize(
    ("severity", "ratio", "urgency"),
    [
        (Severity.CRITICAL, 0.0, 1),
        (Severity.WARNING, 0.25, 2),
        (Severity.WARNING, 0.24, 3),
        (Severity.INFO, 1.0, 3),
    ],
)
def test_urgency_from_severity_and_what_still_fires(
    severity: Severity, ratio: float, urgency: int
) -> None:
    assert priority.urgency_of(severity, ratio) == urgency
