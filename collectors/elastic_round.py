"""One round of reading: what is new, then what came late; as far as it went, whatever stopped it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from collectors.elastic_api import ElasticApi
from collectors.elastic_hits import BadPage, Gone, Hit, Page
from collectors.elastic_seen import SECOND_MS, Seen
from model.errors import DeliveryError

log = logging.getLogger("tocsin.elasticsearch")

RENEWALS_MAX = 3
SPANS_MAX = 20
GAP_MAX_S = 5


@dataclass(slots=True)
class Round:
    """What a round brought.

    Attributes
    ----------
    hits : list of Hit
        Documents that were not handed over before, each once.
    cursor_ms : int
        The newest time that was read to.
    more : bool
        Whether more waits than one round may take.
    skipped : int
        Documents that are too long or unreadable.
    repeated : int
        Documents that were sent again, and dropped.
    renewed : int
        Points in time that expired on the way.
    unfit : set of str
        Indices that were left out.
    shards : int or None
        None where nothing was asked.
    error : DeliveryError or None
        What ended it early.
    """

    cursor_ms: int
    hits: list[Hit] = field(default_factory=list)
    more: bool = False
    skipped: int = 0
    repeated: int = 0
    renewed: int = 0
    unfit: set[str] = field(default_factory=set)
    shards: int | None = None
    error: DeliveryError | None = None


class Reading:
    """Reads one round in a worker's thread. `seen` is only looked at.

    Parameters
    ----------
    api : ElasticApi
    seen : Seen
    """

    def __init__(self, api: ElasticApi, seen: Seen) -> None:
        self._api = api
        self._seen = seen
        self._round = Round(seen.cursor_ms)
        self._taken: set[tuple[int, int]] = set()
        self._pit = ""

    def run(self, until_ms: int) -> Round:
        """Read up to a time; never raises."""
        found, seen = self._round, self._seen
        begin_ms = max(seen.cursor_ms - seen.cursor_ms % SECOND_MS, seen.floor_ms)
        lines_max = self._api.settings.lines_max
        try:
            self._pit = self._api.open()
            found.more = not self._read(begin_ms, until_ms, lines_max, moves=True)
            for low_ms, high_ms in self._late(begin_ms):
                found.more |= not self._read(low_ms, high_ms, 2 * lines_max)
        except DeliveryError as error:
            found.error = error
        except Exception as error:  # a library's surprise must not silence the source
            log.exception("reading failed")
            found.error = DeliveryError(f"it failed ({type(error).__name__})")
        if self._pit:
            self._api.shut(self._pit)
        return found

    def _late(self, until_ms: int) -> list[tuple[int, int]]:
        """The spans in which the server has more documents than were handed over."""
        low_ms = self._seen.floor_ms
        if low_ms >= until_ms:
            return []
        try:
            counts = self._api.counts(self._pit, low_ms, until_ms)
        except Gone:
            self._renew()
            counts = self._api.counts(self._pit, low_ms, until_ms)
        return spans(self._seen.short(counts))

    def _read(self, low_ms: int, high_ms: int, limit: int, *, moves: bool = False) -> bool:
        """Take what lies in [low, high); False where the limit ended it."""
        found, after, size = self._round, None, self._api.settings.page_size
        while True:
            if len(found.hits) >= limit:
                return False
            try:
                page = self._page(low_ms, high_ms, after, size)
            except Gone:
                self._renew()
                # Begin anew where we are; what is met twice is known by its name.
                after, low_ms = None, found.cursor_ms if moves else low_ms
                continue
            except BadPage:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            self._take(page)
            if page.hits and moves:
                found.cursor_ms = max(found.cursor_ms, page.hits[-1].at_ms)
            if page.after is None or len(page.hits) < size:
                return True
            after, size = page.after, min(2 * size, self._api.settings.page_size)

    def _page(self, low_ms: int, high_ms: int, after: list[object] | None, size: int) -> Page:
        try:
            return self._api.page(self._pit, low_ms, high_ms, after, size, whole=True)
        except BadPage:
            if size > 1:
                raise
        # The one document that is too much is passed over; only its name is fetched.
        page = self._api.page(self._pit, low_ms, high_ms, after, 1, whole=False)
        self._round.skipped += 1
        return page

    def _take(self, page: Page) -> None:
        found = self._round
        self._pit = page.pit or self._pit
        found.unfit |= set(page.unfit)
        found.shards = page.shards
        for hit in page.hits:
            name = (hit.key, hit.at_ms)
            if name in self._taken or self._seen.knows(*name):
                found.repeated += 1
                continue
            self._taken.add(name)
            found.hits.append(hit)

    def _renew(self) -> None:
        self._round.renewed += 1
        if self._round.renewed > RENEWALS_MAX:
            raise Gone("its points in time expire again and again")
        self._pit = self._api.open()


def spans(seconds: Sequence[int]) -> list[tuple[int, int]]:
    """Seconds, in order, to few spans in milliseconds, the end exclusive.

    Examples
    --------
    >>> spans([10, 11, 14, 40])
    [(10000, 15000), (40000, 41000)]
    """
    found: list[tuple[int, int]] = []
    for second in seconds:
        begin, end = second * SECOND_MS, (second + 1) * SECOND_MS
        if found and begin - found[-1][1] <= GAP_MAX_S * SECOND_MS:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found if len(found) <= SPANS_MAX else [(found[0][0], found[-1][1])]
