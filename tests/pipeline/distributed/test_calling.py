"""Edges learnt from traces reach who decides, at the same step as in one process, over crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import distributed as played
from benchmarks.telemetry import World
from model.alert import Alert
from model.batch import MetricBatch
from model.codec import encode
from model.journal import JournalEntry, JournalKind, NewEntry
from model.labels import Labels
from model.series import SeriesIndex
from pipeline import settings as reading
from pipeline import wiring
from pipeline.distributed.correlating import Correlating
from pipeline.distributed.holding import DetectingPartition
from pipeline.distributed.packing import packed
from pipeline.distributed.placing import Placing
from pipeline.distributed.shards import Splitter
from pipeline.distributed.wire import Entry, Tick, read, write
from pipeline.settings import Settings
from store import incidents as incident_rows
from store.store import Store

NOW = 1_800_000_000_000
SECONDS = 120
EDGE = Labels.of(
    {"__name__": "traces_service_graph_request_total", "client": "shop", "server": "stock"}
)


def entries(now_ms: int) -> list[Entry]:
    """Two services that the catalogue does not connect break, one after the other."""
    found = []
    for at_ms, service in ((NOW + 60_000, "stock"), (NOW + 70_000, "shop")):
        if at_ms == now_ms:
            words = {"alertname": "Down", "service": service, "severity": "critical"}
            alert = Alert(Labels.of(words), "prom", at_ms, at_ms)
            found.append(Entry(JournalKind.ALERT, "prom", at_ms, encode(alert)))
    return found


def batches(index: SeriesIndex, now_ms: int, *, traces: bool) -> list[MetricBatch]:
    """A counter of calls from one to the other."""
    if not traces or now_ms % 5_000:
        return []
    row = index.intern(EDGE, source="x", now_ms=now_ms)
    return [MetricBatch.of([row], now_ms, [(now_ms - NOW) / 1000], arrival_ms=now_ms, source="x")]


def one_process(settings: Settings, store: Store, *, traces: bool) -> list[bytes]:
    """What `tocsin run` decides."""
    index = SeriesIndex()
    core = wiring.build_core(settings, store, index)
    core.restore(NOW)
    offset = 0
    for now_ms in range(NOW, NOW + SECONDS * 1_000, 1_000):
        journal = []
        for one in entries(now_ms):
            offset += 1
            journal.append(JournalEntry(offset, one.kind, one.source, one.arrival_ms, one.body))
        core.step(now_ms, batches=batches(index, now_ms, traces=traces), entries=journal)
    return played.outcome(store)


def messages(settings: Settings, store: Store) -> dict[int, list[bytes]]:
    """What comes to each who decides: pushes, and what two detecting partitions tell."""
    index = SeriesIndex()
    splitter, placing = Splitter(index, 2), Placing(settings)
    detecting = [DetectingPartition(settings, store, number) for number in range(2)]
    topics: dict[int, list[bytes]] = {n: [] for n in range(placing.count)}
    for offset, now_ms in enumerate(range(NOW, NOW + SECONDS * 1_000, 1_000)):
        news = [NewEntry(e.kind, e.source, e.arrival_ms, e.body) for e in entries(now_ms)]
        for push in packed(news, placing, lambda _: ()):
            topics[push.partition].append(push.data)
        for batch in batches(index, now_ms, traces=True):
            for number, message in splitter.split(batch):
                detecting[number].take(write(message), 2 * offset)
        for one in detecting:
            for number, told in one.take(write(Tick(now_ms)), 2 * offset + 1):
                topics[number].append(told)
    return topics


def with_workers(settings: Settings, store: Store, *, crash_every: int = 0) -> list[bytes]:
    """What workers decide, who begin again now and then."""
    for number, topic in messages(settings, store).items():

        def stage(number: int = number) -> Correlating:
            return Correlating(settings, store, number, sources=2, patience_ms=10**12)

        decides, offset, begun = stage(), 0, 0
        while offset < len(topic):
            decides.take(read(topic[offset]), offset)
            offset += 1
            if crash_every and offset % crash_every == 0 and begun < offset // crash_every:
                begun += 1
                decides = stage()
                offset = decides.mark.resume
    return played.outcome(store)


@pytest.mark.parametrize("domains", [1, 2])
def test_f22_what_traces_show_groups_as_in_one_process(tmp_path: Path, domains: int) -> None:
    # With two who decide, both services are of one domain, which the second decides about.
    machine = f"kafka: {{partitions: 2, domains: {domains}}}\n"
    apart = "separate_domains: true" if domains > 1 else ""
    played.configure(tmp_path / "config", World(services=1), machine, apart)
    (tmp_path / "config" / "catalogue.yaml").write_text(
        "services: [{name: shop, domain: a}, {name: stock, domain: a}]\n"
    )
    settings = reading.load(tmp_path / "config")
    assert Placing(settings).of_service("shop") == domains - 1

    def opened(name: str) -> Store:
        return Store.open(f"sqlite:///{tmp_path / name}.db", now_ms=0)

    without, one, workers, crashing = map(opened, ("without", "one", "workers", "crashing"))
    expected = one_process(settings, one, traces=True)
    assert with_workers(settings, workers) == expected
    assert with_workers(settings, crashing, crash_every=37) == expected
    # It is the traces that do it.
    assert one_process(settings, without, traces=False) != expected
    with one.records.read() as conn:
        (incident,) = incident_rows.recent(conn, limit=10)
    assert set(incident.services) == {"shop", "stock"}
    for store in (without, one, workers, crashing):
        store.close()
