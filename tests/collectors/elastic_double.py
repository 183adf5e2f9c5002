"""A small double of Elasticsearch on loopback: documents in, points in time and pages out as the real one gives them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.collectors.http_double import Answer, answering

JSON = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}
GONE = {"error": {"root_cause": [{"type": "search_context_missing_exception", "reason": "No search context found"}]}}  # fmt: skip


@dataclass
class Double:
    """What it knows, and what it was asked."""

    documents: list[tuple[str, str, int, dict[str, Any]]] = field(default_factory=list)
    asked: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list)
    pits: dict[str, list[tuple[str, str, int, dict[str, Any]]]] = field(default_factory=dict)
    url: str = ""
    open_search: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    instead: Callable[[str, str, Any], Answer | None] = lambda method, path, body: None
    made: int = 0

    def put(self, at_ms: int, index: str = "logs-1", **source: Any) -> None:
        """Index a document."""
        self.made += 1
        self.documents.append((index, f"d{self.made}", at_ms, source))

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """Status, body and headers."""
        if (other := self.instead(method, path, body)) is not None:
            return other
        return self.said(*self._known(method, path, body))

    def said(self, status: int, found: Any) -> Answer:
        """As JSON."""
        return status, json.dumps(found).encode(), JSON

    def _known(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        pit_path = "/_search/point_in_time" if self.open_search else "/_pit"
        if path == "/":
            return 200, {"version": {"distribution": "opensearch"} if self.open_search else {}}
        if method == "DELETE" and path == pit_path:
            self.pits.pop(body["pit_id"][0] if self.open_search else body["id"], None)
            return 200, {}
        if path.partition("?")[0].endswith(pit_path):
            self.made += 1
            # Shards in their order: documents of one index lie together.
            self.pits[f"pit{self.made}"] = sorted(self.documents, key=lambda d: d[0])
            return 200, {"pit_id" if self.open_search else "id": f"pit{self.made}"}
        assert path.startswith("/_search?")
        if body["pit"]["id"] not in self.pits:
            return 404, GONE
        return 200, self._searched(body)

    def _searched(self, body: Any) -> Any:
        (limits,) = body["query"]["bool"]["filter"][0]["range"].values()
        known = self.pits[body["pit"]["id"]]
        found = [
            ([at_ms, name if self.open_search else place], index, name, source)
            for place, (index, name, at_ms, source) in enumerate(known)
            if limits["gte"] <= at_ms < limits["lt"]
        ]
        found.sort(key=lambda one: one[0])
        shards = {"total": len({d[0] for d in known}), "failed": 0, **self.extra}
        answer: dict[str, Any] = {"pit_id": body["pit"]["id"], "timed_out": False, "_shards": shards}  # fmt: skip
        if "aggs" in body:
            seconds = Counter(
                at_ms // 1000 for _, _, at_ms, _ in known if limits["gte"] <= at_ms < limits["lt"]
            )
            buckets = [{"key": s * 1000, "doc_count": n} for s, n in sorted(seconds.items())]
            return {**answer, "aggregations": {"seconds": {"buckets": buckets}}}
        assert list(body["sort"][1]) == ["_id" if self.open_search else "_shard_doc"]
        after = body.get("search_after")
        found = [one for one in found if after is None or one[0] > after]
        hits = []
        for sort, index, name, source in found[: body["size"]]:
            hit: dict[str, Any] = {"_index": index, "_id": name, "sort": sort}
            if body["_source"] is not False:
                hit["_source"] = source
            hits.append(hit)
        return {**answer, "hits": {"hits": hits} if hits else {}}


@contextmanager
def serving(double: Double) -> Iterator[Double]:
    """Serve it on loopback for a while."""

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        read = json.loads(body) if body else None
        double.asked.append((method, path, read, headers))
        return double.answer(method, path, read)

    with answering(ask) as double.url:
        yield double
