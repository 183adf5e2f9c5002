"""A small double of an Elasticsearch that takes documents: what it has, and what it refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            status, found = double.answer(self.command, self.path, self.rfile.read(size))
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
