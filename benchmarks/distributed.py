"""One recorded storm for both runtimes: the stages in one process, and cut into partitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.telemetry import START_MS, World, record
from model.alert import Alert
from model.batch import LogBatch, MetricBatch
from model.codec import decode, encode
from model.journal import JournalEntry, JournalKind, NewEntry
from model.labels import Labels
from model.series import SeriesIndex
from pipeline import settings as reading
from pipeline import wiring
from pipeline.distributed.packing import packed
from pipeline.distributed.placing import Placing, ServicesOf
from pipeline.distributed.shards import Splitter
from pipeline.distributed.wire import Entry, Tick, write
from pipeline.recorded_logs import LogReader
from pipeline.recorded_metrics import FOREVER_MS
from pipeline.recording import Recording
from pipeline.settings import Settings
from store import alerts as alert_rows
from store import incidents as incident_rows
from store import outbox as outbox_rows
from store import timeline as timeline_rows
from store.store import Store

TICK_MS = 5_000
SETTLE_MS = 1_200_000
TELEMETRY, ALERTS = "telemetry", "alerts"


def configure(folder: Path, world: World, machine: str = "", correlator: str = "") -> Settings:
    """A configuration folder with the world's services."""
    folder.mkdir(parents=True)
    correlator = f"group_wait: 20s, {correlator}".rstrip(", ")
    (folder / "tocsin.yaml").write_text(f"correlator: {{{correlator}}}\n{machine}")
    services = [
        f"  - {{name: {one.name}, tier: {one.tier}, depends_on: [{', '.join(one.depends_on)}]}}\n"
        for one in world.catalogue().services.values()
    ]
    (folder / "catalogue.yaml").write_text("services:\n" + "".join(services))
    return reading.load(folder)


def record_storm(world: World, folder: Path, alerts: int = 300) -> None:
    """The world's telemetry, and pushed alerts of two of its services within a minute."""
    record(world, folder)
    begin_ms = START_MS + world.faults[1].begin_s * 1000
    with (folder / "alerts.jsonl").open("wb") as file:
        for n in range(alerts):
            at_ms = begin_ms + n * 60_000 // alerts
            words = {"alertname": "Pushed", "service": f"service{n % 2:02d}", "instance": f"i{n}"}
            labels = Labels.of({**words, "severity": "critical" if n % 3 else "warning"})
            ends_ms = at_ms + 240_000
            file.write(encode(Alert(labels, "prom", at_ms, at_ms)) + b"\n")
            file.write(encode(Alert(labels, "prom", at_ms, ends_ms, ends_ms=ends_ms)) + b"\n")
    lines = sorted((folder / "alerts.jsonl").read_bytes().splitlines(), key=_arrival_ms)
    (folder / "alerts.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def _arrival_ms(line: bytes) -> int:
    return decode(Alert, line).arrival_ms


@dataclass(frozen=True, slots=True)
class Moment:
    """What arrived up to a tick."""

    now_ms: int
    batches: list[MetricBatch | LogBatch]
    entries: list[Entry]


def moments(folder: Path, index: SeriesIndex, extra: Sequence[Entry] = ()) -> Iterator[Moment]:
    """A recording tick by tick, with what else was pushed in the meantime, and quiet at its end."""
    recording, logs = Recording(folder, index), LogReader()
    pushed = deque(sorted(extra, key=lambda one: one.arrival_ms))
    now_ms = ended_ms = -(-recording.next_ms() // TICK_MS) * TICK_MS
    while now_ms <= ended_ms + SETTLE_MS:
        part = recording.take_until(now_ms)
        batches: list[MetricBatch | LogBatch] = []
        for taken in part.metrics:
            index.touch(taken.rows, now_ms)
            batches.append(MetricBatch(taken.rows, taken.times_ms, taken.values, now_ms, "rec"))
        batches += logs.read(part.logs, now_ms)
        entries = [Entry(JournalKind.CHANGE, "rec", now_ms, encode(one)) for one in part.changes]
        entries += [Entry(JournalKind.ALERT, "rec", now_ms, encode(one)) for one in part.alerts]
        while pushed and pushed[0].arrival_ms <= now_ms:
            entries.append(pushed.popleft())
        if recording.next_ms() < FOREVER_MS:
            ended_ms = now_ms
        yield Moment(now_ms, batches, entries)
        now_ms += TICK_MS


def _nobody(_incident_id: str) -> Sequence[str]:
    return ()


def messages(
    folder: Path,
    partitions: int,
    *,
    settings: Settings | None = None,
    extra: Sequence[Entry] = (),
    services_of: ServicesOf = _nobody,
) -> Iterator[tuple[str, int, bytes]]:
    """The recording as an intake sends it: topic, partition, message.

    Without `settings` each push goes alone to one partition; with them as `packing` says.
    """
    index = SeriesIndex()
    splitter = Splitter(index, partitions)
    placing = None if settings is None else Placing(settings)
    for moment in moments(folder, index, extra):
        if placing is None:
            yield from ((ALERTS, 0, write(entry)) for entry in moment.entries)
        else:
            news = [NewEntry(e.kind, e.source, e.arrival_ms, e.body) for e in moment.entries]
            yield from (
                (ALERTS, one.partition, one.data) for one in packed(news, placing, services_of)
            )
        for batch in moment.batches:
            for number, message in splitter.split(batch):
                yield TELEMETRY, number, write(message)
        for number in range(partitions):
            yield TELEMETRY, number, write(Tick(moment.now_ms))


def embedded(folder: Path, settings: Settings, store: Store, extra: Sequence[Entry] = ()) -> None:
    """The undisturbed run in one process, into `store`."""
    index = SeriesIndex()
    core = wiring.build_core(settings, store, index)
    offset = 0
    for moment in moments(folder, index, extra):
        if core.steps == 0:
            core.restore(moment.now_ms)
        entries = []
        for one in moment.entries:
            offset += 1
            entries.append(JournalEntry(offset, one.kind, one.source, one.arrival_ms, one.body))
        core.step(moment.now_ms, batches=moment.batches, entries=entries)


def outcome(store: Store) -> list[bytes]:
    """Everything decided, byte for byte: alerts, incidents with their timelines, actions."""
    with store.records.read() as conn:
        found = [encode(one) for one in alert_rows.recent(conn, limit=1_000_000)]
        incidents = incident_rows.recent(conn, limit=1_000_000)
        for incident in incidents:
            found.append(encode(incident))
            found.append(encode(list(timeline_rows.by_incident(conn, incident.id))))
            actions = outbox_rows.by_incident(conn, incident.id)
            found += sorted(encode(queued.action) for queued in actions)
    return sorted(found)
