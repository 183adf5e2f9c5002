"""A desk behind HTTP, as small as the protocol of docs/tickets-and-pages.md allows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class DeskServer:
    """Serves tickets on loopback; `answer` may answer in its place."""

    def __init__(self) -> None:
        self.tickets: dict[str, dict] = {}
        self.keys: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[str], tuple[int, dict[str, str], bytes] | None] = lambda _: None
        self.now_ms = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/desk"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def get(self, query: dict[str, list[str]]) -> tuple[int, dict]:
        if "key" in query:
            found = [t for t in self.tickets.values() if t["key"] == query["key"][0]]
            return (200, {"ticket": found[0]}) if found else (404, {})
        since_ms = int(query["since_ms"][0])
        return 200, {"tickets": [t for t in self.tickets.values() if t["updated_ms"] >= since_ms]}

    def post(self, body: dict, key: str) -> tuple[int, dict]:
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

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name: value for name, value in self.headers.items()}
                desk.requests.append((self.command, self.path, headers, body))
                instead = desk.answer(self.command)
                if instead is None:
                    if self.command == "POST":
                        key = headers.get("Idempotency-Key", "")
                        status, data = desk.post(json.loads(body), key)
                    else:
                        status, data = desk.get(parse_qs(urlsplit(self.path).query))
                    instead = (
                        status,
                        {"Content-Type": "application/json"},
                        json.dumps(data).encode(),
                    )
                status, sent, answer = instead
                self.send_response(status)
                for name, value in {**sent, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _do

            def log_message(self, *_: object) -> None:
                pass

        return Handler
