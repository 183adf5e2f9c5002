"""The journal: what was accepted, in order, on the disk before anybody is told so."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from model.errors import StoreError
from model.journal import JournalEntry, JournalKind, NewEntry
from store.database import Database
from store.schema import entries as table
from store.schema import head

_PRUNED_AT_ONCE = 5_000


@dataclass(slots=True)
class _Waiting:
    entries: Sequence[NewEntry]
    bytes: int
    offsets: Future[list[int]]


class Journal:
    """Accepted entries with their offsets, appended by many threads and read by one.

    Flushing the disk takes a millisecond, however much is flushed. So one thread commits all that
    is waiting at once (group commit), and everybody in that batch waits for the same flush.

    Offsets are counted in a row of their own, in the same transaction: they grow in the order of
    the commits, also where several processes append to one PostgreSQL (a sequence's numbers may
    become visible out of order, and a reader would skip some), and pruning does not bring any back.

    Parameters
    ----------
    database : Database
        Migrated, `synchronous="FULL"`. It stays the caller's to close, after this.
    queue_entries_max, queue_bytes_max : int
        What may wait for its commit; beyond it `submit` refuses.
    batch_entries_max : int
        Entries of one commit, unless a single call brings more.
    settle : callable
        Called before anything is pruned: puts on the disk what has been made of it
        (`Database.settle` of the records, which a power failure could otherwise set back).

    Attributes
    ----------
    appended, refused, failed, batches : int
        Entries committed, refused for want of room, and lost by a failed commit; commits made.
    """

    def __init__(
        self,
        database: Database,
        *,
        queue_entries_max: int = 20_000,
        queue_bytes_max: int = 64 * 2**20,
        batch_entries_max: int = 2_000,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self.appended = self.refused = self.failed = self.batches = 0
        self.pruning = threading.Lock()  # held also by a backup
        self._database = database
        self._entries_max, self._bytes_max = queue_entries_max, queue_bytes_max
        self._batch_max = batch_entries_max
        self._settle = settle
        self._queue: deque[_Waiting] = deque()
        self._waiting_entries = self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._commit_for_ever, name="journal", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Entries that wait for their commit."""
        return self._waiting_entries

    def append(self, entries: Sequence[NewEntry]) -> list[int]:
        """Keep entries, all or none, and return their offsets once they are on the disk.

        Raises
        ------
        StoreError
            Nothing was accepted: the disk does not take it, too many wait, or the journal is closed.
        """
        return self.submit(entries).result()

    def submit(self, entries: Sequence[NewEntry]) -> Future[list[int]]:
        """Like `append`, for a caller that must not wait (`await asyncio.wrap_future(…)`).

        Raises
        ------
        StoreError
            Too many wait, or the journal is closed. A failed commit is the future's exception.
        """
        waiting = _Waiting(entries, sum(len(entry.body) for entry in entries), Future())
        if not entries:
            waiting.offsets.set_result([])
            return waiting.offsets
        with self._changed:
            self._refuse_if_full(len(entries), waiting.bytes)
            self._queue.append(waiting)
            self._waiting_entries += len(entries)
            self._waiting_bytes += waiting.bytes
            self._changed.notify()
        return waiting.offsets

    def _refuse_if_full(self, count: int, size: int) -> None:
        if self._closing:
            raise StoreError("the journal is closed")
        if (
            self._waiting_entries + count > self._entries_max
            or self._waiting_bytes + size > self._bytes_max
        ):
            self.refused += count
            raise StoreError(f"{self._waiting_entries} entries wait for the disk already")

    def read(self, after: int, limit: int = 1_000) -> list[JournalEntry]:
        """Entries with an offset greater than `after`, in order."""
        c = table.c
        query = select(c.offset, c.kind, c.source, c.arrival_ms, c.body).where(c.offset > after)
        with self._database.read() as conn:
            return [
                JournalEntry(offset, JournalKind(kind), source, arrival_ms, body)
                for offset, kind, source, arrival_ms, body in conn.execute(
                    query.order_by(c.offset).limit(limit)
                )
            ]

    def last(self) -> int:
        """The greatest offset ever given, 0 before the first."""
        with self._database.read() as conn:
            return conn.execute(select(head.c.offset)).scalar() or 0

    def count(self) -> int:
        """Entries that are kept."""
        with self._database.read() as conn:
            return conn.execute(select(func.count()).select_from(table)).scalar_one()

    def prune(self, up_to: int) -> int:
        """Forget entries up to an offset, a few thousand per transaction; returns how many."""
        some = select(table.c.offset).where(table.c.offset <= up_to).limit(_PRUNED_AT_ONCE)
        total = 0
        with self.pruning:
            self._settle()
            while True:
                with self._database.write() as conn:
                    gone = conn.execute(delete(table).where(table.c.offset.in_(some))).rowcount
                total += gone
                if gone < _PRUNED_AT_ONCE:
                    return total

    def reserve(self, offset: int) -> None:
        """Give no offset up to this one any more: the records have already gone past it.

        Without it, a journal that was lost or came from an older backup would give its next
        entries offsets that the pipeline takes for done.
        """
        with self._database.write() as conn:
            conn.execute(update(head).where(head.c.offset < offset).values(offset=offset))

    def probe(self) -> None:
        """Write, changing nothing: raises StoreError where the disk does not take writes."""
        with self._database.write() as conn:
            conn.execute(update(head).values(offset=head.c.offset))

    def close(self) -> None:
        """Commit what waits, and take no more."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _commit_for_ever(self) -> None:
        while batch := self._next_batch():
            # A waiter that gave up (a closed connection) is left out; from here on it cannot.
            batch = [w for w in batch if w.offsets.set_running_or_notify_cancel()]
            try:
                last = self._commit([entry for w in batch for entry in w.entries])
            except Exception as error:  # whoever waits must hear of it, and the next batch may fit
                self._tell_failure(batch, error)
            else:
                self._tell_offsets(batch, last)

    def _next_batch(self) -> list[_Waiting]:
        """All that wait, up to `batch_entries_max`; empty once the journal is closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            batch: list[_Waiting] = []
            count = 0
            while self._queue and (
                not batch or count + len(self._queue[0].entries) <= self._batch_max
            ):
                waiting = self._queue.popleft()
                batch.append(waiting)
                count += len(waiting.entries)
                self._waiting_bytes -= waiting.bytes
            self._waiting_entries -= count
            return batch

    def _commit(self, batch: list[NewEntry]) -> int:
        """Write entries in one transaction; returns the offset of the last one."""
        with self._database.write() as conn:
            last = _advance(conn, len(batch))
            first = last - len(batch) + 1
            rows = [
                {
                    "offset": offset,
                    "kind": entry.kind.value,
                    "source": entry.source,
                    "arrival_ms": entry.arrival_ms,
                    "body": entry.body,
                }
                for offset, entry in enumerate(batch, first)
            ]
            if rows:
                conn.execute(insert(table), rows)
        return last

    def _tell_offsets(self, batch: list[_Waiting], last: int) -> None:
        self.batches += 1
        self.appended += sum(len(w.entries) for w in batch)
        offset = last - sum(len(w.entries) for w in batch) + 1
        for w in batch:
            w.offsets.set_result(list(range(offset, offset + len(w.entries))))
            offset += len(w.entries)

    def _tell_failure(self, batch: list[_Waiting], error: Exception) -> None:
        self.failed += sum(len(w.entries) for w in batch)
        for w in batch:
            refused = error
            if not isinstance(error, StoreError):
                refused = StoreError(f"the journal could not be written: {error}")
                refused.__cause__ = error
            w.offsets.set_exception(refused)


def _advance(conn: Connection, count: int) -> int:
    statement = update(head).values(offset=head.c.offset + count).returning(head.c.offset)
    return int(conn.execute(statement).scalar_one())
