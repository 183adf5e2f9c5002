"""One row per rule of the decisions, both sides of every boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from incident_bridge.decide import (
    DeskAction,
    Limits,
    PageAction,
    next_desk_action,
    next_page_action,
)
from incident_bridge.routing import Plan
from model.action import LedgerEntry
from model.incident import Grouping, Incident, IncidentState, Priority
from tests.incident_bridge.conftest import House

LIMITS = Limits(update_interval_ms=60, notes_max=20, hold_ms=600)
TOLD = LedgerEntry(
    "inc1", "desk", "desk", 1, "says", "open", told_ms=1_000, count=1, since_ms=1_000
)
NOISY = replace(TOLD, count=20)
PLAN = Plan(repeat_interval_ms=300, escalate_after_ms=200, escalate_to=("phone",))


@pytest.fixture
def incident(house: House, grouping: Callable[..., Grouping]) -> Incident:
    house.take(grouping())
    return house.incident()


def in_state(state: str, **changes: Any) -> Callable[[Incident], Incident]:
    return lambda incident: replace(incident, state=IncidentState(state), **changes)


@pytest.mark.parametrize(
    ("entry", "change", "saying", "noted", "now_ms", "action"),
    [
        # Nothing was said yet.
        (None, in_state("open"), "says", False, 1_000, DeskAction.CREATE),
        # What is over as soon as it is known still gets its record; what was over before does not.
        (None, in_state("resolved", state_since_ms=1_000), "says", False, 1_000, DeskAction.CREATE),
        (None, in_state("resolved", state_since_ms=999), "says", False, 1_000, DeskAction.NONE),
        (None, in_state("closed", state_since_ms=999), "says", True, 1_000, DeskAction.NONE),
        # A muted incident waits.
        (None, in_state("open", muted=True), "says", False, 1_000, DeskAction.NONE),
        # A merged one lives on elsewhere.
        (None, in_state("merged"), "says", False, 1_000, DeskAction.NONE),
        # The same again is not said.
        (TOLD, in_state("open"), "says", False, 9_000, DeskAction.NONE),
        # A change of detail waits for the interval, and not a moment longer.
        (TOLD, in_state("open"), "else", False, 1_059, DeskAction.HOLD),
        (TOLD, in_state("open"), "else", False, 1_060, DeskAction.UPDATE),
        # A change of state does not wait.
        (TOLD, in_state("acknowledged"), "else", False, 1_001, DeskAction.UPDATE),
        (TOLD, in_state("resolved"), "else", False, 1_001, DeskAction.RESOLVE),
        (TOLD, in_state("closed"), "else", False, 1_001, DeskAction.CLOSE),
        (TOLD, in_state("merged"), "else", False, 1_001, DeskAction.CLOSE),
        (
            replace(TOLD, told_state="closed"),
            in_state("open"),
            "else",
            False,
            1_001,
            DeskAction.REOPEN,
        ),
        (
            replace(TOLD, told_state="resolved"),
            in_state("acknowledged"),
            "else",
            False,
            1_001,
            DeskAction.REOPEN,
        ),
        # After many messages even a change of state waits, and then is told.
        (NOISY, in_state("resolved"), "else", False, 1_599, DeskAction.HOLD),
        (NOISY, in_state("resolved"), "else", False, 1_600, DeskAction.RESOLVE),
        # The end does not.
        (NOISY, in_state("closed"), "else", False, 1_001, DeskAction.CLOSE),
        # What is seen differently after the end is no news.
        (
            replace(TOLD, told_state="resolved"),
            in_state("resolved"),
            "else",
            False,
            9_000,
            DeskAction.NONE,
        ),
        # A person's note goes out at once, whatever else waits or ended.
        (TOLD, in_state("open"), "says", True, 1_001, DeskAction.COMMENT),
        (NOISY, in_state("open"), "else", True, 1_001, DeskAction.COMMENT),
        (
            replace(TOLD, told_state="closed"),
            in_state("closed"),
            "says",
            True,
            1_001,
            DeskAction.COMMENT,
        ),
        # A note that comes with a change of state is named by the change.
        (TOLD, in_state("resolved"), "else", True, 1_001, DeskAction.RESOLVE),
    ],
)
def test_what_a_desk_is_told(
    incident: Incident,
    entry: LedgerEntry | None,
    change: Callable[[Incident], Incident],
    saying: str,
    noted: bool,
    now_ms: int,
    action: DeskAction,
) -> None:
    found = next_desk_action(
        entry, change(incident), saying=saying, noted=noted, now_ms=now_ms, limits=LIMITS
    )
    assert found is action


def page(
    entry: LedgerEntry | None,
    incident: Incident,
    plan: Plan = PLAN,
    *,
    now_ms: int = 1_000,
    **changes: Any,
) -> PageAction:
    asked = {"escalation": False, "first_told_ms": None, "breached": False, "hold_ms": 600}
    return next_page_action(entry, incident, plan, now_ms=now_ms, **{**asked, **changes})


@pytest.mark.parametrize(
    ("entry", "change", "plan", "now_ms", "action"),
    [
        # Nobody was told yet.
        (None, in_state("open"), PLAN, 1_000, PageAction.FIRST),
        # What somebody handles, what is over, muted, simulated or not grave enough wakes nobody.
        (None, in_state("acknowledged"), PLAN, 1_000, PageAction.NONE),
        (None, in_state("resolved"), PLAN, 1_000, PageAction.NONE),
        (None, in_state("open", muted=True), PLAN, 1_000, PageAction.NONE),
        (None, in_state("open", simulated=True), PLAN, 1_000, PageAction.NONE),
        (
            None,
            in_state("open", simulated=True),
            replace(PLAN, mute_simulated=False),
            1_000,
            PageAction.FIRST,
        ),
        (
            None,
            in_state("open", priority=Priority.P3),
            replace(PLAN, priority_min=Priority.P2),
            1_000,
            PageAction.NONE,
        ),
        (
            None,
            in_state("open", priority=Priority.P2),
            replace(PLAN, priority_min=Priority.P2),
            1_000,
            PageAction.FIRST,
        ),
        # Repeated until somebody answers.
        (TOLD, in_state("open"), PLAN, 1_299, PageAction.NONE),
        (TOLD, in_state("open"), PLAN, 1_300, PageAction.REPEAT),
        (TOLD, in_state("acknowledged"), PLAN, 9_000, PageAction.NONE),
        (TOLD, in_state("open", muted=True), PLAN, 9_000, PageAction.NONE),
        (TOLD, in_state("open"), replace(PLAN, repeat_interval_ms=0), 9_000, PageAction.NONE),
        # The end is told once, to those who were told, also if it is muted by then.
        (TOLD, in_state("resolved"), PLAN, 1_001, PageAction.RESOLVED),
        (TOLD, in_state("closed", muted=True), PLAN, 1_001, PageAction.RESOLVED),
        (
            TOLD,
            in_state("resolved"),
            replace(PLAN, send_resolved=False),
            1_001,
            PageAction.NONE,
        ),
        (replace(TOLD, told_state="resolved"), in_state("closed"), PLAN, 9_000, PageAction.NONE),
        # Again: at once, but not again and again.
        (replace(TOLD, told_state="resolved"), in_state("open"), PLAN, 1_001, PageAction.REOPENED),
        (
            replace(TOLD, told_state="resolved"),
            in_state("open", flapping=True),
            PLAN,
            1_599,
            PageAction.HOLD,
        ),
        (
            replace(TOLD, told_state="resolved"),
            in_state("open", reopened=3),
            PLAN,
            1_599,
            PageAction.HOLD,
        ),
        (
            replace(TOLD, told_state="resolved"),
            in_state("open", flapping=True),
            PLAN,
            1_600,
            PageAction.REOPENED,
        ),
    ],
)
def test_what_a_receiver_is_told(
    incident: Incident,
    entry: LedgerEntry | None,
    change: Callable[[Incident], Incident],
    plan: Plan,
    now_ms: int,
    action: PageAction,
) -> None:
    assert page(entry, change(incident), plan, now_ms=now_ms) is action


@pytest.mark.parametrize(
    ("first_told_ms", "now_ms", "action"),
    [
        # The first receiver was never told: there is nothing to escalate.
        (None, 9_000, PageAction.NONE),
        (1_000, 1_199, PageAction.NONE),
        (1_000, 1_200, PageAction.ESCALATE),
    ],
)
def test_when_it_escalates(
    incident: Incident, first_told_ms: int | None, now_ms: int, action: PageAction
) -> None:
    found = page(None, incident, now_ms=now_ms, escalation=True, first_told_ms=first_told_ms)
    assert found is action


def test_a_breach_is_told_to_those_who_know(incident: Incident) -> None:
    assert page(TOLD, incident, now_ms=1_001, breached=True) is PageAction.SLA
    acked = replace(incident, state=IncidentState.ACKNOWLEDGED)
    assert page(TOLD, acked, now_ms=1_001, breached=True) is PageAction.SLA
    assert page(None, acked, now_ms=1_001, breached=True) is PageAction.NONE
