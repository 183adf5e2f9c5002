"""The full tier as one: components, their rarities, how they are combined, and the alarm stage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.alarm import SPIKE_SHARE, Alarms
from detectors.full.calibration import Calibration
from detectors.full.combine import CONTEXT, Combination
from detectors.full.joint import Joint
from detectors.full.levels import Levels
from detectors.full.profiles import Profiles
from detectors.full.rounds import one_if_same
from detectors.full.spikes import Spikes
from detectors.full.spread import Spread
from detectors.full.tails import Array32, At, Tails
from detectors.snapshot import pack, unpack
from model.batch import Floats, Ints
from model.errors import SnapshotError

# Rows at a time: below it NumPy's calls cost more than what they do, far above it the cache.
_CHUNK = 16_384
_YOUNG = np.float32(32.0)  # samples before anything is told
_OLD = np.float32(2_880_000.0)  # samples; its half is whole rounds of every ring
_LARGE = 1e18  # beyond it squares of float32 overflow
_DRIFT_RATES = np.array([[1 / 12], [1 / 12], [1 / 6]], dtype=np.float32)
_KIND = "full tier 1"
_LATER = (
    "spikes.",
    "last",
    "day.phases.",
    "week.phases.",
    "spread.",
)  # arrays that the first snapshots did not have
# How a profile may be read: an hour off (daylight saving), or as another day of the week (a holiday).
_HOUR_OFF_DAY, _HOUR_OFF_WEEK = (-2, 2), (-1, 1)
_OTHER_DAYS = tuple(24 * day for day in range(1, 7))
_DAY_MS, _WEEK_MS = 86_400_000, 604_800_000


class FullTier:
    """Scores samples of up to `capacity` rows, each row once in a call.

    Parameters
    ----------
    capacity : int
        Rows; memory is taken for all of them at once.

    Examples
    --------
    >>> tier = FullTier(2)
    >>> for minute in range(200):
    ...     values = np.array([minute % 5, 7.0 + minute % 3])
    ...     usual = tier.score(np.array([0, 1]), np.full(2, minute * 60_000), values)
    >>> found = tier.score(np.array([0, 1]), np.full(2, 12_000_000), np.array([2.0, 70.0]))
    >>> bool(found[0] < found[1]), bool(found[1] > 4.5)
    (True, True)
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._levels = Levels(capacity)
        self._day = Profiles(
            capacity, period_ms=_DAY_MS, slots=48, shifts=_HOUR_OFF_DAY, other_day=48
        )
        self._week = Profiles(
            capacity,
            period_ms=_WEEK_MS,
            slots=168,
            shifts=_HOUR_OFF_WEEK + _OTHER_DAYS,
            other_day=24,
        )
        self._joint = Joint(capacity)
        self._spread = Spread(capacity)
        self._tails = Tails(len(CONTEXT), capacity)
        self._combination = Combination(capacity)
        self._spikes = Spikes(capacity)
        self._alarms = Alarms(capacity)
        self.calibration = Calibration()
        self._age = np.zeros(capacity, dtype=np.float32)
        self._drift = np.zeros((3, capacity), dtype=np.float32)
        self._last = np.zeros((2, capacity), dtype=np.float32)  # context and spike, for `alarms`

    def score(self, rows: NDArray[np.int64], times_ms: Ints, values: Floats) -> Array32:
        """How rare the samples are, in decades; then they are learnt.

        Parameters
        ----------
        rows : int64, shape (n,)
            Each at most once.
        times_ms, values : shape (n,)
            Epoch ms; any unit. What is not finite scores NaN and is not learnt.

        Returns
        -------
        float32, shape (n,)
            0 is usual. See `alarms` for what is worth telling of it.
        """
        out = np.full(len(rows), np.nan, dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            good = np.isfinite(values[part])
            row, at_ms, value = rows[part], times_ms[part], values[part]
            whole = good.all()
            if not whole:
                row, at_ms, value = row[good], at_ms[good], value[good]
            if len(row):
                clipped = np.clip(value, -_LARGE, _LARGE).astype(np.float32)
                scores = self._combined(row, at_ms, clipped)
                out[part][slice(None) if whole else good] = scores
        return out

    def alarms(self, rows: NDArray[np.int64], scores: Array32) -> Array32:
        """What is told of the samples that `score` just gave these scores, else 0."""
        out = np.zeros(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            good = np.isfinite(scores[part])
            all_good = slice(None) if good.all() else good
            at = _place(rows[part][all_good])
            context, spike = self._last[:, at]
            out[part][all_good] = self._alarms.look(at, np.maximum(context, SPIKE_SHARE * spike))
        return out

    def components(self, rows: NDArray[np.int64], times_ms: Ints, values: Array32) -> Array32:
        """Each component's rarity in decades, shape (components, n); learns the samples."""
        at = _place(rows)
        context, spike = self._components(at, rows, times_ms, values, self._ages_at(at))
        return np.concatenate((context, spike[None]))

    def _ages_at(self, at: At) -> Array32:
        """As they are before the rows' samples are learnt; one if all are the same."""
        return one_if_same(self._age[at]).copy()

    def _components(
        self, at: At, rows: NDArray[np.int64], times_ms: Ints, values: Array32, age: Array32
    ) -> tuple[Array32, Array32]:
        """Rarities of the context, shape (len(CONTEXT), n), and the points of spikes."""
        mean = self._levels.mean[at]
        before = np.where(age < 1.0, values, mean) if age.min() < 1.0 else mean.copy()
        error, change, fast, step, standard = self._levels.look(at, rows, age, values)
        day = self._day.look(at, rows, times_ms, values, before, age)
        week = self._week.look(at, rows, times_ms, values, before, age)
        sizes = np.empty((len(CONTEXT), len(rows)), dtype=np.float32)
        joint = self._joint.look(at, rows, age, standard)
        singly = {0: error, 2: day, 3: week, 4: change, 5: fast, 6: joint, 7: step}
        for place, one in singly.items():
            np.abs(one, out=sizes[place])
        drift = self._drift[:, at]
        # By products, for a choice at random costs a processor far more: it guesses wrong half of the time.
        nearer = sizes[2] < sizes[3]
        season = day * nearer
        season += week * ~nearer
        np.abs(self._spread.look(at, np.abs(season)), out=sizes[1])
        further = np.stack((day, week, season))
        further -= drift
        further *= _DRIFT_RATES
        further += drift
        self._drift[:, at] = further
        np.abs(further, out=sizes[8:])
        usual = np.abs(before)
        least = usual * np.float32(1e-4) + self._levels.spread[at] * np.float32(0.01)
        least += np.float32(1e-9)
        rare = self._tails.look(sizes, at, age, least)
        floor = usual * np.float32(1e-3) + np.float32(1e-9)
        spike = self._spikes.look(at, rows, times_ms, values, floor)
        self._age[at] = age + np.float32(1.0)
        if age.max() >= _OLD:
            self._rejuvenate(rows[np.broadcast_to(age >= _OLD, rows.shape)])
        return rare, spike

    def _rejuvenate(self, rows: NDArray[np.int64]) -> None:
        """Float32 stops counting at 16.7 million: an old row becomes a less old one."""
        self._age[rows] -= _OLD / np.float32(2.0)
        for tails in (self._tails, self._combination.tails):
            tails.rejuvenate(rows, float(_OLD) / 2.0)

    def _combined(self, rows: NDArray[np.int64], times_ms: Ints, values: Array32) -> Array32:
        at, times_ms = _place(rows), one_if_same(times_ms)
        age = self._ages_at(at)
        rare, spike = self._components(at, rows, times_ms, values, age)
        context = self._combination.look(rare, at, age)
        young = np.broadcast_to(age < _YOUNG, rows.shape) if age.min() < _YOUNG else None
        if young is not None:
            context[young] = 0.0
        self._last[0, at], self._last[1, at] = context, spike
        scores = np.asarray(np.maximum(context, spike), dtype=np.float32)
        self.calibration.learn(scores if young is None else scores[~young])
        return scores

    def forget(self, rows: NDArray[np.int64]) -> None:
        """These rows go to other series."""
        fresh = FullTier(1)
        for (name, mine), (_, new) in zip(self._parts(), fresh._parts(), strict=True):
            mine[(slice(None),) * row_axes()[name] + (rows,)] = new

    def part(self, rows: NDArray[np.int64]) -> FullTier:
        """A tier of copies of these rows, in that order; its calibration is empty."""
        made = FullTier(len(rows))
        for (name, mine), (_, theirs) in zip(self._parts(), made._parts(), strict=True):
            theirs[...] = mine.take(rows, axis=row_axes()[name])
        return made

    def peek(self, rows: NDArray[np.int64], times_ms: Ints, values: Floats) -> Array32:
        """What `score` would say; nothing is learnt."""
        out = np.full(len(rows), np.nan, dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            some = self.part(rows[part])
            out[part] = some.score(np.arange(some.capacity), times_ms[part], values[part])
        return out

    def grow(self, capacity: int) -> None:
        """Have room for more rows; one array after the other, so that little is held twice."""
        fresh = FullTier(1)
        for holder, field, name in self._holders():
            old = getattr(holder, field)
            axis = row_axes()[name]
            shape = list(old.shape)
            shape[axis] = capacity
            new = np.empty(shape, dtype=old.dtype)
            begin = (slice(None),) * axis
            new[(*begin, slice(0, self.capacity))] = old
            empty = dict(fresh._parts())[name]
            new[(*begin, slice(self.capacity, None))] = empty
            setattr(holder, field, new)
        self.capacity = capacity

    def expected(self, rows: NDArray[np.int64], times_ms: Ints) -> tuple[Array32, Array32]:
        """What each component expects, and what nine samples of ten stay within of it.

        Returns
        -------
        two of float32, shape (components, n)
            Expected values and distances, >= 0, in the rows' units. A component that compares no value
            with an expected one (the joint rarity, the drifts) gives those of what it is built on.
        """
        levels, gate = self._levels, self._tails.gate[:, rows]
        mean = levels.mean[rows]
        day, week = (profile.expected(rows, times_ms, mean) for profile in (self._day, self._week))
        season_of_week = gate[3] < gate[2]
        season = np.where(season_of_week, week, day)
        old = levels.old(rows, self._age[rows])
        middle, reach = self._spikes.expected(rows, times_ms)
        expected = (
            mean, season, day, week, old, mean, mean, levels.last[rows], day, week, season,
            middle,
        )  # fmt: skip
        near = np.where(season_of_week, gate[3], gate[2])
        sizes = (
            gate[0], near, gate[2], gate[3], gate[4] + gate[0], gate[0], gate[0], gate[7],
            gate[2], gate[3], near, reach,
        )  # fmt: skip
        return np.stack(expected), np.stack(sizes)

    def views(self, rows: NDArray[np.int64], times_ms: Ints) -> tuple[Array32, Array32]:
        """`expected` of the running mean, this time of day and this hour of the week alone, shapes (3, n)."""
        mean = self._levels.mean[rows]
        day, week = (p.expected(rows, times_ms, mean) for p in (self._day, self._week))
        gates = self._tails.gate
        return np.stack((mean, day, week)), np.stack(
            (gates[0, rows], gates[2, rows], gates[3, rows])
        )

    def ages(self, rows: NDArray[np.int64]) -> Array32:
        """Samples learnt of each row."""
        return np.asarray(self._age[rows])

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for _, array in self._parts())

    def _holders(self) -> list[tuple[Any, str, str]]:
        """Who holds which array under which attribute, and the array's name."""
        parts: dict[str, Any] = {
            "levels": self._levels, "day": self._day, "week": self._week, "joint": self._joint,
            "tails": self._tails, "combination": self._combination, "alarms": self._alarms,
            "spikes": self._spikes, "spread": self._spread,
        }  # fmt: skip
        found: list[tuple[Any, str, str]] = [
            (self, "_age", "age"), (self, "_drift", "drift"), (self, "_last", "last"),
        ]  # fmt: skip
        for name, part in parts.items():
            for field in part.arrays():
                inner, _, attribute = field.rpartition(".")
                found.append(
                    (getattr(part, inner) if inner else part, attribute, f"{name}.{field}")
                )
        return found

    def _parts(self) -> list[tuple[str, NDArray[Any]]]:
        return [(name, getattr(holder, field)) for holder, field, name in self._holders()]

    def _shared(self) -> list[tuple[str, NDArray[Any]]]:
        """What belongs to rows, and what all of them share."""
        return [*self._parts(), ("calibration.counts", self.calibration.counts)]

    def arrays(self, length: int | None = None) -> dict[str, NDArray[Any]]:
        """State by name, of the first `length` rows (all)."""
        found = {"calibration.counts": self.calibration.counts}
        for name, array in self._parts():
            found[name] = array[(slice(None),) * row_axes()[name] + (slice(0, length),)]
        return found

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `arrays` gave; the capacity becomes as many rows.

        Raises
        ------
        SnapshotError
            If one is missing or of another shape; nothing has changed then.
        """
        age = arrays.get("age")
        made = FullTier(0 if age is None else len(age))
        for mine, saved in _matched(made._shared(), arrays):
            mine[...] = saved
        self.__dict__.update(made.__dict__)

    def save(self) -> bytes:
        """Everything learnt, checksummed; `load` of the same version reads it."""
        return pack(dict(self._shared()), {"kind": _KIND, "capacity": self.capacity})

    def load(self, data: bytes) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If it is damaged, of another version, or of another capacity; nothing has changed then.
        """
        arrays, state = unpack(data)
        if not isinstance(state, dict) or state.get("kind") != _KIND:
            raise SnapshotError("full tier snapshot: not one, or of another version")
        matched = _matched(self._shared(), arrays)
        later = [(name, mine) for name, mine in self._parts() if name not in arrays]
        empty = dict(FullTier(1)._parts())
        for mine, saved in matched:
            mine[...] = saved
        for name, mine in later:
            mine[...] = empty[name]


def _matched(
    parts: list[tuple[str, NDArray[Any]]], arrays: Mapping[str, NDArray[Any]]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Arrays and what is saved of them; what older versions did not keep may be missing."""
    found = []
    for name, mine in parts:
        saved = arrays.get(name)
        if saved is None and name.startswith(_LATER):
            continue
        if saved is None or saved.shape != mine.shape or saved.dtype != mine.dtype:
            raise SnapshotError(f"full tier snapshot: array {name} is missing or misshapen")
        found.append((mine, saved))
    return found


@cache
def row_axes() -> dict[str, int]:
    """Which axis of each array counts rows."""
    one, two = FullTier(1)._parts(), FullTier(2)._parts()
    return {
        name: next(i for i in range(a.ndim) if a.shape[i] != b.shape[i])
        for (name, a), (_, b) in zip(one, two, strict=True)
    }


def _place(rows: NDArray[np.int64]) -> At:
    """Rows as a slice where they are neighbours: a view costs nothing."""
    if len(rows) == 0:
        return slice(0, 0)
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and (rows[1:] - rows[:-1] == 1).all():
        return slice(first, last + 1)
    return rows
