"""Promises (ITIL: SLA targets), and the clocks that count towards them.

A clock counts working time by a `Calendar` from the opening; it stops at the acknowledgement
(response) or the resolution (resolution) and goes on where it stood when the incident is
reopened. What has been announced is kept in the clock, so that a restart announces nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from incident_bridge.settings import SlaPolicy, SlaSettings
from model.catalogue import Catalogue
from model.incident import ClockKind, Incident, IncidentState, SlaClock


class Calendar(Protocol):
    """Says which time counts."""

    def elapsed_ms(self, since_ms: int, until_ms: int) -> int:
        """Working milliseconds from `since_ms` to `until_ms`, which is not before it."""
        ...

    def after(self, since_ms: int, working_ms: int) -> int:
        """The earliest time at which so much working time has passed since `since_ms`."""
        ...


class AroundTheClock:
    """24 × 7: every millisecond counts.

    Examples
    --------
    >>> AroundTheClock().elapsed_ms(1_000, 5_000), AroundTheClock().after(1_000, 4_000)
    (4000, 5000)
    """

    def elapsed_ms(self, since_ms: int, until_ms: int) -> int:
        """The difference."""
        return until_ms - since_ms

    def after(self, since_ms: int, working_ms: int) -> int:
        """The sum."""
        return since_ms + working_ms


class SlaNews(StrEnum):
    """What a clock has to announce."""

    WARNING = "warning"
    BREACHED = "breached"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something to tell, once: `ratio` of the target has passed (1.0 for a breach)."""

    clock: SlaClock
    news: SlaNews
    ratio: float


def policy_for(incident: Incident, settings: SlaSettings, catalogue: Catalogue) -> SlaPolicy:
    """The first policy that fits; one without promises where none does."""
    tier = catalogue.get(incident.service).tier
    for policy in settings.policies:
        if (
            (not policy.priorities or incident.priority in policy.priorities)
            and (not policy.services or incident.service in policy.services)
            and (not policy.tiers or tier in policy.tiers)
        ):
            return policy
    return SlaPolicy()


def _targets(policy: SlaPolicy) -> tuple[tuple[ClockKind, int], ...]:
    return (
        (ClockKind.RESPONSE, policy.response_ms),
        (ClockKind.RESOLUTION, policy.resolution_ms),
    )


def start(incident: Incident, policy: SlaPolicy) -> tuple[SlaClock, ...]:
    """The clocks of a new incident, from its opening.

    Of one that is muted from its beginning (maintenance) nobody is told: they stand still until it
    is unmuted. A silence that comes later stops no clock, or silencing would be the way to keep a promise.
    """
    return tuple(
        SlaClock(
            incident.id,
            kind,
            target_ms,
            started_ms=incident.opened_ms,
            counted_ms=incident.opened_ms,
            running=not incident.muted,
            simulated=incident.simulated,
        )
        for kind, target_ms in _targets(policy)
        if target_ms
    )


def elapsed_ms(clock: SlaClock, calendar: Calendar, now_ms: int) -> int:
    """Working time on the clock now; a clock that was set back takes nothing away."""
    if not clock.running or now_ms <= clock.counted_ms:
        return clock.elapsed_ms
    return clock.elapsed_ms + calendar.elapsed_ms(clock.counted_ms, now_ms)


def advance(
    clock: SlaClock, calendar: Calendar, now_ms: int, warn_ratios: Iterable[float]
) -> tuple[SlaClock, Announcement | None]:
    """Count up to `now_ms`, and say the gravest thing that is new.

    Two warnings passed at once (after a pause, a clock that jumped) are one announcement. The
    clock comes back unchanged when there is nothing new: counting can be done at any later time.
    """
    if not clock.running:
        return clock, None
    used_ms = elapsed_ms(clock, calendar, now_ms)
    passed = [r for r in sorted(warn_ratios) if used_ms >= r * clock.target_ms]
    fresh = [r for r in passed if r not in clock.warned]
    breached = used_ms >= clock.target_ms and clock.breached_ms is None
    if not fresh and not breached:
        return clock, None
    counted = replace(
        clock,
        counted_ms=max(now_ms, clock.counted_ms),
        elapsed_ms=used_ms,
        warned=tuple(sorted({*clock.warned, *fresh})),
        breached_ms=_breach_time(clock, calendar) if breached else clock.breached_ms,
    )
    if breached:
        return counted, Announcement(counted, SlaNews.BREACHED, 1.0)
    if clock.breached_ms is not None:
        return counted, None
    return counted, Announcement(counted, SlaNews.WARNING, fresh[-1])


def _breach_time(clock: SlaClock, calendar: Calendar) -> int:
    return calendar.after(clock.counted_ms, max(clock.target_ms - clock.elapsed_ms, 0))


def next_due_ms(clock: SlaClock, calendar: Calendar, warn_ratios: Iterable[float]) -> int | None:
    """When `advance` will next have something to say; None where never."""
    if not clock.running or clock.breached_ms is not None:
        return None
    left = [ratio * clock.target_ms for ratio in (*warn_ratios, 1.0) if ratio not in clock.warned]
    if not left:
        return None
    # Round up: a step at the stated time must find the ratio passed.
    return calendar.after(clock.counted_ms, max(-int(-min(left) // 1) - clock.elapsed_ms, 0))


def stop(clock: SlaClock, calendar: Calendar, at_ms: int) -> SlaClock:
    """The promise ends at `at_ms`.

    A resolution is dated by the last alert's end, which lies before the moment we are sure of it.
    Time that was counted beyond it is given back, and with it a breach that was none.
    """
    if not clock.running:
        return clock
    at_ms = max(at_ms, clock.started_ms)
    if at_ms < clock.counted_ms:
        used_ms = max(clock.elapsed_ms - calendar.elapsed_ms(at_ms, clock.counted_ms), 0)
    else:
        used_ms = elapsed_ms(clock, calendar, at_ms)
    late = used_ms >= clock.target_ms
    breached_ms = (clock.breached_ms or _breach_time(clock, calendar)) if late else None
    return replace(
        clock,
        counted_ms=at_ms,
        elapsed_ms=used_ms,
        running=False,
        breached_ms=breached_ms,
        stopped_ms=at_ms,
    )


def resume(clock: SlaClock, now_ms: int) -> SlaClock:
    """Go on where it stood; the time in between does not count."""
    if clock.running:
        return clock
    return replace(clock, running=True, counted_ms=max(now_ms, clock.counted_ms), stopped_ms=None)


def retarget(clock: SlaClock, calendar: Calendar, now_ms: int, target_ms: int) -> SlaClock:
    """Promise something else, because the priority changed; the time on the clock stays."""
    if target_ms in (clock.target_ms, 0):
        return clock
    used_ms = elapsed_ms(clock, calendar, now_ms)
    # Of a longer time the same parts will pass once more.
    warned = tuple(ratio for ratio in clock.warned if used_ms >= ratio * target_ms)
    return replace(
        clock,
        target_ms=target_ms,
        counted_ms=max(now_ms, clock.counted_ms) if clock.running else clock.counted_ms,
        elapsed_ms=used_ms,
        warned=warned,
        breached_ms=clock.breached_ms if used_ms >= target_ms else None,
    )


def follow(
    clocks: tuple[SlaClock, ...],
    incident: Incident,
    policy: SlaPolicy,
    calendar: Calendar,
    now_ms: int,
) -> tuple[SlaClock, ...]:
    """The clocks as the incident's state and priority want them, started where there are none.

    A promise that has ended stays as it was kept or broken, whatever the priority is said to be later.
    """
    known = {clock.kind for clock in clocks}
    if incident.state.active or not clocks:
        clocks += tuple(clock for clock in start(incident, policy) if clock.kind not in known)
    targets = dict(_targets(policy))
    moved = (_follow(clock, incident, calendar, now_ms) for clock in clocks)
    return tuple(
        retarget(clock, calendar, now_ms, targets[clock.kind]) if clock.running else clock
        for clock in moved
    )


def _follow(clock: SlaClock, incident: Incident, calendar: Calendar, now_ms: int) -> SlaClock:
    if not clock.running and clock.stopped_ms is None:
        if incident.muted or not incident.state.active:
            return clock
        clock = resume(clock, now_ms)
    if not incident.state.active:
        ended_ms = incident.resolved_ms if incident.resolved_ms is not None else now_ms
        return stop(clock, calendar, ended_ms)
    if clock.kind is ClockKind.RESOLUTION:
        return resume(clock, now_ms)
    if incident.state is IncidentState.ACKNOWLEDGED:
        # Somebody has responded; a later reopening does not make that undone.
        assert incident.acknowledged_ms is not None
        return stop(clock, calendar, incident.acknowledged_ms)
    # Reopened before anybody responded, or whoever did took it back.
    return resume(clock, now_ms) if incident.acknowledged_ms is None else clock
