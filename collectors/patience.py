"""When a source is asked next: at each beat of its interval, after failures later and later."""

from __future__ import annotations

from model.errors import DeliveryError, TransientError

PAUSE_MS_MAX = 120_000
"""Between attempts while nothing is answered; a Retry-After may ask for more."""


class Patience:
    """The beat of a source that is asked again and again.

    Examples
    --------
    >>> patience = Patience(5_000)
    >>> patience.due(7_000), patience.begin(7_000), patience.due(9_999), patience.due(10_000)
    (True, None, False, True)
    >>> for _ in range(3):
    ...     patience.failed(TransientError("no answer in time"), 10_000)
    >>> patience.due(29_999), patience.due(30_000)
    (False, True)
    """

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._due_ms = 0
        self._failures = 0  # in a row

    def due(self, now_ms: int) -> bool:
        """Whether it is time."""
        return now_ms >= self._due_ms

    def begin(self, now_ms: int) -> None:
        """It is asked now; again at the next beat."""
        self._due_ms = now_ms - now_ms % self._interval_ms + self._interval_ms

    def at_once(self, now_ms: int) -> None:
        """There is more: it need not wait for the beat."""
        self._due_ms = now_ms

    def well(self) -> None:
        """It has answered."""
        self._failures = 0

    def failed(self, error: DeliveryError, now_ms: int) -> None:
        """It has not: wait longer each time, and as long as it asks for."""
        self._failures += 1
        pause_ms = min(PAUSE_MS_MAX, self._interval_ms * 2 ** min(self._failures - 1, 10))
        if isinstance(error, TransientError):
            pause_ms = max(pause_ms, error.retry_after_ms)
        self._due_ms = max(self._due_ms, now_ms + pause_ms)
