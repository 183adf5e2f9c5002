"""When a profile is read wrongly: a holiday looks like another day, after daylight saving all is an hour off."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_RECENT = np.float32(1 / 3)  # a slot's weight in how well readings fit lately
_LONG = np.float32(1 / 100)  # and in how well the plain one usually does
_WORSE = 2.5  # times as badly as usual the plain reading must fit before another is thought of
_BETTER = 0.4  # of its misfit is the most another may have
_STILL = 0.7  # and the most it may have to stay
_CLIP = np.float32(4.0)


class Phases:
    """Which reading of a profile has fitted each row in the last slots: the plain one, or a shifted one.

    Judged once a slot, by the slot's mean against what each reading expected when the slot began, so that what
    is learnt within it counts for none. A shift is taken only if the plain reading fits two and a half times
    as badly as it does usually and the other one fits well (an outage fits no other day), and not in the first
    fortnight.

    Parameters
    ----------
    shifts : tuple of int
        In slots: how much later the profile is read than the clock says.
    slots, fortnight : int
        Of the profile; and of two weeks, before which every day of the week was met but once.
    """

    def __init__(
        self, capacity: int, *, shifts: tuple[int, ...], slots: int, fortnight: int
    ) -> None:
        self._fortnight = np.float32(fortnight)
        self._shifts = np.array((0, *shifts), dtype=np.int64)
        self._slots = slots
        readings = len(self._shifts)
        # What the last slots expected before they were learnt: an hour later, that is what is asked for.
        self.past = np.full((max(-min(shifts), 1), capacity), np.nan, dtype=np.float32)
        self.entered = np.full((readings, capacity), np.nan, dtype=np.float32)
        self.misfit = np.full((readings, capacity), np.inf, dtype=np.float32)
        self.usual = np.zeros(capacity, dtype=np.float32)
        self.judged = np.zeros(capacity, dtype=np.float32)
        self.total = np.zeros(capacity, dtype=np.float32)
        self.count = np.zeros(capacity, dtype=np.float32)
        self.slot = np.full(capacity, -1, dtype=np.int16)
        self.choice = np.zeros(capacity, dtype=np.int8)

    def step(
        self, at: At, rows: NDArray[np.int64], slot: int | NDArray[np.int64], table: Array32
    ) -> NDArray[np.int8]:
        """Which reading holds for each row; the slot that was left is judged. To be called before `table` learns."""
        moved = np.not_equal(self.slot[at], slot)
        if moved.any():
            self._turn(rows[moved], np.broadcast_to(slot, rows.shape)[moved], table)
        return np.asarray(self.choice[at])

    def learn(self, at: At, values: Array32) -> None:
        """Count the samples to their slots."""
        self.total[at] += values
        self.count[at] += np.float32(1.0)

    def read(self, rows: NDArray[np.int64], choice: NDArray[np.int8]) -> Array32:
        """What the chosen readings expect in this slot."""
        return np.asarray(self.entered[choice, rows])

    def _turn(self, rows: NDArray[np.int64], slot: NDArray[np.int64], table: Array32) -> None:
        count = self.count[rows]
        mean = self.total[rows] / np.maximum(count, np.float32(1.0))
        error = np.abs(mean - self.entered[:, rows])
        known = np.isfinite(error) & (count > 0.0)
        misfit = self.misfit[:, rows]
        begun = np.isfinite(misfit)
        misfit = np.where(begun, misfit, error)
        with np.errstate(invalid="ignore"):
            misfit = np.where(known, misfit + _RECENT * (error - misfit), np.float32(np.inf))
        self.misfit[:, rows] = misfit
        self.choice[rows] = self._chosen(rows, misfit)
        usual = self.usual[rows]
        plain = np.where(known[0], error[0], usual)
        learnt = np.minimum(plain, np.where(usual > 0.0, _CLIP * usual, plain))
        rate = np.where(usual > 0.0, _LONG, np.float32(1.0))
        self.judged[rows] = np.minimum(self.judged[rows] + known[0], self._fortnight)
        self.usual[rows] = usual + rate * (learnt - usual)
        self._enter(rows, slot, table)
        self.total[rows] = self.count[rows] = 0.0
        self.slot[rows] = slot

    def _enter(self, rows: NDArray[np.int64], slot: NDArray[np.int64], table: Array32) -> None:
        past = self.past[:, rows]
        past = np.concatenate((self.entered[:1, rows], past[:-1]))
        next_one = (slot - self.slot[rows]) % self._slots == 1
        expects = table[(slot + self._shifts[:, None]) % self._slots, rows]
        for reading, shift in enumerate(self._shifts.tolist()):
            if -len(past) <= shift < 0:
                expects[reading] = np.where(next_one, past[-shift - 1], expects[reading])
        self.past[:, rows] = past
        self.entered[:, rows] = expects

    def _chosen(self, rows: NDArray[np.int64], misfit: Array32) -> NDArray[np.int8]:
        plain = misfit[0]
        best = np.argmin(misfit[1:], axis=0) + 1
        columns = np.arange(len(rows))
        before = self.choice[rows].astype(np.int64)
        keep = (before > 0) & (misfit[before, columns] < _STILL * plain)
        sure = np.isfinite(plain) & (plain > _WORSE * self.usual[rows]) & (self.usual[rows] > 0.0)
        sure &= self.judged[rows] >= self._fortnight
        take = sure & (misfit[best, columns] < _BETTER * plain)
        return np.where(take, best, np.where(keep, before, 0)).astype(np.int8)

    def is_other_day(self, choice: NDArray[np.int8], day: int) -> NDArray[np.bool_]:
        """Whether readings are those of another day, `day` slots or more away."""
        return np.asarray(np.abs(self._shifts)[choice] >= day)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        names = ("past", "entered", "misfit", "usual", "judged", "total", "count", "slot", "choice")
        return {name: getattr(self, name) for name in names}
