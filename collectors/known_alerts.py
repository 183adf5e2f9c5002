"""What fires under a key of its sender's: found in what was accepted lately, and in the store."""

from __future__ import annotations

import threading
from collections import OrderedDict

from collectors.told import KEY_LABEL, Action, Told, settle
from model.alert import Alert, AlertStatus
from model.identity import derive_id
from model.incident import Act, ActKind
from store import alerts
from store.store import Store

KNOWN_MAX = 100_000
UNSEEN_MS = 300_000
"""So long an accepted alert may be on its way through the journal to the store."""


class KnownAlerts:
    """The firing alerts that have a key; of the oldest ones the store is asked again."""

    def __init__(self, known_max: int = KNOWN_MAX) -> None:
        self._known_max = known_max
        self._known: OrderedDict[tuple[str, str], Alert] = OrderedDict()
        self._loaded = False
        self._lock = threading.Lock()

    def find(self, store: Store, source: str, key: str, now_ms: int) -> AlertStatus | None:
        """What fires now under this source and key; blocks on the store."""
        self._load(store)
        with self._lock:
            alert = self._known.get((source, key))
        if alert is None:
            return None
        with store.records.read() as conn:
            status = alerts.by_keys(conn, [alert.key]).get(alert.key)
        if status is not None and status.alert.starts_ms >= alert.starts_ms:
            return status if status.alert.firing else None
        # It is in the journal still, or it was never stored.
        return AlertStatus(alert) if now_ms - alert.arrival_ms < UNSEEN_MS else None

    def settle(
        self, told: Told, store: Store, *, source: str, now_ms: int
    ) -> tuple[list[Alert], Act | None]:
        """The alerts that follow from what was told, or the act; blocks on the store.

        What is returned is taken for accepted: it must get to the journal.
        """
        known = self.find(store, source, told.key, now_ms)
        if told.action is Action.ACKNOWLEDGE:
            if known is None or not known.incident_id:
                return [], None
            name = derive_id("acknowledged", source, told.key, told.time_ms)
            kind = ActKind.ACKNOWLEDGE
            act = Act(name, known.incident_id, kind, source, told.time_ms, told.text)
            return [], act
        alert = None if known is None else known.alert
        found = settle(told, alert, source=source, now_ms=now_ms)
        self.note(list(reversed(found)))  # the firing one is noted last
        return found, None

    def note(self, found: list[Alert]) -> None:
        """What was accepted, in order."""
        with self._lock:
            for alert in found:
                self._keep(alert)

    def _keep(self, alert: Alert) -> None:
        name = (alert.source, alert.labels.get(KEY_LABEL, ""))
        known = self._known.get(name)
        if alert.firing:
            self._known[name] = alert
            self._known.move_to_end(name)
            while len(self._known) > self._known_max:
                self._known.popitem(last=False)
        elif known is not None and known.key == alert.key:
            del self._known[name]

    def _load(self, store: Store) -> None:
        if self._loaded:
            return
        with store.records.read() as conn:
            stored = alerts.firing(conn, limit=self._known_max)
        with self._lock:
            if not self._loaded:
                newer, self._known = self._known, OrderedDict()
                for status in stored:
                    if KEY_LABEL in status.alert.labels:
                        self._keep(status.alert)
                self._known.update(newer)
                self._loaded = True
