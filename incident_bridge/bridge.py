"""The stage from what the correlator found, and what people did, to incidents and what to tell whom.

It owns no thread, clock or database: its memory is the rows it hands out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from incident_bridge import details, lifecycle, priority, sla
from incident_bridge.decide import Limits
from incident_bridge.lifecycle import Event
from incident_bridge.memory import Memory, Step
from incident_bridge.render import Renderer
from incident_bridge.routing import Route
from incident_bridge.settings import BridgeSettings, SlaSettings
from incident_bridge.tell import NEVER_MS, News, Teller, pages_of
from incident_bridge.timeline import (
    act_entry,
    detail_entries,
    merged_entry,
    sla_entry,
    text_entry,
)
from model.action import Action, LedgerEntry
from model.catalogue import Catalogue
from model.codec import decode, encode
from model.incident import (
    Act,
    ActKind,
    EntryKind,
    Grouping,
    Incident,
    IncidentState,
    Priority,
    Signal,
    SlaClock,
    TimelineEntry,
)
from model.reason import because
from model.units import format_duration


@dataclass(frozen=True, slots=True)
class Bridged:
    """What one call changed: rows to write, actions to queue, and queued actions to cancel first."""

    incidents: tuple[Incident, ...] = ()
    entries: tuple[TimelineEntry, ...] = ()
    clocks: tuple[SlaClock, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    actions: tuple[Action, ...] = ()
    cancelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Saved:
    version: int
    incidents: tuple[Incident, ...]
    clocks: tuple[SlaClock, ...]
    ledger: tuple[LedgerEntry, ...]


class Bridge:
    """Holds the incidents that are open or were lately.

    Parameters
    ----------
    routes : Route
        Of `routing.build`.
    sla : SlaSettings
    translate : Callable
        Language of tickets and pages; `str` for English.
    sources : frozenset of str
        Sources of alerts that are told what becomes of them.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        catalogue: Catalogue,
        routes: Route,
        sla: SlaSettings,
        translate: Callable[[str], str] = str,
        *,
        calendar: sla.Calendar | None = None,
        sources: frozenset[str] = frozenset(),
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.sla = sla
        self.calendar = calendar or _AROUND_THE_CLOCK
        self._memory = Memory()
        self._teller = Teller(
            routes,
            catalogue,
            Renderer(translate, settings.external_url),
            Limits(settings.update_interval_ms, settings.notes_max, settings.hold_ms),
            frozenset(desk.name for desk in settings.desks if desk.simulated),
            sources,
        )

    def take(
        self, groupings: Sequence[Grouping], acts: Sequence[Act] = (), *, now_ms: int
    ) -> Bridged:
        """What people did, then what the correlator says: it has heard of their acts as well.

        So who resolves an incident has resolved it, although the correlator calls it quiet in the
        same step. An act on what opens only now comes after.
        """
        if not groupings and not acts:
            return _NOTHING
        step = Step(now_ms)
        opening = {g.id for g in groupings if self._memory.get(g.id) is None}
        for act in acts:
            if act.incident_id not in opening:
                self._take_act(act, step)
        for grouping in groupings:
            self._take_grouping(grouping, step)
        for act in acts:
            if act.incident_id in opening:
                self._take_act(act, step)
        return _result(step)

    def step(self, now_ms: int) -> Bridged:
        """Time has passed: close, warn, repeat, escalate, say what was held, forget."""
        self._memory.trim(self.settings.incidents_max)
        due = self._memory.due(now_ms)
        if not due:
            return _NOTHING
        step = Step(now_ms)
        for incident in due:
            self._review(incident, step)
        return _result(step)

    def restore(
        self,
        incidents: Iterable[Incident],
        clocks: Iterable[SlaClock],
        ledger: Iterable[LedgerEntry],
    ) -> None:
        """Take the rows of an earlier run as memory."""
        self._memory = Memory()
        self._memory.fill(incidents, clocks, ledger)

    def save(self) -> bytes:
        """The memory as JSON."""
        memory = self._memory
        return encode(_Saved(1, memory.incidents(), memory.clocks(), memory.ledger()))

    def load(self, data: bytes) -> None:
        """Take over what `save` gave."""
        saved = decode(_Saved, data)
        self.restore(saved.incidents, saved.clocks, saved.ledger)

    def get(self, incident_id: str) -> Incident | None:
        """An incident in memory."""
        return self._memory.get(incident_id)

    def __len__(self) -> int:
        return len(self._memory)

    def counters(self) -> dict[str, float]:
        """Our own metrics by name (`incident_bridge.metrics`)."""
        return {
            "tocsin_incidents_remembered": len(self._memory),
            "tocsin_incidents_forgotten_total": self._memory.forgotten,
        }

    def _take_grouping(self, grouping: Grouping, step: Step) -> None:
        known = self._memory.get(grouping.id)
        if known is None:
            if grouping.signal is Signal.MERGED or grouping.closed_ms is not None:
                # What a person closed so long ago that it was forgotten does not open because its
                # alerts still fire.
                return
            before, incident = None, self._open(grouping, step)
        else:
            before, incident = known, self._refresh(known, grouping, step)
        news = News((grouping.reason,)) if before is None else News()
        event = lifecycle.event_of_signal(grouping.signal, incident)
        if event is not None:
            incident, news = self._happen(incident, event, grouping, news, step)
        self._settle(before, incident, news, step)

    def _open(self, grouping: Grouping, step: Step) -> Incident:
        found = priority.assess(grouping, self.catalogue)
        service = grouping.causes[0].service if grouping.causes else ""
        service = service or (grouping.services[0] if grouping.services else "")
        # An alert's own clock may be ahead of ours; nothing was noticed before it began.
        opened_ms = max(grouping.detected_ms, 0)
        incident = Incident(
            id=grouping.id,
            state=IncidentState.OPEN,
            state_since_ms=opened_ms,
            title=grouping.title,
            service=service,
            services=grouping.services,
            severity=grouping.severity,
            priority=found.priority,
            impact=found.impact,
            urgency=found.urgency,
            team=self.catalogue.get(service).owner,
            began_ms=min(grouping.began_ms, opened_ms),
            opened_ms=opened_ms,
            updated_ms=step.now_ms,
            simulated=grouping.simulated,
        )
        incident = details.seen(incident, grouping)
        step.entries.append(text_entry(incident, EntryKind.OPENED, opened_ms, grouping.reason))
        step.entries.append(text_entry(incident, EntryKind.PRIORITY, opened_ms, found.reason))
        if incident.muted:
            step.entries.append(text_entry(incident, EntryKind.SILENCE, opened_ms, _MUTED))
        return incident

    def _refresh(self, known: Incident, grouping: Grouping, step: Step) -> Incident:
        incident = details.follow_cause(details.seen(known, grouping), grouping, self.catalogue)
        step.entries.extend(detail_entries(known, incident, grouping, step.now_ms))
        if not incident.state.active or grouping.signal is Signal.QUIET or incident.priority_by:
            return incident
        found = priority.assess(grouping, self.catalogue)
        # It rises by itself; only a person lowers it, or every lull would move the promises.
        if found.priority.value >= incident.priority.value:
            return incident
        step.entries.append(text_entry(incident, EntryKind.PRIORITY, step.now_ms, found.reason))
        return replace(
            incident, priority=found.priority, impact=found.impact, urgency=found.urgency
        )

    def _happen(
        self, incident: Incident, event: Event, grouping: Grouping, news: News, step: Step
    ) -> tuple[Incident, News]:
        rule = lifecycle.TABLE[incident.state, event]
        assert rule.to is not None, "the table refuses no signal"
        if event is Event.REFIRED_DECLINED and not incident.state.active:
            why = because(rule.template, by=incident.resolved_by or "somebody")
            step.entries.append(text_entry(incident, EntryKind.NOTE, step.now_ms, why))
        if rule.to is incident.state:
            return incident, news
        at_ms = step.now_ms
        why = grouping.reason
        if event is Event.QUIET and grouping.quiet_ms is not None:
            # An alert's end may be stamped in our future; it is over now at the latest.
            at_ms = min(grouping.quiet_ms, step.now_ms)
        if event is Event.MERGED:
            why = because(rule.template, other=grouping.merged_into)
            incident = replace(incident, merged_into=grouping.merged_into)
            step.entries.append(merged_entry(incident, step.now_ms))
        after = lifecycle.enter(incident, rule.to, now_ms=step.now_ms, at_ms=at_ms)
        kind = _KIND_OF_STATE[incident.state, rule.to]
        step.entries.append(text_entry(after, kind, step.now_ms, why))
        return after, News((*news.comment, why))

    def _take_act(self, act: Act, step: Step) -> None:
        incident = self._memory.get(act.incident_id)
        if incident is None:
            # Long forgotten, but what somebody wrote is kept beside the record.
            step.entries.append(act_entry(act, None, step.now_ms))
            return
        rule = lifecycle.TABLE[incident.state, lifecycle.event_of_act(act.kind)]
        wrong = act.kind is ActKind.PRIORITY and act.text not in tuple(Priority)
        if rule.to is None or wrong:
            why = (
                because("a priority is P1, P2, P3 or P4, got {text}", text=act.text[:40])
                if wrong
                else lifecycle.refusal(incident, rule, act.actor)
            )
            step.entries.append(act_entry(act, incident, step.now_ms, refused=why))
            return
        reason = lifecycle.act_reason(rule, act)
        at_ms = min(max(act.time_ms, incident.opened_ms), step.now_ms)
        after = lifecycle.enter(
            incident, rule.to, now_ms=step.now_ms, at_ms=at_ms, by=_person(act.actor)
        )
        if act.kind is ActKind.PRIORITY:
            after = replace(after, priority=Priority(act.text), priority_by=_person(act.actor))
        step.entries.append(act_entry(act, after, step.now_ms, reason=reason))
        comment = (
            (reason,)
            if not act.text or act.kind in _SAYS_TEXT
            else (
                reason,
                because("{text}", text=act.text[:2000]),
            )
        )
        noted = act.kind is ActKind.NOTE or bool(act.text)
        self._settle(incident, after, News(comment, noted=noted), step)

    def _review(self, incident: Incident, step: Step) -> None:
        settings = self.settings
        if incident.state in (IncidentState.CLOSED, IncidentState.MERGED):
            if step.now_ms - incident.state_since_ms >= settings.keep_closed_ms:
                self._memory.forget(incident.id)
                return
        after, news = incident, News()
        if incident.state is IncidentState.RESOLVED and (
            step.now_ms - incident.state_since_ms >= settings.close_after_ms
        ):
            rule = lifecycle.TABLE[incident.state, Event.CLOSE_AFTER]
            assert rule.to is not None
            why = because(rule.template, after=format_duration(settings.close_after_ms))
            after = lifecycle.enter(incident, rule.to, now_ms=step.now_ms, at_ms=step.now_ms)
            step.entries.append(text_entry(after, EntryKind.CLOSED, step.now_ms, why))
            news = News((why,))
        self._settle(incident, after, news, step)

    def _settle(self, before: Incident | None, incident: Incident, news: News, step: Step) -> None:
        """Clocks, then whom to tell, then memory."""
        ledger = self._memory.ledger_of(incident.id)
        if before is not None and before.state is _OPEN and incident.state is not _OPEN:
            # An answer stops every page; an end only the repeats: the first page is the record
            # that somebody was to be told.
            answered = incident.state is _ACKED
            step.cancelled.extend(pages_of(ledger, first=1 if answered else 2))
        clocks, announced, clocks_due_ms = self._run_clocks(incident, step)
        if announced:
            noted = news.noted or not incident.simulated
            breached = self.sla.page_on_breach and any(
                a.news is sla.SlaNews.BREACHED for a in announced
            )
            entries = [sla_entry(incident, a, step.now_ms) for a in announced]
            step.entries.extend(entries)
            news = News((*news.comment, *(e.text for e in entries)), noted, breached)
        told = self._teller.tell(incident, ledger, news, step.now_ms)
        if incident != before:
            incident = replace(incident, updated_ms=step.now_ms)
            step.incidents[incident.id] = incident
        for entry in told.ledger:
            step.ledger[entry.incident_id, entry.target] = entry
        step.actions.extend(told.actions)
        due_ms = min(told.due_ms, clocks_due_ms, self._ends_ms(incident))
        self._memory.put(incident, clocks, told.ledger, due_ms=max(due_ms, step.now_ms + 1))

    def _run_clocks(
        self, incident: Incident, step: Step
    ) -> tuple[tuple[SlaClock, ...], list[sla.Announcement], int]:
        known = self._memory.clocks_of(incident.id)
        policy = sla.policy_for(incident, self.sla, self.catalogue)
        ratios = self.sla.warn_ratios
        clocks: list[SlaClock] = []
        announced: list[sla.Announcement] = []
        due_ms = NEVER_MS
        for clock in sla.follow(known, incident, policy, self.calendar, step.now_ms):
            counted, news = sla.advance(clock, self.calendar, step.now_ms, ratios)
            clocks.append(counted)
            if news is not None:
                announced.append(news)
            next_ms = sla.next_due_ms(counted, self.calendar, ratios)
            due_ms = min(due_ms, NEVER_MS if next_ms is None else next_ms)
        before = {clock.kind: clock for clock in known}
        for clock in clocks:
            if before.get(clock.kind) != clock:
                step.clocks[clock.incident_id, clock.kind.value] = clock
        return tuple(clocks), announced, due_ms

    def _ends_ms(self, incident: Incident) -> int:
        if incident.state is IncidentState.RESOLVED:
            return incident.state_since_ms + self.settings.close_after_ms
        if incident.state.active:
            return NEVER_MS
        return incident.state_since_ms + self.settings.keep_closed_ms


_AROUND_THE_CLOCK = sla.AroundTheClock()
_NOTHING = Bridged()
_MUTED = because("every firing alert is silenced: no ticket and no page until that ends")
_SAYS_TEXT = (ActKind.NOTE, ActKind.PRIORITY)
_OPEN, _ACKED = IncidentState.OPEN, IncidentState.ACKNOWLEDGED
_KIND_OF_STATE = {
    (before, after): kind
    for before in IncidentState
    for after, kind in (
        (IncidentState.OPEN, EntryKind.REOPENED),
        (IncidentState.RESOLVED, EntryKind.RESOLVED),
        (IncidentState.CLOSED, EntryKind.CLOSED),
        (IncidentState.MERGED, EntryKind.MERGED),
    )
}


def _person(actor: str) -> str:
    return actor.removeprefix(lifecycle.DESK_ACTOR)


def _result(step: Step) -> Bridged:
    return Bridged(
        tuple(step.incidents.values()),
        tuple(step.entries),
        tuple(step.clocks.values()),
        tuple(step.ledger.values()),
        tuple(step.actions),
        tuple(step.cancelled),
    )
