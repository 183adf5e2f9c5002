"""Our own metrics: the counters that the components keep, exported by prometheus-client.

Each package lists its metrics in `<package>/metrics.py` as `METRICS: {name: (kind, help)}`; a
component's `counters()` gives the values. So no component knows the exporter, and
`tests/test_docs.py` can see every name.
"""

from __future__ import annotations

import re
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
    "tocsin_history_rows_pruned_total": ("counter", "Rows older than the retention, deleted."),
    "tocsin_kafka_messages_total": ("counter", "Messages that a stage has taken, by stage."),
    "tocsin_kafka_repeated_total": ("counter", "Messages passed over because they were known."),
    "tocsin_kafka_set_aside_total": ("counter", "Messages put into the dead letter topic."),
    "tocsin_kafka_read_again_total": (
        "counter",
        "Times that a partition was read again because nothing came of it.",
    ),
    "tocsin_kafka_gaps_total": ("counter", "Times that messages were gone before they were read."),
    "tocsin_kafka_partitions": ("gauge", "Partitions that this worker holds, by stage."),
    "tocsin_kafka_behind_seconds": ("gauge", "How far the slowest partition is behind, by stage."),
    "tocsin_kafka_time_ahead_seconds": (
        "gauge",
        "How far the time that workers go by is ahead of this machine's clock: one of them is wrong.",
    ),
    "tocsin_kafka_stage_restarts_total": ("counter", "Times that a stage began again, by stage."),
    "tocsin_kafka_sent_total": ("counter", "Messages of telemetry that a broker has taken."),
    "tocsin_kafka_sent_bytes_total": ("counter", "Their bytes."),
    "tocsin_kafka_waiting_bytes": ("gauge", "Telemetry that waits for a broker."),
    "tocsin_kafka_dropped_total": ("counter", "Messages dropped because too much waited."),
    "tocsin_kafka_send_failures_total": ("counter", "Times that no broker took a message."),
    "tocsin_acting": ("gauge", "1 where this worker performs tickets and pages now."),
    "tocsin_pulling": ("gauge", "1 where this worker scrapes, probes and polls now."),
    "tocsin_kafka_newer_total": (
        "counter",
        "Messages of a newer release that were passed over, by stage.",
    ),
    "tocsin_incidents_active": ("gauge", "Incidents open or acknowledged now."),
}


class _Bridge(Collector):
    """Turns `counters()` into metric families at the moment of a scrape."""

    def __init__(self, metrics: Mapping[str, tuple[str, str]]) -> None:
        self.metrics = metrics
        self.sources: list[Counters] = []

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for name, value in add_up(self.sources).items():
            base, labels = split_name(name)
            if base not in families:
                kind, text = self.metrics.get(base, ("gauge", base))
                family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
                families[base] = family(base.removesuffix("_total"), text)
            families[base].add_sample(base, labels, value)
        return list(families.values())


def add_up(sources: Iterable[Counters]) -> dict[str, float]:
    """All values by name, sorted; the same name from two sources adds up."""
    values: dict[str, float] = {}
    for source in sources:
        for name, value in source().items():
            values[name] = values.get(name, 0.0) + value
    return dict(sorted(values.items()))


_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

_ESCAPE = re.compile(r"\\(.)")


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """Take `name{label="value"}` apart.

    Examples
    --------
    >>> split_name('tocsin_x_total{kind="a"}')
    ('tocsin_x_total', {'kind': 'a'})
    """
    base, _, rest = name.partition("{")
    return base, {label: _ESCAPE.sub(_unescape, value) for label, value in _LABEL.findall(rest)}


def _unescape(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


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
        return add_up(self._bridge.sources)


class _Constant(Collector):
    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self.metric]
