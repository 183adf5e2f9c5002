"""Odd blocks in a file system's log, found while it is read, without labels or training.

    python -m benchmarks.hdfs --data ../shared/data --json out.json

A pack, or a directory, holds `*events.csv` (date, time, m_message, seq_id; one row a line) and
`*labels.csv` (seq_id, anomaly). Lines go one by one through the template miner and `detectors/sequences.py`
as they are shipped; a block counts as found when a verdict names it. Labels are read afterwards.
"""

from __future__ import annotations

import csv
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.packs import NoData, absent, data_dir, roots
from benchmarks.report import Row, arguments, tell
from collectors.templates import TemplateMiner
from detectors.sequences import Sequences

_BATCH = 500


def main() -> None:
    """Measure, and say."""
    parser = arguments(__doc__ or "", data=True)
    options = parser.parse_args()
    try:
        events, labels = _find(data_dir(options.data))
    except NoData as why:
        absent(str(why))
        return
    times_ms, messages = _events(events)
    found, seconds = run(times_ms, messages)
    odd = _odd(labels)
    rows = [
        *block_rows(found, odd, str(events.name)),
        Row("lines_per_s", events.name, len(messages) / seconds, "/s"),
    ]
    tell(rows, options.json)


def run(times_ms: list[int], messages: list[str]) -> tuple[list[str], float]:
    """The identifiers that are told, in order, and the CPU seconds it took."""
    miner, follow = TemplateMiner(), Sequences()
    found = []
    began = time.process_time()
    for at in range(0, len(messages), _BATCH):
        part = messages[at : at + _BATCH]
        numbers = miner.mine(part)
        for time_ms, number, message in zip(times_ms[at:], numbers, part, strict=False):
            found += follow.line(time_ms, number, message)
    found += follow.finish()
    return [odd.kind + odd.value for odd in found], time.process_time() - began


def block_rows(found: list[str], odd: dict[str, bool], subject: str) -> list[Row]:
    """Precision, recall and their harmonic mean over the labelled blocks.

    Examples
    --------
    >>> rows = block_rows(["b1", "b2", "x"], {"b1": True, "b2": False, "b3": True}, "log")
    >>> [(row.measure, row.value) for row in rows[:3]]
    [('block_f1', 0.5), ('block_precision', 0.5), ('block_recall', 0.5)]
    """
    told = set(found) & odd.keys()
    hit = sum(odd[block] for block in told)
    wanted = sum(odd.values())
    precision, recall = hit / max(1, len(told)), hit / max(1, wanted)
    f1 = 2 * hit / max(1, len(told) + wanted)
    return [
        Row("block_f1", subject, f1, ""),
        Row("block_precision", subject, precision, ""),
        Row("block_recall", subject, recall, ""),
        Row("blocks", subject, len(odd), ""),
        Row("odd_blocks", subject, wanted, ""),
    ]


def _find(data: Path) -> tuple[Path, Path]:
    for root in roots(data, "B_HDFS"):
        for events in sorted(root.rglob("*events.csv")):
            labels = events.with_name(events.name.replace("events.csv", "labels.csv"))
            if labels.is_file():
                return events, labels
    raise NoData(f"no *events.csv beside *labels.csv in {data} or its packs B_HDFS*.tar.zst")


def _events(path: Path) -> tuple[list[int], list[str]]:
    times, messages = [], []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            told = row["date"] + row["time"].zfill(6)
            at = datetime.strptime(told, "%y%m%d%H%M%S").replace(tzinfo=UTC)
            times.append(int(at.timestamp() * 1000))
            messages.append(row["m_message"])
    return times, messages


def _odd(path: Path) -> dict[str, bool]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["seq_id"]: row["anomaly"] in ("True", "1") for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
