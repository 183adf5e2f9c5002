"""Series of unknown meaning: a level must shift, and stay shifted, to be told; or a gauge stand still."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.levelshift import shifted
from detectors.light.clock import Times
from detectors.light.state import COUNT
from detectors.light.tier import Close, Light
from detectors.roles import ROLE_NUMBER
from detectors.rows import Array
from detectors.tell import Sighting, flat_alert
from detectors.wanted import Wanted
from detectors.watcher import Settled
from model.alert import Alert
from model.batch import Bools, Floats, Ints, Rows

if TYPE_CHECKING:
    from detectors.judge import Judge

_METHODS = ("levelshift", "flatline")


class PlainSeries:
    """Lets the light tier take all samples, and judges the few that want a closer look."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.light = Light(judge.settings.sensitivity)
        self.wanted = Wanted()

    def take(
        self, rows: Rows, times_ms: Times, values: Floats, now_ms: int, *, counters: bool
    ) -> None:
        """One sample of each of some gauges, or counters."""
        take = self.light.counters if counters else self.light.gauges
        close = take(rows, times_ms, values)
        if close is not None:
            self._look(close, now_ms)

    def want(self, name: str, rows: Array, wanted: bool) -> None:
        """Show the watcher of this name every sample of these rows from now on, or no more."""
        self.wanted.set(name, rows, wanted)
        self.light.state.wake(rows)

    def _look(self, close: Close, now_ms: int) -> None:
        """What may be outside, is shown to somebody, or belongs to an alert."""
        judge, rows, times_ms, values = self._judge, close.rows, close.times_ms, close.values
        roles = judge.meta["role"][rows]
        self._flat(rows, times_ms, values, close.flat & (roles != ROLE_NUMBER["quiet"]), now_ms)
        bands = judge.baselines.compare(rows, close.learnt, close.seen_ms, close.bounded, roles)
        marked = judge.alerting.marked("levelshift", rows)
        self.light.unlearn(close, bands.outside | marked)
        sums = self.light.state.sums[:, close.places]
        over = shifted(sums, np.where(bands.warm, bands.score, 0.0), bands.outside)
        self.light.state.sums[:, close.places] = sums
        judge.history.add(rows, times_ms, values, bands.low, bands.high)
        outside = bands.outside & over
        seen = Settled(
            "levelshift", rows, times_ms, values, roles, bands.low, bands.high, outside, marked
        )
        first = close.before[COUNT] == 0.0
        shown = self.wanted.show(seen, first, judge.watchers, now_ms)
        judge.tell(seen, bands.score, now_ms)
        self.light.state.hot[close.places] = shown | (sums > 0.0).any(axis=0) | self._stays(rows)

    def _flat(self, rows: Array, times_ms: Ints, values: Floats, flat: Bools, now_ms: int) -> None:
        """Gauges that stand still."""
        judge, alerting = self._judge, self._judge.alerting
        marked = alerting.marked("flatline", rows)
        lasting = Lasting(0, 1, 0, 1)
        for at in np.flatnonzero(flat | marked).tolist():
            row, at_ms, value = int(rows[at]), int(times_ms[at]), float(values[at])
            seen = Sighting(row, at_ms, value, value, value, 0.0, 0.0)

            def describe(entry: Entry, seen: Sighting = seen) -> Alert:
                return flat_alert(judge.index.labels(seen.row), seen, entry, judge.history)

            if flat[at]:
                alerting.abnormal(
                    ("flatline", row),
                    at_ms,
                    now_ms=now_ms,
                    lasting=lasting,
                    peak=0.0,
                    describe=describe,
                )
            else:
                alerting.normal(
                    ("flatline", row), at_ms, now_ms=now_ms, lasting=lasting, describe=describe
                )

    def _stays(self, rows: Array) -> Bools:
        """What is to be looked at closely whatever comes next."""
        judge = self._judge
        if judge.past:  # its alerts are not those that were before it, and will be after it
            return np.ones(len(rows), dtype=np.bool_)
        stays = judge.history.has(rows)
        if judge.baselines.lenient:  # the tier's own bound knows nothing of narrower bands
            stays = stays | (judge.baselines.widths["width"][rows] < 1.0)
        for method in _METHODS:
            stays = stays | judge.alerting.marked(method, rows)
        return stays

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        self.light.state.forget(rows)
        self.wanted.forget(rows)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.light.nbytes + self.wanted.nbytes

    def save(self) -> dict[str, Array]:
        """Arrays by name."""
        return {**self.light.state.save(self._judge.meta["kind"]), **self.wanted.save()}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `save` gave."""
        self.light.state.load(arrays)
        self.wanted.load(arrays)
