"""The light tier as one: clocks, flat lines, levels and their bands, for every plain series of the site.

A sample of a gauge or a counter whose meaning nobody wrote down costs some fifty operations on columns
of float32. What leaves a cheap bound, or is hot for another reason, is looked at closely in float64:
one in a thousand. Everything is learnt at once; what the judge then finds abnormal is unlearnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors import flatline
from detectors.baseline import Learnt
from detectors.light import clock
from detectors.light import state as at
from detectors.light.clock import LARGE, Times
from detectors.light.learn import Learner
from detectors.light.state import Array32, At, State, neighbours
from detectors.light.work import CHUNK, Room, Work
from detectors.rows import Array
from model.batch import Bools, Floats, Ints, Rows

_Piece = tuple[Rows, Ints, Floats, Array32, Bools]


@dataclass(frozen=True, slots=True, eq=False)
class Close:
    """Samples to be looked at closely; arrays of shape (n,).

    Attributes
    ----------
    places, rows
        Each once.
    times_ms, values
        Values of gauges, rates of counters.
    before : float32, shape (5, n)
        What was learnt until then.
    seen_ms
        For how long the row has been learnt.
    flat : bool
        A gauge that has gone flat, or stays so.
    """

    places: Rows
    rows: Rows
    times_ms: Ints
    values: Floats
    before: Array32
    seen_ms: Ints
    flat: Bools

    @property
    def learnt(self) -> Learnt:
        """What `Baselines.compare` wants to know."""
        level, slow, trend, spread, count = self.before.astype(np.float64)
        return Learnt(level, slow, trend, spread, count)

    @property
    def bounded(self) -> Floats:
        """The values as they are learnt: float32 holds no more."""
        return np.clip(self.values, -LARGE, LARGE)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One chunk of samples that can be used."""

    places: Rows
    where: At
    times_ms: Times
    values: Floats
    work: Work


class Light:
    """Learns plain series, and says which samples want a closer look.

    Parameters
    ----------
    sensitivity : float
        As in `DetectorSettings`.

    Examples
    --------
    >>> light = Light(1.0)
    >>> row = np.array([0], dtype=np.int32)
    >>> light.state.add(row)
    >>> looked = []
    >>> for second in range(100):
    ...     value = np.array([90.0 if second == 99 else 5.0 + second % 2])
    ...     close = light.gauges(row, 1_000 * (second + 1), value)
    ...     light.state.hot[:] = False
    ...     looked += [] if close is None else close.values.tolist()
    >>> looked
    [5.0, 90.0]
    """

    def __init__(self, sensitivity: float) -> None:
        self.state = State()
        self._learner = Learner(sensitivity)
        self._room = Room()
        self._dropped = self._resets = 0

    def gauges(self, rows: Rows, times_ms: Times, values: Floats) -> Close | None:
        """One sample of each of these rows, which all have a place; None where all is as usual."""
        return self._take(rows, times_ms, values, counters=False)

    def counters(self, rows: Rows, times_ms: Times, values: Floats) -> Close | None:
        """As `gauges`, of what only grows: its rate is learnt."""
        return self._take(rows, times_ms, values, counters=True)

    def usable(self, rows: Rows, times_ms: Times, values: Floats) -> Bools:
        """Which samples will be used: finite, and newer than the row's last."""
        good = clock.usable(values, times_ms, self.state.last_ms[self.state.of(rows)])
        return np.ones(len(rows), dtype=np.bool_) if good is None else good

    def unlearn(self, close: Close, those: Bools) -> None:
        """Take back what was learnt of some samples."""
        self.state.learnt[:, close.places[those]] = close.before[:, those]

    def counted(self) -> tuple[int, int]:
        """Samples that were dropped and counters that were reset since the last call."""
        counts = self._dropped, self._resets
        self._dropped = self._resets = 0
        return counts

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.state.nbytes + self._room.nbytes

    def _take(self, rows: Rows, times_ms: Times, values: Floats, *, counters: bool) -> Close | None:
        places = self.state.of(rows)
        found: list[_Piece] = []
        for begin in range(0, len(rows), CHUNK):
            part = slice(begin, begin + CHUNK)
            self._chunk(places[part], _of(times_ms, part), values[part], counters, found)
        if not found:
            return None
        where, times, value, before, flat = (
            np.concatenate(column, axis=-1) for column in zip(*found, strict=True)
        )
        seen_ms = times - self.state.first_ms[where]
        return Close(where, self.state.rows[where], times, value, before, seen_ms, flat)

    def _chunk(
        self, places: Rows, times_ms: Times, values: Floats, counters: bool, found: list[_Piece]
    ) -> None:
        where = neighbours(places)
        good = clock.usable(values, times_ms, self.state.last_ms[where])
        if good is not None and not good.all():
            self._dropped += len(places) - int(np.count_nonzero(good))
            if good.any():
                self._chunk(places[good], _of(times_ms, good), values[good], counters, found)
            return
        part = _Part(places, where, times_ms, values, self._room.of(len(places)))
        piece = self._count(part) if counters else self._gauge(part, calm=good is None)
        if piece is not None:
            found.append(piece)

    def _gauge(self, part: _Part, *, calm: bool) -> _Piece | None:
        state, work, where = self.state, part.work, part.where
        last_ms = state.last_ms[where]
        gap = (part.times_ms - last_ms).astype(np.float32)
        clocks = _gather(state.clock, where, work.clock)
        clock.tick(clocks[at.INTERVAL], gap, last_ms, work)
        state.last_ms[where] = part.times_ms
        unchanged = np.equal(part.values, state.value[where], out=work.other)
        state.value[where] = part.values
        values = part.values if calm else np.clip(part.values, -LARGE, LARGE)
        np.copyto(work.value, values, casting="same_kind")
        learnt = _gather(state.learnt, where, work.learnt)
        still, lively = clocks[at.STILL : at.STILL_MS + 1], clocks[at.LIVELY]
        step = flatline.steps(learnt[at.COUNT], work.bound)
        flat = flatline.look(still, lively, unchanged, gap, step, work.some)
        found, before = self._learn(part, learnt, flat)
        _scatter(state.clock, where, clocks)
        if found is None:
            return None
        flat = flatline.flat(still[:, found], lively[found], before[at.COUNT])
        return _piece(part, found, before, flat)

    def _count(self, part: _Part) -> _Piece | None:
        state, work, where = self.state, part.work, part.where
        last_ms = state.last_ms[where]
        elapsed_ms = (part.times_ms - last_ms).astype(np.float64)
        interval = _gather(state.clock[: at.INTERVAL + 1], where, work.clock[: at.INTERVAL + 1])
        rates, known, resets = clock.rates(part.values, state.value[where], elapsed_ms, interval[0])
        self._resets += resets
        clock.tick(interval[0], elapsed_ms.astype(np.float32), last_ms, work)
        _scatter(state.clock[: at.INTERVAL + 1], where, interval)
        state.last_ms[where], state.value[where] = part.times_ms, part.values
        if known is None:
            part = _Part(part.places, where, part.times_ms, rates, work)
        elif known.any():
            places = part.places[known]
            part = _Part(
                places,
                neighbours(places),
                _of(part.times_ms, known),
                rates[known],
                self._room.of(len(places)),
            )
        else:
            return None
        np.minimum(part.values, LARGE, out=part.values)
        np.copyto(part.work.value, part.values, casting="same_kind")
        learnt = _gather(state.learnt, part.where, part.work.learnt)
        found, before = self._learn(part, learnt, None)
        if found is None:
            return None
        return _piece(part, found, before, np.zeros(len(found), dtype=np.bool_))

    def _learn(
        self, part: _Part, learnt: Array32, flat: Bools | None
    ) -> tuple[Array | None, Array32]:
        """Learn a chunk; the positions of what wants a closer look, and what was learnt of it before."""
        state, where = self.state, part.where
        youngest = float(learnt[at.COUNT].min())
        look = self._learner.compare(learnt, youngest, part.work)
        look |= state.hot[where]
        if flat is not None:
            look |= flat
        found = np.flatnonzero(look) if look.any() else None
        before = learnt[:, found] if found is not None else learnt
        if youngest < 1.0:
            fresh = learnt[at.COUNT] == 0.0
            state.first_ms[part.places[fresh]] = _of(part.times_ms, fresh)
        self._learner.learn(learnt, youngest, part.work)
        _scatter(state.learnt, where, learnt)
        return found, before


def _of(times_ms: Times, some: slice | Array) -> Times:
    return times_ms if isinstance(times_ms, int) else times_ms[some]


def _piece(part: _Part, found: Array, before: Array32, flat: Bools) -> _Piece:
    times_ms = part.times_ms
    if isinstance(times_ms, int):
        times = np.full(len(found), times_ms, dtype=np.int64)
    else:
        times = times_ms[found]
    return part.places[found], times, part.values[found], before, flat


def _gather(array: Array32, where: At, room: Array32) -> Array32:
    """The columns of some places: a view where they are neighbours, else a copy in `room`."""
    if isinstance(where, slice):
        return array[:, where]
    return np.take(array, where, axis=1, out=room, mode="clip")


def _scatter(array: Array32, where: At, columns: Array32) -> None:
    """Put back what `_gather` copied."""
    if not isinstance(where, slice):
        for line, column in zip(array, columns, strict=True):  # twice as fast as all at once
            line[where] = column
