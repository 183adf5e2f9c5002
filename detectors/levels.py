"""The past of many levels in three resolutions: minutes for hours, ten minutes for days, hours for weeks."""

from __future__ import annotations

import numpy as np

from detectors.rows import Array
from detectors.trend import median
from model.batch import Floats, Ints

WIDTHS_MS = (60_000, 600_000, 3_600_000)
SIZES = (120, 288, 672)  # two hours, two days, four weeks
_OF = (1, 10, 6)  # how many of the finer make one


class Levels:
    """Rings of one mean (and one peak) a minute, one median of them in ten minutes, one in an hour.

    A track is a number from 0 that the caller gives. A missed bucket is NaN.

    Examples
    --------
    >>> levels = Levels()
    >>> levels.ensure(1)
    >>> for minute, value in enumerate((0.5, 0.6, 0.7)):
    ...     closed = levels.add(np.array([0]), np.array([60_000 * minute]), np.array([value]))
    >>> levels.window(0, np.array([0]), 3)[0].round(1).tolist()
    [[nan, 0.5, 0.6]]
    """

    def __init__(self) -> None:
        self._tracks = 0
        self._arrays: dict[str, Array] = {}
        self._make(0)

    def _make(self, tracks: int) -> None:
        old, self._arrays = self._arrays, {}
        for level, size in enumerate(SIZES):
            for name in ("mean", "peak"):
                full = np.full((tracks, size), np.nan, dtype=np.float32)
                self._arrays[f"{name}{level}"] = full
            self._arrays[f"closed{level}"] = np.full(tracks, -1, dtype=np.int64)
        self._arrays["open"] = np.full(tracks, -1, dtype=np.int64)
        self._arrays["sum"] = np.zeros(tracks)
        self._arrays["count"] = np.zeros(tracks, dtype=np.int64)
        self._arrays["top"] = np.full(tracks, -np.inf)
        self._arrays["first"] = np.full(tracks, -1, dtype=np.int64)
        for name, array in old.items():
            kept = min(len(array), tracks)
            self._arrays[name][:kept] = array[:kept]
        self._tracks = tracks

    def ensure(self, tracks: int) -> None:
        """Have room for so many tracks."""
        if tracks > self._tracks:
            self._make(max(8, tracks, self._tracks * 3 // 2))

    def add(self, tracks: Ints, times_ms: Ints, values: Floats) -> tuple[Ints, Ints, Ints]:
        """Take one sample of each of some tracks; which of them closed a minute, ten minutes, an hour."""
        arrays = self._arrays
        bucket = times_ms // WIDTHS_MS[0]
        fresh = bucket >= arrays["open"][tracks]
        tracks, bucket, values = tracks[fresh], bucket[fresh], values[fresh]
        turned = bucket > arrays["open"][tracks]
        full = turned & (arrays["count"][tracks] > 0)
        closed = self._close(tracks[full], bucket[full])
        new = tracks[turned]
        arrays["open"][new] = bucket[turned]
        arrays["sum"][new], arrays["count"][new], arrays["top"][new] = 0.0, 0, -np.inf
        unborn = tracks[arrays["first"][tracks] < 0]
        arrays["first"][unborn] = arrays["open"][unborn]
        arrays["sum"][tracks] += values
        arrays["count"][tracks] += 1
        arrays["top"][tracks] = np.maximum(arrays["top"][tracks], values)
        return closed

    def _close(self, tracks: Ints, following: Ints) -> tuple[Ints, Ints, Ints]:
        """Close the open minutes, and whatever ends with them before the bucket `following` begins."""
        arrays = self._arrays
        bucket = arrays["open"][tracks]
        mean = arrays["sum"][tracks] / np.maximum(arrays["count"][tracks], 1)
        self._put(0, tracks, bucket, mean, arrays["top"][tracks])
        closed = [tracks]
        for level in (1, 2):
            of = _OF[level]
            ended = bucket // of < following // of
            tracks, bucket, following = tracks[ended], bucket[ended] // of, following[ended] // of
            if len(tracks):
                parts = bucket[:, None] * of + np.arange(of)
                known = parts <= arrays[f"closed{level - 1}"][tracks][:, None]
                at = parts % SIZES[level - 1]
                means = np.where(known, arrays[f"mean{level - 1}"][tracks[:, None], at], np.nan)
                peaks = np.where(known, arrays[f"peak{level - 1}"][tracks[:, None], at], np.nan)
                top = np.nan_to_num(peaks, nan=-np.inf).max(axis=1)
                top = np.where(np.isfinite(top), top, np.nan)
                self._put(level, tracks, bucket, median(means), top)
            closed.append(tracks)
        return closed[0], closed[1], closed[2]

    def _put(self, level: int, tracks: Ints, bucket: Ints, mean: Floats, peak: Floats) -> None:
        size, last = SIZES[level], self._arrays[f"closed{level}"]
        means, peaks = self._arrays[f"mean{level}"], self._arrays[f"peak{level}"]
        missed = np.where(last[tracks] >= 0, bucket - last[tracks] - 1, 0)
        for at in np.flatnonzero(missed > 0).tolist():
            gap = np.arange(max(int(last[tracks[at]]) + 1, int(bucket[at]) - size), int(bucket[at]))
            means[tracks[at], gap % size] = peaks[tracks[at], gap % size] = np.nan
        means[tracks, bucket % size], peaks[tracks, bucket % size] = mean, peak
        last[tracks] = bucket

    def window(self, level: int, tracks: Ints, count: int) -> tuple[Floats, Floats]:
        """The last `count` means and peaks, shape (n_tracks, count), oldest first, NaN where unknown."""
        last = self._arrays[f"closed{level}"][tracks]
        at = (last[:, None] - count + 1 + np.arange(count)) % SIZES[level]
        means = self._arrays[f"mean{level}"][tracks[:, None], at].astype(np.float64)
        peaks = self._arrays[f"peak{level}"][tracks[:, None], at].astype(np.float64)
        return means, peaks

    def end_ms(self, level: int, tracks: Ints) -> Ints:
        """When the last closed bucket ended."""
        ended: Ints = (self._arrays[f"closed{level}"][tracks] + 1) * WIDTHS_MS[level]
        return ended

    def age_ms(self, tracks: Ints) -> Ints:
        """From the first sample's minute to the last's."""
        age: Ints = (self._arrays["open"][tracks] - self._arrays["first"][tracks]) * WIDTHS_MS[0]
        return age

    def forget(self, tracks: Ints) -> None:
        """These numbers go to other tracks."""
        for name, array in self._arrays.items():
            if name.startswith(("mean", "peak")):
                array[tracks] = np.nan
            elif name in ("sum", "count"):
                array[tracks] = 0
            else:
                array[tracks] = -np.inf if name == "top" else -1

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self._arrays.values())

    def save(self, tracks: int) -> dict[str, Array]:
        """The first `tracks` of each array."""
        return {name: array[:tracks] for name, array in self._arrays.items()}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `save` gave."""
        self._arrays, self._tracks = {}, 0
        self._make(0)
        count = len(arrays["open"])
        self._make(count)
        for name, own in self._arrays.items():
            if arrays[name].shape != own.shape:
                raise ValueError(f"levels: {name} has the shape {arrays[name].shape}")
            own[:] = arrays[name]
