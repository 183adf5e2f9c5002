"""The Numenta Anomaly Benchmark, streaming, one configuration, no look-ahead.

    python -m benchmarks.nab --data ../shared/data [--json FILE] [--quick]

- `nab_standard`, `nab_low_fp`, `nab_low_fn`: the shipped recipe, the threshold optimised over the corpus
  as in the published table (so it is in-sample by the benchmark's own rule).
- `nab_nested`: recipe (weights and alarm stage) and threshold are chosen on the files of the other four
  folds only; the raw scores of the five folds are added.
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
from detectors.full.combine import WEIGHTS

_FOLDS = 5
_SUSTAINED = 1.0
# What a nested choice may choose from: every component alike, some left out, and how soon one tires.
_WEIGHTS = (
    WEIGHTS,
    (1.0,) * 11,
    (1.0, 0.3, 1.0, 1.0, 1.0, 0.3, 1.0, 0.3, 1.0, 1.0, 1.0),
    (1.0, 0.3, 1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 0.0, 0.0, 0.0),
    (0.3, 0.3, 0.3, 0.3, 1.0, 0.3, 1.0, 0.3, 1.0, 1.0, 1.0),
)
_STAGES = tuple(
    AlarmSettings(fatigue, recovery, least, margin)
    for (fatigue, recovery), least, margin in product(
        ((0.7, 4000.0), (1.0, 2500.0), (1.0, 4000.0)), (4.5, 5.5), (1.0, 1.6)
    )
)

Told = list[NDArray[np.float64]]


def scored(series: list[Labelled], told: Told, profile: int = 0) -> list[Steps]:
    """Every series' steps under a profile."""
    return [
        steps(one.truth, alarms, PROFILES[profile])
        for one, alarms in zip(series, told, strict=True)
    ]


def nested(series: list[Labelled], recipes: list[Told]) -> tuple[float, float]:
    """Score with recipe and threshold held out, and the best recipe's in-sample score beside it."""
    profile = PROFILES[0]
    made = [scored(series, told) for told in recipes]
    # Folds by name within the whole, so that each has some of every kind.
    fold = np.empty(len(series), dtype=int)
    fold[np.argsort([one.name for one in series])] = np.arange(len(series)) % _FOLDS
    raw = 0.0
    for held in range(_FOLDS):
        others = [[p for p, f in zip(parts, fold, strict=True) if f != held] for parts in made]
        results = [optimum(parts, profile) for parts in others]
        best = int(np.argmax([result.raw for result in results]))
        mine = [p for p, f in zip(made[best], fold, strict=True) if f == held]
        raw += at_threshold(mine, results[best].threshold, profile)
    windows = sum(part.windows for part in made[0])
    return normal(raw, windows, profile), max(optimum(p, profile).score for p in made)


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
    scores = lockstep.combined(rare, WEIGHTS, _SUSTAINED)
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
        for weights in _WEIGHTS:
            scores = lockstep.combined(rare, weights, _SUSTAINED)
            recipes += [lockstep.alarms(scores, rare[:, -1], stage) for stage in _STAGES]
        held_out, best = nested(lockstep.series, recipes)
        choice = f"{len(recipes)} recipes, {_FOLDS} folds of files"
        rows.append(Row("nab_nested", choice, held_out, ""))
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
