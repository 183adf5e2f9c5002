"""How rare a residual is, in decades: a decayed log2 histogram above a tracked 90 % gate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array32 = NDArray[np.float32]
At = slice | NDArray[np.int64]

BINS = 20  # half octaves: from a third of the gate, when the row's bins were laid, to 360 times it
_BELOW = 3  # bins between the first one and the gate when a row's bins are laid
_LOWEST, _HIGHEST = 1, 9  # where the gate may wander before they are laid again
_SHARE = 0.1  # of samples is above the gate
_FAST, _SLOW = 4.0, 0.01  # the gate's rate begins at 1 / (1 + age / _FAST) and ends at _SLOW
_DECADES_MAX = 12.0
_HALF = np.float32(np.log(2.0) / 2.0)  # an half octave in natural logarithms
_NEXT = np.arange(1, BINS + 1, dtype=np.float32)
_UNSET = np.int16(-32768)
_HEAVY = np.float32(40.0)  # exponent of a weight at which a row's weights are made light again
_EXCESSES = np.float32(0.02)  # an excess weighs this in the mean that gives the exponent
_EXPONENT_MAX = np.float32(6.0)


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
        self.epoch = np.zeros((components, capacity), dtype=np.float32)
        self.excess = np.ones((components, capacity), dtype=np.float32)
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
        found = np.flatnonzero(over)
        if len(found):
            component, position = np.divmod(found, residuals.shape[1])
            row = position + at.start if isinstance(at, slice) else at[position]
            cell = component * self.gate.shape[1] + row
            sizes, gates = residuals.ravel()[found], gate.ravel()[found]
            scores.ravel()[found] = self._rare(cell, sizes, gates, age[position])
        self.gate[:, at] = gate * (1.0 + rate * (over - np.float32(_SHARE)))
        return scores

    def _rare(
        self,
        cell: NDArray[np.int64],
        sizes: Array32,
        gates: Array32,
        age: Array32,
    ) -> Array32:
        """Look sizes above their gates up and count them; `cell` is component × capacity + row."""
        counts, excesses = self.counts.reshape(-1, BINS), self.excess.reshape(-1)
        low = np.log2(gates) * np.float32(2.0)
        base = self._anchored(cell, low)
        ratio = np.minimum(np.log2(sizes) * np.float32(2.0) - low, np.float32(2000.0))
        place = np.minimum(low - base + ratio, np.float32(BINS - 1))
        # Of the bin that a size falls into, the part above it counts.
        part = np.clip(_NEXT - place[:, None], 0.0, 1.0)
        above = np.einsum("ij,ij->i", counts.take(cell, axis=0), part)
        # A newer sample weighs more than an older one, which forgets without touching what is old.
        weight = np.exp(self._since(cell, age) / self._memory)
        excess = excesses.take(cell)
        further = np.exp(-np.minimum(1.0 / excess, _EXPONENT_MAX) * ratio * _HALF)
        seen = self._memory * (1.0 - np.exp(-age / self._memory))
        share = (above / weight + further) / (seen + np.float32(10.0))
        counts.reshape(-1)[cell * BINS + place.astype(np.int64)] += weight
        excesses[cell] = excess + _EXCESSES * (ratio * _HALF - excess)
        decades = -np.log10(np.maximum(share, np.float32(1e-30)))
        return np.asarray(np.clip(decades, 0.0, np.float32(_DECADES_MAX)))

    def _since(self, cell: NDArray[np.int64], age: Array32) -> Array32:
        """Samples since the cells' weights began at 1; where that is too long they begin again."""
        epoch = self.epoch.reshape(-1)
        since = age - epoch.take(cell)
        heavy = np.flatnonzero(since > _HEAVY * self._memory)
        if len(heavy):
            fade = np.exp(-since[heavy] / self._memory)
            self.counts.reshape(-1, BINS)[cell[heavy]] *= fade[:, None]
            epoch[cell[heavy]] = age[heavy]
            since[heavy] = 0.0
        return np.asarray(since)

    def rejuvenate(self, rows: NDArray[np.int64], by: float) -> None:
        """These rows' ages are less by so many samples than they were."""
        self.epoch[:, rows] -= np.float32(by)

    def _anchored(self, cell: NDArray[np.int64], low: Array32) -> Array32:
        """Where the cells' bins begin, in half octaves; laid anew with their counts where the gate has left."""
        bases, counts = self.base.reshape(-1), self.counts.reshape(-1, BINS)
        base = bases.take(cell).astype(np.float32)
        off = low - base
        astray = np.flatnonzero((off < _LOWEST) | (off >= _HIGHEST))
        if len(astray):
            moving = cell[astray]
            wanted = np.floor(low[astray]) - np.float32(_BELOW)
            shift = np.clip(wanted - base[astray], -BINS, BINS).astype(np.int64)
            source = np.arange(BINS)[None, :] + shift[:, None]
            inside = (source >= 0) & (source < BINS)
            moved = np.take_along_axis(counts[moving], np.clip(source, 0, BINS - 1), axis=1)
            counts[moving] = np.where(inside, moved, np.float32(0.0))
            bases[moving] = wanted.astype(np.int16)
            base[astray] = wanted
        return np.asarray(base)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {name: getattr(self, name) for name in ("gate", "counts", "epoch", "excess", "base")}
