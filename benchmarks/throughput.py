"""How many samples a second the detectors take on one core, and how many bytes a series costs.

    python -m benchmarks.throughput [--series N] [--json FILE]

- `full_samples_per_s`, `full_bytes_per_series`: `detectors.full`, every series once a step, in CPU time.
- `light_samples_per_s`, `light_bytes_per_series`: what the live `Engine` does for a gauge of unknown
  meaning (clock, flat line, baseline, change of level, alerts): the whole of `Engine.take`.
- `million_series_core_share`: seconds of one core by 15 for 1,000,000 series every 15 s, measured as a
  whole by `benchmarks.million`: scrape text of 100 targets (repeated layout), `Engine.take` and `step` on
  all of it, the full tier's `score` and `alarms` on a tenth; of which text, engine, full tier. A cycle's
  median of five. `million_series_rss_bytes` is the process' memory then, `first_sight_samples_per_s` the
  first cycle's text and engine, when every series is new.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.million import million
from benchmarks.report import Row, arguments, tell
from benchmarks.telemetry import START_MS
from detectors.engine import Engine
from detectors.full.tier import FullTier
from detectors.settings import DetectorSettings
from model.batch import Floats, MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

_STEP_MS = 15_000
_WARM = 40
_STEPS = 30
_MILLION = 1_000_000


def _values(rng: np.random.Generator, levels: Floats, step: int) -> Floats:
    """One sample of each series: noise about a daily rhythm, now and then a spike."""
    usual = levels * (1.0 + 0.3 * np.sin(step / 50.0) + 0.05 * rng.standard_normal(len(levels)))
    return np.asarray(np.where(rng.random(len(levels)) < 1e-4, usual * 3.0, usual))


def full(series: int) -> tuple[float, float]:
    """Samples a second and bytes a series."""
    rng = np.random.default_rng(1)
    levels = rng.lognormal(2, 1, series)
    tier, rows = FullTier(series), np.arange(series)
    took = []
    for step in range(_WARM + _STEPS):
        values = _values(rng, levels, step)
        times_ms = np.full(series, START_MS + step * _STEP_MS)
        began = time.process_time()
        tier.alarms(rows, tier.score(rows, times_ms, values))
        took.append(time.process_time() - began)
    return series / float(np.median(took[_WARM:])), tier.nbytes / series


def light(series: int) -> tuple[float, float]:
    """Samples a second and bytes a series."""
    rng = np.random.default_rng(2)
    levels = rng.lognormal(2, 1, series)
    index = SeriesIndex()
    for number in range(series):
        index.intern(Labels.of({"__name__": "depth", "queue": str(number)}), now_ms=START_MS)
    engine = Engine(DetectorSettings(), index)
    rows, took = np.arange(series), []
    for step in range(_WARM + _STEPS):
        at_ms = START_MS + step * _STEP_MS
        batch = MetricBatch.of(rows, at_ms, _values(rng, levels, step), arrival_ms=at_ms)
        began = time.process_time()
        engine.take(batch, now_ms=at_ms)
        took.append(time.process_time() - began)
    return series / float(np.median(took[_WARM:])), engine.nbytes / series


def main() -> None:
    """Measure and tell."""
    parser = arguments("throughput: samples a second of both tiers")
    parser.add_argument("--series", type=int, default=100_000, metavar="N")
    parser.add_argument("--site", type=int, default=_MILLION, metavar="N", help="series of million")
    options = parser.parse_args()
    series = options.series
    # First, for its memory is what the process has.
    shares, first_s, rss = million(options.site)
    full_s, full_bytes = full(series)
    light_s, light_bytes = light(series)
    subject, site = f"{series:,} series, one core", f"{options.site:,} series at 15 s"
    tell(
        [
            Row("full_samples_per_s", subject, full_s, "1/s"),
            Row("full_bytes_per_series", subject, full_bytes, "B"),
            Row("light_samples_per_s", subject, light_s, "1/s"),
            Row("light_bytes_per_series", subject, light_bytes, "B"),
            Row("million_series_core_share", site, shares.pop("all"), ""),
            *(Row("million_series_core_share", f"of which {n}", s, "") for n, s in shares.items()),
            Row("million_series_rss_bytes", site, rss, "B"),
            Row("first_sight_samples_per_s", site, first_s, "1/s"),
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
