"""Other detectors on the same points in the same run: how fast, and what they score in NAB.

    make bench                                   # installs requirements/peers.txt
    python -m benchmarks.peers --data ../shared/data [--json FILE]

Every peer sees one point at a time, scores it, then learns it, by its defaults, as its documentation
shows. `points_per_s` is measured on one series of NAB (the longest), in CPU time on one core; ours takes
100,000 series at once, because that is how it is used, and beside it one series at a time.
`nab_standard` is measured over all of NAB by those that are fast enough for it, with the threshold that
suits each best: `benchmarks.nab`'s scorer, probation and corpus.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from importlib import import_module, metadata
from importlib.util import find_spec

import numpy as np

from benchmarks.lockstep import Lockstep
from benchmarks.nab import scored
from benchmarks.nab_data import Labelled, corpora
from benchmarks.nab_score import PROFILES, optimum
from benchmarks.packs import absent, folders
from benchmarks.report import Row, arguments, tell
from benchmarks.throughput import full
from detectors.full.alarm import AlarmSettings
from detectors.full.combine import SUSTAINED, WEIGHTS
from detectors.full.tier import FullTier
from model.batch import Floats

Score = Callable[[float], float]
Make = Callable[[Floats], Score]
"""A fresh detector for a series whose first part (its probation) is given."""

_OURS_POINTS = 4_000
_WINDOW = 576  # two days of five minutes
_FIT_EVERY = 50  # a batch detector's score is asked for one point at a time all the same


def gaussian(first: Floats) -> Score:
    """river: how far out under a running normal distribution."""
    made = import_module("river.anomaly").GaussianScorer()

    def score(value: float) -> float:
        rare = float(made.score_one(None, value))
        made.learn_one(None, value)
        return rare

    return score


def absolute_deviation(first: Floats) -> Score:
    """river: deviations from the running mean."""
    made = import_module("river.anomaly").StandardAbsoluteDeviation()

    def score(value: float) -> float:
        rare = float(made.score_one(None, value))
        made.learn_one(None, value)
        return rare

    return score


def half_space_trees(first: Floats) -> Score:
    """river: ten half-space trees over the value, scaled by its probation."""
    made = import_module("river.anomaly").HalfSpaceTrees(n_trees=10, seed=1)
    low, high = float(first.min()), float(first.max())
    span = max(high - low, 1e-9)

    def score(value: float) -> float:
        x = {"value": min(max((value - low) / span, 0.0), 1.0)}
        rare = float(made.score_one(x))
        made.learn_one(x)
        return rare

    return score


def matrix_profile(first: Floats) -> Score:
    """stumpy.stumpi: distance of the last hour's shape to its nearest neighbour in two days."""
    rng = np.random.default_rng(0)
    begin = np.resize(first, _WINDOW) + rng.normal(0.0, 1e-9, _WINDOW)
    made = import_module("stumpy").stumpi(begin.astype(np.float64), m=12, egress=True)

    def score(value: float) -> float:
        made.update(value)
        last = float(made.P_[-1])
        return last if np.isfinite(last) else 0.0

    return score


def pyod(name: str, cls: str) -> Make:
    """A detector of PyOD, fitted to the probation; it does not learn on."""

    def make(first: Floats) -> Score:
        made = getattr(import_module(f"pyod.models.{name}"), cls)()
        made.fit(np.resize(first, _WINDOW)[:, None])
        return lambda value: float(made.decision_function(np.array([[value]]))[0])

    return make


PEERS: dict[str, tuple[str, Make, int]] = {
    # name: distribution, how it is made, points to time (0: all of NAB as well)
    "river GaussianScorer": ("river", gaussian, 0),
    "river StandardAbsoluteDeviation": ("river", absolute_deviation, 0),
    "river HalfSpaceTrees": ("river", half_space_trees, 0),
    "stumpy stumpi": ("stumpy", matrix_profile, 4_000),
    "PyOD ECOD": ("pyod", pyod("ecod", "ECOD"), 300),
    "PyOD HBOS": ("pyod", pyod("hbos", "HBOS"), 2_000),
}


def points_per_s(make: Make, values: Floats) -> float:
    """Points scored (and learnt) in a second of CPU time, past a warm-up."""
    first = values[: len(values) // 7]
    score = make(first)
    for value in values[:200].tolist():
        score(value)
    rest = values[200:].tolist()
    began = time.process_time()
    for value in rest:
        score(value)
    return len(rest) / (time.process_time() - began)


def nab(make: Make, series: list[Labelled]) -> float:
    """`nab_standard` over the corpus, the threshold that suits it best."""
    told = []
    for one in series:
        score = make(one.values[: max(int(0.15 * len(one.values)), 1)])
        told.append(np.array([score(value) for value in one.values.tolist()]))
    profile = PROFILES[0]
    parts = scored(series, told)
    return optimum(parts, profile).score


def ours_nab(series: list[Labelled]) -> float:
    """The full tier by the same scorer."""
    lockstep = Lockstep(series)
    rare = lockstep.components()
    scores = lockstep.combined(rare, WEIGHTS, SUSTAINED)
    told = lockstep.alarms(scores, rare[:, -1], AlarmSettings())
    return optimum(scored(lockstep.series, told), PROFILES[0]).score


def ours_alone(values: Floats) -> float:
    """Points a second with one series in the tier: what vectors cost where there is nothing to vectorise."""
    tier, row = FullTier(1), np.zeros(1, dtype=np.int64)
    began = time.process_time()
    for step, value in enumerate(values[:_OURS_POINTS].tolist()):
        at_ms = np.array([step * 300_000])
        tier.alarms(row, tier.score(row, at_ms, np.array([value])))
    return min(len(values), _OURS_POINTS) / (time.process_time() - began)


def measure(series: list[Labelled]) -> list[Row]:
    """Everybody's rows."""
    longest = max(series, key=lambda one: len(one.values)).values
    speed, alone, score = full(100_000)[0], ours_alone(longest), ours_nab(series)
    subject = f"{len(longest):,} points of one series"
    rows = [
        Row("points_per_s", "ours, full tier, 100,000 series at once", speed, "1/s"),
        Row("points_per_s", "ours, full tier, one series alone", alone, "1/s"),
        Row("nab_standard", f"ours, {len(series)} series", score, ""),
    ]
    for name, (package, make, points) in PEERS.items():
        if find_spec(package) is None:
            print(f"{name}: not installed (requirements/peers.txt)")
            continue
        peer = f"{name} {metadata.version(package)}"
        theirs = points_per_s(make, longest[: points or len(longest)])
        rows.append(Row("peer_points_per_s", subject, theirs, "1/s", peer, speed / theirs))
        if not points:
            found = nab(make, series)
            rows.append(Row("peer_nab_standard", f"{len(series)} series", found, "", peer))
    return rows


def main() -> None:
    """Measure and tell."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):  # one core for everybody
        os.environ.setdefault(name, "1")
    options = arguments("peers: river, stumpy, PyOD on the same points", data=True).parse_args()
    series = corpora(folders(options.data, ("NAB",)))
    if not series:
        absent("no NAB (labels/combined_windows.json) there")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of theirs
        tell(measure(series), options.json)


if __name__ == "__main__":
    main()
