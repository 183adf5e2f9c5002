"""Several who decide, each about some correlation domains: together they decide what one process decides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import distributed as played
from benchmarks.telemetry import START_MS
from model.alert import Alert
from model.change import Change
from model.codec import decode, encode
from model.incident import Act, ActKind, Incident
from model.journal import Heartbeat, JournalKind
from model.labels import Labels, Matcher
from model.silence import Silence
from pipeline.distributed.correlating import Correlating, Fenced
from pipeline.distributed.detecting import Detecting
from pipeline.distributed.holding import CorrelatingPartition, shared_out
from pipeline.distributed.placing import Placing
from pipeline.distributed.wire import Entries, Entry, Told, read, write
from pipeline.settings import Settings
from store import incidents as incident_rows
from store.store import Store
from tests.pipeline.distributed.conftest import PARTITIONS, WORLD, Storm

DOMAINS = 3
PATIENCE_MS = 10**12
APART = (
    "separate_domains: true, inhibit: [{source: ['alertname=Down'], target: ['alertname=Slow'],"
    " equal: [cluster]}]"
)
BEGIN_MS = START_MS + 1_400_000


def alert(at_ms: int, ends_ms: int | None = None, **labels: Any) -> Entry:
    """A pushed alert, or its end."""
    one = Alert(Labels.of(labels), "prom", at_ms, ends_ms or at_ms, ends_ms=ends_ms)
    return Entry(JournalKind.ALERT, "prom", ends_ms or at_ms, encode(one))


def others() -> Iterator[Entry]:
    """What ties services that the catalogue does not know, and everything that is not an alert."""
    for n in range(16):
        at_ms, service = BEGIN_MS + 7_000 * n, f"pay{n % 8}"
        name = ("Down", "Slow")[n // 8]
        words: dict[str, Any] = {
            "alertname": name,
            "service": service,
            "cluster": "c1",
            "severity": "critical",
        }
        yield alert(at_ms, **words)
        yield alert(at_ms, at_ms + 300_000, **words)
        yield alert(at_ms, **words, signal="latency")
        yield alert(at_ms, alertname="Load", service="host", instance=f"h{n}", severity="warning")
        yield alert(at_ms, alertname="Nobody", instance=f"h{n % 3}", severity="warning")
        said = encode(Change(f"c{n}", at_ms - 20_000, "deploy", service, "v3", arrival_ms=at_ms))
        yield Entry(JournalKind.CHANGE, "ci", at_ms - 1_000, said)
        beat = Heartbeat(f"job{n % 5}", at_ms, 60_000, f"pay{n % 5}" if n % 5 % 2 else "", "cron")
        yield Entry(JournalKind.HEARTBEAT, "cron", at_ms, encode(beat))
    for name, matcher, updated_ms, ends_ms in (
        ("s1", "alertname=~Slow|Pushed", BEGIN_MS + 50_000, 10**13),
        ("s1", "alertname=~Slow|Pushed", BEGIN_MS + 200_000, BEGIN_MS + 200_000),
        ("s2", "alertname=Nobody", BEGIN_MS + 60_000, 10**13),
    ):
        matchers = (Matcher.parse(matcher),)
        silence = Silence(name, matchers, BEGIN_MS + 50_000, ends_ms, "ann", "", updated_ms)
        yield Entry(JournalKind.SILENCE, "ann", updated_ms, encode(silence))


def acts(incidents: Sequence[Incident]) -> Iterator[Entry]:
    """People do something to every incident, and to one that nobody knows."""
    for n, one in enumerate(incidents):
        kinds = (ActKind.ACKNOWLEDGE, ActKind.CLOSE if n % 2 else ActKind.NOTE, ActKind.REOPEN)
        for k, kind in enumerate(kinds):
            at_ms = one.opened_ms + 30_000 * (k + 1)
            act = Act(f"{one.id}.{k}", one.id, kind, "ann", at_ms, "looked at it")
            yield Entry(JournalKind.ACT, "ann", at_ms, encode(act))
    lost = Act("lost", "0123456789abcdef", ActKind.NOTE, "ann", BEGIN_MS, "who is this?")
    yield Entry(JournalKind.ACT, "ann", BEGIN_MS, encode(lost))


@dataclass(frozen=True, slots=True)
class Parted:
    """The storm with all that, what one process makes of it, and the messages of each who decides."""

    settings: Settings
    expected: list[bytes]
    topic: list[tuple[int, bytes]]
    whole: list[bytes]


def decided_by_one(storm: Storm, settings: Settings, path: Path, extra: Sequence[Entry]) -> Store:
    store = Store.open(f"sqlite:///{path}", now_ms=0)
    played.embedded(storm.folder / "recorded", settings, store, extra)
    return store


@pytest.fixture(scope="module")
def parted(storm: Storm, tmp_path_factory: pytest.TempPathFactory) -> Parted:
    folder = tmp_path_factory.mktemp("domains")
    machine = f"kafka: {{partitions: {PARTITIONS}, domains: {DOMAINS}}}\n"
    settings = played.configure(folder / "config", WORLD, machine, APART)
    extra = list(others())
    store = decided_by_one(storm, settings, folder / "first.db", extra)
    with store.records.read() as conn:
        incidents = incident_rows.recent(conn, limit=1_000)
    store.close()
    extra += acts(incidents)
    store = decided_by_one(storm, settings, folder / "embedded.db", extra)
    expected = played.outcome(store)
    store.close()
    services = {one.id: one.services for one in incidents}
    messages = played.messages(
        storm.folder / "recorded",
        PARTITIONS,
        settings=settings,
        extra=extra,
        services_of=lambda name: services.get(name, ()),
    )
    placing = Placing(settings)
    stages = [Detecting(settings, n) for n in range(PARTITIONS)]
    topic: list[tuple[int, bytes]] = []
    for name, number, data in messages:
        if name == played.ALERTS:
            topic.append((number, data))
        elif (told := stages[number].take(read(data))) is not None:
            topic += [(n, write(one)) for n, one in shared_out(told, placing)]
    return Parted(settings, expected, topic, [data for _, data in topic])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
    yield opened
    opened.close()


def deciding(settings: Settings, store: Store, partition: int) -> Correlating:
    return Correlating(settings, store, partition, sources=PARTITIONS, patience_ms=PATIENCE_MS)


def test_the_storm_has_something_in_each_domain(parted: Parted) -> None:
    placing = Placing(parted.settings)
    found = [decode(Incident, one) for one in parted.expected if b'"opened_ms"' in one]
    assert len({placing.of_services(one.services) for one in found}) == DOMAINS
    assert len(found) > 12
    assert any(one.merged_into or one.acknowledged_ms for one in found)
    assert any(b'"silenced_by":["inhibit:' in one for one in parted.expected)
    assert any(b'"silenced_by":["s2"' in one for one in parted.expected)


def test_several_who_decide_decide_what_one_process_decides(parted: Parted, store: Store) -> None:
    stages = [deciding(parted.settings, store, n) for n in range(DOMAINS)]
    offsets: dict[int, int] = defaultdict(int)
    for number, data in parted.topic:
        stages[number].take(read(data), offsets[number])
        offsets[number] += 1
    assert set(parted.expected) ^ set(played.outcome(store)) == set()
    assert not any(stage.misplaced for stage in stages)


def test_f22_each_falls_behind_and_crashes_in_its_turn(parted: Parted, store: Store) -> None:
    logs = {n: [data for to, data in parted.topic if to == n] for n in range(DOMAINS)}
    stages = {n: deciding(parted.settings, store, n) for n in range(DOMAINS)}
    offsets = dict.fromkeys(logs, 0)
    crashed: dict[int, int] = defaultdict(int)
    turn = 0
    while any(offsets[n] < len(log) for n, log in logs.items()):
        turn += 1
        number = turn % DOMAINS
        # Unequal paces: one is far ahead of another when it dies.
        for _ in range((7, 90, 300)[turn // 5 % 3] * (1 + number)):
            if offsets[number] < len(logs[number]):
                stages[number].take(read(logs[number][offsets[number]]), offsets[number])
                offsets[number] += 1
        if turn % 7 == number and crashed[number] < 6:
            crashed[number] += 1
            stages[number] = deciding(parted.settings, store, number)
            offsets[number] = stages[number].mark.resume
    assert min(crashed.values()) >= 3
    assert set(parted.expected) ^ set(played.outcome(store)) == set()


def test_one_becomes_several_and_nothing_is_lost(
    parted: Parted, store: Store, tmp_path: Path
) -> None:
    # Before: one partition for everything. Its last messages are read by the new ones, and sent on.
    one = played.configure(tmp_path / "one", WORLD, f"kafka: {{partitions: {PARTITIONS}}}\n", APART)
    together = unparted(parted)
    half = len(together) * 6 // 10
    stage = deciding(one, store, 0)
    for offset, data in enumerate(together[: half - 40]):
        stage.take(read(data), offset)
    topics: dict[int, list[bytes]] = {n: [] for n in range(DOMAINS)}
    topics[0] = together[:half]
    stages = [deciding(parted.settings, store, n) for n in range(DOMAINS)]
    for offset in range(stages[0].mark.resume, half):
        stages[0].take(read(topics[0][offset]), offset)
        for to, data in stages[0].misplaced:
            topics[to].append(data)
        stages[0].misplaced = []
    assert any(isinstance(read(data), Entries) for data in topics[1] + topics[2])
    for number, data in after(parted, half):
        topics[number].append(data)
    for number, begin in ((0, half), (1, 0), (2, 0)):
        for offset in range(begin, len(topics[number])):
            stages[number].take(read(topics[number][offset]), offset)
    found = played.outcome(store)
    assert ids(found) == ids(parted.expected)


def unparted(parted: Parted) -> list[bytes]:
    """The messages as one partition has them: what was told of each tick once, pushes without a stamp."""
    found: list[bytes] = []
    for position in order(parted):
        found.append(position[1])
    return found


def order(parted: Parted) -> list[tuple[int, bytes]]:
    """Each message of one partition with the number of messages of the parted topic up to it."""
    found: list[tuple[int, bytes]] = []
    silences: set[bytes] = set()
    told: list[Told] = []
    for at, (_, data) in enumerate(parted.topic):
        message = read(data)
        if isinstance(message, Told):
            told.append(message)
            if len(told) == DOMAINS:
                alerts = tuple(alert for one in told for alert in one.alerts)
                found.append((at, write(Told(message.partition, message.now_ms, alerts))))
                told = []
            continue
        assert isinstance(message, Entries)
        kept = tuple(e for e in message.entries if e.body not in silences)
        silences |= {e.body for e in message.entries if e.kind is JournalKind.SILENCE}
        if kept:
            found.append((at, write(Entries(kept))))
    return found


def after(parted: Parted, count: int) -> list[tuple[int, bytes]]:
    """The parted topic after the first `count` messages of one partition."""
    return parted.topic[order(parted)[count - 1][0] + 1 :]


def ids(outcome: list[bytes]) -> set[str]:
    """Which incidents there are."""
    return {decode(Incident, one).id for one in outcome if b'"opened_ms"' in one}


def test_who_goes_by_another_catalogue_decides_no_more(
    parted: Parted, store: Store, tmp_path: Path
) -> None:
    stage = deciding(parted.settings, store, 0)
    mine = [data for number, data in parted.topic if number == 0]
    for offset, data in enumerate(mine[:300]):
        stage.take(read(data), offset)
    with pytest.raises(Fenced, match="3 partitions only"):
        deciding(parted.settings, store, DOMAINS)
    placing = Placing(parted.settings)
    placing.announce(store, 1)
    for offset, data in enumerate(mine[300:400], 300):
        stage.take(read(data), offset)
    machine = f"kafka: {{partitions: {PARTITIONS}, domains: {DOMAINS + 1}}}\n"
    Placing(played.configure(tmp_path / "c", WORLD, machine, APART)).announce(store, 2)
    with pytest.raises(Fenced, match="other domains"):
        for offset, data in enumerate(mine[400:], 400):
            stage.take(read(data), offset)


def test_f23_pushes_that_came_with_a_poison_are_tried_one_by_one(
    parted: Parted, store: Store
) -> None:
    held = CorrelatingPartition(parted.settings, store, 0, lambda: None)
    pushes = tuple(alert(n, alertname=f"a{n}") for n in range(3))
    assert [read(one) for one in held.split(write(Entries(pushes, "x")))] == [
        Entries((one,), "x") for one in pushes
    ]
    assert held.split(write(Entries(pushes[:1]))) == held.split(write(Told(0, 1))) == []
