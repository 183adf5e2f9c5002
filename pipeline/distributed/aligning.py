"""One order out of many partitions: which alerts and pushes belong to one step of the correlator.

Each detecting partition says at each tick what it found, if only nothing. A step at a time is made once
all of them have said it, so that the correlator sees what the embedded loop would. A partition that is
too far behind (its worker died, nobody took over) is not waited for: late alerts are taken when they
come, and pages for what is known go out.

What comes out follows from the messages and their order alone, no clock is asked: read again, they give
the same steps.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from model.alert import Alert
from model.errors import SnapshotError
from model.journal import JournalEntry
from pipeline.distributed.wire import Entries, Entry, Told

CLOCK = -1
"""The source number of ticks that say only that time has passed."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the steps that were written have come.

    Attributes
    ----------
    resume : int
        Offset of the first message that is to be read again.
    now_ms : int
        Time of the last step.
    entries : int
        Offset up to which accepted pushes were taken, inclusive; -1 for none.
    told : dict of int to int
        For each source the tick up to which its alerts were taken.
    """

    resume: int = 0
    now_ms: int = 0
    entries: int = -1
    told: dict[int, int] = field(default_factory=dict)

    def save(self) -> bytes:
        """As bytes, the same for the same mark."""
        told = {str(source): self.told[source] for source in sorted(self.told)}
        return json.dumps([1, self.resume, self.now_ms, self.entries, told]).encode()

    @classmethod
    def load(cls, data: bytes) -> Mark:
        """The inverse of `save`.

        Raises
        ------
        SnapshotError
            If it does not read.
        """
        try:
            version, resume, now_ms, entries, told = json.loads(data)
            if version != 1:
                raise SnapshotError(f"a mark of version {version}, not 1")
            return cls(resume, now_ms, entries, {int(source): at for source, at in told.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise SnapshotError(f"not a mark: {error}") from None


@dataclass(frozen=True, slots=True)
class Round:
    """One step's input, and the mark once it is written; `told` are the messages with alerts, by offset."""

    now_ms: int
    alerts: tuple[Alert, ...]
    entries: tuple[JournalEntry, ...]
    mark: Mark
    told: tuple[tuple[int, Told], ...] = ()

    @property
    def offsets(self) -> tuple[int, ...]:
        """The messages that say something: where the step crashes, one of them is to blame."""
        entries = (entry.offset - 1 for entry in self.entries)
        return tuple(dict.fromkeys([*entries, *(offset for offset, _ in self.told)]))

    def apart(self, before: Mark) -> Iterator[tuple[int, Round]]:
        """The same message by message, each with its offset: only the last one's mark is the whole round's."""
        mark = before
        for offset in self.offsets:
            entries = tuple([entry for entry in self.entries if entry.offset == offset + 1])
            told = tuple([one for one in self.told if one[0] == offset])
            alerts = tuple([alert for _, one in told for alert in one.alerts])
            # To be read again from where it began: what is taken of it is known by its offset and its time.
            mark = Mark(
                before.resume,
                self.now_ms,
                offset if entries else mark.entries,
                {**mark.told, **{one.partition: one.now_ms for _, one in told}},
            )
            if offset == self.offsets[-1]:
                mark = self.mark
            yield offset, Round(self.now_ms, alerts, entries, mark, told)


@dataclass(frozen=True, slots=True)
class _Waiting:
    offset: int
    told: Told


@dataclass(frozen=True, slots=True)
class _Accepted:
    """The pushes of one message: all are of one offset."""

    offset: int
    entries: tuple[JournalEntry, ...]
    arrival_ms: int
    read_ms: int


class Alignment:
    """Takes the messages of one partition of the alerts topic in order, and gives rounds.

    Parameters
    ----------
    sources : int
        Partitions that detect.
    patience_ms : int
        How far a source may be behind the newest before it is not waited for; stream time.
    mark : Mark
        Where to go on.
    """

    def __init__(self, sources: int, *, patience_ms: int, mark: Mark = Mark()) -> None:
        self._sources = sources
        self._patience_ms = patience_ms
        self.mark = mark
        self.now_ms = mark.now_ms
        self._entries = mark.entries
        self._used = dict(mark.told)
        self._latest: dict[int, int] = dict(mark.told)
        self._newest_ms = max(self._latest.values(), default=0)
        self._waiting: list[_Waiting] = []
        self._accepted: deque[_Accepted] = deque()
        self._began_ms = mark.now_ms
        self.repeated = 0
        self.late = 0

    def taken(self, message: Told | Entry | Entries, offset: int) -> bool:
        """Whether it was taken before."""
        if isinstance(message, Told):
            return message.now_ms <= self._latest.get(message.partition, 0)
        return offset <= self._entries

    @property
    def waiting(self) -> int:
        """Messages that wait for their step."""
        return len(self._waiting) + len(self._accepted)

    def take(self, message: Told | Entry | Entries, offset: int) -> list[Round]:
        """One message; the rounds that are complete with it."""
        if isinstance(message, (Entry, Entries)):
            self._accept((message,) if isinstance(message, Entry) else message.entries, offset)
            return []
        if self.taken(message, offset):
            self.repeated += 1  # by a worker that read again what it had told
            return []
        if not self._latest:
            # Nobody is heard yet: all are waited for from here on.
            self._began_ms = message.now_ms
            self._latest = {source: message.now_ms - 1 for source in range(self._sources)}
        self._latest[message.partition] = message.now_ms
        self._waiting.append(_Waiting(offset, message))
        return self._rounds(offset)

    def _accept(self, entries: Sequence[Entry], offset: int) -> None:
        if offset <= self._entries or not entries:
            return  # taken before, or nothing to take
        journalled = tuple(
            [JournalEntry(offset + 1, e.kind, e.source, e.arrival_ms, e.body) for e in entries]
        )
        arrival_ms = max(entry.arrival_ms for entry in entries)
        self._accepted.append(_Accepted(offset, journalled, arrival_ms, self._newest_ms))

    def _rounds(self, offset: int) -> list[Round]:
        newest_ms = self._newest_ms = max(self._latest.values())
        present = [at for at in self._latest.values() if newest_ms - at <= self._patience_ms]
        ready = [one for one in self._waiting if one.told.now_ms <= min(present)]
        if not ready:
            return []
        self._waiting = [one for one in self._waiting if one.told.now_ms > min(present)]
        found: list[Round] = []
        for now_ms in sorted({one.told.now_ms for one in ready}):
            told = [one for one in ready if one.told.now_ms == now_ms]
            ready = [one for one in ready if one.told.now_ms != now_ms]
            found.append(self._round(now_ms, told, ready, offset))
        return found

    def _round(self, at_ms: int, told: list[_Waiting], left: list[_Waiting], offset: int) -> Round:
        if at_ms < self.now_ms:
            self.late += 1
        self.now_ms = now_ms = max(at_ms, self.now_ms)
        told.sort(key=lambda one: one.told.partition)
        for one in told:
            self._used[one.told.partition] = one.told.now_ms
        entries = self._due(now_ms)
        offsets = [one.offset for one in (*self._waiting, *left)]
        offsets += [self._accepted[0].offset] if self._accepted else []
        resume = min(offsets, default=offset + 1)
        return Round(
            now_ms,
            tuple(alert for one in told for alert in one.told.alerts),
            tuple(entries),
            Mark(resume, now_ms, self._entries, dict(self._used)),
            tuple([(one.offset, one.told) for one in told if one.told.alerts]),
        )

    def _due(self, now_ms: int) -> list[JournalEntry]:
        """Pushes that had arrived by then, in their order; one whose clock is ahead waits, within patience."""
        due: list[JournalEntry] = []
        while self._accepted:
            first = self._accepted[0]
            read_ms = first.read_ms or self._began_ms
            ahead = first.arrival_ms > now_ms
            if ahead and now_ms - read_ms < self._patience_ms:
                break
            due += first.entries
            self._entries = first.offset
            self._accepted.popleft()
        return due
