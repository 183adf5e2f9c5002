"""More than one worker: how much, at what price, and does it change what is decided?

    python -m benchmarks.scale [--workers 1 2] [--series 10000] [--scrapes 60] [--alerts 5000] [--json FILE]

Workers are processes on this machine, the broker is Tansu (in memory) on the same cores: with as many workers
as cores the samples a second say how many cores there are, so look at `cpu_s_per_msample`.

- `samples_per_s`: from the first message to the last that the correlator has taken.
- `cpu_s_per_msample`: processor seconds of all workers for a million samples, detecting and correlating; of the
  detectors alone in one process also for the first scrape, when every series is new, and for the second half.
- `network_bytes_per_sample`: of the messages as sent.
- `alerts_per_s`: pushed alerts, from the first to the transaction that holds the last.
- `recovery_s`: from the kill -9 of one worker until the messages sent after it have been decided on; the session
  timeout (3 s) is in it.
- `outcome_differences`: alerts, incidents, timelines and actions that differ from those of one process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import distributed as played
from benchmarks.brokers import Broker, Cluster
from benchmarks.report import Row, arguments, tell
from benchmarks.telemetry import START_MS, World, scrapes, series
from model.alert import Alert
from model.batch import MetricBatch
from model.codec import encode
from model.journal import JournalKind
from model.labels import Labels
from model.series import SeriesIndex
from pipeline.distributed.aligning import Mark
from pipeline.distributed.detecting import Detecting
from pipeline.distributed.shards import Splitter
from pipeline.distributed.wire import Entry, Tick, read, write
from store import snapshots as snapshot_rows
from store.store import Store

PARTITIONS = 4
STORM = World(services=6, instances=2, duration_s=2_700)
STAGES = "detect,correlate"
LONGEST_S = 600.0
Messages = list[tuple[str, int, bytes]]


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


def ticks(now_ms: int) -> Messages:
    """The time, for every partition."""
    return [(played.TELEMETRY, n, write(Tick(now_ms))) for n in range(PARTITIONS)]


def pushed(count: int, begin_ms: int) -> Messages:
    """Alerts of forty services within a minute."""
    messages: Messages = []
    for n in range(count):
        at_ms = begin_ms + n * 60_000 // count
        words = {"alertname": "Pushed", "service": f"service{n % 40:02d}", "instance": f"i{n}"}
        alert = Alert(Labels.of({**words, "severity": "warning"}), "prom", at_ms, at_ms)
        entry = Entry(JournalKind.ALERT, "prom", at_ms, encode(alert))
        messages.append((played.ALERTS, 0, write(entry)))
        if n % 100 == 99:
            messages += ticks(at_ms)
    return [*messages, *ticks(begin_ms + 120_000)]


def decided_ms(store: Store) -> int:
    """The time up to which everything is decided and written."""
    with store.records.read() as conn:
        data = snapshot_rows.get(conn, "correlate.0")
    return 0 if data is None else Mark.load(data).now_ms


def wait(done: Callable[[], bool]) -> float:
    """Seconds until it is done."""
    begun_s = time.monotonic()
    while not done():
        if time.monotonic() - begun_s > LONGEST_S:
            raise TimeoutError("the workers did not come to an end")
        time.sleep(0.1)
    return time.monotonic() - begun_s


def speed(workers: int, series_wanted: int, count: int, alerts: int) -> list[Row]:
    """Throughput of a number of workers."""
    messages, samples, last_ms = telemetry(series_wanted, count)
    subject = f"{workers} worker{'s' if workers > 1 else ''}"
    with tempfile.TemporaryDirectory(prefix="tocsin-scale-") as name:
        with Broker(Path(name)) as broker, Cluster(
            Path(name), broker, STORM, partitions=PARTITIONS, keep_every="30s"
        ) as cluster:  # fmt: skip
            processes = [cluster.worker(STAGES) for _ in range(workers)]
            cluster.send(ticks(START_MS - 60_000))
            store = cluster.store()
            wait(lambda: decided_ms(store) > 0)
            time.sleep(6)  # until the partitions are shared out
            before_s = sum(one.cpu_s for one in processes)
            begun_s = time.monotonic()
            # Whatever was not decided is written at the latest ten seconds of stream time later.
            cluster.send([*messages, *ticks(last_ms + 20_000)])
            wait(lambda: decided_ms(store) > last_ms)
            wall_s = time.monotonic() - begun_s
            cpu_s = sum(one.cpu_s for one in processes) - before_s
            begun_s = time.monotonic()
            cluster.send(pushed(alerts, last_ms + 60_000))
            wait(lambda: decided_ms(store) >= last_ms + 180_000)
            alerts_s = time.monotonic() - begun_s
            store.close()
    size = sum(len(data) for _, _, data in messages)
    return [
        Row("samples_per_s", subject, samples / wall_s, "samples/s"),
        Row("cpu_s_per_msample", subject, cpu_s / samples * 1e6, "s"),
        Row("network_bytes_per_sample", subject, size / samples, "bytes"),
        Row("alerts_per_s", subject, alerts / alerts_s, "alerts/s"),
    ]


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
    parts = {
        "detectors alone": sum(took_s) / samples,
        "detectors alone, first scrape": took_s[0] / samples * count,
        "detectors alone, second half": sum(later) / len(later) / samples * count,
    }
    return [Row("cpu_s_per_msample", part, share * 1e6, "s") for part, share in parts.items()]


def outcome(workers: int) -> list[Row]:
    """The recorded storm, one worker killed in it where there are two: differences, and how long it took."""
    subject = f"{workers} worker{'s' if workers > 1 else ''}"
    with tempfile.TemporaryDirectory(prefix="tocsin-scale-") as name:
        folder = Path(name)
        played.record_storm(STORM, folder / "recorded")
        settings = played.configure(folder / "embedded", STORM)
        store = Store.open(f"sqlite:///{folder / 'embedded.db'}", now_ms=0)
        played.embedded(folder / "recorded", settings, store)
        expected = played.outcome(store)
        store.close()
        messages = list(played.messages(folder / "recorded", PARTITIONS))
        part = 7 * len(messages) // 10
        recovery: list[Row] = []
        with Broker(folder) as broker, Cluster(
            folder, broker, STORM, partitions=PARTITIONS
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


def main() -> None:
    """Measure and tell."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--scrapes", type=int, default=60)
    parser.add_argument("--alerts", type=int, default=5_000)
    given = parser.parse_args()
    rows = alone(given.series, given.scrapes)
    for workers in given.workers:
        rows += speed(workers, given.series, given.scrapes, given.alerts)
        rows += outcome(workers)
    tell(rows, given.json)


if __name__ == "__main__":
    main()
