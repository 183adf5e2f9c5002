"""Decisions about incidents, each with its reason. No state, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from correlator.settings import CorrelatorSettings
from model.alert import Alert, AlertStatus, Severity
from model.incident import Grouping, Signal
from model.reason import Reason, because, gettext
from model.units import format_duration


class Return(StrEnum):
    """What becomes of an alert that fires again although its incident is over or closed."""

    FREE = "free"  # it may open, join or bring back an incident like any other
    DECLINED = "declined"  # a person closed the incident while it fired


@dataclass(frozen=True, slots=True)
class News:
    """What to say of an incident, and why."""

    signal: Signal
    reason: Reason


def wait_ms(status: AlertStatus, hurry: bool, settings: CorrelatorSettings) -> int:
    """How long an alert waits for companions before it opens an incident.

    Not at all with `hurry`: it flaps, and has waited several times already, or a person's closing
    held it back until now.
    """
    if hurry:
        return 0
    alert = status.alert
    if alert.signal == "availability" and alert.severity is Severity.CRITICAL:
        return min(settings.group_wait_ms, settings.group_wait_critical_ms)
    return settings.group_wait_ms


def may_open(alert: Alert) -> bool:
    """Whether an alert opens an incident by itself; information only joins."""
    return alert.severity is not Severity.INFO


def return_of(
    status: AlertStatus, closed_ms: int, *, now_ms: int, settings: CorrelatorSettings
) -> Return:
    """Whether an alert that fires may do anything after a person closed its incident.

    An alert that had resolved when the incident was closed is free at once. One that fired then must
    resolve once, and `reopen_window` must pass.
    """
    since = sum(1 for time_ms in status.changes_ms if time_ms > closed_ms)
    if since == 1:
        return Return.FREE
    if since >= 2 and now_ms >= closed_ms + settings.reopen_window_ms:
        return Return.FREE
    return Return.DECLINED


def is_quiet(
    *, firing: int, latest_ms: int, flapping: bool, now_ms: int, settings: CorrelatorSettings
) -> bool:
    """Whether nothing fired for long enough."""
    still_ms = settings.flap_stable_ms if flapping else 0
    return firing == 0 and now_ms >= latest_ms + max(settings.resolve_window_ms, still_ms)


def opened(first: Alert, service: str, count: int) -> Reason:
    """Why an incident opens."""
    name = first.name or service or "?"
    if count == 1:
        return because("{alert} began on {service}", alert=name, service=service or "?")
    return because(
        "{alert} began on {service}, and {count} more alerts with it",
        alert=name,
        service=service or "?",
        count=count - 1,
    )


def refired(first: Alert, service: str, ago_ms: int) -> Reason:
    """Why an incident is back."""
    return because(
        "{alert} fires again on {service}, {ago} after all was quiet",
        alert=first.name or "?",
        service=service or "?",
        ago=format_duration(max(0, ago_ms)),
    )


def quiet(count: int, flapping: bool, settings: CorrelatorSettings) -> Reason:
    """Why an incident is over."""
    still_ms = max(settings.resolve_window_ms, settings.flap_stable_ms if flapping else 0)
    return because(
        "all {count} alerts resolved and stayed so for {time}",
        count=count,
        time=format_duration(still_ms),
    )


def resolved_by_person() -> Reason:
    """Why an incident is over before `resolve_window`: what fires from now on brings it back."""
    return because("a person resolved it, and nothing fires")


def reopened_by_person() -> Reason:
    """Why an incident in which nothing fires is remembered anew."""
    return because("a person reopened it")


Change = tuple[Callable[[Grouping, Grouping], bool], Signal, str]

_CHANGES: tuple[Change, ...] = (
    (lambda a, b: b.closed_ms is not None and a.closed_ms is None, Signal.CHANGED,
     gettext("a person closed it; its alerts open nothing until they have resolved")),
    (lambda a, b: b.closed_ms is None and a.closed_ms is not None, Signal.CHANGED,
     gettext("a person reopened it")),
    (lambda a, b: b.flapping and not a.flapping, Signal.CHANGED,
     gettext("alerts change back and forth; it stays open until they are stable")),
    (lambda a, b: a.flapping and not b.flapping, Signal.CHANGED, gettext("alerts are stable again")),
    (lambda a, b: b.muted and not a.muted, Signal.CHANGED, gettext("every firing alert is silenced")),
    (lambda a, b: a.muted and not b.muted, Signal.CHANGED, gettext("an alert fires that is not silenced")),
    (lambda a, b: bool(set(b.services) - set(a.services)), Signal.JOINED,
     gettext("{joined} more alerts joined; affected: {services}")),
    (lambda a, b: a.severity is not b.severity, Signal.CHANGED, gettext("severity is now {severity}")),
    (lambda a, b: a.services[:1] != b.services[:1], Signal.CHANGED,
     gettext("{service} is now the first suspect")),
    (lambda a, b: a.change_ids != b.change_ids, Signal.CHANGED, gettext("a change came to light")),
    (lambda a, b: a.title != b.title, Signal.CHANGED, gettext("what tells most is another sign now")),
)  # fmt: skip


def news(
    said: Grouping, view: Grouping, *, now_ms: int, settings: CorrelatorSettings
) -> News | None:
    """What about an incident is worth saying since it was last said; the first rule that fits.

    Numbers alone wait for `group_interval`, and are not told at all while it flaps.
    """
    joined = view.alert_count - said.alert_count
    params = {
        "joined": max(0, joined),
        "services": ", ".join(view.services[:5]),
        "service": view.services[0] if view.services else "?",
        "severity": view.severity.value,
        "firing": view.firing_count,
    }
    for differs, signal, template in _CHANGES:
        if differs(said, view):
            return News(signal, because(template, **params))
    same = joined == 0 and said.firing_count == view.firing_count
    if same or view.flapping or now_ms < said.at_ms + settings.group_interval_ms:
        return None
    if joined > 0:
        return News(Signal.JOINED, because("{joined} more alerts joined", **params))
    return News(Signal.CHANGED, because("{firing} alerts fire now", **params))


def waits(said: Grouping, view: Grouping) -> bool:
    """Whether there is something unsaid that may be said later."""
    return (said.alert_count, said.firing_count) != (view.alert_count, view.firing_count)
