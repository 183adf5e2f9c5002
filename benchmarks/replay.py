"""Is a replay the same twice, whatever the batches; and how fast does it go?

    python -m benchmarks.replay [--data DIR] [--json FILE]

- `incidents_differing`: incidents (with their timelines) that are not byte for byte the same, between
  two runs of the same batches, and between everything of a step in one batch and 37 samples in each.
- `replay_speed`: recorded seconds played in a second, of made-up telemetry of 1,000 series at 15 s.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Row, arguments, tell
from benchmarks.telemetry import World, record
from pipeline import backtest, settings

BATCHES = 37  # of no meaning, and no divisor of anything


def differing(one: backtest.Backtest, other: backtest.Backtest) -> int:
    """Incidents of either that the other does not have, byte for byte."""
    ours, theirs = Counter(one.canonical()), Counter(other.canonical())
    return max(sum((ours - theirs).values()), sum((theirs - ours).values()))


def measure(folder: Path, given: settings.Settings, subject: str) -> list[Row]:
    """Play a recording three times."""
    began_s = time.perf_counter()
    first = backtest.run(folder, given)
    took_s = time.perf_counter() - began_s
    second = backtest.run(folder, given)
    split = backtest.run(folder, given, batching=BATCHES)
    return [
        Row("incidents", subject, len(first.incidents), ""),
        Row("incidents_differing", f"{subject}, twice", differing(first, second), ""),
        Row("incidents_differing", f"{subject}, one batch or many", differing(first, split), ""),
        Row("replay_speed", subject, first.recorded_s / took_s, "s/s"),
        Row("samples_per_second", subject, first.samples / took_s, "1/s"),
    ]


def main() -> None:
    """Measure and tell."""
    options = arguments("replay: determinism and speed", data=True).parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-replay-") as name:
        (Path(name) / "tocsin.yaml").write_text("", encoding="utf-8")
        given = settings.load(Path(name))
        if options.data is not None:
            rows = measure(options.data, given, options.data.name)
        else:
            world = World()
            folder = Path(name) / "recording"
            record(world, folder)
            rows = measure(
                folder, replace(given, catalogue=world.catalogue()), "1,000 series at 15 s"
            )
    tell(rows, options.json)


if __name__ == "__main__":
    main()
