"""Ask an Elasticsearch or OpenSearch for documents: a point in time, pages of it, counts by second.

Plain HTTP, as for a Prometheus: an answer has a limit in bytes and in time, secrets are read anew, nothing
is followed to another host, and OpenSearch is answered too, which Elastic's client refuses.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson
import requests
from urllib3.exceptions import HTTPError

from collectors.elastic_fields import DocumentReader
from collectors.elastic_hits import BadPage, Gone, Hit, Page
from collectors.elastic_settings import ElasticsearchSettings
from collectors.fetch import (
    TooLong,
    failure,
    open_session,
    read_body,
    safe_url,
    same_origin,
    secret,
)
from model.clock import Clock
from model.errors import DeliveryError, PermanentError, TransientError

KEEP_ALIVE = "2m"
_ERROR_BYTES_MAX = 65_536
_ERROR_CHARS_MAX = 200
_REDIRECTS_MAX = 3
_RETRY_AFTER_S_MAX = 600.0
_MENDS = {
    401: "check api_key_file, or username and password_file",
    403: "the credential needs the privilege read on the index",
    404: "is there such an index, and is url the address of an Elasticsearch?",
}
# A shard that cannot be asked in this way, today or tomorrow: its index maps the field otherwise.
_UNFIT = ("query_shard_exception", "illegal_argument_exception", "parse_exception")
_GONE = "search_context_missing_exception"
_PARTS = "pit_id,timed_out,_shards,hits.hits._id,hits.hits._index,hits.hits._source,hits.hits.sort"


class ElasticApi:
    """One request at a time, bounded in time and size.

    Parameters
    ----------
    settings : ElasticsearchSettings
    clock : Clock
        Only to measure how long an answer takes.
    """

    def __init__(self, settings: ElasticsearchSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._session = open_session()
        if settings.ca_file:
            self._session.verify = settings.ca_file
        own_time = settings.cursor_field != "@timestamp"
        self._reader = DocumentReader(
            settings.fields,
            numbers=settings.numbers,
            time_field="@timestamp" if own_time else "",
            message_chars_max=settings.message_chars_max,
        )
        self._open_search: bool | None = None

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        return safe_url(self.settings.url)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

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
        found = self._ask("POST", f"/{self.settings.index}/{path}?{options}", None)
        pit = found.get("pit_id" if self._open_search else "id")
        if not isinstance(pit, str):
            raise PermanentError(_unexpected("a point in time", found))
        return pit

    def shut(self, pit: str) -> None:
        """Let the server forget it; where that fails, time does."""
        path = "/_search/point_in_time" if self._open_search else "/_pit"
        try:
            self._ask("DELETE", path, {"pit_id": [pit]} if self._open_search else {"id": pit})
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
        return self._page(self._ask("POST", f"/_search?filter_path={_PARTS}", asked), whole)

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
        found = self._ask("POST", "/_search?filter_path=timed_out,_shards,aggregations", asked)
        self._shards(found)
        try:
            buckets = found.get("aggregations", {}).get("seconds", {}).get("buckets", [])
            return {int(b["key"]) // 1_000: int(b["doc_count"]) for b in buckets}
        except (AttributeError, TypeError, ValueError, LookupError):
            raise PermanentError(_unexpected("counts by second", found)) from None

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
        except (AttributeError, TypeError, ValueError, LookupError):
            raise PermanentError(_unexpected("hits with their sort values", found)) from None
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
            raise PermanentError(_unexpected("an answer of a search", found))
        unfit = set[str]()
        for failed in shards.get("failures", []):
            kind = str(failed.get("reason", {}).get("type", ""))
            if kind == _GONE:
                raise Gone("the point in time is no more")
            if kind not in _UNFIT:
                raise TransientError(f"some shards did not answer ({_printable(kind)})")
            unfit.add(_printable(str(failed.get("index", "?"))))
        return tuple(sorted(unfit)), int(shards.get("total", 0))

    def _is_open_search(self) -> bool:
        try:
            version = self._ask("GET", "/", None).get("version")
        except PermanentError:
            return False  # a credential that may not ask this, or a distribution without it
        return isinstance(version, dict) and version.get("distribution") == "opensearch"

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        url = self.settings.url.rstrip("/") + path
        deadline_s = self._clock.monotonic_s() + self.settings.timeout_ms / 1000
        try:
            for _ in range(_REDIRECTS_MAX + 1):
                with self._send(method, url, body) as response:
                    if response.is_redirect:
                        url = same_origin(url, response.headers["Location"])
                        continue
                    if response.status_code not in (200, 201):
                        raise self._refused(response, deadline_s)
                    size = self.settings.body_bytes_max
                    answer = read_body(response, size, deadline_s, self._clock)
                    return _parsed(answer, response.headers.get("Content-Type", ""))
            raise PermanentError(f"redirected more than {_REDIRECTS_MAX} times")
        except TooLong as error:
            raise BadPage(str(error)) from None
        except (requests.RequestException, HTTPError, OSError) as error:
            raise TransientError(failure(error)) from None

    def _send(self, method: str, url: str, body: Mapping[str, Any] | None) -> requests.Response:
        settings = self.settings
        headers = {"Accept": "application/json", "User-Agent": "Tocsin"}
        headers["Accept-Encoding"] = "gzip" if settings.compress else "identity"
        if body is not None:
            headers["Content-Type"] = "application/json"
        auth = None
        if settings.api_key_file:
            key = secret(settings.api_key_file)
            if ":" in key:
                key = base64.b64encode(key.encode()).decode()
            headers["Authorization"] = "ApiKey " + key
        elif settings.username:
            path = settings.password_file
            auth = (settings.username, secret(path) if path else "")
        return self._session.request(
            method,
            url,
            data=None if body is None else orjson.dumps(body),
            headers=headers,
            auth=auth,
            timeout=settings.timeout_ms / 1000,
            stream=True,
            allow_redirects=False,
        )

    def _refused(self, response: requests.Response, deadline_s: float) -> DeliveryError:
        status = response.status_code
        try:
            body = read_body(response, _ERROR_BYTES_MAX, deadline_s, self._clock)
        except (DeliveryError, requests.RequestException, HTTPError, OSError):
            body = b""
        kind, reason = _reason(body)
        if kind == _GONE:
            return Gone("the point in time is no more")
        said = f"answered {status}, expected 200" + (f' ("{reason}")' if reason else "")
        if status == 429 or status >= 500:
            after_s = response.headers.get("Retry-After", "")
            wait_s = float(after_s) if after_s.isascii() and after_s.isdigit() else 0.0
            wait_s = min(wait_s, _RETRY_AFTER_S_MAX)
            return TransientError(said, retry_after_ms=int(wait_s * 1000))
        return PermanentError(said + (f"; {_MENDS[status]}" if status in _MENDS else ""))


def _parsed(body: bytes, kind: str) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        if "json" not in kind:
            raise PermanentError(_unexpected("JSON", None)) from None
        try:
            # Documents may hold what orjson refuses, such as half of a surrogate pair.
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise BadPage("answered JSON that cannot be read") from None
    if not isinstance(found, dict):
        raise PermanentError(_unexpected("an object", found))
    return found


def _reason(body: bytes) -> tuple[str, str]:
    """The kind and the words of an error, fit to be shown."""
    try:
        error = orjson.loads(body).get("error")
        cause = (error.get("root_cause") or [error])[0]
        return str(cause.get("type", "")), _printable(str(cause.get("reason") or ""))
    except (orjson.JSONDecodeError, AttributeError, LookupError, TypeError):
        return "", ""


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * _ERROR_CHARS_MAX])
    return shown.strip()[:_ERROR_CHARS_MAX]


def _unexpected(wanted: str, came: object) -> str:
    what = "something else" if came is None else type(came).__name__
    return f"said {what} where {wanted} was expected; is it an Elasticsearch?"
