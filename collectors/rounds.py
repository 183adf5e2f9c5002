"""Asking a source in a thread of its own: one round of requests at a time, at the beat of its patience."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from collectors.patience import Patience

Got = TypeVar("Got")


class Rounds(Generic[Got]):
    """The round that is under way, and when the next is due.

    Parameters
    ----------
    name : str
        The thread's.
    interval_ms : int
        The beat.

    Examples
    --------
    >>> rounds: Rounds[int] = Rounds("doctest", 5_000)
    >>> rounds.begin(7_000, lambda until_ms: until_ms + 1, 41)
    >>> rounds.wait(10.0)
    >>> rounds.under_way, rounds.came(), rounds.came(), rounds.under_way
    (True, 42, None, False)
    >>> rounds.close()
    """

    def __init__(self, name: str, interval_ms: int) -> None:
        self.patience = Patience(interval_ms)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._running: Future[Got] | None = None

    @property
    def under_way(self) -> bool:
        """Whether one was begun and not taken yet."""
        return self._running is not None

    def begin(self, now_ms: int, ask: Callable[..., Got], *about: object) -> None:
        """Ask in the thread; it may not touch what the collector holds, nor raise for the world's failures."""
        assert self._running is None, "one round at a time"
        self.patience.begin(now_ms)
        self._running = self._pool.submit(ask, *about)

    def came(self) -> Got | None:
        """What the round brought, once; None while it has not come."""
        if self._running is None or not self._running.done():
            return None
        got, self._running = self._running.result(), None
        return got

    def wait(self, timeout_s: float) -> None:
        """Wait until the answers under way have come, for tests."""
        wait([self._running] if self._running else [], timeout=timeout_s)

    def close(self) -> None:
        """Stop; a request under way is left to its timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
