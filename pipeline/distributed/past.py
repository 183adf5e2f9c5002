"""Back-fill between workers: who scrapes asks a Prometheus for the past and sends it, who detects learns from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from collectors.backfill import Backfill
from detectors.engine import Engine
from model.batch import LogBatch, MetricBatch, Rows
from model.series import SeriesIndex
from pipeline.distributed.blocks import pack_labels
from pipeline.distributed.shards import Splitter, owner, shard
from pipeline.distributed.wire import Past, Samples


class Teaching:
    """Lessons as messages, cut by partition.

    Which series are cold is not known here: whoever detects leaves alone what is warm.
    """

    def __init__(
        self, backfill: Backfill, index: SeriesIndex, splitter: Splitter, partitions: int
    ) -> None:
        self.backfill = backfill
        self._index = index
        self._splitter = splitter
        self._partitions = partitions

    @property
    def learning(self) -> bool:
        """Whether there is a past to be sent."""
        return self.backfill.learning

    def hold(
        self, batches: Sequence[MetricBatch | LogBatch], now_ms: int
    ) -> list[list[MetricBatch | LogBatch]]:
        """Keep back the samples of targets that learn; what may be sent now, in rounds, oldest first."""
        return self.backfill.hold(batches, now_ms)

    def next(self, now_ms: int) -> list[tuple[int, Past]] | None:
        """The next step through the past, with the partition of each message; None while there is none."""
        lesson = self.backfill.next_lesson(now_ms)
        if lesson is None:
            return None
        found: list[tuple[int, Past]] = []
        if lesson.batch is not None:
            for one in self._by_source(lesson.batch):
                for number, samples in self._splitter.split(one):
                    assert isinstance(samples, Samples)
                    found.append((number, Past(samples, coarse=lesson.coarse)))
        if lesson.renew is not None:
            found += self._renewed(lesson.renew)
        if lesson.ends:
            found += [(number, Past(ends=True)) for number in range(self._partitions)]
        return found

    def _by_source(self, batch: MetricBatch) -> Iterator[MetricBatch]:
        """Each series under the name of its own target, as its live samples will come."""
        sources = np.array([self._index.source(row) for row in batch.rows.tolist()])
        for source in np.unique(sources).tolist():
            mine = sources == source
            yield MetricBatch(
                batch.rows[mine],
                batch.times_ms[mine],
                batch.values[mine],
                batch.arrival_ms,
                str(source),
            )

    def _renewed(self, rows: Rows) -> Iterator[tuple[int, Past]]:
        labels = [self._index.labels(row) for row in rows.tolist() if self._index.in_use(row)]
        for number in range(self._partitions):
            mine = [one for one in labels if shard(owner(one), self._partitions) == number]
            if mine:
                yield number, Past(renew=pack_labels(mine))


class Learning:
    """What a partition's detectors learn of the past.

    Parameters
    ----------
    batch_of
        Samples with the rows that they have here.
    rows_of
        The rows of a block of label sets that are known here.
    """

    def __init__(
        self,
        engine: Engine,
        index: SeriesIndex,
        batch_of: Callable[[Samples], MetricBatch],
        rows_of: Callable[[bytes], Rows],
    ) -> None:
        self._engine = engine
        self._batch_of = batch_of
        self._rows_of = rows_of
        self._cold: set[int] = set()
        self._warm: set[int] = set()
        index.on_evict(self._forget)

    def take(self, message: Past, now_ms: int) -> None:
        """One step: learnt, and nobody is told."""
        if message.samples is not None:
            batch = self._batch_of(message.samples)
            kept = np.isin(batch.rows, self._admitted(np.unique(batch.rows)))
            learnt = MetricBatch(
                batch.rows[kept],
                batch.times_ms[kept],
                batch.values[kept],
                batch.arrival_ms,
                batch.source,
            )
            self._engine.learn(learnt, now_ms=now_ms, coarse=message.coarse)
        if message.renew:
            rows = self._rows_of(message.renew)
            self._engine.renew(rows[np.isin(rows, sorted(self._cold))])
        if message.ends:
            self._engine.learnt()
            self._cold, self._warm = set(), set()

    def _admitted(self, rows: Rows) -> list[int]:
        """Those that were cold when the past came to them."""
        fresh = np.array(
            [row for row in rows.tolist() if row not in self._cold and row not in self._warm],
            dtype=np.int32,
        )
        if len(fresh):
            cold = self._engine.cold(fresh)
            self._cold.update(fresh[cold].tolist())
            self._warm.update(fresh[~cold].tolist())
        return sorted(self._cold)

    def _forget(self, rows: Rows) -> None:
        self._cold.difference_update(rows.tolist())
        self._warm.difference_update(rows.tolist())

    def save(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"cold": sorted(self._cold), "warm": sorted(self._warm)}

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of `save`; {} for nothing."""
        self._cold = set(map(int, state.get("cold", ())))
        self._warm = set(map(int, state.get("warm", ())))
