"""Who wrote the lines of a batch, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.rows import Array
from model.batch import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Writers:
    """The services of a batch in the order of their first lines, and which of them wrote each line.

    Attributes
    ----------
    names : tuple of str
    of : int16 or int32, shape (n_lines,)
        Places in `names`.

    Examples
    --------
    >>> wrote = Writers.of_lines(["cart", "shop", "cart"])
    >>> wrote.names, wrote.of.tolist(), [at.tolist() for at in wrote.lines()]
    (('cart', 'shop'), [0, 1, 0], [[0, 2], [1]])
    """

    names: tuple[str, ...]
    of: Array

    @classmethod
    def of_lines(cls, services: Sequence[str]) -> Writers:
        """Of each line's service."""
        names = tuple(dict.fromkeys(services))
        count = len(services)
        if len(names) < 2:
            return cls(names, np.zeros(count, dtype=np.int16))
        numbers = {name: number for number, name in enumerate(names)}
        # Short numbers are sorted by counting.
        kind = np.int16 if len(names) < 2**15 else np.int32
        return cls(names, np.fromiter(map(numbers.__getitem__, services), dtype=kind, count=count))

    def lines(self) -> list[Ints]:
        """Where the lines of each service stand, in order."""
        if len(self.names) < 2:
            return [np.arange(len(self.of))] * len(self.names)
        order = np.argsort(self.of, kind="stable")
        ends = np.cumsum(np.bincount(self.of, minlength=len(self.names)))
        return np.split(order, ends[:-1])
