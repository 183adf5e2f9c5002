"""The Numenta Anomaly Benchmark, streaming, one configuration, no look-ahead.

    python -m benchmarks.nab --data ../shared/data [--json FILE] [--quick]

- `nab_standard`, `nab_low_fp`, `nab_low_fn`: the shipped recipe, the threshold optimised over the corpus
  as in the published table (so it is in-sample by the benchmark's own rule).
- `nab_nested`: recipe (weights, what lasts, alarm stage) and threshold are chosen on the files of the other four
  folds only; the raw scores of the five folds are added. The mean of ten ways to cut the files into folds, for
  one way is worth two points of luck; `nab_nested_spread` is the standard deviation of the ten.
- `event_precision`, `event_recall`, `delay_points` (median, from the window's start) at `nab_standard`'s
  threshold: windows found, by windows found and false alarms; nothing is adjusted.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.lockstep import Lockstep
from benchmarks.nab_data import Labelled, corpora
from benchmarks.nab_score import PROFILES, Steps, at_threshold, normal, optimum, steps
from benchmarks.packs import absent, folders
from benchmarks.report import Row, arguments, tell
from detectors.full.alarm import AlarmSettings
from detectors.full.combine import SUSTAINED, WEIGHTS

_FOLDS, _CUTS = 5, 10
# What a nested choice may choose from: every component alike, some left out, how much what lasts counts, and how
# soon one tires.
_WEIGHTS = (
    WEIGHTS,
    (1.0,) * 11,
    (0.5,) * 11,
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 1.0, 0.3, 0.0, 0.0, 0.0),
    (0.3, 0.3, 0.3, 0.3, 1.0, 0.3, 1.0, 0.3, 1.0, 1.0, 1.0),
)
_SUSTAINED = (SUSTAINED, 1.0)
_STAGES = tuple(
    AlarmSettings(fatigue, recovery, least, margin, loud)
    for (fatigue, loud), recovery, least, margin in product(
        ((0.4, 0.15), (0.7, 0.0), (1.0, 0.0)), (2500.0, 4000.0), (4.5, 5.5), (1.6, 3.0)
    )
)

Told = list[NDArray[np.float64]]


def scored(series: list[Labelled], told: Told, profile: int = 0) -> list[Steps]:
    """Every series' steps under a profile."""
    return [
        steps(one.truth, alarms, PROFILES[profile])
        for one, alarms in zip(series, told, strict=True)
    ]


def nested(series: list[Labelled], recipes: list[list[Steps]]) -> tuple[list[float], float]:
    """Scores with recipe and threshold held out, one a way to cut, and the best recipe's in-sample score."""
    best = max(optimum(parts, PROFILES[0]).score for parts in recipes)
    order = np.argsort([one.name for one in series])
    found = []
    for cut in range(_CUTS):
        # The first by name within the whole, so that each fold has some of every kind; the others by lot.
        rng = np.random.default_rng(cut)
        fold = np.empty(len(series), dtype=int)
        fold[rng.permutation(order) if cut else order] = np.arange(len(series)) % _FOLDS
        found.append(_held_out(recipes, fold))
    return found, best


def _held_out(made: list[list[Steps]], fold: NDArray[np.int64]) -> float:
    profile, raw = PROFILES[0], 0.0
    for held in range(_FOLDS):
        others = [[p for p, f in zip(parts, fold, strict=True) if f != held] for parts in made]
        results = [optimum(parts, profile) for parts in others]
        best = int(np.argmax([result.raw for result in results]))
        mine = [p for p, f in zip(made[best], fold, strict=True) if f == held]
        raw += at_threshold(mine, results[best].threshold, profile)
    return normal(raw, sum(part.windows for part in made[0]), profile)


def events(series: list[Labelled], told: Told, threshold: float) -> tuple[float, float, float]:
    """Precision, recall and median delay of windows, every alarm outside of one a false one."""
    found, missed, wrong, delays = 0, 0, 0, []
    for one, alarms in zip(series, told, strict=True):
        over = alarms >= threshold
        over[: one.truth.probation] = False
        for left, right in one.truth.windows:
            at = np.flatnonzero(over[left : right + 1])
            missed += len(at) == 0
            if len(at):
                found += 1
                delays.append(int(at[0]))
            over[left : right + 1] = False
        wrong += int(over.sum())
    recall = found / max(found + missed, 1)
    return found / max(found + wrong, 1), recall, float(np.median(delays)) if delays else np.nan


def measure(series: list[Labelled], quick: bool) -> list[Row]:
    """The rows of one corpus."""
    lockstep = Lockstep(series)
    rare = lockstep.components()
    scores = lockstep.combined(rare, WEIGHTS, SUSTAINED)
    told = lockstep.alarms(scores, rare[:, -1], AlarmSettings())
    subject = f"{len(series)} series, {sum(map(len, told)):,} points"
    rows, thresholds = [], []
    for number, profile in enumerate(PROFILES):
        result = optimum(scored(lockstep.series, told, number), profile)
        thresholds.append(result.threshold)
        rows.append(Row(profile.name, subject, result.score, ""))
    precision, recall, delay = events(lockstep.series, told, thresholds[0])
    rows += [
        Row("nab_threshold", subject, thresholds[0], "decades"),
        Row("event_precision", subject, precision, ""),
        Row("event_recall", subject, recall, ""),
        Row("delay_points", subject, delay, "points"),
    ]
    if not quick:
        recipes = []
        for weights, sustained in product(_WEIGHTS, _SUSTAINED):
            scores = lockstep.combined(rare, weights, sustained)
            for stage in _STAGES:
                told = lockstep.alarms(scores, rare[:, -1], stage)
                recipes.append(scored(lockstep.series, told))
        held_out, best = nested(lockstep.series, recipes)
        choice = f"{len(recipes)} recipes, {_FOLDS} folds of files, {_CUTS} ways"
        rows.append(Row("nab_nested", choice, float(np.mean(held_out)), ""))
        rows.append(Row("nab_nested_spread", choice, float(np.std(held_out)), ""))
        rows.append(Row("nab_best_in_sample", choice, best, ""))
    return rows


def main() -> None:
    """Measure and tell."""
    parser = arguments("nab: the Numenta Anomaly Benchmark", data=True)
    parser.add_argument("--quick", action="store_true", help="every third file, nothing nested")
    options = parser.parse_args()
    series = corpora(folders(options.data, ("NAB",)))
    if not series:
        absent("no NAB (labels/combined_windows.json) there")
    tell(measure(series[:: 3 if options.quick else 1], options.quick), options.json)


if __name__ == "__main__":
    main()
