"""The only reader of the machine's clock. Everything else is given `now_ms`."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in milliseconds since the epoch, and sleeps."""

    def now_ms(self) -> int:
        """Wall time, milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only grow: for measuring how long something took."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock.

    `now_ms` never goes back: an NTP step must not resolve an incident before it opened.
    """

    def __init__(self) -> None:
        self._last_ms = 0
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Wall time in milliseconds; held still while the machine's clock is behind."""
        with self._lock:
            self._last_ms = max(self._last_ms, time.time_ns() // 1_000_000)
            return self._last_ms

    def monotonic_s(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        time.sleep(seconds)


class ManualClock:
    """A clock turned by hand: tests, scenarios and backtests.

    Examples
    --------
    >>> clock = ManualClock(1_000)
    >>> clock.sleep(2.5)
    >>> clock.now_ms()
    3500
    """

    def __init__(self, start_ms: int = 0) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """The time last set."""
        return self._now_ms

    def monotonic_s(self) -> float:
        """The same time, in seconds."""
        return self._now_ms / 1000

    def sleep(self, seconds: float) -> None:
        """Turn the clock forward; nobody waits."""
        self._now_ms += round(seconds * 1000)

    def set(self, now_ms: int) -> None:
        """Turn the clock to `now_ms`; it must not go back."""
        assert now_ms >= self._now_ms, "a clock is only turned forward"
        self._now_ms = now_ms
