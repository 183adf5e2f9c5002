"""Which partition a series or a log line belongs to, and batches cut accordingly.

Everything of one service goes to one partition, because the detectors look at a service as a whole:
its rates are sums over its instances, its silence is that none of them reports.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from detectors.metricside import kind_of
from detectors.owners import owner_of
from model.batch import LogBatch, MetricBatch, Rows
from model.labels import Labels
from model.series import NAME, SeriesIndex
from pipeline.distributed.blocks import pack_labels
from pipeline.distributed.wire import Lines, Samples

BLOCKS_MAX = 10_000
SAMPLES_PER_MESSAGE = 5_000
LINES_PER_MESSAGE = 500


def shard(service: str, partitions: int) -> int:
    """The partition of a service: the same on every machine and in every release.

    Examples
    --------
    >>> shard("payment", 8), shard("", 8)
    (5, 0)
    """
    return zlib.crc32(service.encode("utf-8", "surrogatepass")) % partitions


def owner(labels: Labels) -> str:
    """By whom a series is placed: its service, else its instance."""
    return owner_of(labels)


class Splitter:
    """Cuts batches by partition; label blocks are made once for each cut of a scrape."""

    def __init__(self, index: SeriesIndex, partitions: int) -> None:
        self._index = index
        self._partitions = partitions
        self._shards = np.zeros(0, dtype=np.int16)
        self._blocks: OrderedDict[bytes, tuple[bytes, dict[str, str]]] = OrderedDict()
        index.on_evict(self._forget)

    def split(self, batch: MetricBatch | LogBatch) -> Iterator[tuple[int, Samples | Lines]]:
        """Each message with its partition; order within a partition is the batch's."""
        return self._lines(batch) if isinstance(batch, LogBatch) else self._samples(batch)

    def _samples(self, batch: MetricBatch) -> Iterator[tuple[int, Samples]]:
        kept = np.flatnonzero(batch.rows >= 0)  # the others were refused by a limit
        shards = self._shards_of(batch.rows[kept])
        for number in np.unique(shards).tolist():
            mine = kept[shards == number]
            for begin in range(0, len(mine), SAMPLES_PER_MESSAGE):
                at = mine[begin : begin + SAMPLES_PER_MESSAGE]
                block, kinds = self._block(batch.rows[at])
                yield (
                    number,
                    Samples(
                        block,
                        batch.times_ms[at],
                        batch.values[at],
                        batch.arrival_ms,
                        batch.source,
                        kinds,
                        {
                            n: batch.notes[row]
                            for n, row in enumerate(batch.rows[at].tolist() if batch.notes else [])
                            if row in batch.notes
                        },
                    ),
                )

    def _shards_of(self, rows: Rows) -> Rows:
        if self._index.capacity > len(self._shards):
            grown = np.full(2 * self._index.capacity, -1, dtype=np.int16)
            grown[: len(self._shards)] = self._shards
            self._shards = grown
        for row in np.unique(rows[self._shards[rows] < 0]).tolist():
            self._shards[row] = shard(owner(self._index.labels(row)), self._partitions)
        return self._shards[rows].astype(np.int32)

    def _block(self, rows: Rows) -> tuple[bytes, dict[str, str]]:
        key = rows.tobytes()
        known = self._blocks.get(key)
        if known is None:
            labels = [self._index.labels(row) for row in rows.tolist()]
            names = sorted({one.get(NAME, "") for one in labels})
            found = {name: kind for name in names if (kind := self._kind(name)) != "unknown"}
            known = pack_labels(labels), found
            while len(self._blocks) >= BLOCKS_MAX:
                self._blocks.popitem(last=False)
            self._blocks[key] = known
        return known

    def _kind(self, name: str) -> str:
        return kind_of(self._index, name)

    def _lines(self, batch: LogBatch) -> Iterator[tuple[int, Lines]]:
        parts = [shard(service, self._partitions) for service in batch.services]
        for number in sorted(set(parts)):
            mine = [n for n, part in enumerate(parts) if part == number]
            for begin in range(0, len(mine), LINES_PER_MESSAGE):
                at = mine[begin : begin + LINES_PER_MESSAGE]
                yield (
                    number,
                    Lines(
                        batch.times_ms[at],
                        batch.severities[at],
                        tuple(batch.services[n] for n in at),
                        tuple(batch.lines[n] for n in at),
                        tuple(batch.fields[n] for n in at) if batch.fields else (),
                        batch.arrival_ms,
                        batch.source,
                    ),
                )

    def _forget(self, rows: Rows) -> None:
        self._shards[rows[rows < len(self._shards)]] = -1
        self._blocks.clear()
