"""A folder of YAML to one frozen `Settings`, or every problem in it at once.

    tocsin.yaml     the machine: what is collected, how it is judged, where it is kept
    catalogue.yaml  services, tiers, owners, dependencies, teams (the CMDB)
    routes.yaml     receivers, desks, who is told of what
    sla.yaml        promises
    rules.yaml      plain thresholds
    slo.yaml        objectives and their error budgets

Each component declares its own settings beside its code; here they are nested and checked.
A missing file means its defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from collectors.elastic_settings import ElasticsearchSettings
from collectors.kafka_settings import KafkaSourceSettings
from collectors.otlp_settings import OtlpSettings
from collectors.probe_settings import ProbeSettings
from collectors.prometheus_settings import BackfillSettings, PollSettings
from collectors.pushed import PushSettings
from collectors.settings import (
    HostSettings,
    IntakeLimits,
    LogSettings,
    ScrapeSettings,
    SelfSettings,
    TemplateSettings,
    WatermarkSettings,
)
from collectors.syslog_settings import SyslogSettings
from collectors.zabbix_settings import ZabbixSettings
from console.settings import ConsoleSettings, IntakeSettings
from correlator.settings import CorrelatorSettings
from detectors.settings import DetectorSettings, ThresholdRule
from incident_bridge.elastic_settings import ElasticSinkSettings
from incident_bridge.kafka_events_settings import KafkaEventsSettings
from incident_bridge.settings import (
    BridgeSettings,
    DeskSettings,
    ReceiverSettings,
    RouteSettings,
    SlaSettings,
)
from model.catalogue import Catalogue, Service, Team
from model.errors import LabelError
from model.labels import Matcher
from model.reason import gettext
from model.slo import Objective
from model.units import Milliseconds, SizeBytes
from pipeline import objectives
from pipeline.distributed.settings import KafkaSettings
from pipeline.pace import Pace
from pipeline.paths import anchor
from pipeline.positions import Document, parse
from pipeline.problems import ConfigurationError, Problem
from pipeline.reading import read
from store.settings import StoreSettings

T = TypeVar("T")
Path_ = tuple[str | int, ...]
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The loop itself.

    Attributes
    ----------
    tick_ms : duration
        How often a step is made; pushes wake it earlier.
    checkpoint_interval_ms : duration
        How often what was learned is saved: what a crash forgets at most.
    checkpoint_rate_bytes : size
        What saving may write a second on average; where much was learned it is saved more rarely (300 MiB every 150 s).
    series_max, series_per_source_max : int
        Series in all and of one source; further ones are refused and counted.
    series_idle_ms : duration
        A series that is not heard of for so long is forgotten.
    runbooks : str
        Folder with more runbooks; the shipped ones are always there.
    log_level : str
        debug, info, warning or error.
    """

    tick_ms: Milliseconds = 1_000
    checkpoint_interval_ms: Milliseconds = 30_000
    checkpoint_rate_bytes: SizeBytes = 2 * 2**20
    series_max: int = 1_000_000
    series_per_source_max: int = 200_000
    series_idle_ms: Milliseconds = HOUR_MS
    runbooks: str = ""
    log_level: str = "info"

    def __post_init__(self) -> None:
        if self.checkpoint_rate_bytes < 64 * 2**10:
            raise ValueError("checkpoint_rate must be at least 64KiB")
        if not 100 <= self.tick_ms <= 60_000:
            raise ValueError("tick must lie between 100ms and 1m")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ValueError("log_level must be debug, info, warning or error")

    def pace(self) -> Pace:
        """What the loop needs of it."""
        return Pace(
            tick_ms=self.tick_ms,
            checkpoint_ms=self.checkpoint_interval_ms,
            checkpoint_rate_bytes=self.checkpoint_rate_bytes,
            series_idle_ms=self.series_idle_ms,
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """tocsin.yaml.

    Attributes
    ----------
    data : str
        Folder for databases and snapshots, relative to where Tocsin is started.
    """

    data: str = "data"
    pipeline: PipelineSettings = PipelineSettings()
    store: StoreSettings = StoreSettings()
    scrape: ScrapeSettings = ScrapeSettings()
    backfill: BackfillSettings = BackfillSettings()
    prometheus_api: tuple[PollSettings, ...] = ()
    probes: ProbeSettings = ProbeSettings()
    host: HostSettings = HostSettings()
    self: SelfSettings = SelfSettings()
    logs: LogSettings = LogSettings()
    syslog: SyslogSettings = SyslogSettings()
    elasticsearch: tuple[ElasticsearchSettings, ...] = ()
    zabbix: tuple[ZabbixSettings, ...] = ()
    kafka_sources: tuple[KafkaSourceSettings, ...] = ()
    templates: TemplateSettings = TemplateSettings()
    watermark: WatermarkSettings = WatermarkSettings()
    intake: IntakeSettings = IntakeSettings()
    pushes: PushSettings = PushSettings()
    otlp: OtlpSettings = OtlpSettings()
    limits: IntakeLimits = IntakeLimits()
    detectors: DetectorSettings = DetectorSettings()
    correlator: CorrelatorSettings = CorrelatorSettings()
    bridge: BridgeSettings = BridgeSettings()
    elasticsearch_sink: ElasticSinkSettings = ElasticSinkSettings()
    kafka_events: KafkaEventsSettings = KafkaEventsSettings()
    console: ConsoleSettings = ConsoleSettings()
    kafka: KafkaSettings = KafkaSettings()


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """catalogue.yaml."""

    services: tuple[Service, ...] = ()
    teams: tuple[Team, ...] = ()


@dataclass(frozen=True, slots=True)
class RoutesFile:
    """routes.yaml."""

    receivers: tuple[ReceiverSettings, ...] = (ReceiverSettings(),)
    desks: tuple[DeskSettings, ...] = (DeskSettings(simulated=True),)
    route: RouteSettings = RouteSettings(receiver="console", desks=("builtin",))


@dataclass(frozen=True, slots=True)
class RulesFile:
    """rules.yaml."""

    rules: tuple[ThresholdRule, ...] = ()


@dataclass(frozen=True)
class Settings:
    """All of a folder, checked."""

    folder: Path
    machine: Machine
    route: RouteSettings
    sla: SlaSettings
    rules: tuple[ThresholdRule, ...]
    catalogue: Catalogue = field(default_factory=Catalogue)
    slos: tuple[Objective, ...] = ()

    @property
    def data(self) -> Path:
        """The folder for databases and snapshots."""
        return Path(self.machine.data)

    @property
    def store_url(self) -> str:
        """Where the records are: as set, else SQLite in the data folder."""
        return self.machine.store.url or f"sqlite:///{self.data / 'tocsin.db'}"


def load(folder: Path) -> Settings:
    """Read a configuration folder.

    Raises
    ------
    ConfigurationError
        With every problem of every file, sorted by file, line and column.
    """
    if not (folder / "tocsin.yaml").is_file():
        raise ConfigurationError(
            [
                Problem(
                    str(folder / "tocsin.yaml"),
                    0,
                    0,
                    "",
                    "is not there; name its folder with --config",
                )
            ]
        )
    problems: list[Problem] = []
    machine, machine_doc = _file(folder, "tocsin.yaml", Machine, problems)
    listed, catalogue_doc = _file(folder, "catalogue.yaml", CatalogueFile, problems)
    routes, routes_doc = _file(folder, "routes.yaml", RoutesFile, problems)
    sla, sla_doc = _file(folder, "sla.yaml", SlaSettings, problems)
    rules, _ = _file(folder, "rules.yaml", RulesFile, problems)
    slos, slo_doc = _file(folder, "slo.yaml", objectives.ObjectivesFile, problems)
    _check_catalogue(catalogue_doc)
    objectives.check(
        slo_doc, (str(s.get("name")) for _, s in _entries(catalogue_doc.data, "services"))
    )
    _check_routes(routes_doc, catalogue_doc)
    _check_sla(sla_doc, catalogue_doc)
    _check_machine(machine_doc)
    if machine and machine.kafka.domains > 1 and not machine.correlator.separate_domains:
        what = "more than one needs correlator.separate_domains: true; else trouble could join across them"
        machine_doc.problem(("kafka", "domains"), what)
    for document in (machine_doc, catalogue_doc, routes_doc, sla_doc, slo_doc):
        problems += document.problems
    if problems or not (machine and listed and routes and sla and rules and slos):
        raise ConfigurationError(problems)
    bridge = replace(machine.bridge, desks=routes.desks, receivers=routes.receivers)
    return Settings(
        folder,
        anchor(replace(machine, bridge=bridge), folder),
        routes.route,
        sla,
        rules.rules,
        Catalogue.of(listed.services, listed.teams),
        slos.objectives,
    )


def _file(
    folder: Path, name: str, kind: type[T], problems: list[Problem]
) -> tuple[T | None, Document]:
    path = folder / name
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), 0, 0, "", f"cannot be read: {error}"))
        text = ""
    document = parse(text, str(path))
    value = read(kind, document)
    problems += document.problems
    return value, document


def _check_catalogue(document: Document) -> None:
    """Names that refer to each other; read from the plain data, so that other mistakes do not hide these."""
    services = list(_entries(document.data, "services"))
    teams = {str(team.get("name")) for _, team in _entries(document.data, "teams")}
    names = [str(service.get("name")) for _, service in services]
    for i, service in services:
        at = ("services", i)
        name, tier, owner = service.get("name"), service.get("tier", 3), service.get("owner")
        if name in names[:i]:
            document.problem((*at, "name"), f'service "{name}" is listed twice')
        if isinstance(tier, int) and not 1 <= tier <= 4:
            document.problem((*at, "tier"), f"must lie between 1 and 4, got {tier}")
        if owner and teams and owner not in teams:
            what = f'no team "{owner}"; known: {", ".join(sorted(teams))}'
            document.problem((*at, "owner"), what)
        for j, callee in enumerate(_list(service.get("depends_on"))):
            if callee not in names:
                what = f'no service "{callee}" in this catalogue; list it too'
                document.problem((*at, "depends_on", j), what)


def _check_routes(document: Document, catalogue: Document) -> None:
    data = document.data if isinstance(document.data, dict) else {}
    default = RoutesFile()
    receivers = {str(r.get("name", "console")) for _, r in _entries(data, "receivers")}
    receivers = (receivers or {r.name for r in default.receivers}) | {"@team"}
    desks = {str(d.get("name", "builtin")) for _, d in _entries(data, "desks")}
    desks = (desks or {d.name for d in default.desks}) | {"none"}
    if isinstance(route := data.get("route"), dict):
        if not route.get("receiver"):
            document.problem(("route",), "the root route needs a receiver")
        _check_route(route, ("route",), receivers, desks, document)
    for i, team in _entries(catalogue.data, "teams"):
        for j, name in enumerate(_list(team.get("receivers"))):
            if name not in receivers:
                what = f'no receiver "{name}" in routes.yaml; known: {", ".join(sorted(receivers))}'
                catalogue.problem(("teams", i, "receivers", j), what)


def _check_route(
    route: dict[str, Any], path: Path_, receivers: set[str], desks: set[str], document: Document
) -> None:
    known = ", ".join(sorted(receivers))
    named = [((*path, "receiver"), route["receiver"])] if route.get("receiver") else []
    named += [
        ((*path, "escalate_to", i), name) for i, name in enumerate(_list(route.get("escalate_to")))
    ]
    for at, name in named:
        if name not in receivers:
            document.problem(at, f'no receiver "{name}"; known: {known}')
    for i, name in enumerate(_list(route.get("desks"))):
        if name not in desks:
            what = f'no desk "{name}"; known: {", ".join(sorted(desks))}'
            document.problem((*path, "desks", i), what)
    _check_matchers(_list(route.get("match")), (*path, "match"), document)
    for i, child in enumerate(_list(route.get("routes"))):
        if isinstance(child, dict):
            _check_route(child, (*path, "routes", i), receivers, desks, document)


def _check_matchers(texts: list[Any], path: Path_, document: Document) -> None:
    for i, text in enumerate(texts):
        try:
            Matcher.parse(str(text))
        except LabelError as error:
            document.problem((*path, i), str(error))


def _entries(data: Any, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings of a list of mappings, whatever else is there."""
    listed = data.get(key) if isinstance(data, dict) else None
    for i, entry in enumerate(_list(listed)):
        if isinstance(entry, dict):
            yield i, entry


def _list(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []


def _check_sla(document: Document, catalogue: Document) -> None:
    names = {service.get("name") for _, service in _entries(catalogue.data, "services")}
    for i, policy in _entries(document.data, "policies"):
        for j, name in enumerate(_list(policy.get("services"))):
            if name not in names:
                what = f'no service "{name}" in catalogue.yaml'
                document.problem(("policies", i, "services", j), what)


def _check_twice(document: Document, key: str, what: str, default: str) -> None:
    """Two of a list have one name: what one has told the other could end."""
    names = list[str]()
    for i, one in _entries(document.data, key):
        if (name := str(one.get("name", default))) in names:
            document.problem((key, i), f'two {what} are named "{name}"; give each a name')
        names.append(name)


def _check_machine(document: Document) -> None:
    """Desks and receivers have a file of their own."""
    for key in ("desks", "receivers"):
        if ("bridge", key) in document.keys:
            document.problem(("bridge", key), "belongs into routes.yaml", key=True)
    probes = document.data.get("probes") if isinstance(document.data, dict) else None
    names = list[str]()
    for i, probe in _entries(probes, "targets"):
        if (name := str(probe.get("name"))) in names:
            document.problem(("probes", "targets", i, "name"), f'two probes are named "{name}"')
        names.append(name)
    _check_twice(document, "zabbix", gettext("Zabbix servers"), "zabbix")
    _check_twice(document, "kafka_sources", gettext("sources of Kafka"), "kafka")
    correlator = document.data.get("correlator") if isinstance(document.data, dict) else None
    for i, rule in _entries(correlator, "inhibit"):
        for side in ("source", "target"):
            path = ("correlator", "inhibit", i, side)
            _check_matchers(_list(rule.get(side)), path, document)
