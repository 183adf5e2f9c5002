"""Odd but well-formed input of many doors through a whole pipeline, its clock turned by hand: nothing ends its thread.

What a door lets in is used long after the answer: by a detector, by a sentence, by a cause that names a change, by
what is restored after a restart. The seeds are fixed, so that a run is like the one before.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors import (
    alert_cloudevents,
    alert_grafana,
    alert_pagerduty,
    alert_zabbix,
    alertmanager,
    changes,
    heartbeat,
    remote_write1,
)
from collectors.otlp_metrics import MetricReader
from collectors.otlp_records import read_logs, read_traces
from collectors.otlp_settings import OtlpSettings
from collectors.otlp_wire import decode
from collectors.remote_messages import Request1
from collectors.remote_series import Book
from collectors.told import Told, settle
from model.clock import ManualClock
from model.codec import encode
from model.errors import InputError
from model.journal import JournalKind, NewEntry
from pipeline.runtime import Runtime
from pipeline.settings import load
from store import alerts as alert_rows
from tests.collectors import test_mutated as good
from tests.collectors.spoilt import paths_of, put

T0 = good.NOW
TURNS, PUSHES = 40, 6
TEXTS = ("", "x", "s" * 4_096, "s" * 60_000, "{a}", "{0!r:>99}", "%s", "<b>", "\u202e", "a\nb", "\x7f", "shop", "用")  # fmt: skip
NUMBERS: tuple[Any, ...] = (0, -1, 1, 17, 500, 2**53, 1e308, -1e308, "1", "NaN", "-Infinity", str(2**63 - 1))  # fmt: skip
ALERT = {"labels": good.LABELS, "annotations": {"a": "b"}, "generatorURL": "u"}
CHANGE = {"service": "shop", "title": "t", "kind": "k", "version": "v", "author": "a", "url": "u"}
NAMES = (
    "up",
    "x_total",
    "took_seconds_bucket",
    "node_filesystem_avail_bytes",
    "queue",
    "m" * 4_096,
)
SETTINGS = OtlpSettings()


class Doors:
    """Well-formed bodies with a few odd values, read as the console reads them, on their way to a runtime."""

    def __init__(self, runtime: Runtime, clock: ManualClock, chance: random.Random) -> None:
        self.runtime, self.clock, self.chance = runtime, clock, chance
        self.book, self.reader = Book(), MetricReader()
        by_json: tuple[tuple[Callable[..., Any], Any, JournalKind | None], ...] = (
            (alertmanager.parse_v2, [ALERT], JournalKind.ALERT),
            (alert_grafana.parse, {"alerts": [{**ALERT, "values": {"B": 1}}]}, JournalKind.ALERT),
            (changes.parse, CHANGE, JournalKind.CHANGE),
            (alert_pagerduty.parse_change, {"payload": {"summary": "s", "source": "shop"}}, JournalKind.CHANGE),
            (heartbeat.parse, {"name": "n", "timeout": "1s", "service": "shop"}, JournalKind.HEARTBEAT),
            (alert_pagerduty.parse, good.PARSERS["pagerduty"][1], None),
            (alert_zabbix.parse, good.PARSERS["zabbix"][1], None),
        )  # fmt: skip
        self.ways: list[Callable[[], None]] = [
            *(partial(self._journal, *way) for way in by_json),
            self._event, self._metrics, self._logs, self._traces, self._samples,
        ]  # fmt: skip

    def push(self) -> bool:
        """Something by one of the doors; False where it was refused."""
        try:
            self.chance.choice(self.ways)()
        except InputError:
            return False
        return True

    def _odd(self, value: Any) -> bytes:
        value = json.loads(json.dumps(value).replace(good.AT, str(self.clock.now_ms() * 10**6)))
        leaves = [path for path in paths_of(value) if path]
        for path in self.chance.sample(leaves, self.chance.randint(0, min(2, len(leaves)))):
            inner = value
            for name in path:
                inner = inner[name] if isinstance(inner, dict | list) else None
            if isinstance(inner, str) and not inner.lstrip("-").isdigit():
                put(value, path, self.chance.choice(TEXTS))
            elif isinstance(inner, int | float | str):
                put(value, path, self.chance.choice(NUMBERS))
        return json.dumps(value).encode()

    def _keep(self, kind: JournalKind, values: Sequence[Any]) -> None:
        entries = [NewEntry(kind, "s", self.clock.now_ms(), encode(value)) for value in values]
        if entries:
            self.runtime.store.journal.append(entries)

    def _journal(self, parse: Callable[..., Any], body: Any, kind: JournalKind | None) -> None:
        found = parse(self._odd(body), now_ms=self.clock.now_ms(), source="s")
        if kind is None:
            self._told(found)
        else:
            self._keep(kind, found if isinstance(found, list) else [found])

    def _told(self, found: Sequence[Told]) -> None:
        for told in found:
            fired = settle(told, None, source="s", now_ms=self.clock.now_ms())
            self._keep(JournalKind.ALERT, fired)

    def _event(self) -> None:
        headers = {"content-type": alert_cloudevents.STRUCTURED}
        body = self.chance.choice(
            (
                good.EVENT,
                {**good.EVENT, "type": "a.change", "data": CHANGE},
                good.PARSERS["cdevents"][1],
            )  # fmt: skip
        )
        found = alert_cloudevents.parse(
            self._odd(body), headers=headers, now_ms=self.clock.now_ms(), source="s"
        )
        self._told(found.told)
        self._keep(JournalKind.CHANGE, found.changes)

    def _metrics(self) -> None:
        made = self._decoded(good.METRICS, ExportMetricsServiceRequest)
        now_ms = self.clock.now_ms()
        self.runtime.feed(self.reader.read(made, SETTINGS, source="otlp", now_ms=now_ms)[0])

    def _logs(self) -> None:
        made = self._decoded(good.LOGS, ExportLogsServiceRequest)
        self.runtime.feed(read_logs(made, SETTINGS, source="otlp")[0])

    def _traces(self) -> None:
        made, now_ms = self._decoded(good.TRACES, ExportTraceServiceRequest), self.clock.now_ms()
        self.runtime.feed(read_traces(made, SETTINGS, source="otlp", now_ms=now_ms)[0])

    def _decoded(self, body: Any, made: Any) -> Any:
        return decode(self._odd(body), made, as_json=True, bytes_max=2**22)

    def _samples(self) -> None:
        request, chance = Request1(), self.chance
        for _ in range(chance.randint(1, 10)):
            labels = {"__name__": chance.choice(NAMES), "service": chance.choice(("shop", "s" * 4_096, "{x}"))}  # fmt: skip
            labels |= {"le": chance.choice(("1", "+Inf", "abc", "NaN"))} if chance.random() < 0.3 else {}  # fmt: skip
            labels |= {f"l{n:02}": "v" for n in range(60 if chance.random() < 0.1 else 0)}
            series = request.timeseries.add()
            for name, text in labels.items():
                series.labels.add(name=name.encode(), value=text.encode())
            value = chance.choice((0.0, 0.0, 1.0, 5.0, 1e308, float("nan"), float("inf"), -1.0))
            series.samples.add(timestamp=self.clock.now_ms() - chance.choice((0, 500)), value=value)
        body = bytes(request.SerializeToString())
        self.runtime.feed(remote_write1.read(body, self.book, "rw", parts_max=10_000)[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_a03_what_a_door_lets_in_ends_nothing_later(tmp_path: Path, seed: int) -> None:
    (tmp_path / "tocsin.yaml").write_text(
        "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\ncorrelator: {group_wait: 1s}\n"
    )
    settings = load(tmp_path)
    settings = replace(settings, machine=replace(settings.machine, data=str(tmp_path / "data")))
    clock, chance = ManualClock(T0), random.Random(seed)
    taken = 0
    for _ in range(2):  # the second time over what is restored
        runtime = Runtime(settings, clock)
        runtime.parts.embedded.restore()
        doors = Doors(runtime, clock, chance)
        for _ in range(TURNS):
            taken += sum(doors.push() for _ in range(PUSHES))
            clock.sleep(chance.choice((0.2, 1.0, 5.0, 60.0)))
            runtime.parts.embedded.turn()
        with runtime.store.records.read() as conn:
            assert alert_rows.firing(conn), "something came through"
        runtime.stop()
    assert taken > TURNS * PUSHES
