"""Regular lines that stop: told where they are missed, and nowhere else."""

from __future__ import annotations

import numpy as np

from detectors.logsettings import LogLineSettings
from model.batch import MetricBatch
from model.labels import Labels
from tests.detectors.log_bench import DAY, HOUR, MINUTE, SECOND, START_MS, LogBench, chatter, every

NAME = "ExpectedLineMissing"
ONLY = LogLineSettings(rates=False, parameters=False, sequences=False)


def test_a_heartbeat_that_stops_is_told_and_ends_when_it_comes_again() -> None:
    b = LogBench(ONLY)
    b.feed(every(30 * SECOND, 0, 8 * HOUR, "cart", "heartbeat ok") + chatter(0, 8 * HOUR, "cart"))
    assert b.told == []
    b.feed(chatter(8 * HOUR, 9 * HOUR, "cart", seed=2))
    (alert,) = b.firing(NAME)
    assert alert.severity == "warning" and alert.service == "cart" and alert.signal == "logs"
    assert alert.summary is not None and alert.evidence is not None
    assert alert.summary.text().startswith("cart no longer writes “heartbeat ok”: the last was 1")
    assert alert.evidence.lines == ("heartbeat ok",)
    # Ten minutes, so that a restart or a stall makes nobody nervous.
    waited = alert.arrival_ms - (START_MS + 8 * HOUR)
    assert 9 * MINUTE <= waited <= 12 * MINUTE
    b.feed(every(30 * SECOND, 9 * HOUR, 9 * HOUR + MINUTE, "cart", "heartbeat ok"))
    (over,) = b.resolved(NAME)
    assert over.id == alert.id and over.ends_ms == START_MS + 9 * HOUR


def test_known_for_an_hour_only_it_is_information() -> None:
    b = LogBench(ONLY)
    b.feed(every(30 * SECOND, 0, HOUR, "cart", "heartbeat ok") + chatter(0, 2 * HOUR, "cart"))
    (alert,) = b.firing(NAME)
    assert alert.severity == "info"


def test_a_service_that_is_away_and_comes_back_misses_nothing() -> None:
    b = LogBench(ONLY)
    for begin, end in ((0, 8 * HOUR), (10 * HOUR, 12 * HOUR), (12 * HOUR + MINUTE, 13 * HOUR)):
        b.feed(every(30 * SECOND, begin, end, "cart", "heartbeat ok") + chatter(begin, end, "cart"))
    assert b.told == []


def test_lines_at_random_and_bursts_are_not_regular() -> None:
    b = LogBench(ONLY)
    b.feed(chatter(0, 9 * HOUR, "cart", seed=3) + chatter(0, 12 * HOUR, "cart", seed=4)[::5])
    rows = [
        (at + n * 200, "cart", 9, "row imported")
        for at in range(0, 8 * HOUR, HOUR)
        for n in range(900)
    ]
    b.feed(
        [(at + 12 * HOUR, name, level, text) for at, name, level, text in rows]
        + chatter(12 * HOUR, 22 * HOUR, "cart")
    )
    assert b.told == []


def test_new_words_for_the_same_thing_are_no_loss() -> None:
    b = LogBench(ONLY)
    b.feed(every(MINUTE, 0, 8 * HOUR, "cart", "heartbeat ok") + chatter(0, 12 * HOUR, "cart"))
    late = LogBench(ONLY)
    late.feed(
        every(MINUTE, 0, 8 * HOUR, "cart", "heartbeat ok")
        + every(MINUTE, 8 * HOUR, 12 * HOUR, "cart", "alive and well")
        + chatter(0, 12 * HOUR, "cart")
    )
    assert [len(each.firing(NAME)) for each in (b, late)] == [1, 0]


def test_a_template_that_becomes_another_is_not_missed() -> None:
    b = LogBench(ONLY)
    # Each name's own template at first; with the fifth they are one.
    names = ["ann"] * 300 + ["bob", "cy", "dan", "eve", "fay"] * 60
    beats = every(MINUTE, 0, 600 * MINUTE, "cart", "session of user {n} checked")
    lines = [(at, s, v, m.replace(str(n), names[n])) for n, (at, s, v, m) in enumerate(beats)]
    b.feed(lines + chatter(0, 10 * HOUR, "cart"))
    assert b.told == []


def test_that_warnings_stop_is_good_news() -> None:
    b = LogBench(ONLY)
    retry = every(MINUTE, 0, 8 * HOUR, "cart", "still cannot reach the broker", severity=13)
    b.feed(retry + chatter(0, 12 * HOUR, "cart"))
    assert b.told == []


def nightly(days: list[int], seed: int = 5) -> list[tuple[int, str, int, str]]:
    rng = np.random.default_rng(seed)
    spread = rng.integers(0, 8 * MINUTE, len(days))
    return [
        (day * DAY + 3 * HOUR + int(s), "db", 9, "backup finished")
        for day, s in zip(days, spread, strict=True)
    ]


def test_a_nightly_job_is_missed_the_night_it_does_not_end() -> None:
    b = LogBench(ONLY, batch_ms=5 * MINUTE)
    b.feed(nightly(list(range(10))) + chatter(0, 10 * DAY, "db", mean_ms=5 * MINUTE))
    assert b.told == []
    b.feed(chatter(10 * DAY, 11 * DAY, "db", mean_ms=5 * MINUTE))
    (alert,) = b.firing(NAME)
    assert alert.severity == "warning"
    assert 2 * HOUR < alert.arrival_ms - (START_MS + 10 * DAY + 3 * HOUR) < 4 * HOUR


def test_a_job_of_weekdays_is_not_missed_on_sunday() -> None:
    b = LogBench(ONLY, batch_ms=10 * MINUTE)
    days = [day for day in range(35) if day % 7 < 5]
    b.feed(nightly(days) + chatter(0, 35 * DAY, "db", mean_ms=10 * MINUTE))
    assert b.told == []


def test_many_that_stop_at_once_are_one_alert_and_information() -> None:
    b = LogBench(ONLY)
    words = "ledger index cache queue mirror search basket".split()
    beats = [
        line for word in words for line in every(MINUTE, 0, 8 * HOUR, "cart", f"{word} checked")
    ]
    b.feed(beats + chatter(0, 9 * HOUR, "cart"))
    (alert,) = b.firing(NAME)
    assert alert.severity == "info" and alert.summary is not None
    assert alert.summary.text().startswith("7 regular lines of cart have stopped")


def test_what_was_done_away_with_becomes_normal() -> None:
    b = LogBench(ONLY, batch_ms=5 * MINUTE)
    b.feed(every(MINUTE, 0, 8 * HOUR, "cart", "heartbeat ok") + chatter(0, 34 * HOUR, "cart"))
    (over,) = b.resolved(NAME)
    assert over.summary is not None and "counts as normal now" in over.summary.text()


def test_killed_after_every_batch_it_tells_the_same() -> None:
    told = []
    lines = every(30 * SECOND, 0, 2 * HOUR, "cart", "heartbeat ok") + chatter(0, 3 * HOUR, "cart")
    lines += every(30 * SECOND, 3 * HOUR, 3 * HOUR + MINUTE, "cart", "heartbeat ok")
    for kill in (False, True):
        b = LogBench(ONLY, batch_ms=5 * MINUTE)
        b.feed(lines, kill=kill)
        told.append(b.encoded())
    assert told[0] == told[1] and len(told[0]) > 1


def test_tocsin_itself_away_for_hours_misses_nothing() -> None:
    b = LogBench(ONLY)
    lines = every(30 * SECOND, 0, 20 * HOUR, "cart", "heartbeat ok") + chatter(0, 20 * HOUR, "cart")
    b.feed([line for line in lines if line[0] < 8 * HOUR])
    b.restart()
    # Time has passed, and nothing of it has been read yet.
    b.step(START_MS + 14 * HOUR)
    b.step(START_MS + 14 * HOUR + 20 * SECOND)
    b.feed([line for line in lines if line[0] >= 14 * HOUR])
    assert b.told == []


def served(b: LogBench, begin: int, end: int, beats_until: int) -> None:
    """Requests are counted all the while; the only lines are heartbeats."""
    counter = Labels.of({"__name__": "http_requests_total", "service": "cart", "code": "200"})
    for at in range(begin, end, 30 * SECOND):
        row, now_ms = b.index.intern(counter), START_MS + at
        batch = MetricBatch.of([row], now_ms, [at / 100], arrival_ms=now_ms)
        b.told += b.engine.take(batch, now_ms=now_ms)
        if at % MINUTE == 0 and at < beats_until:
            b.feed([(at, "cart", 9, "heartbeat ok")])
        b.step(now_ms)


def test_the_only_line_of_a_service_is_missed_while_its_metrics_come() -> None:
    told = []
    for reporting in (True, False):
        b = LogBench(ONLY, batch_ms=SECOND)
        served(b, 0, 2 * HOUR, beats_until=2 * HOUR)
        assert b.told == []
        if reporting:
            served(b, 2 * HOUR, 3 * HOUR, beats_until=0)
        else:
            b.step(START_MS + 3 * HOUR)
        told.append(len(b.firing(NAME)))
    assert told == [1, 0]
