"""Several metrics of one service or host together: none alone is worth telling, all of them at once are.

Each metric's score is how rare its sample is (the full tier, decades) and how far it lies from a baseline of
weeks (deviations); the host's is their quadratic mean, averaged over the last few samples, and how rare that
is among its own. Measured beside PCA, an isolation forest and a frozen z-score in `benchmarks/smd.py`, which
is why none of those is here (docs/decisions/0005).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.full.calibration import Calibration
from detectors.full.slow import Slow
from detectors.full.tails import Tails
from detectors.judge import Judge
from detectors.roles import ROLES, Kind, service_of
from detectors.rows import Array, RowArrays
from detectors.tell import SOURCE, finite
from detectors.watcher import Watcher
from model.alert import Alert, Evidence, Severity
from model.batch import Bools, Floats, Ints
from model.labels import Labels
from model.reason import because
from model.series import NAME
from model.units import format_duration

METRIC = "together_score"
ALERTNAME = "UnusualTogether"
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
_LEAST = 3.0  # a root mean square that is worth looking at, whatever is usual
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
        self._rows_of: dict[int, set[int]] = {}
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
        about = Labels.of({"service": service_of(labels), "instance": labels.get("instance", "")})
        if not about.get("service") or self._judge.meta["kind"][row] == Kind.UP:
            self.rows["group"][row] = -2
            return
        slot = self._slots.get(about)
        if slot is None:
            free = GROUPS_MAX > len(self._slots)
            if not free:
                self.refused += 1
                self.rows["group"][row] = -2
                return
            taken = set(self._slots.values())
            slot = next(n for n in range(len(taken) + 1) if n not in taken)
            self._slots[about] = slot
            self.groups.ensure(slot + 1)
            self.groups.clear(np.array([slot]))
            for name, array in Tails(1, 1).arrays().items():
                self._tails.arrays()[name][:, slot] = array[:, 0]
        self.rows["group"][row] = slot
        self._rows_of.setdefault(slot, set()).add(row)

    def step(self, now_ms: int) -> None:
        """Judge the groups that had samples since."""
        touched, self._touched = sorted(self._touched), set()
        for slot in touched:
            rows = np.array(sorted(self._rows_of.get(slot, ())), dtype=np.int64)
            if len(rows) < METRICS_MIN:
                continue
            at_ms = int(self.rows["at_ms"][rows].max())
            interval_ms = float(np.median(self._judge.known.interval_ms(rows)))
            fresh = at_ms - self.rows["at_ms"][rows] <= _FRESH * max(interval_ms, 1.0)
            rows = rows[fresh]
            if len(rows) >= METRICS_MIN and at_ms > self.groups["at_ms"][slot]:
                self._judge_group(slot, rows, at_ms, interval_ms, now_ms)

    def _judge_group(
        self, slot: int, rows: Array, at_ms: int, interval_ms: float, now_ms: int
    ) -> None:
        scores = self.rows["score"][rows].astype(np.float64)
        together = float(np.sqrt(np.mean(scores**2)))
        groups = self.groups
        age = float(groups["age"][slot])
        recent = groups["recent"][slot] + _RECENT * (together - groups["recent"][slot])
        groups["recent"][slot], groups["at_ms"][slot] = recent, at_ms
        row = self._derived(slot, now_ms)
        if row < 0:
            return
        known = self._judge.alerting.entry(("collective", row))
        bar = self._bar(age, interval_ms)
        if known is None:
            rare = self._rarity(slot, float(recent), age, bar)
        else:
            rare = float(known.extra.get("rare", "0"))
        self._judge.history.add(
            np.array([row]), np.array([at_ms]), np.array([float(recent)]),
            np.array([0.0]), np.array([_LEAST]),
        )  # fmt: skip
        off = rows[scores >= _CARRIES]
        alone = float((scores**2).max() / max((scores**2).sum(), 1e-9))
        odd = (
            recent >= _LEAST
            and (rare >= bar if known is None else recent >= 0.6 * float(known.extra["recent"]))
            and len(off) >= METRICS_MIN
            and alone <= _ALONE
            and not self._told(slot)
        )
        ordered = off[np.argsort(-self.rows["score"][off], kind="stable")]
        self._tell(row, slot, ordered, (float(recent), rare, bar), at_ms, interval_ms, now_ms, odd)

    def _rarity(self, slot: int, recent: float, age: float, bar: float) -> float:
        """How rare the mean is, in decades; learnt unless it is beyond the bar."""
        at = np.array([slot])
        before = {name: array[:, slot].copy() for name, array in self._tails.arrays().items()}
        look = [np.array([x], dtype=np.float32) for x in (recent, age, 1e-3)]
        rare = float(self._tails.look(look[0][None, :], at, look[1], look[2])[0, 0])
        if rare >= bar:
            for name, array in self._tails.arrays().items():
                array[:, slot] = before[name]
            return rare
        self.groups["age"][slot] = age + 1.0
        if age > _YOUNG:
            self.calibration.learn(np.array([rare], dtype=np.float32))
        return rare

    def _derived(self, slot: int, now_ms: int) -> int:
        """The row under which the group's score is kept and plotted."""
        row = int(self.groups["row"][slot])
        if row < 0:
            about = next(labels for labels, number in self._slots.items() if number == slot)
            row = self._judge.derived(about.with_(**{NAME: METRIC}), "quiet", now_ms)
            self.groups["row"][slot] = row
        if row >= 0:
            self._judge.index.touch(np.array([row], dtype=np.int32), now_ms)
        return row

    def _bar(self, age: float, interval_ms: float) -> float:
        """The rarity that the budget of pages asks for; the young must be rarer, the very young cannot be."""
        if age <= _YOUNG:
            return float("inf")
        samples = _WEEK_MS / max(interval_ms, 1.0)
        wanted = np.log10(max(samples / self._judge.settings.pages_per_service_week, 10.0))
        wanted += max(wanted - _BELIEVED - np.log10(age), 0.0)
        if self.calibration.counts.sum() < _KNOWN:
            return float(wanted + _UNKNOWN)
        return max(float(self.calibration.threshold(10.0**-wanted)), float(wanted))

    def _told(self, slot: int) -> bool:
        """Whether another alert already tells of one of its metrics or of its service."""
        service = next(labels for labels, n in self._slots.items() if n == slot)["service"]
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
        for key, entry in self._judge.alerting.entries():
            if key[0] == "collective" and key[1] in gone:
                self._judge.alerting.resolve(key, entry.seen_ms, now_ms=entry.seen_ms)

    def _end(self, slot: int) -> None:
        """Nobody is left in a group."""
        self._rows_of.pop(slot, None)
        self._touched.discard(slot)
        self._slots = {labels: n for labels, n in self._slots.items() if n != slot}
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
        self._rows_of = {slot: set(rows) for slot, rows in state["rows_of"]}
        self._touched, self.refused = set(state["touched"]), state["refused"]


def together_alert(
    series: Labels, metrics: tuple[str, ...], severity: Severity, entry: Entry,
    history: tuple[tuple[Any, ...], ...], *, recent: float, bar: float, once_ms: int, at_ms: int,
) -> Alert:  # fmt: skip
    """A group as a whole: which metrics carry it, and how rare that is."""
    times_ms, values, lows, highs = history
    service = series.get("service", "")
    labels = {
        "alertname": ALERTNAME, "service": service, "severity": severity.value, "signal": "level",
        "instance": series.get("instance", ""),
    }  # fmt: skip
    return Alert(
        labels=Labels.of({name: value for name, value in labels.items() if value}),
        source=SOURCE,
        starts_ms=entry.since_ms,
        arrival_ms=at_ms,
        summary=because(
            "{metrics} of {service} are unusual together; by chance once in {once}",
            metrics=", ".join(metrics),
            service=service,
            once=format_duration(once_ms),
        ),
        evidence=Evidence(
            series, "collective", "", finite(recent), 0.0, _LEAST, recent, _LEAST,
            times_ms=times_ms, values=values, lows=lows, highs=highs,
            component=", ".join(metrics), once_in_ms=once_ms,
        ),
    )  # fmt: skip
