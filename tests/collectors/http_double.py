"""A server on loopback that answers as a function says: what every double of an HTTP service stands on."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes, Mapping[str, str]]
Asked = Callable[[str, str, bytes, dict[str, str]], Answer]
"""Method, path, body and headers (names in small letters) to status, body and headers."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # the client has hung up, or wants no such TLS
            super().handle_error(request, client_address)


@contextmanager
def answering(ask: Asked, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve for a while; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer, said = ask(self.command, self.path, body, headers)
            self.send_response(status)
            for name, value in said.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            try:
                self.wfile.write(b"" if self.command == "HEAD" else answer)
            except OSError:
                self.close_connection = True  # the client has hung up: some tests want that

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
