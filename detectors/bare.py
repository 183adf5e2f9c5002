"""Templates whose lines name nothing: those are looked at now and then only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from model.batch import Bools, Ints, Rows

_BARE = 32
_FEW = 64  # lines, below which one by one is quicker


class Bare:
    """Which lines are looked at for identifiers: of a template that named nothing 32 times in a row, one in 32.

    Examples
    --------
    >>> bare = Bare()
    >>> looked = bare.looked(np.full(100, 7), np.zeros(100, dtype=np.bool_))
    >>> len(looked), looked.tolist()[31:]
    (35, [31, 32, 64, 96])
    """

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        self._counts = dict(counts)  # by template: lines in a row that named nothing

    def items(self) -> list[tuple[int, int]]:
        """What is known, for a snapshot."""
        return list(self._counts.items())

    def forget(self, template: int) -> None:
        """It is another one now."""
        self._counts.pop(template, None)

    def looked(self, templates: Rows, named: Bools) -> Ints:
        """Positions of the lines that are looked at, in order.

        Parameters
        ----------
        templates : int32, shape (n_lines,)
        named : bool, shape (n_lines,)
            Whether there is an identifier in the line.
        """
        if len(templates) < _FEW:
            each = zip(templates.tolist(), named.tolist(), strict=True)
            return np.array([at for at, one in enumerate(each) if self._look(*one)], dtype=np.int64)
        return np.flatnonzero(self._looked(templates, named))

    def _look(self, template: int, named: bool) -> bool:
        """Whether a line is looked at; it is counted."""
        count = self._counts.get(template, 0)
        looked = count < _BARE or not count % _BARE
        if not looked or not named:
            self._counts[template] = count + 1
        elif count:
            self._counts[template] = 0
        return looked

    def _looked(self, templates: Rows, named: Bools) -> Bools:
        known, first, of, counts = np.unique(
            templates, return_index=True, return_inverse=True, return_counts=True
        )
        before = np.array([self._counts.get(template, 0) for template in known.tolist()])
        order = np.argsort(of, kind="stable")
        nth = np.empty(len(of), dtype=np.int64)
        nth[order] = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
        naming = np.bincount(of, weights=named, minlength=len(known))
        # Where none names anything, the count goes on; where all do, it ends with the first one looked at.
        count = before[of] + nth
        passed = np.where(before >= _BARE, -before % _BARE, 0)
        none = naming == 0
        looked = np.where(none[of], (count < _BARE) | (count % _BARE == 0), nth >= passed[of])
        after = np.where(none | (counts <= passed), before + counts, 0)
        mixed = ~none & (naming < counts)
        plain = np.flatnonzero(~mixed)
        # One that is new enters where the first line of it names nothing, as it would line by line.
        entering = {int(first[at]): int(at) for at in plain.tolist() if after[at] != before[at]}
        lines = np.flatnonzero(mixed[of]).tolist() if mixed.any() else []
        for line in sorted({*entering, *lines}):
            at = entering.get(line)
            if at is None:
                looked[line] = self._look(int(templates[line]), bool(named[line]))
            else:
                self._counts[int(known[at])] = int(after[at])
        return np.asarray(looked, dtype=np.bool_)
