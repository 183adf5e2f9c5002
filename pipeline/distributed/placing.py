"""Which partition of the alerts topic decides about what: a function of names, settings and the catalogue.

Whoever sends stamps its messages with the `stamp` of what it went by. Who decides goes by its own: a message
with another stamp is looked through, and what is not for it is sent on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import orjson
from sqlalchemy import Connection

from collectors.heartbeat import missing_labels
from correlator.topology import Topology
from model.alert import Alert
from model.codec import decode, encode
from model.errors import InputError
from model.identity import derive_id
from model.incident import Grouping, Incident
from model.journal import Heartbeat, JournalKind
from model.labels import Labels
from pipeline.settings import Settings
from store import incidents as incident_rows
from store import snapshots as snapshot_rows
from store.store import Store

FIRST = 0
"""The partition of what is about no service, and of what nobody knows any more."""

ROW = "placing"

ServicesOf = Callable[[str], Sequence[str]]
"""The services of an incident by its id, the first suspect first; nothing where it is not known."""


class Placing:
    """Places alerts and pushes.

    Attributes
    ----------
    count : int
        Partitions of the alerts topic.
    stamp : str
        The same for all that place the same; "" where there is but one partition.
    """

    def __init__(self, settings: Settings) -> None:
        machine = settings.machine
        self.count = machine.kafka.domains
        self._topology = Topology(settings.catalogue, machine.correlator)
        self.stamp = "" if self.count == 1 else self._stamp(settings)
        self._of_labels = lru_cache(maxsize=16_384)(self._place)

    def _stamp(self, settings: Settings) -> str:
        aliases = [[s.name, s.labels] for _, s in sorted(settings.catalogue.services.items())]
        told = encode([self.count, self._topology.domain_pairs(), aliases])
        return derive_id("placing", told.decode(), length=12)

    def of_labels(self, labels: Labels) -> int:
        """The partition of an alert with these labels."""
        return FIRST if self.count == 1 else self._of_labels(labels)

    def of_service(self, service: str) -> int:
        """The partition of a service that goes by this name."""
        return self.of_labels(Labels.of({"service": service}))

    def of_services(self, services: Sequence[str]) -> int:
        """The partition of an incident, by its affected services."""
        return self.of_service(services[0]) if services else FIRST

    def of_push(self, kind: JournalKind, body: bytes, services_of: ServicesOf) -> tuple[int, ...]:
        """The partitions of an accepted push: one, or all for a silence.

        What does not read goes to the first: whoever decides there says so.
        """
        if self.count == 1:
            return (FIRST,)
        try:
            return self._of_push(kind, body, services_of)
        except (InputError, ValueError, TypeError, KeyError, AttributeError):
            return (FIRST,)

    def _of_push(self, kind: JournalKind, body: bytes, services_of: ServicesOf) -> tuple[int, ...]:
        if kind is JournalKind.SILENCE:
            return tuple(range(self.count))
        if kind is JournalKind.HEARTBEAT:
            return (self.of_labels(missing_labels(decode(Heartbeat, body))),)
        said = orjson.loads(body)
        if kind is JournalKind.ALERT:
            return (self.of_labels(Labels(tuple(sorted(said["labels"].items())))),)
        if kind is JournalKind.CHANGE:
            return (self.of_service(said["service"]),)
        if kind is JournalKind.ACT:
            return (self.of_services(services_of(said["incident_id"])),)
        return (FIRST,)

    def _place(self, labels: Labels) -> int:
        domain = self._topology.domain(labels)
        return zlib.crc32(domain.encode("utf-8", "surrogatepass")) % self.count

    def announce(self, store: Store, now_ms: int) -> None:
        """Say that from now on this placing holds: who went by another may decide no more.

        Of two configurations that of the worker that started last is taken for the newer.
        """
        with store.records.write() as conn:
            snapshot_rows.put(conn, ROW, self.stamp.encode(), now_ms=now_ms)

    def holds(self, conn: Connection) -> bool:
        """Whether this placing is the one that was announced last, or none was."""
        found = snapshot_rows.get(conn, ROW)
        return found is None or found == self.stamp.encode()


def services_in(store: Store) -> ServicesOf:
    """The services of incidents as the records have them."""

    def services_of(incident_id: str) -> Sequence[str]:
        with store.records.read() as conn:
            found = incident_rows.get(conn, incident_id)
        return found.services if found else ()

    return services_of


class Share:
    """What of the records one partition remembers (`Core.restore`)."""

    def __init__(self, placing: Placing, partition: int) -> None:
        self._placing = placing
        self._partition = partition

    def alert(self, alert: Alert) -> bool:
        """Whether it is decided here."""
        return self._placing.of_labels(alert.labels) == self._partition

    def service(self, name: str) -> bool:
        """Whether changes of a service are looked at here."""
        return self._placing.of_service(name) == self._partition

    def heartbeat(self, beat: Heartbeat) -> bool:
        """Whether its silence is told here."""
        return self._placing.of_labels(missing_labels(beat)) == self._partition

    def incident(self, incident: Incident | Grouping) -> bool:
        """Whether it is decided here."""
        return self._placing.of_services(incident.services) == self._partition
