"""Who is in the full tier: the series that matter most, moved in and out within a budget of memory."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.judge import Judge
from detectors.knowledge import Knowledge
from detectors.roles import EVENT_ROLES, ROLE_NUMBER, ROLES, UP_ROLE, Kind, service_of
from detectors.rows import Array, RowArrays
from model.batch import Bools, Ints

WATCHER = "fullside"
"""By whose name the samples of plain members are asked for."""

MOVES_MAX = 4_096  # in and out, each, per call of `move`
_MEET_MAX = 20_000  # new rows whose labels are read, per call
_SHARE = 0.25  # of all places that one service may have at most, where it is not alone
_SHARE_LEAST = 256
_SEASONED = 20  # samples: a label that is new with every sample never gets in
_STALE_MS, _GONE_MS = 600_000, 86_400_000
_STAY_MS = 3_600_000  # before somebody of higher rank may take the place
_ALARM_MS = 86_400_000  # for so long an alarm makes its series and its service more interesting
_ALARMS_MAX = 10_000
_SERVICES = 65_536  # numbers; two services may share one, and then they share its places
_TELLING = ("baseline", "levelshift", "growth", "absence", "flatline", "lograte", "full", "unusual")

UNMET = np.int8(-1)
NOBODY, OTHER, NEAR_ALARM, ALARMED = 0, 1, 2, 3
SIGNAL, SIGNAL_TIER_2, SIGNAL_TIER_1 = 4, 5, 6
_NO_SIGNALS = ("unknown", "quiet", UP_ROLE.name, *EVENT_ROLES)
SIGNALS: Bools = np.array([role.name not in _NO_SIGNALS for role in ROLES])


def rank_of(kind: int, role: int, tier: int, promised: bool) -> int:
    """How much a series matters by what it is, before any alarm.

    Parameters
    ----------
    kind, role : int
        A `Kind`, and a number of `ROLES`.
    tier : int
        The service's in the catalogue, 1 to 4.
    promised : bool
        The service has an objective (SLO).

    Examples
    --------
    >>> errors, unknown = ROLE_NUMBER["errors"], ROLE_NUMBER["unknown"]
    >>> rank_of(Kind.IGNORED, errors, 4, promised=True) == SIGNAL_TIER_1
    True
    >>> rank_of(Kind.GAUGE, unknown, 1, promised=False), rank_of(Kind.GAUGE, unknown, 3, promised=False)
    (1, 0)
    """
    if kind in (Kind.GAUGE, Kind.COUNTER):
        known = role == ROLE_NUMBER["unknown"]
        return OTHER if known and (tier <= 2 or promised) else NOBODY
    if not SIGNALS[role] or kind not in (Kind.IGNORED, Kind.MEMORY):
        return NOBODY
    if promised or tier <= 1:
        return SIGNAL_TIER_1
    return SIGNAL_TIER_2 if tier == 2 else SIGNAL


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """Who moves; arrays of rows. `waiting` counts those for whom there is no place."""

    leave: Array
    enter: Array
    waiting: int


def plan(
    ranks: NDArray[np.int8], member: Bools, settled: Bools, ready: Bools, of: Ints, places: int
) -> Moves:
    """Decide who leaves and who enters.

    A member leaves when it has no rank any more, or when somebody of higher rank waits, no place is free,
    and it has been in for an hour. Among equals, who is in stays, so nobody moves in and out.

    Parameters
    ----------
    ranks : int8, shape (n_rows,)
        0: does not belong in.
    member, settled, ready : bool, shape (n_rows,)
        Is in; may be asked to leave; may enter.
    of : int, shape (n_rows,)
        Number of the row's service: one service may take a quarter of the places (at least 256), so that
        a flood of series of one does not keep the others out.
    places : int
        In all.
    """
    leave = np.flatnonzero(member & (ranks <= NOBODY))[:MOVES_MAX]
    wanting = np.flatnonzero(~member & ready & (ranks > NOBODY))
    wanting = wanting[np.argsort(-ranks[wanting].astype(np.int64), kind="stable")]
    inside = np.flatnonzero(member & (ranks > NOBODY))
    allowed = _within_share(of[inside], of[wanting], max(int(places * _SHARE), _SHARE_LEAST))
    waiting = int(np.count_nonzero(~allowed))
    wanting = wanting[allowed]
    free = max(places - len(inside), 0)
    enter, rest = wanting[: min(free, MOVES_MAX)], wanting[min(free, MOVES_MAX) :]
    movable = inside[settled[inside]]
    movable = movable[np.argsort(ranks[movable], kind="stable")]
    pairs = min(len(rest), len(movable), MOVES_MAX - len(enter)) if len(wanting) > free else 0
    higher = ranks[rest[:pairs]] > ranks[movable[:pairs]]  # both sorted: true, then false
    count = int(np.count_nonzero(higher))
    return Moves(
        np.concatenate((leave, movable[:count])),
        np.concatenate((enter, rest[:count])),
        waiting + len(rest) - count,
    )


def _within_share(inside: Ints, wanting: Ints, most: int) -> Bools:
    """Which of those who wait (of these services, best first) their services have places left for."""
    if len(wanting) == 0:
        return np.zeros(0, dtype=np.bool_)
    held = np.bincount(inside, minlength=int(wanting.max()) + 1)
    order = np.argsort(wanting, kind="stable")
    ordered = wanting[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    nth = np.arange(len(ordered)) - np.repeat(first, np.diff(np.r_[first, len(ordered)]))
    allowed = np.empty(len(wanting), dtype=np.bool_)
    allowed[order] = held[ordered] + nth < most
    return allowed


class Members:
    """Which row has which place (slot) in the tier.

    Parameters
    ----------
    places_max : int
        Slots in all: the budget of memory by what a series costs.
    """

    def __init__(self, judge: Judge, knowledge: Knowledge, places_max: int) -> None:
        self._judge, self.places_max = judge, places_max
        self._tiers: Mapping[str, int] = knowledge.tiers
        self._promised = frozenset(objective.service for objective in knowledge.slos)
        self.by_row = RowArrays(
            {"slot": (np.int32, -1), "rank": (np.int8, float(UNMET)), "service": (np.int32, 0)}
        )
        self.by_slot = RowArrays({"row": (np.int32, -1), "entered_ms": (np.int64, 0)})
        self._alarms: dict[int, int] = {}
        self._troubled: dict[int, int] = {}
        self.entered = self.left = self.waiting = 0

    def __len__(self) -> int:
        return int(np.count_nonzero(self.by_slot["row"] >= 0))

    def slots(self, rows: Array) -> Array:
        """Places of rows, -1 where a row has none."""
        if len(rows) and rows.max() >= len(self.by_row["slot"]):
            self.by_row.ensure(int(rows.max()) + 1)
        return self.by_row["slot"][rows]

    def move(self, now_ms: int) -> Moves:
        """Decide who moves now, and let them leave; `seat` gives the others a place."""
        judge = self._judge
        judge.ensure()
        length = judge.index.capacity
        self.by_row.ensure(length)
        self._meet(length)
        self._note_alarms(now_ms)
        slot, of = self.by_row["slot"][:length], self.by_row["service"][:length]
        ranks = self._ranks(length)
        every = np.arange(length)
        last_ms, interval_ms = judge.known.last_ms(every), judge.known.interval_ms(every)
        alive = now_ms - last_ms <= np.maximum(_STALE_MS, 10.0 * interval_ms)
        ready = alive & (judge.known.count(every) >= _SEASONED)
        member = slot >= 0
        gone = member & (now_ms - last_ms > np.maximum(_GONE_MS, 100.0 * interval_ms))
        settled = member.copy()
        settled[member] = self.by_slot["entered_ms"][slot[member]] + _STAY_MS <= now_ms
        for method in ("full", "unusual"):
            settled &= ~judge.alerting.marked(method, every)
        moves = plan(np.where(gone, NOBODY, ranks), member, settled, ready, of, self.places_max)
        self.waiting = moves.waiting
        return moves

    def _meet(self, length: int) -> None:
        """Read the labels of rows that are new."""
        kinds, roles = self._judge.meta["kind"][:length], self._judge.meta["role"][:length]
        new = (self.by_row["rank"][:length] == UNMET) & (kinds != Kind.NEW)
        for row in np.flatnonzero(new)[:_MEET_MAX].tolist():
            if not self._judge.index.in_use(row):
                continue
            name = service_of(self._judge.index.labels(row))
            tier, promised = self._tiers.get(name, 3), name in self._promised
            rank = rank_of(int(kinds[row]), int(roles[row]), tier, promised)
            self.by_row["rank"][row] = rank
            self.by_row["service"][row] = zlib.crc32(name.encode()) % _SERVICES

    def _note_alarms(self, now_ms: int) -> None:
        """Whose alerts fire: they and their services are of interest for a day."""
        for (method, row), entry in self._judge.alerting.entries():
            if entry.firing and method in _TELLING and row < len(self.by_row["rank"]):
                if len(self._alarms) < _ALARMS_MAX:
                    self._alarms[row] = now_ms
                self._troubled[int(self.by_row["service"][row])] = now_ms
        for held in (self._alarms, self._troubled):
            for number in [n for n, at_ms in held.items() if now_ms - at_ms > _ALARM_MS]:
                del held[number]

    def _ranks(self, length: int) -> NDArray[np.int8]:
        """Ranks as they are now, with the alarms of the last day."""
        ranks = self.by_row["rank"][:length].copy()
        kinds, roles = self._judge.meta["kind"][:length], self._judge.meta["role"][:length]
        plain = ((kinds == Kind.GAUGE) | (kinds == Kind.COUNTER)) & (roles == 0) & (ranks != UNMET)
        if self._troubled:
            troubled = np.isin(self.by_row["service"][:length], list(self._troubled)) & plain
            ranks[troubled] = np.maximum(ranks[troubled], NEAR_ALARM)
        if self._alarms:
            rows = np.array([row for row in self._alarms if row < length], dtype=np.int64)
            rows = rows[plain[rows]]
            ranks[rows] = np.maximum(ranks[rows], ALARMED)
        return ranks

    def unseat(self, rows: Array) -> Array:
        """Take places away; which they were."""
        slots = self.slots(rows)
        slots = slots[slots >= 0]
        gone = self.by_slot["row"][slots]
        self._judge.want(WATCHER, gone, wanted=False)
        self.by_row["slot"][gone] = -1
        self.by_slot.clear(slots)
        self.left += len(slots)
        return slots

    def seat(self, rows: Array, slots: Array, now_ms: int) -> None:
        """Give rows these free places."""
        self._judge.want(WATCHER, rows)
        self.by_row["slot"][rows] = slots
        self.by_slot["row"][slots] = rows
        self.by_slot["entered_ms"][slots] = now_ms
        self.entered += len(rows)

    def free(self, capacity: int) -> Array:
        """Free places below `capacity`, ascending."""
        self.by_slot.ensure(capacity)
        return np.flatnonzero(self.by_slot["row"][:capacity] < 0)

    def forget(self, rows: Array) -> Array:
        """These rows go to other series; the places they had."""
        slots = self.unseat(rows[rows < len(self.by_row["slot"])])
        self.by_row.clear(rows)
        for row in rows.tolist():
            self._alarms.pop(row, None)
        return slots

    def sizes(self, slots: Array) -> Ints:
        """How many series of the same service are in, for each of these places."""
        of = self.by_row["service"][self.by_slot["row"][slots]]
        rows = self.by_slot["row"]
        held = np.bincount(self.by_row["service"][rows[rows >= 0]], minlength=1)
        return np.asarray(held[of], dtype=np.int64)

    def best(self, count: int) -> Array:
        """The places of those that matter most."""
        slots = np.flatnonzero(self.by_slot["row"] >= 0)
        ranks = self.by_row["rank"][self.by_slot["row"][slots]].astype(np.int64)
        return np.sort(slots[np.argsort(-ranks, kind="stable")][:count])

    def reseat(self, slots: Array) -> None:
        """Only these stay, in this order from the first place on."""
        rows, entered_ms = self.by_slot["row"][slots], self.by_slot["entered_ms"][slots]
        every = self.by_slot["row"]
        self._judge.want(WATCHER, every[every >= 0], wanted=False)
        self._judge.want(WATCHER, rows)
        self.by_row["slot"][:] = -1
        self.by_slot.clear(np.arange(len(self.by_slot["row"])))
        self.by_slot["row"][: len(slots)], self.by_slot["entered_ms"][: len(slots)] = (
            rows,
            entered_ms,
        )
        self.by_row["slot"][rows] = np.arange(len(slots))

    def outside(self, rows: Array) -> Array:
        """Those of the rows that have no place."""
        return rows[self.slots(rows) < 0]

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self.by_row.nbytes + self.by_slot.nbytes

    def save(self, length: int) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name for `length` places, and the rest as plain JSON values."""
        arrays = self.by_row.save("by_row", self._judge.index.capacity)
        state = {
            "alarms": list(self._alarms.items()),
            "troubled": list(self._troubled.items()),
            "counts": [self.entered, self.left, self.waiting],
        }
        return {**arrays, **self.by_slot.save("by_slot", length)}, state

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self.by_row.load("by_row", arrays)
        self.by_slot.load("by_slot", arrays)
        self._alarms = {int(row): int(at_ms) for row, at_ms in state["alarms"]}
        self._troubled = {int(number): int(at_ms) for number, at_ms in state["troubled"]}
        self.entered, self.left, self.waiting = state["counts"]
