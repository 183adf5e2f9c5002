"""A desk behind HTTP, as small as the protocol of docs/tickets-and-pages.md allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.collectors.http_double import Answer, answering


class DeskServer:
    """Serves tickets on loopback; `answer` may answer in its place."""

    def __init__(self) -> None:
        self.tickets: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[str], tuple[int, dict[str, str], bytes] | None] = lambda _: None
        self.now_ms = 0
        self._serving = ExitStack()
        self.url = f"{self._serving.enter_context(answering(self._asked))}/desk"

    def close(self) -> None:
        self._serving.close()

    def get(self, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if "key" in query:
            found = [t for t in self.tickets.values() if t["key"] == query["key"][0]]
            return (200, {"ticket": found[0]}) if found else (404, {})
        since_ms = int(query["since_ms"][0])
        return 200, {"tickets": [t for t in self.tickets.values() if t["updated_ms"] >= since_ms]}

    def post(self, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        if key in self.keys:
            return 200, self.tickets[self.keys[key]]
        number = str(body["number"])
        if body["action"] == "create":
            number = str(4711 + len(self.tickets))
            self.tickets[number] = {"number": number, "comments": [], "created_ms": self.now_ms}
        if number not in self.tickets:
            return 404, {"error": "no such ticket"}
        self.keys[key] = number
        ticket = self.tickets[number]
        ticket.update(body["ticket"], updated_ms=self.now_ms, url=f"https://desk/{number}")
        if body["comment"]:
            ticket["comments"].append(body["comment"])
        return 201, ticket

    def _asked(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        self.requests.append((method, path, headers, body))
        if (instead := self.answer(method)) is not None:
            status, sent, answer = instead
            return status, answer, sent
        if method == "POST":
            status, data = self.post(json.loads(body), headers.get("idempotency-key", ""))
        else:
            status, data = self.get(parse_qs(urlsplit(path).query))
        return status, json.dumps(data).encode(), {"Content-Type": "application/json"}
