"""Series of unknown meaning that slowly leave all that they were: leaks, backlogs, changes of trend.

A baseline that adapts follows them. Here each series' level is kept by the hour for eight days, and compared with like hours of days
before. Nothing is paid by sample: once a minute the newest values are read where the light tier has them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.drift import HOURS, drifts
from detectors.explain import alert_labels, quantity
from detectors.judge import Judge
from detectors.roles import ROLE_NUMBER, UNKNOWN, Kind, service_of
from detectors.rows import Array, RowArrays
from detectors.tell import SOURCE, finite
from detectors.trend import median
from detectors.watcher import Watcher
from model.alert import Alert, Evidence, Severity
from model.batch import Bools, Floats, Ints
from model.reason import because, gettext
from model.series import NAME

METHOD, ALERTNAME = "drift", "MetricDrifting"
_EVERY_MS, _ADMIT_MS = 60_000, 600_000
# An hour's level is the median of its parts: a burst is one of them.
_PART_MS, _PARTS = 600_000, 6
_GAP_MS = 3_600_000  # after such a pause nobody knows when a counter counted
_LARGE = 1e18
_KEEPS = 0.5  # of what it takes to begin keeps it going
_LASTING = Lasting(0, 2, 0, 2)  # hours
_SHOWN = 96
_OTHERS = ("levelshift", "full", "unusual", "rhythm", "beat")
_VERSION = 1
_ROSE = gettext(
    "{metric} of {service} has slowly risen to {value}; at this time of day {low} to {high} is usual"
)
_FELL = gettext("{metric} of {service} has slowly fallen to {value}; at this time of day {low} to {high} is usual")  # fmt: skip


class Drifting(Watcher):
    """Follows the first `drift_series_max` plain series; information only."""

    name = "drift"
    methods = frozenset({METHOD})

    def __init__(self, judge: Judge) -> None:
        self._judge, self._max = judge, judge.settings.drift_series_max
        self.rows = RowArrays(
            {"row": (np.int32, -1), "part": (np.int64, -1), "sum": (np.float64, 0.0), "count": (np.int32, 0),
             "value": (np.float64, np.nan), "last_ms": (np.int64, 0), "hour": (np.int64, -1), "beyond": (np.float32, 0.0),
             "low": (np.float32, np.nan), "high": (np.float32, np.nan)}
        )  # fmt: skip
        self._parts = RowArrays({"level": (np.float32, np.nan)}, (_PARTS,))
        self._hours = RowArrays({"level": (np.float32, np.nan)}, (HOURS,))
        self._by_row = RowArrays({"place": (np.int32, -1)})
        self._looked_ms = self._admitted_ms = 0
        self.waiting = 0

    def step(self, now_ms: int) -> None:
        """Read the newest values, once a minute."""
        if 0 <= now_ms - self._looked_ms < _EVERY_MS or not self._max:
            return
        self._looked_ms = now_ms
        self._look(now_ms)

    def learn(self, at_ms: int) -> None:
        """The past teaches as what is live does."""
        if self._max:
            self._look(at_ms)

    def _look(self, now_ms: int) -> None:
        if not 0 <= now_ms - self._admitted_ms < _ADMIT_MS:
            self._admitted_ms = now_ms
            self._admit()
        state, light = self.rows, self._judge.plain.light.state
        places = np.flatnonzero(state["row"] >= 0)
        found = light.of(state["row"][places])
        places, found = places[found >= 0], found[found >= 0]
        last_ms, value = light.last_ms[found], light.value[found]
        fresh = (last_ms > state["last_ms"][places]) & (np.abs(value) < _LARGE)
        places, last_ms, value = places[fresh], last_ms[fresh], value[fresh]
        if not len(places):
            return
        level, known = self._levels(places, last_ms, value)
        state["value"][places], state["last_ms"][places] = value, last_ms
        self._turn(places, last_ms // _PART_MS, now_ms)
        some = places[known]
        state["sum"][some] += level[known]
        state["count"][some] += 1

    def _admit(self) -> None:
        """Give places to plain series that have none."""
        judge = self._judge
        length = judge.index.capacity
        self._by_row.ensure(length)
        kinds, roles = judge.meta["kind"][:length], judge.meta["role"][:length]
        plain = ((kinds == Kind.GAUGE) | (kinds == Kind.COUNTER)) & (
            roles == ROLE_NUMBER["unknown"]
        )
        rows = np.flatnonzero(plain & (self._by_row["place"][:length] < 0))
        used = int(np.count_nonzero(self.rows["row"] >= 0))
        for arrays in (self.rows, self._parts, self._hours):
            arrays.ensure(min(self._max, used + len(rows)))
        free = np.flatnonzero(self.rows["row"][: self._max] < 0)[: len(rows)]
        self.waiting = len(rows) - len(free)
        rows = rows[: len(free)]
        self.rows["row"][free], self._by_row["place"][rows] = rows, free

    def _levels(self, places: Array, last_ms: Ints, value: Floats) -> tuple[Floats, Bools]:
        """Values of gauges and rates of counters since the last look, and which are known."""
        state = self.rows
        counter = self._judge.meta["kind"][state["row"][places]] == Kind.COUNTER
        grown, passed_ms = value - state["value"][places], last_ms - state["last_ms"][places]
        rate = grown * 1000.0 / np.maximum(passed_ms, 1)
        known = ~counter | ((grown >= 0) & (passed_ms <= _GAP_MS))
        return np.where(counter, rate, value), known

    def _turn(self, places: Array, part: Ints, now_ms: int) -> None:
        """Close the parts of an hour, and hours, that ended."""
        state = self.rows
        before = state["part"][places]
        turned = part > before
        places, part, before = places[turned], part[turned], before[turned]
        full = state["count"][places] > 0
        level = state["sum"][places] / np.maximum(state["count"][places], 1)
        some = places[full]
        self._parts["level"][some, before[full] % _PARTS] = level[full]
        state["part"][places], state["sum"][places], state["count"][places] = part, 0.0, 0
        ended = (before >= 0) & (part // _PARTS > before // _PARTS)
        if ended.any():
            self._close(places[ended], before[ended] // _PARTS, now_ms)

    def _close(self, places: Array, hour: Ints, now_ms: int) -> None:
        hours, parts = self._hours["level"], self._parts["level"]
        last = self.rows["hour"][places]
        missed = np.where(last >= 0, hour - last - 1, 0)
        for at in np.flatnonzero(missed > 0).tolist():
            gap = np.arange(max(int(last[at]) + 1, int(hour[at]) - HOURS), int(hour[at]))
            hours[places[at], gap % HOURS] = np.nan
        hours[places, hour % HOURS] = median(parts[places])
        parts[places] = np.nan
        self.rows["hour"][places] = hour
        self._judge_closed(places, hour, now_ms)

    def _of(self, places: Array) -> Floats:
        """Levels by hour, the newest last, shape (n, 192)."""
        at = (self.rows["hour"][places][:, None] + 1 + np.arange(HOURS)) % HOURS
        return self._hours["level"][places[:, None], at].astype(np.float64)

    def _judge_closed(self, places: Array, hour: Ints, now_ms: int) -> None:
        found = drifts(self._of(places))
        state = self.rows
        rows = state["row"][places]
        told = self._judge.alerting.marked(METHOD, rows)
        state["low"][places], state["high"][places] = found.low, found.high
        same = np.sign(found.beyond) == np.sign(state["beyond"][places])
        goes_on = told & same & (np.abs(found.beyond) >= _KEEPS)
        off = (np.abs(found.beyond) >= 1.0) & found.rising | goes_on
        state["beyond"][places] = np.where(off, found.beyond, 0.0)
        for at in np.flatnonzero(off | told).tolist():
            row, at_ms = int(rows[at]), int(hour[at] + 1) * 3_600_000
            leniency = self._judge.leniency(row)
            lasting = _LASTING.longer(leniency.patience * self._judge.settings.patience)
            describe = self._describe(int(places[at]), at_ms)
            key = (METHOD, row)
            if off[at] and (told[at] or not self._is_told(row)):
                self._judge.alerting.abnormal(
                    key, at_ms, now_ms=now_ms, lasting=lasting, peak=abs(float(found.beyond[at])),
                    describe=describe,
                )  # fmt: skip
            else:
                self._judge.alerting.normal(
                    key, at_ms, now_ms=now_ms, lasting=lasting, describe=describe
                )

    def _is_told(self, row: int) -> bool:
        entries = (self._judge.alerting.entry((method, row)) for method in _OTHERS)
        return any(entry is not None and entry.firing for entry in entries)

    def _describe(self, place: int, at_ms: int) -> Any:
        def describe(entry: Entry) -> Alert:
            state = self.rows
            series = self._judge.index.labels(int(state["row"][place]))
            levels = self._of(np.array([place]))[0][-_SHOWN:]
            low, high = float(state["low"][place]), float(state["high"][place])
            value = float(levels[-1])
            first = int(state["hour"][place]) - len(levels) + 1
            none = (None,) * (len(levels) - 1)
            return Alert(
                labels=alert_labels(
                    series, replace(UNKNOWN, alertname=ALERTNAME), Severity.INFO, exact=True
                ),
                source=SOURCE,
                starts_ms=entry.since_ms,
                arrival_ms=at_ms,
                summary=because(
                    _ROSE if value > high else _FELL,
                    metric=series.get(NAME, ""),
                    service=service_of(series) or series.get("instance", ""),
                    value=quantity(value, ""),
                    low=quantity(low, ""),
                    high=quantity(high, ""),
                ),
                evidence=Evidence(
                    series, METHOD, "", finite(value), finite(low), finite(high),
                    score=round(float(state["beyond"][place]), 2), threshold=1.0,
                    times_ms=tuple((first + n) * 3_600_000 + 1_800_000 for n in range(len(levels))),
                    values=tuple(finite(x) for x in levels.tolist()),
                    lows=(*none, finite(low)), highs=(*none, finite(high)), component="drift",
                ),
                simulated=series.get("simulated") == "true",
            )  # fmt: skip

        return describe

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """End what no longer reports."""
        interval_ms = float(self._judge.known.interval_ms(np.array([key[1]]))[0])
        if now_ms - entry.seen_ms > max(2 * 3_600_000 + _EVERY_MS, 5.0 * interval_ms):
            why = because("its series no longer reports")
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        self._judge.alerting.let_go(self.methods, set(rows.tolist()))
        rows = rows[rows < len(self._by_row["place"])]
        places = self._by_row["place"][rows]
        places = places[places >= 0]
        for arrays in (self.rows, self._parts, self._hours):
            arrays.clear(places)
        self._by_row.clear(rows)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_drift_series": int(np.count_nonzero(self.rows["row"] >= 0)),
            "tocsin_detector_drift_waiting": self.waiting,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        held = (self.rows, self._parts, self._hours, self._by_row)
        return sum(arrays.nbytes for arrays in held)

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        used = np.flatnonzero(self.rows["row"] >= 0)
        length = int(used[-1]) + 1 if len(used) else 0
        arrays = {
            **self.rows.save("rows", length), **self._parts.save("parts", length),
            **self._hours.save("hours", length),
            **self._by_row.save("by_row", self._judge.index.capacity),
        }  # fmt: skip
        times = [self._looked_ms, self._admitted_ms, self.waiting]
        return arrays, {"version": _VERSION, "times_ms": times}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave; of an older version or a larger pool it begins anew."""
        if state.get("version") != _VERSION or len(arrays["rows.row"]) > self._max:
            return
        self.rows.load("rows", arrays)
        self._parts.load("parts", arrays)
        self._hours.load("hours", arrays)
        self._by_row.load("by_row", arrays)
        self._looked_ms, self._admitted_ms, self.waiting = state["times_ms"]
