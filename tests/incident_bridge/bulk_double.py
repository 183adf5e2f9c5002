"""A small double of an Elasticsearch that takes documents: what it has, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.collectors import http_double

Answer = tuple[int, Any]
CANNOT = {"error": {"root_cause": [{"type": "illegal_argument_exception", "reason": "no handler"}]}}


@dataclass
class Double:
    """Documents by index and name."""

    documents: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    lacks: tuple[str, ...] = ()
    instead: Callable[[str, str], Answer | None] = lambda method, path: None
    item: Callable[[dict[str, Any]], int] = lambda document: 201
    url: str = ""

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Status and body."""
        lines = [json.loads(line) for line in body.splitlines()]
        self.asked.append((method, path, lines))
        if (other := self.instead(method, path)) is not None:
            return other
        if path.startswith(self.lacks or ("none",)):
            return 405, CANNOT
        if not path.startswith("/_bulk"):
            return 200, {}
        items = []
        for head, document in zip(lines[::2], lines[1::2], strict=True):
            name = (head["create"]["_index"], head["create"]["_id"])
            status = 409 if name in self.documents else self.item(document)
            if status == 201:
                self.documents[name] = document
            error = {} if status == 201 else {"error": {"type": "x", "reason": "mapping"}}
            items.append({"create": {"status": status, **error}})
        return 200, {"errors": any("error" in i["create"] for i in items), "items": items}

    def of(self, dataset: str) -> list[dict[str, Any]]:
        """The documents of one stream."""
        return [body for (index, _), body in self.documents.items() if dataset in index]

    def made(self, path: str) -> Any:
        """What was put there."""
        (found,) = [lines[0] for method, at, lines in self.asked if (method, at) == ("PUT", path)]
        return found


@contextmanager
def serving(double: Double) -> Iterator[Double]:
    """Serve it on loopback for a while."""

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> http_double.Answer:
        status, found = double.answer(method, path, body)
        return status, json.dumps(found).encode(), {"Content-Type": "application/json"}

    with http_double.answering(ask) as double.url:
        yield double
