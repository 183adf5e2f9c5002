"""The real stages over a store of their own, the clock turned by hand: scenarios and backtests.

Nothing runs in a thread: a step decides, commits, and then does what the outbox holds, at one time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from incident_bridge.desks.memory import MemoryDesk
from incident_bridge.notify import ConsoleReceiver
from incident_bridge.performer import Performer
from model.alert import Alert
from model.batch import LogBatch, MetricBatch
from model.change import Change
from model.clock import ManualClock
from model.codec import encode
from model.errors import TransientError
from model.feedback import Feedback
from model.incident import Act
from model.journal import Heartbeat, JournalEntry, JournalKind
from model.series import SeriesIndex
from model.silence import Silence
from model.ticket import Ticket
from pipeline import wiring
from pipeline.core import Core, StepOutput
from pipeline.settings import Settings
from store import outbox
from store.store import Store

Pushed = Alert | Change | Heartbeat | Act | Silence | Feedback

_KINDS: dict[type, JournalKind] = {
    Alert: JournalKind.ALERT,
    Change: JournalKind.CHANGE,
    Heartbeat: JournalKind.HEARTBEAT,
    Act: JournalKind.ACT,
    Silence: JournalKind.SILENCE,
    Feedback: JournalKind.FEEDBACK,
}
ROUNDS_MAX = 1_000
FOREVER_MS = 1 << 62


@dataclass(slots=True)
class Stride:
    """How far to turn the clock: a second, and more once nothing has happened for a while.

    A quiet hour is not worth 3,600 steps; timers that run out in it are seen up to 15 s later.

    Examples
    --------
    >>> stride = Stride()
    >>> for _ in range(60):
    ...     stride.note(busy=False)
    >>> stride.ms
    5000
    >>> stride.note(busy=True)
    >>> stride.ms
    1000
    """

    quiet: int = 0

    def note(self, *, busy: bool) -> None:
        """Say whether the step just made had anything to do."""
        self.quiet = 0 if busy else self.quiet + 1

    @property
    def ms(self) -> int:
        """Milliseconds to the next step."""
        if self.quiet < 60:
            return 1_000
        return 5_000 if self.quiet < 300 else 15_000


class Virtual:
    """The stages, a store and desks in memory, stepped by whoever holds the clock.

    Receivers are all of the kind "console": nobody outside is paged.
    """

    def __init__(
        self,
        *,
        core: Core,
        index: SeriesIndex,
        clock: ManualClock,
        desks: dict[str, MemoryDesk],
        performer: Performer,
    ) -> None:
        self.core = core
        self.index = index
        self.store = core.store
        self._clock = clock
        self._desks = desks
        self._performer = performer
        self._offset = 0
        self._due_ms = FOREVER_MS

    @classmethod
    def build(
        cls, settings: Settings, folder: Path, start_ms: int, *, index: SeriesIndex | None = None
    ) -> Virtual:
        """Build everything fresh, with its databases in `folder`."""
        clock = ManualClock(start_ms)
        index = wiring.build_index(settings.machine) if index is None else index
        store = Store.open(f"sqlite:///{folder / 'virtual.db'}", now_ms=start_ms)
        bridge = settings.machine.bridge
        desks = {desk.name: MemoryDesk(clock, desk.name, desk.prefix) for desk in bridge.desks}
        receivers = {one.name: ConsoleReceiver(one.name, one.people) for one in bridge.receivers}
        return cls(
            core=wiring.build_core(settings, store, index),
            index=index,
            clock=clock,
            desks=desks,
            performer=Performer(store, desks, receivers, clock, bridge.retry),
        )

    @property
    def tickets(self) -> list[Ticket]:
        """Every desk's tickets, desk by desk, oldest first."""
        return [ticket for desk in self._desks.values() for ticket in desk.tickets]

    def desks_answer(self, answer: bool) -> None:
        """Let the desks answer, or not."""
        for desk in self._desks.values():
            desk.failing = None if answer else TransientError("the desk is down")

    def step(
        self,
        now_ms: int,
        *,
        batches: Sequence[MetricBatch | LogBatch] = (),
        values: Sequence[Pushed] = (),
    ) -> StepOutput:
        """Turn the clock to `now_ms`, make one step, and do what is to be done outside."""
        self._clock.set(now_ms)
        out = self.core.step(now_ms, batches=batches, entries=self._entries(values, now_ms))
        # Mostly nothing is due; to ask the store each second would take longer than the step.
        if any(bridged.actions for bridged in out.bridged) or now_ms >= self._due_ms:
            self._perform(now_ms)
        return out

    def _perform(self, now_ms: int) -> None:
        for _ in range(ROUNDS_MAX):
            if not self._performer.run_due(now_ms):
                break
        with self.store.records.read() as conn:
            due_ms = outbox.next_due_ms(conn)
        self._due_ms = FOREVER_MS if due_ms is None else due_ms

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _entries(self, values: Sequence[Pushed], now_ms: int) -> list[JournalEntry]:
        """As the journal would hand them over; it is only read again after a crash."""
        entries = []
        for value in values:
            self._offset += 1
            kind = _KINDS[type(value)]
            entries.append(JournalEntry(self._offset, kind, "virtual", now_ms, encode(value)))
        return entries
