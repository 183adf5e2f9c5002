"""Which targets the series that others push or are asked for were scraped from: by `job` and `instance`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collectors.past import Goal
from model.batch import Bools, MetricBatch, Rows
from model.series import NAME, SeriesIndex

INTERVAL_MS = 15_000
"""Assumed of a target of which no series was met twice."""
ORIGINS_MAX = 100_000
"""Names of origins that are remembered; beyond it all rows are asked about anew."""
_UNKNOWN, _PASSES = -1, 0


class Origins:
    """Cuts a sender's batches by the target that its series were scraped from.

    What a Prometheus adds to each scrape (`up`, `scrape_…`) passes: whether a target is down is not to wait for its
    past. So does what names no instance, and what need not learn.

    Examples
    --------
    >>> from model.labels import Labels
    >>> index = SeriesIndex()
    >>> names = {"job": "shop", "instance": "a:1"}
    >>> rows = [index.intern(Labels.of({"__name__": name, **names})) for name in ("up", "depth")]
    >>> batch = MetricBatch.of(rows, 0, [1.0, 5.0], arrival_ms=0, source="paris")
    >>> parts, rest = Origins(index).split(
    ...     batch, settled=lambda origin: False, wanted=lambda origin, rows: rows >= 0
    ... )
    >>> [(origin.split(), part.values.tolist()) for origin, part in parts], rest.values.tolist()
    ([(['paris', 'shop', 'a:1'], [5.0])], [1.0])
    """

    def __init__(self, index: SeriesIndex, origins_max: int = ORIGINS_MAX) -> None:
        self._index = index
        self._most = origins_max
        self._numbers: dict[str, int] = {}
        self._names = [""]
        self._of_row = np.full(0, _UNKNOWN, dtype=np.int32)
        index.on_evict(self._forget)

    def __len__(self) -> int:
        return len(self._numbers)

    def split(
        self,
        batch: MetricBatch,
        *,
        settled: Callable[[str], bool],
        wanted: Callable[[str, Rows], Bools],
    ) -> tuple[list[tuple[str, MetricBatch]], MetricBatch | None]:
        """The samples of each origin whose series are to wait, and those of all others.

        Samples keep their order. A row is asked about when it is first met (`wanted`), an origin until it is
        settled.
        """
        rows = batch.rows
        self._grow(int(rows.max(initial=-1)) + 1)
        fresh = np.unique(rows[(rows >= 0) & (self._of_row[rows] == _UNKNOWN)])
        self._sort(batch.source, fresh, wanted)
        origins = np.where(rows >= 0, self._of_row[rows], _PASSES)
        for number in np.unique(origins[origins > _PASSES]).tolist():
            if settled(self._names[number]):
                mine = origins == number
                self._of_row[rows[mine]] = origins[mine] = _PASSES
        held = np.flatnonzero(origins)
        if not len(held):
            return [], batch
        order = held[np.argsort(origins[held], kind="stable")]
        edges = np.flatnonzero(np.diff(origins[order])) + 1
        parts = [
            (self._names[int(origins[some[0]])], cut(batch, some))
            for some in np.split(order, edges)
        ]
        rest = np.flatnonzero(origins == _PASSES)
        return parts, cut(batch, rest) if len(rest) else None

    def _grow(self, most: int) -> None:
        if most > len(self._of_row):
            room = np.full(most + most // 2 - len(self._of_row), _UNKNOWN, dtype=np.int32)
            self._of_row = np.concatenate((self._of_row, room))

    def _sort(self, sender: str, rows: Rows, wanted: Callable[[str, Rows], Bools]) -> None:
        """Note the origin of rows that are met for the first time."""
        if len(self._numbers) >= self._most:
            self._numbers, self._names = {}, [""]
            self._of_row[self._of_row > _PASSES] = _UNKNOWN
        self._of_row[rows] = _PASSES
        by_origin: dict[str, list[int]] = {}
        for row in rows.tolist():
            labels = self._index.labels(row)
            name, instance = labels.get(NAME, ""), labels.get("instance", "")
            if instance and name != "up" and not name.startswith("scrape_"):
                origin = f"{sender}\t{labels.get('job', '')}\t{instance}"
                by_origin.setdefault(origin, []).append(row)
        for origin, some in by_origin.items():
            mine = np.array(some, dtype=np.int32)
            mine = mine[wanted(origin, mine)]
            if len(mine):
                self._of_row[mine] = self._number(origin)

    def _number(self, origin: str) -> int:
        number = self._numbers.setdefault(origin, len(self._names))
        if number == len(self._names):
            self._names.append(origin)
        return number

    def _forget(self, rows: Rows) -> None:
        self._of_row[rows[rows < len(self._of_row)]] = _UNKNOWN


def cut(batch: MetricBatch, at: NDArray[np.signedinteger[Any]]) -> MetricBatch:
    """Some of a batch's samples."""
    rows, times_ms, values = batch.rows[at], batch.times_ms[at], batch.values[at]
    return MetricBatch(rows, times_ms, values, batch.arrival_ms, batch.source)


def joined(batches: Iterable[MetricBatch]) -> list[MetricBatch]:
    """One batch for each sender: parts that waited go on together."""
    by_source: dict[str, list[MetricBatch]] = {}
    for batch in batches:
        by_source.setdefault(batch.source, []).append(batch)
    return [some[0] if len(some) == 1 else _together(some) for some in by_source.values()]


def _together(some: Sequence[MetricBatch]) -> MetricBatch:
    return MetricBatch(
        np.concatenate([one.rows for one in some]),
        np.concatenate([one.times_ms for one in some]),
        np.concatenate([one.values for one in some]),
        max(one.arrival_ms for one in some),
        some[0].source,
    )


def origin_labels(origin: str) -> dict[str, str]:
    """`job` and `instance` of an origin.

    >>> origin_labels("paris\\tshop\\ta:1")
    {'job': 'shop', 'instance': 'a:1'}
    """
    _, job, instance = origin.split("\t", 2)
    return {"job": job, "instance": instance}


def more(goal: Goal, found: Goal) -> Goal:
    """A goal with the series of a later batch: one scrape may come in many pushes."""
    return replace(
        goal,
        rows={**goal.rows, **found.rows},
        names=goal.names | found.names,
        until_ms=min(goal.until_ms, found.until_ms),
    )


def completed(
    goals: Sequence[Goal], held: Callable[[str], Iterable[MetricBatch]]
) -> tuple[Goal, ...]:
    """Goals of origins get the interval seen in what is held, and what their sender adds to all its series.

    A label with one value on every series of a sender was added by it: an external label, which the Prometheus
    does not tell when it is asked for its own series.
    """
    common: dict[str, dict[str, str]] = {}
    for goal in goals:
        sender = goal.source.partition("\t")[0]
        for labels in () if goal.interval_ms else goal.rows:
            known = common.setdefault(sender, {n: v for n, v in labels.items() if n != NAME})
            for name in [n for n, value in known.items() if labels.get(n) != value]:
                del known[name]
    return tuple(
        replace(
            goal,
            labels={**common.get(goal.source.partition("\t")[0], {}), **goal.labels},
            interval_ms=interval_ms(held(goal.source)),
        )
        if not goal.interval_ms
        else goal
        for goal in goals
    )


def interval_ms(batches: Iterable[MetricBatch]) -> int:
    """The usual distance of two samples of a series, in milliseconds.

    >>> one = MetricBatch.of([1, 2, 1], [0, 0, 10_000], [1.0, 1.0, 1.0], arrival_ms=0)
    >>> interval_ms([one]), interval_ms([])
    (10000, 15000)
    """
    some = list(batches)
    if not some:
        return INTERVAL_MS
    rows = np.concatenate([one.rows for one in some])
    times = np.concatenate([one.times_ms for one in some])
    order = np.lexsort((times, rows))
    gaps = np.diff(times[order])[np.diff(rows[order]) == 0]
    gaps = gaps[gaps > 0]
    return int(np.median(gaps)) if len(gaps) else INTERVAL_MS
