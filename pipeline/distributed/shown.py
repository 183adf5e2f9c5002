"""What workers let the console see: small rows in the records, written beside their snapshots.

The console holds no stage. What it shows of them (budgets, what runs out, probes, sources, the band of a series) is
what they said last; how old that may be is said here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from collectors.base import Collector
from collectors.probe import Prober, ProbeState
from collectors.probe_settings import ProbeTarget
from collectors.probing import Result
from console.ports import SourceHealth
from detectors.engine import Engine
from model.alert import Evidence
from model.capacity import Capacity, soonest_first
from model.codec import decode, encode
from model.identity import derive_id
from model.labels import Labels
from model.slo import Objective, SloState
from pipeline.health import sources_of
from store import snapshots as snapshot_rows

COLLECTED_EVERY_MS = 5_000
SILENT_MS = 60_000
"""A worker that said nothing for so long is not shown."""
AHEAD_MS = 60_000
"""The stream's time may be so far ahead of a machine's: clocks differ a little, and say nothing by it."""
BAND_KEPT_MS = 120_000
SENDERS_KEPT_MS = 86_400_000
_JUDGED, _COLLECTED, _BAND = "shown.judged.", "shown.collected.", "shown.band."
_SENDERS = "shown.senders."


@dataclass(frozen=True, slots=True)
class Judged:
    """What one partition's detectors know beside their alerts."""

    slos: tuple[SloState, ...] = ()
    capacity: tuple[Capacity, ...] = ()


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe as it stands, by its name: the target is in everybody's configuration."""

    name: str
    result: Result | None
    at_ms: int
    failing_since_ms: int | None


@dataclass(frozen=True, slots=True)
class Collected:
    """What one worker's collectors meet."""

    worker: str
    sources: tuple[SourceHealth, ...] = ()
    probes: tuple[Probed, ...] = ()


def judged_by(engine: Engine) -> bytes:
    """What a partition's detectors show, as bytes."""
    counted = tuple(state for state in engine.slos() if state.total > 0 or state.firing)
    return encode(Judged(counted, engine.capacity()))


def keep_judged(conn: Connection, partition: int, data: bytes, *, now_ms: int) -> None:
    """Let it be seen, and forget bands that nobody looks at any more."""
    snapshot_rows.put(conn, f"{_JUDGED}{partition}", data, now_ms=now_ms)
    snapshot_rows.prune(conn, _BAND, before_ms=now_ms - BAND_KEPT_MS)


def judged(conn: Connection, objectives: Sequence[Objective]) -> Judged:
    """Of all partitions.

    Each of them holds all objectives, and events of those that are measured on its services: the one
    that has counted most knows. What nobody has counted is unknown.
    """
    found = [decode(Judged, data) for _, _, data in snapshot_rows.named(conn, _JUDGED)]
    best = {one.name: SloState(one, 0) for one in objectives}
    for state in (state for one in found for state in one.slos):
        known = best.get(state.objective.name)
        if known is not None and state.total >= known.total:
            best[state.objective.name] = state
    capacity = soonest_first(tuple(line for one in found for line in one.capacity))
    return Judged(tuple(best.values()), capacity)


def collected_by(worker: str, collectors: Iterable[Collector]) -> bytes:
    """What a worker's collectors show, as bytes."""
    collectors = tuple(collectors)
    states = next((one.states for one in collectors if isinstance(one, Prober)), ())
    probes = [
        Probed(
            state.target.name,
            None if state.result is None else replace(state.result, values={}),
            state.at_ms,
            state.failing_since_ms,
        )
        for state in states
    ]
    return encode(Collected(worker, tuple(sources_of(collectors)), tuple(probes)))


def keep_collected(conn: Connection, worker: str, data: bytes, *, now_ms: int) -> None:
    """Let it be seen; workers that ended long ago are forgotten."""
    snapshot_rows.put(conn, f"{_COLLECTED}{worker}", data, now_ms=now_ms)
    snapshot_rows.prune(conn, _COLLECTED, before_ms=now_ms - 10 * SILENT_MS)


def collected(conn: Connection, *, now_ms: int) -> list[Collected]:
    """Of all workers that said something lately."""
    rows = snapshot_rows.named(conn, _COLLECTED)
    return [decode(Collected, data) for _, at_ms, data in rows if now_ms - at_ms < SILENT_MS]


def decided_ms(conn: Connection, domains: int) -> list[int]:
    """For each partition of the alerts topic the stream's time to which it was decided; 0 for not yet."""
    return [snapshot_rows.saved_ms(conn, f"correlate.{n}") or 0 for n in range(domains)]


def exchange_senders(conn: Connection, worker: str, senders: bytes, *, now_ms: int) -> list[bytes]:
    """Say who wrote to this door; who wrote to any door, this one before its last restart included."""
    snapshot_rows.put(conn, f"{_SENDERS}{worker}", senders, now_ms=now_ms)
    snapshot_rows.prune(conn, _SENDERS, before_ms=now_ms - SENDERS_KEPT_MS)
    return [data for _, _, data in snapshot_rows.named(conn, _SENDERS)]


def probes_of(found: Sequence[Collected], targets: Sequence[ProbeTarget]) -> tuple[ProbeState, ...]:
    """The configured probes as whoever runs them said last."""
    latest: dict[str, Probed] = {}
    for one in (probe for worker in found for probe in worker.probes):
        if one.name not in latest or one.at_ms > latest[one.name].at_ms:
            latest[one.name] = one
    return tuple(_probe(target, latest.get(target.name)) for target in targets)


def _probe(target: ProbeTarget, one: Probed | None) -> ProbeState:
    if one is None:
        return ProbeState(target)
    return ProbeState(target, one.result, one.at_ms, one.failing_since_ms)


def keep_band(
    conn: Connection, labels: Labels, evidence: Evidence | None, *, asked_ms: int
) -> None:
    """Answer whoever asked for a series' band."""
    data = b"" if evidence is None else encode(evidence)
    snapshot_rows.put(conn, _band_name(labels), data, now_ms=asked_ms)


def band(conn: Connection, labels: Labels) -> tuple[int, Evidence | None]:
    """The last answer, and when it was asked for; 0 where there is none."""
    name = _band_name(labels)
    asked_ms = snapshot_rows.saved_ms(conn, name) or 0
    data = snapshot_rows.get(conn, name)
    return asked_ms, decode(Evidence, data) if data else None


def _band_name(labels: Labels) -> str:
    return _BAND + derive_id("band", *(part for pair in labels.pairs for part in pair))
