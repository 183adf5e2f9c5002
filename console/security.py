"""Sign-in's arithmetic: forms, signatures, throttling, and who may listen where."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from model.reason import Reason, because

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    # Not "no-referrer": with it browsers send "Origin: null" from our own forms, which is then refused.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
"""Sent with every answer."""


def csrf_token(session: str) -> str:
    """What a form of this session must carry: derived, so that nothing more is stored."""
    return hmac.new(session.encode(), b"tocsin form", hashlib.sha256).hexdigest()


def credential(authorization: str) -> str:
    """The token in an Authorization header: Bearer, or the password of Basic (as Prometheus sends).

    Examples
    --------
    >>> credential("Bearer abc"), credential("Basic eDphYmM="), credential("Digest x")
    ('abc', 'abc', '')
    """
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # not base64, not ASCII, or not UTF-8 within
        return ""


def sign(secret: bytes, body: bytes, time_s: int) -> str:
    """The value of `Tocsin-Signature` for a body.

    Examples
    --------
    >>> sign(b"secret", b"[]", 1700000000)[:20]
    't=1700000000,v1=74f7'
    """
    digest = hmac.new(secret, f"{time_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={time_s},v1={digest}"


def check_signature(
    header: str, body: bytes, secrets_: Sequence[bytes], *, now_ms: int, window_ms: int
) -> Reason | None:
    """Why a signature is refused, or None if it holds under any of the secrets.

    Examples
    --------
    >>> header = sign(b"old", b"[]", 1700000000)
    >>> check_signature(header, b"[]", [b"new", b"old"], now_ms=1700000000_000, window_ms=300_000)
    >>> check_signature(header, b"[]", [b"new"], now_ms=1700000000_000, window_ms=300_000).text()
    'the signature does not fit the body'
    """
    fields = dict(part.strip().partition("=")[::2] for part in header.split(","))
    stamp = fields.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return because("Tocsin-Signature must look like t=SECONDS,v1=HEX")
    if abs(now_ms - int(stamp) * 1000) > window_ms:
        return because("the signature is too old, or the clocks differ")
    fits = False
    for secret in secrets_:  # no early exit: every secret costs the same
        wanted = sign(secret, body, int(stamp)).partition("v1=")[2]
        fits |= hmac.compare_digest(wanted.encode(), fields.get("v1", "").encode())
    return None if fits else because("the signature does not fit the body")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def split_listen(listen: str) -> tuple[str, int]:
    """Read "127.0.0.1:8420", "[::1]:8420" or ":8420" (every address).

    Examples
    --------
    >>> split_listen("[::1]:80"), split_listen(":8420")
    (('::1', 80), ('0.0.0.0', 8420))
    """
    host, _, port = listen.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)


def check_bind(listen: str, has_credentials: bool) -> Reason | None:
    """Why the console must not listen there, or None: never open to others without a credential.

    Examples
    --------
    >>> check_bind("127.0.0.1:8420", False)
    >>> check_bind("0.0.0.0:8420", True)
    >>> check_bind("0.0.0.0:8420", False).params["listen"]
    '0.0.0.0:8420'
    """
    host, _ = split_listen(listen)
    if has_credentials or is_loopback(host):
        return None
    return because(
        "console.listen: {listen} can be reached by other machines, and there is no user or token yet; "
        "create one with `tocsin users add NAME --role admin`, or listen on 127.0.0.1",
        listen=listen,
    )


def same_site(origin: str, fetch_site: str, host: str, external_url: str) -> bool:
    """Whether a browser's POST comes from our own page; programs send neither header.

    Examples
    --------
    >>> same_site("http://127.0.0.1:8420", "", "127.0.0.1:8420", "")
    True
    >>> same_site("https://evil.example", "cross-site", "127.0.0.1:8420", ""), same_site("", "", "x", "")
    (False, True)
    """
    if fetch_site not in ("", "same-origin", "none"):
        return False
    if not origin:
        return True
    ours = {host.lower(), urlsplit(external_url).netloc.lower()} - {""}
    try:
        return urlsplit(origin).netloc.lower() in ours
    except ValueError:  # "http://[": no browser sends that
        return False


class Throttle:
    """Counts failures per key within a window: sign-ins by name and address.

    Examples
    --------
    >>> throttle = Throttle(tries_max=2, window_ms=1000)
    >>> throttle.failed("ann", 0); throttle.failed("ann", 1)
    >>> throttle.blocked("ann", 2), throttle.blocked("ann", 1001), throttle.blocked("bob", 2)
    (True, False, False)
    """

    KEYS_MAX = 10_000

    def __init__(self, *, tries_max: int, window_ms: int) -> None:
        self._tries_max = tries_max
        self._window_ms = window_ms
        self._failures: dict[str, list[int]] = {}

    def blocked(self, key: str, now_ms: int) -> bool:
        """Whether the key has failed too often lately."""
        recent = [at for at in self._failures.get(key, []) if at > now_ms - self._window_ms]
        return len(recent) >= self._tries_max

    def failed(self, key: str, now_ms: int) -> None:
        """Note a failure; the longest-known key is forgotten beyond `KEYS_MAX`."""
        failures = self._failures.pop(key, [])[-self._tries_max :]
        if len(self._failures) >= self.KEYS_MAX:
            self._failures.pop(next(iter(self._failures)))
        self._failures[key] = [*failures, now_ms]

    def forget(self, key: str) -> None:
        """After a success."""
        self._failures.pop(key, None)
