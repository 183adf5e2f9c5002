"""Thirty simulated days through the same stages in virtual time, so that reports have content at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from correlator.settings import CorrelatorSettings
from incident_bridge.settings import BridgeSettings
from model.batch import MetricBatch
from model.change import Change
from model.clock import ManualClock
from model.incident import Act
from pipeline import wiring
from pipeline.core import Core
from pipeline.demo.history import STEP_MS, History
from pipeline.demo.operators import Operators
from pipeline.settings import Settings
from store.store import Store

BETWEEN_MS = (30_000, 90_000, 180_000)
"""Steps between two samples while something is going on: timers are finer than five minutes."""


def simulate(
    settings: Settings,
    store: Store,
    *,
    start_ms: int,
    end_ms: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> int:
    """Live the past in `store`, everything marked as simulated.

    Parameters
    ----------
    settings
        Catalogue, routes and promises; the windows of a demo are too short for samples five
        minutes apart, so those are the product's own.
    progress
        Told (steps done, steps in all), often.

    Returns
    -------
    int
        Incidents that came out of it.
    """
    machine = replace(
        settings.machine,
        correlator=CorrelatorSettings(),
        bridge=replace(
            BridgeSettings(),
            desks=settings.machine.bridge.desks,
            receivers=settings.machine.bridge.receivers,
            external_url=settings.machine.bridge.external_url,
        ),
    )
    past = replace(settings, machine=machine)
    clock = ManualClock(start_ms)
    index = wiring.build_index(machine)
    core = wiring.build_core(past, store, index, simulated=True)
    desks = wiring.build_desks(machine.bridge, store, clock)
    performer = wiring.build_performer(past, store, clock, desks, lambda _: None)
    life = _Life(core, Operators(settings.catalogue, seed=seed))
    history = History(index, start_ms=start_ms, end_ms=end_ms, seed=seed)
    for number, moment in enumerate(history):
        times = [moment.now_ms]
        if life.busy:
            times = [moment.now_ms - STEP_MS + between for between in BETWEEN_MS] + times
        for now_ms in times:
            clock.set(now_ms)
            last = now_ms == moment.now_ms
            changes = moment.changes if last else ()
            life.step(now_ms, batches=moment.batches if last else (), changes=changes)
            if life.acted:
                while performer.run_due(now_ms):
                    pass
        progress(number + 1, len(history))
    return life.incidents


class _Life:
    """The stages and the people, one step after another."""

    def __init__(self, core: Core, operators: Operators) -> None:
        self._core = core
        self._operators = operators
        self._active: set[str] = set()
        self._known: set[str] = set()
        self._acts: list[Act] = []
        self.acted = False

    @property
    def busy(self) -> bool:
        """Whether an incident is under way, or may be about to begin."""
        return bool(self._active) or self.acted

    @property
    def incidents(self) -> int:
        """Incidents so far."""
        return len(self._known)

    def step(
        self, now_ms: int, *, batches: Sequence[MetricBatch] = (), changes: Sequence[Change] = ()
    ) -> None:
        """One step, with what people decided at the end of the one before."""
        out = self._core.step(now_ms, batches=batches, values=[*changes, *self._acts])
        told = [incident for bridged in out.bridged for incident in bridged.incidents]
        for incident in told:
            self._known.add(incident.id)
            (self._active.add if incident.state.active else self._active.discard)(incident.id)
        self._acts = self._operators.take(told, now_ms=now_ms)
        self.acted = not out.empty
