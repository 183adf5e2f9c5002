"""One request to an Elasticsearch or OpenSearch, answered as JSON.

OpenSearch is answered too, which Elastic's client refuses.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from collectors.elastic_hits import BadPage, Gone
from collectors.fetch import Request, TooLong, basic, secret
from collectors.http_client import HttpClient, Reply, Server, printable
from model.clock import Clock
from model.errors import PermanentError
from model.reason import gettext

GONE = "search_context_missing_exception"
_MENDS = {
    401: gettext("check api_key_file, or username and password_file"),
    403: gettext("the credential has not the privilege for this on the index"),
    404: gettext("is there such an index, and is url the address of an Elasticsearch?"),
}


class ElasticServer(Server, Protocol):
    """Where it is, and how it is spoken to."""

    @property
    def api_key_file(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password_file(self) -> str: ...
    @property
    def compress(self) -> bool: ...


class ElasticHttp:
    """One request at a time.

    Parameters
    ----------
    server : ElasticServer
    clock : Clock
        Only to measure how long an answer takes.
    """

    def __init__(self, server: ElasticServer, clock: Clock) -> None:
        self._server = server
        self._http = HttpClient(server, clock, reason=_reason, mends=_MENDS)

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        return self._http.name

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | bytes | None) -> dict[str, Any]:
        """The JSON of one answer; bytes are sent as lines of JSON.

        Raises
        ------
        TransientError
            If it is unreachable, slow or busy (429, 5xx); `Gone` and `BadPage` are such.
        PermanentError
            If it refuses (4xx), redirects elsewhere, or is no Elasticsearch.
        """
        return self.parsed(self.reply(method, path, body))

    def reply(self, method: str, path: str, body: Mapping[str, Any] | bytes | None) -> Reply:
        """The answer as it came; raises as `ask` does."""
        try:
            return self._http.ask(self._request(method, path, body))
        except TooLong as error:
            raise BadPage(str(error)) from None

    def parsed(self, reply: Reply) -> dict[str, Any]:
        """The JSON of an answer; raises as `ask` does."""
        return _parsed(reply.body, reply.media_type)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | bytes | None) -> Request:
        server = self._server
        headers = {"Accept": "application/json"}
        headers["Accept-Encoding"] = "gzip" if server.compress else "identity"
        packed = isinstance(body, bytes)
        if body is not None:
            headers["Content-Type"] = "application/x-ndjson" if packed else "application/json"
        auth = None
        if server.api_key_file:
            key = secret(server.api_key_file)
            if ":" in key:
                key = base64.b64encode(key.encode()).decode()
            headers["Authorization"] = "ApiKey " + key
        else:
            auth = basic(server.username, server.password_file)
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        return Request(method, server.url.rstrip("/") + path, headers, data, auth)


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


def _reason(body: bytes) -> str:
    """What an error says; a point in time that is no more is an error of its own."""
    try:
        error = orjson.loads(body).get("error")
        cause = (error.get("root_cause") or [error])[0]
        kind, words = str(cause.get("type", "")), str(cause.get("reason") or "")
    except (orjson.JSONDecodeError, AttributeError, LookupError, TypeError):
        return ""
    if kind == GONE:
        raise Gone("the point in time is no more")
    return printable(words)


def unexpected(wanted: str, came: object) -> str:
    """What came instead of an answer."""
    what = "something else" if came is None else type(came).__name__
    return f"said {what} where {wanted} was expected; is it an Elasticsearch?"


__all__ = ["GONE", "ElasticHttp", "ElasticServer", "printable", "unexpected"]
