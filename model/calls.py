"""Who calls whom, as it was seen: beside what the catalogue says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Calls:
    """Calls from one service to another, and the evidence for them.

    Attributes
    ----------
    count : int
        Calls that were seen.
    seen_ms : int
        When the last of them was.
    """

    caller: str
    callee: str
    count: int = 0
    seen_ms: int = 0
