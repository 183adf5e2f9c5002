"""The full tier in the live engine: which samples it sees, and what it learns of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from detectors.alerting import Entry
from detectors.fullstate import FullState
from detectors.fulltell import METHODS, WARNING, FullTeller, Suspects
from detectors.judge import Judge
from detectors.knowledge import Knowledge
from detectors.rows import Array, pieces
from detectors.tiers import WATCHER
from detectors.unusual import matters, notable
from detectors.watcher import Settled, Watcher
from model.batch import Bools, Floats, Ints
from model.errors import SnapshotError
from model.reason import because
from model.units import format_duration

_VERSION = 1
_MOVE_MS = 10_000
_MOVE_PAST_MS = 300_000
_COLUMNS = ("rows", "times_ms", "values", "roles", "shut")
_TYPES = (np.int64, np.int64, np.float64, np.int8, np.bool_)


Hear = Callable[[Array, Ints, Floats, Array, Bools], None]
"""Is told of rows, times, values, scores, and which were learnt from."""
Expects = Callable[[Array, Ints, Floats], Bools]
"""Says which samples a rhythm explains that the tier knows nothing of."""


class FullSide(Watcher):
    """Scores the samples of the series that matter most, and has told what is rare, large and lasting.

    What is settled is kept until the next `step` and scored at once, for many rows cost little more than
    one. Nothing is learnt of a row whose own or baseline's alert is pending or firing: it is peeked at.
    Warnings ("full") are for signals, information ("unusual") for the rest.
    """

    name = WATCHER
    methods = frozenset(METHODS)

    def __init__(self, judge: Judge, knowledge: Knowledge) -> None:
        self._judge, self._settings = judge, judge.settings
        self._full = FullState(judge, knowledge)
        self._teller = FullTeller(judge, self._full)
        self._held: list[tuple[Array, ...]] = []
        self._past: list[tuple[Array, ...]] = []
        self._learnt_ms = 0
        self._moved_ms = self._scored = 0
        self.hear: tuple[Hear, ...] = ()
        self.expects: Expects | None = None

    def settled(self, seen: Settled, now_ms: int) -> None:
        """Keep the samples of members until the next step; of a past, only those at their own distance."""
        if self._judge.past and self._judge.coarse:
            return
        at = np.flatnonzero(self._full.members.slots(seen.rows) >= 0)
        if len(at):
            shut = seen.firing[at] | seen.outside[at]
            columns = (seen.rows[at], seen.times_ms[at], seen.values[at], seen.roles[at], shut)
            kept = self._past if self._judge.past else self._held
            kept.append(tuple(np.asarray(x, t) for x, t in zip(columns, _TYPES, strict=True)))

    def step(self, now_ms: int) -> None:
        """Score what was kept; now and then let series move in and out."""
        if self._held:
            held, self._held = self._held, []
            self._teller.note_told(now_ms)
            self._score_all(held, now_ms)
        if now_ms - self._moved_ms >= _MOVE_MS:
            self._moved_ms = now_ms
            left = self._full.move(now_ms)
            for row in left.tolist():
                for method in METHODS:
                    self._judge.alerting.resolve((method, row), now_ms, now_ms=now_ms)
            self._drop_held(left)

    def learn(self, at_ms: int) -> None:
        """Learn what was kept of the past; who matters moves in, to learn from it too."""
        if not self._judge.coarse and not 0 <= at_ms - self._learnt_ms < _MOVE_PAST_MS:
            self._learnt_ms = at_ms
            self._drop_held(self._full.move(at_ms))
        if self._past:
            held, self._past = self._past, []
            self._score_all(held, at_ms)

    def _score_all(self, kept: list[tuple[Array, ...]], now_ms: int) -> None:
        held = [np.concatenate(x) for x in zip(*kept, strict=True)]
        for at in pieces(held[0]):
            rows, times_ms, values, roles, shut = (column[at] for column in held)
            self._score(rows, times_ms, values, roles, shut, now_ms=now_ms)

    def _score(
        self, rows: Array, times_ms: Ints, values: Floats, roles: Array, shut: Bools, *, now_ms: int
    ) -> None:
        """One sample of each of some rows: peek at what is odd, learn the rest, tell what lasts."""
        full, alerting = self._full, self._judge.alerting
        slots = full.members.slots(rows).astype(np.int64)
        bars = full.ranges.rows["bar"][slots]
        own = np.logical_or(*(alerting.marked(method, rows) for method in METHODS))
        usual = full.usual(slots, times_ms)
        none = np.zeros(len(rows), dtype=np.bool_)
        one = np.ones(len(rows))
        odd = matters(roles, values, usual, one, none) | notable(roles, values, usual, one, none)
        odd &= ~shut & np.isfinite(bars)
        if self.expects is not None and odd.any():
            odd[odd] = ~self.expects(rows[odd], times_ms[odd], values[odd])
        at = np.flatnonzero(own | odd)
        scores = np.zeros(len(rows), dtype=np.float32)
        learn = ~shut & ~own
        if len(at):
            scores[at] = full.tier.peek(slots[at], times_ms[at], values[at])
            suspects = at[own[at] | (scores[at] >= full.suspicious)]
            lasting = full.ranges.lasting(slots[suspects], scores[suspects])
            full.calibrate(slots[suspects], lasting)
            told = self._teller.judge(
                Suspects(
                    rows[suspects], slots[suspects], times_ms[suspects], values[suspects],
                    roles[suspects], scores[suspects], bars[suspects], lasting,
                ),
                now_ms,
            )  # fmt: skip
            learn[suspects] = ~told & ~shut[suspects]
        at = np.flatnonzero(learn)
        found = full.tier.score(slots[at], times_ms[at], values[at])
        fresh = scores[at] == 0.0  # what was peeked at has been counted
        full.calibrate(slots[at[fresh]], full.ranges.lasting(slots[at[fresh]], found[fresh]))
        full.ranges.learn(slots[at], times_ms[at], values[at])
        self._scored += len(rows)
        scores[at] = np.where(fresh, found, scores[at])
        for hear in self.hear:
            hear(rows, times_ms, values, scores, learn)

    def upholds(self, rows: Array, times_ms: Ints, values: Floats, roles: Array) -> Bools:
        """See `FullTeller.upholds`."""
        return self._teller.upholds(rows, times_ms, values, roles)

    def rarity(self, row: int, at_ms: int, value: float) -> tuple[str, int] | None:
        """See `FullTeller.rarity`."""
        return self._teller.rarity(row, at_ms, value)

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """End what no longer reports, and accept what has lasted long enough."""
        method, row = key
        interval_ms = float(self._judge.known.interval_ms(np.array([row]))[0])
        if now_ms - entry.seen_ms > max(self._settings.stale_after_ms, 5.0 * interval_ms):
            why = because("its series no longer reports")
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)
            return
        settings, lasted_ms = self._settings, entry.seen_ms - entry.since_ms
        wanted_ms = (
            settings.accept_faults_after_ms if method == WARNING else settings.accept_after_ms
        )
        if lasted_ms >= wanted_ms and entry.hits >= settings.accept_after_samples:
            why = because(
                "it has lasted {duration} and counts as normal now",
                duration=format_duration(lasted_ms),
            )
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)
            self._full.begin_anew(self._full.members.slots(np.array([row])))

    def _drop_held(self, rows: Array) -> None:
        """Samples kept of rows that are gone are not theirs who come."""
        if len(rows) and self._held:
            kept = []
            for columns in self._held:
                stay = ~np.isin(columns[0], rows)
                kept.append(tuple(column[stay] for column in columns))
            self._held = kept

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        self._judge.alerting.let_go(self.methods, set(rows.tolist()))
        self._full.begin_anew(self._full.members.forget(rows.astype(np.int64)))
        self._drop_held(rows)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        members = self._full.members
        return {
            "tocsin_detector_full_series": len(members),
            "tocsin_detector_full_series_max": members.places_max,
            "tocsin_detector_full_entered_total": members.entered,
            "tocsin_detector_full_left_total": members.left,
            "tocsin_detector_full_waiting": members.waiting,
            "tocsin_detector_full_samples_total": self._scored,
            "tocsin_detector_full_bytes": self._full.tier.nbytes + self._full.ranges.nbytes,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self._full.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        arrays, members = self._full.save()
        held = zip(*self._held, strict=True) if self._held else [()] * len(_COLUMNS)
        for name, kind, columns in zip(_COLUMNS, _TYPES, held, strict=True):
            arrays[f"held.{name}"] = np.concatenate([np.zeros(0, dtype=kind), *columns])
        told = [[*key, at_ms] for key, at_ms in self._teller.told_ms.items()]
        state = {
            "version": _VERSION, "members": members, "told": told, "moved_ms": self._moved_ms,
            "scored": self._scored,
        }  # fmt: skip
        return arrays, state

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave; of another version, or with other components, it begins anew."""
        if state.get("version") != _VERSION:
            return
        try:
            self._full.load(arrays, state["members"])
        except SnapshotError:
            return
        self._teller.told_ms = {
            (service, signal): at_ms for service, signal, at_ms in state["told"]
        }
        self._moved_ms, self._scored = state["moved_ms"], state["scored"]
        held = tuple(arrays[f"held.{name}"] for name in _COLUMNS)
        self._held = [held] if len(held[0]) else []
        self._drop_held(self._full.members.outside(held[0]))
