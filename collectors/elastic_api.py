"""Ask an Elasticsearch or OpenSearch for documents: a point in time, pages of it, counts by second."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

from collectors.elastic_fields import DocumentReader
from collectors.elastic_hits import Gone, Hit, Page
from collectors.elastic_http import GONE, ElasticHttp, unexpected
from collectors.elastic_settings import ElasticsearchSettings
from collectors.http_client import printable
from collectors.uncollected import uncollected
from model.clock import Clock
from model.errors import DeliveryError, PermanentError, TransientError

KEEP_ALIVE = "2m"
# A shard that cannot be asked in this way, today or tomorrow: its index maps the field otherwise.
_UNFIT = ("query_shard_exception", "illegal_argument_exception", "parse_exception")
_PARTS = "pit_id,timed_out,_shards,hits.hits._id,hits.hits._index,hits.hits._source,hits.hits.sort"


class ElasticApi(ElasticHttp):
    """Reads, one request at a time.

    Parameters
    ----------
    settings : ElasticsearchSettings
    clock : Clock
        Only to measure how long an answer takes.
    """

    def __init__(self, settings: ElasticsearchSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.settings = settings
        own_time = settings.cursor_field != "@timestamp"
        self._reader = DocumentReader(
            settings.fields,
            numbers=settings.numbers,
            time_field="@timestamp" if own_time else "",
            message_chars_max=settings.message_chars_max,
        )
        self._open_search: bool | None = None

    def open(self) -> str:
        """A point in time over the indices as they are now; index rollover is met by the next.

        Raises
        ------
        DeliveryError
            If there is none.
        """
        if self._open_search is None:
            self._open_search = self._is_open_search()
        path = "_search/point_in_time" if self._open_search else "_pit"
        options = f"keep_alive={KEEP_ALIVE}&ignore_unavailable=true"
        found = self.ask("POST", f"/{self.settings.asked}/{path}?{options}", None)
        pit = found.get("pit_id" if self._open_search else "id")
        if not isinstance(pit, str):
            raise PermanentError(unexpected("a point in time", found))
        return pit

    def shut(self, pit: str) -> None:
        """Let the server forget it; where that fails, time does."""
        path = "/_search/point_in_time" if self._open_search else "/_pit"
        try:
            self.ask("DELETE", path, {"pit_id": [pit]} if self._open_search else {"id": pit})
        except DeliveryError:
            pass

    def page(
        self,
        pit: str,
        low_ms: int,
        high_ms: int,
        after: list[Any] | None,
        size: int,
        *,
        whole: bool,
    ) -> Page:
        """Documents with `low_ms` <= time < `high_ms`, oldest first, at most `size`, behind `after`.

        Parameters
        ----------
        whole : bool
            Whether their content is wanted: otherwise only what they are called.

        Raises
        ------
        Gone
            If the point in time is no more.
        BadPage
            If the answer is too long or unreadable: asking for fewer documents may help.
        DeliveryError
            If it cannot be had.
        """
        order = {"order": "asc", "numeric_type": "date", "unmapped_type": "date"}
        # OpenSearch learnt of _shard_doc late; its _id can be sorted by.
        tie = "_id" if self._open_search else "_shard_doc"
        asked = {
            **self._body(pit, low_ms, high_ms),
            "size": size,
            "sort": [{self.settings.cursor_field: order}, {tie: "asc"}],
            "_source": self._reader.wanted if whole else False,
        }
        if after is not None:
            asked["search_after"] = after
        path = f"/_search?filter_path={_PARTS}"
        reply = self.reply("POST", path, asked)
        with uncollected():
            return self._page(self.parsed(reply), whole)

    def counts(self, pit: str, low_ms: int, high_ms: int) -> dict[int, int]:
        """How many documents there are, by second of the epoch.

        Raises
        ------
        DeliveryError
            As for `page`.
        """
        by_second = {
            "field": self.settings.cursor_field,
            "fixed_interval": "1s",
            "min_doc_count": 1,
        }
        asked = {
            **self._body(pit, low_ms, high_ms),
            "size": 0,
            "aggs": {"seconds": {"date_histogram": by_second}},
        }
        found = self.ask("POST", "/_search?filter_path=timed_out,_shards,aggregations", asked)
        self._shards(found)
        try:
            buckets = found.get("aggregations", {}).get("seconds", {}).get("buckets", [])
            return {int(b["key"]) // 1_000: int(b["doc_count"]) for b in buckets}
        except (AttributeError, TypeError, ValueError, LookupError, OverflowError):
            raise PermanentError(unexpected("counts by second", found)) from None

    def _body(self, pit: str, low_ms: int, high_ms: int) -> dict[str, Any]:
        limits = {"gte": low_ms, "lt": high_ms, "format": "epoch_millis"}
        filters: list[Any] = [{"range": {self.settings.cursor_field: limits}}]
        if query := self.settings.query.strip():
            text = {"query_string": {"query": query}}
            filters.append(orjson.loads(query) if query.startswith("{") else text)
        return {
            "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
            "track_total_hits": False,
            "query": {"bool": {"filter": filters}},
        }

    def _page(self, found: Mapping[str, Any], whole: bool) -> Page:
        unfit, shards = self._shards(found)
        try:
            listed = found.get("hits", {}).get("hits", [])
            hits = [self._hit(hit, whole) for hit in listed]
            after = listed[-1]["sort"] if listed else None
        except (AttributeError, TypeError, ValueError, LookupError, OverflowError):
            raise PermanentError(unexpected("hits with their sort values", found)) from None
        return Page(tuple(hits), after, unfit, shards, str(found.get("pit_id", "")))

    def _hit(self, hit: Mapping[str, Any], whole: bool) -> Hit:
        at_ms = int(hit["sort"][0])
        # An _id is unique within its index only.
        name = f"{hit['_index']}\0{hit['_id']}".encode("utf-8", "replace")
        key = int.from_bytes(blake2b(name, digest_size=8).digest(), "little")
        source = hit.get("_source")
        read = self._reader.read(source, at_ms) if whole and isinstance(source, dict) else None
        return Hit(key, at_ms, read)

    def _shards(self, found: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
        """The indices that cannot be asked in this way, and how many shards were asked."""
        if found.get("timed_out"):
            raise TransientError("did not finish in time")
        shards = found.get("_shards")
        if not isinstance(shards, dict):
            raise PermanentError(unexpected("an answer of a search", found))
        unfit = set[str]()
        try:
            total = int(shards.get("total", 0))
            failures = [
                (str(failed.get("reason", {}).get("type", "")), str(failed.get("index", "?")))
                for failed in shards.get("failures", [])
            ]
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise PermanentError(unexpected("shards as a search counts them", shards)) from None
        for kind, index in failures:
            if kind == GONE:
                raise Gone("the point in time is no more")
            if kind not in _UNFIT:
                raise TransientError(f"some shards did not answer ({printable(kind)})")
            unfit.add(printable(index))
        return tuple(sorted(unfit)), total

    def _is_open_search(self) -> bool:
        try:
            version = self.ask("GET", "/", None).get("version")
        except PermanentError:
            return False  # a credential that may not ask this, or a distribution without it
        return isinstance(version, dict) and version.get("distribution") == "opensearch"
