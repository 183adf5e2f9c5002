"""Settings to running parts: the only place that constructs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from collectors import metrics as collectors_metrics
from collectors.accepting import Accepting
from collectors.backfill import Backfill
from collectors.base import Collector
from collectors.elastic_poll import ElasticPoll
from collectors.heartbeat import Heartbeats
from collectors.host import HostCollector
from collectors.kafka_formats import reader_of
from collectors.kafka_read import KafkaRead
from collectors.logbatches import LogBatches
from collectors.masking import Masking
from collectors.otlp_deltas import Deltas
from collectors.probe import Prober
from collectors.prometheus_poll import PrometheusPoll
from collectors.pushed import Door, Pushed, PushQueue
from collectors.scrape import Scraper
from collectors.self_metrics import SelfMetrics
from collectors.senders import Senders
from collectors.spans import SpanBook
from collectors.tail import LogTail
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from collectors.zabbix_poll import ZabbixPoll
from collectors.zabbix_settings import ZabbixSettings
from console import metrics as console_metrics
from console.i18n import translator
from correlator import metrics as correlator_metrics
from correlator.correlator import Correlator
from detectors import metrics as detectors_metrics
from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.metricside import worth_learning
from incident_bridge import metrics as bridge_metrics
from incident_bridge import notify, routing
from incident_bridge.bridge import Bridge
from incident_bridge.desks.base import Desk
from incident_bridge.desks.builtin import BuiltinDesk
from incident_bridge.desks.memory import MemoryDesk
from incident_bridge.desks.webhook import WebhookDesk
from incident_bridge.elastic_logs import ElasticLogs
from incident_bridge.elastic_settings import LogKeeping
from incident_bridge.elastic_sink import ElasticSink
from incident_bridge.kafka_events import KafkaEvents
from incident_bridge.outgoing import Outgoing
from incident_bridge.performer import Performer
from incident_bridge.settings import BridgeSettings, DeskKind, DeskSettings
from incident_bridge.zabbix_notes import ZabbixNotes
from model.batch import Bools, Rows
from model.clock import Clock
from model.series import SeriesIndex
from pipeline.core import Core, Memory
from pipeline.embedded import Saved
from pipeline.settings import Machine, Settings
from pipeline.telemetry import Telemetry
from runbooks.library import Library, shipped
from runbooks.library import load as load_runbooks
from store import metrics as store_metrics
from store import offsets as offset_rows
from store.store import Store

METRICS: dict[str, tuple[str, str]] = {
    **collectors_metrics.METRICS,
    **detectors_metrics.METRICS,
    **correlator_metrics.METRICS,
    **bridge_metrics.METRICS,
    **store_metrics.METRICS,
    **console_metrics.METRICS,
}


def open_store(settings: Settings, clock: Clock) -> Store:
    """The data folder and the databases in it."""
    settings.data.mkdir(parents=True, exist_ok=True)
    kept = settings.machine.store
    return Store.open(
        settings.store_url,
        journal_url=kept.journal_url or None,
        now_ms=clock.now_ms(),
        settings=kept,
    )


def build_index(machine: Machine) -> SeriesIndex:
    """The numbering of series that collectors and detectors share."""
    return SeriesIndex(machine.pipeline.series_max, machine.pipeline.series_per_source_max)


def build_knowledge(settings: Settings, *, simulated: bool = False) -> Knowledge:
    """What the detectors are to know of the catalogue and the objectives.

    A simulated past has a sample every few minutes: real budgets are not spent by it.
    """
    services = settings.catalogue.services
    return Knowledge(
        tiers={name: service.tier for name, service in services.items()},
        slos=() if simulated else settings.slos,
    )


def build_engine(settings: Settings, index: SeriesIndex, *, simulated: bool = False) -> Engine:
    """The detectors over one index."""
    knowledge = build_knowledge(settings, simulated=simulated)
    return Engine(settings.machine.detectors, index, settings.rules, knowledge)


def build_core(
    settings: Settings,
    store: Store,
    index: SeriesIndex,
    *,
    engine: Engine | None = None,
    simulated: bool = False,
    tells: bool = False,
    report: Callable[[str], None] = lambda _: None,
    journal: str = offset_rows.JOURNAL,
) -> Core:
    """The stages from a batch to an action: what the live loop, scenarios and backtests share.

    `tells`: whether the sources of alerts hear what becomes of them; a scenario's do not.
    """
    machine = settings.machine
    bridge = Bridge(
        machine.bridge,
        settings.catalogue,
        routing.build(settings.route),
        settings.sla,
        translator(machine.bridge.language),
        sources=frozenset(told_sources(machine)) if tells else frozenset(),
    )
    return Core(
        store=store,
        engine=engine or build_engine(settings, index, simulated=simulated),
        heartbeats=Heartbeats(machine.limits.heartbeats_max),
        correlator=Correlator(machine.correlator, settings.catalogue),
        bridge=bridge,
        memory=Memory(
            max(machine.correlator.remember_ms, machine.correlator.reopen_window_ms),
            machine.bridge.keep_closed_ms,
        ),
        simulated=simulated,
        report=report,
        journal=journal,
    )


def build_desks(bridge: BridgeSettings, store: Store, clock: Clock) -> dict[str, Desk]:
    """The desks that routes may name."""
    return {desk.name: _desk(desk, bridge, store, clock) for desk in bridge.desks}


def _desk(desk: DeskSettings, bridge: BridgeSettings, store: Store, clock: Clock) -> Desk:
    if desk.kind is DeskKind.WEBHOOK:
        where = f"desk {desk.name}: secret_files"
        secrets = [notify.read_secret(path, where) for path in desk.secret_files]
        bytes_max = bridge.retry.response_bytes_max
        outgoing = Outgoing(clock, desk.allow_private, desk.timeout_ms, bytes_max)
        return WebhookDesk(desk.name, desk.url, secrets, outgoing, clock)
    if desk.kind is DeskKind.MEMORY:
        return MemoryDesk(clock, name=desk.name, prefix=desk.prefix)
    link = f"{bridge.external_url.rstrip('/')}/tickets/"
    return BuiltinDesk(store.records, clock, name=desk.name, prefix=desk.prefix, url_prefix=link)


def build_performer(
    settings: Settings,
    store: Store,
    clock: Clock,
    desks: Mapping[str, Desk],
    report: Callable[[str], None],
) -> Performer:
    """What does the outbox's actions."""
    bridge = settings.machine.bridge
    receivers = notify.build(
        bridge.receivers, clock, catalogue=settings.catalogue, retry=bridge.retry
    )
    sources = {
        name: ZabbixNotes(one, clock) for name, one in told_sources(settings.machine).items()
    }
    return Performer(store, desks, receivers, clock, bridge.retry, sources=sources, report=report)


def told_sources(machine: Machine) -> dict[str, ZabbixSettings]:
    """The sources of alerts that are told what becomes of them, by name."""
    return {one.name: one for one in machine.zabbix if one.acknowledge}


def build_sink(
    machine: Machine, store: Store, clock: Clock, report: Callable[[str], None]
) -> ElasticSink | None:
    """What writes history into an Elasticsearch, where one is named."""
    sink = machine.elasticsearch_sink
    if not sink.url:
        return None
    say = translator(machine.bridge.language)
    return ElasticSink(sink, store, clock, translate=say, report=report)


def build_events(
    machine: Machine, store: Store, report: Callable[[str], None]
) -> KafkaEvents | None:
    """What tells a Kafka topic of incidents, where one is named."""
    if not machine.kafka_events.topic:
        return None
    bridge = machine.bridge
    say = translator(bridge.language)
    return KafkaEvents(
        machine.kafka_events, store, source=bridge.external_url, translate=say, report=report
    )


def build_elastic_logs(
    machine: Machine, clock: Clock, report: Callable[[str], None]
) -> ElasticLogs | None:
    """What writes log lines into an Elasticsearch, where one is named and they are wanted."""
    sink = machine.elasticsearch_sink
    if not sink.url or sink.logs is LogKeeping.NONE:
        return None
    return ElasticLogs(sink, clock, report=report)


def build_library(settings: Settings, report: Callable[[str], None]) -> Library:
    """The shipped runbooks, and the ones of the user's own folder, which win by name."""
    library = shipped()
    folder = settings.machine.pipeline.runbooks
    if folder:
        own = load_runbooks(settings.folder / folder)
        for problem in own.problems:
            report(str(problem))
        library = library.with_(own)
    return library


@dataclass(frozen=True, slots=True)
class Intake:
    """The collectors, and those of them (and of their helpers) whose state is kept."""

    collectors: tuple[Collector, ...]
    saved: dict[str, Saved]


def build_door(machine: Machine, index: SeriesIndex, miner: TemplateMiner) -> Door:
    """What pushes need to become batches."""
    bounds = machine.watermark
    logs = LogBatches(Masking(machine.logs.mask), miner, Watermark.for_logs(bounds))
    return Door(
        index,
        Watermark.for_samples(bounds),
        logs,
        Deltas(index),
        SpanBook(machine.otlp),
        Senders(machine.pushes.senders),
    )


def intake_secrets(settings: Settings) -> dict[str, tuple[bytes, ...]]:
    """The secrets of each signed source, the current one first."""
    found = {}
    for source in settings.machine.intake.signed:
        files = (source.secret_file, source.previous_secret_file)
        where = f"intake.signed: {source.name}"
        found[source.name] = tuple(notify.read_secret(path, where) for path in files if path)
    return found


def build_intake(
    machine: Machine,
    index: SeriesIndex,
    telemetry: Telemetry,
    clock: Clock,
    pushes: PushQueue,
    accepting: Accepting,
    *,
    instance: str = "self",
) -> Intake:
    """Everything that is pulled, and what takes up what was pushed.

    `instance` tells this process' own metrics from those of other workers.
    """
    miner = TemplateMiner(machine.templates)
    tail = LogTail(machine.logs, miner, machine.watermark)
    bounds = machine.watermark
    door = build_door(machine, index, miner)
    collectors: list[Collector] = [
        Scraper(machine.scrape, index, clock, machine.watermark),
        tail,
        Pushed(pushes, door),
    ]
    if machine.probes.targets:
        collectors.append(Prober(machine.probes, index, clock))
    if machine.host.enabled:
        collectors.append(HostCollector(machine.host, index))
    if machine.self.enabled:
        collectors.append(SelfMetrics(machine.self, index, telemetry.registry, instance=instance))
    saved: dict[str, Saved] = {"miner": miner, "tail": tail, "senders": door.senders}
    for number, site in enumerate(machine.prometheus_api):
        saved[f"poll:{number}:{site.name}"] = one = PrometheusPoll(
            site, index, clock, machine.watermark
        )
        collectors.append(one)
    for number, store in enumerate(machine.elasticsearch):
        lines = LogBatches(Masking(machine.logs.mask), miner, Watermark.for_logs(bounds))
        saved[f"elasticsearch:{number}:{store.name}"] = read = ElasticPoll(
            store, index, lines, clock
        )
        collectors.append(read)
    for number, zabbix in enumerate(machine.zabbix):
        saved[f"zabbix:{number}:{zabbix.name}"] = asked = ZabbixPoll(
            zabbix, index, accepting, clock
        )
        collectors.append(asked)
    for number, source in enumerate(machine.kafka_sources):
        reader = reader_of(source, accepting=accepting, otlp=machine.otlp, limits=machine.limits)
        own = build_door(machine, index, miner)
        saved[f"kafka:{number}:{source.name}"] = topics = KafkaRead(
            source, index, reader, own, accepting, clock
        )
        collectors.append(topics)
    return Intake(tuple(collectors), saved)


def build_backfill(
    machine: Machine, index: SeriesIndex, intake: Intake, engine: Engine | None, clock: Clock
) -> Backfill | None:
    """What lets new targets learn from their past, where a Prometheus is named.

    Without an engine (it is in other workers) every series counts as cold: what is warm is left alone there.
    """
    if not machine.backfill.enabled:
        return None
    scraper = next(one for one in intake.collectors if isinstance(one, Scraper))
    polled = {one.source for one in intake.collectors if isinstance(one, PrometheusPoll)}
    senders = intake.saved["senders"]
    assert isinstance(senders, Senders)
    return Backfill(
        machine.backfill,
        index,
        clock,
        target_of=scraper.target_of,
        sends=lambda source: source in polled or senders.knows(source),
        cold=_all if engine is None else engine.cold,
        worth=lambda rows: worth_learning(index, rows),
    )


def _all(rows: Rows) -> Bools:
    return np.ones(len(rows), dtype=np.bool_)


def default_config() -> Path:
    """The shipped configuration: `config/` of the checkout, or the copy inside the package."""
    packaged = Path(__file__).parent / "default_config"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "config"
