"""Timeline entries: one line of history for everything that happens, by derived ids."""

from __future__ import annotations

from collections.abc import Iterator

from incident_bridge.lifecycle import DESK_ACTOR
from incident_bridge.sla import Announcement, SlaNews
from model.identity import derive_id
from model.incident import (
    Act,
    ActKind,
    ClockKind,
    EntryKind,
    Grouping,
    Incident,
    Signal,
    TimelineEntry,
)
from model.reason import Reason, because, gettext
from model.units import format_duration

SYSTEM = "tocsin"
JOINS_TOLD_MAX = 50
"""Up to so many alerts each growth is an entry; beyond it only each doubling (a storm is one line)."""

_KIND_OF_ACT = {
    ActKind.ACKNOWLEDGE: EntryKind.ACKNOWLEDGED,
    ActKind.UNACKNOWLEDGE: EntryKind.UNACKNOWLEDGED,
    ActKind.RESOLVE: EntryKind.RESOLVED,
    ActKind.CLOSE: EntryKind.CLOSED,
    ActKind.REOPEN: EntryKind.REOPENED,
    ActKind.NOTE: EntryKind.NOTE,
    ActKind.PRIORITY: EntryKind.PRIORITY,
}


def entry(
    incident_id: str,
    kind: EntryKind,
    time_ms: int,
    text: Reason,
    *,
    actor: str = SYSTEM,
    simulated: bool = False,
    about: str = "",
) -> TimelineEntry:
    """One entry; what is the same in kind, time and `about` (by default the words) is the same entry."""
    about = about or derive_id(text.template, *[x for pair in text.params.pairs for x in pair])
    ident = derive_id("entry", incident_id, kind.value, time_ms, about)
    return TimelineEntry(ident, incident_id, time_ms, kind, actor, text, simulated)


def text_entry(incident: Incident, kind: EntryKind, time_ms: int, text: Reason) -> TimelineEntry:
    """An entry by the pipeline itself."""
    return entry(incident.id, kind, time_ms, text, simulated=incident.simulated)


def merged_entry(incident: Incident, time_ms: int) -> TimelineEntry:
    """In the incident that goes on: which one became part of it."""
    text = because(
        "incident {other} about {service} was merged into this one",
        other=incident.id,
        service=incident.service or "?",
    )
    return entry(
        incident.merged_into, EntryKind.MERGED, time_ms, text, simulated=incident.simulated
    )


def act_entry(
    act: Act,
    incident: Incident | None,
    now_ms: int,
    *,
    reason: Reason | None = None,
    refused: Reason | None = None,
) -> TimelineEntry:
    """An entry for a person's act: done, refused, or on an incident that is out of memory."""
    kind = _KIND_OF_ACT[act.kind]
    if refused is not None:
        kind = EntryKind.NOTE
        text = because(
            "{actor} wanted to {act}: {why}",
            actor=act.actor,
            act=act.kind.value,
            why=refused.text(),
        )
    elif reason is not None:
        text = reason
    else:
        text = because("{actor} noted: {text}", actor=act.actor, text=act.text[:2000])
        if act.kind is not ActKind.NOTE:
            kind = EntryKind.NOTE
            text = because(
                "{actor} wanted to {act}, but the incident ended long ago",
                actor=act.actor,
                act=act.kind.value,
            )
    return entry(
        act.incident_id,
        kind,
        min(act.time_ms, now_ms),
        text,
        actor=act.actor.removeprefix(DESK_ACTOR),
        simulated=incident.simulated if incident else False,
        about=act.id,
    )


def detail_entries(
    before: Incident, after: Incident, grouping: Grouping, now_ms: int
) -> Iterator[TimelineEntry]:
    """What the correlator sees differently."""
    for kind, text in _changes(before, after, grouping):
        yield text_entry(after, kind, now_ms, text)


def _changes(
    before: Incident, after: Incident, grouping: Grouping
) -> Iterator[tuple[EntryKind, Reason]]:
    if grouping.signal is Signal.JOINED and _worth_telling(before.alert_count, after.alert_count):
        yield EntryKind.JOINED, grouping.reason
    old = before.causes[0].service if before.causes else ""
    new = after.causes[0].service if after.causes else ""
    if new and new != old:
        yield (
            EntryKind.CAUSE,
            because(
                "most likely cause is now {service}, before {old}",
                service=new,
                old=old or "unknown",
            ),
        )
    for change_id in after.change_ids:
        if change_id not in before.change_ids:
            yield EntryKind.CHANGE, because("change {id} may have to do with it", id=change_id)
    if grouping.closed_ms is not None and grouping.firing_count:
        yield EntryKind.NOTE, grouping.reason
    if after.flapping != before.flapping:
        yield (
            EntryKind.FLAPPING,
            because(
                "it flaps: changes are told less often" if after.flapping else "it no longer flaps"
            ),
        )
    if after.muted != before.muted:
        yield (
            EntryKind.SILENCE,
            because("every firing alert is silenced" if after.muted else "no longer silenced"),
        )


def _worth_telling(before: int, after: int) -> bool:
    if after <= before:
        return False
    return after <= JOINS_TOLD_MAX or after.bit_length() > before.bit_length()


_SLA_TEXTS = {
    (
        ClockKind.RESPONSE,
        SlaNews.WARNING,
    ): gettext("{percent} % of the time to respond ({target}) has passed"),
    (
        ClockKind.RESOLUTION,
        SlaNews.WARNING,
    ): gettext("{percent} % of the time to resolve ({target}) has passed"),
    (ClockKind.RESPONSE, SlaNews.BREACHED): gettext(
        "nobody responded within {target}: SLA breached"
    ),
    (ClockKind.RESOLUTION, SlaNews.BREACHED): gettext("not resolved within {target}: SLA breached"),
}


def sla_entry(incident: Incident, told: Announcement, now_ms: int) -> TimelineEntry:
    """A warning or a breach; one entry for each ratio, however often it is computed."""
    clock = told.clock
    text = because(
        _SLA_TEXTS[clock.kind, told.news],
        percent=round(told.ratio * 100),
        target=format_duration(clock.target_ms),
    )
    return text_entry(incident, EntryKind.SLA, now_ms, text)
