"""Services and hosts whose metrics ended, whatever those metrics mean.

What is known to be a sign of life (`up`, requests, CPU, log lines) is missed by `absence`, within a minute. Here everything that
was ever measured of an owner counts, and nothing is known of it: so an owner is missed only after a day without a pause, and after
a longer silence than any it had before. A batch job has pauses, what is scaled to nothing at night has one each day, and a series
that came with a pod and went with it leaves the others of its service.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.absence import Absences
from detectors.alerting import Entry, Lasting
from detectors.judge import Judge
from detectors.owners import Owners
from detectors.roles import Kind, service_of
from detectors.rows import Array
from detectors.tell import SOURCE
from detectors.watcher import Watcher
from model.alert import Alert, Evidence, Severity
from model.batch import Bools, Floats, Ints
from model.labels import Labels
from model.reason import because
from model.units import format_duration

METHOD = "silence"
_EVERY_MS = 15_000
_DAY_MS = 86_400_000
_STEADY_MS = _DAY_MS  # each hour of a day was seen without a pause
# And each day of a week: what is switched off for weekends is not missed by a warning.
_SURE_MS = 8 * _DAY_MS
_SAMPLES = 20
_INTERVALS = 10.0
_TIMES_SILENT = 3  # of `silent_after`: who knows more (`up`, senders) says so first
_PAUSES = 1.5  # times the longest pause there was
_AT_ONCE = Lasting(0, 1, 0, 1)
_KINDS = (Kind.GAUGE, Kind.COUNTER, Kind.INPUT, Kind.MEMORY)
_RAW: Bools = np.isin(np.arange(len(Kind)), _KINDS)
_VERSION = 1


class Silences(Watcher):
    """Looks every 15 s at when each owner's newest sample came: nothing is done by sample.

    Silence is measured against the newest thing heard of anyone, in event time. It counts neither while we were away ourselves,
    nor while the owner's target or sender is known to be down, nor where all that one source brought ended together.
    """

    name = "silences"
    methods = frozenset({METHOD})

    def __init__(self, judge: Judge, absences: Absences) -> None:
        self._judge, self._absences = judge, absences
        self.owners = Owners()
        self._newest_ms = self._resumed_ms = self._looked_ms = 0

    def step(self, now_ms: int) -> None:
        """Look, now and then."""
        if 0 <= now_ms - self._looked_ms < _EVERY_MS:
            return
        self._looked_ms = now_ms
        last_ms = self._last_ms()
        owners = self.owners
        newest_ms = max(int(last_ms.max(initial=0)), self._absences.newest_ms)
        if newest_ms <= self._newest_ms or not owners.size:
            return
        self._note_pause(newest_ms)
        excused = self._excused()
        self._hear(last_ms, excused)
        self._tell(excused, now_ms)
        owners.tidy(newest_ms, self._judge.alerting.marked(METHOD, np.arange(owners.size)))

    def _last_ms(self) -> Ints:
        """When the newest sample of each owner came, shape (n_owners,), 0 where none is left."""
        judge = self._judge
        kinds = judge.meta["kind"][: judge.index.capacity]
        rows = np.flatnonzero(_RAW[kinds])
        own = self.owners.of(judge.index, rows)
        last_ms = np.zeros(self.owners.size, dtype=np.int64)
        known = own >= 0
        np.maximum.at(last_ms, own[known], judge.known.last_ms(rows[known]))
        return last_ms

    def _note_pause(self, newest_ms: int) -> None:
        """All was silent for long: we were away ourselves, and nobody's silence counts from before."""
        intervals = self.owners.rows["interval_ms"]
        least = float(intervals[intervals > 0].min(initial=float(_DAY_MS)))
        if newest_ms - self._newest_ms > max(self._judge.settings.silent_after_ms, 3.0 * least):
            self._resumed_ms = newest_ms
        self._newest_ms = newest_ms

    def _excused(self) -> Bools:
        """Of whom somebody else says that they are not heard; shape (n_owners,)."""
        services, sources = set[str](), set(self._absences.senders_down)
        index = self._judge.index
        for (method, row), entry in self._judge.alerting.entries():
            if method == "absence" and index.in_use(row):
                services.add(service_of(index.labels(row)))
                sources.add(index.source(row))
            elif method == "silent" and entry.alert is not None:
                services.add(entry.alert.service)
        out = np.zeros(self.owners.size, dtype=np.bool_)
        if services or sources:
            for name, slot in self.owners.items():
                out[slot] = name in services or self.owners.source(slot) in sources
        return out

    def _limits_ms(self) -> Floats:
        """After how long each owner is missed."""
        state = self.owners.rows
        usual = np.maximum(
            _TIMES_SILENT * self._judge.settings.silent_after_ms, _INTERVALS * state["interval_ms"]
        )
        limits: Floats = np.maximum(usual, _PAUSES * state["pause_ms"])
        return limits * max(self._judge.settings.patience, 1.0)

    def _hear(self, last_ms: Ints, excused: Bools) -> None:
        """Who was heard since: how often, and after which pause."""
        state = self.owners.rows
        size = len(last_ms)
        usual_ms = np.maximum(
            _TIMES_SILENT * self._judge.settings.silent_after_ms,
            _INTERVALS * state["interval_ms"][:size],
        )
        before = state["last_ms"][:size]
        came = last_ms > before
        since = np.maximum(before, np.maximum(self._resumed_ms, state["excused_ms"][:size]))
        old = state["interval_ms"][:size]
        paused = came & (old > 0) & (last_ms - since > usual_ms)
        state["pause_ms"][:size][paused] = (last_ms - since)[paused]
        fresh = came & ((before == 0) | paused)
        state["first_ms"][:size][fresh] = last_ms[fresh]
        gap = (last_ms - before).astype(np.float64)
        moved = old + np.clip(gap - old, -0.2 * old, 0.2 * old)
        usual = came & (before > 0) & ~paused
        old[usual] = np.where(old == 0, gap, moved)[usual]
        state["count"][:size][came] += 1
        before[came] = last_ms[came]
        # A pause that came once, not each week.
        again = before - state["first_ms"][:size] >= _SURE_MS
        state["pause_ms"][:size][again] = 0
        state["excused_ms"][:size][excused] = self._newest_ms

    def _silent(self) -> Bools:
        """Who has been silent for longer than ever, and no other of its source is."""
        owners, state = self.owners, self.owners.rows
        since = np.maximum(state["last_ms"], np.maximum(self._resumed_ms, state["excused_ms"]))
        quiet = self._newest_ms - since > self._limits_ms()
        steady = state["last_ms"] - state["first_ms"] >= _STEADY_MS
        silent = quiet & steady & (state["count"] >= _SAMPLES) & (state["last_ms"] > 0)
        if not silent.any():
            return np.asarray(silent)
        # Where many came from one place and all of them ended, it is that place: told of by its own health.
        alive = ~quiet & (state["last_ms"] > 0)
        of: dict[str, list[int]] = {}
        for _, slot in owners.items():
            of.setdefault(owners.source(slot), []).append(slot)
        for slots in of.values():
            if len(slots) > 1 and not alive[slots].any():
                silent[slots] = False
        return np.asarray(silent)

    def _tell(self, excused: Bools, now_ms: int) -> None:
        alerting, state = self._judge.alerting, self.owners.rows
        silent = self._silent()[: len(excused)] & ~excused
        told = alerting.marked(METHOD, np.arange(len(excused)))
        for slot in np.flatnonzero(silent | told).tolist():
            key = (METHOD, slot)
            last_ms = int(state["last_ms"][slot])
            if silent[slot]:
                alerting.abnormal(
                    key, self._newest_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=0.0,
                    describe=self._describe(slot, last_ms),
                )  # fmt: skip
            elif excused[slot]:
                why = because("another alert tells of the same signal")
                alerting.resolve(key, last_ms, now_ms=now_ms, why=why)
            else:
                alerting.resolve(key, last_ms, now_ms=now_ms)

    def _describe(self, slot: int, last_ms: int) -> Any:
        def describe(entry: Entry) -> Alert:
            name = self.owners.name(slot)
            steady_ms = last_ms - int(self.owners.rows["first_ms"][slot])
            severity = Severity.WARNING if steady_ms >= _SURE_MS else Severity.INFO
            labels = {
                "alertname": "MetricAbsent",
                "service": name,
                "severity": severity.value,
                "signal": "availability",
            }
            return Alert(
                labels=Labels.of(labels),
                source=SOURCE,
                starts_ms=last_ms,
                arrival_ms=entry.seen_ms,
                summary=because(
                    "no metric of {service} comes any more; for {steady} they came without such a pause",
                    service=name,
                    steady=format_duration(steady_ms // 3_600_000 * 3_600_000),
                ),
                evidence=Evidence(Labels.of({"service": name}), METHOD),
            )

        return describe

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """What has been silent for a week is gone for good."""
        lasted_ms = entry.seen_ms - entry.since_ms
        if lasted_ms >= self._judge.settings.accept_faults_after_ms:
            lasted = format_duration(lasted_ms)
            why = because("it has lasted {duration} and counts as normal now", duration=lasted)
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)
            self.owners.drop(key[1])

    def forget(self, rows: Array) -> None:
        """These rows go to other series; whose they were is still known."""
        self.owners.forget(rows)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_owners": len(self.owners),
            "tocsin_detector_owners_refused_total": self.owners.refused,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self.owners.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        arrays, owners = self.owners.save(self._judge.index.capacity)
        times = [self._newest_ms, self._resumed_ms, self._looked_ms]
        return arrays, {"version": _VERSION, "owners": owners, "times_ms": times}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave; of an older version it begins anew."""
        if state.get("version") != _VERSION:
            return
        self.owners.load(arrays, state["owners"])
        self._newest_ms, self._resumed_ms, self._looked_ms = state["times_ms"]
