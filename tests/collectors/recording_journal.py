"""A journal in memory that takes or refuses."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from model.errors import StoreError
from model.journal import NewEntry


class RecordingJournal:
    """What was accepted, in order; nothing while `refuses`."""

    def __init__(self) -> None:
        self.entries: list[NewEntry] = []
        self.refuses = False

    def submit(self, entries: Sequence[NewEntry]) -> Future[list[int]]:
        """As the real one, at once."""
        done: Future[list[int]] = Future()
        if self.refuses:
            done.set_exception(StoreError("the disk is full"))
        else:
            self.entries += entries
            done.set_result([])
        return done
