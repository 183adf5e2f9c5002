"""When Python looks for garbage: seldom, because what the stages make has no cycles."""

from __future__ import annotations

import gc

THRESHOLDS = 50_000, 20, 50


def collect_seldom() -> None:
    """Call it once, when a process has loaded its code.

    Rows, alerts and label sets are values that refer to values: counting references frees them. By default
    every 700 new ones are looked through for cycles, and now and then all that are held: a good part of the time
    of a storm.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
