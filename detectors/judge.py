"""Values against their bands: what is told to `alerting`, what is learnt, what is kept for plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.alerting import Alerting, Entry, Lasting
from detectors.baseline import YOUNG, Bands, Baselines
from detectors.counters import Clocks
from detectors.explain import quantity
from detectors.feedback import NEUTRAL, Heeded, Leniency
from detectors.growth import STRETCHES, grown, may_have_grown
from detectors.history import History
from detectors.known import Known
from detectors.lograte import LogRates
from detectors.plain import PlainSeries
from detectors.roles import MEMORY_LEVEL, ROLE_NUMBER, ROLES, UP_ROLE, Kind, Role
from detectors.rows import Array, RowArrays
from detectors.settings import DetectorSettings, ThresholdRule
from detectors.tell import Sighting, log_burst_alert, metric_alert, rule_alert
from detectors.threshold import Thresholds, bounds
from detectors.watcher import Settled, Watcher
from model.alert import Alert
from model.batch import Bools, Floats, Ints
from model.errors import SnapshotError
from model.feedback import Feedback
from model.labels import Labels
from model.series import SeriesIndex

_SEASONAL = frozenset({"traffic", "latency", "median", "mean", "tail", "errors", "cpu", "memory"})


class Judge:
    """Holds what all methods share: baselines, histories and alerts over rows."""

    def __init__(
        self, settings: DetectorSettings, index: SeriesIndex, rules: tuple[ThresholdRule, ...]
    ) -> None:
        self._settings = self.settings = settings
        self._index = self.index = index
        self.watchers: tuple[Watcher, ...] = ()
        self.past = False  # whether what is shown is history, of which nobody is told
        self.coarse = False  # and whether its samples are further apart than live ones
        self.heeded = Heeded()
        self._lenient: dict[int, Leniency] = {}
        self.baselines = Baselines(
            sensitivity=settings.sensitivity,
            warm_up_ms=settings.warm_up_ms,
            warm_up_samples=settings.warm_up_samples,
        )
        self.meta = RowArrays({"kind": (np.int8, 0), "role": (np.int8, 0), "family": (np.int8, -1)})
        self.clocks = Clocks()
        self.plain = PlainSeries(self)
        self.known = Known(self.clocks, self.baselines, self.plain.light.state)
        self.rates = LogRates(settings.templates_max)
        self.history = History(settings.watched_max)
        self.thresholds = Thresholds(rules)
        self.alerting = Alerting(
            update_interval_ms=settings.update_interval_ms,
            adopt_grace_ms=settings.adopt_grace_ms,
            alerts_max=settings.alerts_max,
        )
        self._lastings = tuple(self._lasting(role) for role in ROLES)

    def _lasting(self, role: Role) -> Lasting:
        for_ms = round(role.for_ms * self._settings.patience)
        keep_ms = min(self._settings.keep_firing_ms, role.keep_ms_max)
        return Lasting(for_ms, role.for_samples, keep_ms)

    @property
    def arrays(self) -> dict[str, RowArrays]:
        """The arrays over rows that are held here, but for the baselines', by name."""
        return {"meta": self.meta, "clocks": self.clocks.rows}

    def ensure(self) -> None:
        """Have room for every row of the index."""
        self.baselines.rows.ensure(self._index.capacity)
        self.baselines.widths.ensure(self._index.capacity)
        for arrays in self.arrays.values():
            arrays.ensure(self._index.capacity)
        self.plain.light.state.ensure(self._index.capacity)

    def heed(self, said: Iterable[Feedback]) -> None:
        """Take over what people said: all of it that is active."""
        self.heeded = Heeded(said)
        for row in self._lenient:
            self.baselines.widths["width"][row] = 1.0
        self._lenient = {}
        if self.heeded:
            own = (self._index.find(series) for series in self.heeded.series)
            for row in {*self.history.rows(), *(row for row in own if row is not None)}:
                self.met(row, self._index.labels(row))
        self.baselines.lenient = bool(self.heeded)
        self.plain.light.state.wake(np.array(list(self._lenient), dtype=np.int64))

    def met(self, row: int, labels: Labels) -> None:
        """A row is new, or what people said of it is."""
        leniency = self.heeded.of(labels) if self.heeded else NEUTRAL
        if leniency is not NEUTRAL and leniency != NEUTRAL:
            self._lenient[row] = leniency
            self.baselines.widths.ensure(self._index.capacity)
            self.baselines.widths["width"][row] = leniency.width

    def leniency(self, row: int) -> Leniency:
        """What people said of a row, as more or less patience with it."""
        return self._lenient.get(row, NEUTRAL)

    def derived(self, labels: Labels, role: str, now_ms: int) -> int:
        """The row of a derived series, made if it is new; -1 where the index is full."""
        row = self._index.intern(labels, source="derived", now_ms=now_ms)
        if row >= 0:
            self.ensure()
            self.met(row, labels)
            self.meta["kind"][row], self.meta["role"][row] = Kind.IGNORED, ROLE_NUMBER[role]
            self.history.watch(row)
            self.thresholds.add(row, labels)
            if role in _SEASONAL:
                self.baselines.watch_season(row)
        return row

    def want(self, name: str, rows: Array, wanted: bool = True) -> None:
        """Show the watcher of this name every sample of these plain rows from now on, or no more."""
        self.plain.want(name, rows, wanted)

    def renew(self, rows: Array) -> None:
        """Samples come at other distances from here on: see `Baselines.renew`."""
        self.baselines.renew(rows)
        self.plain.light.state.renew(rows, YOUNG)

    def signal(
        self,
        rows: Array,
        times_ms: Ints,
        values: Floats,
        enough: Bools,
        roles: NDArray[np.int8],
        now_ms: int,
        method: str = "baseline",
        ruled: bool = False,
    ) -> None:
        """Derived series: outside the band, of enough events, is abnormal.

        `ruled` says that the user's thresholds have seen these samples already.
        """
        self.clocks.tick(rows, times_ms)
        self._index.touch(rows, now_ms)
        bands = self.baselines.look(rows, times_ms, values, roles)
        self._settle(method, rows, times_ms, values, roles, bands, bands.outside & enough, now_ms)
        if not ruled:
            self.rules(rows, times_ms, values, now_ms)

    def _settle(
        self,
        method: str,
        rows: Array,
        times_ms: Ints,
        values: Floats,
        roles: NDArray[np.int8],
        bands: Bands,
        outside: Bools,
        now_ms: int,
    ) -> None:
        marked = self.alerting.marked(method, rows)
        outside = outside | self._upheld(method, rows, times_ms, values, roles, marked & ~outside)
        learn = ~(bands.outside | marked)
        self.baselines.learn(rows[learn], times_ms[learn], values[learn])
        self.history.add(rows, times_ms, values, bands.low, bands.high)
        seen = Settled(
            method, rows, times_ms, values, roles, bands.low, bands.high, outside, marked
        )
        self._show(seen, now_ms)
        self.tell(seen, bands.score, now_ms)

    def _show(self, seen: Settled, now_ms: int) -> None:
        """Let the watchers see what was settled."""
        for watcher in self.watchers:
            watcher.settled(seen, now_ms)

    def tell(self, found: Settled, score: Floats, now_ms: int) -> None:
        """Let `alerting` know of what is abnormal, and of what was."""
        for at in np.flatnonzero(found.outside | found.firing).tolist():
            number = int(found.roles[at])
            role = ROLES[number]
            seen = Sighting(
                int(found.rows[at]),
                int(found.times_ms[at]),
                float(found.values[at]),
                float(found.low[at]),
                float(found.high[at]),
                float(score[at]),
                role.width,
            )
            abnormal = bool(found.outside[at])
            self.sighted(found.method, role, self._lastings[number], seen, abnormal, now_ms)

    def _upheld(
        self, method: str, rows: Array, times_ms: Ints, values: Floats, roles: NDArray[np.int8],
        doubtful: Bools,
    ) -> Bools:  # fmt: skip
        """Which of the doubtful, firing for long and now back in the band, a watcher knows to be no better.

        A band stands still while its alert fires. After hours it is one of another time of day, and a value
        that is far too little at noon lies in the band of the night.
        """
        upheld = np.zeros(len(rows), dtype=np.bool_)
        if method != "baseline" or not doubtful.any():
            return upheld
        for at in np.flatnonzero(doubtful).tolist():
            entry = self.alerting.entry((method, int(rows[at])))
            if entry is not None and entry.firing:
                upheld[at] = int(times_ms[at]) - entry.since_ms >= self._settings.accept_after_ms
        some = np.flatnonzero(upheld)
        if len(some):
            asked = (rows[some], times_ms[some], values[some], roles[some])
            said = [watcher.upholds(*asked) for watcher in self.watchers]
            upheld[some] = np.logical_or.reduce(said) if said else False
        return upheld

    def _with_rarity(self, alert: Alert, seen: Sighting, entry: Entry) -> Alert:
        """With what a watcher knows of how rare such a sample is; asked once, when the alert begins."""
        if alert.evidence is None:
            return alert
        if entry.alert is not None and entry.alert.evidence is not None:
            told = entry.alert.evidence
            known = (told.component, told.once_in_ms)
        else:
            found = (w.rarity(seen.row, seen.at_ms, seen.value) for w in self.watchers)
            known = next((one for one in found if one is not None), ("", 0))
        if known == (alert.evidence.component, alert.evidence.once_in_ms):
            return alert
        made = replace(alert.evidence, component=known[0], once_in_ms=known[1])
        return replace(alert, evidence=made)

    def sighted(
        self, method: str, role: Role, lasting: Lasting, seen: Sighting, abnormal: bool, now_ms: int
    ) -> None:
        """Tell `alerting` of one row."""

        def describe(entry: Entry) -> Alert:
            series = self._index.labels(seen.row)
            if method == "lograte":
                made = log_burst_alert(series, role, seen, entry, self.history, self.rates)
            else:
                made = metric_alert(series, role, method, seen, entry, self.history)
            return self._with_rarity(made, seen, entry)

        key = (method, seen.row)
        lasting = lasting.longer(self.leniency(seen.row).patience)
        if abnormal:
            peak = seen.value / seen.high if seen.high > 0 else 0.0
            self.alerting.abnormal(
                key, seen.at_ms, now_ms=now_ms, lasting=lasting, peak=peak, describe=describe
            )
        else:
            self.alerting.normal(key, seen.at_ms, now_ms=now_ms, lasting=lasting, describe=describe)

    def memory(
        self, rows: Array, times_ms: Ints, values: Floats, interval_ms: Floats, now_ms: int
    ) -> None:
        """Resident memory: the band is drawn, growth is told."""
        role = ROLES.index(MEMORY_LEVEL)
        roles = np.full(len(rows), role, dtype=np.int8)
        bands = self.baselines.look(rows, times_ms, values, roles)
        marked = self.alerting.marked("growth", rows)
        learn = ~marked
        self.baselines.learn(rows[learn], times_ms[learn], values[learn])
        self.history.add(rows, times_ms, values, bands.low, bands.high)
        shown = Settled(
            "growth", rows, times_ms, values, roles, bands.low, bands.high, ~learn, marked
        )
        self._show(shown, now_ms)
        watched = self.history.has(rows)
        if not watched.any():
            return
        rows, times_ms, values = rows[watched], times_ms[watched], values[watched]
        leaking, amount, seconds = self._grown(rows, interval_ms[watched])
        marked = marked[watched]
        for at in np.flatnonzero(leaking | marked).tolist():
            row = int(rows[at])
            high = float(bands.high[watched][at])
            seen = Sighting(row, int(times_ms[at]), float(values[at]), 0.0, high, 0.0, 0.0)
            self.sighted(
                "growth", MEMORY_LEVEL, self._lastings[role], seen, bool(leaking[at]), now_ms
            )
            entry = self.alerting.entry(("growth", row))
            if entry is not None and leaking[at]:
                entry.extra = {
                    "grown": quantity(float(amount[at]), "bytes"),
                    "seconds": f"{seconds[at]:.0f}",
                }

    def _grown(self, rows: Array, interval_ms: Floats) -> tuple[Bools, Floats, Floats]:
        """`growth.grown` of rows that have a ring; most are known not to have at a glance."""
        leaking = np.zeros(len(rows), dtype=np.bool_)
        amount, seconds = np.zeros(len(rows)), np.zeros(len(rows))
        before = [self.history.back(rows, stretch.steps) for stretch in STRETCHES]
        at = np.flatnonzero(may_have_grown(self.history.back(rows, 0), before))
        if len(at):
            found = grown(*self.history.matrix(rows[at]), interval_ms[at])
            leaking[at], amount[at], seconds[at] = found
        return leaking, amount, seconds

    def up(self, rows: Array, times_ms: Ints, values: Floats, down: Bools, now_ms: int) -> None:
        """Targets that do not answer."""
        one = np.ones(len(rows))
        self.history.add(rows, times_ms, values, one, one)
        lasting = self._lastings[ROLES.index(UP_ROLE)]
        marked = self.alerting.marked("absence", rows)
        for at in np.flatnonzero(down | marked).tolist():
            seen = Sighting(int(rows[at]), int(times_ms[at]), float(values[at]), 1.0, 1.0, 1.0, 1.0)
            self.sighted("absence", UP_ROLE, lasting, seen, bool(down[at]), now_ms)

    def rules(self, rows: Array, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """The user's thresholds."""
        for number, positions, over in self.thresholds.look(rows, values):
            rule = self.thresholds.rules[number]
            method = f"rule{number}"
            marked = self.alerting.marked(method, rows[positions])
            lasting = Lasting(rule.for_ms, 1, rule.keep_firing_ms, 1)
            for at, abnormal, known in zip(
                positions.tolist(), over.tolist(), marked.tolist(), strict=True
            ):
                if not abnormal and not known:
                    continue
                low, high = bounds(rule)
                seen = Sighting(
                    int(rows[at]), int(times_ms[at]), float(values[at]), low, high, 0.0, rule.value
                )

                def describe(
                    entry: Entry, seen: Sighting = seen, rule: ThresholdRule = rule
                ) -> Alert:
                    series = self._index.labels(seen.row)
                    return rule_alert(rule, series, seen, entry, self.history)

                key = (method, seen.row)
                if abnormal:
                    self.alerting.abnormal(
                        key, seen.at_ms, now_ms=now_ms, lasting=lasting, peak=0.0, describe=describe
                    )
                else:
                    self.alerting.normal(
                        key, seen.at_ms, now_ms=now_ms, lasting=lasting, describe=describe
                    )

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        for arrays in (*self.arrays.values(), self.baselines.widths):
            arrays.clear(rows)
        for row in set(rows.tolist()) & self._lenient.keys():
            del self._lenient[row]
        self.baselines.forget(rows)
        self.plain.forget(rows)
        self.history.forget(rows)
        self.thresholds.forget(rows)
        self.rates.forget(set(rows.tolist()))

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        held = sum(arrays.nbytes for arrays in self.arrays.values())
        held += self.plain.nbytes
        return held + self.baselines.nbytes + self.history.nbytes

    def save(self, encode: Callable[[Alert], Any]) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name (but for `arrays`), and the rest as plain JSON values."""
        held, places = self.history.save()
        watched = sorted(row for row, _ in places["place"] if self._index.in_use(row))
        labels = [[row, list(map(list, self._index.labels(row).pairs))] for row in watched]
        state = {"history": places, "watched": labels, "alerting": self.alerting.save(encode)}
        held |= self.plain.save()
        return {**held, **self.baselines.save(self._index.capacity)}, state

    def load(
        self, arrays: dict[str, Array], state: dict[str, Any], decode: Callable[[Any], Alert]
    ) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If the rows of the index are not the ones that were saved.
        """
        for row, pairs in state["watched"]:
            if self._index.find(Labels(tuple((n, v) for n, v in pairs))) != row:
                raise SnapshotError("detector snapshot: does not fit the series index")
        self.baselines.load(arrays)
        self.plain.load(arrays)
        self.history.load(arrays, state["history"])
        self.alerting.load(state["alerting"], decode)
        if self.thresholds.rules:
            for row in self._index.rows():
                self.thresholds.add(row, self._index.labels(row))
