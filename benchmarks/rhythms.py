"""Rhythms: how often one is told to be lost where nothing says so, and how often made-up ones are found and missed.

    python -m benchmarks.rhythms --data ../shared/data [--json FILE] [--machines N] [--seeds N]

- `rhythm_informed_per_series_week`, `rhythm_warned_per_series_week`: `RhythmLost` on the fault-free first halves of SMD's
  machines (a metric a gauge, a sample a minute, through `detectors.Engine`). What has a rhythm there really may lose it:
  the rates are upper bounds of false alarms. `rhythms_found` is how many of the series have one at the end.
- `noise_*`: the same of made-up series that have no rhythm: noise of five colours, bursts, irregular beats, a day's swing.
- `trains_found`, `trains_missed`: of made-up trains of beats (periods of 7 minutes to 6 hours, three sizes of
  noise), those whose period is known to a hundredth within three days, and of them those of which the beats' end is
  told within two periods.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.packs import absent, folders
from benchmarks.report import Row, arguments, tell
from benchmarks.smd import Floats, machines
from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.rhythm.follow import Stage
from detectors.rhythms import Rhythms
from detectors.settings import DetectorSettings
from model.alert import Alert, Severity
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

_START_MS = 1_767_571_200_000
_MINUTE_MS, _WEEK = 60_000, 7 * 1_440
_SEEDS = 10
_NOISES = ("white", "pink", "red", "walk", "bursts", "irregular", "day", "heavy")
_PERIODS = (7.0, 20.0, 33.3, 37.0, 90.0, 360.0)
_SNR = (15.0, 5.0, 2.5)  # of a beat to the deviation of a minute


class World:
    """Gauges of one service of tier 1, a sample a minute."""

    def __init__(self, names: list[str]) -> None:
        self.index = SeriesIndex(series_max=10_000)
        knowledge = Knowledge(tiers={"host": 1})
        self.engine = Engine(DetectorSettings(), self.index, knowledge=knowledge)
        labels = [Labels.of({"__name__": name, "service": "host"}) for name in names]
        self.rows = [self.index.intern(each, now_ms=_START_MS) for each in labels]
        self.side = next(w for w in self.engine._watchers if isinstance(w, Rhythms))
        self.minute = 0

    def run(self, values: Floats) -> list[Alert]:
        """`values`: shape (n_minutes, n_series); what is told of rhythms."""
        told = []
        for sample in values:
            self.minute += 1
            now_ms = _START_MS + self.minute * _MINUTE_MS
            batch = MetricBatch.of(self.rows, now_ms, sample, arrival_ms=now_ms)
            told += self.engine.take(batch, now_ms=now_ms) + self.engine.step(now_ms)
        return [alert for alert in told if alert.name == "RhythmLost"]

    def periods(self) -> list[float]:
        """Minutes, of each series; 0 where none is known."""
        follow, found = self.side.follow, []
        for row in self.rows:
            place = int(self.side.by_row["place"][row])
            known = place >= 0 and follow.rows["stage"][place] == Stage.KNOWN
            found.append(follow.period_ms(place) / _MINUTE_MS if known else 0.0)
        return found


def begun(told: list[Alert], severity: Severity) -> int:
    """How many alerts of a severity began."""
    return len({(a.key, a.starts_ms) for a in told if a.severity is severity})


def rates(name: str, values: Floats, subject: str) -> list[Row]:
    """Alerts by series and week, and rhythms found."""
    world = World([f"metric_{n}" for n in range(values.shape[1])])
    told = world.run(values)
    weeks = values.size / _WEEK
    return [
        Row(f"{name}informed_per_series_week", subject, begun(told, Severity.INFO) / weeks, ""),
        Row(f"{name}warned_per_series_week", subject, begun(told, Severity.WARNING) / weeks, ""),
        Row(f"{name}rhythms_found", subject, sum(p > 0 for p in world.periods()), "series"),
    ]


def noise(kind: str, steps: int, rng: np.random.Generator) -> Floats:
    """A series that has no rhythm of less than a day."""
    white = rng.normal(size=steps)
    if kind in ("pink", "red", "walk"):
        share = {"pink": 0.5, "red": 0.95, "walk": 1.0}[kind]
        for at in range(1, steps):
            white[at] += share * white[at - 1]
        return 100.0 + white
    if kind == "bursts":
        return np.asarray((rng.random(steps) < 0.02) * rng.lognormal(2.0, 1.0, steps))
    if kind == "irregular":
        beats = np.cumsum(np.maximum(rng.normal(30.0, 6.0, steps // 20), 3.0)).astype(int)
        white[beats[beats < steps]] += 10.0
        return white
    if kind == "day":
        return np.asarray(50 + 30 * np.sin(np.arange(steps) / 720 * np.pi) + white)
    return rng.standard_t(2.0, steps) if kind == "heavy" else white


def trains(seed: int) -> list[Row]:
    """Trains of beats of all periods and sizes, three days and what follows their end."""
    rng, days = np.random.default_rng(seed), 3 * 1_440
    asked = [(period, ratio) for period in _PERIODS for ratio in _SNR]
    at = np.arange(days)
    beat: Callable[[float, float], Floats] = lambda p, r: np.asarray(  # noqa: E731
        r * ((at % p) < max(2.0, 0.05 * p)) + rng.normal(size=days)
    )
    world = World([f"train_{n}" for n in range(len(asked))])
    world.run(np.stack([beat(*each) for each in asked], axis=1))
    known = [
        abs(found / period - 1.0) < 0.01
        for found, (period, _) in zip(world.periods(), asked, strict=True)
    ]
    begin_ms = _START_MS + world.minute * _MINUTE_MS
    told = world.run(rng.normal(size=(720, len(asked))))
    missed = 0
    for number, (period, _) in enumerate(asked):
        mine = [a for a in told if a.labels.get("metric") == f"train_{number}" and a.firing]
        late_ms = 2 * period * _MINUTE_MS + 3 * _MINUTE_MS
        missed += known[number] and any(a.arrival_ms <= begin_ms + late_ms for a in mine)
    subject = f"{len(asked)} trains, periods {min(_PERIODS):g} to {max(_PERIODS):g} min"
    return [
        Row("trains_found", subject, sum(known) / len(asked), ""),
        Row("trains_missed", f"{sum(known)} found ones", missed / max(sum(known), 1), ""),
    ]


def main() -> None:
    """Measure and tell."""
    parser = arguments("rhythms: found, missed, and false alarms", data=True)
    parser.add_argument("--machines", type=int, default=1_000, help="at most so many of SMD")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="of each kind of noise")
    options = parser.parse_args()
    rng, steps = np.random.default_rng(1), 7 * 1_440
    made = [noise(kind, steps, rng) for kind in _NOISES for _ in range(options.seeds)]
    rows = [*trains(1), *rates("noise_", np.stack(made, axis=1), f"{len(made)} series, a week")]
    hosts = machines(folders(options.data, ("SMD",))) if options.machines else []
    if not hosts and options.machines:
        absent("no SMD (test_label/machine-*.txt) there")
    for machine in hosts[: options.machines]:
        rows += rates("rhythm_", machine.train, f"{machine.name}, {machine.train.shape[1]} series")
    tell(rows, options.json)


if __name__ == "__main__":
    main()
