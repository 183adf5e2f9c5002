"""What a site of workers costs, stage by stage: load, and how it is measured."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import distributed as played
from benchmarks.brokers import ROOT, Broker, Cluster, Process
from benchmarks.ports import free_port
from benchmarks.telemetry import START_MS, World, scrapes, series
from model.alert import Alert
from model.batch import Floats, MetricBatch, Rows
from model.codec import encode
from model.journal import JournalKind, NewEntry
from model.labels import Labels
from model.series import SeriesIndex
from pipeline.distributed.aligning import Mark
from pipeline.distributed.packing import packed
from pipeline.distributed.placing import Placing
from pipeline.distributed.shards import Splitter
from pipeline.distributed.wire import Tick, write
from pipeline.settings import Settings
from store import snapshots as snapshot_rows
from store.store import Store

PARTITIONS = 4
SCRAPE_S = 15
LONGEST_S = 600.0
ALERTING_SERVICES = 40
Messages = list[tuple[str, int, bytes]]


@dataclass(frozen=True, slots=True)
class Load:
    """Scrapes as messages, with a tick each second; `begin` holds the first of each series."""

    begin: Messages
    steady: Messages
    samples_each: int
    last_ms: int


def load(series_wanted: int, count: int) -> Load:
    """Scrapes of many series, the first two apart: there each series is met and placed."""
    world = World(
        services=20, instances=max(1, series_wanted // 200), duration_s=SCRAPE_S * (count + 2)
    )
    index = SeriesIndex()
    rows = np.array([index.intern(one) for one in series(world)], dtype=np.int32)
    return as_messages(index, rows, scrapes(world))


def as_messages(index: SeriesIndex, rows: Rows, found: Iterable[tuple[int, Floats]]) -> Load:
    """Scrapes of these rows, cut by partition."""
    splitter = Splitter(index, PARTITIONS)
    parts: tuple[Messages, Messages] = ([], [])
    time_ms = START_MS
    for n, (time_ms, values) in enumerate(found):
        batch = MetricBatch.of(rows, time_ms, values, arrival_ms=time_ms, source="bench")
        part = parts[n >= 2]
        part += [(played.TELEMETRY, at, write(one)) for at, one in splitter.split(batch)]
        for second in range(SCRAPE_S):
            part += ticks(time_ms + 1_000 * second)
    return Load(*parts, len(rows), time_ms + 1_000 * (SCRAPE_S - 1))


def ticks(now_ms: int) -> Messages:
    """The time, for every partition."""
    return [(played.TELEMETRY, n, write(Tick(now_ms))) for n in range(PARTITIONS)]


def pushes(count: int, begin_ms: int, settings: Settings, each: int) -> Messages:
    """Alerts of forty services within a minute, so many in each push, a tick each second."""
    placing = Placing(settings)
    messages: Messages = []
    told_ms = begin_ms
    for first in range(0, count, each):
        at_ms = begin_ms + first * 60_000 // count
        while told_ms + 1_000 <= at_ms:
            told_ms += 1_000
            messages += ticks(told_ms)
        push = [_pushed(n, at_ms) for n in range(first, min(first + each, count))]
        messages += [
            (played.ALERTS, one.partition, one.data) for one in packed(push, placing, _nobody)
        ]
    for second in range(told_ms // 1_000 + 1, begin_ms // 1_000 + 121):
        messages += ticks(second * 1_000)
    return messages


def _nobody(_incident_id: str) -> Sequence[str]:
    return ()


def _pushed(n: int, at_ms: int) -> NewEntry:
    service = f"pushed{n % ALERTING_SERVICES:02d}"
    words = {"alertname": "Pushed", "service": service, "instance": f"i{n}", "severity": "warning"}
    alert = Alert(Labels.of(words), "prom", at_ms, at_ms)
    return NewEntry(JournalKind.ALERT, "prom", at_ms, encode(alert))


def decided_ms(store: Store, domains: int) -> int:
    """The time up to which everything is decided and written, by all who decide."""
    with store.records.read() as conn:
        data = [snapshot_rows.get(conn, f"correlate.{n}") for n in range(domains)]
    return min(0 if one is None else Mark.load(one).now_ms for one in data)


def wait(done: Callable[[], bool], pause_s: float = 0.1) -> float:
    """Seconds until it is done."""
    begun_s = time.monotonic()
    while not done():
        if time.monotonic() - begun_s > LONGEST_S:
            raise TimeoutError("the workers did not come to an end")
        time.sleep(pause_s)
    return time.monotonic() - begun_s


@dataclass(slots=True)
class Site:
    """A cluster with a number of workers of each stage, each stage in processes of its own."""

    cluster: Cluster
    store: Store
    domains: int
    stages: dict[str, list[Process]]

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds so far, by stage."""
        return {name: sum(one.cpu_s for one in some) for name, some in self.stages.items()}

    def rss_bytes(self, stage: str) -> int:
        """Resident memory of a stage's processes."""
        return sum(one.rss_bytes for one in self.stages[stage])

    def idle(self, seconds: float) -> dict[str, float]:
        """The share of a core that each stage takes with nothing to do."""
        before = self.cpu_s()
        time.sleep(seconds)
        return {name: (cpu - before[name]) / seconds for name, cpu in self.cpu_s().items()}

    def play(self, messages: Messages, until_ms: int) -> tuple[float, dict[str, float]]:
        """Send and wait until it is decided: seconds, and processor seconds by stage."""
        before, begun_s = self.cpu_s(), time.monotonic()
        self.cluster.send(messages)
        wait(partial(self._has_decided, until_ms))
        wall_s = time.monotonic() - begun_s
        return wall_s, {name: cpu - before[name] for name, cpu in self.cpu_s().items()}

    def lag_s(self, begin_ms: int, scrape: Messages) -> float:
        """From the last byte of a scrape and its tick until it is decided and written; median of nine."""
        found = []
        for n in range(1, 10):
            at_ms = begin_ms + 15_000 * n
            self.cluster.send([*scrape, *ticks(at_ms)])
            found.append(wait(partial(self._has_decided, at_ms), 0.005))
        return sorted(found)[4]

    def _has_decided(self, at_ms: int) -> bool:
        return decided_ms(self.store, self.domains) >= at_ms

    def snapshot_bytes(self) -> int:
        """What is kept of the detectors."""
        with self.store.records.read() as conn:
            found = [snapshot_rows.get(conn, f"detect.{n}") for n in range(PARTITIONS)]
        return sum(len(one) for one in found if one is not None)


def rows(store: Store) -> int:
    """Rows of the records."""
    tables = ("alerts", "groupings", "incidents", "timeline", "clocks", "ledger", "outbox")
    with store.records.read() as conn:
        return sum(conn.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar_one() for t in tables)


def records_bytes(store: Store) -> int:
    """Room that the records take."""
    with store.records.read() as conn:
        if conn.dialect.name == "postgresql":
            asked = conn.exec_driver_sql("SELECT pg_database_size(current_database())")
            return int(asked.scalar_one())
    return store.records.size_bytes()


def site(folder: Path, broker: Broker, workers: int, domains: int, records: str) -> Site:
    """So many workers that detect, as many that decide, one that acts; begun and shared out."""
    cluster = Cluster(
        folder,
        broker,
        World(services=20),
        partitions=PARTITIONS,
        keep_every="30s",
        domains=domains,
        records=records,
    )
    stages = {
        name: [cluster.worker(name) for _ in range(1 if name == "act" else workers)]
        for name in ("detect", "correlate", "act")
    }
    store = cluster.store()
    # A message that comes while partitions are shared out may be passed over, and is read again at the next one.
    for seconds in range(int(LONGEST_S)):
        cluster.send(ticks(START_MS - 3_600_000 + 1_000 * seconds))
        time.sleep(1)
        if decided_ms(store, domains) > 0:
            break
    time.sleep(6)  # until the partitions are shared out
    return Site(cluster, store, domains, stages)


def intake(
    folder: Path, broker: Broker, series_wanted: int, seconds: int
) -> Iterator[tuple[str, float, str]]:
    """A worker that scrapes targets of its own and sends what it finds; name, value, unit."""
    port, targets = free_port(), 10
    listed = "\n".join(
        f"    - {{url: 'http://127.0.0.1:{port}/t{n}', job: bench, service: s{n}}}"
        for n in range(targets)
    )
    cluster = Cluster(folder, broker, World(services=20), partitions=PARTITIONS)
    config = folder / "config" / "tocsin.yaml"
    scrape = f"scrape:\n  interval: 5s\n  series_max: 200000\n  targets:\n{listed}\n"
    config.write_text(config.read_text() + scrape)
    exporter = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.exporter", str(port), str(targets), str(series_wanted // targets)],
        cwd=ROOT,
    )  # fmt: skip
    try:
        address = f"127.0.0.1:{free_port()}"
        one = cluster.worker("intake", "--metrics", address)
        time.sleep(20)  # every target was seen, label blocks are made
        cpu_s, sent = one.cpu_s, _metric(address, "tocsin_kafka_sent_bytes_total")
        scraped = _metric(address, "tocsin_scrape_samples_total")
        time.sleep(seconds)
        samples = _metric(address, "tocsin_scrape_samples_total") - scraped
        yield "cpu_s_per_msample", (one.cpu_s - cpu_s) / samples * 1e6, "s"
        yield (
            "network_bytes_per_sample",
            (_metric(address, "tocsin_kafka_sent_bytes_total") - sent) / samples,
            "bytes",
        )
    finally:
        exporter.kill()
        exporter.wait()
        cluster.close()


def _metric(address: str, name: str) -> float:
    import urllib.request

    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
