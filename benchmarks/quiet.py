"""What the live detectors tell while nothing is wrong.

    python -m benchmarks.quiet --data ../shared/data [--json FILE]

Nezha's pod metrics (one sample a minute) are played through `detectors.Engine` from their first one;
what begins to fire later than half an hour after the day's last fault is a false alert.

- `false_alerts_per_service_week`: warnings and critical ones, by services and time watched.
- `alerts_before`: what was told earlier, faults among it; without any the zero would mean nothing.
- `informed_per_service_week`: alerts of severity info, which open no incident and page nobody.
- `faults_told`: of the day's injected faults of a kind, those of which something of their service began from a minute before to
  eight minutes after they were injected; `faults_warned`: by a warning or worse. CPU and (some) network faults show in these metrics; code faults
  do not. The first ones come after minutes, before anything can have been learnt.

Columns become what an exporter would say: CPU as `process_cpu_seconds_total`, memory as
`process_resident_memory_bytes`, workload as `http_requests_total`; the others are gauges whose meaning
Tocsin does not know. Times: `Time` (UTC), since one file's `TimeStamp` is years ahead.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.packs import absent, folders
from benchmarks.report import Row, arguments, tell
from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.alert import Alert, Severity
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

_AFTER_MS = 1_800_000
_BEFORE_MS, _WITHIN_MS = 60_000, 480_000
_WEEK_MS = 7 * 86_400_000
_STEP_MS = 5_000
_COUNTERS = {
    "CpuUsage(m)": ("process_cpu_seconds_total", 1e-3),
    "PodWorkload(Ops)": ("http_requests_total", 1.0),
}
_MEMORY = "MemoryUsage(Mi)"
_LEFT_OUT = {"Time", "TimeStamp", "PodName", "PodSuccessRate(%)", "CpuUsageRate(%)", "MemoryUsageRate(%)"}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Pod:
    """One pod's columns: metric name to values, shape (n_samples,)."""

    service: str
    name: str
    times_ms: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _column(
    name: str, values: NDArray[np.float64], times_ms: NDArray[np.int64]
) -> tuple[str, NDArray[np.float64]]:
    """A column as an exporter would tell it: what is a rate becomes a counter."""
    if name in _COUNTERS:
        metric, factor = _COUNTERS[name]
        seconds = np.diff(times_ms, prepend=times_ms[0]) / 1000.0
        return metric, np.cumsum(np.nan_to_num(values) * factor * seconds)
    if name == _MEMORY:
        return "process_resident_memory_bytes", values * 2.0**20
    return "pod_" + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"), values


def pod(path: Path) -> Pod | None:
    """Read one `*_metric.csv`; None where it holds nothing."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    if len(lines) < 2:
        return None
    texts = [line["Time"][:19] for line in lines]
    stamps = [datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in texts]
    times_ms = (np.array(stamps) * 1000).astype(np.int64)
    name = lines[0]["PodName"]
    service = re.sub(r"-[0-9a-f]{6,10}-\w{5}$", "", name)
    columns = dict(
        _column(column, np.array([_number(line[column]) for line in lines]), times_ms)
        for column in lines[0]
        if column not in _LEFT_OUT
    )
    return Pod(service, name, times_ms, columns)


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to a service, and when."""

    at_ms: int
    service: str
    kind: str


def days(folders: list[Path]) -> Iterator[tuple[str, list[Pod], list[Fault]]]:
    """Each day's pods with its faults in order, found by `*faults_open.csv` beside the metrics."""
    faults: dict[str, set[Fault]] = defaultdict(set)
    for path in sorted({p for folder in folders for p in folder.rglob("*faults_open.csv")}):
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                at_ms = int(float(line["inject_epoch_s"]) * 1000)
                faults[line["day"]].add(Fault(at_ms, line["service"], line["fault_type"]))
    for day, injected in sorted(faults.items()):
        for folder in folders:
            paths = sorted(folder.rglob(f"construct_data/{day}/metric/*-*_metric.csv"))
            if paths:
                pods = [made for made in map(pod, paths) if made is not None]
                yield day, pods, sorted(injected, key=lambda fault: fault.at_ms)
                break


def play(pods: list[Pod]) -> list[Alert]:
    """Everything the engine tells, in order."""
    index = SeriesIndex()
    begin_ms = min(int(one.times_ms[0]) for one in pods)
    rows, times, values = [], [], []
    for one in pods:
        for metric, column in one.columns.items():
            pairs = {
                "__name__": metric,
                "job": "nezha",
                "service": one.service,
                "instance": one.name,
            }
            if metric == "http_requests_total":
                pairs["code"] = "200"
            number = index.intern(Labels.of(pairs), now_ms=begin_ms)
            rows.append(np.full(len(column), number))
            times.append(one.times_ms)
            values.append(column)
    row, at_ms, value = (np.concatenate(x) for x in (rows, times, values))
    order = np.lexsort((row, at_ms))
    row, at_ms, value = row[order], at_ms[order], value[order]
    engine, told = Engine(DetectorSettings(), index), []
    edges = np.arange(begin_ms, int(at_ms[-1]) + 2 * _STEP_MS, _STEP_MS)
    cuts = np.searchsorted(at_ms, edges, side="left")
    for start, stop, now_ms in zip(cuts[:-1], cuts[1:], edges[1:].tolist(), strict=True):
        if stop > start:
            part = slice(int(start), int(stop))
            batch = MetricBatch.of(row[part], at_ms[part], value[part], arrival_ms=now_ms)
            told += engine.take(batch, now_ms=now_ms)
        told += engine.step(now_ms)
    return told


def noticed(day: str, faults: list[Fault], told: list[Alert]) -> list[Row]:
    """How many faults of each kind something was told of at their service."""
    rows = []
    for kind in sorted({fault.kind for fault in faults}):
        some = [fault for fault in faults if fault.kind == kind]
        mine = [
            [a.severity is not Severity.INFO for a in told
             if a.service == fault.service and -_BEFORE_MS <= a.starts_ms - fault.at_ms <= _WITHIN_MS]
            for fault in some
        ]  # fmt: skip
        subject = f"{day}, {len(some)} of {kind}"
        rows.append(Row("faults_told", subject, sum(map(bool, mine)), "faults"))
        rows.append(Row("faults_warned", subject, sum(map(any, mine)), "faults"))
    return rows


def measure(day: str, pods: list[Pod], faults: list[Fault]) -> list[Row]:
    """The rows of one day."""
    quiet_ms = faults[-1].at_ms + _AFTER_MS
    end_ms = max(int(one.times_ms[-1]) for one in pods)
    services = len({one.service for one in pods})
    weeks = services * max(end_ms - quiet_ms, 1) / _WEEK_MS
    told = play(pods)
    firing = {(one.labels, one.starts_ms): one for one in told if one.starts_ms > quiet_ms}
    before = {(one.labels, one.starts_ms) for one in told} - set(firing)
    counts: dict[bool, int] = defaultdict(int)
    names: dict[str, int] = defaultdict(int)
    for alert in firing.values():
        counts[alert.labels.get("severity") == "info"] += 1
        names[alert.labels.get("alertname", "")] += 1
    subject = f"{day}, {services} services, {weeks * 7 * 24 / services:.1f} h quiet"
    print(subject, dict(names))
    return [
        *noticed(day, faults, told),
        Row("false_alerts_per_service_week", subject, counts[False] / weeks, ""),
        Row("informed_per_service_week", subject, counts[True] / weeks, ""),
        Row("alerts_before", subject, len(before), ""),
        Row("false_alerts", subject, counts[False], ""),
        Row("service_weeks", subject, weeks, ""),
    ]


def main() -> None:
    """Measure and tell."""
    options = arguments("quiet: alerts while nothing is wrong", data=True).parse_args()
    rows = []
    for day, pods, faults in days(folders(options.data, ("Nezha",))):
        rows += measure(day, pods, faults)
    if not rows:
        absent("no Nezha metrics (construct_data/DAY/metric/*_metric.csv) there")
    false = sum(row.value for row in rows if row.measure == "false_alerts")
    weeks = sum(row.value for row in rows if row.measure == "service_weeks")
    tell([*rows, Row("false_alerts_per_service_week", "all", false / weeks, "")], options.json)


if __name__ == "__main__":
    main()
