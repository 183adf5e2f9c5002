"""Odd identifiers, live: one alert a group, information or a warning."""

from __future__ import annotations

from detectors.courses import Courses
from detectors.logsettings import LogLineSettings
from detectors.sequences import SequenceSettings
from tests.detectors.log_bench import HOUR, MINUTE, SECOND, START_MS, Line, LogBench

ONLY = LogLineSettings(rates=False, expected=False, parameters=False)
NAME = "OddSequences"


def jobs(
    begin: int, end: int, *, without: int = 0, also: str = "", severity: int = 9
) -> list[Line]:
    """A job a second; every `without`th lacks its last line, or has another one beside."""
    lines = []
    for n, at in enumerate(range(begin, end, SECOND)):
        name = f"job_{100_000 + at // SECOND}"
        lines += [
            (at, "works", 9, f"{name} was accepted"),
            (at + 200, "works", 9, f"work on {name} goes on"),
        ]
        odd = bool(without) and n % without == 0
        if odd and also:
            lines.append((at + 300, "works", severity, f"{also} {name}"))
        if not odd or also:
            lines.append((at + 400, "works", 9, f"result of {name} stored"))
    return lines


def test_one_without_its_end_is_information() -> None:
    b = LogBench(ONLY)
    b.feed(jobs(0, HOUR) + jobs(HOUR, HOUR + SECOND, without=1) + jobs(HOUR + SECOND, 2 * HOUR))
    (alert,) = b.firing(NAME)
    assert alert.severity == "info" and alert.service == "works"
    assert alert.summary is not None and alert.evidence is not None
    said = "works: 1 “job” ended in 10m without “result of <*> stored”, which 100 % of those like them have"
    assert alert.summary.text() == said
    assert alert.evidence.component == "missing"
    assert alert.evidence.lines == ("work on job_103600 goes on",)
    (over,) = b.resolved(NAME)
    assert over.ends_ms is not None and over.ends_ms - START_MS <= HOUR + 11 * MINUTE


def test_a_storm_is_one_warning() -> None:
    b = LogBench(ONLY)
    b.feed(
        jobs(0, 2 * HOUR)
        + jobs(2 * HOUR, 2 * HOUR + 20 * MINUTE, without=3)
        + jobs(2 * HOUR + 20 * MINUTE, 4 * HOUR)
    )
    warnings = [alert for alert in b.firing(NAME) if alert.severity == "warning"]
    assert len(warnings) == 1 and len(b.firing(NAME)) <= 2
    last = [alert for alert in b.told if alert.severity == "warning"][-1]
    assert last.evidence is not None and last.evidence.value is not None
    assert last.evidence.value > 50 and len(last.evidence.lines) == 5
    assert last.evidence.once_in_ms > 30 * 86_400_000
    assert not last.firing


def test_a_warning_that_few_meet() -> None:
    told = []
    for severity in (9, 17):
        b = LogBench(ONLY)
        odd = jobs(
            3 * HOUR, 3 * HOUR + 20 * MINUTE, without=20, also="had to retry", severity=severity
        )
        b.feed(jobs(0, 3 * HOUR) + odd + jobs(3 * HOUR + 20 * MINUTE, 4 * HOUR))
        told.append(
            {
                (alert.severity.value, alert.evidence.component)
                for alert in b.firing(NAME)
                if alert.evidence
            }
        )
    # New words at severity info are a new release until somebody says otherwise.
    assert told == [{("info", "rare")}, {("info", "rare"), ("warning", "rare")}]


def test_a_release_that_words_its_lines_otherwise_is_no_trouble() -> None:
    b = LogBench(ONLY)
    new = [
        (at, s, v, m.replace("result of", "outcome for"))
        for at, s, v, m in jobs(2 * HOUR, 4 * HOUR)
    ]
    b.feed(jobs(0, 2 * HOUR) + new)
    assert [alert for alert in b.firing(NAME) if alert.severity != "info"] == []


def test_usual_courses_are_not_told() -> None:
    b = LogBench(ONLY)
    b.feed(jobs(0, 3 * HOUR))
    assert b.told == []


def test_killed_after_every_batch_it_tells_the_same() -> None:
    told = []
    lines = (
        jobs(0, HOUR)
        + jobs(HOUR, HOUR + 5 * MINUTE, without=4)
        + jobs(HOUR + 5 * MINUTE, 90 * MINUTE)
    )
    for kill in (False, True):
        b = LogBench(ONLY, batch_ms=2 * MINUTE)
        b.feed(lines, kill=kill)
        told.append(b.encoded())
    assert told[0] == told[1] and len(told[0]) > 1


def test_what_waits_comes_to_rest_when_no_line_comes_any_more() -> None:
    b = LogBench(ONLY)
    b.feed(jobs(0, HOUR) + jobs(HOUR, HOUR + SECOND, without=1))
    assert b.told == []
    for minute in range(15):
        b.step(START_MS + HOUR + minute * MINUTE)
    assert len(b.firing(NAME)) == 1


def test_a16_groups_are_bounded() -> None:
    b = LogBench(ONLY)
    few = LogLineSettings(groups_max=3)
    (mine,) = [w for w in b.engine._watchers if isinstance(w, Courses)]
    bounded = Courses(
        mine._judge,
        mine._kinds,
        few,
        SequenceSettings(known_min=20, companions_min=20, memory=200, idle_ms=5_000),
    )
    b.engine._watchers = (mine._kinds, bounded)
    words = ["".join(chr(97 + (n // 26**i) % 26) for i in range(4)) for n in range(400)]
    odd = [
        line
        for n in range(60)
        for line in jobs(
            600_000 + n * 20_000, 600_000 + n * 20_000 + 20_000, without=20, also=words[n] + " hit"
        )
    ]
    b.feed(jobs(0, 600_000) + odd)
    assert bounded.counters()["tocsin_detector_sequences_refused_total"] > 0
    assert len(bounded.save()[1]["groups"]) <= 3
