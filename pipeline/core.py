"""One step of the pipeline over a store: take what came, decide, commit it all in one transaction.

The same step serves the live loop, the scenarios, the backtest and the simulated history; only
who turns the clock differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from collectors.heartbeat import Heartbeats
from correlator.correlator import Correlated, Correlator
from detectors.engine import Engine
from incident_bridge.bridge import Bridge, Bridged
from model.account import AuditRecord
from model.alert import Alert
from model.batch import LogBatch, MetricBatch
from model.change import Change
from model.codec import decode
from model.errors import TocsinError
from model.feedback import Feedback
from model.incident import Act, Grouping
from model.journal import Heartbeat, JournalEntry, JournalKind
from model.silence import Silence
from pipeline.remembered import MEMORY, Memory, Remembered, Share
from store import alerts as alert_rows
from store import audit as audit_rows
from store import changes as change_rows
from store import clocks as clock_rows
from store import feedback as feedback_rows
from store import groupings as grouping_rows
from store import heartbeats as heartbeat_rows
from store import incidents as incident_rows
from store import ledger as ledger_rows
from store import offsets as offset_rows
from store import outbox as outbox_rows
from store import silences as silence_rows
from store import timeline as timeline_rows
from store.store import Store

OWN_SOURCES = ("detector", "rule")
HEARTBEAT_SOURCE = "heartbeat"
CHANGES_MAX = 100_000
"""Changes of the last day that are remembered after a restart."""
WAITING_MAX = 600
"""Steps with decisions that are kept while the store refuses: ten minutes of a busy loop."""

Pushed = Alert | Change | Heartbeat | Act | Silence | Feedback
_DETAIL_BYTES_MAX = 2_000
_KINDS: dict[JournalKind, type[Any]] = {
    JournalKind.ALERT: Alert,
    JournalKind.CHANGE: Change,
    JournalKind.HEARTBEAT: Heartbeat,
    JournalKind.ACT: Act,
    JournalKind.SILENCE: Silence,
    JournalKind.FEEDBACK: Feedback,
}


@dataclass(slots=True)
class StepOutput:
    """What one step decided, and what of the journal it used up."""

    correlated: list[Correlated] = field(default_factory=list)
    bridged: list[Bridged] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    heartbeats: list[Heartbeat] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    offset: int | None = None
    now_ms: int = 0
    also: Callable[[Connection], None] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        decided = any(c.alerts or c.groupings for c in self.correlated) or any(
            b.incidents or b.entries or b.clocks or b.ledger or b.actions or b.cancelled
            for b in self.bridged
        )
        return not (
            decided
            or self.changes
            or self.silences
            or self.heartbeats
            or self.feedback
            or self.offset is not None
        )


class Core:
    """The stages that make alerts into incidents, and the transaction that keeps them.

    Memory of correlator, bridge and heartbeats is what the store holds: `restore` after a start.
    If the store refuses a commit, the decisions are kept and written with the next step's, so that
    a full disk does not stop the noticing; at most `WAITING_MAX` steps' worth.

    Parameters
    ----------
    journal : str
        Under which name the offset of what was taken is kept.

    Attributes
    ----------
    offset, taken : int
        The journal up to which everything is committed, and up to which it is decided.
    poisoned : int
        Journal entries that could not be read.
    """

    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        heartbeats: Heartbeats,
        correlator: Correlator,
        bridge: Bridge,
        memory: Memory = MEMORY,
        simulated: bool = False,
        report: Callable[[str], None] = lambda _: None,
        journal: str = offset_rows.JOURNAL,
    ) -> None:
        self.memory = memory
        self.journal = journal
        self.simulated = simulated
        self.store = store
        self.engine = engine
        self.heartbeats = heartbeats
        self.correlator = correlator
        self.bridge = bridge
        self.offset = 0
        self.taken = 0
        self.poisoned = 0
        self.steps = 0
        self._report = report
        self._waiting: list[StepOutput] = []
        self._said: dict[str, Feedback] = {}

    @property
    def full(self) -> bool:
        """Whether no further step can be made before a `flush` succeeds."""
        return len(self._waiting) >= WAITING_MAX

    def restore(
        self,
        now_ms: int,
        *,
        share: Share | None = None,
        silences: Sequence[Silence] | None = None,
    ) -> None:
        """Take up the store's memory; what was committed is exactly what is known.

        Parameters
        ----------
        share
            What of it is ours, where others decide beside us; all by default.
        silences
            Those to go by instead of the store's.
        """
        found = Remembered.read(
            self.store, now_ms, self.memory, simulated=self.simulated, journal=self.journal
        )
        if share is not None:
            found = found.part(share)
        self.taken = self.offset = found.offset
        silences = found.silences if silences is None else silences
        self.correlator.restore(found.statuses, found.groupings, silences, found.changes)
        self.bridge.restore(found.incidents, found.clocks, found.ledger)
        firing = [status.alert for status in found.statuses if status.alert.firing]
        missing = (alert for alert in firing if alert.source == HEARTBEAT_SOURCE)
        self.heartbeats.restore(found.heartbeats, missing)
        self._said = {feedback.id: feedback for feedback in found.said}
        self.engine.heed(found.said)
        self.engine.adopt(alert for alert in firing if alert.source in OWN_SOURCES)

    def step(
        self,
        now_ms: int,
        *,
        batches: Sequence[MetricBatch | LogBatch] = (),
        entries: Sequence[JournalEntry] = (),
        values: Sequence[Pushed] = (),
        also: Callable[[Connection], None] | None = None,
        anyway: bool = False,
    ) -> StepOutput:
        """Do one step at one time.

        Parameters
        ----------
        batches
            Telemetry that arrived since the last step.
        entries
            Journal entries after `self.taken`, in order.
        values
            What needs no journal: the simulated past, and what other workers detected.
        also
            Called in the transaction that writes the step's decisions (`anyway`: also where there are
            none); what it raises undoes the transaction.

        Raises
        ------
        StoreError
            If the decisions could not be written; they are kept, call `flush` (or `step`) again.
        """
        if self.full:
            self.flush()
        out = StepOutput(offset=entries[-1].offset if entries else None, now_ms=now_ms)
        items, acts = _sort([*self._decode(entries), *values], out)
        if out.feedback:
            self._said.update((feedback.id, feedback) for feedback in out.feedback)
            self.engine.heed(self._said.values())
        found: list[Alert] = []
        for batch in batches:
            found += self.engine.take(batch, now_ms=now_ms)
        found += self.engine.step(now_ms)
        found += self.heartbeats.take(out.heartbeats, now_ms=now_ms)
        found += self.heartbeats.step(now_ms)
        if self.simulated:
            found = [replace(alert, simulated=True) for alert in found]
        self.correlator.learn(self.engine.calls())
        out.correlated.append(self.correlator.take([*items, *found], now_ms=now_ms))
        out.correlated.append(self.correlator.step(now_ms))
        groupings: list[Grouping] = [g for c in out.correlated for g in c.groupings]
        out.bridged.append(self.bridge.take(groupings, acts, now_ms=now_ms))
        out.bridged.append(self.bridge.step(now_ms))
        self.steps += 1
        if out.offset is not None:
            self.taken = out.offset
        if anyway or not out.empty:
            out.also = also
            self._waiting.append(out)
        self.flush()
        return out

    def set_aside(self, entry: JournalEntry, now_ms: int) -> None:
        """Pass over an entry that no stage survives: it is recorded, and the journal goes on.

        Raises
        ------
        StoreError
            If that cannot be written; nothing has changed then.
        """
        detail = entry.body[:_DETAIL_BYTES_MAX].decode("utf-8", "replace")
        record = AuditRecord(now_ms, "tocsin", "journal.set_aside", str(entry.offset), detail)
        self.flush()
        with self.store.records.write() as conn:
            audit_rows.save(conn, [record])
            offset_rows.put(conn, self.journal, entry.offset)
        self.taken = self.offset = entry.offset
        self.poisoned += 1
        self._report(
            f"journal entry {entry.offset} ({entry.kind}) from {entry.source!r} crashed the pipeline "
            "again and again; it is set aside, see the audit trail"
        )

    def flush(self) -> None:
        """Write what waits, in one transaction.

        Raises
        ------
        StoreError
            If it was refused; it waits on.
        """
        if self._waiting:
            with self.store.records.write() as conn:
                for out in self._waiting:
                    _write(conn, out, self.journal)
            self.offset = self.taken
            self._waiting = []

    def _decode(self, entries: Sequence[JournalEntry]) -> Iterator[Pushed]:
        """Read entries; one that cannot be read is counted and reported, never in the way."""
        for entry in entries:
            try:
                yield decode(_KINDS[entry.kind], entry.body)
            except (TocsinError, ValueError, TypeError, KeyError, AttributeError) as error:
                self.poisoned += 1
                self._report(f"journal entry {entry.offset} ({entry.kind}) is not usable: {error}")


def _write(conn: Connection, out: StepOutput, journal: str) -> None:
    change_rows.save(conn, out.changes)
    silence_rows.save(conn, out.silences)
    heartbeat_rows.save(conn, out.heartbeats)
    feedback_rows.save(conn, out.feedback)
    for correlated in out.correlated:
        alert_rows.save(conn, correlated.alerts)
        grouping_rows.save(conn, correlated.groupings)
    for bridged in out.bridged:
        incident_rows.save(conn, bridged.incidents)
        timeline_rows.save(conn, bridged.entries)
        clock_rows.save(conn, bridged.clocks)
        ledger_rows.save(conn, bridged.ledger)
        outbox_rows.add(conn, bridged.actions)
        outbox_rows.cancel(conn, bridged.cancelled, now_ms=out.now_ms)
    if out.offset is not None:
        offset_rows.put(conn, journal, out.offset)
    if out.also is not None:
        out.also(conn)


def _sort(
    values: Iterable[Pushed], out: StepOutput
) -> tuple[list[Alert | Change | Silence | Act], list[Act]]:
    """What the correlator takes, and the acts among it; `out` keeps what is stored as it came."""
    items: list[Alert | Change | Silence | Act] = []
    acts: list[Act] = []
    for value in values:
        if isinstance(value, Heartbeat):
            out.heartbeats.append(value)
            continue
        if isinstance(value, Feedback):
            out.feedback.append(value)
            continue
        items.append(value)
        if isinstance(value, Act):
            acts.append(value)
        elif isinstance(value, Change):
            out.changes.append(value)
        elif isinstance(value, Silence):
            out.silences.append(value)
    return items, acts


__all__ = ["Core", "Memory", "Pushed", "StepOutput"]
