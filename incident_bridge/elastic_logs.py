"""Log lines into an Elasticsearch, beside the pipeline: a bounded queue, and a thread that writes.

Log lines are many and nobody's only copy, so they wait in memory: the oldest are dropped and counted where the
server does not keep up. Names are derived, so that lines that are read again after a crash are the same
documents.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence

from incident_bridge.elastic_bulk import ElasticBulk, ElasticWriter
from incident_bridge.elastic_documents import Document, log_document
from incident_bridge.elastic_settings import ElasticSinkSettings, LogKeeping
from incident_bridge.elastic_setup import logs_plan
from model.batch import LogBatch, MetricBatch
from model.clock import Clock

TEMPLATES_MAX = 50_000
_LINE_BYTES = 200  # beside its text
_HOUR_MS = 3_600_000


class ElasticLogs(ElasticWriter):
    """Takes batches from the pipeline's thread, writes in its own.

    Parameters
    ----------
    report
        Told once of each new trouble, of what was left out, and when it is over.
    """

    def __init__(
        self,
        settings: ElasticSinkSettings,
        clock: Clock,
        *,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        bulk = ElasticBulk(settings, logs_plan(settings), clock, report)
        super().__init__("elasticsearch-logs", bulk, settings.interval_ms)
        self.settings = settings
        self.dropped = self.waiting = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._queue: deque[LogBatch] = deque()
        self._pending: list[Document] = []
        self._shown: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def take(self, batches: Sequence[MetricBatch | LogBatch]) -> None:
        """Let the log lines among them be written; returns at once."""
        for batch in batches:
            if isinstance(batch, LogBatch) and len(batch):
                self._put(batch)

    def counters(self) -> dict[str, float]:
        """Running totals."""
        return {
            "tocsin_elasticsearch_logs_total": self.bulk.documents,
            "tocsin_elasticsearch_logs_refused_total": self.bulk.refused,
            "tocsin_elasticsearch_logs_failures_total": self.bulk.failures,
            "tocsin_elasticsearch_logs_dropped_total": self.dropped,
            "tocsin_elasticsearch_logs_waiting": self.waiting,
        }

    def round(self) -> bool:
        """Write some lines; True if more wait.

        Raises
        ------
        DeliveryError
            If the server does not take them: they are tried again by the next round.
        """
        while len(self._pending) < self.settings.batch_max and (batch := self._next()) is not None:
            self._pending += self._documents(batch)
        for begin in range(0, len(self._pending), self.settings.batch_max):
            self.bulk.send(self._pending[begin : begin + self.settings.batch_max])
        self._pending = []
        return bool(self._queue)

    def _put(self, batch: LogBatch) -> None:
        with self._lock:
            self._queue.append(batch)
            self._bytes += _size(batch)
            self.waiting += len(batch)
            while len(self._queue) > 1 and self._bytes > self.settings.logs_queue_bytes_max:
                gone = self._queue.popleft()
                self._bytes -= _size(gone)
                self.waiting -= len(gone)
                self.dropped += len(gone)

    def _next(self) -> LogBatch | None:
        with self._lock:
            if not self._queue:
                return None
            batch = self._queue.popleft()
            self._bytes -= _size(batch)
            self.waiting -= len(batch)
            return batch

    def _documents(self, batch: LogBatch) -> list[Document]:
        same: Counter[tuple[int, str, str]] = Counter()
        found = []
        for at in range(len(batch)):
            key = int(batch.times_ms[at]), batch.services[at], batch.lines[at]
            again, same[key] = same[key], same[key] + 1
            if self._wanted(batch, at):
                space = self.settings.namespace
                found.append(log_document(batch, at, again=again, namespace=space))
        return found

    def _wanted(self, batch: LogBatch, at: int) -> bool:
        if self.settings.logs is LogKeeping.ALL:
            return True
        # By the line's own time: read again after a crash, the same lines are examples.
        hour = int(batch.times_ms[at]) // _HOUR_MS
        template = batch.template_texts.get(int(batch.templates[at]), "")
        key = f"{batch.services[at]}\0{template}"
        known_hour, count = self._shown.pop(key, (hour, 0))
        count = count if known_hour == hour else 0
        self._shown[key] = hour, count + 1
        if len(self._shown) > TEMPLATES_MAX:
            self._shown.popitem(last=False)
        return count < self.settings.logs_examples


def _size(batch: LogBatch) -> int:
    return sum(map(len, batch.lines)) + _LINE_BYTES * len(batch)
