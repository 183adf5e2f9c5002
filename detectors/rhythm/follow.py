"""Found rhythms by place: sought, tried on cycles they did not come from, known, lost, given up; tells nobody."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from detectors.rhythm.periods import CYCLES, find
from detectors.rhythm.rings import LENGTH, Rings
from detectors.rhythm.shape import PARTS, Shape, fitted
from detectors.rows import Array, RowArrays
from model.batch import Floats

PROOF = (
    0.35  # of the variance must be explained; noise of any colour passes once in a hundred looks
)
PROOF_NEW = 0.5  # where a few cycles are all there is
_STILL = 0.15  # below it a rhythm is no longer one
_TRIAL = 3  # cycles that a found period must foretell
_TRIAL_LEAST = 0.5  # is the least strength of each of them
_FIRST_LOOKS = (128, 256)  # buckets of a new ring at which it is looked at early
_LOOK = 384  # and of any
_SPAN_MS = 4 * 86_400_000  # what is slower has profiles of its own
_REFIT = LENGTH // 8
_NEW_LEAST = 48  # buckets since it was lost


class Stage(IntEnum):
    """How far a place has come."""

    SOUGHT = 0
    TRIED = 1
    KNOWN = 2


class Follow:
    """Rings with what is known of their rhythms; arrays over places."""

    def __init__(self) -> None:
        self.rings = Rings()
        self.rows = RowArrays(
            {"stage": (np.int8, 0), "period": (np.float64, 0.0), "anchor": (np.int64, 0), "proof": (np.float32, 0.0),
             "steady": (np.float32, 0.0), "reach": (np.float32, 0.0), "most": (np.float32, 0.0), "parts": (np.int16, 0),
             "began": (np.int64, 0), "fitted": (np.int64, 0), "lost": (np.int64, -1), "cycles": (np.int32, 0)}
        )  # fmt: skip
        self.means = RowArrays({"mean": (np.float32, 0.0)}, tail=(PARTS,))

    def ensure(self, capacity: int) -> None:
        """Have room for so many places."""
        self.rings.ensure(capacity)
        self.rows.ensure(capacity)
        self.means.ensure(capacity)

    def begin(self, places: Array, interval_ms: Floats) -> None:
        """New series."""
        self.rows.clear(places)
        self.rings.begin(places, interval_ms)

    def shape(self, place: int) -> Shape:
        """The cycle that is known."""
        rows = self.rows
        return Shape(
            float(rows["period"][place]), int(rows["anchor"][place]), float(rows["proof"][place]),
            float(rows["steady"][place]), float(rows["reach"][place]), float(rows["most"][place]),
            self.means["mean"][place, : rows["parts"][place]].astype(np.float64),
        )  # fmt: skip

    def period_ms(self, place: int) -> int:
        """Of the rhythm that is known."""
        return round(float(self.rows["period"][place]) * int(self.rings.rows["width_ms"][place]))

    def strength(self, place: int) -> float | None:
        """How strongly the rhythm shows in what just closed; None where that says nothing."""
        shape = self.shape(place)
        first, values = self.rings.last(place, shape.needed())
        if len(values) < shape.needed():
            return None
        strength, judged = shape.strength(values, first)
        return float(strength[-1]) if judged[-1] else None

    def cycle(self, place: int) -> int:
        """The number of the cycle in which the last closed bucket lies, since the rhythm was fitted."""
        open_, anchor = int(self.rings.rows["open"][place]), int(self.rows["anchor"][place])
        return int((open_ - 1 - anchor) / float(self.rows["period"][place]))

    def due(self, places: Array) -> Array:
        """Places of which a bucket has closed that are to be looked at."""
        rows, rings = self.rows, self.rings.rows
        stage, filled, since = (
            rows["stage"][places],
            rings["filled"][places],
            rings["since"][places],
        )
        early = ((since == filled) & np.isin(filled, _FIRST_LOOKS)) | (filled == _LOOK)
        sought = (stage == Stage.SOUGHT) & (early | (filled >= LENGTH))
        passed = rings["open"][places] - rows["fitted"][places]
        tried = (stage == Stage.TRIED) & (passed >= _TRIAL * rows["period"][places])
        lost = rows["lost"][places]
        wait = np.maximum(rows["period"][places], _REFIT)
        known = (stage == Stage.KNOWN) & (lost < 0) & (passed >= wait)
        gone = rings["open"][places] - lost
        changed = (stage == Stage.KNOWN) & (lost >= 0) & (gone >= _NEW_LEAST) & (since % 8 == 0)
        return np.asarray(places[sought | tried | known | changed])

    def look(self, place: int) -> bool:
        """Whether the place is of use: not where all widths of buckets were looked at in vain."""
        stage = Stage(int(self.rows["stage"][place]))
        if stage is Stage.SOUGHT:
            return self._seek(place)
        if stage is Stage.TRIED:
            self._try(place)
        elif self.rows["lost"][place] < 0:
            self._refit(place)
        return True

    def _seek(self, place: int) -> bool:
        first, values = self.rings.last(place, LENGTH)
        found = find(values, PROOF)
        if found is not None and self._take(place, fitted(values, first, found.buckets)):
            self.rows["stage"][place] = Stage.TRIED
            return True
        if len(values) < LENGTH:
            return True
        if LENGTH * int(self.rings.rows["width_ms"][place]) >= _SPAN_MS:
            return False
        self.rings.widen(place)
        return True

    def _try(self, place: int) -> None:
        """A period was found: does its cycle foretell the next ones?"""
        shape = self.shape(place)
        count = round(_TRIAL * shape.period)
        first, values = self.rings.last(place, count + round(shape.period) + shape.window)
        strength, judged = shape.strength(values, first)
        judged[:-count] = False
        holds = bool(judged.any()) and float(strength[judged].min()) >= _TRIAL_LEAST
        if holds and _foretold(shape, values, first, count) >= PROOF and self._refit(place):
            self.rows["stage"][place] = Stage.KNOWN
            self.rows["began"][place] = self.rings.rows["open"][place]
        else:
            self.rows["stage"][place] = Stage.SOUGHT

    def _refit(self, place: int) -> bool:
        """Learn the last cycles; whether it still is a rhythm."""
        first, values = self.rings.last(place, LENGTH)
        shape = fitted(values, first, float(self.rows["period"][place]))
        if shape is not None and shape.proof >= _STILL and self._take(place, shape):
            return True
        self.rows["stage"][place] = Stage.SOUGHT
        return False

    def _take(self, place: int, shape: Shape | None) -> bool:
        if shape is None or shape.most <= 0.0:
            return False
        rows = self.rows
        for name in ("period", "anchor", "proof", "steady", "reach", "most"):
            rows[name][place] = getattr(shape, name)
        rows["parts"][place] = len(shape.mean)
        self.means["mean"][place, : len(shape.mean)] = shape.mean
        rows["fitted"][place] = self.rings.rows["open"][place]
        rows["cycles"][place] = int(self.rings.rows["filled"][place] / shape.period)
        return True

    def changed(self, place: int) -> bool:
        """Whether a lost rhythm has given way to another one, which is then tried."""
        lost, open_ = int(self.rows["lost"][place]), int(self.rings.rows["open"][place])
        first, values = self.rings.last(place, open_ - lost)
        found = find(values, PROOF_NEW)
        if found is None or len(values) < CYCLES * found.buckets:
            return False
        if abs(found.buckets / float(self.rows["period"][place]) - 1.0) < 0.03:
            return False
        self.rings.drop_before(place, lost)
        if not self._take(place, fitted(values, first, found.buckets)):
            return False
        self.rows["stage"][place], self.rows["lost"][place] = Stage.TRIED, -1
        return True

    def returned(self, place: int) -> None:
        """What was lost is there again: in its absence all was as expected, so that nothing of it is learnt."""
        open_, lost = int(self.rings.rows["open"][place]), int(self.rows["lost"][place])
        first, _, expects = self.expected(place, min(open_ - lost, LENGTH))
        until = open_ - first - round(1.5 * float(self.rows["period"][place]))
        at = np.arange(max(until, 0))
        self.rings.values["mean"][place, (first + at) % LENGTH] = expects[: len(at)]
        self.rows["lost"][place] = -1

    def anew(self, place: int) -> None:
        """What was lost is not missed any more: only what came since counts."""
        self.rings.drop_before(place, int(self.rows["lost"][place]))
        self.rows["stage"][place], self.rows["lost"][place] = Stage.SOUGHT, -1

    def expected(self, place: int, count: int) -> tuple[int, Floats, Floats]:
        """The last buckets: the first one's number, their values, and what the rhythm expects of them."""
        shape = self.shape(place)
        length = round(shape.period)
        first, values = self.rings.last(place, count + length)
        # Of before it was lost, where that is known: without its beats the level is another one.
        until = int(self.rows["lost"][place]) - first
        level = values[max(until - length, 0) : until] if until > length // 2 else values[-length:]
        buckets = first + np.arange(len(values))
        usual = float(np.nanmean(level)) if np.isfinite(level).any() else 0.0
        return int(buckets[-count:][0]), values[-count:], (usual + shape.expects(buckets))[-count:]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.rings.nbytes + self.rows.nbytes + self.means.nbytes

    def save(self, length: int) -> dict[str, Array]:
        """The first places' arrays by name."""
        return {
            **self.rings.save(length), **self.rows.save("follow", length), **self.means.save("means", length)
        }  # fmt: skip

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `save` gave."""
        self.rings.load(arrays)
        self.rows.load("follow", arrays)
        self.means.load("means", arrays)


def _foretold(shape: Shape, values: Floats, first: int, count: int) -> float:
    """The share of the variance of the last `count` values that the cycle explains, less their level."""
    length = round(shape.period)
    good = np.isfinite(values)
    total = np.concatenate(([0.0], np.cumsum(np.where(good, values, 0.0))))
    number = np.concatenate(([0], np.cumsum(good)))
    at = np.arange(len(values) - count, len(values))
    begin = np.maximum(at + 1 - length, 0)
    level = (total[at + 1] - total[begin]) / np.maximum(number[at + 1] - number[begin], 1)
    # As where the period was found: one wild sample is no argument.
    flat = values[at] - level
    flat = flat[np.isfinite(flat)]
    bound = np.sort(np.abs(flat))[-_TRIAL] if len(flat) > _TRIAL else np.inf
    expects = shape.expects(first + at)[np.isfinite(values[at])]
    error = np.clip(flat, -bound, bound) - expects
    return float(1.0 - np.dot(error, error) / max(float(np.dot(flat, flat)), 1e-300))
