"""Log lines into an Elasticsearch: the wanted ones, once, and never in the pipeline's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from incident_bridge.elastic_logs import ElasticLogs
from incident_bridge.elastic_settings import ElasticSinkSettings, LogKeeping
from model.batch import LogBatch
from model.clock import SystemClock
from model.errors import TransientError
from tests.incident_bridge.bulk_double import Double, serving

NOW = 1_800_000_000_000
ALL = LogKeeping.ALL


@pytest.fixture
def double() -> Iterator[Double]:
    with serving(Double()) as served:
        yield served


def batch(lines: Sequence[str], *, at_ms: int = NOW, severity: int = 17) -> LogBatch:
    count = len(lines)
    return LogBatch(
        np.full(count, at_ms),
        np.zeros(count, dtype=np.int32),
        np.full(count, severity, dtype=np.int8),
        ("cart",) * count,
        tuple(lines),
        {0: "no stock of <*>"},
        at_ms + 5,
        "/var/log/cart.log",
        fields=("status=503",) * count,
    )


def logs_of(double: Double, **settings: Any) -> ElasticLogs:
    return ElasticLogs(ElasticSinkSettings(url=double.url, **settings), SystemClock())


def test_a_line_in_names_that_kibana_knows(double: Double) -> None:
    logs = logs_of(double)
    logs.take([batch(["no stock of shoes"])])
    assert not logs.round() and logs.waiting == 0
    (found,) = double.of("logs-tocsin.log-default")
    assert found["@timestamp"] == "2027-01-15T08:00:00.000Z"
    assert found["message"] == "no stock of shoes" and found["service"]["name"] == "cart"
    assert found["log"] == {"level": "error", "file": {"path": "/var/log/cart.log"}}
    assert found["event"]["created"] == "2027-01-15T08:00:00.005Z"
    assert found["event"]["dataset"] == "tocsin.log" and found["tocsin"]["numbers"] == "status=503"
    assert found["tocsin"]["template"]["text"] == "no stock of <*>"
    template = double.made("/_index_template/tocsin-logs")
    assert template["index_patterns"] == ["logs-tocsin.log-*", "logs-tocsin.refused-*"]
    policy = double.made("/_ilm/policy/tocsin-logs")["policy"]["phases"]
    assert policy["delete"]["min_age"] == "30d"


def test_what_is_read_again_after_a_crash_is_the_same_document(double: Double) -> None:
    lines = ["x", "x", "y"]  # one comes twice in one moment: it was written twice
    for _ in range(2):
        logs = logs_of(double, logs=ALL)
        logs.take([batch(lines)])
        logs.round()
    assert len(double.of("tocsin.log")) == 3


@pytest.mark.parametrize(("kept", "expected"), [(LogKeeping.EXAMPLES, 4), (ALL, 20)])
def test_examples_are_some_of_each_template_in_an_hour(
    double: Double, kept: LogKeeping, expected: int
) -> None:
    logs = logs_of(double, logs=kept, logs_examples=2)
    for hour in range(2):
        logs.take([batch([f"{n}" for n in range(10)], at_ms=NOW + hour * 3_600_000)])
    logs.round()
    assert len(double.of("tocsin.log")) == expected


def test_f03_what_a_server_does_not_take_waits_and_the_oldest_is_dropped(double: Double) -> None:
    logs = logs_of(double, logs=ALL, logs_queue_bytes_max=10_000, batch_max=10)
    double.instead = lambda method, path: (503, {})
    for n in range(100):
        logs.take([batch([f"line {n} {k}" for k in range(5)])])
        if n == 50:
            with pytest.raises(TransientError):
                logs.round()
    counted = logs.counters()
    assert 0 < counted["tocsin_elasticsearch_logs_waiting"] < 60
    assert counted["tocsin_elasticsearch_logs_dropped_total"] > 400
    double.instead = lambda method, path: None
    while logs.round():
        pass
    written = len(double.of("tocsin.log"))
    assert written + logs.dropped == 500 and logs.waiting == 0
    assert any(one["message"] == "line 99 4" for one in double.of("tocsin.log"))


def test_what_waits_is_written_at_the_end(double: Double) -> None:
    logs = logs_of(double, interval_ms=60_000)
    logs.start()
    logs.take([batch(["last words"])])
    logs.stop(10.0)
    assert [one["message"] for one in double.of("tocsin.log")] == ["last words"]
