"""Python's search for cycles, put off while a block of values is made that has none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Within it nothing is searched for cycles, by no thread; what nobody refers to goes at once, as always.

    A page of documents or a block of lines makes thousands of dicts and tuples and drops most of them: the collector
    would look through the whole heap meanwhile, which takes several times as long as reading them. For blocks with a
    limit only.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
