"""What a collector needs that brings alerts and acts, not telemetry: a way into the journal, and what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from model.alert import Alert, AlertStatus
from model.codec import encode
from model.errors import StoreError
from model.incident import Act, Incident
from model.journal import JournalKind, NewEntry
from store import alerts, incidents
from store.store import Store

_KEYS_AT_ONCE = 500

Submit = Callable[[Sequence[NewEntry]], Future[list[int]]]
"""Hands entries to the journal: the future is done once they are durable, and fails where they are not.
May raise StoreError at once where too many wait."""


@dataclass(frozen=True, slots=True)
class Accepting:
    """A way into the journal, and the records as far as a source concerns them.

    Attributes
    ----------
    submit : Submit
        A cursor moves on only once its future is done: nothing that was read is lost.
    store : Store
    """

    submit: Submit
    store: Store

    def firing(self, source: str, limit: int) -> list[AlertStatus]:
        """What a source has told and not ended; blocks on the store.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        with self.store.records.read() as conn:
            return alerts.recent(conn, firing=True, source=source, simulated=False, limit=limit)

    def incidents(self, keys: Iterable[str]) -> dict[str, Incident]:
        """The incident of each alert, by the alert's key; one that has none is left out.

        Raises
        ------
        StoreError
            If they cannot be read.
        """
        waiting, found = list(dict.fromkeys(keys)), dict[str, Incident]()
        with self.store.records.read() as conn:
            for at in range(0, len(waiting), _KEYS_AT_ONCE):
                known = alerts.by_keys(conn, waiting[at : at + _KEYS_AT_ONCE])
                ids = sorted({one.incident_id for one in known.values()} - {""})
                whole = incidents.get_many(conn, ids)
                found.update(
                    (key, whole[one.incident_id])
                    for key, one in known.items()
                    if one.incident_id in whole
                )
        return found


def alert_entry(alert: Alert, now_ms: int) -> NewEntry:
    """An alert for the journal."""
    return NewEntry(JournalKind.ALERT, alert.source, now_ms, encode(alert))


def act_entry(act: Act, now_ms: int) -> NewEntry:
    """A person's act for the journal."""
    return NewEntry(JournalKind.ACT, act.actor, now_ms, encode(act))


class Journalling:
    """One hand-over to the journal at a time, looked after without waiting for it."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._waiting: Future[list[int]] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return self._waiting is not None

    def begin(self, entries: Sequence[NewEntry]) -> None:
        """Hand over; `settled` says how it ends.

        Raises
        ------
        StoreError
            If there is no room; nothing is on its way then.
        """
        assert self._waiting is None, "the one before is not settled"
        self._waiting = self._submit(entries)

    def settled(self) -> bool | None:
        """Once: True where it is durable, False where it is not; None while it is under way."""
        if self._waiting is None or not self._waiting.done():
            return None
        done, self._waiting = self._waiting, None
        return done.exception() is None

    def wait(self, timeout_s: float) -> None:
        """Wait until it is known, for tests and for the end."""
        if self._waiting is not None:
            try:
                self._waiting.exception(timeout_s)
            except (TimeoutError, StoreError):
                return
