"""Probes on their beats: what is handed over, under which names, and what ends."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from typing import Any

import numpy as np

from collectors.probe import Prober
from collectors.probe_settings import HttpProbe, ProbeKind, ProbeSettings, ProbeTarget
from model.batch import MetricBatch, is_stale
from model.clock import SystemClock
from model.series import SeriesIndex
from tests.collectors.probing_peers import PATIENCE_MS, addresses, rude, web

NOW = 1_780_000_000_000


class Bench:
    """A prober and its series."""

    def __init__(self, *targets: ProbeTarget, **settings: Any) -> None:
        self.index = SeriesIndex()
        made = ProbeSettings(targets, interval_ms=10_000, timeout_ms=PATIENCE_MS)
        self.prober = Prober(replace(made, **settings), self.index, SystemClock(), addresses)
        self.now_ms = NOW

    def round(self) -> tuple[dict[str, float], MetricBatch]:
        """Let one interval pass and every probe finish; the values by name, of the last batch."""
        self.prober.poll(self.now_ms)
        self.now_ms += 10_000
        assert self.prober.poll(self.now_ms) == []
        self.prober.wait(60.0)
        [batch] = self.prober.poll(self.now_ms + 1)
        assert isinstance(batch, MetricBatch)
        labels = [self.index.labels(row) for row in batch.rows.tolist()]
        names = [one["__name__"] + (f".{one['phase']}" if "phase" in one else "") for one in labels]
        return dict(zip(names, batch.values.tolist(), strict=True)), batch


def target(port: int, **settings: Any) -> ProbeTarget:
    url = f"http://shop.test:{port}/?key=s3cret"
    return ProbeTarget("shop page", ProbeKind.HTTP, url, service="shop", labels={"zone": "a"}, http=HttpProbe(**settings))  # fmt: skip


def test_a_round_is_one_batch_under_blackbox_exporters_names() -> None:
    with web() as page:
        bench = Bench(target(page.port))
        values, batch = bench.round()
        where = f"http://shop.test:{page.port}/"
        bench.prober.close()
    assert values["probe_success"] == 1 and values["probe_http_status_code"] == 200
    assert {f"probe_http_duration_seconds.{p}" for p in ("resolve", "connect", "processing", "transfer")} <= set(values)  # fmt: skip
    for row in batch.rows.tolist():
        labels = bench.index.labels(row)
        kept = {name: labels[name] for name in ("job", "service", "instance", "probe", "zone")}
        assert kept == {"job": "probe", "service": "shop", "instance": where, "probe": "shop page", "zone": "a"}  # fmt: skip
    assert set(batch.times_ms.tolist()) == {bench.now_ms}
    assert batch.notes == {} and bench.prober.problems.all() == []
    [state] = bench.prober.states
    assert state.result is not None and state.result.ok and state.failing_since_ms is None


def test_a_failure_carries_its_reason_and_ends_what_it_no_longer_sees() -> None:
    with web() as page:
        page.bodies["/?key=s3cret"] = b"the shop"
        bench = Bench(target(page.port, expect_body="shop"))
        values, _ = bench.round()
        assert values["probe_success"] == 1
        page.status = 503
        values, batch = bench.round()
        first_ms = bench.now_ms
        assert values["probe_success"] == 0 and values["probe_http_status_code"] == 503
        [(row, reason)] = batch.notes.items()
        assert bench.index.labels(row)["__name__"] == "probe_success"
        assert reason.text().endswith("answers HTTP 503 instead of 2xx")
        ended = [bench.index.labels(int(row))["__name__"] for row in batch.rows[is_stale(batch.values)]]  # fmt: skip
        assert "probe_failed_due_to_regex" in ended
        [problem] = bench.prober.problems.all()
        assert problem.source == "probe shop page" and problem.reason == reason
        page.status = 500
        bench.round()
        assert bench.prober.states[0].failing_since_ms == first_ms
        [problem] = bench.prober.problems.all()
        assert "HTTP 500" in problem.reason.text()
        page.status = 200
        values, batch = bench.round()
        assert batch.notes == {} and not np.isnan(values["probe_failed_due_to_regex"])
        assert bench.prober.problems.all() == [] and bench.prober.states[0].failing_since_ms is None
        bench.prober.close()
    assert bench.prober.counters() == {
        "tocsin_probes_total": 4,
        "tocsin_probe_failures_total": 2,
        "tocsin_probes_skipped_total": 0,
        "tocsin_probe_targets": 1,
        "tocsin_probe_lookups": 0,
    }


def test_a_probe_that_is_still_under_way_is_not_made_twice() -> None:
    ends = threading.Event()

    def holds(connection: socket.socket) -> None:
        connection.recv(4_096)
        ends.wait(240)

    with rude(holds) as port:
        bench = Bench(target(port))
        bench.prober.poll(NOW)
        bench.prober.poll(NOW + 10_000)
        bench.prober.poll(NOW + 20_000)
        assert bench.prober.counters()["tocsin_probes_skipped_total"] == 1
        ends.set()
        bench.prober.wait(60.0)
        [batch] = bench.prober.poll(NOW + 20_001)
        assert isinstance(batch, MetricBatch) and len(batch.notes) == 1
        bench.prober.close()


def test_beats_are_spread_and_the_same_after_every_start() -> None:
    many = [ProbeTarget(f"p{n}", ProbeKind.TCP, f"127.0.0.1:{n + 1}") for n in range(20)]

    def started() -> list[tuple[int, str]]:
        bench, found = Bench(*many, workers=4), []
        for now_ms in range(NOW, NOW + 10_000, 500):
            for batch in bench.prober.poll(now_ms):
                found.append((now_ms, batch.source))
            bench.prober.wait(60.0)
        bench.prober.close()
        return found

    first = started()
    assert first == started()
    assert len({now_ms for now_ms, _ in first}) > 5


def test_a_full_index_refuses_series_and_nothing_else() -> None:
    with web() as page:
        bench = Bench(target(page.port))
        bench.index.series_max = 1
        values, _ = bench.round()
        bench.prober.close()
    assert list(values) == ["probe_success"]
