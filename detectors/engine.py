"""The detectors as one stage: columns in, alerts out. It wires the methods and judges nothing itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from detectors.alerting import Entry, Key, Lasting
from detectors.judge import Judge
from detectors.knowledge import Knowledge
from detectors.learning import Unheard
from detectors.logside import LogSide
from detectors.metricside import MetricSide, worth_learning
from detectors.roles import CERTIFICATE, ROLES, Kind
from detectors.rows import layers
from detectors.settings import DetectorSettings, ThresholdRule
from detectors.snapshot import pack, unpack
from detectors.tell import RULE_SOURCE, SOURCE, finite, silent_alert
from detectors.watchers import watchers
from model import codec
from model.alert import Alert, Evidence
from model.batch import Bools, LogBatch, MetricBatch, Rows
from model.calls import Calls
from model.capacity import Capacity
from model.errors import SnapshotError
from model.feedback import Feedback
from model.labels import Labels
from model.reason import because
from model.series import SeriesIndex
from model.slo import SloState
from model.units import format_duration

_HOUSEKEEPING_MS = 1_000
_AT_ONCE = Lasting(0, 1, 0, 1)
_NOTHING = Knowledge()


class Engine:
    """Notices what is not normal, and says so once it lasts.

    `take` works row by row and sums nothing over rows; `step` derives signals from the sums and closes
    windows. So it does not matter how a scrape was cut into batches. Neither raises for what the
    world sends; neither reads a clock.

    Parameters
    ----------
    settings : DetectorSettings
    index : SeriesIndex
        Rows of derived series are interned here too (source "derived").
    rules : tuple of ThresholdRule
        Fixed bounds on raw and derived series.
    knowledge : Knowledge
        What the catalogue and the objectives say.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        index: SeriesIndex,
        rules: tuple[ThresholdRule, ...] = (),
        knowledge: Knowledge = _NOTHING,
    ) -> None:
        self._settings = settings
        self._index = index
        self._judge = Judge(settings, index, rules)
        self._metrics = MetricSide(settings, index, self._judge)
        self._logs = LogSide(settings, self._judge)
        self._watchers = self._judge.watchers = watchers(
            self._judge, knowledge, self._metrics.absences
        )
        self._own = {method: watcher for watcher in self._watchers for method in watcher.methods}
        self._unheard = Unheard(self._judge, self._metrics.absences)
        self._housekept_ms = 0
        self._accepted = 0
        index.on_evict(self.forget)

    def take(self, batch: MetricBatch | LogBatch, *, now_ms: int) -> list[Alert]:
        """Something arrived; what is worth telling of it."""
        if isinstance(batch, LogBatch):
            self._logs.take(batch, now_ms)
            for watcher in self._watchers:
                watcher.lines(batch, now_ms)
        else:
            if batch.notes:
                for watcher in self._watchers:
                    watcher.noted(batch.notes)
            for rows, times_ms, values in layers(batch):
                self._metrics.take(rows, times_ms, values, now_ms)
        return self._judge.alerting.drain()

    def step(self, now_ms: int) -> list[Alert]:
        """Time has passed: signals are derived, windows close, what went quiet resolves."""
        self._metrics.step(now_ms)
        self._logs.step(now_ms)
        self._judge.alerting.step(now_ms)
        if now_ms - self._housekept_ms >= _HOUSEKEEPING_MS:
            self._housekept_ms = now_ms
            for watcher in self._watchers:
                watcher.step(now_ms)
            self._housekeep(now_ms)
        return self._judge.alerting.drain()

    def learn(self, batch: MetricBatch, *, now_ms: int, coarse: bool = False) -> None:
        """History of about one moment; call in time order, before live samples of these rows.

        `coarse` says that samples are further apart than live ones will be.

        What is abnormal in it is not learnt as normal, unless it lasted; nobody is told. Samples that
        are not newer than what is known of their row are dropped.
        """
        if not len(batch):
            return
        at_ms = int(batch.times_ms.max())
        self._judge.coarse = coarse
        with self._unheard:
            for rows, times_ms, values in layers(batch):
                self._metrics.take(rows, times_ms, values, at_ms)
            self._metrics.step(at_ms)
            for watcher in self._watchers:
                watcher.learn(at_ms)
            for (method, row), entry in self._judge.alerting.entries():
                if method in self._own:
                    self._own[method].housekeep((method, row), entry, at_ms)
                elif self._unheard.accepted(method, entry, self._settings):
                    self._judge.alerting.resolve((method, row), entry.seen_ms, now_ms=at_ms)
                    self._metrics.relearn(np.array([row]))
                else:
                    quiet_ms = self._quiet_ms([((method, row), entry)])
                    self._end_or_accept(method, row, entry, at_ms, quiet_ms[row])
        # They are of now, however old their samples are: not to be evicted.
        known = batch.rows[(batch.rows >= 0) & (batch.rows < self._index.capacity)]
        self._index.touch(self._metrics.outputs(known), now_ms)

    def renew(self, rows: Rows) -> None:
        """From here on samples of these rows come at other distances than those learnt so far.

        How far they spread is learnt anew, but for rows that are abnormal: those stay judged by what
        was learnt before.
        """
        rows = self._metrics.outputs(rows)
        self._judge.renew(rows[~self._unheard.abnormal(rows)])

    def learnt(self) -> None:
        """The past has ended: what is still abnormal is to be seen live."""
        self._unheard.clear()

    def cold(self, rows: Rows) -> Bools:
        """Which rows nothing is known of yet."""
        self._metrics.ensure()
        return np.asarray(self._judge.known.last_ms(rows) == 0)

    def worth_learning(self, rows: Rows) -> Bools:
        """Which rows are judged or go into what is judged."""
        return worth_learning(self._index, rows)

    def _housekeep(self, now_ms: int) -> None:
        """Resolve what went quiet, accept what became normal, notice who fell silent."""
        telling: set[int] = set()
        entries = self._judge.alerting.entries()
        quiet_ms = self._quiet_ms(entries)
        for (method, row), entry in entries:
            if (watcher := self._own.get(method)) is not None:
                watcher.housekeep((method, row), entry, now_ms)
            elif method == "newtemplate":
                telling.add(row)
                self._logs.quieten(row, entry, now_ms)
            elif method != "silent":
                self._end_or_accept(method, row, entry, now_ms, quiet_ms[row])
        self._logs.templates.step(now_ms, telling)
        for service, number, last_ms, silent in self._metrics.absences.silent():
            self._hear(service, number, last_ms, silent, now_ms)

    def _hear(self, service: str, number: int, last_ms: int, silent: bool, now_ms: int) -> None:
        def describe(entry: Entry) -> Alert:
            return silent_alert(service, last_ms, entry)

        key = ("silent", number)
        if silent and service:
            self._judge.alerting.abnormal(
                key, now_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=0.0, describe=describe
            )
        elif self._judge.alerting.entry(key) is not None:
            self._judge.alerting.resolve(key, last_ms, now_ms=now_ms)

    def _quiet_ms(self, entries: Iterable[tuple[Key, Entry]]) -> dict[int, float]:
        """How long the rows that the engine looks after itself may go without a sample."""
        others = ("newtemplate", "silent")
        rows = [row for (of, row), _ in entries if of not in self._own and of not in others]
        intervals_ms = self._judge.known.interval_ms(np.array(rows, dtype=np.int64))
        quiet_ms = np.maximum(self._settings.stale_after_ms, 5.0 * intervals_ms)
        return dict(zip(rows, quiet_ms.tolist(), strict=True))

    def _end_or_accept(
        self, method: str, row: int, entry: Entry, now_ms: int, quiet_ms: float
    ) -> None:
        key = (method, row)
        if now_ms - entry.seen_ms > quiet_ms:
            why = because("its series no longer reports")
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)
            return
        lasted_ms = entry.seen_ms - entry.since_ms
        wanted_ms = self._settings.accepted_after_ms(method)
        if (
            wanted_ms is not None
            and lasted_ms >= wanted_ms
            and entry.hits >= self._settings.accept_after_samples
        ):
            why = because(
                "it has lasted {duration} and counts as normal now",
                duration=format_duration(lasted_ms),
            )
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)
            self._metrics.relearn(np.array([row]))
            self._accepted += 1

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Alerts that the store says are firing: seen again within the grace, or resolved."""
        self._judge.alerting.adopt(a for a in alerts if a.source in (SOURCE, RULE_SOURCE))

    def heed(self, said: Iterable[Feedback]) -> None:
        """What people said of alerts, all that is active: it takes more, or less, to tell again."""
        self._judge.heed(said)

    def forget(self, rows: Rows) -> None:
        """These rows go to other series: nothing of the old ones may stay."""
        gone = set(rows.tolist())
        for key, entry in self._judge.alerting.entries():
            if (
                key[1] in gone
                and key[0] not in ("newtemplate", "silent")
                and key[0] not in self._own
            ):
                self._judge.alerting.resolve(key, entry.seen_ms, now_ms=entry.seen_ms)
        for watcher in self._watchers:
            watcher.forget(rows)
        self._unheard.clear()
        self._metrics.forget(rows)
        self._judge.forget(rows)

    def band(self, labels: Labels) -> Evidence | None:
        """Recent history of a raw or derived series with its expected band; None if it is not known."""
        row = self._index.find(labels)
        if (
            row is None
            or row >= len(self._judge.meta["kind"])
            or self._judge.meta["kind"][row] == Kind.NEW
        ):
            return None
        role = ROLES[int(self._judge.meta["role"][row])]
        times_ms, values, lows, highs = self._judge.history.of(row)
        if not times_ms and role is CERTIFICATE:
            return None  # its watcher draws it, as evidence
        if not times_ms:
            level = finite(self._judge.known.level(row))
            return Evidence(labels, "baseline", role.unit, value=level)
        return Evidence(
            labels, "baseline", role.unit, values[-1], lows[-1], highs[-1],
            times_ms=times_ms, values=values, lows=lows, highs=highs,
        )  # fmt: skip

    def capacity(self) -> tuple[Capacity, ...]:
        """What runs out when, what is first first; may be asked from another thread."""
        return tuple(one for watcher in self._watchers for one in watcher.capacity())

    def calls(self) -> tuple[Calls, ...]:
        """Who was seen to call whom; the same object while there is no news. May be asked from any thread."""
        return next((calls for watcher in self._watchers if (calls := watcher.calls())), ())

    def slos(self) -> tuple[SloState, ...]:
        """How the objectives stood a few seconds ago; may be asked from any thread."""
        return tuple(state for watcher in self._watchers for state in watcher.slos())

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        alerting, metrics = self._judge.alerting, self._metrics
        return {
            "tocsin_detector_samples_total": metrics.samples,
            "tocsin_detector_samples_dropped_total": metrics.dropped,
            "tocsin_detector_log_lines_total": self._logs.lines,
            "tocsin_detector_counter_resets_total": metrics.resets,
            "tocsin_detector_alerts_fired_total": alerting.fired,
            "tocsin_detector_alerts_resolved_total": alerting.resolved,
            "tocsin_detector_alerts_refused_total": alerting.refused,
            "tocsin_detector_templates_refused_total": self._logs.templates.refused
            + self._judge.rates.refused,
            "tocsin_detector_accepted_total": self._accepted,
            "tocsin_detector_watched_series": len(self._judge.history),
            "tocsin_detector_alerts_pending": alerting.pending,
            "tocsin_detector_alerts_firing": alerting.firing,
            "tocsin_detector_state_bytes": self.nbytes,
            **{name: n for watcher in self._watchers for name, n in watcher.counters().items()},
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        watching = sum(watcher.nbytes for watcher in self._watchers)
        return self._judge.nbytes + self._metrics.nbytes + watching

    def save(self) -> bytes:
        """A snapshot of everything learnt; goes with the index's own, made at the same time."""
        self._metrics.ensure()
        arrays, metrics = self._metrics.save()
        held, judge = self._judge.save(lambda alert: json.loads(codec.encode(alert)))
        for name, rows in {**self._judge.arrays, **self._metrics.arrays}.items():
            arrays.update(rows.save(name, self._index.capacity))
        watching: dict[str, Any] = {}
        for watcher in self._watchers:
            own, watching[watcher.name] = watcher.save()
            arrays.update({f"{watcher.name}.{name}": array for name, array in own.items()})
        state = {
            "watchers": watching,
            "metrics": metrics,
            "judge": judge,
            "logs": self._logs.save(),
            "housekept_ms": self._housekept_ms,
            "accepted": self._accepted,
        }
        return pack({**arrays, **held}, state)

    def load(self, data: bytes) -> None:
        """Take over a snapshot; the index must have been loaded from its own first.

        Raises
        ------
        SnapshotError
            If it is damaged, of another version, or does not fit the index. What is here is then
            undefined: begin with a new engine.
        """
        arrays, state = unpack(data)
        try:
            self._judge.load(arrays, state["judge"], lambda plain: codec.build(Alert, plain))
            for name, rows in {**self._judge.arrays, **self._metrics.arrays}.items():
                rows.load(name, arrays)
            self._metrics.load(arrays, state["metrics"])
            self._logs.load(state["logs"])
            for watcher in self._watchers:
                begins = f"{watcher.name}."
                own = {n.removeprefix(begins): a for n, a in arrays.items() if n.startswith(begins)}
                watcher.load(own, state.get("watchers", {}).get(watcher.name, {}))
            self._housekept_ms, self._accepted = state["housekept_ms"], state["accepted"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SnapshotError(f"detector snapshot: does not read: {error!r}") from None
        self._metrics.ensure()
