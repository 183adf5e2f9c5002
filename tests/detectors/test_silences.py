"""Whose metrics are of unknown meaning is missed, too, once it has reported without a pause for long enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.owners import Owners
from detectors.settings import DetectorSettings
from detectors.snapshot import pack, unpack
from model.alert import Alert, Severity
from model.batch import MetricBatch
from model.labels import Labels
from model.reason import Reason
from model.series import SENDER, SeriesIndex

START_MS = 1_800_000_000_000
STEP_MS = 300_000
HOUR, DAY = 12, 288  # steps

Reports = Callable[[int], bool]


def always(_: int) -> bool:
    return True


class Site:
    """Services and hosts that report a gauge each, every five minutes, while they do."""

    def __init__(self) -> None:
        self.index = SeriesIndex()
        self.engine = Engine(DetectorSettings(), self.index)
        self.at = 0

    def series(self, name: str, source: str = "", **labels: str) -> int:
        return self.index.intern(Labels.of({"__name__": name, **labels}), source=source)

    def run(self, steps: int, reports: Mapping[str, Reports], source: str = "", up: float = np.nan) -> list[Alert]:  # fmt: skip
        told: list[Alert] = []
        for _ in range(steps):
            self.at += 1
            now_ms = START_MS + self.at * STEP_MS
            rows = [
                self.series("depth", source or service, service=service)
                for service, on in reports.items() if on(self.at)
            ]  # fmt: skip
            values = [10.0 + row + self.at % 7 for row in rows]
            if np.isfinite(up):
                rows.append(self.series("up", source or "cart", service="cart", job="cart"))
                values.append(up)
            if rows:
                batch = MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms)
                told += self.engine.take(batch, now_ms=now_ms)
            told += self.engine.step(now_ms)
            if self.at % 3 == 0:
                self.index.touch(np.array(rows, dtype=np.int32), now_ms)
                self.index.evict_stale(now_ms - 4_500_000)
        return told


def absent(told: list[Alert]) -> list[tuple[str, str, bool]]:
    found = [a for a in told if a.name == "MetricAbsent"]
    kept = {(a.service, a.severity.value, a.firing): None for a in found}
    return list(kept)


def before(step: int) -> Reports:
    return lambda at: at < step


BOTH = {"cart": always, "host": always}


def test_a_service_of_unknown_metrics_is_missed_after_a_day_and_heard_again() -> None:
    site = Site()
    assert absent(site.run(DAY + 20, BOTH)) == []
    assert absent(site.run(9, {"host": always})) == []  # nine intervals
    told = site.run(4, {"host": always})
    assert absent(told) == [("cart", "info", True)]
    summary = told[0].summary
    assert isinstance(summary, Reason)
    assert summary.text().startswith("no metric of cart comes any more; for 1d")
    assert told[0].starts_ms == START_MS + (DAY + 20) * STEP_MS
    assert absent(site.run(30, {"host": always})) == [
        ("cart", "info", True)
    ]  # its rows are evicted
    assert absent(site.run(2, BOTH)) == [("cart", "info", False)]


def test_it_is_a_warning_after_each_day_of_a_week() -> None:
    site = Site()
    site.run(8 * DAY + 20, BOTH)
    assert absent(site.run(15, {"host": always})) == [("cart", Severity.WARNING.value, True)]


@pytest.mark.parametrize(
    "reports",
    [
        lambda at: at % HOUR < 3,  # a quarter of each hour
        lambda at: at % DAY < 3 * HOUR,  # each night
        lambda at: at < 20 * HOUR,  # it lived for less than a day
    ],
)
def test_what_pauses_or_lives_for_a_day_only_is_never_missed(reports: Reports) -> None:
    site = Site()
    assert absent(site.run(4 * DAY, {"job": reports, "host": always})) == []


def test_what_rests_at_weekends_is_told_once_as_information() -> None:
    site = Site()
    week = {"office": lambda at: at % (7 * DAY) < 5 * DAY, "host": always}
    assert absent(site.run(7 * DAY + 2, week)) == [("office", "info", True), ("office", "info", False)]  # fmt: skip
    assert absent(site.run(14 * DAY, week)) == []


def test_an_hourly_report_is_missed_after_ten() -> None:
    site = Site()
    hourly: dict[str, Reports] = {"job": lambda at: at % HOUR == 0, "host": always}
    assert absent(site.run(2 * DAY, hourly)) == []
    assert absent(site.run(9 * HOUR, {"host": always})) == []
    assert absent(site.run(3 * HOUR, {"host": always})) == [("job", "info", True)]


def test_pods_that_come_and_go_leave_their_service() -> None:
    site, told = Site(), list[Alert]()
    for hour in range(36):
        pods = {f"pod-{hour}-{n}" for n in range(10)}
        for _ in range(HOUR):
            site.at += 1
            now_ms = START_MS + site.at * STEP_MS
            rows = [site.series("depth", pod, service="cart", instance=pod) for pod in pods]
            rows += [site.series("runs", run, job=f"run-{hour}") for run in ("a",)]
            batch = MetricBatch.of(rows, now_ms, [1.0] * len(rows), arrival_ms=now_ms)
            told += site.engine.take(batch, now_ms=now_ms) + site.engine.step(now_ms)
        site.index.evict_stale(now_ms - 3_600_000)
    assert absent(told) == []
    assert site.engine.counters()["tocsin_detector_owners"] <= 5  # runs of an hour are forgotten


def test_where_the_target_is_down_that_is_told_and_nothing_else() -> None:
    site = Site()
    site.run(DAY + 20, BOTH, up=1.0)
    told = site.run(40, {"host": always}, up=0.0)
    assert {a.name for a in told} == {"ServiceDown"} and absent(told) == []
    assert absent(site.run(20, BOTH, up=1.0)) == []
    # The target answers, and what it answered with is gone.
    assert absent(site.run(14, {"host": always}, up=1.0)) == [("cart", "info", True)]


def test_our_own_absence_is_nobody_s() -> None:
    site = Site()
    site.run(DAY + 20, BOTH)
    site.at += DAY
    assert absent(site.run(9, {"host": always})) == []
    assert absent(site.run(5, {"host": always})) == [("cart", "info", True)]


def test_all_that_one_source_brought_is_told_by_its_own_health() -> None:
    site = Site()
    many = {**{f"s{n}": always for n in range(5)}}
    for _ in range(DAY + 20):
        site.run(1, many, source="poll")
        site.at -= 1
        site.run(1, {"host": always})
    assert absent(site.run(40, {"host": always})) == []


def test_a_sender_that_is_down_is_missed_and_not_its_service() -> None:
    site = Site()
    sender = {"__name__": "up", "job": "remote_write", "instance": "paris", "service": "paris"}
    row = site.index.intern(Labels.of(sender), source=SENDER + "paris")

    def run(steps: int, on: bool) -> list[Alert]:
        told: list[Alert] = []
        for _ in range(steps):
            told += site.run(1, {"cart": always} if on else {}, source="paris")
            site.at -= 1
            told += site.run(1, {"host": always})
            now_ms = START_MS + site.at * STEP_MS + 1
            site.index.touch(np.array([row]), now_ms)
            batch = MetricBatch.of([row], now_ms, [float(on)], arrival_ms=now_ms)
            told += site.engine.take(batch, now_ms=now_ms) + site.engine.step(now_ms)
        return told

    run(DAY + 20, True)
    told = run(40, False)
    assert absent(told) == [] and {a.service for a in told} == {"paris"}


def test_a_host_without_a_service_is_missed_by_its_instance() -> None:
    site = Site()
    told: list[Alert] = []
    for at in range(DAY + 40):
        site.at += 1
        now_ms = START_MS + site.at * STEP_MS
        rows = [site.series("temperature", host, instance=host) for host in ("a", "b")]
        rows = rows if at < DAY + 20 else rows[:1]
        batch = MetricBatch.of(rows, now_ms, [1.0] * len(rows), arrival_ms=now_ms)
        told += site.engine.take(batch, now_ms=now_ms) + site.engine.step(now_ms)
    assert absent(told) == [("b", "info", True)]


def test_gone_for_a_week_is_gone() -> None:
    site = Site()
    site.run(DAY + 20, BOTH)
    told = site.run(7 * DAY + 30, {"host": always})
    assert absent(told) == [("cart", "info", True), ("cart", "info", False)]
    assert site.engine.counters()["tocsin_detector_owners"] == 1


def test_state_is_restored_and_without_any_it_learns_anew() -> None:
    site = Site()
    site.run(DAY + 20, BOTH)
    saved, index, at = site.engine.save(), site.index.save(), site.at
    plain = site.run(14, {"host": always})
    arrays, state = unpack(saved)
    del state["watchers"]["silences"]
    older = {name: a for name, a in arrays.items() if not name.startswith("silences.")}
    for data, wanted in ((saved, plain), (pack(older, state), [])):
        after = Site()
        after.index.load(index)
        after.engine = Engine(DetectorSettings(), after.index)
        after.engine.load(data)
        after.at = at
        assert after.run(14, {"host": always}) == wanted


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(("meet", "drop", "forget", "save"))), max_size=60))  # fmt: skip
def test_owners_keep_numbers_as_a_dictionary_would(steps: list[tuple[int, str]]) -> None:
    index, owners = SeriesIndex(), Owners(owners_max=5)
    naive: dict[str, int] = {}
    for which, what in steps:
        name = f"s{which}"
        row = index.intern(Labels.of({"__name__": "x", "service": name}), source=f"from-{name}")
        if what == "meet":
            got = int(owners.of(index, np.array([row]))[0])
            if name in naive or len(naive) < 5:
                assert naive.setdefault(name, got) == got and owners.name(got) == name
                assert owners.source(got) == f"from-{name}"
            elif got >= 0:
                raise AssertionError("beyond its limit")
        elif what == "drop" and name in naive:
            owners.drop(naive.pop(name))
        elif what == "forget":
            owners.forget(np.array([row]))
        elif what == "save":
            arrays, state = owners.save(index.capacity)
            owners = Owners(owners_max=5)
            if arrays:
                owners.load(arrays, state)
        assert dict(owners.items()) == naive and len(set(naive.values())) == len(naive)
