"""Back-fill through the stream: what is cold learns, what is warm is left alone, over crashes in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import distributed as played
from benchmarks.telemetry import World
from collectors.backfill import Backfill
from collectors.prometheus_settings import DAY_MS, BackfillSettings
from collectors.settings import ScrapeTarget
from model.batch import MetricBatch
from model.clock import SystemClock
from model.labels import Labels
from model.series import SeriesIndex
from pipeline.distributed.blocks import pack_labels
from pipeline.distributed.detecting import Detecting
from pipeline.distributed.past import Teaching
from pipeline.distributed.shards import Splitter, owner, shard
from pipeline.distributed.wire import Past, Samples, Tick, read, write
from pipeline.settings import Settings
from tests.collectors.prometheus_double import Double, serving

NOW = 1_800_000_000_000
PARTITIONS = 2
TARGETS = {
    f"{name} http://{name}:80/metrics": ScrapeTarget(f"http://{name}:80/metrics", job="shop", service=name)
    for name in ("cart", "mail")
}  # fmt: skip


def labels(service: str, **more: str) -> Labels:
    words = {"__name__": "queue_depth", "job": "shop", "instance": f"{service}:80", **more}
    return Labels.of({**words, "service": service})


def bare(service: str) -> Labels:
    """As the Prometheus has it, which knows nothing of our service label."""
    return Labels.of({n: v for n, v in labels(service).pairs if n != "service"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return played.configure(tmp_path / "config", World(services=2))


@pytest.fixture
def messages() -> Iterator[list[tuple[int, bytes]]]:
    """What an intake sends of two targets and their past."""
    with serving(Double()) as double:
        times = np.arange(NOW - DAY_MS, NOW, 15_000, dtype=np.int64)
        for service in ("cart", "mail"):
            double.series[bare(service)] = (times, 100.0 + np.sin(np.arange(len(times))))
        index = SeriesIndex()
        rows = {
            source: [
                index.intern(labels(target.service, part=part), source=source)
                if part
                else index.intern(labels(target.service), source=source)
                for part in ("", "a", "b", "c")
            ]
            for source, target in TARGETS.items()
        }
        chosen = BackfillSettings(url=double.url, days=1, tries_max=1, pause_ratio=0.0)
        backfill = Backfill(
            chosen,
            index,
            SystemClock(),
            target_of={source: (target, 15_000) for source, target in TARGETS.items()}.get,
            sends=lambda source: False,
            cold=lambda some: np.ones(len(some), dtype=np.bool_),
            worth=lambda some: np.ones(len(some), dtype=np.bool_),
        )
        teaching = Teaching(backfill, index, Splitter(index, PARTITIONS), PARTITIONS)

        def scrape(now_ms: int) -> list[MetricBatch]:
            return [
                MetricBatch.of(some, now_ms, [100.0] * 4, arrival_ms=now_ms, source=source)
                for source, some in rows.items()
            ]

        assert teaching.hold(list(scrape(NOW)), NOW) == [[]]
        teaching.hold([], NOW + 17_000)
        assert teaching.learning
        found: list[tuple[int, bytes]] = []
        while teaching.learning:
            lesson = teaching.next(NOW + 17_000)
            if lesson is None:
                backfill.wait(5.0)
            else:
                found += [(number, write(message)) for number, message in lesson]
        backfill.close()
        yield found


def begun(settings: Settings, number: int) -> Detecting:
    stage = Detecting(settings, number)
    stage.take(Tick(NOW))
    return stage


def learnt(settings: Settings, messages: list[tuple[int, bytes]], service: str) -> Detecting:
    """The stage of a service's partition, which has taken what was sent."""
    number = shard(service, PARTITIONS)
    stage = begun(settings, number)
    for to, data in messages:
        if to == number:
            assert stage.take(read(data)) is None
    return stage


def test_detectors_know_a_target_by_its_past(
    settings: Settings, messages: list[tuple[int, bytes]]
) -> None:
    for service in ("cart", "mail"):
        stage = learnt(settings, messages, service)
        band = stage.engine.band(labels(service))
        assert band is not None and band.value == pytest.approx(100.0, abs=2)
        row = stage.index.find(labels(service))
        assert row is not None and not stage.engine.cold(np.array([row], dtype=np.int32))[0]
        # It belongs to its own target, as when it is scraped.
        assert stage.index.source(row) == next(s for s in TARGETS if s.startswith(service))
    assert sum(read(data) == Past(ends=True) or b'"ends":true' in data for _, data in messages) == PARTITIONS  # fmt: skip


def test_what_is_warm_is_left_alone(settings: Settings, messages: list[tuple[int, bytes]]) -> None:
    number = shard(owner(labels("cart")), PARTITIONS)
    warm = begun(settings, number)
    block = pack_labels([labels("cart")])
    for n in range(3):
        at_ms = np.array([NOW - 60_000 + 15_000 * n])
        warm.take(Samples(block, at_ms, np.array([7.0]), int(at_ms[0]), "x"))
    warm.settle()
    known = warm.engine.band(labels("cart"))
    for to, data in messages:
        if to == number:
            warm.take(read(data))
    assert warm.engine.band(labels("cart")) == known


def test_f01_a_crash_in_the_middle_of_the_past_changes_nothing(
    settings: Settings, messages: list[tuple[int, bytes]]
) -> None:
    number = shard("cart", PARTITIONS)
    mine = [data for to, data in messages if to == number]
    whole = learnt(settings, messages, "cart")
    first = begun(settings, number)
    for data in mine[: len(mine) // 2]:
        first.take(read(data))
    second = Detecting(settings, number)
    second.load(first.save())
    for data in mine[len(mine) // 2 :]:
        second.take(read(data))
    assert second.save() == whole.save()
