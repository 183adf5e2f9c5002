"""What workers let the console see."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import distributed as played
from collectors.probe import ProbeState
from collectors.probe_settings import ProbeKind, ProbeTarget
from collectors.probing import Result
from console.ports import SourceHealth
from model.alert import Evidence
from model.capacity import Capacity
from model.clock import ManualClock, SystemClock
from model.codec import encode
from model.labels import Labels
from model.reason import because
from model.slo import Objective, SloState
from pipeline.distributed import shown
from pipeline.distributed.asking import QUIET_S, Asking
from pipeline.distributed.holding import DetectingPartition
from pipeline.distributed.shards import owner, shard
from pipeline.distributed.wire import Ask, read
from store.store import Store
from tests.pipeline.distributed.conftest import PARTITIONS, Storm

SERIES = Labels.of({"__name__": "up", "service": "pg"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
    yield opened
    opened.close()


def test_budgets_and_capacity_of_all_partitions(store: Store) -> None:
    cart, mail, new = Objective("cart"), Objective("mail"), Objective("new")
    lines = [
        Capacity("cart", "disk", Labels.of({"instance": f"c{n}"}), 0.5, full_ms=at)
        for n, at in enumerate([None, 5_000, 2_000])
    ]
    with store.records.write() as conn:
        for number, found in enumerate(
            [
                shown.Judged((SloState(cart, 1, total=90.0, bad=9.0),), (lines[0], lines[1])),
                shown.Judged((SloState(mail, 1, total=7.0), SloState(cart, 1, total=2.0))),
                shown.Judged((), (lines[2],)),
            ]
        ):
            shown.keep_judged(conn, number, encode(found), now_ms=1)
        seen = shown.judged(conn, (cart, mail, new))
    assert [(one.objective.name, one.total) for one in seen.slos] == [
        ("cart-availability", 90.0),
        ("mail-availability", 7.0),
        ("new-availability", 0.0),
    ]
    assert [one.full_ms for one in seen.capacity] == [2_000, 5_000, None]


def test_an_objective_that_is_no_longer_configured_is_not_shown(store: Store) -> None:
    with store.records.write() as conn:
        gone = shown.Judged((SloState(Objective("gone"), 1, total=1.0),))
        shown.keep_judged(conn, 0, encode(gone), now_ms=1)
        assert shown.judged(conn, ()).slos == ()


def test_probes_and_sources_of_workers_that_spoke_lately(store: Store) -> None:
    why = because("{target} answers HTTP {code}", target="pg", code="503")
    failed = Result(why, 0.2, (("resolve", 0.1),), expires_ms=9)
    here = shown.Collected(
        "a",
        (SourceHealth("log files", "collector", True),),
        (shown.Probed("pg", failed, 1_000, 500),),
    )
    earlier = shown.Collected("b", (), (shown.Probed("pg", Result(None, 0.1), 900, None),))
    with store.records.write() as conn:
        for one in (here, earlier):
            shown.keep_collected(conn, one.worker, encode(one), now_ms=1_000)
        found = shown.collected(conn, now_ms=2_000)
        assert shown.collected(conn, now_ms=1_000 + shown.SILENT_MS) == []
    assert {one.worker for one in found} == {"a", "b"} and here in found
    targets = [ProbeTarget(name, ProbeKind.TCP, "db:5432") for name in ("pg", "web")]
    assert shown.probes_of(found, targets) == (
        ProbeState(targets[0], failed, 1_000, 500),
        ProbeState(targets[1]),
    )


def test_a_band_is_what_the_detectors_of_that_partition_see(
    storm: Storm, store: Store, tmp_path: Path
) -> None:
    partitions = [DetectingPartition(storm.settings, store, n) for n in range(PARTITIONS)]
    offsets = [0] * PARTITIONS
    for topic, number, data in storm.messages[: len(storm.messages) // 8]:
        if topic == played.TELEMETRY:
            partitions[number].take(data, offsets[number])
            offsets[number] += 1
    series = next(
        labels
        for one in partitions
        for row in range(one.stage.index.capacity)
        if one.stage.index.in_use(row)
        and one.stage.engine.band(labels := one.stage.index.labels(row)) is not None
    )
    before = [one.stage.save() for one in partitions]

    def send(number: int, data: bytes) -> None:
        """As the topic brings it there, a little later."""

        def later() -> None:
            partitions[number].take(data, offsets[number])

        threading.Timer(0.05, later).start()

    asking = Asking(store, SystemClock(), send, partitions=PARTITIONS)
    seen = asking.band(series)
    number = shard(owner(series), PARTITIONS)
    assert seen is not None and seen == partitions[number].stage.engine.band(series)
    assert asking.band(series) == seen
    assert asking.band(SERIES) is None  # nobody knows it
    # Being asked changes nothing.
    assert [one.stage.save() for one in partitions] == before


def test_where_nobody_answers_pages_do_not_wait_for_each_plot(store: Store) -> None:
    sent: list[bytes] = []
    clock = ManualClock(10**12)
    asking = Asking(store, clock, lambda _, data: sent.append(data), partitions=4)
    began_s = clock.monotonic_s()
    for _ in range(20):
        assert asking.band(SERIES) is None
    assert clock.monotonic_s() - began_s < 3 and len(sent) == 1
    asked = read(sent[0])
    assert isinstance(asked, Ask) and asked.labels == SERIES
    clock.sleep(QUIET_S)
    asking.band(SERIES)
    assert len(sent) == 2


def test_an_old_answer_is_forgotten(store: Store) -> None:
    evidence = Evidence(SERIES, "baseline", "", 1.0)
    with store.records.write() as conn:
        shown.keep_band(conn, SERIES, evidence, asked_ms=5)
        assert shown.band(conn, SERIES) == (5, evidence)
        shown.keep_judged(conn, 0, encode(shown.Judged()), now_ms=10 * shown.BAND_KEPT_MS)
        assert shown.band(conn, SERIES) == (0, None)
