"""Metrics on their way in: what each series is for, and what is derived of many."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.absence import Absences
from detectors.classify import Class, classify
from detectors.derive import Family
from detectors.families import families
from detectors.judge import Judge
from detectors.light.clock import Times
from detectors.light.state import neighbours
from detectors.roles import ROLE_NUMBER, WATCHED, Kind, service_of
from detectors.rows import Array, RowArrays
from detectors.settings import DetectorSettings
from detectors.signals import Signal, signals
from detectors.summaries import FAMILY, QUANTILES, Summaries
from model.batch import Bools, Floats, Ints, Rows
from model.series import NAME, SENDER, SeriesIndex

_FUTURE_MS = 60_000
_SUMMARY_PARTS = ("_sum", "_count")
# An enumeration's member is looked up at the price of three arrays' elements.
_IGNORED, _INPUT, _MEMORY, _UP = map(int, (Kind.IGNORED, Kind.INPUT, Kind.MEMORY, Kind.UP))


def kind_of(index: SeriesIndex, name: str) -> str:
    """The type of a series by its name: its own, or of the summary it is a part of."""
    kind = index.kind(name)
    if kind == "unknown" and name.endswith(_SUMMARY_PARTS):
        whole = index.kind(name.rpartition("_")[0])
        return whole if whole == "summary" else kind
    return kind


def class_of(index: SeriesIndex, row: int) -> Class:
    """What a row of an index is for, by its labels alone."""
    if not index.in_use(row):
        return Class(Kind.IGNORED)
    labels = index.labels(row)
    name = labels.get(NAME, "")
    kind = kind_of(index, name)
    if kind == "unknown" and name.endswith(("_total", "_bucket")):
        kind = index.kind(name.rpartition("_")[0])
    return classify(labels, kind)


def worth_learning(index: SeriesIndex, rows: Rows) -> Bools:
    """Which rows are judged or go into what is judged."""
    kinds = [class_of(index, row).kind for row in rows.tolist()]
    return np.asarray(np.array(kinds, dtype=np.int8) != Kind.IGNORED)


class MetricSide:
    """Sends each sample to the methods that are for its series; derives signals in `step`."""

    def __init__(self, settings: DetectorSettings, index: SeriesIndex, judge: Judge) -> None:
        self._settings = settings
        self._index = index
        self._judge = judge
        self._meta = judge.meta
        self._clocks = judge.clocks
        self.absences = Absences(settings.silent_after_ms)
        self._families = families()
        self._family_names = tuple(self._families)
        self._summaries = Summaries(self._families)
        self._role = 0 if settings.level_alerts else ROLE_NUMBER["quiet"]
        self._again: list[int] = []  # to be met once more; empty between batches
        self._ups_of: dict[int, tuple[str, str]] = {}
        self.samples = self.dropped = self.resets = 0

    @property
    def arrays(self) -> dict[str, RowArrays]:
        """The arrays over rows that are held here, by name."""
        return {"absences": self.absences.rows}

    def ensure(self) -> None:
        """Have room for every row of the index."""
        for arrays in self.arrays.values():
            arrays.ensure(self._index.capacity)
        self._judge.ensure()

    def take(self, rows: Rows, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """One sample of each of some rows."""
        self.samples += len(rows)
        self.ensure()
        # Most batches are one scrape: one time, and rows that are all known.
        time_ms = int(times_ms[0])
        alike = bool((times_ms == time_ms).all())
        in_time = time_ms if alike else int(times_ms.max())
        if rows.min() < 0 or rows.max() >= self._index.capacity or in_time > now_ms + _FUTURE_MS:
            good = (rows >= 0) & (rows < self._index.capacity) & (times_ms <= now_ms + _FUTURE_MS)
            self.dropped += int(np.count_nonzero(~good))
            rows, times_ms, values = rows[good], times_ms[good], values[good]
        kinds = self._kinds(rows, values)
        for kind in np.flatnonzero(np.bincount(kinds, minlength=len(Kind))).tolist():
            at = neighbours(np.flatnonzero(kinds == kind))
            if kind in (Kind.GAUGE, Kind.COUNTER):
                some_ms = time_ms if alike else times_ms[at]
                self._plain(kind, rows[at], some_ms, values[at], now_ms)
            else:
                self._others(kind, rows[at], times_ms[at], values[at], now_ms)
        dropped, resets = self._judge.plain.light.counted()
        self.dropped += dropped
        self.resets += resets

    def _kinds(self, rows: Rows, values: Floats) -> NDArray[np.int8]:
        """The kinds of rows; those of new ones are decided with their first finite value."""
        kinds: NDArray[np.int8] = self._meta["kind"][rows]
        new = kinds == Kind.NEW
        if new.any():
            self._meet_all(rows[new & np.isfinite(values)])
            kinds = self._meta["kind"][rows]
        return kinds

    def _plain(self, kind: int, rows: Rows, times_ms: Times, values: Floats, now_ms: int) -> None:
        """Samples of gauges and counters of unknown meaning."""
        if self._judge.thresholds.rules or any(w.wants_plain for w in self._judge.watchers):
            good = self._judge.plain.light.usable(rows, times_ms, values)
            every_ms = np.broadcast_to(times_ms, rows.shape)
            self._show(rows[good], every_ms[good], values[good], now_ms, plain=True)
        counters = kind == Kind.COUNTER
        self._judge.plain.take(rows, times_ms, values, now_ms, counters=counters)

    def _show(
        self, rows: Rows, times_ms: Ints, values: Floats, now_ms: int, *, plain: bool
    ) -> None:
        """Raw samples that can be used: for the user's thresholds, and for watchers that want them."""
        if self._judge.thresholds.rules:
            self._judge.rules(rows, times_ms, values, now_ms)
        for watcher in self._judge.watchers:
            if watcher.wants_plain if plain else watcher.wants_samples:
                watcher.samples(rows, times_ms, values, now_ms)

    def _others(self, kind: int, rows: Rows, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """Samples of what is not a plain series."""
        good = self._clocks.newer(rows, times_ms, values)
        if not good.all():
            self._vanish(rows[np.isnan(values)])
            self.dropped += int(np.count_nonzero(~good))
            rows, times_ms, values = rows[good], times_ms[good], values[good]
        self._show(rows, times_ms, values, now_ms, plain=False)
        if kind == Kind.INPUT:
            self._inputs(rows, times_ms, values, now_ms)
        elif kind == Kind.UP:
            self._ups(rows, times_ms, values, now_ms)
        elif kind == Kind.MEMORY:
            self._memories(rows, times_ms, values, now_ms)

    def _meet_all(self, rows: Rows) -> None:
        """Decide what new rows are for; plain ones of a kind get places side by side."""
        met = [self._meet(row) for row in rows.tolist()]
        self._meta["kind"][rows] = kinds = np.array([kind for kind, _ in met], dtype=np.int8)
        self._meta["role"][rows] = [role for _, role in met]
        for kind in (Kind.GAUGE, Kind.COUNTER):
            self._judge.plain.light.state.add(rows[kinds == kind])
        if self._again:
            again, self._again = np.array(self._again), []
            again = again[self._meta["kind"][again] == _IGNORED]
            self._meta["kind"][again] = Kind.NEW

    def classified(self, row: int) -> Class:
        """What a row of the index is for."""
        return class_of(self._index, row)

    def outputs(self, rows: Array) -> Rows:
        """Rows, and the derived rows that they go into."""
        derived = [family.outputs(rows) for family in self._families.values()]
        return np.unique(np.concatenate([rows, *derived])).astype(np.int32)

    def _meet(self, row: int) -> tuple[int, int]:
        """Decide what a new row is for: its kind and role."""
        made, judge = self.classified(row), self._judge
        if not self._index.in_use(row):
            return _IGNORED, int(self._meta["role"][row])
        labels = self._index.labels(row)
        judge.thresholds.add(row, labels)
        judge.met(row, labels)
        kind, role = int(made.kind), self._role
        if made.family in WATCHED:
            role = ROLE_NUMBER[made.family]
            if made.family not in ("certificate", "edge"):
                judge.history.watch(row)
        elif made.family == "quiet":
            role = ROLE_NUMBER["quiet"]
        if kind == _INPUT:
            self._meet_input(row, made)
        elif kind == _MEMORY:
            role = ROLE_NUMBER["memory"]
            judge.history.watch(row)
            judge.baselines.watch_season(row)
        elif kind == _UP:
            judge.history.watch(row)
        return kind, role

    def _meet_input(self, row: int, made: Class) -> None:
        self._meta["family"][row] = self._family_names.index(made.family)
        running = self._families[made.family].add(row, made.group, made.fields)
        if running is not None and made.counter:
            self._clocks.begin_at_zero(row, *running)
        if made.also:
            self._families[made.also].add(row, made.group, made.fields)
        if made.family == QUANTILES:
            self._meet_again(row)

    def _meet_again(self, quantile: int) -> None:
        """A quantile shows what its neighbours of an unknown type are: parts of a summary."""
        labels = self._index.labels(quantile).without("quantile")
        name = labels[NAME]
        if self._index.kind(name) == "unknown":
            self._index.describe(name, "summary")
        parts = (self._index.find(labels.with_(**{NAME: name + part})) for part in _SUMMARY_PARTS)
        self._again += [row for row in parts if row is not None]

    def _inputs(self, rows: Rows, times_ms: Ints, values: Floats, now_ms: int) -> None:
        of = self._meta["family"][rows]
        for number, name in enumerate(self._family_names):
            at = of == number
            if not at.any():
                continue
            some, times = rows[at], times_ms[at]
            if self._families[name].counters:
                growth = self._clocks.count(some, times, values[at])
                self.resets += growth.resets
            else:
                self._clocks.rows["total"][some] = values[at]
            self._clocks.tick(some, times)
            self._families[name].touch(some, times)

    def _vanish(self, rows: Rows) -> None:
        """Quantiles of nothing (no request in the client's window) are no longer what they were."""
        of = self._meta["family"][rows]
        self._clocks.rows["total"][rows[of == self._family_names.index(QUANTILES)]] = np.nan

    def _ups(self, rows: Rows, times_ms: Ints, values: Floats, now_ms: int) -> None:
        self._clocks.tick(rows, times_ms)
        for row, time_ms, value in zip(
            rows.tolist(), times_ms.tolist(), values.tolist(), strict=True
        ):
            service, source = self._whose(row)
            self.absences.heard(service, time_ms, source)
            if source.startswith(SENDER):
                self.absences.sender(source.removeprefix(SENDER), value > 0, time_ms)
        down = self.absences.down(rows, times_ms, values)
        self._judge.up(rows, times_ms, values, down, now_ms)

    def _whose(self, row: int) -> tuple[str, str]:
        """Service and source of an `up`."""
        known = self._ups_of.get(row)
        if known is None:
            labels, source = self._index.labels(row), self._index.source(row)
            known = self._ups_of[row] = service_of(labels), source
        return known

    def _memories(self, rows: Rows, times_ms: Ints, values: Floats, now_ms: int) -> None:
        self._clocks.tick(rows, times_ms)
        interval_ms = self._clocks.rows["interval_ms"][rows]
        self._judge.memory(rows, times_ms, values, interval_ms, now_ms)

    def step(self, now_ms: int) -> None:
        """Derive the signals of what had samples since, and judge them all at once."""
        found: list[tuple[Ints, Ints, Floats, Bools, NDArray[np.int8]]] = []
        for name, family in self._families.items():
            groups, times_ms, sums = family.gather(self._clocks.rows["total"])
            if len(second_hand := family.second_hand()):
                own = ~np.isin(groups, second_hand)
                groups, times_ms, sums = groups[own], times_ms[own], sums[own]
            if len(groups):
                for watcher in self._judge.watchers:
                    watcher.sums(name, family, groups, times_ms, sums, now_ms)
                self._hear(family, groups, times_ms)
                usual = self._usual_errors(family.out_rows[groups, 1])
                for signal in self._signals(name, groups, times_ms, sums, usual):
                    found.append(self._rows_of(family, signal, now_ms))
        if found:
            rows, times, values, enough, roles = (
                np.concatenate(x) for x in zip(*found, strict=True)
            )
            self._judge.signal(rows, times, values, enough, roles, now_ms)

    def _signals(
        self, name: str, groups: Ints, times_ms: Ints, sums: Floats, usual: Floats
    ) -> list[Signal]:
        if name == FAMILY:
            return self._summaries.signals(groups, times_ms, sums, usual)
        if name == QUANTILES:
            return self._summaries.tails(groups, times_ms, sums)
        return signals(name, self._families[name], groups, times_ms, sums, usual)

    def _hear(self, family: Family, groups: Ints, times_ms: Ints) -> None:
        """The services of these groups are alive; what many groups say one after another counts once."""
        services = map(family.service, groups.tolist())
        for (service, time_ms), _ in groupby(zip(services, times_ms.tolist(), strict=True)):
            if service is not None:
                self.absences.heard(service, time_ms)

    def _usual_errors(self, rows: Ints) -> Floats:
        level = self._judge.baselines.rows["level"]
        usual: Floats = np.where(rows >= 0, level[np.maximum(rows, 0)], 0.0)
        return usual

    def _rows_of(
        self, family: Family, signal: Signal, now_ms: int
    ) -> tuple[Ints, Ints, Floats, Bools, NDArray[np.int8]]:
        """A signal's derived rows, times, values, whether they are enough, and roles."""
        seen = ~np.isnan(signal.values)
        groups = signal.groups[seen]
        rows = family.out_rows[groups, signal.column]
        for at in np.flatnonzero(rows < 0).tolist():
            labels = family.labels(int(groups[at])).with_(**{NAME: signal.metric})
            rows[at] = self._judge.derived(labels, signal.role, now_ms)
            family.out_rows[groups[at], signal.column] = rows[at]
        enough = signal.enough[seen]
        if signal.role == "median":
            enough = enough & ~self._firing(family.out_rows[groups, 0])
        room = rows >= 0
        roles = np.full(int(np.count_nonzero(room)), ROLE_NUMBER[signal.role], dtype=np.int8)
        return (
            rows[room],
            signal.times_ms[seen][room],
            signal.values[seen][room],
            enough[room],
            roles,
        )

    def _firing(self, rows: Array) -> Bools:
        """Which rows' signals are being told of."""
        firing = self._judge.alerting.marked("baseline", rows)
        for at in np.flatnonzero(firing).tolist():
            entry = self._judge.alerting.entry(("baseline", int(rows[at])))
            firing[at] = entry is not None and entry.firing
        return firing

    def relearn(self, rows: Array) -> None:
        """Begin anew: what lasted long enough is the new normal."""
        self._judge.baselines.relearn(rows)
        self._judge.plain.light.state.relearn(rows)

    def forget(self, rows: Rows) -> None:
        """These rows go to other series."""
        for row in self._ups_of.keys() & set(rows.tolist()):
            del self._ups_of[row]
        for arrays in self.arrays.values():
            arrays.clear(rows)
        for family in self._families.values():
            family.forget(rows)

    def _meet_summaries(self) -> None:
        """An older release passed over them: they are met again with their next samples."""
        kinds = self._meta["kind"]
        for row in np.flatnonzero(kinds == _IGNORED).tolist():
            if not self._index.in_use(row):
                continue
            labels = self._index.labels(row)
            if "quantile" in labels or labels.get(NAME, "").endswith(_SUMMARY_PARTS):
                kinds[row] = Kind.NEW

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        held = sum(arrays.nbytes for arrays in self.arrays.values())
        return held + sum(family.nbytes for family in self._families.values())

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        arrays: dict[str, Array] = {}
        groups: dict[str, Any] = {}
        for name, family in self._families.items():
            held, groups[name] = family.save(f"family.{name}.")
            arrays.update(held)
        counts = [self.samples, self.dropped, self.resets]
        return arrays, {"families": groups, "absences": self.absences.save(), "counts": counts}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        for name, family in self._families.items():
            if name in state["families"]:
                family.load(f"family.{name}.", arrays, state["families"][name])
        if FAMILY not in state["families"]:
            self._meet_summaries()
        self.absences.load(state["absences"])
        self.samples, self.dropped, self.resets = state["counts"]
