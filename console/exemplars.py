"""Which traces to look at: the latest examples of each service, for as long as this process runs."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

from collectors.exemplars import Exemplar
from detectors.roles import service_of

SERVICES_MAX = 1_000
"""Services that exemplars are kept of; the one heard of longest ago is forgotten."""
EXEMPLARS_MAX = 256
"""Exemplars of one service; the oldest are forgotten."""
SHOWN_MAX = 5


class Exemplars:
    """Taken from any thread. A hint for people, no record: a restart forgets them.

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
        # NaN is smaller than everything here, so that the order is one.
        some.sort(key=lambda one: (one.failed, one.value == one.value, one.value), reverse=True)
        by_trace: dict[str, Exemplar] = {}
        for one in some:
            by_trace.setdefault(one.trace_id, one)
        return list(by_trace.values())[:SHOWN_MAX]
