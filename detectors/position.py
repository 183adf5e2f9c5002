"""What one number in a kind of log line usually is: a histogram over magnitudes, and a window beside it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors.rows import Array

BINS = 128
_PER_OCTAVE = 2
_ZERO = 0  # the bin of zero; the others begin at 2^-31
_OFFSET = 62
_TAIL = 0.005
_MEMORY = 8_192.0
_KNOWN_MIN = 200
_KNOWN_MS = 600_000
_STRAY = {"duration": 4.0, "plain": 4.0, "size": 8.0, "count": 8.0}
_WINDOW_MS, _WINDOW_MAX_MS = 60_000, 600_000
_ENOUGH = 10
_SHARE = 0.3
_LINES_MAX, _HISTORY = 3, 30
_STATUS_STEP, _STATUS_FACTOR = 0.05, 3.0


def bin_of(value: float) -> int:
    """The bin of a value >= 0: half octaves.

    Examples
    --------
    >>> bin_of(0.0), bin_of(1.0), bin_of(1.5), bin_of(2.0)
    (0, 62, 63, 64)
    """
    if value <= 0.0:
        return _ZERO
    return min(BINS - 1, max(1, math.floor(_PER_OCTAVE * math.log2(value)) + _OFFSET))


def edge(number: int) -> float:
    """Where a bin begins."""
    return 0.0 if number <= _ZERO else float(2.0 ** ((number - _OFFSET) / _PER_OCTAVE))


@dataclass(slots=True)
class Window:
    """What came since the last verdict."""

    begins_ms: int = 0
    count: int = 0
    above: int = 0
    below: int = 0
    strays: deque[float] = field(default_factory=lambda: deque(maxlen=31))
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_MAX))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a full window says: the share of its lines that strayed, and a typical stray value."""

    at_ms: int
    count: int
    strays: int
    share: float
    usual_share: float
    value: float
    above: bool
    abnormal: bool
    word: str  # "5xx" where it is a status code
    lines: tuple[str, ...]


class Position:
    """One number of a kind of line.

    Parameters
    ----------
    name, kind : str
        As in `numbers.Number`.
    first_ms : int
    """

    __slots__ = ("counts", "first_ms", "high", "history", "kind", "low", "name", "pending", "strayed_ms", "window")  # fmt: skip

    def __init__(self, name: str, kind: str, first_ms: int) -> None:
        self.name, self.kind, self.first_ms = name, kind, first_ms
        self.counts: Array = np.zeros(BINS, dtype=np.float32)
        self.low, self.high = 0.0, math.inf  # beyond which a value has strayed
        self.window = Window(first_ms)
        self.pending: list[int] = []  # bins of the window, not learnt yet
        self.strayed_ms = 0  # since when windows are abnormal
        self.history: deque[tuple[int, float]] = deque(maxlen=_HISTORY)

    def add(self, value: float, line: str) -> None:
        """One line's number."""
        window = self.window
        window.count += 1
        if self.kind == "status":
            number = int(value) // 100
            above, below = number == 5, number == 4
        else:
            number = bin_of(value)
            above, below = value > self.high, value < self.low
        self.pending.append(number)
        if above or below:
            window.above += above
            window.below += below
            window.strays.append(value)
            window.lines.append(line)

    def due(self, time_ms: int) -> bool:
        """Whether the window says enough, or has lasted for too long to say anything."""
        lasted_ms = time_ms - self.window.begins_ms
        enough = lasted_ms >= _WINDOW_MS and self.window.count >= _ENOUGH
        return enough or lasted_ms >= _WINDOW_MAX_MS

    def close(self, time_ms: int, *, accept_ms: int) -> Verdict:
        """Judge the window, learn from it, and begin another."""
        window, total = self.window, float(self.counts.sum())
        known = total >= _KNOWN_MIN and window.begins_ms - self.first_ms >= _KNOWN_MS
        above = window.above >= window.below
        strays = window.above if above else window.below
        share = strays / max(1, window.count)
        usual = 0.0
        if self.kind == "status":
            above = window.above > 0
            strays = window.above if above else window.below
            share = strays / max(1, window.count)
            usual = float(self.counts[5 if above else 4]) / max(1.0, total)
            floor = 2 * _STATUS_STEP if above else _SHARE
            extreme = share >= usual * _STATUS_FACTOR + floor
        else:
            extreme = share >= _SHARE
        abnormal = known and extreme and strays >= _ENOUGH
        middle = sorted(window.strays)[len(window.strays) // 2] if window.strays else 0.0
        word = ("5xx" if above else "4xx") if self.kind == "status" else ""
        lines = tuple(window.lines)
        verdict = Verdict(
            time_ms, window.count, strays, share, usual, middle, above, abnormal, word, lines
        )
        self._note(verdict)
        accepted = abnormal and self.strayed_ms and time_ms - self.strayed_ms >= accept_ms
        self.strayed_ms = (self.strayed_ms or time_ms) if abnormal and not accepted else 0
        self._learn(0.0 if abnormal and not accepted else 1.0)
        self.window = Window(time_ms)
        return verdict

    def _note(self, verdict: Verdict) -> None:
        if self.kind == "status":
            self.history.append((verdict.at_ms, verdict.share))
        elif self.pending:
            self.history.append((verdict.at_ms, edge(sorted(self.pending)[len(self.pending) // 2])))

    def _learn(self, weight: float) -> None:
        pending, self.pending = self.pending, []
        if not weight or not pending:
            return
        np.add.at(self.counts, pending, np.float32(weight))
        if float(self.counts.sum()) > _MEMORY:
            self.counts *= np.float32(0.5)
        self._bound()

    def _bound(self) -> None:
        """Where values stray: far beyond what all but one in 200 stay below, or above."""
        if self.kind == "status":
            return
        low, high = self.band()
        self.low, self.high = low / 8.0, high * _STRAY[self.kind]

    def band(self) -> tuple[float, float]:
        """Between what 99 of 100 lie."""
        upto = np.cumsum(self.counts) / max(1.0, float(self.counts.sum()))
        lowest = int(np.searchsorted(upto, _TAIL, side="right"))
        highest = int(np.searchsorted(upto, 1.0 - _TAIL, side="left"))
        return edge(lowest), edge(min(BINS - 1, highest) + 1)

    def fold(self, other: Position) -> None:
        """Another position turned out to be this one."""
        self.counts = self.counts + other.counts
        self.first_ms = min(self.first_ms, other.first_ms)
        self.pending += other.pending
        self.window.count += other.window.count
        self._bound()

    def save(self) -> list[Any]:
        """Plain JSON values; the counts are kept apart."""
        w = self.window
        window = [w.begins_ms, w.count, w.above, w.below, list(w.strays), list(w.lines)]
        rest = [self.pending, self.strayed_ms, [list(pair) for pair in self.history]]
        return [self.name, self.kind, self.first_ms, window, *rest]

    @classmethod
    def restored(cls, plain: list[Any], counts: Array) -> Position:
        """What `save` gave."""
        name, kind, first_ms, window, pending, strayed_ms, history = plain
        found = cls(name, kind, first_ms)
        *numbers, strays, lines = window
        found.window = Window(*numbers)
        found.window.strays.extend(strays)
        found.window.lines.extend(lines)
        found.counts, found.pending, found.strayed_ms = counts.copy(), list(pending), strayed_ms
        found.history.extend((at, value) for at, value in history)
        if found.counts.any():
            found._bound()
        return found
