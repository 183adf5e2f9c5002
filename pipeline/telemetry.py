"""Our own metrics: the counters that the components keep, exported by prometheus-client.

Each package lists its metrics in `<package>/metrics.py` as `METRICS: {name: (kind, help)}`; a
component's `counters()` gives the values. So no component knows the exporter, and
`tests/test_docs.py` can see every name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

Counters = Callable[[], Mapping[str, float]]

METRICS: dict[str, tuple[str, str]] = {
    "tocsin_build_info": ("gauge", "Version of this Tocsin, in its label; always 1."),
    "tocsin_steps_total": ("counter", "Steps of the pipeline."),
    "tocsin_step_seconds": ("gauge", "How long the last step took."),
    "tocsin_step_seconds_max": ("gauge", "The longest step of the last ten minutes."),
    "tocsin_step_lag_seconds": ("gauge", "How late the last step began."),
    "tocsin_journal_lag_entries": ("gauge", "Accepted pushes that no step has taken yet."),
    "tocsin_journal_entries_total": ("counter", "Pushes accepted since the journal began."),
    "tocsin_journal_poisoned_total": ("counter", "Journal entries that could not be used."),
    "tocsin_commit_failures_total": ("counter", "Transactions that the store refused."),
    "tocsin_checkpoints_total": ("counter", "Snapshots written."),
    "tocsin_checkpoint_timestamp_seconds": ("gauge", "When the last snapshot was written."),
    "tocsin_checkpoints_damaged_total": ("counter", "Snapshots that were found damaged."),
    "tocsin_series": ("gauge", "Series known now."),
    "tocsin_series_max": ("gauge", "Series allowed (the setting series_max)."),
    "tocsin_series_refused_total": ("counter", "New series that a limit refused."),
    "tocsin_reloads_total": ("counter", "Reloads of the configuration that succeeded."),
    "tocsin_reload_failures_total": ("counter", "Reloads refused; the old configuration stayed."),
    "tocsin_config_last_reload_successful": ("gauge", "1 if the last (re)load was taken over."),
    "tocsin_outbox_pending": ("gauge", "Actions that wait to be done."),
    "tocsin_outbox_dead": ("gauge", "Actions given up, waiting for a person."),
    "tocsin_incidents_active": ("gauge", "Incidents open or acknowledged now."),
}


class _Bridge(Collector):
    """Turns `counters()` into metric families at the moment of a scrape."""

    def __init__(self, metrics: Mapping[str, tuple[str, str]]) -> None:
        self.metrics = metrics
        self.sources: list[Counters] = []

    def collect(self) -> Iterable[Metric]:
        values: dict[str, float] = {}
        for source in self.sources:
            for name, value in source().items():
                values[name] = values.get(name, 0.0) + value
        for name, value in sorted(values.items()):
            kind, text = self.metrics.get(name, ("gauge", name))
            if kind == "counter":
                yield CounterMetricFamily(name.removesuffix("_total"), text, value=value)
            else:
                yield GaugeMetricFamily(name, text, value=value)


class Telemetry:
    """The registry behind /metrics, also scraped by ourselves."""

    def __init__(self, metrics: Mapping[str, tuple[str, str]], *, version: str) -> None:
        self.registry = CollectorRegistry()
        self._bridge = _Bridge({**METRICS, **metrics})
        self.registry.register(self._bridge)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        build = GaugeMetricFamily(
            "tocsin_build_info", METRICS["tocsin_build_info"][1], labels=["version"]
        )
        build.add_metric([version], 1)
        self.registry.register(_Constant(build))

    def add(self, source: Counters) -> None:
        """Export what `source()` gives, name by name; the same name from two sources adds up."""
        self._bridge.sources.append(source)

    def exposition(self) -> bytes:
        """The text format of /metrics."""
        return generate_latest(self.registry)

    def values(self) -> dict[str, float]:
        """All counters by name, for the console's health page."""
        found: dict[str, float] = {}
        for source in self._bridge.sources:
            for name, value in source().items():
                found[name] = found.get(name, 0.0) + value
        return dict(sorted(found.items()))


class _Constant(Collector):
    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self.metric]
