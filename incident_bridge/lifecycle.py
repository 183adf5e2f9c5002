"""The life of an incident as one table: (state, event) → (state, sentence).

What a person does wins: an incident that a person closed is not reopened by its alerts.
`python -m incident_bridge.lifecycle` prints docs/lifecycle.md; a test sees that the file is current.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from model.errors import NotAllowed
from model.incident import Act, ActKind, Incident, IncidentState, Signal
from model.reason import Reason, because

DESK_ACTOR = "desk:"
"""An act whose actor begins so was done by a person in that desk."""


class Event(StrEnum):
    """What can happen to an incident."""

    QUIET = "all alerts quiet"
    REFIRED = "alert fires again"
    REFIRED_DECLINED = "alert fires again, a person had closed it"
    MERGED = "merged into another"
    CLOSE_AFTER = "resolved for close_after"
    ACKNOWLEDGE = "person acknowledges"
    UNACKNOWLEDGE = "person takes the acknowledgement back"
    RESOLVE = "person resolves"
    CLOSE = "person closes"
    REOPEN = "person reopens"
    NOTE = "person notes"
    PRIORITY = "person sets the priority"


@dataclass(frozen=True, slots=True)
class Rule:
    """Where an event leads. `to` None: it is refused, and `template` says why."""

    to: IncidentState | None
    template: str


_OPEN, _ACKED = IncidentState.OPEN, IncidentState.ACKNOWLEDGED
_RESOLVED, _CLOSED, _MERGED = IncidentState.RESOLVED, IncidentState.CLOSED, IncidentState.MERGED

_QUIET = "every alert resolved and stayed quiet"
_INTO = "merged into {other}"
_RESOLVED_BY = "{actor} resolved it"
_CLOSED_BY = "{actor} closed it"
_NOTED = "{actor} noted: {text}"
_SET = "{actor} set the priority to {text}"
_STAY = "nothing changes"

TABLE: dict[tuple[IncidentState, Event], Rule] = {
    (_OPEN, Event.QUIET): Rule(_RESOLVED, _QUIET),
    (_OPEN, Event.REFIRED): Rule(_OPEN, _STAY),
    (_OPEN, Event.REFIRED_DECLINED): Rule(_OPEN, _STAY),
    (_OPEN, Event.MERGED): Rule(_MERGED, _INTO),
    (_OPEN, Event.CLOSE_AFTER): Rule(_OPEN, _STAY),
    (_OPEN, Event.ACKNOWLEDGE): Rule(_ACKED, "{actor} acknowledged it"),
    (_OPEN, Event.UNACKNOWLEDGE): Rule(None, "nobody has acknowledged this incident"),
    (_OPEN, Event.RESOLVE): Rule(_RESOLVED, _RESOLVED_BY),
    (_OPEN, Event.CLOSE): Rule(_CLOSED, _CLOSED_BY),
    (_OPEN, Event.REOPEN): Rule(None, "this incident is open already"),
    (_OPEN, Event.NOTE): Rule(_OPEN, _NOTED),
    (_OPEN, Event.PRIORITY): Rule(_OPEN, _SET),
    (_ACKED, Event.QUIET): Rule(_RESOLVED, _QUIET),
    (_ACKED, Event.REFIRED): Rule(_ACKED, _STAY),
    (_ACKED, Event.REFIRED_DECLINED): Rule(_ACKED, _STAY),
    (_ACKED, Event.MERGED): Rule(_MERGED, _INTO),
    (_ACKED, Event.CLOSE_AFTER): Rule(_ACKED, _STAY),
    (_ACKED, Event.ACKNOWLEDGE): Rule(None, "{acknowledged_by} has acknowledged this incident"),
    (_ACKED, Event.UNACKNOWLEDGE): Rule(_OPEN, "{actor} took the acknowledgement back"),
    (_ACKED, Event.RESOLVE): Rule(_RESOLVED, _RESOLVED_BY),
    (_ACKED, Event.CLOSE): Rule(_CLOSED, _CLOSED_BY),
    (_ACKED, Event.REOPEN): Rule(None, "this incident is open already"),
    (_ACKED, Event.NOTE): Rule(_ACKED, _NOTED),
    (_ACKED, Event.PRIORITY): Rule(_ACKED, _SET),
    (_RESOLVED, Event.QUIET): Rule(_RESOLVED, _STAY),
    (_RESOLVED, Event.REFIRED): Rule(_OPEN, "an alert fired again"),
    (_RESOLVED, Event.REFIRED_DECLINED): Rule(
        _RESOLVED, "an alert fired again, but {by} closed it"
    ),
    (_RESOLVED, Event.MERGED): Rule(_MERGED, _INTO),
    (_RESOLVED, Event.CLOSE_AFTER): Rule(_CLOSED, "it stayed resolved for {after}"),
    (_RESOLVED, Event.ACKNOWLEDGE): Rule(None, "this incident is resolved; reopen it first"),
    (_RESOLVED, Event.UNACKNOWLEDGE): Rule(None, "this incident is resolved; reopen it first"),
    (_RESOLVED, Event.RESOLVE): Rule(None, "this incident is resolved already"),
    (_RESOLVED, Event.CLOSE): Rule(_CLOSED, _CLOSED_BY),
    (_RESOLVED, Event.REOPEN): Rule(_OPEN, "{actor} reopened it"),
    (_RESOLVED, Event.NOTE): Rule(_RESOLVED, _NOTED),
    (_RESOLVED, Event.PRIORITY): Rule(_RESOLVED, _SET),
    (_CLOSED, Event.QUIET): Rule(_CLOSED, _STAY),
    (_CLOSED, Event.REFIRED): Rule(_OPEN, "an alert fired again"),
    (_CLOSED, Event.REFIRED_DECLINED): Rule(_CLOSED, "an alert fired again, but {by} closed it"),
    (_CLOSED, Event.MERGED): Rule(_CLOSED, _STAY),
    (_CLOSED, Event.CLOSE_AFTER): Rule(_CLOSED, _STAY),
    (_CLOSED, Event.ACKNOWLEDGE): Rule(None, "this incident is closed; reopen it first"),
    (_CLOSED, Event.UNACKNOWLEDGE): Rule(None, "this incident is closed; reopen it first"),
    (_CLOSED, Event.RESOLVE): Rule(None, "this incident is closed already"),
    (_CLOSED, Event.CLOSE): Rule(None, "this incident is closed already"),
    (_CLOSED, Event.REOPEN): Rule(_OPEN, "{actor} reopened it"),
    (_CLOSED, Event.NOTE): Rule(_CLOSED, _NOTED),
    (_CLOSED, Event.PRIORITY): Rule(None, "this incident is closed; reopen it first"),
    **{
        (_MERGED, event): Rule(_MERGED, _STAY)
        for event in (Event.QUIET, Event.REFIRED, Event.REFIRED_DECLINED, Event.MERGED)
    },
    (_MERGED, Event.CLOSE_AFTER): Rule(_MERGED, _STAY),
    (_MERGED, Event.NOTE): Rule(_MERGED, _NOTED),
    **{
        (_MERGED, event): Rule(None, "this incident was merged into {other}; act there")
        for event in (
            Event.ACKNOWLEDGE,
            Event.UNACKNOWLEDGE,
            Event.RESOLVE,
            Event.CLOSE,
            Event.REOPEN,
            Event.PRIORITY,
        )
    },
}


def event_of_signal(signal: Signal, incident: Incident) -> Event | None:
    """The event that a correlator's signal is for this incident; None where it is only news of detail."""
    if signal is Signal.REFIRED:
        return Event.REFIRED_DECLINED if incident.human_closed else Event.REFIRED
    return {Signal.QUIET: Event.QUIET, Signal.MERGED: Event.MERGED}.get(signal)


def event_of_act(kind: ActKind) -> Event:
    """The event that a person's act is."""
    return Event[kind.name]


def check(incident: Incident, kind: ActKind, actor: str = "") -> Rule:
    """The rule for a person's act.

    Raises
    ------
    NotAllowed
        If the table refuses it; the message is a sentence for that person.
    """
    rule = TABLE[incident.state, event_of_act(kind)]
    if rule.to is None:
        raise NotAllowed(refusal(incident, rule, actor).text())
    return rule


def refusal(incident: Incident, rule: Rule, actor: str = "") -> Reason:
    """Why an act is refused, as a sentence."""
    return because(
        rule.template,
        actor=actor,
        other=incident.merged_into,
        acknowledged_by=incident.acknowledged_by or "somebody",
    )


def allowed_acts(incident: Incident) -> tuple[ActKind, ...]:
    """What a person may do to it now: the buttons to show."""
    return tuple(kind for kind in ActKind if TABLE[incident.state, event_of_act(kind)].to)


def enter(
    incident: Incident, state: IncidentState, *, now_ms: int, at_ms: int, by: str = ""
) -> Incident:
    """The incident in its new state, with the times and names that go with it.

    Times never run backwards: nothing is resolved before it was opened, whatever an alert's own
    clock says.

    Parameters
    ----------
    now_ms, at_ms : int
        When we learnt of it, and when it happened: for a resolution the end of the last alert.
    by : str
        Who did it; "" for the pipeline.
    """
    if state is incident.state:
        return incident
    at_ms = max(at_ms, incident.opened_ms)
    entered = replace(incident, state=state, state_since_ms=now_ms)
    if state is _ACKED:
        # The first answer counts, also when it was reopened since.
        first_ms = at_ms if incident.acknowledged_ms is None else incident.acknowledged_ms
        return replace(entered, acknowledged_ms=first_ms, acknowledged_by=by)
    if state is _OPEN:
        if incident.state is _ACKED:
            return replace(entered, acknowledged_ms=None, acknowledged_by="")
        return replace(
            entered,
            resolved_ms=None,
            resolved_by="",
            closed_ms=None,
            human_closed=False,
            reopened=incident.reopened + 1,
        )
    if state is _RESOLVED:
        return replace(entered, resolved_ms=at_ms, resolved_by=by)
    return replace(
        entered,
        closed_ms=at_ms,
        resolved_ms=at_ms if incident.resolved_ms is None else incident.resolved_ms,
        resolved_by=by if incident.resolved_ms is None else incident.resolved_by,
        human_closed=bool(by) and incident.firing_count > 0,
    )


def act_reason(rule: Rule, act: Act) -> Reason:
    """The sentence for an act that was done."""
    actor = act.actor
    if actor.startswith(DESK_ACTOR):
        actor = actor.removeprefix(DESK_ACTOR)
    return because(rule.template, actor=actor, text=act.text[:2000])


def to_markdown() -> str:
    """docs/lifecycle.md: the table and its picture, from `TABLE`."""
    lines = [
        "# The life of an incident",
        "",
        "Made from `incident_bridge/lifecycle.py` by `python -m incident_bridge.lifecycle`; do not edit.",
        "What a person does wins: an incident that a person closed while alerts fired is not reopened by them.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> open: the correlator opens it",
    ]
    lines += [
        f"    {state} --> {rule.to}: {event.value}"
        for (state, event), rule in TABLE.items()
        if rule.to not in (None, state)
    ]
    lines += [
        "    closed --> [*]",
        "    merged --> [*]",
        "```",
        "",
        "| state | event | leads to | sentence |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {state} | {event.value} | {rule.to or '*refused*'} | {rule.template} |"
        for (state, event), rule in TABLE.items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(to_markdown(), end="")
