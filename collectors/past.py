"""What to ask a Prometheus for about the past of scrape targets, and which row each answer belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collectors.prometheus_api import POINTS_MAX, Track
from collectors.prometheus_settings import DAY_MS, BackfillSettings
from model.batch import Floats, Ints, MetricBatch, Rows
from model.labels import Labels

COARSE_SAMPLES_MAX = 10_000_000
"""Samples of the distant past in all: more series are asked for at longer steps."""
FINE_SAMPLES_MAX = 10_000_000
FINE_POINTS_MAX = 1_440
"""Samples of one series in the near past: what is learnt of it fades after a few hundred anyway."""
_SPECIAL = frozenset("\\.+*?()|[]{}^$")


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """A scrape target that is to learn from its past.

    Attributes
    ----------
    source : str
        Its name in batches.
    labels : mapping
        What every series of it carries, `job` and `instance` among it.
    rows : mapping of Labels to int
        Its series that are to learn.
    names : frozenset of str
        Names of all labels that its series have.
    until_ms : int
        Time of its first live sample.
    interval_ms : int
        How often it is scraped here.
    honor_labels : bool
        As in `ScrapeTarget`.
    """

    source: str
    labels: Mapping[str, str]
    rows: Mapping[Labels, int]
    names: frozenset[str]
    until_ms: int
    interval_ms: int
    honor_labels: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of the past: samples on a grid (`step_ms`), or as they are (`step_ms` 0)."""

    start_ms: int
    end_ms: int
    step_ms: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is asked for, oldest first.

    Attributes
    ----------
    coarse, fine : tuple of Window
    bin_ms : int
        Samples of the fine windows that lie this close together are learnt in one step.
    """

    coarse: tuple[Window, ...]
    fine: tuple[Window, ...]
    bin_ms: int

    @property
    def points(self) -> int:
        """Samples of one series."""
        coarse = sum((w.end_ms - w.start_ms) // w.step_ms + 1 for w in self.coarse)
        return coarse + sum(-(-(w.end_ms - w.start_ms) // self.bin_ms) for w in self.fine)


def plan(settings: BackfillSettings, *, series: int, interval_ms: int, now_ms: int) -> Plan:
    """Cut the past into windows that one answer can hold.

    Examples
    --------
    >>> made = plan(BackfillSettings(), series=100, interval_ms=15_000, now_ms=14 * DAY_MS)
    >>> len(made.coarse), len(made.fine), made.points
    (1, 1, 4716)
    """
    series = max(1, series)
    bin_ms = max(1_000, interval_ms)
    points = min(FINE_POINTS_MAX, settings.fine_ms // bin_ms, FINE_SAMPLES_MAX // series)
    seam_ms = now_ms - max(points, 1) * bin_ms
    step_ms = settings.coarse_step_ms
    span_ms = settings.days * DAY_MS - (now_ms - seam_ms)
    while span_ms // step_ms * series > COARSE_SAMPLES_MAX:
        step_ms += settings.coarse_step_ms
    per_answer = min(POINTS_MAX - 1, max(1, settings.samples_max // series))
    begin_ms = -(-(now_ms - settings.days * DAY_MS) // step_ms) * step_ms
    coarse = _cut(begin_ms, seam_ms, per_answer * step_ms, step_ms) if span_ms > 0 else ()
    return Plan(tuple(coarse), tuple(_cut(seam_ms, now_ms, per_answer * bin_ms, 0)), bin_ms)


def _cut(start_ms: int, end_ms: int, length_ms: int, step_ms: int) -> Iterator[Window]:
    while start_ms < end_ms:
        stop_ms = min(start_ms + length_ms, end_ms)
        # A grid's last point belongs to the next window.
        yield Window(start_ms, max(start_ms, stop_ms - step_ms) if step_ms else stop_ms, step_ms)
        start_ms = stop_ms


def queries(
    goals: Sequence[Goal], selectors: Sequence[str], *, targets_per_query: int
) -> list[str]:
    """The selectors that find the series of all goals, each series once.

    Examples
    --------
    >>> up = Labels.of({"__name__": "up", "job": "shop", "instance": "a:1"})
    >>> goal = Goal("shop a", {"job": "shop", "instance": "a:1"}, {up: 0}, frozenset(), 0, 15_000)
    >>> queries([goal], (), targets_per_query=50)
    ['{job="shop",instance="a:1",__name__="up"}']
    >>> queries([goal], ('{job="shop"}',), targets_per_query=50)
    ['{job="shop"}']
    """
    if selectors:
        return list(dict.fromkeys(selectors))
    by_job: dict[str, dict[str, list[Goal]]] = {}
    for goal in goals:
        instances = by_job.setdefault(goal.labels.get("job", ""), {})
        instances.setdefault(goal.labels.get("instance", ""), []).append(goal)
    found = []
    for job, instances in by_job.items():
        names = list(instances)
        for begin in range(0, len(names), max(1, targets_per_query)):
            some = names[begin : begin + max(1, targets_per_query)]
            metrics = sorted(
                {
                    labels.get("__name__", "")
                    for instance in some
                    for goal in instances[instance]
                    for labels in goal.rows
                }
            )
            parts = [_is("job", [job]), _is("instance", some)]
            parts += [_is("__name__", metrics)] if metrics else []
            found.append("{" + ",".join(parts) + "}")
    return found


def _is(name: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return f'{name}="{_quoted(values[0])}"'
    escaped = ("".join("\\" + c if c in _SPECIAL else c for c in value) for value in values)
    return f'{name}=~"{_quoted("|".join(escaped))}"'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Identities:
    """Finds the row of a series by the labels that a Prometheus knows it by.

    `job` and `instance` (or `instance` alone, where only one target has it) name the target. Labels
    that no live series of the target has were added by the Prometheus: an external label, a relabelling.
    What the target itself calls as one of our labels is kept as `exported_…`, as the scrape does.

    Examples
    --------
    >>> live = Labels.of({"__name__": "up", "job": "shop", "instance": "a:1", "service": "shop"})
    >>> own = {"job": "shop", "instance": "a:1", "service": "shop"}
    >>> known = Identities([Goal("shop a", own, {live: 7}, frozenset(live), 0, 15_000)])
    >>> known.row(Labels.of({"__name__": "up", "job": "shop", "instance": "a:1", "cluster": "x"}))
    7
    >>> known.row(Labels.of({"__name__": "up", "job": "shop", "instance": "b:1"}))
    -1
    """

    def __init__(self, goals: Sequence[Goal]) -> None:
        self._goals: dict[tuple[str, str], list[Goal]] = {}
        self._alone: dict[str, list[Goal]] = {}
        self._goal_of: dict[int, Goal] = {}
        for goal in goals:
            job, instance = goal.labels.get("job", ""), goal.labels.get("instance", "")
            self._goals.setdefault((job, instance), []).append(goal)
            self._alone.setdefault(instance, []).append(goal)
            for row in goal.rows.values():
                self._goal_of[row] = goal

    def goal(self, row: int) -> Goal:
        """Whose row it is."""
        return self._goal_of[row]

    def row(self, found: Labels) -> int:
        """The row of a series; -1 where it is not one of those that are to learn."""
        job, instance = found.get("job", ""), found.get("instance", "")
        goals = self._goals.get((job, instance)) or self._alone.get(instance, [])
        for goal in (
            goals if instance and (len(goals) == 1 or (job, instance) in self._goals) else ()
        ):
            row = goal.rows.get(_as_scraped(found, goal))
            if row is not None:
                return row
        return -1


def _as_scraped(found: Labels, goal: Goal) -> Labels:
    named = {name: value for name, value in found.items() if name in goal.names}
    for name, value in goal.labels.items():
        theirs = named.get(name, value)
        if theirs != value and name not in ("job", "instance"):
            if goal.honor_labels:
                continue
            named[f"exported_{name}"] = theirs
        named[name] = value
    return Labels.of(named)


def in_order(
    tracks: Sequence[Track], known: Identities, window: Window, *, bin_ms: int
) -> tuple[list[MetricBatch], set[int]]:
    """The samples of a window in time order, a batch for each grid point or bin, and the rows that had any.

    Of several answers for one row the longest counts. Fine samples are thinned to the target's own
    interval, so that what is learnt is as noisy as what will be judged.
    """
    best: dict[int, Track] = {}
    for track in tracks:
        row = known.row(track.labels)
        if row >= 0 and len(track.times_ms) > len(best[row].times_ms if row in best else ()):
            best[row] = track
    parts = [_usable(row, track, known.goal(row), window) for row, track in sorted(best.items())]
    parts = [part for part in parts if len(part[0])]
    if not parts:
        return [], set()
    rows = np.concatenate([part[0] for part in parts])
    times = np.concatenate([part[1] for part in parts])
    values = np.concatenate([part[2] for part in parts])
    bins = times // (window.step_ms or bin_ms)
    order = np.lexsort((times, bins))
    rows, times, values, bins = rows[order], times[order], values[order], bins[order]
    edges = np.concatenate(([0], np.flatnonzero(np.diff(bins)) + 1, [len(bins)])).tolist()
    batches = [
        MetricBatch(
            rows[a:b].copy(), times[a:b].copy(), values[a:b].copy(), int(times[b - 1]), "backfill"
        )
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    return batches, set(best)


def _usable(row: int, track: Track, goal: Goal, window: Window) -> tuple[Rows, Ints, Floats]:
    times, values = track.times_ms, track.values
    keep = (times >= window.start_ms) & (times <= window.end_ms) & (times < goal.until_ms)
    keep &= np.isfinite(values)
    times, values = times[keep], values[keep]
    if not window.step_ms and len(times):
        beat = times // max(1, goal.interval_ms)
        last = np.concatenate((np.diff(beat) != 0, [True]))
        times, values = times[last], values[last]
    return np.full(len(times), row, dtype=np.int32), times, values
