"""The AIOps-2018 KPIs, streaming: are the faults of web services told in time, and what else is told?

    python -m benchmarks.kpi --data ../shared/data [--json FILE] [--series N]

Each KPI is played from its first point; no label is learnt from. One threshold for all KPIs is chosen on
the first halves (`train`) and measured on the second ones (`test`).

- `event_f1`, `event_precision`, `event_recall`: an anomalous segment counts as found if something is told
  within its first 8 points (delay <= 7); what is told later in it counts neither way. Every run of told points
  (gaps of up to 7 points closed) that meets no segment is a false alarm. Nothing is point-adjusted.
- `event_f1_best`: with the threshold chosen on the test halves themselves. `delay_points`: median, of found ones.
- `event_f1_crossed`: the threshold is chosen on every other KPI's first half and measured on the second halves of
  the rest, both ways: what series that nobody looked at may expect.
- `adjusted_f1`: what papers report of this set (Ren et al. 2019, k = 7): a segment told of within its first 8 points
  counts as all of its points, else as none; other told points are false one by one. The longest segments decide it
  (one of 6,648 points is as much as 500 usual ones), so read it beside `event_f1`, not instead of it. Its threshold
  is chosen for it on the first halves.
- `sliced_*`: where there are raw slices of series as well (CSV `timestamp,value,label`; blank values are samples that
  never came), they are played one by one from their first point, with their gaps, and all of them are measured at the
  threshold of the KPIs. Where there are slices only, they are what is measured.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.packs import absent, folders
from benchmarks.report import Row, arguments, tell
from detectors.full.tier import FullTier

_DELAY = 7
_THRESHOLDS = np.arange(3.0, 40.0, 0.5)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Kpi:
    """A series with a 0/1 label a point; the first `trained` points are the first half."""

    name: str
    times_ms: NDArray[np.int64]
    values: Floats
    labels: NDArray[np.bool_]
    trained: int


def found_in(folders: list[Path]) -> list[Kpi]:
    """Every folder that holds `{train,test}{,_label,_timestamp}.npy`."""
    for folder in folders:
        kpis = [one(path.parent) for path in sorted(folder.rglob("test_timestamp.npy"))]
        if kpis:
            return kpis
    return []


def one(folder: Path) -> Kpi:
    """Read one KPI; nothing is unpickled."""

    def both(suffix: str) -> Floats:
        parts = [np.load(folder / f"{half}{suffix}.npy") for half in ("train", "test")]
        return np.concatenate(parts).astype(np.float64)

    times_ms = (both("_timestamp") * 1000).astype(np.int64)
    trained = len(np.load(folder / "train.npy"))
    return Kpi(folder.name, times_ms, both(""), both("_label") > 0.5, trained)


def sliced_in(folders: list[Path]) -> list[Kpi]:
    """Every CSV of `timestamp,value,label`; nobody said which part of it is for choosing, so its first half is."""
    found = (sliced(path) for folder in folders for path in sorted(folder.rglob("*.csv")))
    return [kpi for kpi in found if kpi is not None]


def sliced(path: Path) -> Kpi | None:
    """Read one slice: samples without a value never came, without a label nobody saw anything odd; None if it is none."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(file)
        if [name.strip().lower() for name in next(lines, [])] != ["timestamp", "value", "label"]:
            return None
        columns = np.array([[_number(text) for text in line] for line in lines if len(line) == 3])
    if not len(columns):
        return None
    columns = columns[np.isfinite(columns[:, :2]).all(axis=1)]
    columns = columns[np.argsort(columns[:, 0], kind="stable")]
    times_ms = (columns[:, 0] * 1000).astype(np.int64)
    return Kpi(path.stem, times_ms, columns[:, 1], columns[:, 2] > 0.5, len(columns) // 2)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # blank: it never came
        return float("nan")


def scores(kpis: list[Kpi]) -> list[Floats]:
    """Scores of every point, all KPIs side by side."""
    order = sorted(range(len(kpis)), key=lambda i: -len(kpis[i].values))
    lengths = np.array([len(kpis[i].values) for i in order])
    values, times = (np.zeros((int(lengths[0]), len(order))) for _ in range(2))
    for column, i in enumerate(order):
        values[: lengths[column], column] = kpis[i].values
        times[: lengths[column], column] = kpis[i].times_ms
    tier, rows = FullTier(len(order)), np.arange(len(order))
    out = np.zeros(values.shape, dtype=np.float32)
    going = np.searchsorted(-lengths, -np.arange(int(lengths[0])), side="left")
    for step, count in enumerate(going.tolist()):
        at_ms = times[step, :count].astype(np.int64)
        out[step, :count] = tier.score(rows[:count], at_ms, values[step, :count])
    made: list[Floats] = [np.zeros(0)] * len(kpis)
    for column, i in enumerate(order):
        made[i] = out[: lengths[column], column].astype(np.float64)
    return made


def runs(marks: NDArray[np.bool_], gap: int = 0) -> list[tuple[int, int]]:
    """Begin and end (inclusive) of each run of marks, gaps of up to `gap` points closed.

    Examples
    --------
    >>> runs(np.array([1, 1, 0, 1, 0, 0, 0, 1], dtype=bool), gap=1)
    [(0, 3), (7, 7)]
    """
    at = np.flatnonzero(marks)
    if len(at) == 0:
        return []
    cut = np.flatnonzero(np.diff(at) > gap + 1)
    begins, ends = at[np.r_[0, cut + 1]], at[np.r_[cut, len(at) - 1]]
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def events(labels: NDArray[np.bool_], told: NDArray[np.bool_]) -> tuple[int, int, int, list[int]]:
    """Segments found in time, segments missed, false alarms, delays of the found ones.

    Examples
    --------
    >>> labels, told = np.zeros(60, dtype=bool), np.zeros(60, dtype=bool)
    >>> labels[10:20] = labels[40:50] = True
    >>> told[[2, 12, 49, 55]] = True
    >>> events(labels, told)
    (1, 1, 1, [2])
    """
    total = np.concatenate(([0], np.cumsum(labels)))
    missed, delays = 0, []
    for begin, end in runs(labels):
        at = np.flatnonzero(told[begin : min(end, begin + _DELAY) + 1])
        missed += len(at) == 0
        delays += at[:1].tolist()
    wrong = sum(total[end + 1] == total[begin] for begin, end in runs(told, gap=_DELAY))
    return len(delays), missed, int(wrong), delays


def curve(
    kpis: list[Kpi], made: list[Floats], half: slice
) -> list[tuple[float, float, float, float]]:
    """F1, precision, recall and median delay over all KPIs, by threshold; `half`: slice(0, 1) or (1, 2)."""
    out = []
    for threshold in _THRESHOLDS.tolist():
        found = missed = wrong = 0
        late: list[int] = []
        for kpi, score in zip(kpis, made, strict=True):
            part = [slice(0, kpi.trained), slice(kpi.trained, None)][half][0]
            a, b, c, delays = events(kpi.labels[part], score[part] >= threshold)
            found, missed, wrong, late = found + a, missed + b, wrong + c, late + delays
        f1 = 2 * found / max(2 * found + missed + wrong, 1)
        delay = float(np.median(late)) if late else float("nan")
        out.append((f1, found / max(found + wrong, 1), found / max(found + missed, 1), delay))
    return out


def adjusted(labels: NDArray[np.bool_], told: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Points rightly told, missed and wrongly told, segments adjusted.

    Examples
    --------
    >>> labels, told = np.zeros(60, dtype=bool), np.zeros(60, dtype=bool)
    >>> labels[10:20] = labels[40:50] = True
    >>> told[[2, 12, 49, 55]] = True
    >>> adjusted(labels, told)
    (10, 10, 2)
    """
    right = missed = 0
    for begin, end in runs(labels):
        found = told[begin : min(end, begin + _DELAY) + 1].any()
        points = end - begin + 1
        right, missed = (right + points, missed) if found else (right, missed + points)
    return right, missed, int((told & ~labels).sum())


def adjusted_f1(kpis: list[Kpi], made: list[Floats], half: int, threshold: float) -> float:
    """Point-adjusted F1 over all KPIs."""
    total = np.zeros(3)
    for kpi, score in zip(kpis, made, strict=True):
        part = (slice(0, kpi.trained), slice(kpi.trained, None))[half]
        total += adjusted(kpi.labels[part], score[part] >= threshold)
    right, missed, wrong = total.tolist()
    return float(2 * right / max(2 * right + missed + wrong, 1))


def crossed(kpis: list[Kpi], made: list[Floats]) -> float:
    """Event F1 of each half of the KPIs at the threshold that is best for the other one."""
    found = count = 0.0
    for mine in (0, 1):
        picked = [curve(kpis[side::2], made[side::2], half) for side, half in (
            (1 - mine, slice(0, 1)), (mine, slice(1, 2)),
        )]  # fmt: skip
        f1, _, recall, _ = picked[1][int(np.argmax([f1 for f1, *_ in picked[0]]))]
        segments = sum(len(runs(kpi.labels[kpi.trained :])) for kpi in kpis[mine::2])
        found += recall * segments
        count += recall * segments / f1 if f1 else segments / 2
    return found / max(count, 1.0)


def measure(kpis: list[Kpi], made: list[Floats]) -> list[Row]:
    """The rows of one corpus."""
    train, test = (curve(kpis, made, half) for half in (slice(0, 1), slice(1, 2)))
    chosen = int(np.argmax([f1 for f1, *_ in train]))
    by_points = [adjusted_f1(kpis, made, 0, threshold) for threshold in _THRESHOLDS.tolist()]
    best = float(_THRESHOLDS[int(np.argmax(by_points))])
    subject = f"{len(kpis)} KPIs, {sum(len(k.values) - k.trained for k in kpis):,} points"
    f1, precision, recall, delay = test[chosen]
    return [
        Row("event_f1", subject, f1, ""),
        Row("event_precision", subject, precision, ""),
        Row("event_recall", subject, recall, ""),
        Row("delay_points", subject, delay, "points"),
        Row("threshold", subject, float(_THRESHOLDS[chosen]), "decades"),
        Row("event_f1_best", subject, max(f1 for f1, *_ in test), ""),
        Row("event_f1_crossed", subject, crossed(kpis, made), ""),
        Row("adjusted_f1", subject, adjusted_f1(kpis, made, 1, best), ""),
    ]


def apart(slices: list[Kpi], made: list[Floats], threshold: float) -> list[Row]:
    """Rows of slices, first and second halves alike, at a threshold from elsewhere."""
    at = int(np.argmin(np.abs(_THRESHOLDS - threshold)))
    whole = [Kpi(one.name, one.times_ms, one.values, one.labels, 0) for one in slices]
    curve_of = curve(whole, made, slice(1, 2))
    subject = f"{len(slices)} slices, {sum(len(one.values) for one in slices):,} points"
    names = ("event_f1", "event_precision", "event_recall", "delay_points")
    rows = [Row(f"sliced_{n}", subject, v, "") for n, v in zip(names, curve_of[at], strict=True)]
    best = max(f1 for f1, *_ in curve_of)
    return [*rows, Row("sliced_event_f1_best", subject, best, "")]


def main() -> None:
    """Measure and tell."""
    parser = arguments("kpi: the AIOps-2018 KPIs", data=True)
    parser.add_argument("--series", type=int, metavar="N", help="only the N shortest")
    options = parser.parse_args()
    places = folders(options.data, ("KPI", "slices"))
    kpis, slices = (
        sorted(some, key=lambda kpi: len(kpi.values))[: options.series]
        for some in (found_in(places), sliced_in(places))
    )
    if not kpis:
        kpis, slices = slices, []
    if not kpis:
        absent("no AIOps-2018 KPIs (test_timestamp.npy, or CSV timestamp,value,label) there")
    rows = measure(kpis, scores(kpis))
    if slices:
        threshold = next(row.value for row in rows if row.measure == "threshold")
        rows += apart(slices, scores(slices), threshold)
    tell(rows, options.json)


if __name__ == "__main__":
    main()
