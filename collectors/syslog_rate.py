"""How many messages each sender may send."""

from __future__ import annotations

_BURST_S = 10.0


class Rates:
    """A bucket for each sender; who was silent longest is forgotten first.

    Examples
    --------
    >>> rates = Rates(per_s=2, senders_max=10)
    >>> rates.take("a", 25, now_s=0.0), rates.take("a", 1, now_s=0.0), rates.take("a", 5, now_s=2.0)
    (20, 0, 4)
    """

    def __init__(self, *, per_s: int, senders_max: int) -> None:
        self._per_s = per_s
        self._senders_max = senders_max
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, sender: str, wanted: int, *, now_s: float) -> int:
        """How many of so many are allowed now; the others are to be dropped."""
        left = self._refill(sender, now_s)
        allowed = max(0, min(wanted, int(left)))
        self._left[sender] = (left - allowed, now_s)
        return allowed

    def charge(self, sender: str, count: int, *, now_s: float) -> float:
        """Count what was taken already; returns for how many seconds nothing more is to be read."""
        left = self._refill(sender, now_s) - count
        self._left[sender] = (left, now_s)
        return 0.0 if left >= 0 else -left / self._per_s

    def _refill(self, sender: str, now_s: float) -> float:
        most = self._per_s * _BURST_S
        left, then_s = self._left.pop(sender, (most, now_s))
        if len(self._left) >= self._senders_max:
            del self._left[next(iter(self._left))]
        return min(most, left + (now_s - then_s) * self._per_s)
