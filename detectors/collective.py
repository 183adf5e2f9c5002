"""Several metrics of one service or host together: none alone is worth telling, all of them at once are.

Each metric's score is how rare its sample is (the full tier, decades) and how far it lies from a baseline of
weeks (deviations); the host's is their quadratic mean, averaged over the last few samples, and how rare that
is among its own. Measured beside PCA, an isolation forest and a frozen z-score in `benchmarks/smd.py`, which
is why none of those is here (docs/decisions/0005).
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.full.calibration import Calibration
from detectors.full.slow import Slow
from detectors.full.tails import Tails
from detectors.judge import Judge
from detectors.roles import ROLES, Kind, service_of
from detectors.rows import Array, RowArrays
from detectors.runs import Runs, runs, without_small
from detectors.together import LEAST as _LEAST
from detectors.together import together_alert
from detectors.watcher import Watcher
from model.alert import Alert, Severity
from model.batch import Bools, Floats, Ints
from model.labels import Labels
from model.reason import because
from model.series import NAME
from model.units import format_duration

METRIC = "together_score"
GROUPS_MAX = 4_096
METRICS_MIN = 3  # of two, each speaks for itself
NAMED_MAX = 4
_RECENT = np.float32(0.2)  # a mean of about five samples
_FRESH = 3.0  # intervals; an older score of a metric is no longer its own
_CARRIES = 3.0  # score from which a metric is one of those that are off
_ALONE = 0.7  # of the whole carried by one metric: then it is that metric's own matter
_YOUNG = 100.0  # samples
_KNOWN, _UNKNOWN = (
    10_000.0,
    1.0,
)  # scores before the calibration counts; decades asked for until then
_BELIEVED = 1.5  # decades beyond what its own samples can show
_WEEK_MS, _DAY_MS = 7 * 86_400_000.0, 86_400_000.0
_LASTING = Lasting(120_000, 4, 120_000, 3)
_VERSION = 1


class Collective(Watcher):
    """Groups the full tier's rows by service and instance, and tells of a group as a whole.

    A warning needs a group that was watched for a day at its interval, three metrics off with at least one
    signal among them, and a rarity that the budget of pages allows; else it is information. It says
    nothing while another alert tells of the service.
    """

    name = "collective"
    methods = frozenset({"collective"})

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._slots: dict[Labels, int] = {}
        self._about: dict[int, Labels] = {}  # the same the other way round
        self._free: list[int] = []  # a heap of those below the highest: the lowest is next
        self._rows_of: dict[int, set[int]] = {}
        self._flat: tuple[Ints, Ints] | None = None  # the same in two columns, until it changes
        self.rows = RowArrays(
            {"group": (np.int32, -1), "score": (np.float32, 0.0), "at_ms": (np.int64, 0), "age": (np.float32, 0.0),
             "mean": (np.float32, 0.0), "variance": (np.float32, 0.0)}
        )  # fmt: skip
        self.groups = RowArrays(
            {"row": (np.int32, -1), "recent": (np.float32, 0.0), "age": (np.float32, 0.0), "at_ms": (np.int64, 0)}
        )  # fmt: skip
        self._tails = Tails(1, GROUPS_MAX)
        self.calibration = Calibration()
        self._touched: set[int] = set()
        self.refused = 0

    def scored(
        self, rows: Array, times_ms: Ints, values: Floats, scores: Array, learn: Bools
    ) -> None:
        """Samples of members of the full tier, each row once, with their rarities (NaN: none).

        `learn` says which are not to be learnt from, because an alert tells of them.
        """
        good = np.isfinite(scores) & np.isfinite(values)
        rows, times_ms, scores = rows[good], times_ms[good], scores[good]
        if len(rows) == 0:
            return
        self.rows.ensure(int(rows.max()) + 1)
        group = self.rows["group"][rows]
        for row in rows[group == -1].tolist():
            self._meet(row)
        far = self._slowly(rows, values[good], learn[good])
        self.rows["score"][rows] = scores + far
        self.rows["at_ms"][rows] = times_ms
        group = self.rows["group"][rows]
        self._touched.update(np.unique(group[group >= 0]).tolist())

    def _slowly(self, rows: Array, values: Floats, learn: Bools) -> Array:
        """Deviations from a mean of weeks: `full.slow` over rows instead of a block of them."""
        slow = Slow(len(rows))
        slow.mean[:], slow.variance[:] = self.rows["mean"][rows], self.rows["variance"][rows]
        age = self.rows["age"][rows]
        clipped = np.clip(values, -1e18, 1e18).astype(np.float32)
        far = slow.look(slice(0, len(rows)), age, clipped)
        taught = rows[learn]
        self.rows["mean"][taught] = slow.mean[learn]
        self.rows["variance"][taught] = slow.variance[learn]
        self.rows["age"][taught] += np.float32(1.0)
        return np.where(age < _YOUNG, np.float32(0.0), far)

    def _meet(self, row: int) -> None:
        """Which group a row belongs to; -2 where it has none."""
        labels = self._judge.index.labels(row)
        pairs = ("instance", labels.get("instance", "")), ("service", service_of(labels))
        if not pairs[1][1] or self._judge.meta["kind"][row] == Kind.UP:
            self.rows["group"][row] = -2
            return
        about = Labels(pairs if pairs[0][1] else pairs[1:])
        slot = self._slots.get(about)
        if slot is None:
            free = GROUPS_MAX > len(self._slots)
            if not free:
                self.refused += 1
                self.rows["group"][row] = -2
                return
            slot = heappop(self._free) if self._free else len(self._slots)
            self._slots[about], self._about[slot] = slot, about
            self.groups.ensure(slot + 1)
            self.groups.clear(np.array([slot]))
            for name, array in Tails(1, 1).arrays().items():
                self._tails.arrays()[name][:, slot] = array[:, 0]
        self.rows["group"][row] = slot
        self._rows_of.setdefault(slot, set()).add(row)
        self._flat = None

    def step(self, now_ms: int) -> None:
        """Judge the groups that had samples since, all at once."""
        touched, self._touched = sorted(self._touched), set()
        rows, slots = self._members(touched)
        rows, slots = without_small(rows, slots, METRICS_MIN)
        if len(rows) == 0:
            return
        each = runs(slots)
        seen_ms = self.rows["at_ms"][rows]
        at_ms = np.maximum.reduceat(seen_ms, each.starts)
        interval_ms = each.median(self._judge.known.interval_ms(rows))
        reach_ms = _FRESH * np.maximum(interval_ms, 1.0)
        fresh = np.repeat(at_ms, each.counts) - seen_ms <= np.repeat(reach_ms, each.counts)
        fresh &= np.repeat(at_ms > self.groups["at_ms"][each.slots], each.counts)
        kept, kept_slots = without_small(rows[fresh], slots[fresh], METRICS_MIN)
        if len(kept):
            at = np.searchsorted(each.slots, runs(kept_slots).slots)
            self._judge_groups(kept, runs(kept_slots), at_ms[at], interval_ms[at], now_ms)

    def _members(self, touched: list[int]) -> tuple[Ints, Ints]:
        """The rows of groups, ascending within each, and their groups, ascending."""
        if self._flat is None:
            of = sorted(self._rows_of.items())
            rows = [row for _, members in of for row in sorted(members)]
            counts = [len(members) for _, members in of]
            slots = np.repeat(np.array([slot for slot, _ in of], dtype=np.int64), counts)
            self._flat = np.array(rows, dtype=np.int64), slots
        rows_of_all, slots_of_all = self._flat
        wanted = np.zeros(GROUPS_MAX, dtype=np.bool_)
        wanted[touched] = True
        at = wanted[slots_of_all]
        return rows_of_all[at], slots_of_all[at]

    def _judge_groups(
        self, rows: Ints, each: Runs, at_ms: Ints, interval_ms: Floats, now_ms: int
    ) -> None:
        scores = self.rows["score"][rows].astype(np.float64)
        whole = np.add.reduceat(scores**2, each.starts)
        groups, slots = self.groups, each.slots
        age, recent = groups["age"][slots].astype(np.float64), groups["recent"][slots]
        together = np.sqrt(whole / each.counts).astype(np.float32)
        recent = recent + _RECENT * (together - recent)
        groups["recent"][slots], groups["at_ms"][slots] = recent, at_ms
        derived = self._derived(slots, now_ms)
        known = self._judge.alerting.marked("collective", derived)
        bar, rare, beat = self._bars(age, interval_ms), np.zeros(len(slots)), np.zeros(len(slots))
        for at in np.flatnonzero(known).tolist():
            entry = self._judge.alerting.entry(("collective", int(derived[at])))
            assert entry is not None
            rare[at] = float(entry.extra.get("rare", "0"))
            beat[at] = 0.6 * float(entry.extra["recent"])
        new = np.flatnonzero(~known & (derived >= 0))
        rare[new] = self._rarities(slots[new], recent[new], age[new], bar[new])
        has = derived >= 0
        nothing = np.zeros(int(np.count_nonzero(has)))
        self._judge.history.add(
            derived[has], at_ms[has], recent[has].astype(np.float64), nothing, nothing + _LEAST
        )
        off = np.add.reduceat((scores >= _CARRIES).astype(np.int64), each.starts)
        most = np.maximum.reduceat(scores**2, each.starts)
        odd = has & (recent >= _LEAST) & (off >= METRICS_MIN)
        odd &= (most / np.maximum(whole, 1e-9) <= _ALONE) & np.where(
            known, recent >= beat, rare >= bar
        )
        for at in np.flatnonzero(odd | known).tolist():
            slot, start = int(slots[at]), each.starts[at]
            members = rows[start : start + each.counts[at]]
            carrying = members[self.rows["score"][members] >= _CARRIES]
            ordered = carrying[np.argsort(-self.rows["score"][carrying], kind="stable")]
            found = float(recent[at]), float(rare[at]), float(bar[at])
            self._tell(
                int(derived[at]), slot, ordered, found, int(at_ms[at]), float(interval_ms[at]),
                now_ms, bool(odd[at]) and not self._told(slot),
            )  # fmt: skip

    def _rarities(self, slots: Ints, recent: Array, age: Floats, bar: Floats) -> Floats:
        """How rare the means are, in decades; learnt unless they are beyond the bar."""
        if len(slots) == 0:
            return np.zeros(0)
        before = {name: array[:, slots] for name, array in self._tails.arrays().items()}
        floor = np.full(len(slots), 1e-3, dtype=np.float32)
        rare = self._tails.look(recent[None, :], slots, age.astype(np.float32), floor)[0]
        beyond = rare >= bar
        for name, array in self._tails.arrays().items():
            array[:, slots[beyond]] = before[name][:, beyond]
        self.groups["age"][slots[~beyond]] += np.float32(1.0)
        self.calibration.learn(rare[~beyond & (age > _YOUNG)])
        return np.asarray(rare, dtype=np.float64)

    def _derived(self, slots: Ints, now_ms: int) -> Ints:
        """The rows under which the groups' scores are kept and plotted; negative where a limit refuses one."""
        rows = self.groups["row"][slots]
        if (rows < 0).any():
            for slot in slots[rows < 0].tolist():
                series = self._about[slot].with_(**{NAME: METRIC})
                self.groups["row"][slot] = self._judge.derived(series, "quiet", now_ms)
            rows = self.groups["row"][slots]
        self._judge.index.touch(rows[rows >= 0], now_ms)
        return rows.astype(np.int64)

    def _bars(self, age: Floats, interval_ms: Floats) -> Floats:
        """The rarities that the budget of pages asks for; the young must be rarer, the very young cannot be."""
        samples = _WEEK_MS / np.maximum(interval_ms, 1.0)
        budget = self._judge.settings.pages_per_service_week
        wanted = np.log10(np.maximum(samples / budget, 10.0))
        wanted += np.maximum(wanted - _BELIEVED - np.log10(np.maximum(age, 1.0)), 0.0)
        if self.calibration.counts.sum() < _KNOWN:
            bars = wanted + _UNKNOWN
        else:
            bars = np.maximum(np.interp(wanted, *self.calibration.decades()), wanted)
        return np.asarray(np.where(age <= _YOUNG, np.inf, bars))

    def _told(self, slot: int) -> bool:
        """Whether another alert already tells of one of its metrics or of its service."""
        service = self._about[slot]["service"]
        for (method, _), entry in self._judge.alerting.entries():
            if method != "collective" and entry.alert is not None:
                if entry.alert.service == service and entry.alert.severity.rank > 0:
                    return True
        return False

    def _tell(
        self, row: int, slot: int, off: Array, found: tuple[float, float, float], at_ms: int,
        interval_ms: float, now_ms: int, odd: bool,
    ) -> None:  # fmt: skip
        recent, rare, bar = found
        key = ("collective", row)
        seasoned = float(self.groups["age"][slot]) * interval_ms >= _DAY_MS
        signals = any(ROLES[int(self._judge.meta["role"][r])].signal for r in off.tolist())
        severity = Severity.WARNING if seasoned and signals else Severity.INFO
        names = list(dict.fromkeys(self._judge.index.labels(r).get(NAME, "") for r in off.tolist()))
        once_ms = int(
            interval_ms * min(10.0**rare, 10.0 * max(float(self.groups["age"][slot]), 1.0))
        )

        def describe(entry: Entry) -> Alert:
            entry.extra.setdefault("rare", str(rare))
            entry.extra.setdefault("recent", str(recent))
            series = self._judge.index.labels(row)
            return together_alert(
                series, tuple(names[:NAMED_MAX]), severity, entry, self._judge.history.of(row),
                recent=recent, bar=bar, once_ms=once_ms, at_ms=at_ms,
            )  # fmt: skip

        leniency = self._judge.leniency(row)
        lasting = _LASTING.longer(leniency.patience * self._judge.settings.patience)
        tell = self._judge.alerting.abnormal if odd else self._judge.alerting.normal
        extra: dict[str, Any] = {"peak": recent} if odd else {}
        tell(key, at_ms, now_ms=now_ms, lasting=lasting, describe=describe, **extra)
        entry = self._judge.alerting.entry(key)
        if entry is not None:
            entry.extra.setdefault("rare", str(rare))
            entry.extra.setdefault("recent", str(recent))

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """End what no longer reports, and accept what has lasted a week."""
        settings = self._judge.settings
        interval_ms = float(self._judge.known.interval_ms(np.array([key[1]]))[0])
        if now_ms - entry.seen_ms > max(settings.stale_after_ms, 5.0 * interval_ms, 600_000):
            why = because("its series no longer reports")
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)
        elif entry.seen_ms - entry.since_ms >= settings.accept_faults_after_ms:
            lasted = format_duration(entry.seen_ms - entry.since_ms)
            why = because("it has lasted {duration} and counts as normal now", duration=lasted)
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        self._flat = None
        self.rows.ensure(int(rows.max()) + 1 if len(rows) else 0)
        for row in rows.tolist():
            slot = int(self.rows["group"][row])
            members = self._rows_of.get(slot, set())
            members.discard(row)
            if slot >= 0 and not members:
                self._end(slot)
        self.rows.clear(rows)
        gone = set(rows.tolist())
        for slot, row in enumerate(self.groups["row"].tolist()):
            if row in gone:
                self.groups["row"][slot] = -1
        self._judge.alerting.let_go(self.methods, gone)

    def _end(self, slot: int) -> None:
        """Nobody is left in a group."""
        self._rows_of.pop(slot, None)
        self._touched.discard(slot)
        del self._slots[self._about.pop(slot)]
        heappush(self._free, slot)
        self.groups.clear(np.array([slot]))

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_groups": len(self._slots),
            "tocsin_detector_groups_refused_total": self.refused,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        tails = sum(array.nbytes for array in self._tails.arrays().values())
        return self.rows.nbytes + self.groups.nbytes + tails

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        many = len(self._slots) and max(self._slots.values()) + 1
        arrays = {
            **self.rows.save("rows", self._judge.index.capacity),
            **self.groups.save("groups", many),
            **{f"tails.{name}": array for name, array in self._tails.arrays().items()},
            "calibration": self.calibration.counts,
        }
        state = {
            "version": _VERSION,
            "slots": [
                [list(map(list, labels.pairs)), slot] for labels, slot in self._slots.items()
            ],
            "rows_of": [[slot, sorted(rows)] for slot, rows in self._rows_of.items()],
            "touched": sorted(self._touched),
            "refused": self.refused,
        }
        return arrays, state

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave; of another version it begins anew."""
        if state.get("version") != _VERSION:
            return
        self.rows.load("rows", arrays)
        self.groups.load("groups", arrays)
        for name, array in self._tails.arrays().items():
            array[...] = arrays[f"tails.{name}"]
        self.calibration.counts[:] = arrays["calibration"]
        self._slots = {
            Labels(tuple((n, v) for n, v in pairs)): slot for pairs, slot in state["slots"]
        }
        self._about = {slot: labels for labels, slot in self._slots.items()}
        # Ascending, which makes it a heap.
        self._free = [n for n in range(max(self._about, default=-1) + 1) if n not in self._about]
        self._flat = None
        self._rows_of = {slot: set(rows) for slot, rows in state["rows_of"]}
        self._touched, self.refused = set(state["touched"]), state["refused"]
