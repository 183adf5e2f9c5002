"""Which watcher wants to see which plain series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from detectors.rows import Array
from detectors.watcher import Settled, Watcher
from model.batch import Bools

_PREFIX = "wanted."


class Wanted:
    """A flag by row for each watcher that asked, so that what nobody looks at costs nothing.

    Examples
    --------
    >>> wanted = Wanted()
    >>> wanted.set("forecast", np.array([3, 5]), True)
    >>> wanted.of("forecast", np.array([4, 5, 9000])).tolist()
    [False, True, False]
    """

    def __init__(self) -> None:
        self._flags: dict[str, Bools] = {}

    def set(self, name: str, rows: Array, wanted: bool) -> None:
        """A watcher wants to see these rows, or no more."""
        if len(rows) == 0:
            return
        flags = self._flags.get(name, np.zeros(0, dtype=np.bool_))
        if int(rows.max()) >= len(flags):
            grown = np.zeros(max(64, 2 * int(rows.max()) + 1), dtype=np.bool_)
            grown[: len(flags)] = flags
            flags = grown
        flags[rows] = wanted
        self._flags[name] = flags

    def of(self, name: str, rows: Array) -> Bools:
        """Which of the rows a watcher wants."""
        flags = self._flags.get(name)
        if flags is None:
            return np.zeros(len(rows), dtype=np.bool_)
        known = rows < len(flags)
        return np.asarray(known & flags[np.where(known, rows, 0)])

    def show(self, seen: Settled, first: Bools, watchers: Iterable[Watcher], now_ms: int) -> Bools:
        """Show each watcher what is seen for the first time, and the rows it wants; which those are by then."""
        shown = np.zeros(len(seen.rows), dtype=np.bool_)
        new = bool(first.any())
        for watcher in watchers:
            if not new and watcher.name not in self._flags:
                continue
            some = first | self.of(watcher.name, seen.rows)
            if some.any():
                watcher.settled(seen if some.all() else seen.only(some), now_ms)
            if watcher.name in self._flags:
                shown |= self.of(watcher.name, seen.rows)
        return shown

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        for flags in self._flags.values():
            flags[rows[rows < len(flags)]] = False

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(flags.nbytes for flags in self._flags.values())

    def save(self) -> dict[str, Array]:
        """Arrays by name."""
        return {_PREFIX + name: flags for name, flags in self._flags.items()}

    def load(self, saved: Mapping[str, Array]) -> None:
        """Take over what `save` gave."""
        own = {name: array for name, array in saved.items() if name.startswith(_PREFIX)}
        self._flags = {
            name.removeprefix(_PREFIX): array.astype(np.bool_) for name, array in own.items()
        }
