"""A probe over HTTP: one request, redirects within reason, each phase timed, only so much believed."""

from __future__ import annotations

import base64
import http.client
import socket
from pathlib import Path
from typing import cast
from urllib.parse import urljoin, urlsplit

import re2

from collectors.probe_settings import check_url
from collectors.probe_tls import secure
from collectors.probing import Attempt, ProbeFault, Timed

_REDIRECTS_MAX = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 65_536


def probe_http(attempt: Attempt) -> None:
    """Ask, follow, and compare with what is expected.

    Raises
    ------
    ProbeFault, Late, OSError, http.client.HTTPException
    """
    url, method, hops = attempt.target.target, attempt.target.http.method, 0
    while True:
        connection = _open(attempt, url)
        try:
            response = _ask(attempt, connection, url, method)
            location = response.headers.get("Location", "")
            if not (attempt.target.http.follow_redirects and response.status in _REDIRECTS):
                _judge(attempt, response, hops)
                return
            url = _follow(attempt, url, location)
            # As browsers do: what was posted is not posted again, unless the answer says so.
            method = method if response.status in (307, 308) or method == "HEAD" else "GET"
        finally:
            connection.close()
        hops += 1
        attempt.see("probe_http_redirects", hops)
        if hops > _REDIRECTS_MAX:
            raise ProbeFault(
                "{target} redirects more than {most} times",
                target=attempt.target.instance,
                most=_REDIRECTS_MAX,
            )


def _open(attempt: Attempt, url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = attempt.connect(parts.hostname, port)
    attempt.see("probe_http_ssl", parts.scheme == "https")
    if parts.scheme != "https":
        return connection
    return secure(attempt, connection, parts.hostname, port)


def _ask(
    attempt: Attempt, connection: socket.socket, url: str, method: str
) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    asking = http.client.HTTPConnection(parts.netloc)
    asking.sock = connection
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    settings = attempt.target.http
    body = settings.body.encode() if method == settings.method else b""
    with attempt.timing("processing"):
        connection.settimeout(attempt.left_s())
        asking.request(method, path, body or None, _headers(attempt, url))
        # Not asking.getresponse(): that would close the connection before the body is read.
        timed = cast(socket.socket, Timed(connection, attempt))
        response = http.client.HTTPResponse(timed, method=method)
        response.begin()
    attempt.see("probe_http_status_code", response.status)
    attempt.see("probe_http_version", response.version / 10)
    return response


def _headers(attempt: Attempt, url: str) -> dict[str, str]:
    settings = attempt.target.http
    headers = {"User-Agent": "Tocsin", "Accept": "*/*", "Connection": "close"}
    if _origin(url) != _origin(attempt.target.target):
        return headers  # what is secret, or might be, is for the target alone
    headers |= settings.headers
    headers |= {name: _secret(attempt, path) for name, path in settings.header_files.items()}
    if settings.bearer_token_file:
        headers["Authorization"] = "Bearer " + _secret(attempt, settings.bearer_token_file)
    if settings.username:
        password = _secret(attempt, settings.password_file) if settings.password_file else ""
        pair = f"{settings.username}:{password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers


def _secret(attempt: Attempt, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise ProbeFault("the secret's file {path} cannot be read", path=path) from None
    if not text.isascii() or not text.isprintable():
        raise ProbeFault("the secret's file {path} does not hold one line of text", path=path)
    return text


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _follow(attempt: Attempt, url: str, location: str) -> str:
    """Where a redirect leads, if it may be followed."""
    target = attempt.target
    goal = urljoin(url, location.partition("#")[0])
    try:
        check_url(goal)
    except ValueError:
        raise ProbeFault(
            "{target} redirects to what is no address: {location}",
            target=target.instance,
            location=ascii(location[:100]),
        ) from None
    host, own = urlsplit(goal).hostname, urlsplit(target.target).hostname
    if host != own and host not in target.http.redirect_hosts:
        raise ProbeFault(
            "{target} redirects to {host}, which redirect_hosts does not name",
            target=target.instance,
            host=host,
        )
    return goal


def _judge(attempt: Attempt, response: http.client.HTTPResponse, hops: int) -> None:
    """Compare the last answer with what is expected."""
    target, settings = attempt.target, attempt.target.http
    attempt.see("probe_http_redirects", hops)
    attempt.see("probe_http_content_length", -1 if response.length is None else response.length)
    if not settings.expects(response.status):
        raise ProbeFault(
            "{target} answers HTTP {status} instead of {expected}",
            target=target.instance,
            status=response.status,
            expected=", ".join(map(str, settings.expect_status)),
        )
    with attempt.timing("transfer"):
        body, whole = _body(attempt, response)
    attempt.see("probe_http_uncompressed_body_length", len(body))
    if not (settings.expect_body or settings.reject_body):
        return
    fault = _search(attempt, body.decode("utf-8", "replace"), whole)
    attempt.see("probe_failed_due_to_regex", fault is not None)
    if fault is not None:
        raise fault


def _body(attempt: Attempt, response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """The body up to the limit, and whether that was all of it."""
    most = attempt.settings.body_bytes_max
    body = bytearray()
    while len(body) <= most:
        attempt.left_s()
        piece = response.read1(min(_CHUNK, most + 1 - len(body)))
        if not piece:
            if response.length:
                raise ProbeFault(
                    "{target} breaks off in the middle of its answer",
                    target=attempt.target.instance,
                )
            return bytes(body), True
        body += piece
    return bytes(body[:most]), False


def _search(attempt: Attempt, body: str, whole: bool) -> ProbeFault | None:
    target, settings = attempt.target.instance, attempt.target.http
    if settings.reject_body and re2.search(settings.reject_body, body):
        return ProbeFault(
            "the answer of {target} holds {pattern}", target=target, pattern=settings.reject_body
        )
    if not settings.expect_body or re2.search(settings.expect_body, body):
        return None
    if whole:
        return ProbeFault(
            "the answer of {target} does not hold {pattern}",
            target=target,
            pattern=settings.expect_body,
        )
    return ProbeFault(
        "the first {most} bytes of the answer of {target} do not hold {pattern}",
        target=target,
        pattern=settings.expect_body,
        most=attempt.settings.body_bytes_max,
    )
