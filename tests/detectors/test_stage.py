"""Rules of the stage, one by one: what lasts, what ends, what is taken over, what is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from detectors.alerting import Alerting, Entry, Lasting
from detectors.classify import classify
from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.metrics import METRICS
from detectors.roles import Kind
from detectors.settings import DetectorSettings, ThresholdRule
from model.alert import Alert, Severity
from model.batch import LogBatch, MetricBatch
from model.labels import Labels, Matcher
from model.series import SeriesIndex
from model.slo import Objective

START_MS = 1_800_000_000_000


@dataclass
class Bench:
    """An engine fed one series at a time."""

    engine: Engine
    index: SeriesIndex
    now_ms: int = START_MS

    def feed(self, labels: dict[str, str], *values: float, every_ms: int = 1_000) -> list[Alert]:
        row = self.index.intern(Labels.of(labels))
        told = []
        for value in values:
            self.now_ms += every_ms
            batch = MetricBatch.of([row], self.now_ms, [value], arrival_ms=self.now_ms)
            told += self.engine.take(batch, now_ms=self.now_ms) + self.engine.step(self.now_ms)
        return told

    def log(self, text: str, count: int, severity: int = 17, every_ms: int = 1_000) -> list[Alert]:
        told = []
        for _ in range(count):
            self.now_ms += every_ms
            batch = LogBatch(
                np.array([self.now_ms]), np.array([crc32(text.encode()) % 1000], dtype=np.int32),
                np.array([severity], dtype=np.int8), ("shop",), (text,),
                {crc32(text.encode()) % 1000: text}, self.now_ms, "f",
            )  # fmt: skip
            told += self.engine.take(batch, now_ms=self.now_ms) + self.engine.step(self.now_ms)
        return told


def bench(rules: tuple[ThresholdRule, ...] = (), **settings: Any) -> Bench:
    index = SeriesIndex()
    return Bench(Engine(DetectorSettings(**settings), index, rules), index)


UP = {"__name__": "up", "job": "shop", "service": "cart", "instance": "cart:80"}


def test_down_is_told_after_four_seconds_and_ends_once_it_stays_up() -> None:
    b = bench()
    assert b.feed(UP, *[1] * 10, *[0] * 4) == []
    (alert,) = b.feed(UP, 0)
    assert dict(alert.labels) == {
        "alertname": "ServiceDown",
        "instance": "cart:80",
        "metric": "up",
        "service": "cart",
        "severity": "critical",
        "signal": "availability",
    }
    assert alert.starts_ms == START_MS + 11_000 and alert.source == "detector"
    assert alert.summary is not None and alert.summary.text() == "cart does not answer scrapes"
    assert b.feed(UP, *[1] * 8) == []
    (over,) = b.feed(UP, 1)
    # It ended when it was first up again, and it is the same alert.
    assert (over.key, over.ends_ms) == (alert.key, START_MS + 16_000)


def test_a_missed_scrape_or_three_are_not_down() -> None:
    assert bench().feed(UP, *[1] * 10, 0, 0, 0, 1, 0, 0, 0, 1) == []


def test_what_was_never_up_gets_a_minute() -> None:
    assert bench().feed(UP, *[0] * 60) == []
    assert [a.name for a in bench().feed(UP, *[0] * 66)] == ["ServiceDown"]


def test_a_firing_alert_is_told_again_with_fresh_evidence() -> None:
    told = bench().feed(UP, *[1] * 10, *[0] * 26)
    assert [a.arrival_ms - told[0].arrival_ms for a in told] == [0, 10_000, 20_000]
    assert len({a.id for a in told}) == 1
    assert told[-1].evidence is not None and told[0].evidence is not None
    assert len(told[-1].evidence.values) > len(told[0].evidence.values)


def test_a_series_that_ends_while_firing_resolves() -> None:
    b = bench()
    b.feed(UP, *[1] * 10, *[0] * 6)
    b.now_ms += 31_000
    (over,) = b.engine.step(b.now_ms)
    assert over.ends_ms is not None and over.summary is not None
    assert over.summary.text() == "its series no longer reports"


def test_adopted_alerts_are_seen_again_or_end_with_the_grace() -> None:
    first = bench()
    (alert,) = first.feed(UP, *[1] * 10, *[0] * 5)
    old = replace(alert, starts_ms=START_MS - 500_000)
    gone = replace(alert, labels=alert.labels.with_(service="gone"))
    foreign = replace(alert, source="pushed")
    b = bench()
    b.engine.adopt([old, gone, foreign])
    told = b.feed(UP, 1, *[0] * 70)
    assert {a.id for a in told if a.firing} == {old.id}  # it goes on as the same occurrence
    (over,) = [a for a in told if not a.firing]
    assert over.key == gone.key and over.arrival_ms >= START_MS + 60_000


def test_the_severity_of_a_firing_alert_stays() -> None:
    alerting = Alerting(update_interval_ms=0, adopt_grace_ms=0, alerts_max=1)
    base = Alert(Labels.of({"alertname": "A", "severity": "warning"}), "detector", 0, 0)
    for at in range(3):
        worse = Labels.of({"alertname": "A", "severity": "critical" if at else "warning"})

        def described(entry: Entry, labels: Labels = worse) -> Alert:
            return replace(base, labels=labels, starts_ms=entry.since_ms)

        alerting.abnormal(
            ("m", 1), at, now_ms=at, lasting=Lasting(0, 1, 0), peak=0.0,
            describe=described,
        )  # fmt: skip
    assert {a.severity for a in alerting.drain()} == {Severity.WARNING}
    # A limit: the second one is refused and counted.
    alerting.abnormal(
        ("m", 2), 9, now_ms=9, lasting=Lasting(0, 1, 0), peak=0.0, describe=lambda entry: base
    )
    assert (alerting.drain(), alerting.refused) == ([], 1)


def test_a23_a_series_with_as_many_labels_as_are_allowed_gets_its_alert() -> None:
    ours = Labels.of({"team": "post", **{f"own{n}": "x" for n in range(10)}})
    rule = ThresholdRule("Deep", (Matcher.parse("__name__=depth"),), ">", 1.0, labels=ours)
    many = {"__name__": "depth", "job": "post", **{f"l{n:02}": "x" for n in range(62)}}
    (alert,) = bench((rule,)).feed(many, 5, 5)[:1]
    assert len(alert.labels) == 64 and {*ours.items()} <= {*alert.labels.items()}
    assert (alert.name, alert.labels["service"], alert.labels["l00"]) == ("Deep", "post", "x")


def test_a_threshold_rule_has_its_own_for_and_labels() -> None:
    rule = ThresholdRule(
        "QueueDeep",
        (Matcher.parse("__name__=queue_depth"), Matcher.parse("queue=~mail|sms")),
        ">",
        100.0,
        for_ms=2_000,
        severity=Severity.CRITICAL,
        labels=Labels.of({"team": "post"}),
        annotations=Labels.of({"runbook_url": "docs/queue"}),
    )
    b = bench((rule,))
    mail = {"__name__": "queue_depth", "queue": "mail", "job": "post"}
    assert b.feed({**mail, "queue": "other"}, *[500] * 5) == []
    assert b.feed(mail, 101, 101, 100, 101, 101) == []
    (alert,) = b.feed(mail, 101)
    assert alert.source == "rule" and alert.annotations == rule.annotations
    assert str(alert.labels) == (
        '{alertname="QueueDeep", job="post", metric="queue_depth", queue="mail", service="post", '
        'severity="critical", signal="level", team="post"}'
    )
    (over,) = b.feed(mail, 99)
    assert over.key == alert.key and not over.firing
    with pytest.raises(ValueError, match="op must be"):
        replace(rule, op="~")


def test_a_new_level_is_accepted_after_long() -> None:
    gauge = {"__name__": "pool_size", "job": "x"}
    b = bench(accept_after_ms=1_000_000, accept_after_samples=200)
    rng = np.random.default_rng(3)
    assert b.feed(gauge, *(10 + rng.normal(0, 0.1, 300))) == []
    told = b.feed(gauge, *(50 + rng.normal(0, 0.1, 1_100)))
    assert {(a.name, a.severity) for a in told} == {("LevelShift", Severity.INFO)}
    (over,) = [a for a in told if not a.firing]
    assert over.summary is not None and "counts as normal now" in over.summary.text()
    # The old level is now what is unusual.
    assert [a.firing for a in b.feed(gauge, *(10 + rng.normal(0, 0.1, 700)))][0]


def test_a_long_outage_stays_one() -> None:
    b = bench()
    gauge = {"__name__": "pool_size", "job": "x"}
    rng = np.random.default_rng(3)
    b.feed(gauge, *(10 + rng.normal(0, 0.1, 300)))
    told = b.feed(gauge, *(50 + rng.normal(0, 0.1, 3_000)))
    assert told and all(a.firing for a in told)


def test_error_templates_are_learnt_first_and_told_when_they_come_fast() -> None:
    b = bench()
    b.log("known failure", 20)
    b.log("served", 120, severity=9)
    assert b.log("known failure", 3) == []
    # Four lines, or five that come slowly, are nothing.
    assert b.log("rare failure", 4) == []
    assert b.log("slow failure", 6, every_ms=4_000) == []
    told = b.log("broken index 17", 5)
    assert [a.name for a in told] == ["NewErrorTemplate"]
    assert told[0].evidence is not None and told[0].evidence.lines == ("broken index 17",) * 5
    assert told[0].labels["template"] == "broken index 17" and told[0].severity is Severity.WARNING
    b.now_ms += 13_000
    assert [(a.name, a.firing) for a in b.engine.step(b.now_ms)] == [("NewErrorTemplate", False)]
    # Now it is known, whatever its number in it.
    assert b.log("broken index 18", 5) == []


def test_a_fatal_template_is_told_at_once() -> None:
    b = bench()
    b.log("served", 120, severity=9)
    (alert,) = b.log("out of memory", 1, severity=21)
    assert alert.severity is Severity.CRITICAL


def test_a_service_that_falls_silent_is_told_only_while_others_are_heard() -> None:
    def cpu(service: str) -> dict[str, str]:
        return {"__name__": "process_cpu_seconds_total", "service": service}

    b = bench()
    for n in range(40):
        b.feed(cpu("a"), n * 0.1)
        b.feed(cpu("b"), n * 0.1)
    told = b.feed(cpu("a"), *[4 + n * 0.1 for n in range(70)])
    assert [(a.name, a.service) for a in told if a.firing][:1] == [("MetricAbsent", "b")]
    assert [a.firing for a in b.feed(cpu("b"), 5.0, 5.1, 5.2, 5.3, 5.4, 5.5)] == [False]
    b.now_ms += 600_000  # all silent: the fault is ours
    assert [a for a in b.engine.step(b.now_ms) if a.firing] == []


@pytest.mark.parametrize(
    "labels, kind, family",
    [
        ({"__name__": "http_requests_total", "code": "200"}, Kind.INPUT, "requests"),
        ({"__name__": "grpc_server_handled_total", "grpc_code": "OK"}, Kind.INPUT, "requests"),
        # What a service calls is counted by what it calls.
        ({"__name__": "client_requests_total", "code": "503"}, Kind.COUNTER, ""),
        ({"__name__": "http_request_duration_seconds_bucket", "le": "1"}, Kind.INPUT, "latency"),
        ({"__name__": "http_request_duration_seconds_sum"}, Kind.IGNORED, ""),
        ({"__name__": "client_request_duration_seconds_bucket", "le": "1"}, Kind.IGNORED, ""),
        ({"__name__": "process_start_time_seconds"}, Kind.IGNORED, ""),
        ({"__name__": "node_cpu_seconds_total", "mode": "idle"}, Kind.INPUT, "host_cpu"),
        ({"__name__": "node_network_receive_bytes_total"}, Kind.COUNTER, "quiet"),
        ({"__name__": "tocsin_scrapes_total"}, Kind.COUNTER, "quiet"),
        ({"__name__": "process_cpu_seconds_total", "job": "tocsin"}, Kind.COUNTER, "quiet"),
        ({"__name__": "queue_depth"}, Kind.GAUGE, ""),
    ],
)
def test_classify(labels: dict[str, str], kind: Kind, family: str) -> None:
    found = classify(Labels.of(labels), "unknown")
    assert (found.kind, found.family) == (kind, family)


def test_counters_are_the_declared_metrics() -> None:
    index = SeriesIndex()
    knowledge = Knowledge(slos=(Objective("cart"),))
    b = Bench(Engine(DetectorSettings(), index, (), knowledge), index)
    requests = {"__name__": "http_requests_total", "service": "cart", "code": "200"}
    b.feed(requests, *[100.0 * n for n in range(120)])
    assert {name.partition("{")[0] for name in b.engine.counters()} == METRICS.keys()


def test_band_of_a_derived_series() -> None:
    b = bench()
    cpu = {"__name__": "process_cpu_seconds_total", "job": "shop", "instance": "a"}
    b.feed(cpu, *[n * 0.1 for n in range(60)])
    found = b.engine.band(Labels.of({**cpu, "__name__": "cpu_cores"}))
    assert found is not None and found.unit == "cores" and found.value == pytest.approx(0.1)
    assert found.high is not None and 0.2 < found.high < 0.3
    assert len(found.times_ms) == len(found.values) == len(found.highs) > 50
    assert b.engine.band(Labels.of({"__name__": "nobody"})) is None


def test_a_series_that_gives_its_row_away_ends_what_its_method_told_of_it_and_no_more() -> None:
    alerting = Alerting(update_interval_ms=0, adopt_grace_ms=0, alerts_max=9)
    at_once = Lasting(0, 1, 0, 1)
    for method, row in (("drift", 1), ("drift", 2), ("full", 1)):
        named = Labels.of({"alertname": method, "row": str(row), "severity": "info"})

        def described(entry: Entry, labels: Labels = named) -> Alert:
            return Alert(labels, "detector", entry.since_ms, 5_000)

        alerting.abnormal(
            (method, row), 5_000, now_ms=5_000, lasting=at_once, peak=1.0, describe=described
        )
    alerting.drain()
    alerting.let_go({"drift"}, {1, 7})
    assert [key for key, _ in alerting.entries()] == [("drift", 2), ("full", 1)]
    (ended,) = alerting.drain()
    assert ended.ends_ms == 5_000 and ended.labels["row"] == "1"
