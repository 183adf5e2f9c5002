"""What the pipeline lends the console: it needs nothing else of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from collectors.otlp_settings import OtlpSettings
from collectors.probe import ProbeState
from collectors.pushed import Push
from collectors.settings import IntakeLimits, WatermarkSettings
from console.exemplars import Exemplars
from console.metrics import Counters
from console.settings import ConsoleSettings, IntakeSettings
from model.alert import Evidence
from model.capacity import Capacity
from model.catalogue import Catalogue
from model.clock import Clock
from model.journal import NewEntry
from model.labels import Labels
from model.reason import Reason
from model.slo import SloState
from runbooks.library import Library
from store.store import Store

Submit = Callable[[Sequence[NewEntry]], Awaitable[list[int]]]


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the pipeline and whether it is well; `detail` is a sentence, or None."""

    name: str
    ok: bool
    detail: Reason | None = None


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """A collector that is well, or a source of it that is not: since when, how often, and why."""

    name: str
    kind: str
    ok: bool
    last_ms: int | None = None
    samples: int = 0
    detail: Reason | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A snapshot file of learned state."""

    name: str
    saved_ms: int | None
    size_bytes: int = 0
    ok: bool = True
    detail: Reason | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How the pipeline itself fares.

    Attributes
    ----------
    ready : bool
        Whether it takes work: restored, and the store takes writes.
    lag_ms : int
        How far the loop is behind the wall clock.
    uptime_ms : int
        Since the process started.
    journal_last, journal_committed : int
        Last accepted offset, and the last one processed.
    counters : tuple of (name, value)
        What was dropped, refused or limited, by metric name.
    dead_letters : int
        Actions that will not be tried again unless revived.
    """

    ready: bool
    version: str = ""
    uptime_ms: int = 0
    lag_ms: int = 0
    journal_last: int = 0
    journal_committed: int = 0
    components: tuple[Component, ...] = ()
    sources: tuple[SourceHealth, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    counters: tuple[tuple[str, float], ...] = ()
    dead_letters: int = 0


@dataclass(frozen=True, slots=True)
class Ports:
    """What the pipeline lends the console.

    Attributes
    ----------
    submit
        Makes pushes durable and gives their offsets; raises `StoreError` if nothing was accepted.
    catalogue, runbooks
        What is configured now; they change with a reload.
    health, metrics
        The pipeline's own state, and its exposition in the Prometheus text format.
    reload
        Reads the configuration again; gives the problems, none if it was taken over.
    band
        Recent history of a series with its expected band, or None.
    probes
        What is tried from outside, as it stands.
    slos
        Objectives as they stood a few seconds ago.
    capacity
        What runs out when, a minute old at most.
    feed
        Hands pushed telemetry to the pipeline; False where its queue is full.
    limits
        How much of a pushed body is believed.
    watermark
        Which event times are believed.
    otlp
        How much of what OTLP brings is taken up.
    exemplars
        Traces that senders chose as examples.
    intake_secrets
        Shared secrets of each signed source, the current one first.
    counters
        What the console counts; the pipeline exports it.
    """

    store: Store
    clock: Clock
    submit: Submit
    catalogue: Callable[[], Catalogue]
    runbooks: Callable[[], Library]
    health: Callable[[], Health]
    metrics: Callable[[], bytes]
    reload: Callable[[], list[str]]
    band: Callable[[Labels], Evidence | None]
    slos: Callable[[], tuple[SloState, ...]] = tuple
    probes: Callable[[], tuple[ProbeState, ...]] = tuple
    capacity: Callable[[], tuple[Capacity, ...]] = tuple
    feed: Callable[[Push], bool] = lambda _: False
    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    intake: IntakeSettings = field(default_factory=IntakeSettings)
    limits: IntakeLimits = field(default_factory=IntakeLimits)
    watermark: WatermarkSettings = field(default_factory=WatermarkSettings)
    otlp: OtlpSettings = field(default_factory=OtlpSettings)
    exemplars: Exemplars = field(default_factory=Exemplars)
    intake_secrets: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)
    version: str = "0.1.0"
