"""Trouble of all kinds in series of all kinds, made up from a seed: what is told, how late, and what is told for nothing.

    python -m benchmarks.kinds [--seeds N] [--tier N] [--days N] [--json FILE]

Each service has one series with trouble after `--days` days, and one without any, a sample a minute, through
`detectors.Engine` with default settings and (but for `--tier`) no catalogue. Nothing was tuned on these series.

- `told`: the share of the troubled series of which something is told that begins while the trouble lasts (and is told within
  half an hour of its end), by kind of trouble, and by kind of series; `told_minutes`: after how long, median.
- `false_per_series_week`: what is told of series without trouble, or before it; `warned_per_service_week`: of warnings.
- `calm_*`: the same over a month in which counters begin anew, nothing at all comes for two hours, clocks are changed by an hour
  and a Wednesday is read as a Sunday: all of it normal.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.kinds_data import DAY, FAMILIES, TROUBLES, Floats, Made, counted, troubled
from benchmarks.report import Row, arguments, tell
from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.settings import DetectorSettings
from model.alert import Alert, Severity
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

_START_MS = 1_767_571_200_000  # a Monday
_MINUTE_MS = 60_000
_GRACE = 30  # minutes after its end in which trouble may still be told
_LATEST = 3 * DAY
_BESIDE = 1
_WEEK = 7 * DAY
_NEVER = slice(0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series: whose it is, of which family, its values, and its trouble."""

    service: str
    name: str
    family: str
    values: Floats
    trouble: str = ""
    begin: int = 0
    end: int = 0


def _made(family: str, at: Floats, rng: np.random.Generator) -> Made:
    return FAMILIES[family](at, rng)


def services(seed: int, days: int, families: list[str]) -> list[Series]:
    """One service for each kind of trouble in each kind of series."""
    rng = np.random.default_rng(seed)
    at = np.arange(days * DAY + _LATEST + _GRACE, dtype=np.float64)
    out: list[Series] = []
    for kind, trouble in TROUBLES.items():
        for family in families:
            if family in trouble.without:
                continue
            service = f"service-{seed}-{len(out)}"
            begin = days * DAY + int(rng.integers(0, DAY))
            where = slice(begin, begin + trouble.minutes)
            values = troubled(kind, _made(family, at, rng), where)
            out.append(_series(service, 0, family, values, rng, kind, where))
            for n in range(1, _BESIDE + 1):
                other = str(rng.choice(families))
                values = _made(other, at, rng).values()
                if kind.startswith("absent"):
                    values[where] = np.nan
                out.append(_series(service, n, other, values, rng))
    return out


def _series(
    service: str, number: int, family: str, values: Floats, rng: np.random.Generator,
    kind: str = "", where: slice = _NEVER, resets: int = 0,
) -> Series:  # fmt: skip
    name, trouble = f"thing_{number}_{family}", (kind, where.start, where.stop)
    if family == "counter":
        return Series(service, f"{name}_total", family, counted(values, rng, resets), *trouble)
    return Series(service, name, family, values, *trouble)


def calm(seed: int, families: list[str]) -> list[Series]:
    """Thirty days without any trouble, but with what looks like some."""
    rng = np.random.default_rng(seed)
    at = np.arange(31 * DAY, dtype=np.float64)
    read = at.copy()
    read[24 * DAY :] += 60.0  # summer time from the fourth Thursday on
    holiday = slice(30 * DAY, 31 * DAY)
    read[holiday] = at[:DAY] + 6 * DAY  # a Wednesday like a Sunday
    out = []
    for family in families:
        for n in range(2):
            values = _made(family, read, rng).values()
            values[23 * DAY + 600 : 23 * DAY + 720] = np.nan
            out.append(_series(f"calm-{seed}-{family}", n, family, values, rng, resets=5))
    return out


def play(series: list[Series], tier: int) -> list[Alert]:
    """Everything the engine tells, in order."""
    index = SeriesIndex(series_max=100_000)
    names = {one.service for one in series}
    engine = Engine(
        DetectorSettings(), index, knowledge=Knowledge(tiers=dict.fromkeys(names, tier))
    )
    labels = [
        Labels.of({"__name__": s.name, "service": s.service, "instance": "a"}) for s in series
    ]
    rows = np.array([index.intern(one, now_ms=_START_MS) for one in labels])
    told: list[Alert] = []
    for minute, sample in enumerate(np.stack([one.values for one in series], axis=1)):
        now_ms = _START_MS + minute * _MINUTE_MS
        some: NDArray[np.bool_] = np.isfinite(sample)
        if some.any():
            batch = MetricBatch.of(rows[some], now_ms, sample[some], arrival_ms=now_ms)
            told += engine.take(batch, now_ms=now_ms)
        told += engine.step(now_ms)
    return told


@dataclass(slots=True)
class Count:
    """Troubles found of how many, and after how many minutes."""

    found: int = 0
    of: int = 0


def first(told: list[Alert]) -> list[Alert]:
    """Each alert once, as it was first told."""
    once: dict[tuple[Labels, int], Alert] = {}
    for alert in told:
        once.setdefault((alert.labels, alert.starts_ms), alert)
    return list(once.values())


def about(alert: Alert, one: Series) -> bool:
    """Whether an alert may be of this series: its own, or of its whole service."""
    metric = alert.labels.get("metric", "")
    return alert.service == one.service and metric in ("", one.name)


def measure(series: list[Series], told: list[Alert]) -> list[Row]:
    """Rows of troubled services."""
    by_kind: dict[str, Count] = defaultdict(Count)
    by_family: dict[str, Count] = defaultdict(Count)
    delays: dict[str, list[float]] = defaultdict(list)
    alerts, right = first(told), set[int]()
    of_service: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        of_service[alert.service].append(alert)
    begins: dict[str, int] = {}
    for one in series:
        if not one.trouble:
            continue
        begin_ms = _START_MS + one.begin * _MINUTE_MS
        end_ms = _START_MS + one.end * _MINUTE_MS
        begins[one.service] = begin_ms
        mine = [a for a in of_service[one.service] if about(a, one)]
        # What is absent is so since its last sample, which is from a minute before.
        since_ms = begin_ms - _MINUTE_MS * one.trouble.startswith("absent")
        mine = [a for a in mine if since_ms <= a.starts_ms < end_ms]
        mine = [a for a in mine if a.arrival_ms <= end_ms + _GRACE * _MINUTE_MS]
        right.update(map(id, of_service[one.service] if one.trouble.startswith("absent") else mine))
        for count in (by_kind[one.trouble], by_family[one.family], by_kind["all"]):
            count.of += 1
            count.found += bool(mine)
        if mine:
            late_ms = min(a.arrival_ms for a in mine) - begin_ms
            delays[one.trouble].append(late_ms / _MINUTE_MS)
    # What is told of a troubled series once its trouble began is neither right nor false, if it is late.
    troubled_rows = {(s.service, s.name) for s in series if s.trouble}
    wrong = [
        a for a in alerts
        if id(a) not in right
        and not ((a.service, a.labels.get("metric", "")) in troubled_rows and a.starts_ms >= begins[a.service])
    ]  # fmt: skip
    weeks = sum(one.begin or len(one.values) for one in series) / _WEEK
    rows = [
        Row("told", kind, count.found / count.of, f"of {count.of}")
        for kind, count in by_kind.items()
    ]
    rows += [
        Row("told", f"in {name}", c.found / c.of, f"of {c.of}") for name, c in by_family.items()
    ]
    rows += [
        Row("told_minutes", kind, float(np.median(late)), "min") for kind, late in delays.items()
    ]
    return rows + false("", series, wrong, weeks)


def false(prefix: str, series: list[Series], wrong: list[Alert], weeks: float) -> list[Row]:
    """What was told for nothing, by series and week, and which."""
    names: dict[str, int] = defaultdict(int)
    for alert in wrong:
        family = alert.labels.get("metric", "service").removesuffix("_total").split("_", 2)[-1]
        names[f"{alert.name} {alert.severity.name.lower()} {family}"] += 1
    print(prefix, dict(sorted(names.items())))
    share = len({one.service for one in series}) / len(series)
    warned = sum(alert.severity is not Severity.INFO for alert in wrong)
    subject = f"{len(series)} series"
    return [
        Row(f"{prefix}false_per_series_week", subject, len(wrong) / weeks, ""),
        Row(f"{prefix}warned_per_service_week", subject, warned / (weeks * share), ""),
    ]


def main() -> None:
    """Measure and tell."""
    parser = arguments("kinds: trouble of all kinds in series of all kinds")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--tier", type=int, default=3, help="of all services in the catalogue; 3: not listed"
    )
    parser.add_argument("--days", type=int, default=5, help="learnt before the trouble")
    parser.add_argument("--part", choices=("troubled", "calm", "both"), default="both")
    parser.add_argument(
        "--families", nargs="*", choices=list(FAMILIES), help="only these kinds of series"
    )
    options = parser.parse_args()
    some = options.families or list(FAMILIES)
    rows: list[Row] = []
    if options.part != "calm":
        made = [one for seed in range(options.seeds) for one in services(seed, options.days, some)]
        rows += measure(made, play(made, options.tier))
    if options.part != "troubled":
        quiet = [one for seed in range(options.seeds) for one in calm(1_000 + seed, some)]
        weeks = sum(len(one.values) for one in quiet) / _WEEK
        rows += false("calm_", quiet, first(play(quiet, options.tier)), weeks)
    tell(rows, options.json)


if __name__ == "__main__":
    main()
