"""A real `tocsin run` as a child process, and a desk and a pager for it to talk to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.ports import free_port


class Tocsin:
    """One process after another on the same data folder."""

    def __init__(
        self, folder: Path, *, cpu: int | None = None, program: Sequence[str] = ("-m", "pipeline")
    ) -> None:
        self.folder = folder
        self.program = program
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.cpu = cpu
        self.process: subprocess.Popen[bytes] | None = None
        self._log = open(folder / "tocsin.log", "ab")

    @property
    def data(self) -> Path:
        """Its databases and snapshots."""
        return self.folder / "data"

    def start(self, *, timeout_s: float = 240.0) -> None:
        """Start it and wait until it says that it is ready."""
        command = [
            sys.executable, *self.program, "run",
            "--config", str(self.folder / "config"),
            "--data", str(self.data),
            "--listen", f"127.0.0.1:{self.port}",
        ]  # fmt: skip
        pinned = None if self.cpu is None else {self.cpu}
        self.process = subprocess.Popen(
            command,
            stdout=self._log,
            stderr=self._log,
            cwd=Path(__file__).resolve().parent.parent,
            preexec_fn=(lambda: os.sched_setaffinity(0, pinned)) if pinned else None,
        )
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended at once; see {self.folder / 'tocsin.log'}")
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=10):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise RuntimeError("it did not become ready")

    def kill(self) -> None:
        """kill -9, whatever it is doing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as systemd would."""
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.kill()

    def get(self, path: str) -> object:
        """GET JSON."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)


class Outside(ThreadingHTTPServer):
    """A desk and a pager that remember everything, and forgive nothing.

    The desk opens a new ticket for every create, whatever its Idempotency-Key: most real ones do.
    The pager counts every delivery, and how many distinct pages they were.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tickets: dict[str, list[str]] = {}  # incident → ticket numbers
        self.pages: Counter[str] = Counter()  # Idempotency-Key → deliveries
        self.keys: set[tuple[tuple[str, str, str], str]] = set()  # what was said, under which key
        self.lock = threading.Lock()
        self.before_answer: Callable[[str], None] = lambda path: (
            None
        )  # it is done, nobody knows yet
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but that who asked was killed meanwhile: that is what is tried here."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Outside
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""

    def do_GET(self) -> None:
        """Find a ticket."""
        asked = parse_qs(urlsplit(self.path).query)
        with self.server.lock:
            numbers = self.server.tickets.get(asked.get("key", [""])[0], [])
        if "key" not in asked or not numbers:
            self._answer(404, {})
        else:
            self._answer(200, {"ticket": {"number": numbers[0], "state": "open"}})

    def do_POST(self) -> None:
        """Open or change a ticket; take a page."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        with self.server.lock:
            if self.path.startswith("/pager"):
                page = body["page"]
                key = self.headers["Idempotency-Key"]
                self.server.pages[key] += 1
                self.server.keys.add(((page["incident_id"], page["receiver"], page["why"]), key))
                answer: dict[str, object] = {}
            elif body["action"] == "create":
                numbers = self.server.tickets.setdefault(body["ticket"]["key"], [])
                numbers.append(f"T-{sum(map(len, self.server.tickets.values())) + 1}")
                answer = {"number": numbers[-1]}
            else:
                answer = {"number": body["number"]}
        self.server.before_answer(self.path)
        self._answer(200, answer)

    def _answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
