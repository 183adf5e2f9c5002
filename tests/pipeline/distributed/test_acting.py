"""Who has the lease performs, and what it counts is shown for as long as it does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.ports import free_port
from model.clock import SystemClock
from pipeline import settings as reading
from pipeline.distributed.acting import Acting
from pipeline.distributed.lease import Lease
from pipeline.distributed.outlet import Outlet
from pipeline.distributed.placing import services_in
from store.store import Store

EVENTS = {
    "tocsin_kafka_events_total",
    "tocsin_kafka_events_failures_total",
    "tocsin_kafka_events_waiting",
}


async def performing(acting: Acting) -> tuple[set[str], set[str]]:
    """Names of what is counted while it performs, and after it has ended."""
    stopping = asyncio.Event()
    running = asyncio.create_task(acting.run(stopping))
    while not acting.counters()["tocsin_acting"]:
        assert not running.done()
        await asyncio.sleep(0.01)
    during = set(acting.counters())
    stopping.set()
    await running
    return during, set(acting.counters())


def test_who_performs_shows_the_counters_of_kafka_events(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(
        f"kafka_events: {{brokers: ['127.0.0.1:{free_port()}'], topic: incidents}}\n"
    )
    settings = reading.load(tmp_path)
    store = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
    outlet = Outlet(settings, services_in(store))
    acting = Acting(settings, store, SystemClock(), outlet, Lease(store, "act", "a"))
    during, after = asyncio.run(performing(acting))
    store.close()
    assert during >= EVENTS | {"tocsin_acting"}
    assert after == {"tocsin_acting"}
