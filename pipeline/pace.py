"""How often the loop does what: apart from the loop, so that reading settings does not import the stages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Milliseconds between a step and the next, and between what is done now and then.

    Attributes
    ----------
    tick_ms, checkpoint_ms
        Between steps, and between snapshots of what was learnt.
    series_idle_ms
        How long a series may be silent before it is forgotten.
    checkpoint_rate_bytes
        What snapshots may write a second on average: a larger one is made more rarely.
    """

    tick_ms: int = 1_000
    checkpoint_ms: int = 30_000
    checkpoint_rate_bytes: int = 2 * 2**20
    series_idle_ms: int = 3_600_000

    def until_checkpoint_s(self, size_bytes: int) -> float:
        """Seconds from a snapshot of that size to the next.

        Examples
        --------
        >>> Pace().until_checkpoint_s(5 * 2**20), Pace().until_checkpoint_s(300 * 2**20)
        (30.0, 150.0)
        """
        return max(self.checkpoint_ms / 1000, size_bytes / self.checkpoint_rate_bytes)
