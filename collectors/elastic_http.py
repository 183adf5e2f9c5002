"""One request to an Elasticsearch or OpenSearch: bounded in time and size, refusals as sentences.

Plain HTTP, as for a Prometheus: secrets are read anew, nothing is followed to another host, and OpenSearch is
answered too, which Elastic's client refuses.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
import requests
from urllib3.exceptions import HTTPError

from collectors.elastic_hits import BadPage, Gone
from collectors.fetch import (
    TooLong,
    failure,
    open_session,
    read_body,
    safe_url,
    same_origin,
    secret,
)
from model.clock import Clock
from model.errors import DeliveryError, PermanentError, TransientError

GONE = "search_context_missing_exception"
_ERROR_BYTES_MAX = 65_536
_ERROR_CHARS_MAX = 200
_REDIRECTS_MAX = 3
_RETRY_AFTER_S_MAX = 600.0
_MENDS = {
    401: "check api_key_file, or username and password_file",
    403: "the credential has not the privilege for this on the index",
    404: "is there such an index, and is url the address of an Elasticsearch?",
}


class Server(Protocol):
    """Where it is, and how it is spoken to."""

    @property
    def url(self) -> str: ...
    @property
    def api_key_file(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password_file(self) -> str: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def compress(self) -> bool: ...
    @property
    def timeout_ms(self) -> int: ...
    @property
    def body_bytes_max(self) -> int: ...


class ElasticHttp:
    """One request at a time.

    Parameters
    ----------
    server : Server
    clock : Clock
        Only to measure how long an answer takes.
    """

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
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

    def ask(self, method: str, path: str, body: Mapping[str, Any] | bytes | None) -> dict[str, Any]:
        """The JSON of one answer; bytes are sent as lines of JSON.

        Raises
        ------
        TransientError
            If it is unreachable, slow or busy (429, 5xx); `Gone` and `BadPage` are such.
        PermanentError
            If it refuses (4xx), redirects elsewhere, or is no Elasticsearch.
        """
        url = self._server.url.rstrip("/") + path
        deadline_s = self._clock.monotonic_s() + self._server.timeout_ms / 1000
        try:
            for _ in range(_REDIRECTS_MAX + 1):
                with self._send(method, url, body) as response:
                    if response.is_redirect:
                        url = same_origin(url, response.headers["Location"])
                        continue
                    if response.status_code not in (200, 201):
                        raise self._refused(response, deadline_s)
                    size = self._server.body_bytes_max
                    answer = read_body(response, size, deadline_s, self._clock)
                    return _parsed(answer, response.headers.get("Content-Type", ""))
            raise PermanentError(f"redirected more than {_REDIRECTS_MAX} times")
        except TooLong as error:
            raise BadPage(str(error)) from None
        except (requests.RequestException, HTTPError, OSError) as error:
            raise TransientError(failure(error)) from None

    def _send(
        self, method: str, url: str, body: Mapping[str, Any] | bytes | None
    ) -> requests.Response:
        server = self._server
        headers = {"Accept": "application/json", "User-Agent": "Tocsin"}
        headers["Accept-Encoding"] = "gzip" if server.compress else "identity"
        if body is not None:
            packed = isinstance(body, bytes)
            headers["Content-Type"] = "application/x-ndjson" if packed else "application/json"
        auth = None
        if server.api_key_file:
            key = secret(server.api_key_file)
            if ":" in key:
                key = base64.b64encode(key.encode()).decode()
            headers["Authorization"] = "ApiKey " + key
        elif server.username:
            path = server.password_file
            auth = (server.username, secret(path) if path else "")
        return self._session.request(
            method,
            url,
            data=body if body is None or isinstance(body, bytes) else orjson.dumps(body),
            headers=headers,
            auth=auth,
            timeout=server.timeout_ms / 1000,
            stream=True,
            allow_redirects=False,
        )

    def _refused(self, response: requests.Response, deadline_s: float) -> DeliveryError:
        status = response.status_code
        try:
            body = read_body(response, _ERROR_BYTES_MAX, deadline_s, self._clock)
        except (DeliveryError, requests.RequestException, HTTPError, OSError):
            body = b""
        kind, reason = _reason(body)
        if kind == GONE:
            return Gone("the point in time is no more")
        said = f"answered {status}, expected 200" + (f' ("{reason}")' if reason else "")
        if status == 429 or status >= 500:
            after_s = response.headers.get("Retry-After", "")
            wait_s = float(after_s) if after_s.isascii() and after_s.isdigit() else 0.0
            wait_s = min(wait_s, _RETRY_AFTER_S_MAX)
            return TransientError(said, retry_after_ms=int(wait_s * 1000))
        return PermanentError(said + (f"; {_MENDS[status]}" if status in _MENDS else ""))


def _parsed(body: bytes, kind: str) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        if "json" not in kind:
            raise PermanentError(unexpected("JSON", None)) from None
        try:
            # Documents may hold what orjson refuses, such as half of a surrogate pair.
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise BadPage("answered JSON that cannot be read") from None
    if not isinstance(found, dict):
        raise PermanentError(unexpected("an object", found))
    return found


def _reason(body: bytes) -> tuple[str, str]:
    """The kind and the words of an error, fit to be shown."""
    try:
        error = orjson.loads(body).get("error")
        cause = (error.get("root_cause") or [error])[0]
        return str(cause.get("type", "")), printable(str(cause.get("reason") or ""))
    except (orjson.JSONDecodeError, AttributeError, LookupError, TypeError):
        return "", ""


def printable(text: str) -> str:
    """Fit to be shown."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * _ERROR_CHARS_MAX])
    return shown.strip()[:_ERROR_CHARS_MAX]


def unexpected(wanted: str, came: object) -> str:
    """What came instead of an answer."""
    what = "something else" if came is None else type(came).__name__
    return f"said {what} where {wanted} was expected; is it an Elasticsearch?"
