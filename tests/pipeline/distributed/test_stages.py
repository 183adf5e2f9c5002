"""The distributed stages without a broker: topics are lists, a crash is a new stage from what was kept."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks import distributed as played
from model.codec import encode
from pipeline.distributed.aligning import Mark
from pipeline.distributed.blocks import pack_labels, unpack_labels
from pipeline.distributed.correlating import Correlating, Fenced
from pipeline.distributed.detecting import Detecting
from pipeline.distributed.wire import Message, Samples, read, write
from store.store import Store
from tests.pipeline.distributed.conftest import PARTITIONS, Storm

PATIENCE_MS = 10**12


def detect(storm: Storm, *, crash_every: int = 0) -> list[bytes]:
    """The alerts topic that the detectors make of the storm; they crash and go on from a snapshot."""
    stages = {n: Detecting(storm.settings, n) for n in range(PARTITIONS)}
    snapshots: dict[int, tuple[int, bytes]] = {}
    read_so_far: dict[int, list[bytes]] = defaultdict(list)
    alerts: list[bytes] = []
    for topic, number, data in storm.messages:
        if topic == played.ALERTS:
            alerts.append(data)
            continue
        mine = read_so_far[number]
        mine.append(data)
        told = stages[number].take(read(data))
        alerts += [] if told is None else [write(told)]
        if crash_every and len(mine) % crash_every == crash_every // 2:
            snapshots[number] = len(mine), stages[number].save()
        if crash_every and len(mine) % crash_every == 0:
            offset, snapshot = snapshots[number]
            stages[number] = Detecting(storm.settings, number)
            stages[number].load(snapshot)
            for again in mine[offset:]:
                told = stages[number].take(read(again))
                alerts += [] if told is None else [write(told)]
    return alerts


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)


def correlating(storm: Storm, store: Store) -> Correlating:
    return Correlating(storm.settings, store, 0, sources=PARTITIONS, patience_ms=PATIENCE_MS)


def differences(storm: Storm, store: Store) -> set[bytes]:
    return set(storm.expected) ^ set(played.outcome(store))


def test_partitions_decide_what_one_process_decides(storm: Storm, store: Store) -> None:
    stage = correlating(storm, store)
    for offset, data in enumerate(detect(storm)):
        stage.take(read(data), offset)
    assert len([one for one in storm.expected if b'"opened_ms"' in one]) >= 2
    assert differences(storm, store) == set()
    store.close()


def test_samples_taken_together_are_told_of_as_taken_one_by_one(storm: Storm) -> None:
    telemetry = [(n, read(data)) for topic, n, data in storm.messages if topic != played.ALERTS]
    told: list[list[list[bytes]]] = []
    for apart in (True, False):
        stages = [Detecting(storm.settings, n) for n in range(PARTITIONS)]
        for stage in stages:
            stage.apart = apart
        answers = [stages[n].take(part) for n, message in telemetry for part in _cut(message)]
        told.append([sorted(map(encode, one.alerts)) for one in answers if one is not None])
    assert told[0] == told[1]
    assert sum(map(len, told[0])) > 10


def _cut(message: Message) -> list[Message]:
    """Samples in five messages, as targets of their own would send them."""
    if not isinstance(message, Samples):
        return [message]
    labels, parts = unpack_labels(message.series), list[Message]()
    for n in range(5):
        series, times_ms = pack_labels(labels[n::5]), message.times_ms[n::5]
        if len(times_ms):
            values, kinds = message.values[n::5], message.kinds
            parts.append(Samples(series, times_ms, values, message.arrival_ms, f"t{n}", kinds))
    return parts


def test_f22_crashes_of_all_stages_change_nothing(storm: Storm, store: Store) -> None:
    topic = detect(storm, crash_every=400)
    assert len(topic) > len(detect(storm))  # told again what had been told
    stage = correlating(storm, store)
    offset = crashes = 0
    while offset < len(topic):
        stage.take(read(topic[offset]), offset)
        offset += 1
        if offset % 500 == 0 and crashes < len(topic) // 500:
            crashes += 1
            stage = correlating(storm, store)
            offset = stage.mark.resume
    assert crashes > 3
    assert differences(storm, store) == set()
    store.close()


def test_f22_of_two_workers_on_one_partition_one_writes(storm: Storm, store: Store) -> None:
    topic = detect(storm)
    first, second = correlating(storm, store), correlating(storm, store)
    with pytest.raises(Fenced):
        for offset, data in enumerate(topic):
            first.take(read(data), offset)
            second.take(read(data), offset)
    store.close()


def test_a_mark_is_read_as_it_was_written() -> None:
    mark = Mark(5, 1_000, 3, {1: 900, -1: 950})
    assert Mark.load(mark.save()) == mark
