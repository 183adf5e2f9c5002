"""What happens to incidents as CloudEvents on a topic: once told, in order, over outages; readable by our own door."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.brokers import Broker
from collectors.json_input import read_time_ms
from incident_bridge.kafka_events import KafkaEvents, event_of
from incident_bridge.kafka_events_settings import EventMode, KafkaEventsSettings
from model.incident import ActKind, EntryKind, Signal, TimelineEntry
from model.reason import because
from store.store import Store
from store.ticket_links import TicketLink
from tests.collectors.kafka_topics import Topic, messages
from tests.incident_bridge.conftest import MINUTE_MS, START_MS, House, a_grouping

SOURCE = "https://tocsin.example"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


def sending(store: Store, topic: Topic, **settings: Any) -> KafkaEvents:
    chosen: dict[str, Any] = {"brokers": (topic.address,), "topic": topic.name, "interval_ms": 100}
    return KafkaEvents(KafkaEventsSettings(**{**chosen, **settings}), store, source=SOURCE)


def until(seen: Any) -> None:
    ends_s = time.monotonic() + 240
    while not seen():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def lived(house: House) -> None:
    """An incident from its opening to its end."""
    house.take(a_grouping())
    house.run()
    house.act(ActKind.ACKNOWLEDGE)
    house.take(a_grouping(Signal.QUIET))


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("tocsin.incident.") for event in events]


def test_an_incidents_life_once_and_in_order_over_a_restart(broker: Broker, store: Store) -> None:
    topic = Topic(broker.address, "events", 1)
    house = House(store)
    house.take(a_grouping(id="before"))
    house.run()
    events = sending(store, topic)
    events.start()
    until(lambda: store_knows(store))  # what happened before is history
    lived(house)
    until(lambda: events.sent >= 3 and not events.waiting)
    events.stop(10.0)
    before = events.sent
    house.clock.set(house.now_ms + MINUTE_MS)
    house.take(a_grouping(Signal.REFIRED))
    events = sending(store, topic)
    events.start()
    until(lambda: events.sent >= 1)
    events.stop(10.0)
    told = messages(topic, before + events.sent)
    found = [json.loads(value) for _, value, _ in told]
    life = [kind for kind in kinds(found) if kind != "updated.v1"]
    assert life == ["opened.v1", "acknowledged.v1", "resolved.v1", "reopened.v1"]
    assert {key for key, _, _ in told} == {b"inc1"}
    assert {event["subject"] for event in found} == {"inc1"}
    assert len({event["id"] for event in found}) == len(found)
    assert all(headers["content-type"] == "application/cloudevents+json" for *_, headers in told)


def store_knows(store: Store) -> bool:
    from store import offsets

    with store.records.read() as conn:
        return offsets.known(conn, offsets.KAFKA_EVENTS) is not None


def test_f22_no_broker_for_a_while_costs_nothing(tmp_path: Path, store: Store) -> None:
    with Broker(tmp_path) as broker:
        topic = Topic(broker.address, "events", 1)
    said: list[str] = []
    settings = KafkaEventsSettings(brokers=(topic.address,), topic="events", timeout_ms=1_000)
    events = KafkaEvents(settings, store, source=SOURCE, report=said.append)
    events.start()
    until(lambda: events.failures)
    events.stop(10.0)
    assert said and "is tried again" in said[0]
    assert events.sent == 0


def test_binary_mode_and_what_stands_in_it(broker: Broker, store: Store) -> None:
    topic = Topic(broker.address, "binary", 1)
    house = House(store)
    events = sending(store, topic, mode=EventMode.BINARY)
    events.start()
    until(lambda: store_knows(store))
    house.take(a_grouping())
    until(lambda: events.sent >= 1)
    events.stop(10.0)
    ((_, value, headers), *_) = messages(topic, 1)
    assert headers["ce-specversion"] == "1.0" and headers["ce-type"] == "tocsin.incident.opened.v1"
    assert headers["ce-source"] == SOURCE and headers["content-type"] == "application/json"
    assert read_time_ms(headers["ce-time"]) == START_MS
    incident = json.loads(value)["incident"]
    assert incident["url"] == f"{SOURCE}/incidents/inc1"
    assert (incident["state"], incident["service"], incident["priority"]) == ("open", "cart", "P2")


def test_what_is_told_and_what_is_not(house: House) -> None:
    house.take(a_grouping())
    links = [TicketLink("inc1", "builtin", "OPS-1", "http://desk/OPS-1")]
    for kind in EntryKind:
        entry = TimelineEntry("e1", "inc1", START_MS, kind, "ann", because("{x}", x="<b>\x1b[31m"))
        event = event_of(entry, house.incident(), links, source=SOURCE)
        quiet = (EntryKind.PAGE, EntryKind.SLA, EntryKind.SILENCE, EntryKind.CHANGE, EntryKind.RUNBOOK, EntryKind.FLAPPING)  # fmt: skip
        assert (event is None) == (kind in quiet)
        if event is not None:
            assert event.data["incident"]["tickets"][0]["number"] == "OPS-1"
            assert "\x1b" not in event.data["text"]
