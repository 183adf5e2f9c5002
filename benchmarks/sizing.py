"""What docs/capacity.md counts with: detectors and one decider in this process, without brokers.

    python -m benchmarks.sizing [--series 10000 40000] [--scrapes 8] [--alerts 20000] [--postgresql URL] [--json FILE]

Processor seconds, so a busy machine disturbs them less than it does rates. Four partitions, a tick each second,
a scrape each 15 s. `signal` series are of names that detectors know (requests, errors, latency, CPU, memory, up),
`plain` ones of names that say nothing.

- `first_cpu_s_per_msample`: the first two scrapes, in which each series is met.
- `cpu_s_per_msample`: later ones, without ticks; `tick_ms`: one tick of one partition.
- `memory_bytes_per_series`, `snapshot_bytes_per_series`, `snapshot_us_per_series`.
- `alert_us`, `alert_rows`, `alert_bytes`: one pushed alert decided and committed, in pushes of a hundred; rows and
  room in the database with its indexes, incidents and actions of forty services included.
- `told_us`: what was told of a tick that has nothing to tell.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import distributed as played
from benchmarks import scale_parts as parts
from benchmarks.report import Row, arguments, tell
from benchmarks.scale import records
from benchmarks.telemetry import START_MS, World
from model.labels import Labels
from model.series import SeriesIndex
from pipeline.distributed.correlating import Correlating
from pipeline.distributed.detecting import Detecting
from pipeline.distributed.wire import Message, Tick, Told, read
from pipeline.garbage import collect_seldom
from store.store import Store

WORLD = World(services=20)
PATIENCE_MS = 10**12


def plain(series_wanted: int, count: int) -> parts.Load:
    """Scrapes of gauges whose names say nothing."""
    index, random = SeriesIndex(), np.random.default_rng(1)
    rows = np.array(
        [
            index.intern(
                Labels.of(
                    {
                        "__name__": f"app_pool_{n % 50}",
                        "service": f"s{n % 200}",
                        "instance": f"i{n // 50}",
                        "shard": str(n),
                    }
                )
            )
            for n in range(series_wanted)
        ],
        dtype=np.int32,
    )
    level = random.uniform(10, 1000, series_wanted)
    moments = (
        (
            START_MS + 1_000 * parts.SCRAPE_S * n,
            level * (1 + 0.05 * random.standard_normal(series_wanted)),
        )
        for n in range(count + 2)
    )
    return parts.as_messages(index, rows, moments)


def detecting(kind: str, given: parts.Load, folder: Path) -> Iterator[Row]:
    """What the detectors of some series cost."""
    subject = f"{given.samples_each} {kind} series"
    settings = played.configure(folder, WORLD)
    stages = [Detecting(settings, n) for n in range(parts.PARTITIONS)]
    begin, steady = (
        [(at, read(data)) for _, at, data in some] for some in (given.begin, given.steady)
    )
    before_bytes = _resident_bytes()
    samples_s, ticks_s, _ = _take(stages, begin)
    first = (samples_s + ticks_s) / (2 * given.samples_each)
    yield Row("first_cpu_s_per_msample", subject, first * 1e6, "s")
    samples_s, ticks_s, ticks = _take(stages, steady)
    samples = given.samples_each * ticks / parts.PARTITIONS / parts.SCRAPE_S
    yield Row("cpu_s_per_msample", subject, samples_s / samples * 1e6, "s")
    yield Row("tick_ms", subject, ticks_s / ticks * 1e3, "ms")
    held = (_resident_bytes() - before_bytes) / given.samples_each
    yield Row("memory_bytes_per_series", subject, held, "bytes")
    begun_s = time.process_time()
    size = sum(len(stage.save()) for stage in stages)
    took_s = time.process_time() - begun_s
    yield Row("snapshot_bytes_per_series", subject, size / given.samples_each, "bytes")
    yield Row("snapshot_us_per_series", subject, took_s / given.samples_each * 1e6, "us")


def _take(stages: list[Detecting], messages: list[tuple[int, Message]]) -> tuple[float, float, int]:
    """Processor seconds for samples, for ticks, and how many ticks."""
    spent = {True: 0.0, False: 0.0}
    ticks = 0
    for at, message in messages:
        begun_s = time.process_time()
        stages[at].take(message)
        ticking = isinstance(message, Tick)
        spent[ticking] += time.process_time() - begun_s
        ticks += ticking
    return spent[False], spent[True], ticks


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def deciding(alerts: int, folder: Path, postgresql: str) -> Iterator[Row]:
    """What one decider costs for each alert."""
    kind = "PostgreSQL" if postgresql else "SQLite"
    subject = f"{alerts} pushed alerts, {kind}"
    settings = played.configure(
        folder / "config", WORLD, f"kafka: {{partitions: {parts.PARTITIONS}}}\n"
    )
    messages = [read(data) for _, _, data in parts.pushes(alerts, START_MS, settings, 100)]
    with records(postgresql, "tocsin_sizing") as url:
        store = Store.open(url or f"sqlite:///{folder / 'records.db'}", now_ms=0)
        stage = Correlating(settings, store, 0, sources=parts.PARTITIONS, patience_ms=PATIENCE_MS)
        before_bytes = parts.records_bytes(store)
        offset, told_s, told, begun_s = 0, 0.0, 0, time.process_time()
        for message in messages:
            if isinstance(message, Tick):
                continue
            stage.take(message, offset)
            offset += 1
        for now_ms in range(START_MS + 1_000, START_MS + 121_000, 1_000):
            for source in range(parts.PARTITIONS):
                stage.take(Told(source, now_ms), offset)
                offset += 1
        spent_s = time.process_time() - begun_s
        begun_s = time.process_time()
        for now_ms in range(START_MS + 121_000, START_MS + 621_000, 1_000):
            for source in range(parts.PARTITIONS):
                stage.take(Told(source, now_ms), offset)
                offset, told = offset + 1, told + 1
        told_s = time.process_time() - begun_s
        yield Row("alert_us", subject, spent_s / alerts * 1e6, "us")
        yield Row("told_us", subject, told_s / told * 1e6, "us")
        yield Row("alert_rows", subject, parts.rows(store) / alerts, "")
        yield Row(
            "alert_bytes", subject, (parts.records_bytes(store) - before_bytes) / alerts, "bytes"
        )
        store.close()


def main() -> None:
    """Measure and tell."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, nargs="+", default=[10_000, 40_000])
    parser.add_argument("--scrapes", type=int, default=8)
    parser.add_argument("--alerts", type=int, default=20_000)
    parser.add_argument("--postgresql", default="", help="postgresql://user@host:port/postgres")
    given = parser.parse_args()
    collect_seldom()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-sizing-") as name:
        for count in given.series:
            for kind, load in (("signal", parts.load), ("plain", plain)):
                rows += detecting(kind, load(count, given.scrapes), Path(name) / f"{kind}{count}")
        for url in ("", given.postgresql) if given.postgresql else ("",):
            rows += deciding(given.alerts, Path(name) / ("pg" if url else "lite"), url)
    tell(rows, given.json)


if __name__ == "__main__":
    main()
