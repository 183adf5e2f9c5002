"""One HTTP request to an address somebody typed into a file: pinned, bounded, never redirected.

The name is resolved once, every address is checked, and the connection goes to the address that
was checked; the name is used only for TLS and the Host header. So neither a redirect nor a second
answer of the name server leads inside (SSRF, DNS rebinding).
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from model.addresses import allowed
from model.clock import Clock
from model.errors import InputError, PermanentError, TransientError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

Resolve = Callable[[str, int], list[str]]
RETRY_AFTER_MS_MAX = 24 * 3_600_000
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, by the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Sends requests under one policy.

    Attributes
    ----------
    allow_private : bool
        Whether private, shared and loopback addresses may be reached. Link-local ones (among them
        the metadata services of clouds), multicast and unspecified ones never are.
    timeout_ms : int
        For each of connecting and sending, and for the whole answer, its head included.
    response_bytes_max : int
        An answer that is longer is a failure.
    """

    clock: Clock
    allow_private: bool = False
    timeout_ms: int = 10_000
    response_bytes_max: int = 1 << 20
    resolve: Resolve = field(default=resolve)

    def request(
        self, method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Do one request.

        Raises
        ------
        PermanentError
            If the address may not be reached, or is none.
        TransientError
            If it could not be reached, or the answer is broken, late or too long.
        """
        try:
            secure, host, port, target = split(url)
        except InputError as error:
            raise PermanentError(str(error)) from None
        address = self._pin(host, port)
        connection = _Pinned(host, port, address, secure, self.timeout_ms / 1000, self.clock)
        try:
            connection.request(
                method, target, body or None, {"Host": _host(url), **(headers or {})}
            )
            return self._read(connection.getresponse())
        except TimeoutError:
            raise TransientError(f"{_safe(url)}: no answer within {self.timeout_ms} ms") from None
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(f"{_safe(url)}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _pin(self, host: str, port: int) -> str:
        try:
            found = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise TransientError(f"{host}: cannot be resolved: {error}") from error
        if not found:
            raise TransientError(f"{host}: has no address")
        for text in found:
            if not allowed(text, allow_private=self.allow_private):
                raise PermanentError(
                    f"{host}: {text} is not a public address; set allow_private if it is meant"
                )
        return found[0]

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        parts, size = list[bytes](), 0
        while chunk := response.read1(_CHUNK):
            size += len(chunk)
            if size > self.response_bytes_max:
                raise TransientError(f"the answer is longer than {self.response_bytes_max} bytes")
            parts.append(chunk)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, b"".join(parts))


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, speaking to a name."""

    def __init__(
        self, host: str, port: int, address: str, secure: bool, timeout_s: float, clock: Clock
    ) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address = address
        self._secure = secure

        def answer(
            sock: socket.socket, *args: object, **kwargs: object
        ) -> http.client.HTTPResponse:
            timed = cast(socket.socket, _Timed(sock, clock.monotonic_s() + timeout_s, clock))
            return http.client.HTTPResponse(timed, *args, **kwargs)  # type: ignore[arg-type]

        self.response_class = cast(type[http.client.HTTPResponse], answer)

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


class _Timed(io.RawIOBase):
    """What an answer is read from: a socket, until a moment that holds for head and body together.

    A drop a second would keep each single read within the socket's own timeout for ever.
    """

    def __init__(self, sock: socket.socket, deadline_s: float, clock: Clock) -> None:
        self._sock, self._deadline_s, self._clock = sock, deadline_s, clock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open as long as it is read

    def makefile(self, mode: str) -> io.BufferedReader:
        """As `HTTPResponse` asks for it."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read what has come, or wait for it no longer than is left."""
        left_s = self._deadline_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError("no whole answer in time")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer) or 0

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


def split(url: str) -> tuple[bool, str, int, str]:
    """An address as (TLS, host, port, request target).

    Raises
    ------
    InputError
        If it is not http or https, has no host, or carries a password.

    Examples
    --------
    >>> split("https://desk.example/hook?a=1")
    (True, 'desk.example', 443, '/hook?a=1')
    """
    if not url.isascii() or any(c <= " " for c in url):
        raise InputError(f"{url!r}: an address has neither blanks nor characters beyond ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f'must be an address such as "https://desk.example/hook", got {url!r}')
    if parts.username is not None or parts.password is not None:
        raise InputError("an address must not carry a password; use secret_files")
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return secure, parts.hostname, port or (443 if secure else 80), target


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _safe(url: str) -> str:
    """An address without its query, which may hold secrets."""
    return url.partition("?")[0]


def retry_after_ms(value: str, *, now_ms: int) -> int:
    """A Retry-After header, in seconds or as an HTTP date, as milliseconds from now; 0 if unreadable.

    Examples
    --------
    >>> retry_after_ms("120", now_ms=0), retry_after_ms("Thu, 01 Jan 1970 00:01:00 GMT", now_ms=10_000)
    (120000, 50000)
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]) * 1000, RETRY_AFTER_MS_MAX)
    try:
        at_ms = round(parsedate_to_datetime(value).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(at_ms - now_ms, 0), RETRY_AFTER_MS_MAX)


def check(answer: Answer, *, where: str, now_ms: int) -> None:
    """Sort an answer's status into success, try again, and never.

    Raises
    ------
    TransientError
        5xx, 408, 425, 429, with the time the other side asks for.
    PermanentError
        Any other answer but 2xx; a redirect is one, because it is not followed.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    said = answer.body[:200].decode("utf-8", "replace")
    message = f"{where}: answered {status}: {said}"
    if status >= 500 or status in (408, 425, 429):
        wait = retry_after_ms(answer.headers.get("retry-after", ""), now_ms=now_ms)
        raise TransientError(message, retry_after_ms=wait)
    raise PermanentError(message)
