"""Evenly spaced means of some series' samples: one ring each, whose buckets widen until a rhythm shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.rows import Array, RowArrays
from model.batch import Floats, Ints

LENGTH = 512  # buckets
NARROWEST_MS = 5_000


class Rings:
    """The last `LENGTH` buckets of each place; buckets are numbered from the epoch, by their width.

    A late sample is dropped, a bucket without one is NaN.
    """

    def __init__(self) -> None:
        self.rows = RowArrays(
            {"width_ms": (np.int64, NARROWEST_MS), "open": (np.int64, -1), "total": (np.float64, 0.0),
             "count": (np.int32, 0), "filled": (np.int32, 0), "since": (np.int32, 0)}
        )  # fmt: skip
        self.values = RowArrays({"mean": (np.float32, np.nan)}, tail=(LENGTH,))

    def ensure(self, capacity: int) -> None:
        """Have room for so many places."""
        self.rows.ensure(capacity)
        self.values.ensure(capacity)

    def begin(self, places: Array, interval_ms: Floats) -> None:
        """Empty rings, with buckets of one sample."""
        self.rows.clear(places)
        self.values.clear(places)
        self.rows["width_ms"][places] = np.maximum(
            NARROWEST_MS, np.rint(interval_ms / 1000.0) * 1000
        )

    def take(self, places: Array, times_ms: Ints, values: Floats) -> Array:
        """Samples, each place once; the places of which a bucket closed, it being the last but the open one."""
        rows = self.rows
        bucket = times_ms // rows["width_ms"][places]
        before = rows["open"][places]
        good = (bucket >= before) & np.isfinite(values)
        places, bucket, before, values = places[good], bucket[good], before[good], values[good]
        closes = (bucket > before) & (before >= 0)
        self._close(places[closes], before[closes], bucket[closes])
        new = bucket > before
        rows["total"][places[new]] = rows["count"][places[new]] = 0
        rows["open"][places[new]] = bucket[new]
        rows["total"][places] += np.clip(values, -1e30, 1e30)
        rows["count"][places] += 1
        return places[closes]

    def _close(self, places: Array, before: Ints, bucket: Ints) -> None:
        rows, ring = self.rows, self.values["mean"]
        mean = rows["total"][places] / np.maximum(rows["count"][places], 1)
        ring[places, before % LENGTH] = mean
        for at in np.flatnonzero(bucket - before > 1).tolist():
            last = min(int(bucket[at]), int(before[at]) + 1 + LENGTH)
            ring[places[at], np.arange(int(before[at]) + 1, last) % LENGTH] = np.nan
        passed = np.minimum(bucket - before, LENGTH).astype(np.int32)
        rows["filled"][places] = np.minimum(rows["filled"][places] + passed, LENGTH)
        rows["since"][places] = np.minimum(rows["since"][places] + passed, 1 << 30)

    def last(self, place: int, count: int) -> tuple[int, Floats]:
        """The number of the first and the values of the last `count` closed buckets, or of as many as there are."""
        open_ = int(self.rows["open"][place])
        count = min(count, int(self.rows["filled"][place]))
        at = np.arange(open_ - count, open_)
        return open_ - count, self.values["mean"][place, at % LENGTH].astype(np.float64)

    def widen(self, place: int) -> None:
        """Twice as wide buckets, half as many of them."""
        first, values = self.last(place, LENGTH)
        if first % 2:
            first, values = first + 1, values[1:]
        rest = values[len(values) - len(values) % 2 :]
        pairs = values[: len(values) - len(rest)].reshape(-1, 2)
        good = np.isfinite(pairs)
        total = np.where(good, pairs, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore"):
            halved = total / good.sum(axis=1)
        rows, ring = self.rows, self.values["mean"]
        begin = first // 2
        rows["width_ms"][place] *= 2
        rows["open"][place] //= 2
        rows["filled"][place] = len(halved)
        if len(rest) and np.isfinite(rest[0]):  # the other half of the bucket that is open
            rows["total"][place] += rest[0]
            rows["count"][place] += 1
        ring[place] = np.nan
        ring[place, np.arange(begin, begin + len(halved)) % LENGTH] = halved

    def drop_before(self, place: int, bucket: int) -> None:
        """Forget what is older than this bucket."""
        kept = max(int(self.rows["open"][place]) - bucket, 0)
        self.rows["filled"][place] = min(int(self.rows["filled"][place]), kept)
        self.rows["since"][place] = self.rows["filled"][place]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.rows.nbytes + self.values.nbytes

    def save(self, length: int) -> dict[str, Array]:
        """The first places' arrays by name."""
        return {**self.rows.save("rings", length), **self.values.save("ring", length)}

    def load(self, arrays: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self.rows.load("rings", arrays)
        self.values.load("ring", arrays)
