"""Where reading of indices stands, and which documents were handed over lately."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

import numpy as np

from collectors.snapshot import seal, unseal
from model.errors import SnapshotError

SECOND_MS = 1_000
_VERSION = 1


class Seen:
    """A cursor, and the documents of the while before it, by second.

    What was written late lies before the cursor: a second of which the server counts more documents than
    are known here is read again, and those that are known are dropped.

    Parameters
    ----------
    seen_max : int
        Documents that are remembered; the oldest seconds are forgotten beyond it.

    Examples
    --------
    >>> seen = Seen(seen_max=3)
    >>> seen.begin(10_000)
    >>> seen.add([(1, 10_100), (2, 10_900), (3, 11_000), (4, 12_000)])
    >>> seen.floor_ms, seen.knows(1, 10_100), seen.knows(4, 12_000), seen.cut
    (11000, False, True, True)
    """

    def __init__(self, seen_max: int) -> None:
        self.seen_max = seen_max
        self.cursor_ms = 0
        self.floor_ms = 0  # nothing before it is asked for again
        self.cut = False  # whether `seen_max` has moved the floor
        self._by_second: dict[int, set[int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def begin(self, at_ms: int) -> None:
        """Start at a time, forgetting all before it."""
        self.cursor_ms = self.floor_ms = at_ms - at_ms % SECOND_MS
        self.trim(self.floor_ms)

    def knows(self, key: int, at_ms: int) -> bool:
        """Whether a document was handed over."""
        return key in self._by_second.get(at_ms // SECOND_MS, ())

    def short(self, counts: Mapping[int, int]) -> list[int]:
        """The seconds of which the server counts more documents than are known."""
        known = self._by_second
        return sorted(s for s, count in counts.items() if count > len(known.get(s, ())))

    def add(self, keys: Iterable[tuple[int, int]]) -> None:
        """Remember documents: key and time (ms)."""
        for key, at_ms in keys:
            second = self._by_second.setdefault(at_ms // SECOND_MS, set())
            before = len(second)
            second.add(key)
            self._count += len(second) - before
        self.cut = False
        for oldest in sorted(self._by_second):
            if self._count <= self.seen_max:
                break
            self.trim((oldest + 1) * SECOND_MS)
            self.cut = True

    def trim(self, low_ms: int) -> None:
        """Forget what is older; it is not asked for again."""
        low = low_ms // SECOND_MS
        for second in [second for second in self._by_second if second < low]:
            self._count -= len(self._by_second.pop(second))
        self.floor_ms = max(self.floor_ms, low * SECOND_MS)

    def save(self) -> bytes:
        """The cursor and what is remembered: about 11 bytes a document."""
        seconds = sorted(self._by_second)
        keys = [key for second in seconds for key in sorted(self._by_second[second])]
        packed = base64.b64encode(np.array(keys, dtype="<u8").tobytes()).decode()
        lengths = [len(self._by_second[second]) for second in seconds]
        state = {"cursor_ms": self.cursor_ms, "floor_ms": self.floor_ms, "seconds": seconds}
        return seal("elasticsearch", _VERSION, {**state, "lengths": lengths, "keys": packed})

    def load(self, data: bytes) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        state = unseal("elasticsearch", _VERSION, data)
        try:
            keys = np.frombuffer(base64.b64decode(state["keys"]), dtype="<u8").tolist()
            found: dict[int, set[int]] = {}
            begin = 0
            for second, length in zip(state["seconds"], state["lengths"], strict=True):
                found[int(second)] = set(keys[begin : begin + int(length)])
                begin += int(length)
            cursor_ms, floor_ms = int(state["cursor_ms"]), int(state["floor_ms"])
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"elasticsearch: does not read: {error!r}") from None
        self.cursor_ms, self.floor_ms, self._by_second = cursor_ms, floor_ms, found
        self._count = sum(map(len, found.values()))
