"""Bounded hand-over between a thread that receives and the loop that works."""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class DropRule(StrEnum):
    """What gives way when a queue is full."""

    OLDEST = "oldest"  # telemetry: what is new matters more
    NEWEST = "newest"  # pushes: the sender is told to come again


class BoundedQueue(Generic[T]):
    """Items with a weight; neither the number nor the sum of weights passes its limit.

    Parameters
    ----------
    items_max, weight_max : int
        Limits; a weight is whatever the caller counts (samples, bytes).
    rule : DropRule
        Which end gives way. An item heavier than `weight_max` is dropped under either rule.

    Examples
    --------
    >>> queue = BoundedQueue[str](items_max=2, weight_max=100)
    >>> [queue.put(x) for x in "abc"], queue.drain(), queue.dropped
    ([True, True, True], ['b', 'c'], 1)
    """

    def __init__(
        self, *, items_max: int, weight_max: int, rule: DropRule = DropRule.OLDEST
    ) -> None:
        self.items_max = items_max
        self.weight_max = weight_max
        self.rule = rule
        self.dropped = 0
        self.dropped_weight = 0
        self._items: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def weight(self) -> int:
        """Sum of the weights of what waits."""
        return self._weight

    def put(self, item: T, *, weight: int = 1) -> bool:
        """Add an item; False where it was not taken."""
        with self._lock:
            if weight > self.weight_max or self.items_max < 1:
                return self._drop(weight)
            while len(self._items) >= self.items_max or self._weight + weight > self.weight_max:
                if self.rule is DropRule.NEWEST:
                    return self._drop(weight)
                _, lost = self._items.popleft()
                self._weight -= lost
                self._drop(lost)
            self._items.append((item, weight))
            self._weight += weight
            return True

    def _drop(self, weight: int) -> bool:
        self.dropped += 1
        self.dropped_weight += weight
        return False

    def drain(self, items_max: int | None = None) -> list[T]:
        """Take up to `items_max` items, oldest first."""
        with self._lock:
            count = len(self._items) if items_max is None else min(items_max, len(self._items))
            taken = [self._items.popleft() for _ in range(count)]
            self._weight -= sum(weight for _, weight in taken)
        return [item for item, _ in taken]
