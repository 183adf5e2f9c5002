"""More workers than one: how much, at what price by stage, and does it change what is decided?

    python -m benchmarks.scale [--workers 1 2 4] [--series 10000] [--scrapes 40] [--alerts 20000]
        [--push 100] [--postgresql URL] [--parts alone,intake,speed,outcome] [--json FILE]

Workers are processes on this machine, one stage each; the broker is Tansu (in memory) on the same cores. With
as many workers as cores the samples a second say how many cores there are, so look at the processor seconds.
`N workers` are N that detect, N that decide (`kafka.domains` is 4) and one that acts. Records are in SQLite, which
lets one write at a time, or with `--postgresql` in databases of their own that are made there and dropped.

- `samples_per_s`: from the first message to the last that is decided; every series known, a tick each second.
- `samples_per_s_first`: the same of the first two scrapes, in which each series is met.
- `cpu_s_per_msample`: processor seconds for a million samples, by stage; `first`: of those two scrapes.
  Of the detectors alone in one process also for the first scrape, when every series is new, and for the second half.
- `network_bytes_per_sample`: of the messages as sent: each crosses the network once in, once out, and once for
  each further copy.
- `idle_core_share`: of each stage with nothing to do, all its processes together.
- `lag_s`: from a scrape's last byte and its tick until it is decided and committed, nothing else to do; median of 9.
- `memory_bytes_per_series`, `snapshot_bytes_per_series`: what detecting workers hold, and keep in the records.
- `alerts_per_s`: pushed alerts, `--push` of them together, from the first to the transaction that holds the last.
- `cpu_s_per_1000_alerts`: by stage; `rows_per_alert`, `bytes_per_alert`: what they leave in the records.
- `recovery_s`: from the kill -9 of one worker until the messages sent after it have been decided on; the session
  timeout (3 s) is in it.
- `outcome_differences`: alerts, incidents, timelines and actions that differ from those of one process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg

from benchmarks import distributed as played
from benchmarks import scale_parts as parts
from benchmarks.brokers import Broker, Cluster
from benchmarks.report import Row, arguments, tell
from benchmarks.scale_parts import PARTITIONS, Messages, ticks, wait
from benchmarks.telemetry import START_MS, World, scrapes, series
from model.batch import MetricBatch
from model.series import SeriesIndex
from pipeline.distributed.detecting import Detecting
from pipeline.distributed.shards import Splitter
from pipeline.distributed.wire import Tick, read, write
from store.store import Store

STORM = World(services=6, instances=2, duration_s=2_700)
STAGES = "detect,correlate"
DOMAINS = 4


def telemetry(series_wanted: int, count: int) -> tuple[Messages, int, int]:
    """Scrapes of many series as messages; how many samples; the last tick."""
    world = World(services=20, instances=max(1, series_wanted // 200), duration_s=15 * count)
    index = SeriesIndex()
    rows = np.array([index.intern(one) for one in series(world)], dtype=np.int32)
    splitter = Splitter(index, PARTITIONS)
    messages: Messages = []
    samples, now_ms = 0, START_MS
    for time_ms, values in scrapes(world):
        now_ms = time_ms
        batch = MetricBatch.of(rows, time_ms, values, arrival_ms=time_ms, source="bench")
        messages += [(played.TELEMETRY, n, write(one)) for n, one in splitter.split(batch)]
        messages += ticks(time_ms)
        samples += len(rows)
    return messages, samples, now_ms


@contextmanager
def records(postgresql: str, name: str) -> Iterator[str]:
    """The address of an empty database; "" for SQLite in the worker's folder."""
    if not postgresql:
        yield ""
        return
    with psycopg.connect(postgresql, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {name}")
        try:
            yield (
                postgresql.replace("postgresql:", "postgresql+psycopg:").rpartition("/")[0]
                + "/"
                + name
            )
        finally:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def subject_of(workers: int, stage: str = "") -> str:
    """What a row is about."""
    said = f"{workers} worker{'s' if workers > 1 else ''}"
    return f"{said}, {stage}" if stage else said


def speed(
    workers: int, series_wanted: int, count: int, alerts: int, each: int, postgresql: str
) -> list[Row]:
    """Throughput of a number of workers of each stage."""
    given = parts.load(series_wanted, count)
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-scale-") as name,
        records(postgresql, f"tocsin_scale_{workers}") as url,
        Broker(Path(name)) as broker,
    ):
        site = parts.site(Path(name), broker, workers, DOMAINS, url)
        with site.cluster:
            rows = [*_samples(site, workers, given)]
            rows += _alerts(site, workers, given.last_ms, alerts, each)
            site.store.close()
    return rows


def _samples(site: parts.Site, workers: int, given: parts.Load) -> Iterator[Row]:
    idle_bytes = site.rss_bytes("detect")
    held = idle_bytes / workers
    yield Row("worker_memory_bytes", f"{subject_of(workers)}, each, without series", held, "bytes")
    for stage, share in site.idle(10.0).items():
        yield Row("idle_core_share", subject_of(workers, stage), share, "")
    first = 2 * given.samples_each
    begin_ms = START_MS + 2 * parts.SCRAPE_S * 1_000 - 1_000
    wall_s, cpu_s = site.play(given.begin, begin_ms - 10_000)
    yield Row("samples_per_s_first", subject_of(workers), first / wall_s, "samples/s")
    for stage in ("detect", "correlate"):
        cost = cpu_s[stage] / first * 1e6
        yield Row("cpu_s_per_msample", subject_of(workers, f"{stage}, first"), cost, "s")
    scrape_count = (given.last_ms - begin_ms) // (parts.SCRAPE_S * 1_000)
    samples = scrape_count * given.samples_each
    # Whatever was not decided is written at the latest ten seconds of stream time later.
    end_ms = given.last_ms + 11_000
    wall_s, cpu_s = site.play([*given.steady, *ticks(end_ms)], end_ms)
    yield Row("samples_per_s", subject_of(workers), samples / wall_s, "samples/s")
    for stage, used_s in cpu_s.items():
        yield Row("cpu_s_per_msample", subject_of(workers, stage), used_s / samples * 1e6, "s")
    size = sum(len(data) for _, _, data in given.steady)
    yield Row("network_bytes_per_sample", subject_of(workers), size / samples, "bytes")
    held = (site.rss_bytes("detect") - idle_bytes) / given.samples_each
    yield Row("memory_bytes_per_series", subject_of(workers), held, "bytes")
    last = [one for one in given.steady[-given.samples_each :] if len(one[2]) > 1_000][-PARTITIONS:]
    yield Row("lag_s", subject_of(workers), site.lag_s(end_ms, last), "s")
    time.sleep(31)  # until each partition was kept
    kept = site.snapshot_bytes() / given.samples_each
    yield Row("snapshot_bytes_per_series", subject_of(workers), kept, "bytes")


def _alerts(site: parts.Site, workers: int, last_ms: int, alerts: int, each: int) -> Iterator[Row]:
    begin_ms = (last_ms // 1_000 + 300) * 1_000
    before_rows, before_bytes = parts.rows(site.store), parts.records_bytes(site.store)
    wall_s, cpu_s = site.play(
        parts.pushes(alerts, begin_ms, site.cluster.settings, each), begin_ms + 110_000
    )
    yield Row("alerts_per_s", subject_of(workers), alerts / wall_s, "alerts/s")
    for stage, used_s in cpu_s.items():
        cost = used_s / alerts * 1e3
        yield Row("cpu_s_per_1000_alerts", subject_of(workers, stage), cost, "s")
    yield Row(
        "rows_per_alert", subject_of(workers), (parts.rows(site.store) - before_rows) / alerts, ""
    )
    grown = (parts.records_bytes(site.store) - before_bytes) / alerts
    yield Row("bytes_per_alert", subject_of(workers), grown, "bytes")


def alone(series_wanted: int, count: int) -> list[Row]:
    """The same detectors in this process, without messages: what detecting itself costs, at first and later on."""
    messages, samples, _ = telemetry(series_wanted, count)
    took_s: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-scale-") as name:
        settings = played.configure(Path(name) / "config", STORM)
        stages = [Detecting(settings, n) for n in range(PARTITIONS)]
        decoded = [(number, read(data)) for _, number, data in messages]
        begun_s, ticked = time.process_time(), 0
        for number, message in decoded:
            stages[number].take(message)
            ticked += isinstance(message, Tick)
            if ticked == PARTITIONS:  # the end of a scrape of everything
                took_s.append(time.process_time() - begun_s)
                begun_s, ticked = time.process_time(), 0
    assert len(took_s) == count
    later = took_s[count // 2 :]
    shares = {
        "detectors alone": sum(took_s) / samples,
        "detectors alone, first scrape": took_s[0] / samples * count,
        "detectors alone, second half": sum(later) / len(later) / samples * count,
    }
    return [Row("cpu_s_per_msample", part, share * 1e6, "s") for part, share in shares.items()]


def outcome(workers: int, domains: int) -> list[Row]:
    """The recorded storm, one worker killed in it where there are two: differences, and how long it took."""
    subject = subject_of(workers, f"kafka.domains {domains}")
    with tempfile.TemporaryDirectory(prefix="tocsin-scale-") as name:
        folder = Path(name)
        played.record_storm(STORM, folder / "recorded")
        apart = "separate_domains: true" if domains > 1 else ""
        machine = f"kafka: {{partitions: {PARTITIONS}, domains: {domains}}}\n"
        settings = played.configure(folder / "embedded", STORM, machine, apart)
        store = Store.open(f"sqlite:///{folder / 'embedded.db'}", now_ms=0)
        played.embedded(folder / "recorded", settings, store)
        expected = played.outcome(store)
        store.close()
        recorded = folder / "recorded"
        messages = list(played.messages(recorded, PARTITIONS, settings=settings))
        part = 7 * len(messages) // 10
        recovery: list[Row] = []
        with Broker(folder) as broker, Cluster(
            folder, broker, STORM, partitions=PARTITIONS, domains=domains
        ) as cluster:  # fmt: skip
            first, *_others = [cluster.worker(STAGES) for _ in range(workers)]
            cluster.send(messages[:part])
            wait(lambda: bool(cluster.outcome()))
            begun_s = time.monotonic()
            if workers > 1:
                first.kill()
            cluster.send(messages[part:])
            wait(lambda: not set(expected) ^ set(cluster.outcome()))
            if workers > 1:
                recovery = [Row("recovery_s", subject, time.monotonic() - begun_s, "s")]
            differences = len(set(expected) ^ set(cluster.outcome()))
    return [*recovery, Row("outcome_differences", subject, differences, "")]


def intake(series_wanted: int, seconds: int) -> list[Row]:
    """What scraping and sending costs."""
    with tempfile.TemporaryDirectory(prefix="tocsin-scale-") as name, Broker(Path(name)) as broker:
        measured = parts.intake(Path(name), broker, series_wanted, seconds)
        return [Row(what, "1 worker, intake", value, unit) for what, value, unit in measured]


def main() -> None:
    """Measure and tell."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--scrapes", type=int, default=40)
    parser.add_argument("--alerts", type=int, default=20_000)
    parser.add_argument("--push", type=int, default=100, help="alerts in a push")
    parser.add_argument("--postgresql", default="", help="postgresql://user@host:port/postgres")
    parser.add_argument("--parts", default="alone,intake,speed,outcome")
    given = parser.parse_args()
    wanted = given.parts.split(",")
    rows = alone(given.series, given.scrapes) if "alone" in wanted else []
    rows += intake(given.series, 40) if "intake" in wanted else []
    for workers in given.workers:
        if "speed" in wanted:
            size = given.series, given.scrapes, given.alerts, given.push
            rows += speed(workers, *size, given.postgresql)
        for domains in (1, 3) if "outcome" in wanted else ():
            rows += outcome(workers, domains)
    tell(rows, given.json)


if __name__ == "__main__":
    main()
