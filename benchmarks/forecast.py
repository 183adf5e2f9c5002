"""How early, how rightly and how seldom in vain the forecasts speak, beside Prometheus' `predict_linear`.

    python -m benchmarks.forecast [--each 20] [--days 14] [--json FILE]

Volumes with made-up pasts (`forecast_histories`) are scraped once a minute into `detectors.Engine`.

- `told_before_full`: share of those that fill up of which something was told before.
- `lead_h`: hours from the first word to full, median; of `sudden` (full within hours) apart.
- `false_alerts_per_month`: by volume that never fills, `predict_linear` in the same run.
- `time_to_full_error`: median of |log2(forecast / truth)|, at the same moments for both: 1 is a factor 2.
- `interval_coverage`: how often the truth was within the 80 % interval; `interval_width` is the median of
  late by early.

The peer is what the Kubernetes mixin ships: `predict_linear(available[6h], 4 * 24 * 3600) < 0` and less
than 15 % available, for an hour; and the same without the 15 %, which is what people write first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.forecast_histories import FILL, STAY, Floats
from benchmarks.report import Row, arguments, tell
from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

_MINUTE_MS = 60_000
_BEGIN_MS = 1_699_920_000_000
_BYTES = 1e11
_EVERY = 180  # minutes between two looks at the report
_WINDOW = 360  # of predict_linear
_AHEAD = 4 * 1440


@dataclass(slots=True)
class Told:
    """What was told of one volume: minutes at which something began to fire, by who."""

    ours: list[int] = field(default_factory=list)
    mixin: list[int] = field(default_factory=list)
    plain: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Guess:
    """One forecast: ours, the interval's ends, the peer's and the truth; minutes ahead."""

    family: str
    ours: float
    early: float
    late: float
    peer: float
    truth: float


def histories(each: int, minutes: int, seed: int) -> list[tuple[str, Floats]]:
    """Family and share used by minute, between 0 and 1."""
    rng = np.random.default_rng(seed)
    return [
        (name, np.clip(make(rng, minutes), 0.0, 1.0))
        for name, make in (*FILL.items(), *STAY.items())
        for _ in range(each)
    ]


def linear(window: Floats) -> tuple[Floats, Floats]:
    """Least squares as `predict_linear` has it: value now and slope by minute, shape (n,)."""
    at = np.arange(window.shape[1]) - (window.shape[1] - 1)
    mean = at.mean()
    slope = ((at - mean) * (window - window.mean(axis=1, keepdims=True))).sum(axis=1)
    slope /= ((at - mean) ** 2).sum()
    return window.mean(axis=1) - slope * mean, slope


def full_at(level: Floats) -> int | None:
    """The minute at which it is full first."""
    full = np.flatnonzero(level >= 1.0)
    return int(full[0]) if len(full) else None


class Peer:
    """The mixin's rule, with its hour of `for`."""

    def __init__(self, count: int, free: float) -> None:
        self._free = free
        self._since = np.full(count, -1)
        self.firing = np.zeros(count, dtype=np.bool_)

    def step(self, minute: int, now: Floats, slope: Floats, level: Floats) -> list[int]:
        """Those that begin to fire."""
        over = (now + slope * _AHEAD > 1.0) & (1.0 - level < self._free)
        self._since = np.where(over, np.where(self._since < 0, minute, self._since), -1)
        lasting = over & (minute - self._since >= 60)
        begun = lasting & ~self.firing
        self.firing = lasting
        return [int(number) for number in np.flatnonzero(begun)]


def play(past: list[tuple[str, Floats]]) -> tuple[list[Told], list[Guess]]:
    """Scrape them all, minute by minute."""
    levels = np.array([level for _, level in past])
    fulls = [full_at(level) for _, level in past]
    index = SeriesIndex()
    names = [
        Labels.of({"job": "kubelet", "namespace": "x", "persistentvolumeclaim": f"v{number:04d}"})
        for number in range(len(past))
    ]
    rows = np.array(
        [
            index.intern(name.with_(__name__=f"kubelet_volume_stats_{part}_bytes"))
            for part in ("capacity", "available")
            for name in names
        ]
    )
    number_of = {name["persistentvolumeclaim"]: number for number, name in enumerate(names)}
    engine = Engine(DetectorSettings(level_alerts=False), index)
    told, guesses = [Told() for _ in past], list[Guess]()
    by_series: dict[str, int] = {}
    mixin, plain = Peer(len(past), 0.15), Peer(len(past), 2.0)
    for minute in range(levels.shape[1]):
        now_ms = _BEGIN_MS + minute * _MINUTE_MS
        values = np.concatenate([np.full(len(past), _BYTES), _BYTES * (1.0 - levels[:, minute])])
        batch = MetricBatch.of(rows, np.full(len(rows), now_ms), values, arrival_ms=now_ms)
        for alert in (*engine.take(batch, now_ms=now_ms), *engine.step(now_ms)):
            if not alert.name.endswith(("WillFill", "WillRunOut")) or alert.evidence is None:
                continue
            number = number_of[alert.evidence.series["persistentvolumeclaim"]]
            if alert.firing and by_series.get(alert.key) != alert.starts_ms:
                by_series[alert.key] = alert.starts_ms
                told[number].ours.append(minute)
        if minute >= _WINDOW and minute % 5 == 0:
            now, slope = linear(levels[:, minute - _WINDOW : minute])
            for number in mixin.step(minute, now, slope, levels[:, minute]):
                told[number].mixin.append(minute)
            for number in plain.step(minute, now, slope, levels[:, minute]):
                told[number].plain.append(minute)
            if minute % _EVERY == 0:
                ahead = (1.0 - now) / np.maximum(slope, 1e-12)
                guesses += _guesses(engine, number_of, past, fulls, now_ms, minute, ahead)
    return told, guesses


def _guesses(
    engine: Engine,
    number_of: dict[str, int],
    past: list[tuple[str, Floats]],
    fulls: list[int | None],
    now_ms: int,
    minute: int,
    peer: Floats,
) -> list[Guess]:
    found = []
    for one in engine.capacity():
        number = number_of[one.series["persistentvolumeclaim"]]
        full = fulls[number]
        if full is None or full <= minute or one.full_ms is None or one.early_ms is None:
            continue
        ours, early = (t - now_ms for t in (one.full_ms, one.early_ms))
        late = float("inf") if one.late_ms is None else (one.late_ms - now_ms) / _MINUTE_MS
        found.append(
            Guess(
                past[number][0], ours / _MINUTE_MS, early / _MINUTE_MS, late,
                float(peer[number]), full - minute,
            )
        )  # fmt: skip
    return found


def summary(past: list[tuple[str, Floats]], told: list[Told], guesses: list[Guess]) -> list[Row]:
    """The rows."""
    rows, minutes = [], past[0][1].shape[0]
    months = minutes / (30 * 1440)
    for family in FILL:
        some = [
            (full, told[number])
            for number, (name, level) in enumerate(past)
            if name == family and (full := full_at(level)) is not None
        ]
        for who in ("ours", "mixin"):
            leads = [(full - min(getattr(one, who))) / 60 for full, one in some
                     if getattr(one, who) and min(getattr(one, who)) < full]  # fmt: skip
            subject = family if who == "ours" else f"{family}, predict_linear 15 %"
            share = len(leads) / max(len(some), 1)
            rows.append(Row("told_before_full", subject, share, ""))
            rows.append(Row("lead_h", subject, float(np.median(leads)) if leads else 0.0, "h"))
        rows += _errors(family, [g for g in guesses if g.family == family])
    rows += _errors("all", guesses)
    for family in (*STAY, "all"):
        numbers = [n for n, (name, _) in enumerate(past) if name == family or (family == "all" and name in STAY)]  # fmt: skip
        ours, mixin, plain = (
            sum(len(getattr(told[n], who)) for n in numbers) / (len(numbers) * months)
            for who in ("ours", "mixin", "plain")
        )
        for peer, theirs in (("predict_linear 15 %", mixin), ("predict_linear", plain)):
            ratio = ours / theirs if theirs else None
            rows.append(Row("false_alerts_per_month", family, ours, "", peer, ratio))
    again = sum(max(len(one.ours) - 2, 0) for one, (name, _) in zip(told, past, strict=True) if name in FILL)  # fmt: skip
    rows.append(Row("told_more_than_twice", "all that fill", again, ""))
    return rows


def _errors(family: str, some: list[Guess]) -> list[Row]:
    if not some:
        return []
    ours = np.median([abs(np.log2(max(g.ours, 1.0) / g.truth)) for g in some])
    theirs = np.median([abs(np.log2(min(max(g.peer, 1.0), 1e6) / g.truth)) for g in some])
    within = np.mean([g.early <= g.truth + 1 and g.truth - 1 <= g.late for g in some])
    width = np.median([g.late / max(g.early, 1.0) for g in some])
    ratio = float(ours / theirs) if theirs else None
    return [
        Row("time_to_full_error", family, float(ours), "octaves", "predict_linear", ratio),
        Row("interval_coverage", family, float(within), ""),
        Row("interval_width", family, float(width), ""),
        Row("forecasts", family, len(some), ""),
    ]


def main() -> None:
    """Measure and tell."""
    parser = arguments("forecast: when things run out, beside predict_linear")
    parser.add_argument("--each", type=int, default=20, help="volumes by family")
    parser.add_argument("--days", type=int, default=14, help="length of their past")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    past = histories(options.each, options.days * 1440, options.seed)
    told, guesses = play(past)
    tell(summary(past, told, guesses), options.json)


if __name__ == "__main__":
    main()
