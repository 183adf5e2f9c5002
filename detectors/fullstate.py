"""The full tier with its members: places, bars, memory; and all of it kept over restarts."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.full.calibration import Calibration
from detectors.full.tier import FullTier
from detectors.judge import Judge
from detectors.knowledge import Knowledge
from detectors.ranges import Ranges
from detectors.rows import Array
from detectors.tiers import Members
from detectors.unusual import Usual
from model.batch import Ints

_WEEK_MS = 7 * 86_400_000.0
WIDE = 2.0  # times what nine samples of ten stay within is a view's band
HAIR = 1e-4  # of a value is never a difference
_YOUNG = 35.0  # samples: three scores of a tier that tells
_BLOCK = 8_192
_FIRST = 256  # places to begin with
_SUSPECTED = 1e-3  # of all samples are looked at twice, and may begin something
_LEAST_SCORE = 7.0  # of those; a young calibration knows no better
_WATCHED_MS = (
    8_640_000.0  # a tenth of a day, before anything is told that is to be rarer than once a day
)
_BELIEVED = 1.5  # decades beyond what a series' own samples can show


class FullState:
    """Holds the tier's arrays, who has which place in them, and what is known of each place.

    Attributes
    ----------
    tier : FullTier
        As many rows as there are places.
    ranges : Ranges
        Extremes and bars by place.
    members : Members
        Rows to places.
    lasting : Calibration
        How often three scores in a row keep to how much, over all members.
    suspicious : float
        A score above which a sample is looked at twice.
    """

    def __init__(self, judge: Judge, knowledge: Knowledge) -> None:
        self._judge = judge
        self.tier, self.ranges, self.lasting = FullTier(0), Ranges(), Calibration()
        self.suspicious = _LEAST_SCORE
        each = FullTier(256).nbytes / 256 + self.ranges.row_bytes
        self.members = Members(judge, knowledge, int(judge.settings.full_memory_bytes / each))

    def move(self, now_ms: int) -> Array:
        """Let series out and in, and set the bars anew; the rows that left."""
        moves = self.members.move(now_ms)
        self.begin_anew(self.members.unseat(moves.leave))
        if len(moves.enter):
            self._room(len(self.members) + len(moves.enter))
            places = self.members.free(self.tier.capacity)[: len(moves.enter)]
            self.members.seat(moves.enter[: len(places)], places, now_ms)
            self.ranges.rows["since_ms"][places] = now_ms
        self._set_bars()
        return moves.leave

    def _room(self, wanted: int) -> None:
        """Have so many places: memory is taken as it is needed, half as much again, at most a block."""
        if wanted > self.tier.capacity:
            more = min(self.tier.capacity * 3 // 2, self.tier.capacity + _BLOCK)
            more = max(_FIRST, wanted, more)
            self.tier.grow(min(more, self.members.places_max))
            self.ranges.rows.ensure(self.tier.capacity)

    def _set_bars(self) -> None:
        """What three scores in a row must keep to, for each member.

        The budget of pages of a service is shared by its series, and by the samples that each has in a week.
        What a series' own samples cannot show is believed for a few decades only: the young must be rarer.
        """
        self.suspicious = max(self.tier.calibration.threshold(_SUSPECTED), _LEAST_SCORE)
        rows = self.members.by_slot["row"]
        slots = np.flatnonzero(rows >= 0)
        if not len(slots):
            return
        interval_ms = np.maximum(self._judge.known.interval_ms(rows[slots]), 1.0)
        samples = self.members.sizes(slots) * _WEEK_MS / interval_ms
        wanted = np.log10(np.maximum(samples / self._judge.settings.pages_per_service_week, 10.0))
        age = np.maximum(self.tier.ages(slots), 1.0)
        wanted += np.maximum(wanted - _BELIEVED - np.log10(age), 0.0)
        if self._judge.heeded:
            wanted += [self._judge.leniency(row).decades for row in rows[slots].tolist()]
        decades, scores = self.lasting.decades()
        bar = np.maximum(np.interp(wanted, decades, scores), self.suspicious)
        self.ranges.rows["bar"][slots] = np.where(age * interval_ms >= _WATCHED_MS, bar, np.inf)

    def begin_anew(self, slots: Array) -> None:
        """Forget what was learnt of these places (-1: none)."""
        slots = slots[slots >= 0].astype(np.int64)
        if len(slots):
            self.tier.forget(slots)
            self.ranges.rows.clear(slots)

    def usual(self, slots: Array, times_ms: Ints) -> Usual:
        """What these places usually are at these times."""
        expected, sizes = self.tier.views(slots, times_ms)
        views = expected.astype(np.float64)
        half = WIDE * sizes + HAIR * np.abs(views)
        rows = self.ranges.rows
        return Usual(
            low=rows["low"][slots].astype(np.float64),
            high=rows["high"][slots].astype(np.float64),
            expected_low=views.min(axis=0),
            expected_high=views.max(axis=0),
            band_low=(views - half).min(axis=0),
            band_high=(views + half).max(axis=0),
            watched_ms=times_ms - rows["since_ms"][slots],
        )

    def calibrate(self, slots: Array, lasting: Array) -> None:
        """Count scores that lasted, of rows that are no longer young."""
        old = self.tier.ages(slots) > _YOUNG
        self.lasting.learn(lasting[old])

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self.tier.nbytes + self.ranges.nbytes + self.members.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        used = np.flatnonzero(self.members.by_slot["row"] >= 0)
        length = int(used[-1]) + 1 if len(used) else 0
        arrays, members = self.members.save(length)
        arrays.update({f"tier.{name}": array for name, array in self.tier.arrays(length).items()})
        arrays.update(self.ranges.rows.save("ranges", length))
        arrays["lasting.counts"] = self.lasting.counts
        return arrays, {**members, "suspicious": self.suspicious}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If the tier's components are not those that were saved; nothing has changed then.
        """
        names = [name for name in arrays if name.startswith("tier.")]
        self.tier.restore({name.removeprefix("tier."): arrays[name] for name in names})
        self.members.load(arrays, state)
        self.ranges.rows.load("ranges", arrays)
        self.lasting.counts[:] = arrays["lasting.counts"]
        self.suspicious = state["suspicious"]
        if self.tier.capacity > self.members.places_max:
            self._shrink()

    def _shrink(self) -> None:
        """The budget is smaller than it was: who matters most stays."""
        kept = self.members.best(self.members.places_max)
        calibration, ranges = self.tier.calibration, Ranges()
        self.tier = self.tier.part(kept)
        self.tier.calibration = calibration
        ranges.rows.ensure(len(kept))
        for name in ranges.rows.names:
            ranges.rows[name][: len(kept)] = self.ranges.rows[name][kept]
        self.ranges = ranges
        self.members.reseat(kept)
