"""Every alert that is remembered, when to look at each again, and which rows are to be written."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterator

from model.alert import AlertStatus


class Rows(dict[str, AlertStatus]):
    """Alert rows by key. `write` stores one and notes it for `written`; `[key] = row` only stores.

    Examples
    --------
    >>> from model.alert import Alert
    >>> from model.labels import Labels
    >>> rows = Rows(remember_ms=100)
    >>> rows.write("k", AlertStatus(Alert(Labels(), "am", 0, 0, expires_ms=10)))
    >>> list(rows.due(9)), list(rows.due(10)), len(rows.written())
    ([], ['k'], 1)
    """

    def __init__(self, *, remember_ms: int) -> None:
        super().__init__()
        self._remember_ms = remember_ms
        self._changed: dict[str, None] = {}
        self._heap: list[tuple[int, str]] = []
        self._entry: dict[str, int] = {}
        self._made_room_ms: int | None = None

    def write(self, key: str, status: AlertStatus) -> None:
        """Store a row that has changed."""
        self[key] = status
        self._changed[key] = None
        self.watch(key)

    def written(self) -> tuple[AlertStatus, ...]:
        """Rows changed since this was asked last, by key."""
        changed = tuple(self[key] for key in sorted(self._changed) if key in self)
        self._changed.clear()
        return changed

    def make_room(self, keep: Container[str], now_ms: int) -> bool:
        """Forget the tenth of the resolved alerts that ended first, members of incidents to `keep` excepted.

        Returns whether that made room. In bulk, and once at a time, so that a flood costs little.
        """
        if now_ms == self._made_room_ms:
            return False
        self._made_room_ms = now_ms
        over = sorted(
            (status.alert.ends_ms, key)
            for key, status in self.items()
            if status.alert.ends_ms is not None
            and status.incident_id not in keep
            and key not in self._changed
        )
        for _, key in over[: len(over) // 10 + 1]:
            del self[key]
        return bool(over)

    def watch(self, key: str) -> None:
        """See to it that `due` names this alert when it expires or may be forgotten.

        An alert has one entry in the heap, never later than its time, so that a sender who repeats
        itself every second does not fill it.
        """
        due_ms = self.due_ms(self[key])
        if due_ms is None:
            return
        entry = self._entry.get(key)
        if entry is None or due_ms < entry:
            self._entry[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))

    def due_ms(self, status: AlertStatus) -> int | None:
        """When a firing alert expires, or a resolved one may be forgotten."""
        alert = status.alert
        return alert.expires_ms if alert.ends_ms is None else alert.ends_ms + self._remember_ms

    def due(self, now_ms: int) -> Iterator[str]:
        """Alerts whose time has come, each once; call `watch` for one that is kept."""
        while self._heap and self._heap[0][0] <= now_ms:
            entry_ms, key = heapq.heappop(self._heap)
            if self._entry.get(key) != entry_ms:
                continue
            del self._entry[key]
            status = self.get(key)
            if status is None:
                continue
            due_ms = self.due_ms(status)
            if due_ms is not None and due_ms <= now_ms:
                yield key
            elif due_ms is not None:
                self.watch(key)
