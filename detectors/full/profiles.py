"""What is usual at this hour: time-of-day and hour-of-week profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.phases import Phases
from detectors.full.rounds import cell_of, slot_of
from detectors.full.tails import Array32, At

_RATE = 0.04
_FORTNIGHT_MS = 14 * 86_400_000


class Profiles:
    """A mean per slot of a period.

    A slot that was never seen expects what the caller says. A slot learns the newest sample by 12 %.

    Parameters
    ----------
    period_ms, slots : int
        A day in 48, a week in 168.
    shifts : tuple of int
        Readings to try where the plain one fails for hours, in slots: see `Phases`.
    other_day : int
        Slots; what is read as far away or further is another day, from which the profile learns nothing.
    """

    def __init__(
        self, capacity: int, *, period_ms: int, slots: int, shifts: tuple[int, ...], other_day: int
    ) -> None:
        self.period_ms, self.slots = period_ms, slots
        self._other_day = other_day
        fortnight = _FORTNIGHT_MS * slots // period_ms
        self.phases = Phases(capacity, shifts=shifts, slots=slots, fortnight=fortnight)
        self.table = np.full((slots, capacity), np.nan, dtype=np.float32)

    def look(
        self,
        at: At,
        rows: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        values: Array32,
        otherwise: Array32,
        age: Array32,
    ) -> Array32:
        """Values less what was expected; learns them."""
        slot = slot_of(times_ms, self.period_ms, self.slots)
        choice = self.phases.step(at, rows, slot, self.table)
        self.phases.learn(at, values)
        table, place = self.table.reshape(-1), cell_of(at, rows, slot, self.table.shape[1])
        known = table[place]
        fresh = np.isnan(known)
        some = fresh.any()
        if some:
            known = np.where(fresh, otherwise, known)
        error = values - known
        rate = np.maximum(np.float32(_RATE), 1.0 / (1.0 + age / np.float32(self.slots)))
        if some:
            rate = np.where(fresh, np.float32(1.0), rate)
        shown = error
        if choice.any():
            shown, rate = self._shifted(rows, choice, values, error, rate)
        table[place] = known + rate * error
        return shown

    def _shifted(
        self,
        rows: NDArray[np.int64],
        choice: NDArray[np.int8],
        values: Array32,
        error: Array32,
        rate: Array32,
    ) -> tuple[Array32, Array32]:
        """Errors and rates where another reading holds: a holiday is no lesson for the weekday it falls on."""
        other = values - self.phases.read(rows, choice)
        holiday = self.phases.is_other_day(choice, self._other_day)
        return (
            np.where((choice > 0) & np.isfinite(other), other, error),
            np.where(holiday, np.float32(0.0), rate),
        )

    def expected(
        self, rows: NDArray[np.int64], times_ms: NDArray[np.int64], otherwise: Array32
    ) -> Array32:
        """What is usual at that time; what the caller says where that was never seen."""
        slot = slot_of(times_ms, self.period_ms, self.slots)
        known = self.table[slot, rows]
        choice = self.phases.choice[rows]
        now = (choice > 0) & (slot == self.phases.slot[rows])
        known = np.where(now, self.phases.read(rows, choice), known)
        return np.asarray(np.where(np.isnan(known), otherwise, known))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        inner = {f"phases.{name}": array for name, array in self.phases.arrays().items()}
        return {"table": self.table, **inner}
