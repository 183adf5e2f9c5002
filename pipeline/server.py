"""The console's web server, beside the pipeline in the same process."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from model.errors import InputError
from pipeline.guard import GuardedProtocol, quiet

CONNECTIONS_MAX = 2_000
KEEP_ALIVE_S = 75
STOP_S = 3
PORT_MAX = 65_535


def listen(address: str) -> socket.socket:
    """Bind before anything starts, so that a taken port is said at once.

    Raises
    ------
    InputError
        If the address cannot be had, or is not HOST:PORT.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > PORT_MAX:
        raise InputError(
            f'console.listen: must be HOST:PORT such as "127.0.0.1:8420", got {address!r}'
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), int(port)))
    except OSError as error:
        bound.close()
        raise InputError(
            f"cannot listen on {address}: {error.strerror}; choose another with console.listen or --listen"
        ) from None
    return bound


class WebServer:
    """uvicorn on a bound socket, in a thread or in the caller's."""

    def __init__(self, app: FastAPI, bound: socket.socket) -> None:
        self._bound = bound
        logging.getLogger("uvicorn.error").addFilter(quiet)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=GuardedProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_S,
                limit_concurrency=CONNECTIONS_MAX,
                lifespan="off",
            )
        )
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        with suppress(KeyboardInterrupt):  # uvicorn raises it again after a clean end
            self._server.run(sockets=[self._bound])

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self.serve, name="console", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=STOP_S + 1)
