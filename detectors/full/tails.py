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
_BLOCK = 4096  # sizes looked up at a time: their bins stay in the processor's cache until they are written
_HALF = np.float32(np.log(2.0) / 2.0)  # an half octave in natural logarithms
_ABOVE = np.triu(np.ones((BINS, BINS), dtype=np.float32), k=1)  # bins above each bin
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
        held = self.gate[:, at]
        gate = np.maximum(held, floor)
        young = age < 1.0
        if young.any():
            gate = np.where(young, np.maximum(residuals, floor), gate)
        found = np.flatnonzero(residuals > gate)
        gates = gate.take(found)
        # What is asked by age is asked once where all are of one age.
        age = age[:1] if (age == age[0]).all() else age
        rate = np.maximum(1.0 / (1.0 + age / np.float32(_FAST)), np.float32(_SLOW))
        # All gates sink a little; those that were passed rise instead.
        np.multiply(gate, 1.0 - rate * np.float32(_SHARE), out=gate)
        self.gate[:, at] = gate
        scores = np.zeros(residuals.shape, dtype=np.float32)
        if len(found):
            position, cell = self._cells(found, at, residuals.shape[1])
            rise = 1.0 + rate * np.float32(1.0 - _SHARE)
            self.gate.reshape(-1)[cell] = gates * _of(rise, position)
            sizes, flat = residuals.take(found), scores.reshape(-1)
            for start in range(0, len(found), _BLOCK):
                part = slice(start, start + _BLOCK)
                flat[found[part]] = self._rare(
                    cell[part], sizes[part], gates[part], age, position[part]
                )
        return scores

    def _cells(
        self, found: NDArray[np.int64], at: At, n_rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of ascending flat places in (components, n_rows): positions in their rows, and cells
        (component × capacity + row)."""
        components, capacity = self.gate.shape
        if components == 1:
            return found, found + at.start if isinstance(at, slice) else at.take(found)
        each = np.diff(np.searchsorted(found, np.arange(components + 1) * n_rows))
        component = np.arange(components)
        position = found - np.repeat(component * n_rows, each)
        if isinstance(at, slice):
            return position, position + np.repeat(component * capacity + at.start, each)
        return position, at.take(position) + np.repeat(component * capacity, each)

    def _rare(
        self,
        cell: NDArray[np.int64],
        sizes: Array32,
        gates: Array32,
        age: Array32,
        position: NDArray[np.int64],
    ) -> Array32:
        """Look sizes above their gates up and count them; `age` is of rows, which stand at `position`."""
        counts, excesses = self.counts.reshape(-1, BINS), self.excess.reshape(-1)
        low = np.log2(gates) * np.float32(2.0)
        base = self._anchored(cell, low)
        ratio = np.minimum(np.log2(sizes) * np.float32(2.0) - low, np.float32(2000.0))
        place = np.minimum(low - base + ratio, np.float32(BINS - 1))
        lower = np.floor(place)
        bin_ = lower.astype(np.int64)
        # A newer sample weighs more than an older one, which forgets without touching what is old.
        weight = self._weight(cell, age, position)
        filled = counts.take(cell, axis=0)
        # Of the bin that a size falls into, the part above it counts.
        own = filled.reshape(-1).take(np.arange(0, filled.size, BINS) + bin_)
        above = np.einsum("ij,ij->i", filled, _ABOVE.take(bin_, axis=0))
        above += own * (lower + np.float32(1.0) - place)
        excess = excesses.take(cell)
        half = ratio * _HALF
        further = np.exp(-np.minimum(1.0 / excess, _EXPONENT_MAX) * half)
        seen = self._memory * (1.0 - np.exp(-age / self._memory)) + np.float32(10.0)
        share = (above / weight + further) / _of(seen, position)
        counts.reshape(-1)[cell * BINS + bin_] = own + weight
        excesses[cell] = excess + _EXCESSES * (half - excess)
        decades = -np.log10(np.maximum(share, np.float32(1e-30)))
        return np.asarray(np.clip(decades, 0.0, np.float32(_DECADES_MAX)))

    def _weight(
        self, cell: NDArray[np.int64], age: Array32, position: NDArray[np.int64]
    ) -> Array32:
        """What a sample weighs now, from 1 when the cells' weights began; what is too heavy begins again."""
        if age.max() <= _HEAVY * self._memory:
            # No row is so old that its weights could have begun again.
            return _of(np.exp(age / self._memory), position)
        epoch, now = self.epoch.reshape(-1), _of(age, position)
        since = now - epoch.take(cell)
        heavy = np.flatnonzero(since > _HEAVY * self._memory)
        if len(heavy):
            fade = np.exp(-since[heavy] / self._memory)
            self.counts.reshape(-1, BINS)[cell[heavy]] *= fade[:, None]
            epoch[cell[heavy]] = np.broadcast_to(now, since.shape)[heavy]
            since[heavy] = 0.0
        return np.asarray(np.exp(since / self._memory))

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
            # Between rows of nothing, so that what comes from outside is nothing.
            wide = np.zeros((len(moving), 3 * BINS), dtype=np.float32)
            wide[:, BINS : 2 * BINS] = counts.take(moving, axis=0)
            begin = np.arange(BINS, wide.size, 3 * BINS) + shift
            counts[moving] = wide.reshape(-1).take(begin[:, None] + np.arange(BINS))
            bases[moving] = wanted.astype(np.int16)
            base[astray] = wanted
        return np.asarray(base)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {name: getattr(self, name) for name in ("gate", "counts", "epoch", "excess", "base")}


def _of(by_row: Array32, position: NDArray[np.int64]) -> Array32:
    """What belongs to the rows at these positions, of one entry per row or one for all."""
    return by_row if len(by_row) == 1 else np.asarray(by_row.take(position))
