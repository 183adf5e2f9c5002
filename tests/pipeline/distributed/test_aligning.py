"""When a step is made, and of what: all have told, or one is too late to be waited for."""

from __future__ import annotations

from model.alert import Alert
from model.journal import JournalKind
from model.labels import Labels
from pipeline.distributed.aligning import CLOCK, Alignment, Round
from pipeline.distributed.wire import Entry, Told


def told(source: int, now_ms: int, name: str = "") -> Told:
    alerts = (Alert(Labels.of({"alertname": name}), "detector", 1, 1),) if name else ()
    return Told(source, now_ms, alerts)


def entry(arrival_ms: int) -> Entry:
    return Entry(JournalKind.ALERT, "prom", arrival_ms, b"{}")


def play(alignment: Alignment, messages: list[Told | Entry], begin: int = 0) -> list[Round]:
    return [one for n, message in enumerate(messages) for one in alignment.take(message, begin + n)]


def test_a_step_waits_until_all_have_told_and_takes_them_in_their_order() -> None:
    alignment = Alignment(2, patience_ms=60_000)
    assert play(alignment, [told(1, 1_000, "b")]) == []
    (made,) = play(alignment, [told(0, 1_000, "a")], 1)
    assert (made.now_ms, [alert.name for alert in made.alerts]) == (1_000, ["a", "b"])
    assert made.mark.resume == 2


def test_what_is_told_again_is_passed_over() -> None:
    alignment = Alignment(1, patience_ms=60_000)
    assert len(play(alignment, [told(0, 1_000, "a"), told(0, 1_000, "a"), told(0, 2_000)])) == 2
    assert alignment.repeated == 1


def test_a_source_that_stands_still_is_waited_for_within_patience() -> None:
    # Both sides of the boundary.
    alignment = Alignment(2, patience_ms=10_000)
    play(alignment, [told(0, 1_000), told(1, 1_000)])
    assert play(alignment, [told(0, 11_000)], 2) == []
    assert [one.now_ms for one in play(alignment, [told(0, 12_000)], 3)] == [11_000, 12_000]


def test_late_alerts_are_taken_when_they_come_and_time_does_not_go_back() -> None:
    alignment = Alignment(2, patience_ms=10_000)
    play(alignment, [told(0, 1_000), told(1, 1_000), told(0, 30_000)])
    (late,) = play(alignment, [told(1, 2_000, "late")], 3)
    assert (late.now_ms, late.alerts[0].name) == (30_000, "late")
    assert alignment.late == 1


def test_f24_pushes_go_on_by_the_clock_when_nobody_detects() -> None:
    alignment = Alignment(2, patience_ms=10_000)
    play(alignment, [told(0, 1_000), told(1, 1_000)])
    ticks: list[Told | Entry] = [entry(2_000), *[told(CLOCK, n * 1_000) for n in range(2, 20)]]
    made = play(alignment, ticks, 2)
    assert [one.now_ms for one in made if one.entries] == [2_000]
    assert made[0].now_ms <= made[-1].now_ms == 19_000


def test_a_push_is_taken_at_the_first_step_after_it_arrived() -> None:
    alignment = Alignment(1, patience_ms=60_000)
    made = play(alignment, [told(0, 1_000), entry(1_500), told(0, 1_400), told(0, 2_000)])
    assert [len(one.entries) for one in made] == [0, 0, 1]
    assert made[-1].entries[0].offset == 2  # offsets of the journal begin at 1


def test_a_push_with_a_clock_far_ahead_waits_within_patience() -> None:
    alignment = Alignment(1, patience_ms=10_000)
    made = play(alignment, [told(0, 1_000), entry(10**15), told(0, 10_999), told(0, 11_000)])
    assert [len(one.entries) for one in made] == [0, 0, 1]


def test_from_every_mark_the_rest_is_decided_the_same() -> None:
    messages: list[Told | Entry] = []
    for n in range(1, 30):
        messages += [entry(n * 1_000), told(n % 3, n * 1_000, f"x{n}"), told(0, n * 1_000, f"y{n}")]
        messages += [told(1, n * 1_000), told(2, (n - n % 4) * 1_000, f"z{n}")]
    whole = play(Alignment(3, patience_ms=10_000), messages)
    assert len(whole) > 20

    def decided(rounds: list[Round]) -> tuple[list[str], list[int]]:
        names = sorted(alert.name for one in rounds for alert in one.alerts)
        return names, [e.offset for one in rounds for e in one.entries]

    for n, one in enumerate(whole):
        again = Alignment(3, patience_ms=10_000, mark=one.mark)
        rest = play(again, messages[one.mark.resume :], one.mark.resume)
        assert decided(rest) == decided(whole[n + 1 :])
