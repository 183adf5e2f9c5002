"""What is normal: an adaptive level with trend, spread and time of day, learnt from normal samples only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.roles import ROLES
from detectors.rows import Array, RowArrays
from model.batch import Bools, Floats, Ints

MEMORY = 300.0  # samples: five minutes at 1 s, a day at 5 min
SLOW_MEMORY = 10.0 * MEMORY  # the slow level learns ten times slower
TREND = 0.02  # share of the level's step that becomes trend
TREND_AFTER = 20  # samples
DAMPED = 0.98  # a trend fades rather than run away (Gardner & McKenzie)
# One wild sample must not widen the band for the next: it is learnt as one so many spreads and so much
# of the level away, but for the first samples, which say how wide a spread is.
CLIP_SPREAD = 5.0
CLIP_LEVEL = 0.02
UNCLIPPED = 10
YOUNG = 10  # samples after which the spread is learnt fast, and nothing is judged yet
SPREAD_TO_SIGMA = 1.2533  # mean absolute deviation to standard deviation of a normal distribution
_SLOTS = 48  # half hours of a day
_SLOT_MS = 1_800_000
_DAY_MS = 86_400_000

_WIDTH = np.array([role.width for role in ROLES])
_RELATIVE = np.array([role.relative for role in ROLES])
_FLOOR = np.array([role.floor for role in ROLES])
_AT_LEAST = np.array([role.at_least for role in ROLES])
_UP = np.array([role.up for role in ROLES])
_DOWN = np.array([role.down for role in ROLES])
_WARM_UP_MS = np.array([role.warm_up_ms for role in ROLES])


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """How samples compare with what was expected; arrays of shape (n_rows,).

    `score` is in robust standard deviations, signed; `outside` says that a sample left the band
    in a direction that matters; `warm` that the row was seen long enough to be judged.
    """

    low: Floats
    high: Floats
    score: Floats
    outside: Bools
    warm: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What is known of rows, as in `Baselines`; float64, shape (n_rows,)."""

    level: Floats
    slow: Floats
    trend: Floats
    spread: Floats
    count: Floats


class Baselines:
    """Levels of many rows.

    Expected is a damped Holt level (double exponential smoothing), with a time-of-day offset once a day
    was seen, held within one band's width of a ten times slower level: what creeps in is not normal
    either. Nothing is learnt where the caller says so (anomalous or firing rows): a long outage stays one.
    """

    def __init__(self, *, sensitivity: float, warm_up_ms: int, warm_up_samples: int) -> None:
        self._sensitivity = sensitivity
        self._warm_up_ms = warm_up_ms
        self._warm_up_samples = warm_up_samples
        self.rows = RowArrays(
            {
                "level": (np.float64, 0.0),
                "slow": (np.float64, 0.0),
                "trend": (np.float64, 0.0),
                "spread": (np.float64, 0.0),
                "count": (np.int32, 0),
                "first_ms": (np.int64, 0),
                "season_slot": (np.int32, -1),
            }
        )
        self.widths = RowArrays({"width": (np.float32, 1.0)})  # from feedback; not saved
        self._season = np.zeros((0, _SLOTS), dtype=np.float32)
        self._season_rows = 0
        self._season_free: list[int] = []
        self.lenient = False

    def look(self, rows: Array, times_ms: Ints, values: Floats, roles: NDArray[np.int8]) -> Bands:
        """Compare samples with their bands; learns nothing. `roles` are numbers of `ROLES`."""
        state = self.rows
        season = self._offset(rows, times_ms)
        learnt = Learnt(
            *(state[name][rows] for name in ("level", "slow", "trend", "spread", "count"))
        )
        seen_ms = times_ms - state["first_ms"][rows]
        return self.compare(rows, learnt, seen_ms, values, roles, season)

    def compare(
        self,
        rows: Array,
        learnt: Learnt,
        seen_ms: Ints,
        values: Floats,
        roles: NDArray[np.int8],
        season: Floats | float = 0.0,
    ) -> Bands:
        """Compare samples with what was learnt, wherever that is kept."""
        count, slow = learnt.count, learnt.slow
        spread = learnt.spread * (SPREAD_TO_SIGMA / self._sensitivity)
        spread = spread * (1.0 + 10.0 / (count + 1.0))  # a young spread is an underestimate
        expected = learnt.level + learnt.trend
        half = np.maximum(_WIDTH[roles] * np.maximum(spread, 1e-300), _FLOOR[roles])
        half = np.maximum(half, _RELATIVE[roles] * np.abs(expected + season))
        if self.lenient:
            half = half * self.widths["width"][rows]
        # A metric of unknown meaning may go out slowly: of what is mostly zero the fast level and its spread fade
        # to nothing long before the slow one does, and zero would be a shift.
        out = np.where(roles > 0, slow, 0.0)
        centre = np.clip(expected, np.minimum(slow - half, out), np.maximum(slow + half, out))
        high = np.maximum(centre + half + season, _AT_LEAST[roles])
        low = centre - half + season
        low = np.where(roles > 0, np.maximum(low, 0.0), low)  # what has a role cannot be negative
        warm = (count >= self._warm_up_samples) & (
            seen_ms >= np.maximum(self._warm_up_ms, _WARM_UP_MS[roles])
        )
        outside = ((values > high) & _UP[roles]) | ((values < low) & _DOWN[roles])
        off = values - season - centre
        score = off / np.maximum(spread, 1e-9 * np.abs(centre) + 1e-12)
        return Bands(low, high, score, outside & warm, warm)

    def learn(self, rows: Array, times_ms: Ints, values: Floats) -> None:
        """Learn from samples; the caller leaves out what is abnormal."""
        state = self.rows
        count = state["count"][rows].astype(np.float64)
        fresh = count == 0
        state["first_ms"][rows[fresh]] = times_ms[fresh]
        season = self._offset(rows, times_ms)
        value = values - season
        level = np.where(fresh, value, state["level"][rows] + state["trend"][rows])
        spread = state["spread"][rows]
        error = value - level
        bound = CLIP_SPREAD * spread + CLIP_LEVEL * np.abs(level) + 1e-12
        bound = np.where(count < UNCLIPPED, np.inf, bound)
        error = np.clip(error, -bound, bound)
        rate = np.maximum(2.0 / (count + 2.0), 1.0 / MEMORY)
        step = rate * error
        state["level"][rows] = level + step
        trend = state["trend"][rows] + np.where(count < TREND_AFTER, 0.0, TREND * step)
        state["trend"][rows] = DAMPED * trend
        slow = np.where(fresh, value, state["slow"][rows])
        slow_rate = np.maximum(2.0 / (count + 2.0), 1.0 / SLOW_MEMORY)
        state["slow"][rows] = slow + slow_rate * np.clip(value - slow, -bound, bound)
        state["spread"][rows] = spread + np.where(fresh, 0.0, rate * (np.abs(error) - spread))
        state["count"][rows] = np.minimum(count + 1.0, 1e9).astype(np.int32)
        self._learn_season(rows, times_ms, values)

    def relearn(self, rows: Array) -> None:
        """Begin anew: what lasted long enough is the new normal."""
        season = self.rows["season_slot"][rows].copy()
        self.rows.clear(rows)
        self.rows["season_slot"][rows] = season
        self._season[season[season >= 0]] = 0.0

    def renew(self, rows: Array) -> None:
        """Samples come at other distances from here on: learn level and spread as a young row does.

        Of five minutes' means one cannot tell how far samples of 15 s spread. The time of day stays learnt.
        """
        self.rows["count"][rows] = np.minimum(self.rows["count"][rows], YOUNG)

    def watch_season(self, row: int) -> None:
        """Give a row a time-of-day profile."""
        if self.rows["season_slot"][row] >= 0:
            return
        if self._season_free:
            self.rows["season_slot"][row] = self._season_free.pop()
            return
        if self._season_rows == len(self._season):
            grown = np.zeros((max(16, 2 * len(self._season)), _SLOTS), dtype=np.float32)
            grown[: len(self._season)] = self._season
            self._season = grown
        self.rows["season_slot"][row] = self._season_rows
        self._season_rows += 1

    def _offset(self, rows: Array, times_ms: Ints) -> Floats:
        """The time-of-day offset of rows that have seen a day, else 0."""
        slot = self.rows["season_slot"][rows]
        offset = np.zeros(len(rows))
        if self._season_rows == 0:
            return offset
        grown_up = (slot >= 0) & (times_ms - self.rows["first_ms"][rows] >= _DAY_MS)
        grown_up &= self.rows["count"][rows] > 0
        if grown_up.any():
            at = times_ms[grown_up] % _DAY_MS // _SLOT_MS
            offset[grown_up] = self._season[slot[grown_up], at]
        return offset

    def _learn_season(self, rows: Array, times_ms: Ints, values: Floats) -> None:
        slot = self.rows["season_slot"][rows]
        if self._season_rows == 0 or not (slot >= 0).any():
            return
        has = slot >= 0
        slot, row, time_ms = slot[has], rows[has], times_ms[has]
        at = time_ms % _DAY_MS // _SLOT_MS
        old = self._season[slot, at]
        # A slot is half an hour: six samples of 5 min, 1,800 of 1 s. The level's own memory says how many.
        target = values[has] - self.rows["slow"][row]
        self._season[slot, at] = old + np.where(old == 0, 0.5, 0.05) * (target - old)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.rows.nbytes + self._season.nbytes

    def forget(self, rows: Array) -> None:
        """Clear rows that go to other series."""
        slots = self.rows["season_slot"][rows[rows < len(self.rows["season_slot"])]]
        slots = slots[slots >= 0]
        self._season[slots] = 0.0
        self._season_free += slots.tolist()
        self.rows.clear(rows)

    def save(self, length: int) -> dict[str, Array]:
        """Arrays by name."""
        return {
            **self.rows.save("baseline", length),
            "baseline.season": self._season[: self._season_rows],
            "baseline.season_free": np.array(self._season_free, dtype=np.int64),
        }

    def load(self, saved: dict[str, Array]) -> None:
        """Take over what `save` gave."""
        self.rows.load("baseline", saved)
        self._season = saved["baseline.season"]
        self._season_rows = len(self._season)
        self._season_free = saved["baseline.season_free"].tolist()
