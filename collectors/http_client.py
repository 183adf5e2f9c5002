"""A polite HTTP client for servers that answer JSON: bounded in time and size, refusals as sentences.

Plain HTTP below Prometheus, Elasticsearch and Zabbix alike: secrets are read anew for each request, no proxy is
taken from the environment, and nothing is followed to another host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import requests
from urllib3.exceptions import HTTPError

from collectors.fetch import Request, open_session, read_body, safe_url, sent
from model.clock import Clock
from model.errors import DeliveryError, PermanentError, TransientError

_ERROR_BYTES_MAX = 65_536
_ERROR_CHARS_MAX = 200
_RETRY_AFTER_S_MAX = 600
_WELL = (200, 201)


@dataclass(frozen=True, slots=True)
class Reply:
    """A decoded body, and what its sender calls it."""

    body: bytes
    media_type: str


class Server(Protocol):
    """Where it is, and how much of it is believed."""

    @property
    def url(self) -> str: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def timeout_ms(self) -> int: ...
    @property
    def body_bytes_max(self) -> int: ...


class HttpClient:
    """One request at a time over kept connections.

    Parameters
    ----------
    server : Server
    clock : Clock
        Only to measure how long an answer takes.
    reason : callable
        What a refusal's body says, fit to be shown (`printable`); it may raise a refusal of its own.
    mends : mapping of int to str
        How to mend a refusal, by status.
    """

    def __init__(
        self,
        server: Server,
        clock: Clock,
        *,
        reason: Callable[[bytes], str],
        mends: Mapping[int, str],
    ) -> None:
        self._server = server
        self._clock = clock
        self._reason = reason
        self._mends = mends
        self._session = open_session()
        if server.ca_file:
            self._session.verify = server.ca_file

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        return safe_url(self._server.url)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def ask(self, request: Request) -> Reply:
        """The answer to one request.

        Raises
        ------
        TransientError
            If it is unreachable, slow or busy (429, 5xx); `TooLong` is such.
        PermanentError
            If it refuses (4xx) or redirects elsewhere.
        """
        deadline_s = self._clock.monotonic_s() + self._server.timeout_ms / 1000
        with sent(self._session, request, self._server.timeout_ms / 1000) as response:
            if response.status_code not in _WELL:
                raise self._refused(response, deadline_s)
            body = read_body(response, self._server.body_bytes_max, deadline_s, self._clock)
            return Reply(body, response.headers.get("Content-Type", ""))

    def _refused(self, response: requests.Response, deadline_s: float) -> DeliveryError:
        status = response.status_code
        try:
            body = read_body(response, _ERROR_BYTES_MAX, deadline_s, self._clock)
        except (DeliveryError, requests.RequestException, HTTPError, OSError):
            body = b""
        said = f"answered {status}, expected 200"
        if reason := self._reason(body):
            said += f': "{reason}"'
        if status == 429 or status >= 500:
            return TransientError(said, retry_after_ms=retry_after_ms(response))
        mend = self._mends.get(status)
        return PermanentError(f"{said}; {mend}" if mend else said)


def retry_after_ms(response: requests.Response) -> int:
    """How long to leave it alone, at most ten minutes; 0 where it does not say in seconds."""
    told = response.headers.get("Retry-After", "")
    return min(int(told[:9]), _RETRY_AFTER_S_MAX) * 1000 if told.isascii() and told.isdigit() else 0


def printable(text: str) -> str:
    """The beginning of a text from outside, fit to be shown.

    Examples
    --------
    >>> printable("too \\x1b[31mred")
    'too  [31mred'
    """
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * _ERROR_CHARS_MAX])
    return shown.strip()[:_ERROR_CHARS_MAX]
