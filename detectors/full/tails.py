"""How rare a residual is, in decades: a decayed log2 histogram above a tracked 90 % gate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array32 = NDArray[np.float32]
At = slice | NDArray[np.int64]

BINS = 32  # half octaves: from a sixteenth of the gate, when the row was young, to 4,096 times it
_BELOW = 8  # bins between the first one and the gate when a row's bins are anchored
_LOWEST, _HIGHEST = 2, 20  # where the gate may wander before they are anchored again
_SHARE = 0.1  # of samples is above the gate
_FAST, _SLOW = 4.0, 0.01  # the gate's rate begins at 1 / (1 + age / _FAST) and ends at _SLOW
_DECADES_MAX = 12.0
_HALF = np.float32(np.log(2.0) / 2.0)  # an half octave in natural logarithms
_NUMBERS = np.arange(BINS, dtype=np.float32)
_UNSET = np.int16(-32768)


class Tails:
    """Tail probabilities of several components' residuals over rows.

    Nine samples of ten lie below the gate and cost a comparison; only the tenth is looked up. Beyond
    what was ever seen the tail goes on as a power law whose exponent is Hill's estimate.

    Parameters
    ----------
    components, capacity : int
        Residuals per sample, rows.
    memory : float
        Samples after which a count has decayed to a third.
    """

    def __init__(self, components: int, capacity: int, memory: float = 20_000.0) -> None:
        self._memory = np.float32(memory)
        self.gate = np.zeros((components, capacity), dtype=np.float32)
        self.counts = np.zeros((components, capacity, BINS), dtype=np.float32)
        self.touched = np.zeros((components, capacity), dtype=np.float32)
        self.base = np.full((components, capacity), _UNSET, dtype=np.int16)

    def look(self, residuals: Array32, at: At, age: Array32, floor: Array32) -> Array32:
        """Score residuals, then learn them.

        Parameters
        ----------
        residuals : float32, shape (components, n_rows)
            Sizes, >= 0, any unit.
        at : slice or int array, shape (n_rows,)
            Their rows, each once.
        age, floor : float32, shape (n_rows,) and broadcast to (components, n_rows)
            Samples seen before; the least size that counts as something.

        Returns
        -------
        float32, shape (components, n_rows)
            -log10 of the probability of something as large; 0 below the gate.
        """
        gate = np.maximum(self.gate[:, at], floor)
        young = age < 1.0
        if young.any():
            gate = np.where(young, np.maximum(residuals, floor), gate)
        over = residuals > gate
        rate = np.maximum(1.0 / (1.0 + age / np.float32(_FAST)), np.float32(_SLOW))
        scores = np.zeros(residuals.shape, dtype=np.float32)
        component, position = np.nonzero(over)
        if len(component):
            row = position + at.start if isinstance(at, slice) else at[position]
            sizes, gates = residuals[component, position], gate[component, position]
            scores[component, position] = self._rare(component, row, sizes, gates, age[position])
        self.gate[:, at] = gate * (1.0 + rate * (over - np.float32(_SHARE)))
        return scores

    def _rare(
        self,
        component: NDArray[np.int64],
        row: NDArray[np.int64],
        sizes: Array32,
        gates: Array32,
        age: Array32,
    ) -> Array32:
        """Look sizes above their gates up and count them."""
        low = np.log2(gates) * np.float32(2.0)
        base = self._anchored(component, row, low)
        ratio = np.minimum(np.log2(sizes) * np.float32(2.0) - low, np.float32(2000.0))
        counts = self.counts[component, row]
        counts *= np.exp((self.touched[component, row] - age) / self._memory)[:, None]
        low -= base
        place = low + ratio
        # Of a bin that a bound cuts, the part above counts.
        above = _over(counts, place)
        total = _over(counts, low)
        excess = np.clip(_NUMBERS + np.float32(0.5) - low[:, None], 0.25, None)
        part = counts * (excess > 0.25)
        exponent = (part.sum(axis=1) + 2.0) / (
            np.einsum("ij,ij->i", part, excess) * _HALF + np.float32(1.0)
        )
        seen = self._memory * (1.0 - np.exp(-age / self._memory))
        further = np.exp(-np.minimum(exponent, np.float32(6.0)) * ratio * _HALF)
        share = (above + further) / (np.maximum(seen, total / np.float32(_SHARE)) + 10.0)
        bin_ = np.clip(place, 0, BINS - 1).astype(np.int64)
        counts[np.arange(len(row)), bin_] += 1.0
        self.counts[component, row] = counts
        self.touched[component, row] = age
        decades = -np.log10(np.maximum(share, np.float32(1e-30)))
        return np.asarray(np.clip(decades, 0.0, np.float32(_DECADES_MAX)))

    def _anchored(
        self, component: NDArray[np.int64], row: NDArray[np.int64], low: Array32
    ) -> Array32:
        """Where each row's bins begin, in half octaves; moved with their counts when the gate has left."""
        base = self.base[component, row].astype(np.float32)
        off = low - base
        astray = np.flatnonzero((off < _LOWEST) | (off >= _HIGHEST))
        if len(astray):
            c, r = component[astray], row[astray]
            wanted = np.floor(low[astray]) - np.float32(_BELOW)
            shift = np.clip(wanted - base[astray], -BINS, BINS).astype(np.int64)
            source = np.arange(BINS)[None, :] + shift[:, None]
            inside = (source >= 0) & (source < BINS)
            moved = np.take_along_axis(self.counts[c, r], np.clip(source, 0, BINS - 1), axis=1)
            self.counts[c, r] = np.where(inside, moved, np.float32(0.0))
            self.base[c, r] = wanted.astype(np.int16)
            base[astray] = wanted
        return base

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {n: getattr(self, n) for n in ("gate", "counts", "touched", "base")}


def _over(counts: Array32, bound: Array32) -> Array32:
    """Counts above bounds given in bins."""
    weight = np.clip(_NUMBERS + np.float32(1.0) - bound[:, None], 0.0, 1.0)
    return np.asarray(np.einsum("ij,ij->i", counts, weight))
