"""Who is told what of one incident now: the routes, the decisions and the words put together.

A function of values. What it answers is written down by the pipeline in one transaction, and done
afterwards by the performer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from incident_bridge import routing
from incident_bridge.decide import (
    DeskAction,
    Limits,
    PageAction,
    SourceAction,
    held_until_ms,
    next_desk_action,
    next_page_action,
    next_source_action,
)
from incident_bridge.render import Renderer
from incident_bridge.routing import Plan, Route
from model.action import SOURCE_TARGET, Action, ActionKind, LedgerEntry
from model.catalogue import Catalogue
from model.identity import derive_id
from model.incident import Incident, IncidentState
from model.reason import Reason, because

DESK, RECEIVER, SOURCE = "desk", "receiver", "source"
NEVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be done, what the ledger says then, and when to look again."""

    actions: tuple[Action, ...]
    ledger: tuple[LedgerEntry, ...]
    due_ms: int


@dataclass(frozen=True, slots=True)
class News:
    """What has just happened to the incident, besides what it says itself.

    Attributes
    ----------
    comment : tuple of Reason
        Sentences for the ticket.
    noted : bool
        They belong on the ticket even if nothing else changed.
    breached : bool
        A promise just ran out, and people shall hear of it.
    """

    comment: tuple[Reason, ...] = ()
    noted: bool = False
    breached: bool = False


@dataclass(frozen=True, slots=True)
class Teller:
    """The settings that `tell` needs.

    Attributes
    ----------
    simulated_desks : frozenset of str
        Desks that take tickets of simulated incidents.
    sources : frozenset of str
        Sources of alerts that are told what becomes of them.
    """

    routes: Route
    catalogue: Catalogue
    renderer: Renderer
    limits: Limits
    simulated_desks: frozenset[str] = field(default_factory=frozenset)
    sources: frozenset[str] = field(default_factory=frozenset)

    def tell(
        self, incident: Incident, ledger: Mapping[str, LedgerEntry], news: News, now_ms: int
    ) -> Told:
        """Decide for each desk and receiver, and write the drafts.

        Parameters
        ----------
        ledger : mapping of target to LedgerEntry
            What each was last told of this incident.
        """
        labels = routing.labels_of(incident, self.catalogue)
        plans = routing.plans(self.routes, labels)
        out = _Outcome(dict(ledger))
        for desk in self._desks(incident, plans, ledger):
            self._tell_desk(desk, incident, news, now_ms, out)
        for receiver, plan, escalation in self._receivers(incident, plans, ledger):
            self._tell_receiver(receiver, plan, escalation, incident, news, now_ms, out)
        if not incident.simulated:
            for source in incident.sources:
                if source in self.sources:
                    self._tell_source(source, incident, now_ms, out)
        return Told(tuple(out.actions), tuple(out.changed.values()), out.due_ms)

    def _desks(
        self, incident: Incident, plans: Sequence[Plan], ledger: Mapping[str, LedgerEntry]
    ) -> Iterator[str]:
        names = [e.target for e in ledger.values() if e.kind == DESK]
        names += [desk for plan in plans for desk in plan.desks]
        for name in dict.fromkeys(names):
            if name != routing.NO_DESK and (not incident.simulated or name in self.simulated_desks):
                yield name

    def _receivers(
        self, incident: Incident, plans: Sequence[Plan], ledger: Mapping[str, LedgerEntry]
    ) -> Iterator[tuple[str, Plan, bool]]:
        """Each receiver once: the routes' own first, then whom they escalate to, then whoever was
        told before the route changed, who still hears the end."""
        seen: set[str] = set()
        named = [
            (name, plan, False)
            for plan in plans
            for name in routing.receivers_of(plan, incident.team, self.catalogue)
        ]
        named += [
            (name, plan, True)
            for plan in plans
            for name in routing.escalates_to(plan, incident.team, self.catalogue)
        ]
        former = Plan(repeat_interval_ms=0, former=True)
        named += [(e.target, former, False) for e in ledger.values() if e.kind == RECEIVER]
        for name, plan, escalation in named:
            if name not in seen:
                seen.add(name)
                yield name, plan, escalation

    def _tell_desk(
        self, desk: str, incident: Incident, news: News, now_ms: int, out: _Outcome
    ) -> None:
        entry = out.ledger.get(desk)
        saying = self.renderer.fingerprint(incident)
        action = next_desk_action(
            entry, incident, saying=saying, noted=news.noted, now_ms=now_ms, limits=self.limits
        )
        if action is DeskAction.HOLD:
            assert entry is not None
            out.look_again(held_until_ms(entry, incident, self.limits))
        if action in (DeskAction.HOLD, DeskAction.NONE):
            return
        comment = news.comment or (() if action is DeskAction.CREATE else (_summary(incident),))
        draft = self.renderer.ticket(incident, comment)
        kind = ActionKind.TICKET_CREATE if action is DeskAction.CREATE else ActionKind.TICKET_UPDATE
        entry = out.say(incident, desk, DESK, saying, now_ms)
        out.actions.append(
            Action(
                action_id(incident.id, desk, entry.sequence),
                kind,
                incident.id,
                desk,
                entry.sequence,
                now_ms,
                ticket=draft,
                simulated=incident.simulated,
            )
        )

    def _tell_receiver(
        self,
        receiver: str,
        plan: Plan,
        escalation: bool,
        incident: Incident,
        news: News,
        now_ms: int,
        out: _Outcome,
    ) -> None:
        entry = out.ledger.get(receiver)
        first_told_ms = self._first_told_ms(incident, plan, out.ledger) if escalation else None
        action = next_page_action(
            entry,
            incident,
            plan,
            escalation=escalation,
            first_told_ms=first_told_ms,
            breached=news.breached,
            now_ms=now_ms,
            hold_ms=self.limits.hold_ms,
        )
        if action not in (PageAction.HOLD, PageAction.NONE):
            again = action in _OF_THE_SAME_OPENING
            entry = out.say(incident, receiver, RECEIVER, action.value, now_ms, again=again)
            out.actions.append(
                Action(
                    action_id(incident.id, receiver, entry.sequence),
                    ActionKind.PAGE,
                    incident.id,
                    receiver,
                    entry.sequence,
                    now_ms,
                    page=self.renderer.page(incident, receiver, action.value),
                    simulated=incident.simulated,
                )
            )
        elif entry is not None and _is_over_unsaid(entry, incident):
            out.note(incident, entry)
        if incident.state is IncidentState.OPEN:
            due_ms = self._due_ms(entry, plan, action, first_told_ms)
            # What is due and was not said waits for something else to happen: a silence's end, an act.
            if due_ms > now_ms:
                out.look_again(due_ms)

    def _tell_source(self, source: str, incident: Incident, now_ms: int, out: _Outcome) -> None:
        target = SOURCE_TARGET + source
        entry = out.ledger.get(target)
        action = next_source_action(entry, incident, now_ms=now_ms, limits=self.limits)
        if action is SourceAction.HOLD:
            assert entry is not None
            out.look_again(entry.told_ms + self.limits.update_interval_ms)
        if action in (SourceAction.HOLD, SourceAction.NONE):
            return
        entry = out.say(incident, target, SOURCE, str(incident.alert_count), now_ms)
        out.actions.append(
            Action(
                action_id(incident.id, target, entry.sequence),
                ActionKind.SOURCE_NOTE,
                incident.id,
                target,
                entry.sequence,
                now_ms,
                source=self.renderer.source_note(incident, source, action.value),
                simulated=incident.simulated,
            )
        )

    def _due_ms(
        self, entry: LedgerEntry | None, plan: Plan, action: PageAction, first_told_ms: int | None
    ) -> int:
        if entry is not None and action is PageAction.HOLD:
            return entry.told_ms + self.limits.hold_ms
        if entry is not None and _knows_it_is_open(entry):
            return entry.told_ms + plan.repeat_interval_ms if plan.repeat_interval_ms else NEVER_MS
        if first_told_ms is not None and plan.escalate_after_ms:
            return first_told_ms + plan.escalate_after_ms
        return NEVER_MS

    def _first_told_ms(
        self, incident: Incident, plan: Plan, ledger: Mapping[str, LedgerEntry]
    ) -> int | None:
        """Since when the plan's own receivers have known and not answered; None while none of them does.

        Who takes an acknowledgement back gives them the whole time again.
        """
        names = routing.receivers_of(plan, incident.team, self.catalogue)
        known = [ledger[name] for name in names if name in ledger]
        told = [max(e.since_ms, incident.state_since_ms) for e in known if _knows_it_is_open(e)]
        return min(told, default=None)


@dataclass(slots=True)
class _Outcome:
    """What `tell` gathers."""

    ledger: dict[str, LedgerEntry]
    changed: dict[str, LedgerEntry] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    due_ms: int = NEVER_MS

    def look_again(self, due_ms: int) -> None:
        self.due_ms = min(self.due_ms, due_ms)

    def say(
        self,
        incident: Incident,
        target: str,
        kind: str,
        saying: str,
        now_ms: int,
        *,
        again: bool = False,
    ) -> LedgerEntry:
        last = self.ledger.get(target) or LedgerEntry(incident.id, target, kind)
        entry = replace(
            last,
            sequence=last.sequence + 1,
            told=saying,
            told_state=incident.state.value,
            told_ms=now_ms,
            count=last.count + 1,
            since_ms=last.since_ms if again else now_ms,
        )
        self.ledger[target] = self.changed[target] = entry
        return entry

    def note(self, incident: Incident, entry: LedgerEntry) -> None:
        """It is over and its receiver does not want to hear of that; its next opening is news all the same."""
        entry = replace(entry, told_state=incident.state.value)
        self.ledger[entry.target] = self.changed[entry.target] = entry


def action_id(incident_id: str, target: str, sequence: int) -> str:
    """The id of a lane's action."""
    return derive_id("action", incident_id, target, sequence)


def pages_of(ledger: Mapping[str, LedgerEntry], *, first: int = 1) -> tuple[str, ...]:
    """Ids of every page ever queued for an incident, from number `first` of each lane on.

    Cancelling one that was sent does nothing, so nobody has to know which still wait.
    """
    return tuple(
        action_id(entry.incident_id, entry.target, number)
        for entry in ledger.values()
        if entry.kind == RECEIVER
        for number in range(first, entry.sequence + 1)
    )


def _knows_it_is_open(entry: LedgerEntry) -> bool:
    return bool(entry.count) and IncidentState(entry.told_state).active


def _is_over_unsaid(entry: LedgerEntry, incident: Incident) -> bool:
    return not incident.state.active and _knows_it_is_open(entry)


_OF_THE_SAME_OPENING = (
    PageAction.REPEAT,
    PageAction.RESOLVED,
    PageAction.MERGED,
    PageAction.SLA,
)


def _summary(incident: Incident) -> Reason:
    """What to say where nothing new was said: a held message that is due."""
    return because(
        "now {state}; reopened {count} times, {firing} of {alerts} alerts firing",
        state=incident.state.value,
        count=incident.reopened,
        firing=incident.firing_count,
        alerts=incident.alert_count,
    )
