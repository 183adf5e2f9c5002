"""Watermark, queue, host, own metrics, discovery, and that metrics are listed."""

from __future__ import annotations

import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

import collectors
from collectors import settings as settings_module
from collectors.base import Problems
from collectors.discovery import Discovery, parse_file_sd
from collectors.heartbeat import Heartbeats
from collectors.host import HostCollector, _real_mounts
from collectors.metrics import METRICS
from collectors.queue import BoundedQueue, DropRule
from collectors.scrape import Scraper
from collectors.self_metrics import SelfMetrics
from collectors.settings import (
    FileTargets,
    HostSettings,
    LogSettings,
    ScrapeSettings,
    SelfSettings,
)
from collectors.tail import LogTail
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.batch import MetricBatch
from model.clock import ManualClock
from model.errors import InputError
from model.series import SeriesIndex

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("time_ms", "kept"),
    [
        (NOW, NOW),
        # Both bounds, and one beyond each.
        (NOW - 60_000, NOW - 60_000),
        (NOW - 60_001, None),
        (NOW + 5_000, NOW + 5_000),
        (NOW + 5_001, None),
        # Other units.
        (NOW // 1_000, NOW),
        (NOW * 1_000, NOW),
        (NOW * 1_000_000, NOW),
        # No clock.
        (0, None),
        (-1, None),
        (-(2**63), None),
        (2**63 - 1, None),
    ],
)
def test_f12_one_time(time_ms: int, kept: int | None) -> None:
    mark = Watermark(lateness_ms=60_000, future_ms=5_000)
    assert mark.settle_one(time_ms, now_ms=NOW) == kept
    assert mark.high_ms <= NOW
    assert (mark.late + mark.future + mark.zero == 0) is (kept is not None)


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(NOW - 10**5, NOW + 10**5)))
def test_twin_many_times_are_judged_one_by_one(times: list[int]) -> None:
    many = Watermark(lateness_ms=60_000, future_ms=5_000)
    one = Watermark(lateness_ms=60_000, future_ms=5_000)
    given_times = np.array(times, dtype=np.int64)
    before = given_times.copy()
    settled = many.settle(given_times, now_ms=NOW)
    np.testing.assert_array_equal(given_times, before)
    found = [int(t) if k else None for t, k in zip(settled.times_ms, settled.keep, strict=True)]
    assert found == [one.settle_one(time, now_ms=NOW) for time in times]
    assert (many.counters(), many.high_ms) == (one.counters(), one.high_ms)


def test_queue_drops_by_its_rule() -> None:
    newest = BoundedQueue[int](items_max=2, weight_max=10, rule=DropRule.NEWEST)
    assert [newest.put(n) for n in range(3)] == [True, True, False]
    assert newest.drain() == [0, 1]
    oldest = BoundedQueue[int](items_max=9, weight_max=10)
    assert [oldest.put(n, weight=4) for n in range(4)] == [True] * 4
    assert oldest.put(9, weight=11) is False
    assert (oldest.weight, oldest.dropped, oldest.dropped_weight) == (8, 3, 19)
    assert (oldest.drain(1), oldest.drain(), oldest.weight) == ([2], [3], 0)


class Mount(NamedTuple):
    device: str
    mountpoint: str
    fstype: str


def names(index: SeriesIndex, batch: object) -> set[str]:
    assert isinstance(batch, MetricBatch)
    return {index.labels(row)["__name__"] for row in batch.rows.tolist()}


@pytest.mark.parametrize("per_cpu", [False, True])
def test_host_on_its_beat(per_cpu: bool) -> None:
    index = SeriesIndex()
    host = HostCollector(HostSettings(per_cpu=per_cpu, interval_ms=1_000, instance="box"), index)
    (batch,) = host.poll(NOW)
    assert host.poll(NOW + 999) == []
    (again,) = host.poll(NOW + 1_000)
    assert names(index, batch) >= {
        "node_cpu_seconds_total",
        "node_load1",
        "node_memory_MemAvailable_bytes",
        "node_filesystem_avail_bytes",
        "node_boot_time_seconds",
        "node_processes_pids",
    }
    assert isinstance(batch, MetricBatch) and isinstance(again, MetricBatch)
    labels = index.labels(int(batch.rows[0]))
    assert (labels["job"], labels["instance"], labels["service"]) == ("host", "box", "host")
    assert index.kind("node_cpu_seconds_total") == "counter"
    assert set(again.rows.tolist()) >= set(batch.rows.tolist()) - {-1}


def test_host_names_match_whether_cpus_are_summed() -> None:
    index = SeriesIndex()
    (batch,) = HostCollector(HostSettings(), index).poll(NOW)
    assert isinstance(batch, MetricBatch)
    cpu = [
        index.labels(r) for r in batch.rows.tolist() if "cpu_seconds" in index.labels(r)["__name__"]
    ]
    assert len(cpu) == len({labels["mode"] for labels in cpu})


@pytest.mark.parametrize(
    ("mounts", "kept"),
    [
        # Pseudo and remote file systems are left out, a container's root is not.
        (
            [("proc", "/proc", "proc"), ("srv:/x", "/mnt", "nfs4"), ("overlay", "/", "overlay")],
            ["/"],
        ),
        # A bind mount is the device it shows.
        ([("/dev/a", "/etc/hosts", "ext4"), ("/dev/a", "/data", "ext4")], ["/data"]),
        ([("pool/x", "/x", "zfs"), ("pool/y", "/y", "zfs")], ["/x", "/y"]),
    ],
)
def test_real_mounts(mounts: list[tuple[str, str, str]], kept: list[str]) -> None:
    assert sorted(_real_mounts(Mount(*mount) for mount in mounts)) == kept


def test_own_registry_without_http() -> None:
    registry = CollectorRegistry()
    counter = Counter("tocsin_x", "x", registry=registry)
    Histogram("tocsin_h_seconds", "h", registry=registry).observe(0.1)
    index = SeriesIndex()
    own = SelfMetrics(SelfSettings(interval_ms=1_000), index, registry)
    counter.inc(2)
    (batch,) = own.poll(NOW)
    assert names(index, batch) == {
        "tocsin_x_total",
        "tocsin_h_seconds_bucket",
        "tocsin_h_seconds_count",
        "tocsin_h_seconds_sum",
    }
    assert index.kind("tocsin_h_seconds") == "histogram"
    assert all(index.labels(r)["service"] == "tocsin" for r in index.rows())


def test_broken_registry_is_a_problem_and_not_a_crash() -> None:
    class Broken:
        def collect(self) -> list[object]:
            raise RuntimeError("no")

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Broken())  # type: ignore[arg-type]
    own = SelfMetrics(SelfSettings(), SeriesIndex(), registry)
    assert own.poll(NOW) == []
    assert [problem.kind for problem in own.problems.all()] == ["scrape"]


def test_every_counter_is_listed_and_every_listed_one_is_counted() -> None:
    index = SeriesIndex()
    parts: list[Scraper | HostCollector | SelfMetrics | LogTail | Heartbeats] = [
        Scraper(ScrapeSettings(), index, ManualClock()),
        HostCollector(HostSettings(), index),
        SelfMetrics(SelfSettings(), index, CollectorRegistry()),
        LogTail(LogSettings(), TemplateMiner()),
        Heartbeats(),
    ]
    counted = {name for part in parts for name in part.counters()}
    assert counted <= set(METRICS)
    assert isinstance(parts[0], Scraper)
    parts[0].close()
    # Collectors that need a server to be made: their code names what they count.
    folder = Path(collectors.__file__).parent
    code = "".join(p.read_text() for p in folder.glob("*.py") if p.name != "metrics.py")
    for name in set(METRICS) - counted:
        family = f'startswith("tocsin_{name.split("_")[1]}_")'  # several, counted by name
        assert f'"{name}' in code or family in code, f"{name} is listed, and nobody counts it"
    assert all(
        name.endswith("_total") is (kind == "counter") for name, (kind, _) in METRICS.items()
    )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", "f:"),
        ("5", "f: must be a list"),
        ('[{"targets": "x"}]', "/0/targets"),
        ("[5]", "/0/targets"),
        ("- targets: [a]\n  labels: [1]", "/0/labels"),
        ('!!python/object/apply:os.system ["x"]', "f:1:1"),
        ("[" * 300, "f"),
        # A10: aliases make gigabytes of a few lines.
        ("- targets: &a [x]\n- targets: *a", "f: not YAML"),
        ("- targets: [2026-02-31]", "f: not YAML"),
        # What would end the loop, or fail at each scrape, is said once.
        ('[{"targets": ["[bad"]}]', "/0: 'http://[bad/metrics' is no address"),
        ('[{"targets": ["a:99999"]}]', "is no address"),
        ('[{"targets": ["a b"]}]', "must not hold spaces"),
        ('[{"targets": ["a"], "labels": {"__scheme__": "file"}}]', "must be an address"),
        ('[{"targets": ["a"], "labels": {"x": "%s"}}]' % ("y" * 5_000), "longer than 4096"),
    ],
)
def test_bad_file_sd(text: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_file_sd(text, "f", FileTargets(("f",)))
    assert where in str(caught.value)


def test_a10_a_pipe_in_the_place_of_a_list_of_targets_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "targets.yaml")
    problems = Problems()
    source = FileTargets((str(tmp_path / "*.yaml"),))
    discovery = Discovery(ScrapeSettings(discovery=(source,)), problems)
    assert discovery.poll(0) == ()
    assert "is no regular file" in problems.all()[0].reason.text()


def test_file_sd_labels() -> None:
    text = "- targets: [db1:9100]\n  labels: {job: pg, __scheme__: https, __x: y, env: prod}"
    (target,) = parse_file_sd(text, "f", FileTargets(("f",), job="j", service="db"))
    assert (target.url, target.job, target.service) == ("https://db1:9100/metrics", "pg", "db")
    assert target.labels == {"env": "prod"}


def test_every_setting_has_a_default_and_is_described() -> None:
    for name in dir(settings_module):
        kind = getattr(settings_module, name)
        if isinstance(kind, type) and is_dataclass(kind):
            described = kind.__doc__ or ""
            for one in fields(kind):
                if "Attributes" in described:
                    assert one.name.split("_")[0] in described, f"{name}.{one.name}"
