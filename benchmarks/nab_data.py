"""Reads NAB's series and windows, wherever they lie in a folder."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.nab_score import Truth


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A series with its truth; times in ms (naive ones taken as UTC), file order kept."""

    name: str
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    truth: Truth


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def corpora(folders: list[Path]) -> list[Labelled]:
    """Every series that a `labels/combined_windows.json` names, from the first folder that has one."""
    for folder in folders:
        for labels in sorted(folder.rglob("combined_windows.json")):
            return read(labels)
    return []


def read(labels: Path) -> list[Labelled]:
    """One corpus: `labels` lies in `labels/`, the series beside that in `data/`."""
    windows = json.loads(labels.read_text(encoding="utf-8"))
    root = labels.parent.parent / "data"
    return [one(root / name, name, spans) for name, spans in sorted(windows.items())]


def one(path: Path, name: str, spans: list[list[str]]) -> Labelled:
    """One file of `timestamp,value`."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))[1:]
    times_ms = np.array([_ms(line[0]) for line in lines], dtype=np.int64)
    values = np.array([float(line[1]) for line in lines])
    found = []
    for begin, end in spans:
        inside = np.flatnonzero((times_ms >= _ms(begin)) & (times_ms <= _ms(end)))
        if len(inside):
            found.append((int(inside[0]), int(inside[-1])))
    return Labelled(name, times_ms, values, Truth(len(values), tuple(sorted(found))))
