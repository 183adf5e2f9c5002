"""Tocsin's own metrics, read from its registry: it watches itself without asking itself over HTTP."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from collectors.base import Counters, Problems
from collectors.exposition import Format
from collectors.layout import Layout
from collectors.patience import Patience
from collectors.settings import SelfSettings
from model.batch import STALE_NAN, LogBatch, MetricBatch
from model.reason import because
from model.series import SeriesIndex


class SelfMetrics:
    """A registry as a collector; its series carry `job="tocsin"` and `service="tocsin"`.

    Examples
    --------
    >>> from prometheus_client import Gauge
    >>> registry = CollectorRegistry()
    >>> Gauge("tocsin_answer", "of all", registry=registry).set(42)
    >>> batch, = SelfMetrics(SelfSettings(), SeriesIndex(), registry).poll(0)
    >>> batch.values.tolist()
    [42.0]
    """

    def __init__(
        self,
        settings: SelfSettings,
        index: SeriesIndex,
        registry: CollectorRegistry,
        *,
        instance: str = "self",
    ) -> None:
        self.settings = settings
        self._index = index
        self._registry = registry
        self.problems = Problems()
        target = {"job": "tocsin", "service": "tocsin", "instance": instance}
        # The text goes through the same reader as any target's: one set of rules for all metrics.
        self._layout = Layout(index, source="self", target=target)
        self._beat = Patience(max(1, settings.interval_ms))
        self._failed = 0
        index.on_evict(self._layout.forget)

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """One batch when the interval has passed, else nothing."""
        if not self.settings.enabled or not self._beat.due(now_ms):
            return []
        self._beat.begin(now_ms)
        try:
            body = generate_latest(self._registry)
        except Exception as error:  # a collector of the registry may raise anything
            self._failed += 1
            why = because("own metrics cannot be read: {error}", error=type(error).__name__)
            self.problems.note("self", "scrape", why, now_ms=now_ms)
            return []
        self.problems.mend("self", "scrape")
        scraped = self._layout.read(body, Format.TEXT, now_ms=now_ms)
        ended = [STALE_NAN] * len(scraped.gone)
        rows = [*scraped.rows.tolist(), *scraped.gone.tolist()]
        values = [*scraped.values.tolist(), *ended]
        batch = MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms, source="self")
        self._index.touch(batch.rows, now_ms)
        return [batch] if len(batch) else []

    def counters(self) -> Counters:
        """Running totals."""
        return {"tocsin_self_errors_total": self._failed}
