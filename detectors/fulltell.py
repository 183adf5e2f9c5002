"""What the full tier tells: suspects are judged by their size, shown in their band, and put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.full.calibration import Calibration
from detectors.full.combine import COMPONENTS
from detectors.full.tails import Array32
from detectors.fullstate import HAIR, WIDE, FullState
from detectors.judge import Judge
from detectors.roles import ROLES, service_of
from detectors.rows import Array
from detectors.tell import Sighting
from detectors.unusual import Found, matters, notable, unusual_alert
from model.alert import Alert
from model.batch import Bools, Floats, Ints
from model.reason import because

WARNING, INFORMATION = METHODS = ("full", "unusual")
_COOL_MS = 600_000  # after a baseline's alert on the same signal of the service
_CLAIM = 10  # times as long as it was watched is the most that "once in" may say
_STEADY = 0.6  # of what it takes to begin keeps an alert going
_LASTING = Lasting(120_000, 3, 120_000, 3)
_DAY_MS = 86_400_000
_KNOWN = 100  # samples before anything is said of how rare a sample is
_ODD = 3.0  # the least score of which something is said
_TELLERS = ("baseline", "growth", "lograte", "levelshift")
_PROFILED = ("day", "week", "day_drift", "week_drift", "season_drift")


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """Samples beyond their bars, or of rows that are told already; arrays of shape (n,)."""

    rows: Array
    slots: Array
    times_ms: Ints
    values: Floats
    roles: Array
    scores: Array32
    bars: Array32
    lasting: Array32


class FullTeller:
    """Tells `judge.alerting`; remembers what the baselines told, so that a signal has one alert."""

    def __init__(self, judge: Judge, full: FullState) -> None:
        self._judge, self._full = judge, full
        self.told_ms: dict[tuple[str, str], int] = {}

    def judge(self, suspects: Suspects, now_ms: int) -> Bools:
        """Each is a warning, information, or normal again; which are not normal, shape (n,).

        What is odd begins to wait at once. It goes on only if three scores in a row keep to the bar.
        """
        alerting = self._judge.alerting
        leniency = [self._judge.leniency(row) for row in suspects.rows.tolist()]
        usual = self._full.usual(suspects.slots, suspects.times_ms)
        width = np.array([each.width for each in leniency])
        far, near = (
            size(suspects.roles, suspects.values, usual, width, alerting.marked(method, suspects.rows))
            for size, method in ((matters, WARNING), (notable, INFORMATION))
        )  # fmt: skip
        told = np.zeros(len(suspects.rows), dtype=np.bool_)
        for at, row in enumerate(suspects.rows.tolist()):
            seen = Sighting(
                row, int(suspects.times_ms[at]), float(suspects.values[at]),
                0.0, 0.0, float(suspects.lasting[at]), 0.0,
            )  # fmt: skip
            slot, role = int(suspects.slots[at]), ROLES[suspects.roles[at]]
            if self._is_told(row, role.signal):
                self._give_way(row, seen.at_ms, now_ms)
                told[at] = True
                continue
            waits = self._waits(row, suspects, at)
            patience = leniency[at].patience
            warned = self._tell(WARNING, waits and bool(far[at]), slot, seen, patience, now_ms)
            info = waits and bool(near[at]) and not warned
            info = self._tell(INFORMATION, info, slot, seen, patience, now_ms)
            told[at] = waits and bool(far[at] or near[at])
        return told

    def _waits(self, row: int, suspects: Suspects, at: int) -> bool:
        """Whether what began may go on."""
        entries = [self._judge.alerting.entry((method, row)) for method in METHODS]
        if any(entry is not None and entry.firing for entry in entries):
            return bool(suspects.scores[at] >= _STEADY * self._full.suspicious)
        hits = max((entry.hits for entry in entries if entry is not None), default=0)
        if hits + 1 < _LASTING.for_samples:
            return bool(suspects.scores[at] >= self._full.suspicious)
        return bool(suspects.lasting[at] >= suspects.bars[at])

    def _give_way(self, row: int, at_ms: int, now_ms: int) -> None:
        why = because("another alert tells of the same signal")
        for method in METHODS:
            self._judge.alerting.resolve((method, row), at_ms, now_ms=now_ms, why=why)

    def _tell(
        self, method: str, abnormal: bool, slot: int, seen: Sighting, patience: float, now_ms: int
    ) -> bool:
        """Let `alerting` know of one row; whether it fires."""

        def describe(entry: Entry) -> Alert:
            role = ROLES[int(self._judge.meta["role"][seen.row])]
            series = self._judge.index.labels(seen.row)
            found = self._found(slot, seen)
            shown = Sighting(
                seen.row, seen.at_ms, seen.value, found.low, found.high, seen.score, 0.0
            )
            history = self._judge.history
            return unusual_alert(series, role, found, shown, entry, history, warn=method == WARNING)

        lasting = _LASTING.longer(self._judge.settings.patience * patience)
        key = (method, seen.row)
        if abnormal:
            self._judge.history.watch(seen.row)
            self._judge.alerting.abnormal(
                key, seen.at_ms, now_ms=now_ms, lasting=lasting, peak=seen.score, describe=describe
            )
        else:
            self._judge.alerting.normal(
                key, seen.at_ms, now_ms=now_ms, lasting=lasting, describe=describe
            )
        entry = self._judge.alerting.entry(key)
        return entry is not None and entry.firing

    def _found(self, slot: int, seen: Sighting, *, single: bool = False) -> Found:
        """The view that shows a sample best: the rarest of those that it leaves the band of."""
        slots = np.array([slot])
        at_ms = np.array([seen.at_ms])
        expected, sizes = self._full.tier.expected(slots, at_ms)
        half = WIDE * sizes[:, 0] + HAIR * np.abs(expected[:, 0])
        rare = self._full.tier.part(slots).components(
            np.array([0]), at_ms, np.array([seen.value], dtype=np.float32)
        )[:, 0]
        off = np.abs(seen.value - expected[:, 0]) > half
        best = int(np.argmax(np.where(off, rare + 1.0, 0.0) if off.any() else rare))
        low, high = float(expected[best, 0] - half[best]), float(expected[best, 0] + half[best])
        if ROLES[int(self._judge.meta["role"][seen.row])].signal not in ("", "level"):
            low = max(low, 0.0)
        known = self._full.tier.calibration if single else self._full.lasting
        times = () if single else self._judge.history.of(seen.row)[0]
        lows, highs = self._band(slot, best, times, low, high)
        return Found(
            COMPONENTS[best], low, high, lows, highs, self._once_in_ms(slot, seen.row, seen.score, known),
            seen.score, float(self._full.ranges.rows["bar"][slot]),
        )  # fmt: skip

    def _band(
        self, slot: int, component: int, times: tuple[Any, ...], low: float, high: float
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The view's band at the times of the history; what has no profile has one band."""
        if not times:
            return (), ()
        if COMPONENTS[component] not in _PROFILED:
            return (low,) * len(times), (high,) * len(times)
        slots = np.full(len(times), slot)
        expected, sizes = self._full.tier.expected(slots, np.array(times, dtype=np.int64))
        half = WIDE * sizes[component]
        bottom = expected[component] - half
        if low == 0.0:
            bottom = np.maximum(bottom, 0.0)
        return tuple(bottom.tolist()), tuple((expected[component] + half).tolist())

    def _once_in_ms(self, slot: int, row: int, score: float, known: Calibration) -> int:
        """By chance a score as high comes once in so long; at most ten times as long as was watched."""
        decades, levels = known.decades()
        interval_ms = max(float(self._judge.known.interval_ms(np.array([row]))[0]), 1.0)
        rare = 10.0 ** float(np.interp(score, levels, decades))
        seen = float(self._full.tier.ages(np.array([slot]))[0]) + 1.0
        return int(interval_ms * min(rare, _CLAIM * seen))

    def rarity(self, row: int, at_ms: int, value: float) -> tuple[str, int] | None:
        """For other methods' alerts: the view that shows a sample best, and once in how long it comes by chance."""
        slot = int(self._full.members.slots(np.array([row]))[0])
        if slot < 0 or self._full.tier.ages(np.array([slot]))[0] < _KNOWN:
            return None
        slots = np.array([slot])
        score = float(self._full.tier.peek(slots, np.array([at_ms]), np.array([value]))[0])
        if not score >= _ODD:
            return None
        found = self._found(slot, Sighting(row, at_ms, value, 0.0, 0.0, score, 0.0), single=True)
        return found.component, found.once_in_ms

    def upholds(self, rows: Array, times_ms: Ints, values: Floats, roles: Array) -> Bools:
        """Signals that are as far as their role asks from what this time of day and the mean expect.

        Of rows that were never seen for a day nothing is known, and nothing is upheld.
        """
        slots = self._full.members.slots(rows).astype(np.int64)
        known = slots >= 0
        out = np.zeros(len(rows), dtype=np.bool_)
        if not known.any():
            return out
        slots, values, of = slots[known], values[known], roles[known]
        usual = self._full.usual(slots, times_ms[known])
        relative = np.array([ROLES[role].relative for role in of.tolist()])
        floor = np.array([ROLES[role].floor for role in of.tolist()])
        wanted = np.maximum(relative * usual.expected_high, floor)
        up = np.array([ROLES[role].up for role in of.tolist()])
        down = np.array([ROLES[role].down for role in of.tolist()])
        off = (up & (values > usual.expected_high + wanted)) | (
            down & (values < usual.expected_low * (1.0 - relative)) & (usual.expected_low >= floor)
        )
        out[known] = off & (usual.watched_ms >= _DAY_MS)
        return out

    def note_told(self, now_ms: int) -> None:
        """Which signals of which services the baselines tell of."""
        for (method, row), entry in self._judge.alerting.entries():
            if method in _TELLERS and entry.alert is not None:
                self.told_ms[(entry.alert.service, entry.alert.signal)] = now_ms
                self.told_ms[("", str(row))] = now_ms
        for key in [k for k, at_ms in self.told_ms.items() if now_ms - at_ms > _COOL_MS]:
            del self.told_ms[key]

    def _is_told(self, row: int, signal: str) -> bool:
        """Whether a baseline tells, or told a while ago, of the row or of this signal of its service."""
        if not self.told_ms:
            return False
        if ("", str(row)) in self.told_ms:
            return True
        service = service_of(self._judge.index.labels(row))
        return signal not in ("", "level") and (service, signal) in self.told_ms
