"""Plain HTTP to the loopback address, for the demo's own errands: no proxy is ever asked."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from model.errors import TransientError


def call(
    port: int,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 5.0,
) -> tuple[int, bytes]:
    """Make one request to 127.0.0.1; returns status and body.

    Raises
    ------
    TransientError
        If nobody listens, or there is no answer within `timeout_s`.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body or None, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"{method} 127.0.0.1:{port}{path}: {error}") from None
    finally:
        connection.close()
