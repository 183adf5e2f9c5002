"""HTTP requests whose answers are believed only so far; and one target asked for its metrics."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, ProtocolError, TimeoutError

from collectors.exposition import Format
from collectors.settings import ScrapeTarget
from model.clock import Clock
from model.errors import PermanentError, TransientError

_ACCEPT = (
    "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
_CHUNK_BYTES = 65_536
_REDIRECTS_MAX = 3


class TooLong(TransientError):
    """An answer is longer than allowed: asking for less may help."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `auth` is a name and a password for Basic authentication."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    auth: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded body and its format."""

    body: bytes
    form: Format


def open_session() -> requests.Session:
    """A session that takes no proxies or credentials from the environment."""
    session = requests.Session()
    session.trust_env = False
    return session


def safe_url(url: str) -> str:
    """The URL as it may be shown: without credentials and without its query.

    Examples
    --------
    >>> safe_url("http://ann:secret@db1:9100/metrics?token=x")
    'http://db1:9100/metrics'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def fetch(
    session: requests.Session,
    target: ScrapeTarget,
    *,
    timeout_s: float,
    body_bytes_max: int,
    clock: Clock,
) -> Answer:
    """Get a target's body.

    Parameters
    ----------
    timeout_s : float
        For connecting, for each wait, and for the whole answer.
    body_bytes_max : int
        Decoded bytes; compressed ones are unpacked piece by piece, so that a bomb is met early (A2).

    Raises
    ------
    TransientError
        If it does not answer in time, is too long, or answers with anything but 200.
    PermanentError
        If a secret's file cannot be read, or it redirects to another host.
    """
    deadline_s = clock.monotonic_s() + timeout_s
    headers = {"Accept": _ACCEPT, "Accept-Encoding": "gzip"}
    headers["X-Prometheus-Scrape-Timeout-Seconds"] = f"{timeout_s:g}"
    if target.bearer_token_file:
        headers["Authorization"] = "Bearer " + secret(target.bearer_token_file)
    auth = basic(target.username, target.password_file)
    with sent(session, Request("GET", target.url, headers, auth=auth), timeout_s) as response:
        if response.status_code != 200:
            raise TransientError(f"answered {response.status_code}, expected 200")
        body = read_body(response, body_bytes_max, deadline_s, clock)
        return Answer(body, Format.of(response.headers.get("Content-Type", "")))


@contextmanager
def sent(
    session: requests.Session, request: Request, timeout_s: float
) -> Iterator[requests.Response]:
    """The answer to a request, its body unread; redirects are followed to the same host alone.

    Raises
    ------
    TransientError
        If it is unreachable or breaks off, also while the caller reads.
    PermanentError
        If it redirects elsewhere, or again and again.
    """
    url = request.url
    try:
        for _ in range(_REDIRECTS_MAX + 1):
            with session.request(
                request.method,
                url,
                data=request.body,
                headers={"User-Agent": "Tocsin", **request.headers},
                auth=request.auth,
                timeout=timeout_s,
                stream=True,
                allow_redirects=False,
            ) as response:
                if response.is_redirect:
                    url = same_origin(url, response.headers["Location"])
                    continue
                yield response
                return
        raise PermanentError(f"redirected more than {_REDIRECTS_MAX} times")
    except (requests.RequestException, HTTPError, OSError) as error:
        raise TransientError(failure(error)) from None


def failure(error: Exception) -> str:
    """What went wrong, in words that hold no secret."""
    # The texts of requests hold the URL, which may hold a secret: only kinds are told.
    if isinstance(error, requests.Timeout | TimeoutError):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS certificate or handshake was refused"
    if isinstance(error, requests.ConnectionError | ProtocolError):
        return "the connection was refused or broke off"
    return f"the request failed ({type(error).__name__})"


def secret(path: str) -> str:
    """The content of a secret's file, read anew each time.

    Raises
    ------
    PermanentError
        If it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise PermanentError(f"the secret's file {path} cannot be read") from None


def basic(username: str, password_file: str) -> tuple[str, str] | None:
    """A name and the password of a file; None without a name.

    Raises
    ------
    PermanentError
        If the file cannot be read.
    """
    if not username:
        return None
    return username, secret(password_file) if password_file else ""


def same_origin(url: str, location: str) -> str:
    """Where a redirect leads.

    Raises
    ------
    PermanentError
        If that is another host: credentials are not carried there.
    """
    goal = urljoin(url, location)
    here, there = urlsplit(url), urlsplit(goal)
    if (here.scheme, here.hostname, here.port) != (there.scheme, there.hostname, there.port):
        raise PermanentError("redirects to another host; name that one as the target")
    return goal


def read_body(
    response: requests.Response, body_bytes_max: int, deadline_s: float, clock: Clock
) -> bytes:
    """The decoded body of an answer that was asked for with `stream=True`.

    Raises
    ------
    TransientError
        If it is too long, too slow, broken off or packed in an unknown way.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise TransientError(f"sent Content-Encoding {encoding[:20]!r}, expected gzip")
    body = bytearray()
    try:
        for piece in _unpacked(response, encoding in ("gzip", "x-gzip"), body_bytes_max + 1):
            body += piece
            if len(body) > body_bytes_max:
                raise TooLong(f"the answer is longer than {body_bytes_max} bytes")
            if clock.monotonic_s() > deadline_s:
                raise TransientError("no answer in time")
    except zlib.error:
        raise TransientError("sent gzip that cannot be unpacked") from None
    return bytes(body)


def _unpacked(response: requests.Response, gzipped: bool, piece_max: int) -> Iterator[bytes]:
    # Unpacked here, not by urllib3, so that no piece can be larger than the limit.
    unpacker = zlib.decompressobj(wbits=31)
    # read1 gives what has come, so that a target which drips cannot hold us past the deadline.
    while packed := response.raw.read1(_CHUNK_BYTES, decode_content=False):
        if not gzipped:
            yield packed
            continue
        while packed:
            yield unpacker.decompress(packed, piece_max)
            packed = unpacker.unconsumed_tail
            if unpacker.eof and unpacker.unused_data:  # gzip may be several, one after the other
                packed, unpacker = unpacker.unused_data, zlib.decompressobj(wbits=31)
    if gzipped and not unpacker.eof:
        raise TransientError("broke off in the middle of the answer")
