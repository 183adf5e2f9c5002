"""Increments (delta temporality) added up to counters, series by series."""

from __future__ import annotations

import numpy as np

from model.batch import Bools, Floats, Ints, Rows
from model.series import SeriesIndex

_NEVER = -(1 << 62)


class Deltas:
    """What has been added up of each row, for the pipeline's thread alone.

    It begins at zero again after a restart: for those who read it, that is a counter's reset.

    Examples
    --------
    >>> from model.labels import Labels
    >>> index = SeriesIndex(10)
    >>> row = index.intern(Labels.of({"__name__": "hits_total"}))
    >>> deltas, rows = Deltas(index), np.array([row, row, row], dtype=np.int32)
    >>> times, all_of_them = np.array([1_000, 2_000, 2_000]), np.ones(3, dtype=np.bool_)
    >>> values, fresh = deltas.add(rows, times, np.array([5.0, 2.0, 2.0]), all_of_them)
    >>> values.tolist(), fresh.tolist()
    ([5.0, 7.0, 7.0], [True, True, False])
    """

    def __init__(self, index: SeriesIndex) -> None:
        self._totals = np.zeros(0)
        self._last_ms = np.zeros(0, dtype=np.int64)
        self.repeated = 0
        index.on_evict(self.forget)

    def add(
        self, rows: Rows, times_ms: Ints, values: Floats, deltas: Bools
    ) -> tuple[Floats, Bools]:
        """Totals in the place of increments, and which samples are to be used.

        Parameters
        ----------
        rows, times_ms, values, deltas : shape (n_samples,)
            In the order of time; those with `deltas` are increments.

        Returns
        -------
        values, fresh : shape (n_samples,)
            An increment that is not newer than the last one of its row was sent twice: it is not fresh.
        """
        self._grow(int(rows.max(initial=-1)) + 1)
        made, fresh = values.copy(), np.ones(len(rows), dtype=np.bool_)
        of = np.flatnonzero(deltas)
        once = len(np.unique(rows[of])) == len(of)
        for some in [of] if once else [of[n : n + 1] for n in range(len(of))]:
            made[some], fresh[some] = self._add(rows[some], times_ms[some], values[some])
        return made, fresh

    def _add(self, rows: Rows, times_ms: Ints, values: Floats) -> tuple[Floats, Bools]:
        """The same for increments of which each row has one."""
        fresh = np.asarray((times_ms > self._last_ms[rows]) & np.isfinite(values))
        self._totals[rows[fresh]] += values[fresh]
        self._last_ms[rows[fresh]] = times_ms[fresh]
        self.repeated += int(np.count_nonzero(~fresh))
        return self._totals[rows], fresh

    def _grow(self, size: int) -> None:
        if size > len(self._totals):
            more = max(1024, 2 * size) - len(self._totals)
            self._totals = np.concatenate([self._totals, np.zeros(more)])
            self._last_ms = np.concatenate([self._last_ms, np.full(more, _NEVER)])

    def forget(self, rows: Rows) -> None:
        """These rows go to other series."""
        known = rows[rows < len(self._totals)]
        self._totals[known] = 0.0
        self._last_ms[known] = _NEVER
