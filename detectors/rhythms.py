"""Seasons that nobody configured, live: periods of minutes to a day are found, explain what comes, and are missed.

A batch every 20 minutes, a cron at odd minutes, a shift of eight hours: none is a day or a week, of which the
full tier has profiles. Its members take turns in a pool of rings (`rhythm.rings`). A period that is proved on
cycles it was not made of, and then foretells three more, is followed; see `rhythm.follow`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.judge import Judge
from detectors.rhythm.follow import Follow, Stage
from detectors.rhythmtell import SHOWN, Lost, rhythm_alert
from detectors.roles import ROLE_NUMBER, ROLES
from detectors.rows import Array, RowArrays
from detectors.watcher import Watcher
from model.alert import Alert
from model.batch import Bools, Floats, Ints
from model.reason import because
from model.units import format_duration

WARNING, INFORMATION = METHODS = ("rhythm", "beat")
_LOOKS = 4  # places looked at a step: some 20 ms each
_AGAIN_H = 24  # hours before a series is looked at again in vain
_STEADY = 0.55  # is the least of past cycles' strengths of a rhythm that can be missed
_LOST, _BACK = 0.33, 0.6  # strengths below which it is missing, from which it is there
_BEATS, _SURE_MS = 3, 600_000  # missing beats and time after which it is a warning
_SURE_CYCLES, _SURE = 12, 0.7  # and what must be known of it
_STOPS = 2.5  # a rhythm that stopped more often lately is one with breaks: it explains, but is not missed
_FADE_MS = 30 * 86_400_000
_GONE_MS, _GONE_KNOWN_MS = 3_600_000, 86_400_000
_ACCEPT_CYCLES, _ACCEPT_MS = 10, 86_400_000
_TIDY_MS = 60_000
_UNITS = (3_600_000, 1_800_000, 600_000, 300_000, 60_000, 10_000)
_KNOWN_TO = 0.004  # of a period is how well it is known
_OTHERS = ("baseline", "levelshift", "growth", "lograte", "flatline", "full", "unusual")
_VERSION = 1


class Rhythms(Watcher):
    """Follows members of the full tier, `rhythm_series_max` at a time.

    Who shows no rhythm at any width makes room for the next; who has one stays. Information at the first beat
    that is missing, a warning at the third where the rhythm was known for a dozen cycles.
    """

    name = "rhythms"
    methods = frozenset(METHODS)

    def __init__(self, judge: Judge) -> None:
        self._judge, self._max = judge, judge.settings.rhythm_series_max
        self.follow = Follow()
        self.places = RowArrays(
            {"row": (np.int32, -1), "missed": (np.int32, 0), "cycle": (np.int64, -1), "since_ms": (np.int64, 0),
             "stops": (np.float32, 0.0), "stopped_ms": (np.int64, 0)}
        )  # fmt: skip
        self.by_row = RowArrays({"place": (np.int32, -1), "tried_h": (np.int32, 0)})
        self._due: dict[int, None] = {}
        self._closed: list[Array] = []
        self._tidied_ms = 0
        self.waiting = self.looks = 0

    def scored(
        self, rows: Array, times_ms: Ints, values: Floats, scores: Array, learn: Bools
    ) -> None:
        """Samples of members of the full tier, each row once."""
        if not self._max or not len(rows):
            return
        self.by_row.ensure(int(rows.max()) + 1)
        place = self.by_row["place"][rows].astype(np.int64)
        if (place < 0).any():
            self._enrol(rows[place < 0], times_ms[place < 0])
            place = self.by_row["place"][rows].astype(np.int64)
        known = place >= 0
        if known.any():
            closed = self.follow.rings.take(place[known], times_ms[known], values[known])
            if len(closed):
                self._closed.append(closed)

    def _enrol(self, rows: Array, times_ms: Ints) -> None:
        """Give places to those whose turn it is, while there are some."""
        tried_h = self.by_row["tried_h"][rows]
        hours = times_ms // 3_600_000
        quiet = self._judge.meta["role"][rows] == ROLE_NUMBER["quiet"]
        rows = rows[((tried_h == 0) | (hours - tried_h >= _AGAIN_H)) & ~quiet]
        self.waiting = 0
        if not len(rows):
            return
        self.follow.ensure(min(self._max, self._used() + len(rows)))
        self.places.ensure(min(self._max, self._used() + len(rows)))
        free = np.flatnonzero(self.places["row"][: self._max] < 0)[: len(rows)]
        self.waiting = len(rows) - len(free)
        rows = rows[: len(free)]
        self.places.clear(free)
        self.places["row"][free], self.by_row["place"][rows] = rows, free
        self.follow.begin(free, self._judge.known.interval_ms(rows))

    def _used(self) -> int:
        return int(np.count_nonzero(self.places["row"] >= 0))

    def _leave(self, place: int, hour: int) -> None:
        row = int(self.places["row"][place])
        self.by_row["place"][row], self.by_row["tried_h"][row] = -1, hour
        self.places["row"][place] = -1
        self._due.pop(place, None)

    def step(self, now_ms: int) -> None:
        """Judge what closed; look at a few of those that are due; now and then free places."""
        closed, self._closed = self._closed, []
        for places in closed:
            self._judge_closed(places, now_ms)
            self._due.update(dict.fromkeys(self.follow.due(places).tolist()))
        for place in list(self._due)[:_LOOKS]:
            del self._due[place]
            self._look(place, now_ms)
        if not 0 <= now_ms - self._tidied_ms < _TIDY_MS:
            self._tidied_ms = now_ms
            self._tidy(now_ms)

    def learn(self, at_ms: int) -> None:
        """History teaches as what is live does; `judge.alerting` is one that nobody hears then."""
        self.step(at_ms)

    def _look(self, place: int, now_ms: int) -> None:
        if self.places["row"][place] < 0:
            return
        self.looks += 1
        follow = self.follow
        lost = int(follow.rows["lost"][place]) >= 0
        if not lost:
            if self._is_told(int(self.places["row"][place])):
                return  # nothing is learnt from what is told
            if not follow.look(place):
                self._leave(place, now_ms // 3_600_000)
            return
        before = format_duration(_rounded(follow.period_ms(place)))
        if follow.changed(place):
            after = format_duration(_rounded(follow.period_ms(place)))
            why = because("its rhythm is {after} now, it was {before}", after=after, before=before)
            self._over(place, now_ms, why)

    def _over(self, place: int, now_ms: int, why: Any) -> None:
        row = int(self.places["row"][place])
        for method in METHODS:
            self._judge.alerting.resolve((method, row), now_ms, now_ms=now_ms, why=why)
        self.places["missed"][place] = 0

    def _judge_closed(self, places: Array, now_ms: int) -> None:
        stage, steady = self.follow.rows["stage"][places], self.follow.rows["steady"][places]
        for place in places[(stage == Stage.KNOWN) & (steady >= _STEADY)].tolist():
            strength = self.follow.strength(place)
            if strength is not None and self.places["row"][place] >= 0:
                self._judge_one(place, strength, now_ms)

    def _judge_one(self, place: int, strength: float, now_ms: int) -> None:
        """A beat came, or did not."""
        row, rings = int(self.places["row"][place]), self.follow.rings.rows
        at_ms = int(rings["open"][place] * rings["width_ms"][place])
        leniency = self._judge.leniency(row)
        if strength >= _LOST / leniency.width:
            if strength >= _BACK:
                self._normal(place, row, at_ms, now_ms)
            return
        if self._is_told(row) or self._stops(place, at_ms) >= _STOPS:
            return
        self._miss(place, at_ms)
        missed = int(self.places["missed"][place])
        sure = (
            missed >= _BEATS
            and at_ms - int(self.places["since_ms"][place]) >= _SURE_MS
            and int(self.follow.rows["cycles"][place]) >= _SURE_CYCLES
            and float(self.follow.rows["steady"][place]) >= _SURE
        )
        patience = leniency.patience * self._judge.settings.patience
        method = WARNING if sure or self._judge.alerting.entry((WARNING, row)) else INFORMATION
        self._judge.alerting.abnormal(
            (method, row), at_ms, now_ms=now_ms, peak=1.0 - strength,
            lasting=Lasting(0, 1 if method == WARNING else 2, 0).longer(patience),
            describe=self._describe(place, row, strength, at_ms, warn=method == WARNING),
        )  # fmt: skip
        if method == WARNING:
            why = because("another alert tells of the same signal")
            self._judge.alerting.resolve((INFORMATION, row), at_ms, now_ms=now_ms, why=why)

    def _miss(self, place: int, at_ms: int) -> None:
        """Count the cycles in which it was missing."""
        follow, places = self.follow, self.places
        cycle = follow.cycle(place)
        if follow.rows["lost"][place] < 0:
            window = follow.shape(place).window
            follow.rows["lost"][place] = follow.rings.rows["open"][place] - window
            places["missed"][place], places["since_ms"][place] = 0, at_ms
            places["cycle"][place] = cycle - 1
        if cycle > places["cycle"][place]:
            places["missed"][place] += 1
            places["cycle"][place] = cycle

    def _normal(self, place: int, row: int, at_ms: int, now_ms: int) -> None:
        """It is there; over only when it has been so for a cycle and a half."""
        if self.follow.rows["lost"][place] < 0:
            return
        keep_ms = self.follow.period_ms(place) * 3 // 2
        lasting = Lasting(0, 1, keep_ms)
        told = [m for m in METHODS if self._judge.alerting.entry((m, row)) is not None]
        firing = False
        for method in told:
            entry = self._judge.alerting.entry((method, row))
            firing = firing or (entry is not None and entry.firing)
            self._judge.alerting.normal(
                (method, row), at_ms, now_ms=now_ms, lasting=lasting,
                describe=self._describe(place, row, 1.0, at_ms, warn=method == WARNING),
            )  # fmt: skip
        if any(self._judge.alerting.entry((m, row)) is not None for m in METHODS):
            return
        self.follow.returned(place)
        self.places["missed"][place] = 0
        if firing:
            self.places["stops"][place] = self._stops(place, at_ms) + 1.0
            self.places["stopped_ms"][place] = at_ms

    def _stops(self, place: int, at_ms: int) -> float:
        """How often it was told lately."""
        passed = (at_ms - int(self.places["stopped_ms"][place])) / _FADE_MS
        return float(self.places["stops"][place]) * float(0.5 ** max(passed, 0.0))

    def _is_told(self, row: int) -> bool:
        """Whether another method tells of the row."""
        entries = (self._judge.alerting.entry((method, row)) for method in _OTHERS)
        return any(entry is not None and entry.firing for entry in entries)

    def _describe(self, place: int, row: int, strength: float, at_ms: int, *, warn: bool) -> Any:
        def describe(entry: Entry) -> Alert:
            follow = self.follow
            first, values, expects = follow.expected(place, SHOWN)
            found = Lost(
                _rounded(follow.period_ms(place)), int(follow.rings.rows["width_ms"][place]), first,
                values, expects, float(follow.rows["reach"][place]), follow.shape(place).window,
                strength, _LOST,
            )  # fmt: skip
            role = ROLES[int(self._judge.meta["role"][row])]
            series = self._judge.index.labels(row)
            return rhythm_alert(series, role, found, entry, at_ms, warn=warn)

        return describe

    def expects(self, rows: Array, times_ms: Ints, values: Floats) -> Bools:
        """Which samples are what a known rhythm expects at their time, or a bucket sooner or later; shape (n,)."""
        out = np.zeros(len(rows), dtype=np.bool_)
        if not self._max:
            return out
        if not len(rows) or int(rows.max()) >= len(self.by_row["place"]):
            self.by_row.ensure(int(rows.max()) + 1 if len(rows) else 0)
        place = self.by_row["place"][rows]
        for at in np.flatnonzero(place >= 0).tolist():
            follow, here = self.follow, int(place[at])
            if follow.rows["stage"][here] != Stage.KNOWN or follow.rows["lost"][here] >= 0:
                continue
            shape = follow.shape(here)
            _, last = follow.rings.last(here, round(shape.period))
            if not np.isfinite(last).any():
                continue
            bucket = int(times_ms[at]) // int(follow.rings.rows["width_ms"][here])
            expects = shape.expects(bucket + np.arange(-1, 2)) + float(np.nanmean(last))
            low, high = float(expects.min()) - shape.reach, float(expects.max()) + shape.reach
            out[at] = low <= values[at] <= high
        return out

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """End what no longer reports; accept a rhythm's end that has lasted long enough."""
        method, row = key
        place = int(self.by_row["place"][row]) if row < len(self.by_row["place"]) else -1
        if place < 0:
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms)
            return
        rings, period_ms = self.follow.rings.rows, self.follow.period_ms(place)
        width_ms = int(rings["width_ms"][place])
        heard_ms = int(rings["open"][place]) * width_ms
        if now_ms - heard_ms > max(self._judge.settings.stale_after_ms, 5 * width_ms):
            self._over(place, heard_ms, because("its series no longer reports"))
            self.follow.rows["lost"][place] = -1
            return
        least_ms = _ACCEPT_MS if method == WARNING else self._judge.settings.accept_after_ms
        lasted_ms = heard_ms - entry.since_ms
        if lasted_ms >= max(least_ms, _ACCEPT_CYCLES * period_ms) and entry.clear_hits == 0:
            lasted = format_duration(lasted_ms)
            why = because("it has lasted {duration} and counts as normal now", duration=lasted)
            self._over(place, now_ms, why)
            self.follow.anew(place)

    def _tidy(self, now_ms: int) -> None:
        """Free the places of series that left the tier or stopped."""
        rings, rows = self.follow.rings.rows, self.places["row"]
        used = np.flatnonzero(rows >= 0)
        heard_ms = (rings["open"][used] + 1) * rings["width_ms"][used]
        known = self.follow.rows["stage"][used] == Stage.KNOWN
        most_ms = np.where(known, _GONE_KNOWN_MS, _GONE_MS)
        silent = (rings["open"][used] >= 0) & (
            now_ms - heard_ms > np.maximum(most_ms, 20 * rings["width_ms"][used])
        )
        for place in used[silent].tolist():
            self._over(place, now_ms, because("its series no longer reports"))
            self._leave(place, 0)

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        rows = rows[rows < len(self.by_row["place"])]
        for row in rows[self.by_row["place"][rows] >= 0].tolist():
            place = int(self.by_row["place"][row])
            heard_ms = int(self.follow.rings.rows["open"][place]) * int(
                self.follow.rings.rows["width_ms"][place]
            )
            self._over(place, heard_ms, None)
            self._leave(place, 0)
        self.by_row.clear(rows)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        stage = self.follow.rows["stage"]
        used = self.places["row"] >= 0
        known = (stage[: len(used)] == Stage.KNOWN) & used
        return {
            "tocsin_detector_rhythm_series": int(np.count_nonzero(used)),
            "tocsin_detector_rhythm_series_max": self._max,
            "tocsin_detector_rhythms": int(np.count_nonzero(known)),
            "tocsin_detector_rhythm_waiting": self.waiting,
            "tocsin_detector_rhythm_looks_total": self.looks,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self.follow.nbytes + self.places.nbytes + self.by_row.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        used = np.flatnonzero(self.places["row"] >= 0)
        length = int(used[-1]) + 1 if len(used) else 0
        arrays = {
            **self.follow.save(length),
            **self.places.save("places", length),
            **self.by_row.save("by_row", self._judge.index.capacity),
        }
        closed = [places.tolist() for places in self._closed]
        state = {
            "version": _VERSION, "due": list(self._due), "closed": closed,
            "tidied_ms": self._tidied_ms, "counts": [self.waiting, self.looks],
        }  # fmt: skip
        return arrays, state

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave; of an older version or a larger pool it begins anew."""
        if state.get("version") != _VERSION or len(arrays["places.row"]) > self._max:
            return
        self.follow.load(arrays)
        self.places.load("places", arrays)
        self.by_row.load("by_row", arrays)
        self._due = dict.fromkeys(state["due"])
        self._closed = [np.array(places, dtype=np.int64) for places in state["closed"]]
        self._tidied_ms = state["tidied_ms"]
        self.waiting, self.looks = state["counts"]


def _rounded(period_ms: int) -> int:
    """As people would say it: the roundest that is within what is known of it.

    Examples
    --------
    >>> _rounded(5_388_000), _rounded(2_221_000), _rounded(41_070)
    (5400000, 2220000, 41000)
    """
    for unit in _UNITS:
        near = round(period_ms / unit) * unit
        if abs(near - period_ms) <= _KNOWN_TO * period_ms:
            return near
    return max(round(period_ms / 1_000) * 1_000, 1_000)
