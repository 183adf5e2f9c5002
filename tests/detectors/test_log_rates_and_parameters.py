"""Kinds of log lines that flood, and numbers in them that leave their range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from detectors.logsettings import LogLineSettings
from detectors.position import Position
from tests.detectors.log_bench import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    START_MS,
    Line,
    LogBench,
    chatter,
    every,
)

RATES = LogLineSettings(expected=False, parameters=False, sequences=False)
NUMBERS = LogLineSettings(rates=False, expected=False, sequences=False)


def burst(begin: int, *, seconds: int = 180, severity: int = 9) -> list[Line]:
    return every(100, begin, begin + seconds * SECOND, "cart", "shard {n} rebalanced", severity)


USUAL = chatter(0, 2 * HOUR, "cart", mean_ms=500) + every(
    MINUTE, 0, 2 * HOUR, "cart", "shard 7 rebalanced"
)


def test_a_kind_that_floods_is_information() -> None:
    b = LogBench(RATES)
    b.feed(USUAL + burst(HOUR))
    (alert,) = b.firing("LogLineFlood")
    assert alert.severity == "info" and alert.starts_ms == START_MS + HOUR + 30 * SECOND
    assert alert.summary is not None
    assert alert.summary.text().startswith("cart writes “shard <*> rebalanced” at 10/s, usually 0.")
    (over,) = b.resolved("LogLineFlood")
    assert over.ends_ms is not None and over.ends_ms - START_MS - HOUR < 5 * MINUTE


def test_an_error_that_floods_is_a_warning() -> None:
    b = LogBench(RATES)
    b.feed(USUAL + burst(HOUR, severity=17))
    assert [alert.severity for alert in b.firing("LogLineFlood")] == ["warning"]


QUIET = [
    # One short burst does not last.
    burst(HOUR, seconds=25),
    # As large, and nothing is known of the service yet.
    burst(5 * MINUTE),
    # All of the service is busier.
    [line for seed in range(9) for line in chatter(HOUR, 2 * HOUR, "cart", seed=seed, mean_ms=500)]
    + [line for n in range(20) for line in every(MINUTE, HOUR + n, 2 * HOUR, "cart", "shard 7 rebalanced")],
    # The same words from another, busy service.
    [(at, "search", severity, text) for at, _, severity, text in burst(0, seconds=7200)],
]  # fmt: skip


@pytest.mark.parametrize("extra", QUIET)
def test_no_flood(extra: list[Line]) -> None:
    b = LogBench(RATES)
    b.feed(USUAL + extra)
    assert b.told == []


def test_a_nightly_burst_is_told_once() -> None:
    b = LogBench(RATES, batch_ms=10 * MINUTE)
    bursts = [line for day in range(3) for line in burst(day * DAY + 3 * HOUR)]
    b.feed(chatter(0, 3 * DAY, "cart", mean_ms=MINUTE) + bursts)
    assert [a.starts_ms // DAY for a in b.firing("LogLineFlood")] == [(START_MS + 3 * HOUR) // DAY]


def timed(
    begin: int, end: int, value: Callable[[np.random.Generator], str], *, every_ms: int = 1000
) -> list[Line]:
    rng = np.random.default_rng(9)
    return [(at, "cart", 9, f"read cart c{at} {value(rng)}") for at in range(begin, end, every_ms)]


def usual_ms(rng: np.random.Generator) -> str:
    return f"in {rng.lognormal(3.5, 0.5):.0f} ms"


def slow_ms(rng: np.random.Generator) -> str:
    return f"in {rng.lognormal(7.0, 0.3):.0f} ms"


def test_durations_far_above_what_is_usual_are_told_with_examples() -> None:
    b = LogBench(NUMBERS)
    b.feed(timed(0, HOUR, usual_ms) + timed(HOUR, HOUR + 10 * MINUTE, slow_ms))
    (alert,) = b.firing("ParameterOutOfRange")
    assert alert.severity == "warning" and alert.labels.get("parameter") == "in"
    assert alert.summary is not None and alert.evidence is not None
    assert (
        "100 % of the lines “read cart <*> in <*> ms” of cart have “in” out" in alert.summary.text()
    )
    seen = alert.evidence
    assert seen.unit == "seconds" and seen.value is not None and 0.7 < seen.value < 1.5
    assert seen.high is not None and 0.05 < seen.high < 0.3
    assert seen.lines and all(" ms" in line for line in seen.lines)
    assert alert.starts_ms - START_MS - HOUR <= 2 * MINUTE
    b.feed(timed(HOUR + 10 * MINUTE, 2 * HOUR, usual_ms))
    (over,) = b.resolved("ParameterOutOfRange")
    assert over.ends_ms is not None and over.ends_ms <= START_MS + HOUR + 14 * MINUTE


def test_a_slower_unit_is_the_same_number() -> None:
    b = LogBench(NUMBERS)
    b.feed(timed(0, HOUR, usual_ms) + timed(HOUR, HOUR + 10 * MINUTE, lambda _: "in 1.4 s"))
    assert len(b.firing("ParameterOutOfRange")) == 1


NOTHING = [
    # Numbers of what there always are more of.
    timed(0, HOUR, lambda rng: "for order 700000") + timed(HOUR, 2 * HOUR, lambda rng: "for order 99999999"),
    # One in ten is slow.
    timed(0, HOUR, usual_ms) + timed(HOUR, 2 * HOUR, lambda r: (slow_ms if r.random() < 0.1 else usual_ms)(r)),
    # Twice as slow.
    timed(0, HOUR, usual_ms) + timed(HOUR, 2 * HOUR, lambda r: f"in {r.lognormal(4.2, 0.5):.0f} ms"),
    # Too early to know.
    timed(0, 5 * MINUTE, usual_ms) + timed(5 * MINUTE, 9 * MINUTE, slow_ms),
    # One slow minute.
    timed(0, HOUR, usual_ms) + timed(HOUR, HOUR + 50 * SECOND, slow_ms) + timed(HOUR + 50 * SECOND, 2 * HOUR, usual_ms),
]  # fmt: skip


@pytest.mark.parametrize("lines", NOTHING)
def test_not_told(lines: list[Line]) -> None:
    b = LogBench(NUMBERS)
    b.feed(lines)
    assert b.told == []


def test_status_codes_are_shares() -> None:
    def status(bad: float) -> Callable[[np.random.Generator], str]:
        return lambda rng: f"status={503 if rng.random() < bad else 200}"

    b = LogBench(NUMBERS)
    b.feed(timed(0, HOUR, status(0.01)) + timed(HOUR, HOUR + 10 * MINUTE, status(0.4)))
    (alert,) = b.firing("ParameterOutOfRange")
    assert alert.severity == "warning" and alert.labels.get("parameter") == "status=5xx"
    calm = LogBench(NUMBERS)
    calm.feed(timed(0, HOUR, status(0.05)) + timed(HOUR, 2 * HOUR, status(0.12)))
    assert calm.told == []


def test_numbers_beside_the_message_of_a_structured_line_count_too() -> None:
    def line(ms: float) -> Callable[[np.random.Generator], str]:
        return lambda rng: (
            f'{{"msg":"request done","duration_ms":{ms * rng.lognormal(0, 0.3):.1f},"status":200,"port":8080}}'
        )

    b = LogBench(NUMBERS)
    lines = timed(0, HOUR, line(30)) + timed(HOUR, HOUR + 10 * MINUTE, line(900))
    b.feed(
        [(at, service, severity, text[text.index("{") :]) for at, service, severity, text in lines]
    )
    (alert,) = b.firing("ParameterOutOfRange")
    assert alert.labels.get("parameter") == "duration_ms" and alert.evidence is not None
    assert alert.evidence.lines[0].startswith("request done duration_ms=")
    assert alert.evidence.value is not None and 0.5 < alert.evidence.value < 1.5


def test_what_lasts_for_hours_becomes_usual() -> None:
    b = LogBench(NUMBERS)
    b.feed(timed(0, HOUR, usual_ms) + timed(HOUR, 4 * HOUR, slow_ms))
    assert len(b.firing("ParameterOutOfRange")) == len(b.resolved("ParameterOutOfRange")) == 1


def test_killed_after_every_batch_it_tells_the_same() -> None:
    told = []
    lines = timed(0, HOUR, usual_ms) + timed(HOUR, HOUR + 10 * MINUTE, slow_ms) + burst(HOUR)
    for kill in (False, True):
        b = LogBench(LogLineSettings())
        b.feed(lines, kill=kill)
        told.append(b.encoded())
    assert told[0] == told[1] and len(told[0]) > 4


def test_a16_everything_is_bounded() -> None:
    few = LogLineSettings(kinds_max=50, kinds_per_service_max=20, services_max=4, parameters_max=10)
    b = LogBench(few)
    words = ["".join(chr(97 + (n // 26**i) % 26) for i in range(5)) for n in range(3000)]
    for n, word in enumerate(words):
        b.feed(
            [(n * SECOND, f"s{n % 9}", 17, f"{word} {word[::-1]} took {n} ms for {word}_{n}000")]
        )
    found = b.engine.counters()
    assert (
        found["tocsin_detector_log_kinds"] <= 50 and found["tocsin_detector_log_parameters"] <= 10
    )
    assert found["tocsin_detector_log_kinds_refused_total"] > 100
    assert len(b.engine.save()) < 2_000_000


def test_a_restored_position_goes_on_as_the_first() -> None:
    rng, first = np.random.default_rng(2), Position("took", "duration", 0)
    for n in range(400):
        first.add(float(rng.lognormal()), "line")
        if n % 50 == 49:
            first.close(n * 20_000, accept_ms=HOUR)
    second = Position.restored(first.save(), first.counts)
    assert second.save() == first.save() and (second.low, second.high) == (first.low, first.high)
