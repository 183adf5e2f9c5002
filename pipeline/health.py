"""How the pipeline itself fares, as the console and /-/ready show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from collectors.backfill import Backfill
from collectors.base import Collector
from collectors.elastic_poll import ElasticPoll
from collectors.host import HostCollector
from collectors.kafka_read import KafkaRead
from collectors.probe import Prober
from collectors.prometheus_poll import PrometheusPoll
from collectors.pushed import Pushed
from collectors.scrape import Scraper
from collectors.self_metrics import SelfMetrics
from collectors.syslog import SyslogIntake
from collectors.tail import LogTail
from collectors.zabbix_poll import ZabbixPoll
from console.ports import Checkpoint, Component, Health, SourceHealth
from model.action import ActionState
from model.reason import because, gettext
from store import outbox as outbox_rows

if TYPE_CHECKING:
    from pipeline.runtime import Runtime

_COLLECTORS: dict[type, str] = {
    Scraper: gettext("scrape targets"),
    Prober: gettext("probes"),
    Pushed: gettext("pushed telemetry"),
    LogTail: gettext("log files"),
    SyslogIntake: gettext("syslog"),
    ElasticPoll: gettext("log lines of an Elasticsearch"),
    ZabbixPoll: gettext("problems of a Zabbix"),
    KafkaRead: gettext("topics of a Kafka"),
    HostCollector: gettext("this machine"),
    SelfMetrics: gettext("Tocsin itself"),
    PrometheusPoll: gettext("series of a Prometheus"),
    Backfill: gettext("the past from a Prometheus"),
}
STUCK_AFTER_MS = 30_000  # a loop that made no step for so long is not well


def assess(runtime: Runtime) -> Health:
    """Look at every part once."""
    now_ms = runtime.clock.now_ms()
    loop = runtime.parts.embedded
    with runtime.store.records.read() as conn:
        dead = outbox_rows.counts(conn, simulated=False).get(ActionState.DEAD, 0)
    return Health(
        ready=loop.ready and now_ms - loop.last_step_ms < STUCK_AFTER_MS,
        version=runtime.version,
        uptime_ms=now_ms - runtime.started_ms,
        lag_ms=max(0, now_ms - loop.last_step_ms) if loop.last_step_ms else 0,
        journal_last=runtime.store.journal.last(),
        journal_committed=runtime.parts.core.offset,
        components=(_loop(runtime, now_ms), _store(runtime), _outbox(dead), _series(runtime)),
        sources=tuple(sources_of(runtime.parts.collectors)),
        checkpoints=tuple(_checkpoints(runtime)),
        counters=tuple(runtime.telemetry.values().items()),
        dead_letters=dead,
    )


def _loop(runtime: Runtime, now_ms: int) -> Component:
    idle_ms = now_ms - runtime.parts.embedded.last_step_ms
    if idle_ms < STUCK_AFTER_MS:
        return Component("pipeline", True)
    said = because("no step for {seconds} s", seconds=idle_ms // 1000)
    return Component("pipeline", False, said)


def _store(runtime: Runtime) -> Component:
    if runtime.parts.embedded.failing_since_ms is None:
        return Component("store", True)
    return Component(
        "store", False, because("the database refuses writes; pushes are answered 503")
    )


def _outbox(dead: int) -> Component:
    if not dead:
        return Component("outbox", True)
    return Component("outbox", False, because("{count} actions were given up", count=dead))


def _series(runtime: Runtime) -> Component:
    refused = runtime.parts.index.refused
    if not refused:
        return Component("series", True)
    said = because("{count} new series were refused: a limit is reached", count=refused)
    return Component("series", False, said)


def sources_of(collectors: Iterable[Collector]) -> list[SourceHealth]:
    """Each collector that is well, and each source of the others that is not."""
    found = []
    for collector in collectors:
        problems = collector.problems.all()
        if not problems:
            name = _COLLECTORS.get(type(collector), type(collector).__name__)
            found.append(SourceHealth(name, "collector", True))
        for problem in problems:
            found.append(
                SourceHealth(
                    problem.source,
                    problem.kind,
                    False,
                    problem.since_ms,
                    problem.count,
                    problem.reason,
                )
            )
    return found


def _checkpoints(runtime: Runtime) -> list[Checkpoint]:
    kept = runtime.checkpoints
    return [Checkpoint(path.name, saved_ms, size) for path, saved_ms, size in kept.listed()] + (
        [Checkpoint("damaged", None, ok=False)] if kept.damaged else []
    )
