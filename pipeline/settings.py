"""A folder of YAML to one frozen `Settings`, or every problem in it at once.

    tocsin.yaml     the machine: what is collected, how it is judged, where it is kept
    catalogue.yaml  services, tiers, owners, dependencies, teams (the CMDB)
    routes.yaml     receivers, desks, who is told of what
    sla.yaml        promises
    rules.yaml      plain thresholds

Each component declares its own settings beside its code; here they are nested and checked.
A missing file means its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from collectors.settings import (
    HostSettings,
    IntakeLimits,
    LogSettings,
    ScrapeSettings,
    SelfSettings,
    TemplateSettings,
    WatermarkSettings,
)
from console.settings import ConsoleSettings, IntakeSettings
from correlator.settings import CorrelatorSettings
from detectors.settings import DetectorSettings, ThresholdRule
from incident_bridge.settings import (
    BridgeSettings,
    DeskSettings,
    ReceiverSettings,
    RouteSettings,
    SlaSettings,
)
from model.catalogue import Catalogue, Service, Team
from model.units import Milliseconds
from pipeline.embedded import Pace
from pipeline.positions import Document, parse
from pipeline.problems import ConfigurationError, Problem
from pipeline.reading import read
from store.settings import StoreSettings

T = TypeVar("T")
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
    series_max: int = 1_000_000
    series_per_source_max: int = 200_000
    series_idle_ms: Milliseconds = HOUR_MS
    runbooks: str = ""
    log_level: str = "info"

    def __post_init__(self) -> None:
        if not 100 <= self.tick_ms <= 60_000:
            raise ValueError("tick must lie between 100ms and 1m")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ValueError("log_level must be debug, info, warning or error")

    def pace(self, history_ms: int) -> Pace:
        """What the loop needs of it."""
        return Pace(self.tick_ms, self.checkpoint_interval_ms, history_ms, self.series_idle_ms)


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
    host: HostSettings = HostSettings()
    self: SelfSettings = SelfSettings()
    logs: LogSettings = LogSettings()
    templates: TemplateSettings = TemplateSettings()
    watermark: WatermarkSettings = WatermarkSettings()
    intake: IntakeSettings = IntakeSettings()
    limits: IntakeLimits = IntakeLimits()
    detectors: DetectorSettings = DetectorSettings()
    correlator: CorrelatorSettings = CorrelatorSettings()
    bridge: BridgeSettings = BridgeSettings()
    console: ConsoleSettings = ConsoleSettings()


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
    _check_catalogue(listed, catalogue_doc)
    _check_routes(routes, listed, routes_doc)
    _check_sla(sla, listed, sla_doc)
    _check_machine(machine_doc)
    for document in (machine_doc, catalogue_doc, routes_doc, sla_doc):
        problems += document.problems
    if problems or not (machine and listed and routes and sla and rules):
        raise ConfigurationError(problems)
    bridge = replace(machine.bridge, desks=routes.desks, receivers=routes.receivers)
    return Settings(
        folder,
        replace(machine, bridge=bridge),
        routes.route,
        sla,
        rules.rules,
        Catalogue.of(listed.services, listed.teams),
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


def _check_catalogue(listed: CatalogueFile | None, document: Document) -> None:
    if listed is None:
        return
    names = [service.name for service in listed.services]
    teams = {team.name for team in listed.teams}
    for i, service in enumerate(listed.services):
        if service.name in names[:i]:
            document.problem(("services", i, "name"), f'service "{service.name}" is listed twice')
        if not 1 <= service.tier <= 4:
            document.problem(
                ("services", i, "tier"), f"must lie between 1 and 4, got {service.tier}"
            )
        if service.owner and teams and service.owner not in teams:
            what = f'no team "{service.owner}"; known: {", ".join(sorted(teams))}'
            document.problem(("services", i, "owner"), what)
        for j, callee in enumerate(service.depends_on):
            if callee not in names:
                what = f'no service "{callee}" in this catalogue; list it too'
                document.problem(("services", i, "depends_on", j), what)


def _check_routes(
    routes: RoutesFile | None, listed: CatalogueFile | None, document: Document
) -> None:
    if routes is None:
        return
    receivers = {receiver.name for receiver in routes.receivers} | {"@team", ""}
    desks = {desk.name for desk in routes.desks} | {"none"}
    if not routes.route.receiver:
        document.problem(("route",), "the root route needs a receiver")
    _check_route(routes.route, ("route",), receivers, desks, document)
    if listed is not None:
        for team in listed.teams:
            for name in team.receivers:
                if name not in receivers:
                    what = f'team "{team.name}" of catalogue.yaml names receiver "{name}", which is not here'
                    document.problem(("receivers",), what)


def _check_route(
    route: RouteSettings,
    path: tuple[str | int, ...],
    receivers: set[str],
    desks: set[str],
    document: Document,
) -> None:
    known = ", ".join(sorted(receivers - {""}))
    if route.receiver not in receivers:
        document.problem((*path, "receiver"), f'no receiver "{route.receiver}"; known: {known}')
    for i, name in enumerate(route.escalate_to or ()):
        if name not in receivers:
            document.problem((*path, "escalate_to", i), f'no receiver "{name}"; known: {known}')
    for i, name in enumerate(route.desks or ()):
        if name not in desks:
            what = f'no desk "{name}"; known: {", ".join(sorted(desks))}'
            document.problem((*path, "desks", i), what)
    for i, child in enumerate(route.routes):
        _check_route(child, (*path, "routes", i), receivers, desks, document)


def _check_sla(sla: SlaSettings | None, listed: CatalogueFile | None, document: Document) -> None:
    if sla is None or listed is None:
        return
    names = {service.name for service in listed.services}
    for i, policy in enumerate(sla.policies):
        for j, name in enumerate(policy.services):
            if name not in names:
                what = f'no service "{name}" in catalogue.yaml'
                document.problem(("policies", i, "services", j), what)


def _check_machine(document: Document) -> None:
    """Desks and receivers have a file of their own."""
    for key in ("desks", "receivers"):
        if ("bridge", key) in document.keys:
            document.problem(("bridge", key), "belongs into routes.yaml", key=True)
