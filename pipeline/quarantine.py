"""A journal entry that crashes a stage must not do so for ever (F23).

A crash ends the process, and whoever restarts it begins with the same entries. So what was being
taken is noted first: after the restart the suspects are taken in smaller portions, and one that
crashes twice alone is set aside, recorded, and the journal goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model.journal import JournalEntry

TRIES_MAX = 2
PORTIONS = 16


@dataclass(frozen=True, slots=True)
class Suspects:
    """Entries that were being taken when a step crashed.

    Attributes
    ----------
    last : int
        Offset of the last of them.
    portion : int
        How many to take at a time until they are past.
    tries : int
        Crashes with the same single entry.
    alone : int
        The offset of that entry; 0 while there is none.
    """

    last: int = 0
    portion: int = 0
    tries: int = 0
    alone: int = 0


class Quarantine:
    """Remembers suspects in a small file beside the snapshots.

    Examples
    --------
    >>> import tempfile
    >>> from model.journal import JournalKind
    >>> path = Path(tempfile.mkdtemp()) / "suspects.json"
    >>> entries = [JournalEntry(n, JournalKind.ALERT, "", 0, b"") for n in range(1, 33)]
    >>> Quarantine(path).crashed(entries)
    >>> Quarantine(path).portion(0, 5_000), Quarantine(path).portion(32, 5_000)
    (2, 5000)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._suspects = Suspects()
        try:
            self._suspects = Suspects(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            pass  # none, or not readable: then it is found again

    def portion(self, taken: int, most: int) -> int:
        """How many entries to take after `taken`."""
        return self._suspects.portion if taken < self._suspects.last else most

    def poisonous(self, entries: Sequence[JournalEntry]) -> bool:
        """Whether these are the one entry that has crashed often enough."""
        known = self._suspects
        return len(entries) == 1 and entries[0].offset == known.alone and known.tries >= TRIES_MAX

    def crashed(self, entries: Sequence[JournalEntry]) -> None:
        """A step with these ended in a crash: note it before the process ends."""
        if not entries:
            return
        known = self._suspects
        last = max(entries[-1].offset, known.last)
        if len(entries) > 1:
            self._note(Suspects(last, max(1, len(entries) // PORTIONS)))
        else:
            offset = entries[0].offset
            tries = known.tries + 1 if offset == known.alone else 1
            self._note(Suspects(last, 1, tries, offset))

    def passed(self, taken: int) -> None:
        """Everything up to `taken` went well."""
        if self._suspects.last and taken >= self._suspects.last:
            self._suspects = Suspects()
            self._path.unlink(missing_ok=True)

    def _note(self, suspects: Suspects) -> None:
        self._suspects = suspects
        beside = self._path.with_suffix(".partial")
        beside.write_text(json.dumps(asdict(suspects)))
        os.replace(beside, self._path)
