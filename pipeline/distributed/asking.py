"""The console's question to whoever detects: how do you see this series? The answer is a row of the records."""

from __future__ import annotations

from collections.abc import Callable

from model.alert import Evidence
from model.clock import Clock
from model.labels import Labels
from pipeline.distributed import shown
from pipeline.distributed.shards import owner, shard
from pipeline.distributed.wire import Ask, write
from store.store import Store

FRESH_MS = 10_000
WAIT_S = 1.5
LOOK_EVERY_S = 0.03
QUIET_S = 15.0
"""After a question that nobody answered none is asked for so long: pages must not wait for each plot."""


class Asking:
    """Asks for bands, one at a time; from any thread.

    Parameters
    ----------
    send
        Puts a message into a partition of the telemetry topic; returns at once.
    """

    def __init__(
        self, store: Store, clock: Clock, send: Callable[[int, bytes], None], *, partitions: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._send = send
        self._partitions = partitions
        self._quiet_until_s = 0.0

    def band(self, labels: Labels) -> Evidence | None:
        """Recent history of a series with its expected band; None if nobody knows it, or nobody answers."""
        now_ms, now_s = self._clock.now_ms(), self._clock.monotonic_s()
        asked_ms, evidence = self._look(labels)
        if now_ms - asked_ms < FRESH_MS or now_s < self._quiet_until_s:
            return evidence
        self._send(shard(owner(labels), self._partitions), write(Ask(labels, now_ms)))
        while self._clock.monotonic_s() - now_s < WAIT_S:
            self._clock.sleep(LOOK_EVERY_S)
            asked_ms, evidence = self._look(labels)
            if asked_ms >= now_ms:
                return evidence
        self._quiet_until_s = self._clock.monotonic_s() + QUIET_S
        return None

    def _look(self, labels: Labels) -> tuple[int, Evidence | None]:
        with self._store.records.read() as conn:
            return shown.band(conn, labels)
