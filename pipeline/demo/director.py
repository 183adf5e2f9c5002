"""Commits the faults one after another, and waits each time until the pipeline is calm again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from model.change import Change
from model.clock import Clock
from model.errors import TransientError
from model.reason import Reason, because
from pipeline.demo import faults
from pipeline.demo.faults import Fault, Victim
from pipeline.demo.scoreboard import Committed, Found


class Pipeline(Protocol):
    """What the director needs of a running pipeline; `witness.Witness` is one."""

    def incidents(self) -> list[Found]:
        """Every incident that is not simulated."""

    def acknowledge(self, incident_id: str, text: str) -> None:
        """Acknowledge one, as a responder would."""

    def announce(self, change: Change) -> None:
        """Send a change event."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the director waits for what, in seconds.

    Attributes
    ----------
    ack_after_s : float
        Between noticing and acknowledging a fault that needs it.
    calm_max_s : float
        At most, for the incidents of one fault to resolve after its end.
    settle_s : float
        After that, so that baselines see some normal life before the next fault.
    close_max_s : float
        At most, for the last ticket to be closed.
    """

    poll_s: float = 0.5
    ack_after_s: float = 8.0
    calm_max_s: float = 60.0
    settle_s: float = 12.0
    close_max_s: float = 45.0


class Director:
    """Runs faults against a shop and watches what the pipeline makes of them.

    Parameters
    ----------
    tell
        Is told each event, as a sentence.
    translate
        Says the faults' own sentences, which are part of those, in the reader's language.
    stopping
        Asked often; once true, the running fault is taken back and `run` returns.
    """

    def __init__(
        self,
        victim: Victim,
        pipeline: Pipeline,
        clock: Clock,
        *,
        pace: Pace = Pace(),
        tell: Callable[[Reason], None] = lambda _: None,
        translate: Callable[[str], str] = str,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._victim = victim
        self._pipeline = pipeline
        self._clock = clock
        self._pace = pace
        self._tell = tell
        self._translate = translate
        self._stopping = stopping
        self.committed: list[Committed] = []

    def run(self, wanted: Sequence[Fault]) -> list[Committed]:
        """Commit every fault, in order; returns when the last ticket is closed, or given up on."""
        for number, fault in enumerate(wanted):
            if self._stopping():
                break
            if number:
                self._wait(self._pace.settle_s, lambda: False)
            self._commit(fault)
            self._wait(self._pace.calm_max_s, self._calm)
        self._wait(self._pace.close_max_s, self._closed)
        return list(self.committed)

    def _commit(self, fault: Fault) -> None:
        started_ms = self._clock.now_ms()
        self.committed.append(Committed(fault, started_ms))
        what = fault.what.text(self._translate)
        self._tell(because("Fault {name}: {what}", name=fault.name, what=what))
        try:
            faults.begin(fault, self._victim, self._pipeline.announce, started_ms)
            self._endure(fault, started_ms)
        finally:
            ended_ms = self._clock.now_ms()
            faults.end(fault, self._victim, self._pipeline.announce, ended_ms)
            self.committed[-1] = replace(self.committed[-1], ended_ms=ended_ms)
        self._tell(because("Fault {name} has ended", name=fault.name))

    def _endure(self, fault: Fault, started_ms: int) -> None:
        """Wait while the fault lasts: its time, or until somebody has acknowledged it."""
        noticed: list[Found] = []

        def is_noticed() -> bool:
            noticed[:] = [i for i in self._incidents() if i.opened_ms >= started_ms]
            return bool(noticed)

        if self._wait(fault.duration_s, is_noticed):
            took_s = (noticed[0].opened_ms - started_ms) / 1000
            self._tell(
                because(
                    "Noticed after {seconds} s: {title}",
                    seconds=f"{took_s:.1f}",
                    title=noticed[0].title,
                )
            )
            if fault.needs_ack:
                self._wait(self._pace.ack_after_s, lambda: False)
                self._acknowledge(noticed[0])
                return
        lasted_s = (self._clock.now_ms() - started_ms) / 1000
        self._wait(fault.duration_s - lasted_s, lambda: False)

    def _acknowledge(self, incident: Found) -> None:
        try:
            self._pipeline.acknowledge(incident.id, "rolling back")
        except TransientError:
            return  # the board will say that nobody ended it in time
        self._tell(because("Acknowledged by the demo's responder: {title}", title=incident.title))

    def _incidents(self) -> list[Found]:
        """What the pipeline knows; a pipeline too busy to answer is asked again."""
        try:
            return [i for i in self._pipeline.incidents() if not i.simulated]
        except TransientError:
            return []

    def _calm(self) -> bool:
        """Whether the last fault's incidents are over; an older one that lingers holds up nobody."""
        since_ms = self.committed[-1].started_ms
        return self._answered(lambda i: not i.active or i.opened_ms < since_ms)

    def _closed(self) -> bool:
        return self._answered(
            lambda i: not i.active and i.tickets > 0 and i.tickets_closed >= i.tickets
        )

    def _answered(self, fine: Callable[[Found], bool]) -> bool:
        try:
            found = self._pipeline.incidents()
        except TransientError:
            return False
        return all(fine(i) for i in found if not i.simulated and not i.merged_into)

    def _wait(self, seconds: float, enough: Callable[[], bool]) -> bool:
        """Wait until `enough` (True), or `seconds` have passed or the demo ends (False)."""
        until_s = self._clock.monotonic_s() + seconds
        while not self._stopping():
            if enough():
                return True
            left_s = until_s - self._clock.monotonic_s()
            if left_s <= 0:
                return False
            self._clock.sleep(min(self._pace.poll_s, left_s))
        return False
