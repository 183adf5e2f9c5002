"""Hosts of many metrics (Server Machine Dataset): is the host's trouble told, and are its metrics named?

    python -m benchmarks.smd --data ../shared/data [--json FILE] [--machines N]

Every method sees the fault-free first half, then the labelled second one, and tells a score by metric and
one for the host. Its threshold is what 1 in 1,000 points of the last third of the first half passes, by
the same rule for all; no label chooses anything.

- `event_f1`: labelled ranges touched, against runs of told points that touch none. `vus_pr`: any threshold.
- `named_hit`: of the labelled ranges, those whose loudest metric is one of those they name.

`full` and `full_slow` (with a baseline of weeks beside it) stream and never stop learning. Beside them, fitted on the first half: `frozen_z` (mean and
deviation of each metric), `pca` (NumPy; what ten components leave over) and, where scikit-learn is
installed, `isolation_forest` (names no metric).
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.packs import absent, folders
from benchmarks.ranges import Marks, event_f1, vus_pr
from benchmarks.report import Row, arguments, tell
from detectors.full.slow import Slow
from detectors.full.tier import FullTier
from model.errors import InputError

Floats = NDArray[np.float64]
_QUIET = 0.999
_SMOOTH = 5  # points over which a host's score is averaged, for every method alike


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """`train`, `test`: shape (n_samples, n_metrics); `named`: (begin, end, metrics) of labelled ranges, from 0."""

    name: str
    train: Floats
    test: Floats
    labels: Marks
    named: tuple[tuple[int, int, frozenset[int]], ...]


def array(path: Path) -> Floats:
    """A matrix from text, or from a pickled NumPy array, which is taken apart but never run.

    Raises
    ------
    InputError
        If a pickle is not one plain matrix of numbers.
    """
    if path.suffix != ".pkl":
        return np.loadtxt(path, delimiter=",", ndmin=2)
    ints: list[int] = []
    kind, data = "", b""
    order: Literal["C", "F"] = "C"
    flag: Literal["C", "F"] = "C"
    for operation, argument, _ in pickletools.genops(path.read_bytes()):
        if operation.name == "REDUCE" and not kind:
            ints = []  # what came before it made the empty array; next are version and shape
        elif operation.name.startswith("BININT") and not kind and isinstance(argument, int):
            ints.append(argument)
        elif isinstance(argument, str) and re.fullmatch(r"[fiu][1248]", argument):
            kind = kind or argument
        elif isinstance(argument, (bytes, str)) and len(argument) > max(len(data), 64):
            # Protocol 2 writes bytes as text.
            data = argument.encode("latin-1") if isinstance(argument, str) else argument
            order = flag
        if operation.name in ("NEWTRUE", "NEWFALSE"):
            flag = "F" if operation.name == "NEWTRUE" else "C"  # the last one says: by columns
    shape = tuple(ints[1:3])
    if not kind or len(data) != np.dtype(kind).itemsize * int(np.prod(shape)):
        raise InputError(f"{path}: not a pickled matrix of numbers")
    return np.frombuffer(data, dtype=f"<{kind}").reshape(shape, order=order).astype(np.float64)


def machines(folders: list[Path]) -> list[Machine]:
    """Every machine with an interpretation, labels and both halves, in either layout."""
    for folder in folders:
        files = {p.name: p for p in folder.rglob("machine-*.pkl")}
        files |= {f"{p.stem}_{p.parent.name}.txt": p for p in folder.rglob("machine-*.txt")}
        found = []
        for name in sorted(
            n.removesuffix("_interpretation_label.txt")
            for n in files
            if n.endswith("_interpretation_label.txt")
        ):
            halves = [
                files.get(f"{name}_{h}.pkl") or files.get(f"{name}_{h}.txt")
                for h in ("train", "test")
            ]
            labels = files.get(f"{name}_test_label.txt")
            if labels is None or halves[0] is None or halves[1] is None:
                continue
            truth = np.loadtxt(labels) > 0.5
            named = ranges(files[f"{name}_interpretation_label.txt"].read_text())
            found.append(
                Machine(name, array(halves[0]), array(halves[1])[: len(truth)], truth, named)
            )
        if found:
            return found
    return []


def ranges(text: str) -> tuple[tuple[int, int, frozenset[int]], ...]:
    """Read an interpretation: `begin-end:metrics`, metrics from 1.

    Examples
    --------
    >>> [(b, e, sorted(m)) for b, e, m in ranges("4-7:1,3")]
    [(4, 7, [0, 2])]
    """
    out = []
    for line in text.split():
        span, _, metrics = line.partition(":")
        begin, end = span.split("-")
        out.append((int(begin), int(end), frozenset(int(m) - 1 for m in metrics.split(","))))
    return tuple(out)


@cache
def full(machine: Machine) -> Floats:
    """Scores by metric, streaming through both halves, shape (n_samples of both, n_metrics)."""
    both = np.concatenate((machine.train, machine.test))
    tier, rows = FullTier(both.shape[1]), np.arange(both.shape[1])
    out = np.zeros(both.shape)
    for minute, sample in enumerate(both):
        out[minute] = tier.score(rows, np.full(len(rows), minute * 60_000), sample)
    return out


def full_slow(machine: Machine) -> Floats:
    """The same, with the deviations from a baseline of weeks added: what lasts stays."""
    both = np.concatenate((machine.train, machine.test)).astype(np.float32)
    slow, at = Slow(both.shape[1]), slice(0, both.shape[1])
    far = [
        slow.look(at, np.full(both.shape[1], minute, dtype=np.float32), sample)
        for minute, sample in enumerate(both)
    ]
    return np.asarray(full(machine) + np.array(far))


def frozen_z(machine: Machine) -> Floats:
    """Deviations from the first half's mean, by metric."""
    both = np.concatenate((machine.train, machine.test))
    return np.asarray(np.abs(both - machine.train.mean(0)) / np.maximum(machine.train.std(0), 1e-3))


def pca(machine: Machine) -> Floats:
    """What the first half's ten strongest components leave over, by metric."""
    mean, spread = machine.train.mean(0), np.maximum(machine.train.std(0), 1e-3)
    _, _, axes = np.linalg.svd((machine.train - mean) / spread, full_matrices=False)
    both = (np.concatenate((machine.train, machine.test)) - mean) / spread
    return np.asarray(np.abs(both - both @ axes[:10].T @ axes[:10]))


def isolation_forest(machine: Machine) -> Floats | None:
    """The forest's score as the only column; None without scikit-learn."""
    try:
        from sklearn.ensemble import IsolationForest  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    forest = IsolationForest(random_state=0).fit(machine.train)
    both = np.concatenate((machine.train, machine.test))
    return np.asarray(-forest.score_samples(both))[:, None]


METHODS: dict[str, Callable[[Machine], Floats | None]] = {
    "full": full, "full_slow": full_slow, "frozen_z": frozen_z, "pca": pca, "isolation_forest": isolation_forest,
}  # fmt: skip


def host_score(by_metric: Floats) -> Floats:
    """Length of the metrics' scores, averaged over the last few points."""
    together = np.sqrt((by_metric**2).sum(1))
    total = np.cumsum(np.concatenate((np.zeros(_SMOOTH), together)))
    return np.asarray((total[_SMOOTH:] - total[:-_SMOOTH]) / _SMOOTH)


def judge(machine: Machine, by_metric: Floats) -> dict[str, float]:
    """The measures of one method on one machine."""
    trained = len(machine.train)
    score = host_score(by_metric)
    threshold = np.quantile(score[trained * 2 // 3 : trained], _QUIET)
    test = score[trained:]
    out = {
        "event_f1": event_f1(machine.labels, test > threshold),
        "vus_pr": vus_pr(machine.labels, test),
    }
    if by_metric.shape[1] > 1:
        # Each metric in its own usual size, so that a loud one is not always the loudest.
        usual = np.quantile(by_metric[trained // 3 : trained], 0.99, axis=0) + 1e-6
        loud = by_metric[trained:] / usual
        hits = [
            int(np.argmax(loud[begin : end + 1].mean(0))) in metrics
            for begin, end, metrics in machine.named
        ]
        out["named_hit"] = float(np.mean(hits))
    return out


def main() -> None:
    """Measure and tell."""
    parser = arguments("smd: hosts of many metrics", data=True)
    parser.add_argument("--machines", type=int, metavar="N", help="only the first N")
    options = parser.parse_args()
    found = machines(folders(options.data, ("SMD",)))[: options.machines]
    if not found:
        absent("no SMD (interpretation_label/machine-*.txt) there")
    rows: list[Row] = []
    means: dict[tuple[str, str], list[float]] = {}
    for machine in found:
        for name, method in METHODS.items():
            by_metric = method(machine)
            if by_metric is None:
                continue
            for measure, value in judge(machine, by_metric).items():
                rows.append(Row(measure, f"{machine.name}, {name}", value, ""))
                means.setdefault((measure, name), []).append(value)
    for (measure, name), values in sorted(means.items()):
        rows.append(Row(measure, f"mean of {len(values)}, {name}", float(np.mean(values)), ""))
    tell(rows, options.json)


if __name__ == "__main__":
    main()
