"""Forgetting what is old, beside the loop: a long clean-up must not hold up a page."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from model.clock import Clock
from model.errors import StoreError
from store import history
from store.store import Store

log = logging.getLogger("tocsin.retention")

EVERY_S = 3_600.0
PAUSE_S = 0.1  # between two transactions, so that the loop and the performer get their turn
ROWS_AT_ONCE = 200
ROUNDS_MAX = 2_000


class Retention:
    """Prunes history and journal, once an hour and at most `ROUNDS_MAX` transactions each time.

    Parameters
    ----------
    keep_ms : int
        History older than this goes.
    committed
        The journal offset up to which everything is in the records.
    """

    def __init__(
        self, store: Store, clock: Clock, *, keep_ms: int, committed: Callable[[], int]
    ) -> None:
        self.rows = 0
        self._store = store
        self._clock = clock
        self._keep_ms = keep_ms
        self._committed = committed
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Prune now and then, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def prune(self, now_ms: int) -> int:
        """Prune until nothing comes back, or `ROUNDS_MAX` is reached; returns how many rows went.

        Raises
        ------
        StoreError
            If the store refuses; what is gone is gone.
        """
        gone = 0
        self._store.journal.prune(self._committed())
        for _ in range(ROUNDS_MAX):
            if self._stopping.is_set():
                break
            with self._store.records.write() as conn:
                round_ = history.prune(
                    conn, now_ms - self._keep_ms, rows_max=ROWS_AT_ONCE, now_ms=now_ms
                )
            if not round_:
                break
            gone += sum(round_.values())
            self.rows += sum(round_.values())
            self._stopping.wait(PAUSE_S)
        return gone

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.prune(self._clock.now_ms())
            except StoreError as error:
                log.warning("old history could not be pruned; next try in an hour: %s", error)
            self._stopping.wait(EVERY_S)
