"""How senders really behave: a Prometheus that repeats itself, restarts, has a replica, has its own clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from correlator.deduplicate import LATE_MS, Verdict, absorb
from correlator.settings import CorrelatorSettings
from model.alert import Alert, AlertStatus
from model.labels import Labels

SETTINGS = CorrelatorSettings()
LABELS = Labels.of({"alertname": "Down", "job": "pg"})
MINUTE = 60_000
T0 = 1_700_000_000_000


def firing(starts: int, at: int, *, minutes: int = 4) -> Alert:
    """As Prometheus says it: it holds until four evaluations after now."""
    return Alert(LABELS, "prom", T0 + starts, T0 + at, expires_ms=T0 + at + minutes * MINUTE)


def resolved(starts: int, ends: int, at: int) -> Alert:
    return Alert(LABELS, "prom", T0 + starts, T0 + at, ends_ms=T0 + ends)


def hear(*alerts: Alert) -> tuple[AlertStatus, list[Verdict]]:
    """What is known after all of them, and what each was."""
    known: AlertStatus | None = None
    verdicts = []
    for alert in alerts:
        known, verdict = absorb(known, alert, now_ms=alert.arrival_ms, settings=SETTINGS)
        verdicts.append(verdict)
    assert known is not None
    return known, verdicts


def test_repeats_move_the_end_and_keep_the_start() -> None:
    known, verdicts = hear(firing(0, 0), firing(0, MINUTE), firing(0, 2 * MINUTE))
    assert verdicts == [Verdict.FIRED, Verdict.UPDATED, Verdict.UPDATED]
    assert known.alert.expires_ms == T0 + 6 * MINUTE


def test_a_prometheus_that_restarted_says_a_later_start_of_the_same() -> None:
    known, verdicts = hear(firing(0, 0), firing(3 * MINUTE, 3 * MINUTE))
    assert verdicts[-1] is Verdict.UPDATED
    assert known.alert.starts_ms == T0


def test_a_resolve_repeated_for_a_quarter_of_an_hour_is_one() -> None:
    repeats = [resolved(0, 5 * MINUTE, n * MINUTE) for n in range(5, 20)]
    known, verdicts = hear(firing(0, 0), *repeats)
    assert verdicts == [Verdict.FIRED, Verdict.RESOLVED, *[Verdict.STALE] * 14]
    assert len(known.changes_ms) == 2


def test_annotations_follow_the_sender() -> None:
    newer = replace(firing(0, MINUTE), annotations=Labels.of({"summary": "worse"}))
    known, _ = hear(firing(0, 0), newer)
    assert known.alert.annotations.get("summary") == "worse"


@pytest.mark.parametrize("lag", [0, 20_000, -20_000])
def test_of_two_replicas_the_one_that_sees_it_fire_counts(lag: int) -> None:
    """One resolves it and says so for a quarter of an hour, the other sees it fire all the time."""
    heard = [firing(0, 0), firing(lag, MINUTE), resolved(0, 2 * MINUTE, 2 * MINUTE)]
    for minute in range(2, 17):
        heard += [firing(lag, minute * MINUTE + 5_000)]
        heard += [resolved(0, 2 * MINUTE, minute * MINUTE + 30_000)]
    known, verdicts = hear(*heard)
    assert known.alert.firing
    # It went to and fro once, and not with each message.
    assert verdicts.count(Verdict.RESOLVED) == 1
    assert verdicts.count(Verdict.FIRED) == 2
    # When that one resolves it too, it is over.
    known, verdicts = hear(*heard, resolved(lag, 18 * MINUTE, 18 * MINUTE))
    assert verdicts[-1] is Verdict.RESOLVED
    assert known.alert.ends_ms == T0 + 18 * MINUTE


@pytest.mark.parametrize(
    ("late_ms", "verdict"), [(LATE_MS - 1, Verdict.STALE), (LATE_MS, Verdict.FIRED)]
)
def test_f11_a_fire_overtaken_by_its_resolve_is_told_from_one_that_insists(
    late_ms: int, verdict: Verdict
) -> None:
    _, verdicts = hear(firing(0, 0), resolved(0, MINUTE, MINUTE), firing(0, MINUTE + late_ms))
    assert verdicts[-1] is verdict


def test_a_sender_whose_clock_is_behind_resolves_what_it_fired() -> None:
    known, verdicts = hear(
        firing(0, 2 * MINUTE), firing(0, 3 * MINUTE), resolved(0, MINUTE + 1, 4 * MINUTE)
    )
    assert verdicts[-1] is Verdict.RESOLVED
    assert known.alert.ends_ms == T0 + MINUTE + 1
