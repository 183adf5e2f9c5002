"""Rows that stand by group, and what is asked of each group at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.batch import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Neighbours of one group: which, where they begin, and how many there are."""

    slots: Ints
    starts: Ints
    counts: Ints

    def median(self, values: Floats) -> Floats:
        """Each group's."""
        ordered = values[np.lexsort((values, np.repeat(self.slots, self.counts)))]
        low, high = self.starts + (self.counts - 1) // 2, self.starts + self.counts // 2
        return np.asarray((ordered[low] + ordered[high]) / 2.0)


def runs(slots: Ints) -> Runs:
    """Groups of neighbours.

    Examples
    --------
    >>> found = runs(np.array([3, 3, 3, 7]))
    >>> found.slots.tolist(), found.counts.tolist(), found.median(np.array([5.0, 9.0, 1.0, 2.0])).tolist()
    ([3, 7], [3, 1], [5.0, 2.0])
    """
    first = np.ones(len(slots), dtype=np.bool_)
    first[1:] = slots[1:] != slots[:-1]
    starts = np.flatnonzero(first)
    return Runs(slots[starts], starts, np.diff(np.append(starts, len(slots))))


def without_small(rows: Ints, slots: Ints, least: int) -> tuple[Ints, Ints]:
    """Rows and their groups, without those of fewer than `least`."""
    counts = runs(slots).counts
    enough = np.repeat(counts >= least, counts)
    return rows[enough], slots[enough]
