"""A shop, and a pipeline of bridge, store and performer whose clock is turned by hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from incident_bridge import routing
from incident_bridge.bridge import Bridge, Bridged
from incident_bridge.desks.base import Desk
from incident_bridge.desks.builtin import BuiltinDesk
from incident_bridge.notify import ConsoleReceiver, Receiver
from incident_bridge.performer import Performer
from incident_bridge.settings import (
    BridgeSettings,
    DeskSettings,
    RetrySettings,
    RouteSettings,
    SlaSettings,
)
from incident_bridge.sources import Source
from model.action import PageDraft
from model.alert import Severity
from model.catalogue import Catalogue, Service, Team
from model.clock import ManualClock
from model.errors import DeliveryError
from model.identity import derive_id
from model.incident import Act, ActKind, Cause, Grouping, Incident, Signal
from model.reason import because
from store import clocks, incidents, ledger, outbox, timeline
from store.store import Store
from tests.conftest import NewStore

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000

SHOP = Catalogue.of(
    [
        Service("gateway", tier=1, owner="web", depends_on=("cart",)),
        Service("cart", tier=2, owner="web", depends_on=("db",)),
        Service("db", tier=1, owner="dba"),
        Service("blog", tier=4, owner="nobody"),
    ],
    [
        Team("web", ("ann", "bob"), ("console",)),
        Team("dba", ("cem",), ("phone",)),
        Team("nobody"),
    ],
)


def a_grouping(signal: Signal = Signal.OPENED, **changes: Any) -> Grouping:
    """One alert of cart, critical, noticed 30 s after it began."""
    grouping = Grouping(
        id="inc1",
        signal=signal,
        at_ms=START_MS,
        began_ms=START_MS - 30_000,
        detected_ms=START_MS,
        severity=Severity.CRITICAL,
        title=because("{service} fails", service="cart"),
        reason=because("{service} failed {count} calls", service="cart", count=3),
        services=("cart",),
        alert_keys=("a1",),
        alert_count=1,
        firing_count=0 if signal is Signal.QUIET else 1,
        evidence=(because("errors at {ratio}", ratio="12 %"),),
        causes=(Cause("cart", 1.0, (because("it began first"),)),),
        quiet_ms=START_MS + MINUTE_MS if signal is Signal.QUIET else None,
    )
    return replace(grouping, **changes)


def an_act(kind: ActKind, at_ms: int, **changes: Any) -> Act:
    """An act of ann on that incident."""
    act = Act(derive_id("act", kind, at_ms), "inc1", kind, "ann", at_ms)
    return replace(act, **changes)


@dataclass
class RecordingReceiver:
    """Somebody outside who notes what arrives, or fails."""

    name: str = "phone"
    channel: str = "test"
    people: tuple[str, ...] = ("cem",)
    failing: DeliveryError | None = None
    pages: list[PageDraft] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def send(self, page: PageDraft, *, idempotency_key: str) -> None:
        if self.failing is not None:
            raise self.failing
        self.pages.append(page)
        self.keys.append(idempotency_key)


Phone = RecordingReceiver


class House:
    """Bridge, store and performer, as the pipeline wires them, one step at a time."""

    def __init__(
        self,
        store: Store,
        *,
        settings: BridgeSettings | None = None,
        route: RouteSettings | None = None,
        sla: SlaSettings | None = None,
        desks: Mapping[str, Desk] | None = None,
        receivers: Mapping[str, Receiver] | None = None,
        retry: RetrySettings | None = None,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        self.store = store
        self.clock = ManualClock(START_MS)
        self.settings = settings or BridgeSettings()
        route = route or RouteSettings(receiver="console", desks=("builtin",))
        told = frozenset(sources or {})
        promises = sla or SlaSettings()
        self._make = lambda: Bridge(
            self.settings, SHOP, routing.build(route), promises, sources=told
        )
        self.bridge = self._make()
        builtin = BuiltinDesk(store.records, self.clock)
        console = ConsoleReceiver(people=("ann",))
        self.performer = Performer(
            store,
            {"builtin": builtin, **(desks or {})},
            {"console": console, **(receivers or {})},
            self.clock,
            retry,
            sources=sources,
        )
        self.written: list[Bridged] = []

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    def take(self, *groupings: Grouping, acts: tuple[Act, ...] = ()) -> Bridged:
        return self._write(self.bridge.take(groupings, acts, now_ms=self.now_ms))

    def step(self, after_ms: int = 0) -> Bridged:
        self.clock.set(self.now_ms + after_ms)
        return self._write(self.bridge.step(self.now_ms))

    def run(self) -> int:
        return self.performer.run_due(self.now_ms)

    def act(self, kind: ActKind, **changes: Any) -> Bridged:
        return self.take(acts=(an_act(kind, self.now_ms, **changes),))

    def restart(self) -> None:
        self.bridge = self._make()
        with self.store.records.read() as conn:
            self.bridge.restore(
                incidents.restorable(conn, since_ms=0),
                clocks.restorable(conn, since_ms=0),
                ledger.restorable(conn, since_ms=0),
            )

    def _write(self, out: Bridged) -> Bridged:
        with self.store.records.write() as conn:
            incidents.save(conn, out.incidents)
            timeline.save(conn, out.entries)
            clocks.save(conn, out.clocks)
            ledger.save(conn, out.ledger)
            outbox.add(conn, out.actions)
            outbox.cancel(conn, out.cancelled, now_ms=self.now_ms)
        self.written.append(out)
        return out

    def incident(self, ident: str = "inc1") -> Incident:
        found = self.bridge.get(ident)
        assert found is not None
        return found

    def read(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self.store.records.read() as conn:
            return query(conn, *args, **kwargs)


@pytest.fixture
def store(tmp_path: Path, new_store: NewStore) -> Iterator[Store]:
    opened = new_store(tmp_path, START_MS)
    yield opened
    opened.close()


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


@pytest.fixture
def grouping() -> Callable[..., Grouping]:
    return a_grouping


@pytest.fixture
def external() -> DeskSettings:
    return DeskSettings(name="ext")


@pytest.fixture
def make_house(store: Store) -> Callable[..., House]:
    return lambda **kwargs: House(store, **kwargs)


@pytest.fixture
def phone() -> RecordingReceiver:
    return RecordingReceiver()


@pytest.fixture
def act() -> Callable[..., Act]:
    return an_act


@pytest.fixture
def server() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location(
        "desk_server", Path(__file__).with_name("desk_server.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    running = module.DeskServer()
    yield running
    running.close()
