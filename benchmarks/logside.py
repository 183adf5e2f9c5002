"""The log side of detection: how fast, how quiet, and what it finds in recorded logs.

    python -m benchmarks.logside --data ../shared/data [--json FILE]

- `log_lines_per_s`: mined lines through `Engine.take` and `step`, all methods on, on one core. loghub: the
  systems' lines as one stream of 1,000 lines a second, four times over; HDFS: with its own times, 112,091 lines of
  38 hours, so that windows, gaps and samples of many hours are paid for within seconds.
- `log_warnings`, `log_informed`: what begins to fire over HDFS's 38 hours. Its odd blocks are true, but no
  trouble of the service is labelled, so a warning would count as false.
- Nezha: logs of three minutes around each fault, and nothing between. `faults_told`: faults with
  something told of the culprit's lines, or of any service's, from the injection to four minutes later; `told_otherwise`:
  all else that is told. What the faults leave behind between their windows is among it.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks import hdfs, templates
from benchmarks.packs import NoData, absent, data_dir, folders
from benchmarks.report import Row, arguments, tell
from collectors.loglines import parse_line
from collectors.templates import TemplateMiner
from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import LogBatch
from model.series import SeriesIndex

_BATCH = 500
_START_MS = 1_800_000_000_000
_FAULT_MS = 240_000
Line = tuple[int, str, int, str]
"""Time, service, severity, message."""


def batches(lines: list[Line], *, batch_ms: int = 0) -> list[LogBatch]:
    """Mined batches of 500 lines, or of so much time."""
    miner, made = TemplateMiner(), []
    for part in _parts(lines, batch_ms):
        mined = miner.mine([message for *_, message in part])
        numbers = [miner.current(number) for number in mined]
        made.append(
            LogBatch(
                np.array([at for at, *_ in part], dtype=np.int64),
                np.array(numbers, dtype=np.int32),
                np.array([severity for _, _, severity, _ in part], dtype=np.int8),
                tuple(service for _, service, _, _ in part),
                tuple(message for *_, message in part),
                {number: miner.text(number) for number in sorted(set(numbers))},
                part[-1][0],
                "benchmark",
                miner.drain_merged(),
            )
        )
    return made


def _parts(lines: list[Line], batch_ms: int) -> Iterable[list[Line]]:
    if not batch_ms:
        yield from (lines[at : at + _BATCH] for at in range(0, len(lines), _BATCH))
        return
    parts: dict[int, list[Line]] = {}
    for line in lines:
        parts.setdefault(line[0] // batch_ms, []).append(line)
    yield from parts.values()


def play(made: list[LogBatch]) -> tuple[list[Alert], float]:
    """What is told first of each alert, and the CPU seconds it took."""
    engine = Engine(DetectorSettings(), SeriesIndex())
    told: dict[str, Alert] = {}
    began = time.process_time()
    for batch in made:
        for alert in engine.take(batch, now_ms=batch.arrival_ms) + engine.step(batch.arrival_ms):
            if alert.firing:
                told.setdefault(alert.id, alert)
    return list(told.values()), time.process_time() - began


def of_loghub(data: Path) -> list[Row]:
    """Speed on many systems' lines."""
    systems = templates.find(data)
    texts = [(system.name, message) for system in systems for message in system.messages] * 4
    lines = [(_START_MS + at, name, 9, text) for at, (name, text) in enumerate(texts)]
    made = batches(lines)
    best = max(len(lines) / play(made)[1] for _ in range(3))
    return [Row("log_lines_per_s", f"{len(systems)} systems, 1,000 lines/s", best, "/s")]


def of_hdfs(data: Path) -> list[Row]:
    """Speed and quiet on one system's log of 38 hours."""
    times_ms, messages = hdfs._events(hdfs._find(data)[0])
    made = batches([(at, "hdfs", 9, text) for at, text in zip(times_ms, messages, strict=True)])
    told, seconds = play(made)
    names = Counter(alert.name for alert in told)
    warnings = sum(alert.severity != "info" for alert in told)
    print("HDFS:", dict(names), file=sys.stderr)
    subject = "HDFS, 38 hours"
    return [
        Row("log_lines_per_s", subject, len(messages) / seconds, "/s"),
        Row("log_warnings", subject, warnings, ""),
        Row("log_informed", subject, len(told) - warnings, ""),
    ]


def of_nezha(data: Path) -> list[Row]:
    """What is found of faults whose minutes were recorded."""
    where = folders(data, ("Nezha",))
    faults: dict[str, list[dict[str, str]]] = {}
    for path in sorted({p for folder in where for p in folder.rglob("*faults_open.csv")}):
        with path.open(encoding="utf-8", newline="") as file:
            for fault in csv.DictReader(file):
                known = faults.setdefault(fault["day"], [])
                if fault not in known:
                    known.append(fault)
    rows = []
    for day, known in sorted(faults.items()):
        found = {p for folder in where for p in folder.rglob("*_log.csv") if day in p.parts}
        lines = sorted({line for each in sorted(found) for line in _nezha_lines(each)})
        logged = [fault for fault in known if fault["log_minutes"]]
        if lines and logged:
            rows += _beside(logged, play(batches(lines, batch_ms=5_000))[0], len(lines))
    return rows


def _nezha_lines(path: Path) -> Iterable[Line]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                text = str(json.loads(row["Log"])["log"]).strip()
            except (ValueError, KeyError):
                text = row["Log"].strip()
            at = datetime.fromisoformat(row["Timestamp"][:19]).replace(tzinfo=UTC)
            line = parse_line(text, now_ms=int(at.timestamp() * 1000))
            service = row["PodName"].rsplit("-", 2)[0]
            yield int(at.timestamp() * 1000), service, line.severity, line.message


def _beside(faults: list[dict[str, str]], told: list[Alert], lines: int) -> list[Row]:
    subject = f"Nezha {faults[0]['system']}, {len(faults)} faults, {lines:,} lines"
    culprit, anyone, during = 0, 0, set()
    for fault in faults:
        begins = int(float(fault["inject_epoch_s"]) * 1000)
        near = [alert for alert in told if begins <= alert.starts_ms <= begins + _FAULT_MS]
        during |= {alert.id for alert in near}
        own = [alert for alert in near if alert.service == fault["service"]]
        culprit, anyone = culprit + bool(own), anyone + bool(near)
        said = Counter((alert.name, alert.service, alert.severity.value) for alert in near)
        print(fault["fault_type"], fault["service"], dict(said), file=sys.stderr)
    before = [alert for alert in told if alert.id not in during]
    warned = sum(alert.severity != "info" for alert in before)
    return [
        Row("faults_told", f"{subject}, culprit", culprit, ""),
        Row("faults_told", f"{subject}, anyone", anyone, ""),
        Row("told_otherwise", f"{subject}, warnings", warned, ""),
        Row("told_otherwise", f"{subject}, information", len(before) - warned, ""),
    ]


def main() -> None:
    """Measure, and say."""
    options = arguments("logside: speed, quiet, and what is found", data=True).parse_args()
    rows: list[Row] = []
    try:
        data = data_dir(options.data)
        rows += of_loghub(data)
        rows += of_hdfs(data)
        rows += of_nezha(data)
    except NoData as why:
        absent(str(why))
        return
    tell(rows, options.json)


if __name__ == "__main__":
    main()
