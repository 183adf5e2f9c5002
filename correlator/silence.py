"""Which silences mute an alert now, and when that has to be looked at again."""

from __future__ import annotations

from collections.abc import Iterator

from model.labels import Labels
from model.silence import Silence


class Silences:
    """All silences that are not over; a later one of the same id replaces an earlier one.

    Examples
    --------
    >>> from model.labels import Matcher
    >>> silences = Silences()
    >>> silences.put(Silence("s", (Matcher.parse("job=a"),), 10, 20, "ann", "", 0))
    >>> silences.muting(Labels.of({"job": "a"}), 15), silences.due(10), silences.due(11)
    (('s',), True, False)
    """

    def __init__(self) -> None:
        self._all: dict[str, Silence] = {}
        self._next_ms: int | None = None
        self._changed = False

    def __iter__(self) -> Iterator[Silence]:
        return iter([self._all[name] for name in sorted(self._all)])

    def put(self, silence: Silence) -> None:
        """Add, change or end one. An older version does not replace a newer one."""
        known = self._all.get(silence.id)
        if known is None or silence.updated_ms >= known.updated_ms:
            self._all[silence.id] = silence
            self._changed = True

    def look_again(self) -> None:
        """Make `due` say yes once."""
        self._changed = True

    def muting(self, labels: Labels, now_ms: int) -> tuple[str, ...]:
        """Ids of the silences that mute these labels now, sorted."""
        if not self._all:
            return ()
        return tuple(sorted(s.id for s in self._all.values() if s.mutes(labels, now_ms)))

    def due(self, now_ms: int) -> bool:
        """Whether one was put, began or ended since this was asked last; forgets those that are over."""
        if not self._changed and (self._next_ms is None or now_ms < self._next_ms):
            return False
        self._changed = False
        self._all = {name: s for name, s in self._all.items() if s.ends_ms > now_ms}
        edges = [t for s in self._all.values() for t in (s.starts_ms, s.ends_ms) if t > now_ms]
        self._next_ms = min(edges, default=None)
        return True
