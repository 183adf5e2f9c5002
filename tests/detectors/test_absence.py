"""Silence of one among many is a fault; silence of all was ours."""

from detectors.absence import Absences


def _hear(absences: Absences, services: tuple[str, ...], start_ms: int, end_ms: int) -> None:
    for time_ms in range(start_ms, end_ms, 15_000):
        for service in services:
            absences.heard(service, time_ms)


def _silent(absences: Absences) -> list[str]:
    return [service for service, _, _, silent in absences.silent() if silent]


def test_one_service_that_stops_is_silent_while_another_reports() -> None:
    absences = Absences(60_000)
    _hear(absences, ("cart", "host"), 0, 600_000)
    _hear(absences, ("host",), 600_000, 720_000)
    assert _silent(absences) == []  # eight of at least ten intervals
    _hear(absences, ("host",), 720_000, 780_000)
    assert _silent(absences) == ["cart"]


def test_after_we_were_away_silence_counts_from_our_return() -> None:
    absences = Absences(60_000)
    _hear(absences, ("cart", "host"), 0, 600_000)
    # Tocsin was stopped for an hour; the host is heard first, the targets only some seconds later.
    _hear(absences, ("host",), 4_200_000, 4_290_000)
    assert _silent(absences) == []
    _hear(absences, ("host",), 4_290_000, 4_380_000)
    assert _silent(absences) == ["cart"]


def test_the_return_is_remembered_over_a_snapshot() -> None:
    before = Absences(60_000)
    _hear(before, ("cart", "host"), 0, 600_000)
    _hear(before, ("host",), 4_200_000, 4_215_000)
    after = Absences(60_000)
    after.load(before.save())
    assert after.silent() == before.silent()
    assert _silent(after) == []


def test_services_of_a_sender_that_has_stopped_are_not_missed_one_by_one() -> None:
    absences = Absences(60_000)
    for time_ms in range(0, 600_000, 15_000):
        absences.heard("cart", time_ms, "paris")
    _hear(absences, ("host",), 0, 630_000)
    absences.sender("paris", False, 630_000)
    _hear(absences, ("host",), 630_000, 900_000)
    assert _silent(absences) == []
    restored = Absences(60_000)
    restored.load(absences.save())
    for one in (absences, restored):
        one.sender("paris", True, 900_000)
        _hear(one, ("host",), 900_000, 960_000)
        assert _silent(one) == [], "it has as long as others to be heard again"
        _hear(one, ("host",), 960_000, 1_080_000)
        assert _silent(one) == ["cart"], "its sender is back, and it is not"


def test_a_snapshot_from_before_there_were_senders_loads() -> None:
    absences = Absences(60_000)
    _hear(absences, ("cart", "host"), 0, 600_000)
    saved = absences.save()
    for name in ("sender_of", "senders_down", "sender_back_ms"):
        del saved[name]
    after = Absences(60_000)
    after.load(saved)
    assert after.silent() == absences.silent()
