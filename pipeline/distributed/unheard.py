"""Which partitions stand still although there is more to read in them.

Faust may pass over messages in a rebalance: it clears its queues after its consumer has gone on. The next message of
the partition shows the gap; but there may be none for hours. So each partition's end is compared with how far it was
taken, every second.
"""

from __future__ import annotations

from dataclasses import dataclass

SOON_S = 5.0
LONGEST_S = 60.0
"""A broker that is slow, not dead, must not be asked for the same again and again: the pause doubles up to this."""


@dataclass(frozen=True, slots=True)
class _Still:
    at: int
    due_s: float
    pause_s: float


class Unheard:
    """Says when a partition is to be read again.

    Examples
    --------
    >>> unheard = Unheard()
    >>> [unheard.overdue(0, at=7, end=9, now_s=now_s) for now_s in (0.0, 4.0, 5.0, 9.0, 15.0)]
    [False, False, True, False, True]
    >>> unheard.overdue(0, at=9, end=9, now_s=99.0)
    False
    """

    def __init__(self) -> None:
        self._still: dict[int, _Still] = {}

    def overdue(self, partition: int, *, at: int, end: int, now_s: float) -> bool:
        """Whether nothing has come for too long: have it read again from `at`.

        Parameters
        ----------
        at
            Offset of the message that is to come next.
        end
            Offset behind the last one that the broker has.
        """
        if end <= at:
            self._still.pop(partition, None)
            return False
        still = self._still.get(partition)
        if still is None or still.at != at:
            self._still[partition] = _Still(at, now_s + SOON_S, SOON_S)
            return False
        if now_s < still.due_s:
            return False
        pause_s = min(2 * still.pause_s, LONGEST_S)
        self._still[partition] = _Still(at, now_s + pause_s, pause_s)
        return True

    def forget(self, partition: int) -> None:
        """It is another's now."""
        self._still.pop(partition, None)
