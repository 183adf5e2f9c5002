"""What an incoming alert changes of what is known of it."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from correlator.settings import CorrelatorSettings
from model.alert import Alert, AlertStatus

CHANGES_KEPT = 16
LATE_MS = 60_000
"""A message that was overtaken by its own resolve comes sooner than this; who still says later that it
fires means it."""


class Verdict(StrEnum):
    """What became of an incoming alert."""

    FIRED = "fired"
    RESOLVED = "resolved"
    UPDATED = "updated"  # the same occurrence, heard of again
    STALE = "stale"  # older than what is known


def mend_times(alert: Alert, now_ms: int, start_age_max_ms: int) -> Alert:
    """An alert with believable times: not from the future, not from 1970, no end before its start.

    Examples
    --------
    >>> from model.labels import Labels
    >>> late = mend_times(Alert(Labels(), "am", 9_000, 5_000, ends_ms=7_000), 5_000, 10**9)
    >>> late.starts_ms, late.ends_ms
    (5000, 5000)
    """
    starts_ms, ends_ms = alert.starts_ms, alert.ends_ms
    if starts_ms > now_ms or starts_ms < now_ms - start_age_max_ms:
        starts_ms = now_ms
        if ends_ms is not None and 0 < ends_ms < now_ms:
            starts_ms = ends_ms
    if ends_ms is not None:
        ends_ms = max(starts_ms, min(ends_ms, now_ms))
    if (starts_ms, ends_ms) == (alert.starts_ms, alert.ends_ms):
        return alert
    return replace(alert, starts_ms=starts_ms, ends_ms=ends_ms)


def absorb(
    known: AlertStatus | None, alert: Alert, *, now_ms: int, settings: CorrelatorSettings
) -> tuple[AlertStatus, Verdict]:
    """Combine an incoming alert with what is known under its key.

    An older pair of start and end never replaces a newer one; while an
    occurrence goes on the start that we believed first counts. An alert that we resolved only because it expired
    goes on if its sender is heard again. So does one that is still said to fire a minute after its
    resolve: of two replicas one has resolved it, the other sees it fire; the one that sees trouble counts.

    Parameters
    ----------
    known : AlertStatus or None
        The row of the same `Alert.key`.
    alert : Alert
        With believable times (`mend_times`).
    """
    kept = max(CHANGES_KEPT, settings.flap_changes_max + 2)
    if known is None:
        verdict = Verdict.FIRED if alert.firing else Verdict.RESOLVED
        times = [alert.starts_ms] if alert.ends_ms is None else [alert.starts_ms, alert.ends_ms]
        return AlertStatus(alert, changes_ms=tuple(times), seen_ms=now_ms), verdict
    old = known.alert
    if alert.ends_ms is None:
        return _absorb_firing(known, alert, now_ms, kept)
    if old.ends_ms is not None:
        if alert.starts_ms <= old.starts_ms or alert.ends_ms <= old.ends_ms:
            return known, Verdict.STALE
        # A whole occurrence whose firing we never heard of.
        changes = _grown(known.changes_ms, (alert.starts_ms, alert.ends_ms), kept)
        return replace(known, alert=alert, changes_ms=changes, seen_ms=now_ms), Verdict.RESOLVED
    # Prometheus repeats a resolve for 15 minutes: what has gone on since is not resolved by it again.
    went_on_ms = known.changes_ms[-1]
    if alert.ends_ms < old.starts_ms or old.starts_ms < went_on_ms >= alert.ends_ms:
        return known, Verdict.STALE
    ended = replace(alert, starts_ms=old.starts_ms)
    changes = _grown(known.changes_ms, (alert.ends_ms,), kept)
    return replace(known, alert=ended, changes_ms=changes), Verdict.RESOLVED


def _absorb_firing(
    known: AlertStatus, alert: Alert, now_ms: int, kept: int
) -> tuple[AlertStatus, Verdict]:
    old = known.alert
    if old.ends_ms is None:
        same = replace(alert, starts_ms=old.starts_ms)
        if alert.arrival_ms < old.arrival_ms:
            return known, Verdict.STALE
        return replace(known, alert=same), Verdict.UPDATED
    expired = old.expires_ms is not None and old.ends_ms >= old.expires_ms
    insists = alert.starts_ms <= old.ends_ms and alert.arrival_ms >= old.arrival_ms + LATE_MS
    if (expired or insists) and alert.arrival_ms > old.ends_ms:
        starts_ms = alert.starts_ms if alert.starts_ms > old.ends_ms else old.starts_ms
        changes = _grown(known.changes_ms, (max(starts_ms, old.ends_ms),), kept)
        again = replace(alert, starts_ms=starts_ms)
        return replace(known, alert=again, changes_ms=changes, seen_ms=now_ms), Verdict.FIRED
    if alert.starts_ms <= old.starts_ms:
        return known, Verdict.STALE  # it came after its own resolve
    changes = _grown(known.changes_ms, (alert.starts_ms,), kept)
    return replace(known, alert=alert, changes_ms=changes, seen_ms=now_ms), Verdict.FIRED


def expire(known: AlertStatus, settings: CorrelatorSettings) -> AlertStatus:
    """The row of an alert of which nothing was heard until `expires_ms`."""
    alert = known.alert
    assert alert.expires_ms is not None
    ends_ms = max(alert.starts_ms, alert.expires_ms)
    kept = max(CHANGES_KEPT, settings.flap_changes_max + 2)
    changes = _grown(known.changes_ms, (ends_ms,), kept)
    return replace(known, alert=replace(alert, ends_ms=ends_ms), changes_ms=changes)


def _grown(changes_ms: tuple[int, ...], more: tuple[int, ...], kept: int) -> tuple[int, ...]:
    grown = list(changes_ms)
    for time_ms in more:
        grown.append(max(time_ms, grown[-1]) if grown else time_ms)
    return tuple(grown[-kept:])


def is_flapping(changes_ms: tuple[int, ...], settings: CorrelatorSettings) -> bool:
    """Whether the latest changes came more often than is healthy.

    Examples
    --------
    >>> brief = CorrelatorSettings(flap_changes_max=2, flap_window_ms=100)
    >>> is_flapping((0, 50, 90), brief), is_flapping((0, 50, 150), brief)
    (True, False)
    """
    if len(changes_ms) <= settings.flap_changes_max:
        return False
    return changes_ms[-1] - changes_ms[-1 - settings.flap_changes_max] <= settings.flap_window_ms
