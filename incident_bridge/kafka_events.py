"""What happens to incidents as CloudEvents 1.0 on a Kafka topic, from the store and beside the pipeline.

Read from the timelines behind a number that the store keeps and that moves only after all copies in sync have
what was sent: at least once, over any crash and any outage, with no queue of its own. An event's id is that
of the line it tells, so that a reader knows what it was sent again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from sqlalchemy import Connection

from collectors.kafka_client import client_options
from incident_bridge.kafka_events_settings import EventMode, KafkaEventsSettings
from incident_bridge.neutral import say
from model.errors import InputError, StoreError
from model.incident import EntryKind, Incident, TimelineEntry
from store import incidents as incident_rows
from store import offsets as offset_rows
from store import ticket_links
from store import timeline as timeline_rows
from store.store import Store
from store.ticket_links import TicketLink

log = logging.getLogger("tocsin.kafka_events")

WORLD = (KafkaError, InputError, StoreError, OSError, TimeoutError, asyncio.CancelledError)
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
PREFIX = "tocsin.incident"
_KINDS = {
    EntryKind.OPENED: "opened",
    EntryKind.ACKNOWLEDGED: "acknowledged",
    EntryKind.UNACKNOWLEDGED: "unacknowledged",
    EntryKind.RESOLVED: "resolved",
    EntryKind.REOPENED: "reopened",
    EntryKind.CLOSED: "closed",
    EntryKind.MERGED: "merged",
}
_UPDATED = (EntryKind.JOINED, EntryKind.CAUSE, EntryKind.PRIORITY, EntryKind.NOTE, EntryKind.TICKET)
_TEXT_MAX = 2_000

Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent: its attributes, and its data."""

    attributes: Mapping[str, str]
    data: Mapping[str, Any]

    def message(self, mode: EventMode) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers, as the Kafka protocol binding has them."""
        if mode is EventMode.STRUCTURED:
            whole = {**self.attributes, "datacontenttype": "application/json", "data": self.data}
            return orjson.dumps(whole), [("content-type", b"application/cloudevents+json")]
        headers = [(f"ce_{name}", value.encode()) for name, value in self.attributes.items()]
        return orjson.dumps(self.data), [*headers, ("content-type", b"application/json")]


def event_of(
    entry: TimelineEntry,
    incident: Incident,
    tickets: Sequence[TicketLink],
    *,
    source: str,
    translate: Translate = str,
) -> Event | None:
    """One line of an incident's history as an event; None for what only we do (pages, runbooks).

    The data is the incident as it stands now, not as it stood then.
    """
    kind = _KINDS.get(entry.kind) or ("updated" if entry.kind in _UPDATED else "")
    if not kind:
        return None
    attributes = {
        "specversion": "1.0",
        "id": entry.id,
        "source": source,
        "type": f"{PREFIX}.{kind}.v1",
        "subject": incident.id,
        "time": _time(entry.time_ms) or "",
    }
    return Event(attributes, _data(entry, incident, tickets, source, translate))


def _data(
    entry: TimelineEntry,
    incident: Incident,
    tickets: Sequence[TicketLink],
    source: str,
    translate: Translate,
) -> dict[str, Any]:
    return {
        "what": entry.kind.value,
        "text": say(entry.text, translate, length=_TEXT_MAX),
        "actor": entry.actor,
        "incident": {
            "id": incident.id,
            "url": f"{source.rstrip('/')}/incidents/{incident.id}",
            "state": incident.state.value,
            "title": say(incident.title, translate, length=200),
            "service": incident.service,
            "services": list(incident.services),
            "team": incident.team,
            "severity": incident.severity.value,
            "priority": incident.priority.value,
            "alert_count": incident.alert_count,
            "firing_count": incident.firing_count,
            "began": _time(incident.began_ms),
            "opened": _time(incident.opened_ms),
            "acknowledged": _time(incident.acknowledged_ms),
            "acknowledged_by": incident.acknowledged_by,
            "resolved": _time(incident.resolved_ms),
            "resolved_by": incident.resolved_by,
            "merged_into": incident.merged_into,
            "tickets": [
                {"desk": one.desk, "number": one.number, "url": one.url} for one in tickets
            ],
        },
    }


def _time(time_ms: int | None) -> str | None:
    if time_ms is None:
        return None
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


class KafkaEvents:
    """Sends what is new, round by round, in a thread of its own.

    Parameters
    ----------
    settings : KafkaEventsSettings
    store : Store
    source : str
        The events' `source`: where people reach the console.
    translate
        To the language of titles and texts.
    report
        Told once of each new trouble, and when it is over.
    """

    def __init__(
        self,
        settings: KafkaEventsSettings,
        store: Store,
        *,
        source: str,
        translate: Translate = str,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.sent = self.failures = self.waiting = 0
        self._store = store
        self._source = source
        self._translate = translate
        self._report = report
        self._trouble = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Send in a thread of its own."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._for_ever()), name="kafka-events", daemon=True
        )
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """Send nothing more; what is under way is waited for so long: it may be repeated."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    def counters(self) -> dict[str, float]:
        """Running totals."""
        return {
            "tocsin_kafka_events_total": self.sent,
            "tocsin_kafka_events_failures_total": self.failures,
            "tocsin_kafka_events_waiting": self.waiting,
        }

    async def _for_ever(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            before = self.sent
            try:
                await self._session()
            except WORLD as error:
                self.failures += 1
                failed = 0 if self.sent > before else failed + 1
                self._say(
                    f"kafka_events: {str(error)[:200] or type(error).__name__}; it is tried again"
                )
            pause_s = PAUSES_S[min(failed, len(PAUSES_S) - 1)]
            await asyncio.to_thread(self._stopping.wait, pause_s)

    async def _session(self) -> None:
        settings = self.settings
        options = client_options(settings, "tocsin-events")
        options["request_timeout_ms"] = settings.timeout_ms
        producer = AIOKafkaProducer(**options, acks="all", max_request_size=2**20)
        try:
            await producer.start()
            while not self._stopping.is_set():
                if not await self.round(producer):
                    self._say("")
                    await asyncio.to_thread(self._stopping.wait, settings.interval_ms / 1000)
        finally:
            try:
                await asyncio.wait_for(producer.stop(), settings.timeout_ms / 1000)
            except WORLD as error:  # nothing waits in it: what was not taken is sent again
                log.debug("the producer did not end in order: %r", error)

    async def round(self, producer: Any) -> bool:
        """Send the next lines of timelines; True if more wait.

        Raises
        ------
        KafkaError, TimeoutError
            If no broker takes them: nothing has moved.
        StoreError
            If the store does not say or keep where we are.
        """
        begun, rows = await asyncio.to_thread(self._next)
        sending = []
        for number, event in rows:
            if event is not None:
                value, headers = event.message(self.settings.mode)
                key = event.attributes["subject"].encode()
                topic = self.settings.topic
                sending.append(await producer.send(topic, value, key=key, headers=headers))
            begun = number
        within_s = self.settings.timeout_ms / 1000
        await asyncio.wait_for(asyncio.gather(*sending), within_s)
        self.sent += len(sending)
        if rows:
            await asyncio.to_thread(self._moved, begun)
        return len(rows) == self.settings.batch_max

    def _next(self) -> tuple[int, list[tuple[int, Event | None]]]:
        with self._store.records.write() as conn:
            last = timeline_rows.settled(conn)
        with self._store.records.read() as conn:
            known = offset_rows.known(conn, offset_rows.KAFKA_EVENTS)
            if known is not None:
                begun = min(known, last)  # numbers begin anew where everything was pruned
                rows = timeline_rows.after(conn, begun, limit=self.settings.batch_max, upto=last)
                events = self._events(conn, rows)
                self.waiting = max(0, last - (rows[-1][0] if rows else last))
                return begun, events
        self._moved(last)  # what happened before is history
        return last, []

    def _events(
        self, conn: Connection, rows: Sequence[tuple[int, TimelineEntry]]
    ) -> list[tuple[int, Event | None]]:
        ids = sorted({entry.incident_id for _, entry in rows})
        incidents = incident_rows.get_many(conn, ids)
        links = ticket_links.by_incidents(conn, ids) if ids else {}
        return [
            (
                number,
                None
                if (incident := incidents.get(entry.incident_id)) is None
                else event_of(
                    entry,
                    incident,
                    links.get(incident.id, ()),
                    source=self._source,
                    translate=self._translate,
                ),
            )
            for number, entry in rows
        ]

    def _moved(self, number: int) -> None:
        with self._store.records.write() as conn:
            offset_rows.put(conn, offset_rows.KAFKA_EVENTS, number)

    def _say(self, trouble: str) -> None:
        if self._trouble and not trouble:
            self._report("kafka_events: well again")
        elif trouble and not self._trouble:
            self._report(trouble)
        self._trouble = trouble
