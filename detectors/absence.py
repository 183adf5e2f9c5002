"""What does not answer (`up` is 0) and what no longer reports at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.rows import Array, RowArrays
from model.batch import Bools, Floats, Ints

_NEVER_UP_MS = 60_000
_SAMPLES = 20
_INTERVALS = 10


class Absences:
    """Targets by `up`; services by when anything of theirs last came."""

    def __init__(self, silent_after_ms: int) -> None:
        self._silent_after_ms = silent_after_ms
        self.deaf = False  # while history is learnt: it says nothing of who is heard now
        self.rows = RowArrays({"was_up": (np.bool_, 0), "first_ms": (np.int64, 0)})
        self._numbers: dict[str, int] = {}
        self._last_ms: list[int] = []
        self._interval_ms: list[float] = []
        self._count: list[int] = []
        self._newest_ms = 0
        self._resumed_ms = 0
        self._sender_of: dict[str, str] = {}
        self._senders_down: set[str] = set()
        self._sender_back_ms: dict[str, int] = {}

    def down(self, rows: Array, times_ms: Ints, values: Floats) -> Bools:
        """Which targets are down; one that was never up gets a while to start."""
        state = self.rows
        first = state["first_ms"][rows]
        first = np.where(first == 0, times_ms, first)
        state["first_ms"][rows] = first
        state["was_up"][rows] |= values > 0
        due = state["was_up"][rows] | (times_ms - first >= _NEVER_UP_MS)
        return np.asarray((values <= 0) & due)

    def sender(self, name: str, up: bool, time_ms: int) -> None:
        """Whether one is heard that sends for others: while it is not, it is missed and not they."""
        if not up:
            self._senders_down.add(name)
        elif name in self._senders_down:
            self._senders_down.discard(name)
            self._sender_back_ms[name] = time_ms

    @property
    def newest_ms(self) -> int:
        """When anything was heard of anyone last."""
        return self._newest_ms

    @property
    def senders_down(self) -> frozenset[str]:
        """Who sends for others and is not heard."""
        return frozenset(self._senders_down)

    def heard(self, service: str, time_ms: int, source: str = "") -> None:
        """A derived sample or a log line of a service came; `source` brought it, where that is known."""
        if self.deaf:
            return
        if source:
            self._sender_of[service] = source
        if time_ms > self._newest_ms:
            self._note_pause(time_ms)
            self._newest_ms = time_ms
        number = self._numbers.get(service)
        if number is None:
            self._numbers[service] = len(self._last_ms)
            self._last_ms.append(time_ms)
            self._interval_ms.append(0.0)
            self._count.append(0)
            return
        gap = time_ms - self._last_ms[number]
        if gap <= 0:
            return
        self._last_ms[number] = time_ms
        self._count[number] += 1
        old = self._interval_ms[number]
        bound = 0.2 * old
        self._interval_ms[number] = old + max(-bound, min(bound, gap - old)) if old else float(gap)

    def _note_pause(self, time_ms: int) -> None:
        """All was silent for long: we were away ourselves, and nobody's silence counts from before."""
        known = [interval for interval in self._interval_ms if interval]
        limit = max(self._silent_after_ms, _INTERVALS * min(known, default=0.0))
        if time_ms - self._newest_ms > limit:
            self._resumed_ms = time_ms

    def silent(self) -> list[tuple[str, int, int, bool]]:
        """Service, number, when last heard, and whether it is silent while others are heard.

        Silence is measured against the newest thing heard of anyone: if all is silent, the fault is ours.
        """
        newest = self._newest_ms
        out = []
        for service, number in self._numbers.items():
            last = self._last_ms[number]
            limit = max(self._silent_after_ms, _INTERVALS * self._interval_ms[number])
            sender = self._sender_of.get(service, "")
            quiet = newest - max(last, self._resumed_ms, self._sender_back_ms.get(sender, 0))
            silent = self._count[number] >= _SAMPLES and quiet > limit
            silent = silent and sender not in self._senders_down
            out.append((service, number, last, silent))
        return out

    def save(self) -> dict[str, Any]:
        """Services as plain JSON values."""
        return {
            "names": list(self._numbers),
            "last_ms": self._last_ms,
            "interval_ms": self._interval_ms,
            "count": self._count,
            "newest_ms": self._newest_ms,
            "resumed_ms": self._resumed_ms,
            "sender_of": self._sender_of,
            "senders_down": sorted(self._senders_down),
            "sender_back_ms": self._sender_back_ms,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._numbers = {name: number for number, name in enumerate(saved["names"])}
        self._last_ms, self._count = list(saved["last_ms"]), list(saved["count"])
        self._interval_ms = list(saved["interval_ms"])
        self._newest_ms = int(saved["newest_ms"])
        self._resumed_ms = int(saved["resumed_ms"])
        self._sender_of = dict(saved.get("sender_of", {}))
        self._senders_down = set(saved.get("senders_down", ()))
        self._sender_back_ms = dict(saved.get("sender_back_ms", {}))
