"""Which traces to look at: the latest examples of each service."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any

from collectors.exemplars import Exemplar
from collectors.snapshot import seal, unseal
from detectors.roles import service_of
from model.labels import Labels

SERVICES_MAX = 1_000
"""Services that exemplars are kept of; the one heard of longest ago is forgotten."""
EXEMPLARS_MAX = 256
"""Exemplars of one service; the oldest are forgotten."""
SHOWN_MAX = 5
SAVED_MAX = 16
"""Exemplars of one service that a snapshot holds: those that would be shown first."""
_VERSION = 1


class Exemplars:
    """Taken from any thread. A hint for people, no record: a snapshot holds those that tell most.

    Examples
    --------
    >>> from model.labels import Labels
    >>> kept = Exemplars()
    >>> series = Labels.of({"__name__": "wait_seconds_bucket", "service": "cart"})
    >>> kept.keep([Exemplar(series, Labels.of({"trace_id": "a"}), 5_000, 2.5)])
    0
    >>> [one.trace_id for one in kept.around(["cart"], 0, 9_000)], kept.around(["cart"], 6_000, 9_000)
    (['a'], [])
    >>> small = Exemplars(services_max=1, exemplars_max=1)
    >>> cart, till = (Labels.of({"service": name}) for name in ("cart", "till"))
    >>> trace = Labels.of({"trace_id": "a"})
    >>> small.keep([Exemplar(one, trace, 5_000, 2.5) for one in (cart, cart, till)])
    2
    """

    def __init__(
        self, services_max: int = SERVICES_MAX, exemplars_max: int = EXEMPLARS_MAX
    ) -> None:
        self._services_max = services_max
        self._exemplars_max = exemplars_max
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, deque[Exemplar]] = OrderedDict()

    def keep(self, found: Iterable[Exemplar]) -> int:
        """Keep what names a trace; how many others had to be forgotten for it."""
        forgotten = 0
        with self._lock:
            for one in found:
                if not one.trace_id:
                    continue
                service = service_of(one.series)
                mine = self._kept.setdefault(service, deque(maxlen=self._exemplars_max))
                forgotten += len(mine) == self._exemplars_max
                mine.append(one)
                self._kept.move_to_end(service)
            while len(self._kept) > self._services_max:
                forgotten += len(self._kept.popitem(last=False)[1])
        return forgotten

    def around(self, services: Sequence[str], begin_ms: int, end_ms: int) -> list[Exemplar]:
        """Of these services and this time, what failed first, then the largest, each trace once."""
        with self._lock:
            some = [
                one
                for service in services
                for one in self._kept.get(service, ())
                if begin_ms <= one.time_ms <= end_ms
            ]
        some.sort(key=_telling, reverse=True)
        by_trace: dict[str, Exemplar] = {}
        for one in some:
            by_trace.setdefault(one.trace_id, one)
        return list(by_trace.values())[:SHOWN_MAX]

    def save(self) -> bytes:
        """A snapshot of what tells most, service by service."""
        with self._lock:
            kept = [list(some) for some in self._kept.values()]
        found = [one for some in kept for one in sorted(some, key=_telling)[-SAVED_MAX:]]
        return seal("exemplars", _VERSION, {"exemplars": [_saved(one) for one in found]})

    def load(self, data: bytes) -> None:
        """Take over what `save` gave, unless there is something: at a reload this holder lives on.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        found = [_loaded(one) for one in unseal("exemplars", _VERSION, data)["exemplars"]]
        with self._lock:
            fresh = not self._kept
        if fresh:
            self.keep(found)


def _telling(one: Exemplar) -> tuple[bool, bool, float]:
    # NaN is smaller than everything here, so that the order is one.
    return one.failed, one.value == one.value, one.value


def _saved(one: Exemplar) -> list[object]:
    return [dict(one.series), dict(one.labels), one.time_ms, one.value, one.failed]


def _loaded(saved: Any) -> Exemplar:
    series, labels, time_ms, value, failed = saved
    return Exemplar(Labels.of(series), Labels.of(labels), int(time_ms), float(value), bool(failed))
