"""A series that swings far more, or far less, than it ever did, its level being what it may: a change of variance.

Judged by steps from sample to sample, of which neither a season nor a trend makes much; each counts for eight times the usual one
at most, so that one spike is no unrest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.explain import alert_labels, quantity
from detectors.judge import Judge
from detectors.roles import ROLE_NUMBER, ROLES, UNKNOWN, service_of
from detectors.rows import Array, RowArrays
from detectors.tell import SOURCE
from detectors.watcher import Watcher
from model.alert import Alert, Evidence, Severity
from model.batch import Bools, Floats, Ints
from model.reason import because
from model.series import NAME
from model.units import format_duration

METHOD, ALERTNAME = "unrest", "MetricUnsteady"
_RECENT = np.float32(1 / 30)  # samples
_LONG = np.float32(1 / 4_000)
_WILD = np.float32(8.0)  # usual steps is the most that one counts for
_TIMES = 3.0  # as much as usual, or as little
_BEYOND = 1.5  # times the most of the last weeks, or the least
_BACK = 0.6  # of that keeps an alert going
_EXTREME = np.float32(1 / 60)  # of the way an extreme goes to a ratio beyond it, each sample
_FADE = np.float32(np.log(2.0) / 20_000.0)  # by half in so many samples
_SAMPLES, _WATCHED_MS = 500.0, 2 * 86_400_000.0
_MOVES = 0.9  # of the samples must have moved, or steps say nothing
_LASTING = Lasting(600_000, 20, 600_000, 20)
_OTHERS = (
    "baseline",
    "levelshift",
    "growth",
    "lograte",
    "flatline",
    "full",
    "unusual",
    "rhythm",
    "beat",
)
_VERSION = 1


class Unrest(Watcher):
    """Looks at members of the full tier; information only."""

    name = "unrest"
    methods = frozenset({METHOD})

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.rows = RowArrays(
            {"last": (np.float32, np.nan), "recent": (np.float32, 0.0), "usual": (np.float32, 0.0),
             "moves": (np.float32, 0.0), "high": (np.float32, 0.0), "low": (np.float32, 0.0), "age": (np.float32, 0.0)}
        )  # fmt: skip
        self._odd: dict[int, tuple[int, float]] = {}

    def scored(
        self, rows: Array, times_ms: Ints, values: Floats, scores: Array, learn: Bools
    ) -> None:
        """Samples of members of the full tier, each row once."""
        good = np.isfinite(values) & (np.abs(values) < 1e18)
        rows, times_ms, value = rows[good], times_ms[good], values[good].astype(np.float32)
        if not len(rows):
            return
        state = self.rows
        state.ensure(int(rows.max()) + 1)
        last, age, usual = state["last"][rows], state["age"][rows], state["usual"][rows]
        step = np.abs(value - np.where(np.isnan(last), value, last))
        moved = step > 0.0
        state["last"][rows] = value
        step = np.where(age > 30.0, np.minimum(step, _WILD * usual + np.float32(1e-12)), step)
        first = np.float32(1.0) / (age + np.float32(1.0))
        recent = state["recent"][rows]
        recent = recent + np.maximum(first, _RECENT) * (step - recent)
        state["recent"][rows] = recent
        state["moves"][rows] += np.maximum(first, _RECENT / 10) * (moved - state["moves"][rows])
        ratio = np.log(np.maximum(recent, 1e-30) / np.maximum(usual, 1e-30))
        self._look(rows, times_ms, ratio.astype(np.float32))
        calm = ~self._judge.alerting.marked(METHOD, rows)
        taught = rows[calm]
        state["usual"][taught] += (np.maximum(first, _LONG) * (step - usual))[calm]
        state["age"][taught] = np.minimum(age[calm] + np.float32(1.0), np.float32(1e6))
        old = calm & (age > 100.0)
        for name, sign in (("high", 1.0), ("low", -1.0)):
            # Not at once: unrest that begins must have time to be told before it is nothing new.
            kept = state[name][rows[old]] * (np.float32(1.0) - _FADE)
            more = np.maximum(np.float32(sign) * (ratio[old] - kept), np.float32(0.0))
            state[name][rows[old]] = kept + np.float32(sign) * _EXTREME * more

    def _look(self, rows: Array, times_ms: Ints, ratio: Array) -> None:
        """Note the rows that are off, or told: judged in the next step."""
        state = self.rows
        told = self._judge.alerting.marked(METHOD, rows)
        part = np.where(told, _BACK, 1.0)
        margin = np.log(_BEYOND)
        wild = (ratio >= np.log(_TIMES) * part) & (ratio >= part * (state["high"][rows] + margin))
        tame = (ratio <= -np.log(_TIMES) * part) & (ratio <= part * (state["low"][rows] - margin))
        interval_ms = self._judge.known.interval_ms(rows)
        age = state["age"][rows]
        known = (age >= _SAMPLES) & (age * interval_ms >= _WATCHED_MS)
        known &= state["moves"][rows] >= _MOVES
        known &= self._judge.meta["role"][rows] != ROLE_NUMBER["quiet"]
        off = (wild | tame) & known
        for at in np.flatnonzero(off | told).tolist():
            times = float(np.exp(ratio[at])) if off[at] else 0.0
            self._odd[int(rows[at])] = (int(times_ms[at]), times)

    def step(self, now_ms: int) -> None:
        """Tell what is off, or again is not."""
        odd, self._odd = self._odd, {}
        for row, (at_ms, times) in odd.items():
            leniency = self._judge.leniency(row)
            lasting = _LASTING.longer(leniency.patience * self._judge.settings.patience)
            describe = self._describe(row, times, at_ms)
            key = (METHOD, row)
            if times and not self._is_told(row):
                self._judge.history.watch(row)
                self._judge.alerting.abnormal(
                    key, at_ms, now_ms=now_ms, lasting=lasting, peak=times, describe=describe
                )
            else:
                self._judge.alerting.normal(
                    key, at_ms, now_ms=now_ms, lasting=lasting, describe=describe
                )

    def learn(self, at_ms: int) -> None:
        """History teaches as what is live does."""
        self.step(at_ms)

    def _is_told(self, row: int) -> bool:
        entries = (self._judge.alerting.entry((method, row)) for method in _OTHERS)
        return any(entry is not None and entry.firing for entry in entries)

    def _describe(self, row: int, times: float, at_ms: int) -> Any:
        def describe(entry: Entry) -> Alert:
            series = self._judge.index.labels(row)
            role = ROLES[int(self._judge.meta["role"][row])]
            named = replace(UNKNOWN, alertname=ALERTNAME, signal=role.signal or UNKNOWN.signal)
            usual = float(self.rows["usual"][row])
            times_ms, values, lows, highs = self._judge.history.of(row)
            return Alert(
                labels=alert_labels(
                    series, named, Severity.INFO, exact=not role.signal or role is UNKNOWN
                ),
                source=SOURCE,
                starts_ms=entry.since_ms,
                arrival_ms=at_ms,
                summary=because(
                    "{metric} of {service} swings by {value} from sample to sample, by {usual} is usual",
                    metric=series.get(NAME, ""),
                    service=service_of(series) or series.get("instance", ""),
                    value=quantity(float(self.rows["recent"][row]), role.unit),
                    usual=quantity(usual, role.unit),
                ),
                evidence=Evidence(
                    series, METHOD, role.unit, float(self.rows["last"][row]), score=round(times, 2),
                    threshold=_TIMES, times_ms=times_ms, values=values, lows=lows, highs=highs,
                    component="spread",
                ),
                simulated=series.get("simulated") == "true",
            )  # fmt: skip

        return describe

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """End what no longer reports; accept what has lasted."""
        settings, row = self._judge.settings, key[1]
        interval_ms = float(self._judge.known.interval_ms(np.array([row]))[0])
        lasted_ms = entry.seen_ms - entry.since_ms
        if now_ms - entry.seen_ms > max(settings.stale_after_ms, 5.0 * interval_ms):
            why = because("its series no longer reports")
        elif lasted_ms >= settings.accept_after_ms and entry.hits >= settings.accept_after_samples:
            lasted = format_duration(lasted_ms)
            why = because("it has lasted {duration} and counts as normal now", duration=lasted)
            self.rows["usual"][row] = self.rows["recent"][row]
            self.rows["high"][row] = self.rows["low"][row] = 0.0
        else:
            return
        self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        gone = set(rows.tolist())
        self._judge.alerting.let_go(self.methods, gone)
        for row in gone:
            self._odd.pop(row, None)
        self.rows.clear(rows)

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self.rows.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        odd = [[row, *seen] for row, seen in self._odd.items()]
        return self.rows.save("rows", self._judge.index.capacity), {"version": _VERSION, "odd": odd}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave; of an older version it begins anew."""
        if state.get("version") != _VERSION:
            return
        self.rows.load("rows", arrays)
        self._odd = {row: (at_ms, times) for row, at_ms, times in state["odd"]}
