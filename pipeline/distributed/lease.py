"""One of many does it: a row that its holder changes every little while, and others take over once it stands still."""

from __future__ import annotations

import json

from store import snapshots as snapshot_rows
from store.store import Store

LEASE_S = 15.0


class Lease:
    """A right that one process at a time has.

    Nobody's clock is compared with another's: whoever wants it watches the row, and takes it once it has
    not changed for `lease_s` of its own time. A holder that cannot renew in two thirds of that gives it up by
    itself. What is done under it must still be idempotent: a process that is stopped (not killed) and goes
    on does not know yet.

    Parameters
    ----------
    holder : str
        Unlike all others': host, process, start.
    """

    def __init__(self, store: Store, name: str, holder: str, *, lease_s: float = LEASE_S) -> None:
        self._store = store
        self._name = f"lease.{name}"
        self._holder = holder
        self._lease_s = lease_s
        self._count = 0
        self._mine: bytes | None = None
        self._renewed_s = 0.0
        self._seen: bytes | None = None
        self._seen_s = 0.0

    @property
    def held(self) -> bool:
        """Whether it was held when `hold` was last asked."""
        return self._mine is not None

    def hold(self, now_s: float, *, now_ms: int) -> bool:
        """Renew it, or try to get it; call it several times in `lease_s`.

        Raises
        ------
        StoreError
            If the database does not answer; ask `expired`.
        """
        if self._mine is not None:
            if now_s - self._renewed_s < self._lease_s / 3:
                return True
            return self._take(self._mine, now_s, now_ms)
        with self._store.records.read() as conn:
            found = snapshot_rows.get(conn, self._name)
        if found is None or found == b"":
            return self._take(found, now_s, now_ms)
        if found != self._seen:
            self._seen, self._seen_s = found, now_s
            return False
        return now_s - self._seen_s >= self._lease_s and self._take(found, now_s, now_ms)

    def expired(self, now_s: float) -> bool:
        """Whether a holder that could not renew has to give it up; then it has done so."""
        if self._mine is not None and now_s - self._renewed_s >= self._lease_s * 2 / 3:
            self._mine = None
        return self._mine is None

    def release(self, *, now_ms: int) -> None:
        """Let another have it at once."""
        if self._mine is not None:
            with self._store.records.write() as conn:
                snapshot_rows.replace(conn, self._name, b"", before=self._mine, now_ms=now_ms)
            self._mine = None

    def _take(self, before: bytes | None, now_s: float, now_ms: int) -> bool:
        self._count += 1
        mine = json.dumps([self._holder, self._count]).encode()
        with self._store.records.write() as conn:
            taken = snapshot_rows.replace(conn, self._name, mine, before=before, now_ms=now_ms)
        self._mine = mine if taken else None
        self._renewed_s = now_s
        self._seen = None
        return taken
