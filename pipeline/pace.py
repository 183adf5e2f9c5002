"""How often the loop does what: apart from the loop, so that reading settings does not import the stages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Milliseconds between a step and the next, and between what is done now and then.

    Attributes
    ----------
    tick_ms, checkpoint_ms
        Between steps, and between snapshots of what was learnt.
    retention_ms
        How old history may become.
    series_idle_ms
        How long a series may be silent before it is forgotten.
    """

    tick_ms: int = 1_000
    checkpoint_ms: int = 30_000
    retention_ms: int = 400 * 86_400_000
    series_idle_ms: int = 3_600_000
