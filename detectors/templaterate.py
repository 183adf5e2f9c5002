"""A kind of log line that comes far more often than it ever did, whatever its severity.

Counted in windows of half a minute of the log's own time. A kind is compared with its own mean, its
spread and the most it ever had (which fades by half in two days, so that a nightly burst is told once), and
with its service: where all lines of a service double, none of them is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.judge import Judge
from detectors.logkinds import LogKinds, Part
from detectors.logsettings import LogLineSettings
from detectors.logtell import Flood, flood_alert
from detectors.rows import Array, RowArrays
from detectors.watcher import Watcher
from model.alert import Alert
from model.batch import LogBatch

METHOD = "templaterate"
_WINDOW_MS = 30_000
_WINDOWS = 60  # the mean is over about so many
_JUDGED = 40  # windows of a service before its kinds are judged
_LINES_MIN = 60  # 2/s
_FACTOR = 5.0
_DEVIATIONS = 8.0
_PEAK_FACTOR = 1.5
_FADE = 0.5 ** (_WINDOW_MS / 172_800_000)
_CREEP = 1.02  # what stays is accepted in an hour or two
_LASTING = Lasting(_WINDOW_MS, 2, _WINDOW_MS, 2)
_QUIET_MS = 4 * _WINDOW_MS


class TemplateRates(Watcher):
    """Counts lines by kind, and tells the floods."""

    name = METHOD
    methods = frozenset({METHOD})

    def __init__(self, judge: Judge, kinds: LogKinds, settings: LogLineSettings) -> None:
        self._judge, self._kinds = judge, kinds
        self._rows = RowArrays(
            {"count": (np.int32, 0), "mean": (np.float32, 0.0), "square": (np.float32, 0.0)}
            | {"peak": (np.float32, 0.0), "told_peak": (np.float32, 0.0)}
        )
        self._services = RowArrays(
            {"window": (np.int64, 0), "windows": (np.int64, 0), "count": (np.int64, 0)}
            | {"mean": (np.float64, 0.0)}
        )
        kinds.followers.append(self)

    def lines(self, batch: LogBatch, now_ms: int) -> None:
        """Count, and close the windows that are over for their services."""
        for part in self._kinds.parts:
            self._services.ensure(part.service + 1)
            self._rows.ensure(int(part.kinds.max()) + 1)
            windows = part.times_ms // _WINDOW_MS
            if windows[0] == windows[-1]:
                self._count(part, part.kinds, int(windows[0]), now_ms)
                continue
            edges = np.flatnonzero(np.diff(windows)) + 1
            for kinds, window in zip(
                np.split(part.kinds, edges), windows[np.r_[0, edges]].tolist(), strict=True
            ):
                self._count(part, kinds, window, now_ms)

    def _count(self, part: Part, kinds: Array, window: int, now_ms: int) -> None:
        state, at = self._services, part.service
        current = int(state["window"][at])
        if current == 0:
            state["window"][at] = window
        elif window > current:
            self._close(at, window - current, now_ms)
            state["window"][at] = window
        state["count"][at] += len(kinds)
        np.add.at(self._rows["count"], kinds[kinds >= 0], 1)

    def _close(self, service: int, passed: int, now_ms: int) -> None:
        """A window is over: judge and learn; the `passed` - 1 after it had no line of the service."""
        state, rows = self._services, self._rows
        of = self._kinds.of_service(service)
        of = of[of < len(rows["count"])]
        total, total_mean = float(state["count"][service]), float(state["mean"][service])
        busier = max(1.0, total / total_mean) if total_mean > 0 else 1.0
        count, mean = rows["count"][of].astype(np.float64), rows["mean"][of].astype(np.float64)
        spread = np.sqrt(np.maximum(rows["square"][of] - mean**2, 0.0) + mean + 1.0)
        others = busier if len(of) > 1 else 1.0
        # What floods is itself part of the service's lines: only the rest says how busy it is.
        rest = (total - count + 1.0) / np.maximum(total_mean - mean + 1.0, 1.0)
        busy = np.maximum(1.0, np.minimum(others, rest))
        high = np.maximum(_FACTOR * mean * busy, mean + _DEVIATIONS * spread)
        high = np.maximum(np.maximum(high, _PEAK_FACTOR * rows["peak"][of]), _LINES_MIN)
        judged = state["windows"][service] >= _JUDGED
        flooding = (count > high) if judged else np.zeros(len(of), dtype=np.bool_)
        self._learn(of, count, np.where(flooding, high, np.inf), flooding)
        weight = 1.0 / min(_WINDOWS, int(state["windows"][service]) + 1)
        state["mean"][service] += weight * (total - total_mean)
        state["windows"][service] += 1
        state["count"][service] = 0
        self._skip(service, of, passed - 1)
        self._tell(service, of, flooding, count, high, now_ms)

    def _learn(self, of: Array, count: Array, high: Array, flooding: Array) -> None:
        rows = self._rows
        kept = np.minimum(count, high)
        ages = self._services["windows"][self._kinds.kinds["service"][of]]
        weight = 1.0 / np.minimum(_WINDOWS, ages + 1)
        rows["mean"][of] += weight * (kept - rows["mean"][of])
        rows["square"][of] += weight * (kept**2 - rows["square"][of])
        peak = np.where(flooding, _CREEP * high / _PEAK_FACTOR, count)
        rows["peak"][of] = np.maximum(rows["peak"][of] * _FADE, peak)
        rows["told_peak"][of] = np.maximum(rows["told_peak"][of], np.where(flooding, count, 0.0))
        rows["count"][of] = 0

    def _skip(self, service: int, of: Array, windows: int) -> None:
        if windows > 0:
            fade = (1.0 - 1.0 / _WINDOWS) ** min(windows, _WINDOWS)
            for name in ("mean", "square"):
                self._rows[name][of] *= fade
            self._rows["peak"][of] *= _FADE**windows
            self._services["mean"][service] *= fade
            self._services["windows"][service] += min(windows, _WINDOWS)

    def _tell(
        self, service: int, of: Array, flooding: Array, count: Array, high: Array, now_ms: int
    ) -> None:
        alerting = self._judge.alerting
        at_ms = int(self._services["window"][service] + 1) * _WINDOW_MS
        marked = alerting.marked(METHOD, of)
        for at in np.flatnonzero(flooding | marked).tolist():
            kind, seen = int(of[at]), float(count[at])
            found = Flood(
                service=self._kinds.names[service],
                text=self._kinds.text(kind),
                severity=int(self._kinds.kinds["severity"][kind]),
                rate=seen * 1000 / _WINDOW_MS,
                high=float(high[at]) * 1000 / _WINDOW_MS,
                usual=float(self._rows["mean"][kind]) * 1000 / _WINDOW_MS,
                score=seen / float(high[at]),
                lines=tuple(filter(None, [self._kinds.examples.get(kind, "")])),
            )
            self._abnormal(kind, found, at_ms, bool(flooding[at]), now_ms)

    def _abnormal(self, kind: int, found: Flood, at_ms: int, flooding: bool, now_ms: int) -> None:
        def describe(entry: Entry) -> Alert:
            return flood_alert(found, entry, now_ms)

        key, alerting = (METHOD, kind), self._judge.alerting
        if flooding:
            alerting.abnormal(
                key, at_ms, now_ms=now_ms, lasting=_LASTING, peak=found.score, describe=describe
            )
        else:
            alerting.normal(key, at_ms, now_ms=now_ms, lasting=_LASTING, describe=describe)
            if alerting.entry(key) is None:
                self._remember(kind)

    def _remember(self, kind: int) -> None:
        """A flood is over: one as large is no news the next time."""
        rows = self._rows
        rows["peak"][kind] = max(rows["peak"][kind], rows["told_peak"][kind])
        rows["told_peak"][kind] = 0.0

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """The service writes nothing any more: no window closes."""
        if now_ms - entry.seen_ms > _QUIET_MS:
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms)
            self._remember(key[1])

    def fold(self, old: int, new: int) -> None:
        """Two kinds are one: what both had, it has."""
        rows = self._rows
        rows.ensure(max(old, new) + 1)
        for name in ("count", "mean", "peak", "told_peak"):
            rows[name][new] += rows[name][old]
        # The mean square of a sum, at worst.
        root = float(np.sqrt(rows["square"][new]) + np.sqrt(rows["square"][old]))
        rows["square"][new] = root**2
        self.clear(np.array([old]))

    def clear(self, kinds: Array) -> None:
        """Forget kinds."""
        for kind in kinds.tolist():
            if (entry := self._judge.alerting.entry((METHOD, kind))) is not None:
                at_ms = entry.seen_ms
                self._judge.alerting.resolve((METHOD, kind), at_ms, now_ms=at_ms)
        self._rows.clear(kinds)

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self._rows.nbytes + self._services.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        return self._rows.save("rows", 2**31) | self._services.save("services", 2**31), {"saved": 1}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        if state:
            self._rows.load("rows", arrays)
            self._services.load("services", arrays)
