"""What samples cost as they come: a site in many small scrapes, a step each second, as `tocsin run` has it.

    python -m benchmarks.live [--series 10000] [--targets 10 100 1000] [--cycles 40] [--json FILE]

The same series as in `benchmarks.scale`, through the whole detector stage; their targets are scraped one after
another within fifteen seconds. Processor seconds for a million samples:

- `live_cpu_s_per_msample`: batches that come within a second are taken as one (`model.batch.joined`).
- `live_cpu_s_per_msample_apart`: each batch by itself; `ratio` is to this.

`first`: of the first cycle, in which every series is met; `second half`: of the later cycles, when all are known.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import distributed as played
from benchmarks.report import Row, arguments, tell
from benchmarks.scale import STORM
from benchmarks.telemetry import World, scrapes, series
from model.batch import MetricBatch, Rows, joined
from model.series import SeriesIndex
from pipeline import wiring

EVERY_S = 15


def seconds(world: World, rows: list[Rows]) -> Iterator[tuple[int, list[MetricBatch]]]:
    """Each second and the batches that come in it, one for each target that is due."""
    ends = np.cumsum([len(one) for one in rows])[:-1]
    for time_ms, values in scrapes(world):
        due: list[list[MetricBatch]] = [[] for _ in range(EVERY_S)]
        for n, (own, shown) in enumerate(zip(rows, np.split(values, ends), strict=True)):
            second = n * EVERY_S // len(rows)
            at_ms = time_ms + 1_000 * second
            due[second].append(MetricBatch.of(own, at_ms, shown, arrival_ms=at_ms, source=f"t{n}"))
        yield from ((time_ms + 1_000 * second, due[second]) for second in range(EVERY_S))


def took_s(series_wanted: int, targets: int, cycles: int, *, apart: bool) -> list[float]:
    """Processor seconds of each cycle; how many series there were is `series_wanted`, by two hundreds."""
    world = World(services=20, instances=series_wanted // 200, duration_s=EVERY_S * cycles)
    with tempfile.TemporaryDirectory(prefix="tocsin-live-") as name:
        settings = played.configure(Path(name) / "config", STORM)
        index = SeriesIndex()
        engine = wiring.build_engine(settings, index)
        every = np.array([index.intern(one) for one in series(world)], dtype=np.int32)
        took: list[float] = []
        for number, (now_ms, batches) in enumerate(seconds(world, np.array_split(every, targets))):
            began_s = time.process_time()
            for batch in batches if apart else joined(batches):
                engine.take(batch, now_ms=now_ms)
            engine.step(now_ms)
            if number % EVERY_S == 0:
                took.append(0.0)
            took[-1] += time.process_time() - began_s
    return took


def measure(series_wanted: int, targets: int, cycles: int) -> Iterator[Row]:
    """One size of targets, both ways."""
    count = series_wanted // 200 * 200
    found = [took_s(series_wanted, targets, cycles, apart=apart) for apart in (False, True)]
    for part, some in (
        ("all", slice(None)), ("first", slice(0, 1)), ("second half", slice(cycles // 2, None)),
    ):  # fmt: skip
        as_one, apart = (sum(took[some]) / len(took[some]) / count * 1e6 for took in found)
        subject = f"{count:,} series of {targets:,} targets, {part}"
        what = "live_cpu_s_per_msample"
        yield Row(what, subject, as_one, "s", "each batch by itself", as_one / apart)
        yield Row(f"{what}_apart", subject, apart, "s")


def main() -> None:
    """Measure and tell."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--targets", type=int, nargs="+", default=[10, 100, 1_000])
    parser.add_argument("--cycles", type=int, default=40)
    given = parser.parse_args()
    rows = [row for n in given.targets for row in measure(given.series, n, given.cycles)]
    tell(rows, given.json)


if __name__ == "__main__":
    main()
