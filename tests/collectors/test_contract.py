"""What every collector promises, asked of each that a configuration can make, with nobody at the other end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from collectors.accepting import Accepting
from collectors.base import Collector
from collectors.metrics import METRICS
from collectors.pushed import PushQueue
from model.batch import LogBatch, MetricBatch
from model.clock import SystemClock
from model.errors import SnapshotError
from pipeline import wiring
from pipeline.settings import Settings, load
from pipeline.telemetry import Telemetry
from pipeline.wiring import Intake
from store.store import Store

PULLED = """\
scrape: {{targets: [{{url: "http://127.0.0.1:{port}/metrics"}}], interval: 1s}}
probes: {{interval: 5s, targets: [{{name: shop, kind: tcp, target: "127.0.0.1:{port}"}}]}}
prometheus_api: [{{url: "http://127.0.0.1:{port}", selectors: ['{{job="shop"}}'], interval: 1s}}]
elasticsearch: [{{url: "http://127.0.0.1:{port}", index: logs, interval: 1s}}]
zabbix: [{{url: "http://127.0.0.1:{port}", token_file: token, interval: 1s}}]
kafka_sources: [{{brokers: ["127.0.0.1:{port}"], topics: [logs], interval: 1s, timeout: 1s}}]
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("config")
    (folder / "token").write_text("t0ken")
    (folder / "tocsin.yaml").write_text(PULLED.format(port=free_port()))
    return load(folder)


@pytest.fixture
def intake(settings: Settings, tmp_path: Path) -> Iterator[Intake]:
    store = Store.open(f"sqlite:///{tmp_path}/tocsin.db", now_ms=1)
    built = build(settings, store)
    yield built
    for collector in built.collectors:
        if (close := getattr(collector, "close", None)) is not None:
            close()
    store.close()


def build(settings: Settings, store: Store) -> Intake:
    machine = settings.machine
    return wiring.build_intake(
        machine, wiring.build_index(machine), Telemetry(wiring.METRICS, version="1"), SystemClock(),
        PushQueue(machine.pushes), Accepting(lambda _: Future(), store),
    )  # fmt: skip


def ask(collector: Collector, wanted: str = "") -> list[MetricBatch | LogBatch]:
    """Ask for a while as the loop does; until it has a problem of its other end, where one is wanted."""
    clock = SystemClock()
    found: list[MetricBatch | LogBatch] = []
    ends_s = time.monotonic() + 240
    while time.monotonic() < ends_s:
        found += collector.poll(clock.now_ms())
        if not wanted or collector.problems.all():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{wanted} never says that nobody answers")


OUTSIDE = ("Scraper", "PrometheusPoll", "ElasticPoll", "ZabbixPoll", "KafkaRead")


def test_nobody_at_the_other_end_is_said_once_and_raises_nothing(intake: Intake) -> None:
    names = {type(one).__name__: one for one in intake.collectors}
    assert set(OUTSIDE) <= set(names)
    for name in OUTSIDE:
        one = names[name]
        ask(one, name)
        fresh = one.problems.fresh()
        assert fresh and one.problems.fresh() == [], name
        for problem in one.problems.all():
            said = problem.reason.text()
            assert said.isprintable() and "Traceback" not in said and "t0ken" not in said, said


def test_every_counter_has_a_name_and_a_help_text(intake: Intake) -> None:
    for one in intake.collectors:
        ask(one)
        for name, value in one.counters().items():
            assert name.partition("{")[0] in METRICS, name
            assert isinstance(value, int | float)


def test_what_is_kept_is_read_again_and_damage_is_refused(
    settings: Settings, intake: Intake, tmp_path: Path
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/again.db", now_ms=1)
    again = build(settings, store)
    assert set(again.saved) == set(intake.saved)
    for name, holder in intake.saved.items():
        kept = holder.save()
        again.saved[name].load(kept)
        assert again.saved[name].save() == kept, name
        with pytest.raises(SnapshotError):
            again.saved[name].load(kept[:-1] + bytes([kept[-1] ^ 1]))
    store.close()
