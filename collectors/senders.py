"""Senders that write all the time, and when one of them has stopped: `up` of the sender itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from collectors.snapshot import seal, unseal
from model.batch import STALE_NAN, MetricBatch
from model.errors import SnapshotError
from model.labels import Labels
from model.series import NAME, SENDER, SeriesIndex
from model.units import Milliseconds

_VERSION = 1
_EVERY_MS = 5_000
_FORGET_MS = 86_400_000
_GAPS = 3
_SENDERS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """When a sender that wrote all the time is missed.

    Attributes
    ----------
    silent_after_ms : duration
        So long after its last push (and three of the longest gaps it had) `up` of the sender is 0.
    steady_after_ms : duration
        Only one that wrote for so long without such a pause is missed: a test by hand may end.
    """

    silent_after_ms: Milliseconds = 30_000
    steady_after_ms: Milliseconds = 3_600_000


@dataclass(slots=True)
class _Sender:
    begun_ms: int
    last_ms: int
    gap_ms: int = 0
    steady: bool = False


class Senders:
    """When each sender wrote last; for the pipeline's thread alone.

    A sender that is steady has a series `up{job="remote_write", instance=NAME, service=NAME}`: 1, and 0 once
    it is silent. Its source says whose it is, so that services are not missed one by one when it
    is their sender that has stopped.

    Examples
    --------
    >>> senders, index = Senders(SenderSettings(steady_after_ms=10_000)), SeriesIndex()
    >>> for now_ms in range(0, 20_000, 5_000):
    ...     senders.heard("paris", now_ms)
    >>> times_ms = range(20_000, 70_000, 10_000)
    >>> [batch.values.tolist() for now_ms in times_ms for batch in senders.samples(index, now_ms)]
    [[1.0], [1.0], [1.0], [1.0], [0.0]]
    """

    def __init__(self, settings: SenderSettings | None = None) -> None:
        self.settings = settings or SenderSettings()
        self._senders: dict[str, _Sender] = {}
        self._told_ms = self._looked_ms = self._since_ms = 0

    def heard(self, source: str, now_ms: int) -> None:
        """It wrote something."""
        sender = self._senders.get(source)
        if sender is None:
            if len(self._senders) < _SENDERS_MAX:
                self._senders[source] = _Sender(now_ms, now_ms)
            return
        if now_ms - sender.last_ms > self._limit_ms(sender):
            sender.begun_ms, sender.gap_ms = now_ms, 0
        else:
            sender.gap_ms = max(sender.gap_ms, now_ms - sender.last_ms)
        sender.last_ms = now_ms
        sender.steady |= now_ms - sender.begun_ms >= self.settings.steady_after_ms

    def knows(self, source: str) -> bool:
        """Whether it has written lately."""
        return source in self._senders

    def samples(self, index: SeriesIndex, now_ms: int) -> Sequence[MetricBatch]:
        """A sample of each steady sender's `up`, every few seconds; one silent for a day is forgotten."""
        if now_ms - self._looked_ms > self.settings.silent_after_ms // 3:
            self._since_ms = now_ms  # we were away ourselves: they have until then to come back
        self._looked_ms = now_ms
        if now_ms - self._told_ms < _EVERY_MS:
            return []
        self._told_ms = now_ms
        found: list[tuple[int, float]] = []
        for source, sender in list(self._senders.items()):
            quiet_ms = now_ms - sender.last_ms
            value = 0.0 if self._silent(sender, now_ms) else 1.0
            if quiet_ms > _FORGET_MS:
                del self._senders[source]
                value = float(STALE_NAN)
            if sender.steady and (row := self._row(source, index, now_ms)) >= 0:
                found.append((row, value))
        if not found:
            return []
        rows, values = zip(*found, strict=True)
        index.touch(np.array(rows, dtype=np.int32), now_ms)
        return [MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms, source="senders")]

    def _row(self, source: str, index: SeriesIndex, now_ms: int) -> int:
        labels = {NAME: "up", "job": "remote_write", "instance": source, "service": source}
        return index.intern(Labels.of(labels), source=SENDER + source, now_ms=now_ms)

    def _silent(self, sender: _Sender, now_ms: int) -> bool:
        return now_ms - max(sender.last_ms, self._since_ms) > self._limit_ms(sender)

    def _limit_ms(self, sender: _Sender) -> int:
        return max(self.settings.silent_after_ms, _GAPS * sender.gap_ms)

    def save(self) -> bytes:
        """Who wrote, when."""
        state: dict[str, Any] = {
            source: [sender.begun_ms, sender.last_ms, sender.gap_ms, sender.steady]
            for source, sender in self._senders.items()
        }
        return seal("senders", _VERSION, state)

    def load(self, data: bytes) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        self._senders = _read(data)

    def merge(self, data: bytes) -> None:
        """Who wrote to another door, by its `save`: whoever was heard there is not silent here.

        Examples
        --------
        >>> here, there = Senders(), Senders()
        >>> here.heard("paris", 1_000)
        >>> there.heard("paris", 9_000)
        >>> here.merge(there.save())
        >>> here.last_ms("paris")
        9000

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        for source, other in _read(data).items():
            known = self._senders.get(source)
            if known is None:
                if len(self._senders) < _SENDERS_MAX:
                    self._senders[source] = other
            elif other.last_ms > known.last_ms:
                known.last_ms = other.last_ms
                known.gap_ms = max(known.gap_ms, other.gap_ms)
                known.steady |= other.steady

    def last_ms(self, source: str) -> int:
        """When it was heard last; 0 for never."""
        sender = self._senders.get(source)
        return 0 if sender is None else sender.last_ms


def _read(data: bytes) -> dict[str, _Sender]:
    try:
        state = unseal("senders", _VERSION, data)
        return {
            str(source): _Sender(int(begun), int(last), int(gap), bool(steady))
            for source, (begun, last, gap, steady) in state.items()
        }
    except (TypeError, ValueError) as error:
        raise SnapshotError(f"senders: does not read: {error!r}") from None
