"""Lines that came regularly (a heartbeat, a nightly "backup finished") and have stopped.

A kind of line is regular when the gaps between its lines hardly differ. Whether one is overdue is told
by its service's own lines: time counts only while the service writes, so that neither a service that
was stopped nor a log read late makes a line overdue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.judge import Judge
from detectors.logkinds import LogKinds, Part
from detectors.logsettings import LogLineSettings
from detectors.logtell import Missing, missing_alert
from detectors.roles import service_of
from detectors.rows import Array, RowArrays
from detectors.watcher import Settled, Watcher
from model.alert import Alert
from model.batch import LogBatch
from model.reason import because
from model.units import format_duration

METHOD = "expectedline"
_CHECK_MS = 10_000
_EVENT_MS = 1_000  # lines closer than this are one event
_GAPS = 32
_SHORTEST_MS = 5_000.0  # faster lines follow the traffic
_LONG_MS = 6 * 3_600_000.0
_GAPS_MIN, _LONG_GAPS_MIN = 12, 7  # a week of days has its weekend
_SURE_GAPS = 20
_KNOWN_MS = 1_800_000
_SURE_KNOWN_MS = 6 * 3_600_000
_SPREAD = 1.5  # the 95th percentile of a regular line's gaps, by their median
_SURE_SPREAD = 0.2
_LONGEST = 3.0
_STEP_MS = 60_000.0  # a service's clock goes on by this at least from line to line
_ACCEPT_MS, _ACCEPT_GAPS = 86_400_000, 3.0
_FORGIVEN = 3.0  # a line that stopped so often is not regular
_WARN = 13
_UNKNOWN, _NOBODY = -2, -1
_LATE_MS = 300_000  # lines may be read so much later than metrics
_TOLD_MAX = 5
_FADE_MS = 30 * 86_400_000
_AT_ONCE = Lasting(0, 1, 0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Rhythm:
    """What the gaps of some kinds say; shapes (n,). `allowed_ms` is 0 where they are not regular."""

    allowed_ms: Array
    sure: Array
    usual_ms: Array


class ExpectedLines(Watcher):
    """Learns the rhythm of each kind of line, and misses the regular ones."""

    name = METHOD
    methods = frozenset({METHOD})

    def __init__(self, judge: Judge, kinds: LogKinds, settings: LogLineSettings) -> None:
        self._judge, self._kinds, self._factor = judge, kinds, settings.expected_factor
        self._rows = RowArrays(
            {"last_ms": (np.int64, 0), "clock_ms": (np.float64, 0.0), "gaps": (np.int32, 0)}
            | {"longest_ms": (np.float32, 0.0), "broken": (np.float32, 0.0)}
            | {"allowed_ms": (np.float64, 0.0), "usual_ms": (np.float32, 0.0)}
            | {"sure": (np.bool_, 0), "dirty": (np.bool_, 0), "missed": (np.bool_, 0)}
        )
        self._ring = RowArrays({"gap_ms": (np.float32, 0.0)}, (_GAPS,))
        self._services = RowArrays(
            {"newest_ms": (np.int64, 0), "clock_ms": (np.float64, 0.0)}
            | {"step_ms": (np.float64, _STEP_MS), "usual_ms": (np.float64, 0.0)}
            | {"from_ms": (np.int64, 0), "lines": (np.int64, 0), "reported_ms": (np.int64, 0)}
        )
        self._reports = RowArrays({"service": (np.int32, _UNKNOWN)})  # by row of the index
        self._checked_ms = self._asked = 0
        kinds.followers.append(self)

    def lines(self, batch: LogBatch, now_ms: int) -> None:
        """Note when each kind of line came, and how long after the one before."""
        for part in self._kinds.parts:
            clock_ms = self._advance(part)
            self._rows.ensure(int(part.kinds.max()) + 1)
            self._ring.ensure(int(part.kinds.max()) + 1)
            order = part.order
            if len(order):
                self._note(part.kinds[order], part.times_ms[order], clock_ms[order], now_ms)

    def _advance(self, part: Part) -> Array:
        """The service's clock at each line: it stands still through silences that are not its habit."""
        self._services.ensure(part.service + 1)
        state, at = self._services, part.service
        if state["newest_ms"][at] == 0:
            state["newest_ms"][at] = state["from_ms"][at] = part.times_ms[0]
        before = np.concatenate(([state["newest_ms"][at]], part.times_ms[:-1]))
        passed = np.minimum(part.times_ms - before, state["step_ms"][at])
        clock_ms = state["clock_ms"][at] + np.cumsum(passed)
        state["newest_ms"][at], state["clock_ms"][at] = part.times_ms[-1], clock_ms[-1]
        state["lines"][at] += len(part.at)
        return np.asarray(clock_ms)

    def _note(self, kinds: Array, times_ms: Array, clock_ms: Array, now_ms: int) -> None:
        rows = self._rows
        first = np.concatenate(([True], kinds[1:] != kinds[:-1]))
        before = np.where(first, rows["last_ms"][kinds], np.roll(times_ms, 1))
        clock_before = np.where(first, rows["clock_ms"][kinds], np.roll(clock_ms, 1))
        gap = times_ms - before
        # A gap in which the service itself was away says nothing of the line.
        events = (before > 0) & (gap >= _EVENT_MS) & (clock_ms - clock_before >= 0.8 * gap)
        watched = events & (rows["allowed_ms"][kinds] > 0)
        for at in np.flatnonzero(watched).tolist():
            self._learn(int(kinds[at]), float(gap[at]))
        others = events & ~watched
        if others.any():
            self._learn_all(kinds[others], gap[others])
        rows["last_ms"][kinds], rows["clock_ms"][kinds] = times_ms, clock_ms
        for at in np.flatnonzero(first & rows["missed"][kinds]).tolist():
            self._came(int(kinds[at]), int(times_ms[at]), now_ms)

    def _learn(self, kind: int, gap_ms: float) -> None:
        rows = self._rows
        allowed = rows["allowed_ms"][kind]
        if allowed and gap_ms > allowed:
            rows["broken"][kind] += 1.0
            if rows["broken"][kind] < _FORGIVEN:
                return
        else:
            rows["broken"][kind] = max(0.0, rows["broken"][kind] - 0.05)
        self._learn_all(np.array([kind]), np.array([gap_ms]))

    def _learn_all(self, kinds: Array, gaps_ms: Array) -> None:
        """Gaps of kinds in the order of the kinds, each kind's in theirs."""
        rows = self._rows
        starts = np.flatnonzero(np.r_[True, kinds[1:] != kinds[:-1]])
        counts = np.diff(np.r_[starts, len(kinds)])
        rank = np.arange(len(kinds)) - np.repeat(starts, counts)
        self._ring["gap_ms"][kinds, (rows["gaps"][kinds] + rank) % _GAPS] = gaps_ms
        rows["gaps"][kinds[starts]] += counts.astype(np.int32)
        np.maximum.at(rows["longest_ms"], kinds, gaps_ms.astype(np.float32))
        rows["dirty"][kinds] = True

    def settled(self, seen: Settled, now_ms: int) -> None:
        """A signal derived from a service's metrics says that it lives, though it may write nothing."""
        if seen.method != "baseline" or not len(seen.rows):
            return
        self._reports.ensure(int(seen.rows.max()) + 1)
        number = self._reports["service"]
        of = number[seen.rows]
        if (of == _UNKNOWN).any():
            for row in seen.rows[of == _UNKNOWN].tolist():
                name = service_of(self._judge.index.labels(row))
                number[row] = self._kinds.number(name)
            of = number[seen.rows]
        known = (of >= 0) & (of < len(self._services["reported_ms"]))
        np.maximum.at(self._services["reported_ms"], of[known], seen.times_ms[known])

    def forget(self, rows: Array) -> None:
        """Rows that go to other series."""
        self._reports.clear(rows)

    def _silence_ms(self) -> Array:
        """For how long each service has reported without writing a line."""
        state = self._services
        return np.asarray(np.maximum(state["reported_ms"] - _LATE_MS - state["newest_ms"], 0.0))

    def step(self, now_ms: int) -> None:
        """Every ten seconds: what is regular, and what of it is overdue."""
        if now_ms - self._checked_ms < _CHECK_MS:
            return
        passed_ms, self._checked_ms = min(now_ms - self._checked_ms, _LONG_MS), now_ms
        # What was long once is forgotten by half in a month.
        longest = self._rows["longest_ms"]
        longest *= np.float32(0.5 ** (passed_ms / _FADE_MS))
        self._usual_steps()
        if len(self._kinds.names) != self._asked:  # one began to write
            self._asked, number = len(self._kinds.names), self._reports["service"]
            number[number == _NOBODY] = _UNKNOWN
        rows = self._rows
        dirty = np.flatnonzero(rows["dirty"])
        if len(dirty):
            rhythm = self._rhythm(dirty)
            for name in ("allowed_ms", "sure", "usual_ms"):
                rows[name][dirty] = getattr(rhythm, name)
            rows["dirty"][dirty] = False
        regular = np.flatnonzero((rows["allowed_ms"] > 0) & ~rows["missed"])
        service = self._kinds.kinds["service"][regular]
        waited = (self._services["clock_ms"] + self._silence_ms())[service]
        waited -= rows["clock_ms"][regular]
        for kind in regular[waited > rows["allowed_ms"][regular]].tolist():
            if not self._replaced(kind):
                rows["missed"][kind] = True
        missing = np.flatnonzero(rows["missed"]).tolist()
        for at in sorted({self._service(kind) for kind in missing}):
            self._tell(at, now_ms)

    def _usual_steps(self) -> None:
        """How long a service is usually silent, from how many lines it wrote."""
        state = self._services
        enough = state["lines"] >= 10
        span = state["newest_ms"] - state["from_ms"]
        mean = span[enough] / state["lines"][enough]
        old = state["usual_ms"][enough]
        state["usual_ms"][enough] = np.where(old > 0, 0.7 * old + 0.3 * mean, mean)
        state["step_ms"][enough] = np.maximum(_STEP_MS, 4.0 * state["usual_ms"][enough])
        state["from_ms"][enough], state["lines"][enough] = state["newest_ms"][enough], 0

    def _rhythm(self, kinds: Array) -> _Rhythm:
        rows = self._rows
        count = np.minimum(rows["gaps"][kinds], _GAPS)
        gaps = np.where(np.arange(_GAPS) < count[:, None], self._ring["gap_ms"][kinds], np.nan)
        low, usual, high = np.nanquantile(gaps, (0.05, 0.5, 0.95), axis=1)
        longest = rows["longest_ms"][kinds]
        about = self._kinds.kinds
        known = rows["last_ms"][kinds] - about["first_ms"][kinds]
        service_known = (
            rows["last_ms"][kinds]
            - self._kinds.services["first_ms"][np.maximum(about["service"][kinds], 0)]
        )
        long = usual >= _LONG_MS
        regular = (count >= np.where(long, _LONG_GAPS_MIN, _GAPS_MIN)) & (usual >= _SHORTEST_MS)
        regular &= (high <= _SPREAD * usual) & (longest <= _LONGEST * usual)
        # That warnings stop is good news.
        regular &= (known >= _KNOWN_MS) & (about["severity"][kinds] < _WARN)
        sure = regular & ((high - low) <= _SURE_SPREAD * usual) & (2 * known >= service_known)
        sure &= (known >= _SURE_KNOWN_MS) & (long | (count >= _SURE_GAPS))
        short = np.maximum(self._factor * usual, 1.5 * longest) + _STEP_MS
        short = np.where(sure, np.maximum(short, np.maximum(3.0 * usual, 600_000.0)), short)
        late = longest + np.maximum(0.1 * usual, 2.0 * (high - low))
        allowed = np.where(regular, np.where(long, late, short), 0.0)
        return _Rhythm(allowed, sure, usual)

    def _service(self, kind: int) -> int:
        return int(self._kinds.kinds["service"][kind])

    def _replaced(self, kind: int) -> bool:
        """Whether another kind of line of the service has begun since, and comes as often: new words."""
        of = self._kinds.of_service(self._service(kind))
        of = of[of < len(self._rows["last_ms"])]
        began = self._kinds.kinds["first_ms"][of] >= self._rows["last_ms"][kind]
        return bool((began & (self._rows["gaps"][of] >= 2)).any())

    def _tell(self, service: int, now_ms: int) -> None:
        rows = self._rows
        of = self._kinds.of_service(service)
        of = of[of < len(rows["missed"])]
        missed = of[rows["missed"][of]]
        first = int(missed[np.argmin(rows["last_ms"][missed] + rows["usual_ms"][missed])])
        examples = (self._kinds.examples.get(kind, "") for kind in missed.tolist()[:_TOLD_MAX])
        found = Missing(
            service=self._kinds.names[service],
            text=self._kinds.text(first),
            kinds=len(missed),
            sure=bool(rows["sure"][missed].any()) and len(missed) <= _TOLD_MAX,
            last_ms=int(rows["last_ms"][first]),
            usual_ms=int(rows["usual_ms"][first]),
            waited_ms=int(self._until_ms(service) - rows["last_ms"][first]),
            allowed_ms=int(rows["allowed_ms"][first]),
            lines=tuple(line for line in examples if line),
        )

        def describe(entry: Entry) -> Alert:
            return missing_alert(found, entry, now_ms)

        key = METHOD, service
        entry = self._judge.alerting.entry(key)
        due_ms = found.last_ms + found.usual_ms
        at_ms = max(due_ms, entry.seen_ms) if entry is not None else due_ms
        self._judge.alerting.abnormal(
            key, at_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=0.0, describe=describe
        )

    def _until_ms(self, service: int) -> int:
        state = self._services
        return int(max(state["newest_ms"][service], state["reported_ms"][service]))

    def _came(self, kind: int, at_ms: int, now_ms: int) -> None:
        self._rows["missed"][kind] = False
        service = self._service(kind)
        of = self._kinds.of_service(service)
        if not self._rows["missed"][of[of < len(self._rows["missed"])]].any():
            self._judge.alerting.resolve((METHOD, service), at_ms, now_ms=now_ms)

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """What has been missing for very long was done away with."""
        rows = self._rows
        of = self._kinds.of_service(key[1])
        of = of[of < len(rows["missed"])]
        for kind in of[rows["missed"][of]].tolist():
            waited_ms = self._until_ms(key[1]) - int(rows["last_ms"][kind])
            if waited_ms > max(_ACCEPT_MS, _ACCEPT_GAPS * rows["usual_ms"][kind]):
                self.clear(np.array([kind]))
                why = because(
                    "it has lasted {duration} and counts as normal now",
                    duration=format_duration(waited_ms),
                )
                if not rows["missed"][of].any():
                    self._judge.alerting.resolve(key, now_ms, now_ms=now_ms, why=why)
        if not rows["missed"][of].any():
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms)

    def fold(self, old: int, new: int) -> None:
        """Two kinds are one: its rhythm is to be learnt again, from both."""
        highest = max(old, new) + 1
        self._rows.ensure(highest)
        self._ring.ensure(highest)
        last = max(self._rows["last_ms"][[old, new]])
        clock = max(self._rows["clock_ms"][[old, new]])
        self.clear(np.array([old, new]))
        self._rows["last_ms"][new], self._rows["clock_ms"][new] = last, clock

    def clear(self, kinds: Array) -> None:
        """Forget kinds."""
        self._rows.clear(kinds)
        self._ring.clear(kinds)

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self._rows.nbytes + self._ring.nbytes + self._services.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        arrays = self._rows.save("rows", 2**31) | self._ring.save("ring", 2**31)
        return arrays | self._services.save("services", 2**31), {"checked_ms": self._checked_ms}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        if state:
            for name, held in (
                ("rows", self._rows),
                ("ring", self._ring),
                ("services", self._services),
            ):
                held.load(name, arrays)
            self._checked_ms = state["checked_ms"]
