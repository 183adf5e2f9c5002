"""OpenTelemetry's names as signals, and what traces tell of services and of who calls whom."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.classify import classify, is_error
from detectors.engine import Engine
from detectors.roles import Kind
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

START_MS = 1_800_000_000_000
SERVED = {"span_kind": "SPAN_KIND_SERVER"}


@pytest.mark.parametrize(
    ("name", "labels", "family", "fields"),
    [
        ("http_server_request_duration_seconds_count", {}, "requests", ("requests",)),
        ("http_server_request_duration_seconds_bucket", {"le": "0.5"}, "latency", ("0.5",)),
        # Before the conventions were stable: milliseconds, which the floors of latency are not in.
        ("http_server_duration_milliseconds_count", {}, "requests", ("requests",)),
        ("http_server_duration_milliseconds_bucket", {"le": "250"}, "latency", ("0.25",)),
        ("http_server_duration_milliseconds_bucket", {"le": "+Inf"}, "latency", ("+Inf",)),
        ("rpc_server_call_duration_seconds_count", {}, "requests", ("requests",)),
        ("rpc_server_duration_milliseconds_bucket", {"le": "5"}, "latency", ("0.005",)),
        ("process_cpu_time_seconds_total", {"cpu_mode": "user"}, "cpu", ("seconds",)),
        # A caller's own view, and sizes, are not how the service fares.
        ("http_client_request_duration_seconds_count", {}, "", ()),
        ("rpc_client_duration_milliseconds_bucket", {"le": "5"}, "", ()),
        ("http_server_request_body_size_bytes_bucket", {"le": "5"}, "", ()),
        # Of spans only those that answer somebody.
        ("traces_spanmetrics_calls_total", SERVED, "requests", ("requests",)),
        ("traces_spanmetrics_calls_total", {"span_kind": "SPAN_KIND_CLIENT"}, "", ()),
        ("traces_spanmetrics_latency_bucket", {**SERVED, "le": "1"}, "latency", ("1",)),
        ("traces_span_metrics_duration_milliseconds_bucket", {**SERVED, "le": "10"}, "latency", ("0.01",)),
        ("traces_service_graph_request_total", {"client": "a", "server": "b"}, "edge", ()),
    ],
)  # fmt: skip
def test_names(name: str, labels: dict[str, str], family: str, fields: tuple[str, ...]) -> None:
    found = classify(Labels.of({"__name__": name, "service": "cart", **labels}), "unknown")
    assert (found.family, found.fields) == (family, fields)


def test_a_metric_that_only_has_a_spans_name_is_one_of_unknown_meaning() -> None:
    assert classify(Labels.of({"__name__": "calls_total"}), "counter").kind is Kind.COUNTER


@pytest.mark.parametrize(
    ("labels", "failed"),
    [
        ({"http_response_status_code": "503"}, True),
        ({"http_response_status_code": "404", "error_type": "404"}, False),
        ({"http_status_code": "500"}, True),
        ({"rpc_grpc_status_code": "14"}, True),
        ({"rpc_grpc_status_code": "5"}, False),  # not found is the caller's fault
        ({"rpc_response_status_code": "DEADLINE_EXCEEDED"}, True),
        ({"rpc_response_status_code": "OK"}, False),
        ({"error_type": "java.io.IOException"}, True),
        ({"status_code": "STATUS_CODE_ERROR"}, True),
        ({"status_code": "STATUS_CODE_UNSET"}, False),
        ({"code": "14"}, False),  # not gRPC's by its name
    ],
)
def test_errors(labels: dict[str, str], failed: bool) -> None:
    assert is_error(Labels.of(labels)) is failed


class World:
    """An engine, fed totals of many series a second."""

    def __init__(self) -> None:
        self.index = SeriesIndex()
        self.engine = Engine(DetectorSettings(), self.index)
        self.now_ms = START_MS
        self.totals: dict[Labels, float] = {}

    def second(self, adds: dict[Labels, float]) -> list[Alert]:
        """Let a second pass in which the counters grew by so much."""
        self.now_ms += 1_000
        for labels, value in adds.items():
            self.totals[labels] = self.totals.get(labels, 0.0) + value
        rows = [self.index.intern(labels) for labels in self.totals]
        values = list(self.totals.values())
        batch = MetricBatch.of(rows, self.now_ms, values, arrival_ms=self.now_ms)
        told = self.engine.take(batch, now_ms=self.now_ms)
        return told + self.engine.step(self.now_ms)


def named(name: str, **labels: str) -> Labels:
    return Labels.of({"__name__": name, **labels})


def calls(failed: bool) -> Labels:
    status = "STATUS_CODE_ERROR" if failed else "STATUS_CODE_UNSET"
    return named("traces_spanmetrics_calls_total", service="cart", status_code=status, **SERVED)


def test_errors_of_a_service_that_has_only_traces_are_told() -> None:
    world = World()
    for _ in range(60):
        assert world.second({calls(False): 20, calls(True): 0}) == []
    told = [alert for _ in range(20) for alert in world.second({calls(False): 4, calls(True): 16})]
    assert {alert.name for alert in told} == {"ErrorRatioHigh"}
    assert {alert.service for alert in told} == {"cart"}


def test_where_a_service_measures_itself_traces_are_not_judged_beside() -> None:
    world = World()
    own = named("http_requests_total", service="cart", code="200")
    for _ in range(60):
        world.second({own: 20, calls(False): 20, calls(True): 0})
    told = [a for _ in range(20) for a in world.second({own: 20, calls(False): 4, calls(True): 16})]
    assert told == []


def test_that_traces_end_is_no_absence_of_the_service() -> None:
    world = World()
    other = named("http_requests_total", service="shop", code="200")
    for _ in range(60):
        world.second({other: 20, calls(False): 20})
    del world.totals[calls(False)]
    assert [
        a for _ in range(120) for a in world.second({other: 20}) if a.name == "MetricAbsent"
    ] == []


EDGE = named("traces_service_graph_request_total", client="cart", server="stock")


def test_calls_are_learnt_with_evidence_kept_and_forgotten() -> None:
    world = World()
    world.second({EDGE: 2})
    assert world.engine.calls() == ()  # two calls are no evidence
    world.second({EDGE: 5})
    (edge,) = world.engine.calls()
    assert (edge.caller, edge.callee, edge.count, edge.seen_ms) == (
        "cart",
        "stock",
        7,
        world.now_ms,
    )
    assert world.engine.calls() is world.engine.calls()
    other = World()
    other.index.load(world.index.save())
    other.engine.load(world.engine.save())
    assert other.engine.calls() == (edge,)
    world.now_ms += 86_400_000
    world.second({EDGE: 0})
    assert world.engine.calls() == ()


def test_an_evicted_series_is_no_edge() -> None:
    world = World()
    world.second({EDGE: 9})
    assert len(world.engine.calls()) == 1
    row = world.index.find(EDGE)
    world.engine.forget(np.array([row], dtype=np.int32))
    world.totals.clear()
    world.now_ms += 61_000
    world.engine.step(world.now_ms)
    assert world.engine.calls() == ()
