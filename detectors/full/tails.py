"""How rare a residual is, in decades: a decayed log2 histogram above a tracked 90 % gate."""

from __future__ import annotations

import itertools
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
_BLOCK = (
    2048  # cells read at a time: their bins stay in the processor's cache until they are summed
)
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
        age : float32, shape (n_rows,), or (1,) where all rows are of one age
            Samples seen before.
        floor : float32, broadcast to (components, n_rows)
            The least size that counts as something.

        Returns
        -------
        float32, shape (components, n_rows)
            -log10 of the probability of something as large; 0 below the gate.
        """
        gate = np.maximum(self.gate[:, at], floor, order="C")  # it is written flat
        if age.min() < 1.0:
            gate = np.where(age < 1.0, np.maximum(residuals, floor), gate)
        found = np.flatnonzero(residuals > gate)
        gates = gate.take(found)
        # All gates sink a little; those that were passed rise instead.
        gate *= 1.0 - _rate(age) * np.float32(_SHARE)
        scores = np.zeros(residuals.shape, dtype=np.float32)
        if len(found):
            own_age = age if len(age) == 1 else age.take(found % residuals.shape[1])
            gate.reshape(-1)[found] = gates * (1.0 + _rate(own_age) * np.float32(1.0 - _SHARE))
            cell = self._cells(found, at, residuals.shape[1])
            rare = self._rare(cell, residuals.take(found), gates, own_age)
            scores.reshape(-1)[found] = rare
        self.gate[:, at] = gate
        return scores

    def _cells(self, found: NDArray[np.int64], at: At, n_rows: int) -> NDArray[np.int64]:
        """The cells (component × capacity + row) of ascending flat places in (components, n_rows)."""
        components, capacity = self.gate.shape
        bounds = np.searchsorted(found, np.arange(components + 1) * n_rows).tolist()
        cell = np.empty_like(found)
        for component, (begin, end) in enumerate(itertools.pairwise(bounds)):
            position = found[begin:end] - component * n_rows
            row = position + at.start if isinstance(at, slice) else at.take(position)
            np.add(row, component * capacity, out=cell[begin:end])
        return cell

    def _rare(
        self, cell: NDArray[np.int64], sizes: Array32, gates: Array32, age: Array32
    ) -> Array32:
        """Look sizes above their gates up and count them; `age` is of each, or one of all."""
        excesses = self.excess.reshape(-1)
        low = np.log2(gates)
        low *= np.float32(2.0)
        ratio = np.log2(sizes)
        ratio *= np.float32(2.0)
        ratio -= low
        np.minimum(ratio, np.float32(2000.0), out=ratio)
        place = self._anchored(cell, low)
        place += ratio
        np.minimum(place, np.float32(BINS - 1), out=place)
        lower = np.floor(place)
        spot = cell * BINS
        bin_ = lower.astype(np.int64)
        spot += bin_
        # A newer sample weighs more than an older one, which forgets without touching what is old.
        weight = self._weight(cell, age)
        own = self.counts.reshape(-1).take(spot)
        share = self._above(cell, bin_)
        # Of the bin that a size falls into, the part above it counts.
        lower += np.float32(1.0)
        lower -= place
        lower *= own
        share += lower
        share /= weight
        own += weight
        self.counts.reshape(-1)[spot] = own
        half = ratio
        half *= _HALF
        excess = excesses.take(cell)
        further = 1.0 / excess
        np.minimum(further, _EXPONENT_MAX, out=further)
        further *= half
        np.negative(further, out=further)
        share += np.exp(further, out=further)
        share /= self._memory * (1.0 - np.exp(-age / self._memory)) + np.float32(10.0)
        half -= excess
        half *= _EXCESSES
        half += excess
        excesses[cell] = half
        np.maximum(share, np.float32(1e-30), out=share)
        decades = np.negative(np.log10(share, out=share), out=share)
        return np.clip(decades, np.float32(0.0), np.float32(_DECADES_MAX), out=decades)

    def _above(self, cell: NDArray[np.int64], bin_: NDArray[np.int64]) -> Array32:
        """The weight of all bins of cells above these."""
        counts, above = self.counts.reshape(-1, BINS), np.empty(len(cell), dtype=np.float32)
        for start in range(0, len(cell), _BLOCK):
            part = slice(start, start + _BLOCK)
            filled = counts.take(cell[part], axis=0)
            np.einsum("ij,ij->i", filled, _ABOVE.take(bin_[part], axis=0), out=above[part])
        return above

    def _weight(self, cell: NDArray[np.int64], age: Array32) -> Array32:
        """What a sample weighs now, from 1 when the cells' weights began; what is too heavy begins again."""
        if age.max() <= _HEAVY * self._memory:
            # No row is so old that its weights could have begun again.
            return np.asarray(np.exp(age / self._memory))
        epoch = self.epoch.reshape(-1)
        since = age - epoch.take(cell)
        heavy = np.flatnonzero(since > _HEAVY * self._memory)
        if len(heavy):
            fade = np.exp(-since[heavy] / self._memory)
            self.counts.reshape(-1, BINS)[cell[heavy]] *= fade[:, None]
            epoch[cell[heavy]] = np.broadcast_to(age, since.shape)[heavy]
            since[heavy] = 0.0
        return np.asarray(np.exp(since / self._memory))

    def rejuvenate(self, rows: NDArray[np.int64], by: float) -> None:
        """These rows' ages are less by so many samples than they were."""
        self.epoch[:, rows] -= np.float32(by)

    def _anchored(self, cell: NDArray[np.int64], low: Array32) -> Array32:
        """How far gates lie above their cells' first bins, all in half octaves; the bins are laid anew with
        their counts where the gate has left."""
        off = low - self.base.reshape(-1).take(cell)
        astray = np.flatnonzero((off < _LOWEST) | (off >= _HIGHEST))
        if len(astray):
            off[astray] = self._lay(cell[astray], low[astray])
        return np.asarray(off)

    def _lay(self, cell: NDArray[np.int64], low: Array32) -> Array32:
        """Lay cells' bins about their gates; how far above the first ones these are then."""
        bases, counts = self.base.reshape(-1), self.counts.reshape(-1, BINS)
        wanted = np.floor(low)
        wanted -= np.float32(_BELOW)
        shift = np.clip(wanted - bases[cell], -BINS, BINS).astype(np.int64)
        # Between rows of nothing, so that what comes from outside is nothing.
        wide = np.zeros((len(cell), 3 * BINS), dtype=np.float32)
        wide[:, BINS : 2 * BINS] = counts.take(cell, axis=0)
        begin = np.arange(BINS, wide.size, 3 * BINS) + shift
        counts[cell] = wide.reshape(-1).take(begin[:, None] + np.arange(BINS))
        bases[cell] = wanted.astype(np.int16)
        return np.asarray(low - wanted)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {name: getattr(self, name) for name in ("gate", "counts", "epoch", "excess", "base")}


def _rate(age: Array32) -> Array32:
    """By how much gates move at these ages."""
    return np.asarray(np.maximum(1.0 / (1.0 + age / np.float32(_FAST)), np.float32(_SLOW)))
