"""Many raw series to few signals: counters summed by service and instance, looked at over a window.

Per-route counters and histogram buckets are never judged one by one: hundreds of small, noisy series
would cry wolf. What is judged is what a person would plot. Sums are made in `step`, from totals kept
by row, so that how a scrape was cut into batches cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np

from detectors.classify import VIA
from detectors.roles import service_of
from detectors.rows import Array
from model.batch import Bools, Floats, Ints
from model.labels import Labels

_RING = 40
_NEVER = -(1 << 62)
_GAP_INTERVALS = 5.0
_GAP_MS = 5_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Increase of each field over a window: `delta` (n_groups, n_fields), `seconds` (n_groups,) or NaN."""

    delta: Floats
    seconds: Floats


class Family:
    """Groups (a service's instance, a file system, …) of one kind of signal, with rings of their sums.

    Parameters
    ----------
    fields : tuple of str
        Names of the sums; for histograms `le` values join as they are met, up to `fields_max`.
    counters : bool
        Whether inputs are counters (their totals are summed) or gauges (their values).
    """

    def __init__(self, fields: tuple[str, ...], *, counters: bool, fields_max: int = 0) -> None:
        self.counters = counters
        self._fixed = fields
        self._width = max(len(fields), fields_max)
        self._groups: dict[Labels, int] = {}
        self._labels: list[Labels | None] = []
        self._fields: list[dict[str, int]] = []
        self._second_hand: Ints | None = None
        self._of_services: frozenset[str] | None = None
        self.version = 0  # grows with each group that comes or goes
        self._services: dict[int, str | None] = {}  # as they are asked for
        self._free: list[int] = []  # a heap: the lowest is used again first, also after a restart
        self._inputs: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._members: dict[int, set[int]] = {}  # rows by group
        # Rows and fields of a group's inputs: a series that is new costs its own group's, not everybody's.
        self._columns: dict[int, tuple[Ints, Ints]] = {}
        self._slots: tuple[Ints, Ints] | None = None
        self._group_of_row = np.full(0, -1, dtype=np.int32)
        self._size = 0
        self.out_rows = np.zeros((0, 4), dtype=np.int64)
        self._times = np.zeros((0, _RING), dtype=np.int64)
        self._sums = np.zeros((0, _RING, self._width))
        self._at = np.zeros(0, dtype=np.int64)
        self._evaluated = np.zeros(0, dtype=np.int64)
        self._interval_ms = np.zeros(0)
        self._time_ms = np.zeros(0, dtype=np.int64)
        self._dirty = np.zeros(0, dtype=np.bool_)

    def labels(self, group: int) -> Labels:
        """The labels a group was made for."""
        labels = self._labels[group]
        assert labels is not None
        return labels

    def service(self, group: int) -> str | None:
        """Who is heard by a group's samples; None where it is the teller (`via`), whatever the service does."""
        if group not in self._services:
            labels = self.labels(group)
            self._services[group] = None if VIA in labels else service_of(labels)
        return self._services[group]

    def second_hand(self) -> Ints:
        """Groups that somebody else measured (`via`), of services that have groups of their own."""
        if self._second_hand is None:
            via = {group for labels, group in self._groups.items() if VIA in labels}
            others = self._groups.items() if via else ()
            own = {service_of(ls) for ls, group in others if group not in via}
            told = [group for group in sorted(via) if service_of(self.labels(group)) in own]
            self._second_hand = np.array(told, dtype=np.int64)
        return self._second_hand

    def services(self) -> frozenset[str]:
        """The services that have groups."""
        if self._of_services is None:
            self._of_services = frozenset(map(service_of, self._groups))
        return self._of_services

    def group(self, labels: Labels) -> int | None:
        """The number of the group that was made for these labels."""
        return self._groups.get(labels)

    def all_groups(self) -> list[int]:
        """Numbers of the groups there are, ascending."""
        return sorted(self._groups.values())

    def used(self, groups: Array) -> Bools:
        """Which fields have been met, shape (n_groups, n_fields)."""
        met = np.array([len(self._fields[group]) for group in groups.tolist()])
        return np.asarray(np.arange(self._width)[None, :] < met[:, None])

    def bounds(self, groups: Array) -> Floats:
        """Histogram bounds by field, shape (n_groups, n_fields), NaN where unused."""
        bounds = np.full((len(groups), self._width), np.nan)
        for position, group in enumerate(groups.tolist()):
            for text, field in self._fields[group].items():
                try:
                    bounds[position, field] = float(text)
                except ValueError:
                    continue
        return bounds

    def add(self, row: int, labels: Labels, fields: tuple[str, ...]) -> tuple[int, float] | None:
        """Make a row an input; the group's last time and interval where it has long been watched."""
        group = self._groups.get(labels)
        if group is None:
            group = self._new_group(labels)
        names = self._fields[group]
        for field in fields:
            if field not in names and len(names) < self._width:
                names[field] = len(names)
        self._inputs[row] = group, tuple(names[f] for f in fields if f in names)
        self._slots = None
        self._members.setdefault(group, set()).add(row)
        self._columns.pop(group, None)
        if row >= len(self._group_of_row):
            grown = np.full(max(64, 2 * row), -1, dtype=np.int32)
            grown[: len(self._group_of_row)] = self._group_of_row
            self._group_of_row = grown
        self._group_of_row[row] = group
        if self._evaluated[group] >= 5:
            last = int(self._times[group, self._at[group] % _RING])
            return last, float(self._interval_ms[group])
        return None

    def _new_group(self, labels: Labels) -> int:
        group = heappop(self._free) if self._free else len(self._labels)
        fields = {name: number for number, name in enumerate(self._fixed)}
        if group == len(self._labels):
            self._labels.append(labels)
            self._fields.append(fields)
        else:
            self._labels[group], self._fields[group] = labels, fields
        self._groups[labels] = group
        self._changed()
        self._services.pop(group, None)
        if group >= self._size:
            self._grow(max(8, 2 * group))
        self._clear(group)
        return group

    def _changed(self) -> None:
        self._second_hand = self._of_services = None
        self.version += 1

    def _grow(self, size: int) -> None:
        for name in _ARRAYS:
            array = getattr(self, name)
            grown = np.zeros((size, *array.shape[1:]), dtype=array.dtype)
            grown[: len(array)] = array
            setattr(self, name, grown)
        self._size = size

    def _clear(self, group: int) -> None:
        self._times[group] = _NEVER
        self._sums[group] = 0.0
        self.out_rows[group] = -1
        self._at[group] = self._evaluated[group] = self._time_ms[group] = 0
        self._interval_ms[group], self._dirty[group] = 0.0, False

    def outputs(self, rows: Array) -> Ints:
        """The derived rows that some input rows go into."""
        known = rows[rows < len(self._group_of_row)]
        groups = self._group_of_row[known]
        out: Ints = self.out_rows[np.unique(groups[groups >= 0])]
        return out[out >= 0]

    def touch(self, rows: Array, times_ms: Ints) -> None:
        """Note that inputs had samples."""
        groups = self._group_of_row[rows]
        self._dirty[groups] = True
        np.maximum.at(self._time_ms, groups, times_ms)

    def gather(self, values: Floats) -> tuple[Ints, Ints, Floats]:
        """Sum the inputs of the groups that had samples since, and remember it in their rings.

        Parameters
        ----------
        values : float64, shape (capacity,)
            Totals (counters) or last values (gauges) by row.

        Returns
        -------
        groups, times_ms, sums : shapes (n_groups,), (n_groups,), (n_groups, n_fields)
        """
        dirty: Ints = np.flatnonzero(self._dirty)
        newest = self._times[dirty, self._at[dirty] % _RING]
        groups = dirty[self._time_ms[dirty] > newest]
        self._dirty[dirty] = False
        if len(groups) == 0:
            return groups, groups, np.zeros((0, self._width))
        rows, cells = self._cells(groups)
        size = len(groups) * self._width
        sums = np.bincount(cells, weights=values[rows], minlength=size).reshape(-1, self._width)
        times_ms = self._time_ms[groups]
        self._pass_gaps(groups, times_ms)
        self._at[groups] += 1
        at = self._at[groups] % _RING
        self._times[groups, at] = times_ms
        self._sums[groups, at] = sums
        self._evaluated[groups] += 1
        return groups, times_ms, np.asarray(sums, dtype=np.float64)

    def _cells(self, groups: Ints) -> tuple[Ints, Ints]:
        """Rows of the inputs of some groups, and each one's cell in a table of (n_groups, n_fields)."""
        columns = [self._columns.get(group) or self._columns_of(group) for group in groups.tolist()]
        rows = np.concatenate([rows for rows, _ in columns])
        of = np.repeat(np.arange(len(groups)), [len(rows) for rows, _ in columns])
        return rows, of * self._width + np.concatenate([fields for _, fields in columns])

    def _columns_of(self, group: int) -> tuple[Ints, Ints]:
        pairs = [(row, f) for row in sorted(self._members[group]) for f in self._inputs[row][1]]
        table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        self._columns[group] = table[:, 0].copy(), table[:, 1].copy()
        return self._columns[group]

    def _input_slots(self) -> tuple[Ints, Ints]:
        if self._slots is None:
            pairs = [
                (row, group * self._width + field)
                for row, (group, fields) in sorted(self._inputs.items())
                for field in fields
            ]
            table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            self._slots = table[:, 0].copy(), table[:, 1].copy()
        return self._slots

    def _pass_gaps(self, groups: Array, times_ms: Ints) -> None:
        newest = self._times[groups, self._at[groups] % _RING]
        gap = np.where(newest == _NEVER, 0, times_ms - newest).astype(np.float64)
        interval = self._interval_ms[groups]
        # What happened during a long pause is unknown: no window may reach over it.
        lost = (interval > 0) & (gap > np.maximum(_GAP_INTERVALS * interval, _GAP_MS))
        self._times[groups[lost]] = _NEVER
        bound = 0.2 * interval
        usual = np.where(interval == 0, gap, interval + np.clip(gap - interval, -bound, bound))
        self._interval_ms[groups] = np.where(lost, interval, usual)

    def window(self, groups: Array, sums: Floats, window_ms: float) -> Window:
        """Increase of the sums since `window_ms` ago (the newest ring entry at least that old)."""
        now = self._times[groups, self._at[groups] % _RING]
        times = self._times[groups]
        slack = np.minimum(0.3 * self._interval_ms[groups], 0.2 * window_ms)
        oldest: Floats = (now - window_ms + slack).astype(np.float64)
        old: Bools = (times <= oldest[:, None]) & (times > _NEVER)
        has = np.asarray(old.any(axis=1))
        at = np.argmax(np.where(old, times, _NEVER), axis=1)
        delta = np.maximum(sums - self._sums[groups, at], 0.0)
        then = self._times[groups, at]
        seconds = np.where(has, now - np.where(has, then, 0), np.nan) / 1000.0
        return Window(np.where(has[:, None], delta, np.nan), seconds)

    def increases(self, groups: Array, count: int) -> Floats:
        """What each field grew by between the last `count` + 1 sums, newest first.

        Shape (n_groups, count, n_fields); NaN where there is none.
        """
        at = (self._at[groups][:, None] - np.arange(count + 1)[None, :]) % _RING
        known = self._times[groups[:, None], at][:, 1:] > _NEVER
        sums = self._sums[groups[:, None], at]
        grown = np.maximum(sums[:, :-1] - sums[:, 1:], 0.0)
        return np.where(known[:, :, None], grown, np.nan)

    def interval_ms(self, groups: Array) -> Floats:
        """The usual time between sums, 0 before the second."""
        return self._interval_ms[groups]

    def lately(self, group: int, window_ms: int) -> float:
        """What the first field of a group grew by in at most `window_ms`, as far as that is remembered."""
        newest = self._at[group] % _RING
        times = self._times[group]
        first = int(
            np.argmin(np.where(times > max(times[newest] - window_ms - 1, _NEVER), times, 1 << 62))
        )
        return max(float(self._sums[group, newest, 0] - self._sums[group, first, 0]), 0.0)

    def rates(self, groups: Array, window_ms: float) -> Floats:
        """Per-second increase of the first field between neighbouring samples, newest first.

        Shape (n_groups, ring - 1); NaN beyond `window_ms` (but three intervals at least) and where
        there is none.
        """
        at = (self._at[groups][:, None] - np.arange(_RING)[None, :]) % _RING
        times = self._times[groups[:, None], at]
        sums = self._sums[groups[:, None], at, 0]
        known = times[:, 1:] > _NEVER
        elapsed = np.where(known, times[:, :-1] - times[:, 1:], 1)
        reach = np.maximum(window_ms, 3.2 * self._interval_ms[groups])
        known &= times[:, :1] - times[:, 1:] <= reach[:, None]
        increase = np.maximum(sums[:, :-1] - sums[:, 1:], 0.0)
        return np.where(known, increase * 1000.0 / np.maximum(elapsed, 1), np.nan)

    def forget(self, rows: Array) -> None:
        """Inputs that are gone leave their groups; a group without inputs is gone too."""
        left = set[int]()
        for row in rows.tolist():
            known = self._inputs.pop(row, None)
            if known is not None:
                self._group_of_row[row] = -1
                self._members[known[0]].discard(row)
                left.add(known[0])
        self.out_rows[np.isin(self.out_rows, rows)] = -1
        if left:
            self._slots = None
            self._changed()
        for group in left:
            self._columns.pop(group, None)
            if not self._members[group]:
                del self._members[group], self._groups[self.labels(group)]
                self._labels[group] = None
                heappush(self._free, group)
                self._clear(group)

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return sum(int(getattr(self, name).nbytes) for name in _ARRAYS)

    def save(self, prefix: str) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the groups."""
        arrays = {f"{prefix}{name}": getattr(self, name) for name in _ARRAYS}
        arrays[f"{prefix}_group_of_row"] = self._group_of_row
        # As arrays, which are kept: there may be as many inputs as there are series.
        arrays[f"{prefix}_input_rows"], arrays[f"{prefix}_input_slots"] = self._input_slots()
        state = {
            "labels": [None if ls is None else list(map(list, ls.pairs)) for ls in self._labels],
            "fields": self._fields,
        }
        return arrays, state

    def load(self, prefix: str, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        for name in _ARRAYS:
            setattr(self, name, arrays[f"{prefix}{name}"])
        self._group_of_row = arrays[f"{prefix}_group_of_row"]
        self._size = len(self._at)
        self._labels = [
            None if pairs is None else Labels(tuple((n, v) for n, v in pairs))
            for pairs in state["labels"]
        ]
        self._services = {}
        self._changed()
        self._groups = {ls: g for g, ls in enumerate(self._labels) if ls is not None}
        self._fields = [dict(fields) for fields in state["fields"]]
        self._free = [g for g, ls in enumerate(self._labels) if ls is None]
        fields: dict[int, tuple[int, ...]] = {}
        rows, slots = arrays[f"{prefix}_input_rows"], arrays[f"{prefix}_input_slots"]
        for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
            fields[row] = (*fields.get(row, ()), slot % self._width)
        inputs = np.flatnonzero(self._group_of_row >= 0)
        groups = self._group_of_row[inputs].tolist()
        self._inputs = {
            row: (group, fields.get(row, ()))
            for row, group in zip(inputs.tolist(), groups, strict=True)
        }
        self._slots = rows, slots
        self._members, self._columns = {}, {}
        for row, (group, _) in self._inputs.items():
            self._members.setdefault(group, set()).add(row)


_ARRAYS = (
    "out_rows",
    "_times",
    "_sums",
    "_at",
    "_evaluated",
    "_interval_ms",
    "_time_ms",
    "_dirty",
)
