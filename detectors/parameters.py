"""Numbers in log lines that leave their range: a duration, a size, a count, a status code.

What a number usually is, is learnt by kind of line and by what names it ("took … ms"), over magnitudes. One
value says nothing: it is told when a third of a minute's lines lie far outside, and still do a minute
later. Of a busy kind only some lines are read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.judge import Judge
from detectors.logkinds import LogKinds, Part
from detectors.logsettings import LogLineSettings
from detectors.logtell import Strayed, strayed_alert
from detectors.numbers import UNITS, numbers
from detectors.position import BINS, Position, Verdict
from detectors.rows import Array
from detectors.watcher import Watcher
from model.alert import Alert, Severity
from model.batch import Ints, LogBatch

METHOD = "parameters"
_SLOT_MS = 10_000
_NAMES_MAX = 8  # of one kind: a name that varies is no name
_TRIED = 64  # lines without a number that means something, after which a kind is read no more
_LASTING = Lasting(30_000, 2, 30_000, 1)
_QUIET_MS = 900_000
_WARN_SHARE, _WARN_STRAYS, _WARN_STATUS = 0.5, 30, 0.2


class _Kind:
    """One kind of line: its positions by name, how many lines were tried, and read in this slot."""

    __slots__ = ("names", "read", "slot", "tried")

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.tried = self.slot = self.read = 0


class Parameters(Watcher):
    """Learns the numbers in lines, and tells those that leave their range."""

    name = METHOD
    methods = frozenset({METHOD})

    def __init__(
        self, judge: Judge, kinds: LogKinds, settings: LogLineSettings, accept_ms: int
    ) -> None:
        self._judge, self._of = judge, kinds
        self._settings, self._accept_ms = settings, accept_ms
        self._kinds: dict[int, _Kind] = {}
        self._positions: dict[int, tuple[int, Position]] = {}  # with the kind they belong to
        self._next = 0
        self.refused = self.read = 0
        kinds.followers.append(self)

    def lines(self, batch: LogBatch, now_ms: int) -> None:
        """Read the numbers of some lines of each kind."""
        for part in self._of.parts:
            self._part(batch, part, now_ms)

    def _part(self, batch: LogBatch, part: Part, now_ms: int) -> None:
        most, known = self._settings.parameter_lines_max, self._kinds
        for n in self._first(part, most).tolist():
            kind, time_ms = int(part.kinds[n]), int(part.times_ms[n])
            state = known.get(kind)
            if state is None:
                state = known[kind] = _Kind()
            if state.tried >= _TRIED:
                continue
            slot = time_ms // _SLOT_MS
            if state.slot != slot:
                state.slot, state.read = slot, 0
            if state.read >= most:
                continue
            state.read += 1
            line = batch.lines[part.at[n]]
            if batch.fields and (fields := batch.fields[part.at[n]]):
                line = f"{line} {fields}"
            self._read(kind, state, line, time_ms, now_ms)

    def _first(self, part: Part, most: int) -> Ints:
        """The first lines of each kind in each slot, in order: more of them are not read in any case."""
        kinds, slots = part.kinds[part.order], part.times_ms[part.order] // _SLOT_MS
        new = np.r_[True, (kinds[1:] != kinds[:-1]) | (slots[1:] != slots[:-1])][: len(kinds)]
        nth = np.arange(len(kinds))
        nth -= np.maximum.accumulate(np.where(new, nth, 0))
        return np.sort(part.order[nth < most])

    def _read(self, kind: int, state: _Kind, line: str, time_ms: int, now_ms: int) -> None:
        self.read += 1
        found = numbers(line)
        if not found:
            # A kind that had numbers once is read on: they are not in each of its lines.
            state.tried += not state.names
            return
        for number in found:
            at = state.names.get(number.name)
            if at is None:
                full = len(self._positions) >= self._settings.parameters_max
                if full or len(state.names) >= _NAMES_MAX:
                    self.refused += 1
                    state.tried += not state.names
                    continue
                at, self._next = self._next, self._next + 1
                state.names[number.name] = at
                self._positions[at] = kind, Position(number.name, number.kind, time_ms)
            position = self._positions[at][1]
            if position.kind != number.kind:
                continue  # "took 3 s" and "took 3 rows": the first keeps the name
            if position.due(time_ms):
                self._close(at, time_ms, now_ms)
            position.add(number.value, line)

    def _close(self, at: int, time_ms: int, now_ms: int) -> None:
        kind, position = self._positions[at]
        low, high = position.band() if position.counts.any() else (0.0, 0.0)
        verdict = position.close(time_ms, accept_ms=self._accept_ms)
        key, alerting = (METHOD, at), self._judge.alerting

        def describe(entry: Entry) -> Alert:
            found = self._strayed(kind, position, verdict, low, high)
            return strayed_alert(found, entry, now_ms)

        if verdict.abnormal:
            alerting.abnormal(
                key, time_ms, now_ms=now_ms, lasting=_LASTING, peak=verdict.share, describe=describe
            )
        else:
            alerting.normal(key, time_ms, now_ms=now_ms, lasting=_LASTING, describe=describe)

    def _strayed(
        self, kind: int, position: Position, seen: Verdict, low: float, high: float
    ) -> Strayed:
        times_ms, values = zip(*position.history, strict=True) if position.history else ((), ())
        serious = position.kind in ("duration", "plain") and seen.share >= _WARN_SHARE
        serious = serious and seen.above and seen.strays >= _WARN_STRAYS
        serious = serious or (seen.word == "5xx" and seen.share >= _WARN_STATUS)
        status = position.kind == "status"
        return Strayed(
            service=self._of.names[int(self._of.kinds["service"][kind])],
            text=self._of.text(kind),
            parameter=f"{position.name}={seen.word}" if status else position.name,
            unit=UNITS[position.kind],
            share=seen.share,
            value=seen.value,
            low=None if status else low,
            high=None if status else high,
            usual_share=seen.usual_share,
            severity=Severity.WARNING if serious else Severity.INFO,
            lines=seen.lines,
            times_ms=times_ms,
            values=values,
        )

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """Its lines come no more."""
        if now_ms - entry.seen_ms > _QUIET_MS:
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms)

    def fold(self, old: int, new: int) -> None:
        """Two kinds are one: positions of one name are one."""
        state = self._kinds.pop(old, None)
        if state is None:
            return
        into = self._kinds.setdefault(new, _Kind())
        into.tried = min(into.tried, state.tried)
        for name, at in state.names.items():
            mine = into.names.setdefault(name, at)
            position = self._positions[at][1]
            if mine == at:
                self._positions[at] = new, position
                continue
            if self._positions[mine][1].kind == position.kind:
                self._positions[mine][1].fold(position)
            self._drop(at)

    def clear(self, kinds: Array) -> None:
        """Forget kinds."""
        for kind in kinds.tolist():
            state = self._kinds.pop(kind, None)
            for at in state.names.values() if state else ():
                self._drop(at)

    def _drop(self, at: int) -> None:
        del self._positions[at]
        if (entry := self._judge.alerting.entry((METHOD, at))) is not None:
            self._judge.alerting.resolve((METHOD, at), entry.seen_ms, now_ms=entry.seen_ms)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_log_parameters": len(self._positions),
            "tocsin_detector_log_parameters_refused_total": self.refused,
            "tocsin_detector_log_parameter_lines_total": self.read,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return len(self._positions) * BINS * 4

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        counts = [position.counts for _, position in self._positions.values()]
        arrays = {"counts": np.array(counts, dtype=np.float32).reshape(-1, BINS)}
        kinds = [
            [kind, s.tried, s.slot, s.read, list(s.names.items())]
            for kind, s in self._kinds.items()
        ]
        positions = [[at, kind, p.save()] for at, (kind, p) in self._positions.items()]
        return arrays, {
            "kinds": kinds,
            "positions": positions,
            "totals": [self._next, self.refused, self.read],
        }

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        if not state:
            return
        for kind, tried, slot, read, names in state["kinds"]:
            found = self._kinds[kind] = _Kind()
            found.tried, found.slot, found.read, found.names = tried, slot, read, dict(names)
        for counts, (at, kind, plain) in zip(arrays["counts"], state["positions"], strict=True):
            self._positions[at] = kind, Position.restored(plain, counts)
        self._next, self.refused, self.read = state["totals"]
