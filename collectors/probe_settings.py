"""What can be set about probes: addresses that are tried from outside, as users would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

import re2

from model.units import Milliseconds, SizeBytes

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS = re.compile(r"[1-5]xx|[1-5]\d\d(-[1-5]\d\d)?")
DNS_TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "CAA")


def host_port(text: str, default: int | None, *, key: str = "target") -> tuple[str, int]:
    """Host and port of "host:port" or "[v6]:port"; the port may be missing where there is a default.

    Examples
    --------
    >>> host_port("db1:5432", None), host_port("[::1]:53", 53), host_port("9.9.9.9", 53)
    (('db1', 5432), ('::1', 53), ('9.9.9.9', 53))
    """
    try:
        bare = f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text
        parts = urlsplit(f"//{bare}")
        host, port = parts.hostname, parts.port or default
        plain = not (parts.path or parts.query or parts.fragment or "@" in text)
    except ValueError:
        host, port, plain = None, None, False
    if not host or not port or not plain or any(c <= " " for c in text) or not text.isascii():
        wanted = '"host:port"' if default is None else '"host" or "host:port"'
        raise ValueError(f"{key} must be {wanted}, got {text!r}")
    return host, port


def check_url(url: str) -> None:
    """Whether an address can be probed.

    Raises
    ------
    ValueError
        If it is not http or https, has no host, or carries a password.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or any(c <= " " for c in url):
        raise ValueError(f"target must be an address such as https://shop.example/, got {url!r}")
    if "@" in parts.netloc:
        raise ValueError("target must not carry a password; use username and password_file")


def _check_pattern(key: str, pattern: str) -> None:
    if len(pattern) > 4_096:
        raise ValueError(f"{key} must be at most 4096 characters long")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise ValueError(f"{key} is not a regular expression of RE2: {said}") from None


class ProbeKind(StrEnum):
    """What is tried."""

    HTTP = "http"
    TCP = "tcp"
    TLS = "tls"
    DNS = "dns"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """What is asked over HTTP, and what must come back.

    Attributes
    ----------
    method : str
    headers : mapping of str to str
        Sent with the request.
    header_files : mapping of str to str
        Header names to files that hold their (secret) values, read anew for each probe.
    bearer_token_file, username, password_file : str
        Credentials; never sent to another scheme, host or port that a redirect names.
    body : str
        Sent with the request, in UTF-8.
    expect_status : tuple of int or str
        "2xx", 204, "200-299": the answer's status must be one of these.
    expect_body, reject_body : str
        RE2 expressions that the first `body_max` of the body must, or must not, contain.
    follow_redirects : bool
        Follow up to five redirects, on the same host name; otherwise the redirect itself is judged.
    redirect_hosts : tuple of str
        Other host names that a redirect may lead to.
    """

    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    header_files: Mapping[str, str] = field(default_factory=dict)
    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""
    body: str = ""
    expect_status: tuple[int | str, ...] = ("2xx",)
    expect_body: str = ""
    reject_body: str = ""
    follow_redirects: bool = True
    redirect_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]{1,20}", self.method):
            raise ValueError(f'method must be a word such as "GET", got {self.method!r}')
        for key in ("headers", "header_files"):
            for name, value in getattr(self, key).items():
                if not _TOKEN.fullmatch(name) or any(c in value for c in "\r\n\0"):
                    raise ValueError(f"{key} must be names and values of one line, got {name!r}")
        if not self.expect_status:
            raise ValueError("expect_status must name a status")
        for status in self.expect_status:
            if not _STATUS.fullmatch(str(status)):
                raise ValueError(
                    f'expect_status must hold such as 200, "2xx" or "200-299", got {status!r}'
                )
        _check_pattern("expect_body", self.expect_body)
        _check_pattern("reject_body", self.reject_body)

    def expects(self, status: int) -> bool:
        """Whether this status is a good one.

        Examples
        --------
        >>> [HttpProbe(expect_status=("2xx", 401, "500-502")).expects(s) for s in (204, 401, 503)]
        [True, True, False]
        """
        for one in map(str, self.expect_status):
            low, _, high = one.replace("xx", "00").partition("-")
            last = int(low) + 99 if "xx" in one else int(high or low)
            if int(low) <= status <= last:
                return True
        return False


@dataclass(frozen=True, slots=True)
class TlsProbe:
    """How TLS is spoken, for kind tls and for https.

    Attributes
    ----------
    server_name : str
        The name the certificate must be for; "" takes the host of `target`.
    ca_file : str
        Trust these authorities (PEM) instead of the system's.
    cert_file, key_file : str
        A certificate of ours (PEM), where the server asks for one.
    insecure : bool
        Accept any certificate; its expiry is still watched.
    """

    server_name: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs a cert_file beside it")


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """What is said after connecting, for kinds tcp and tls.

    Attributes
    ----------
    send : str
        Sent at once, in UTF-8.
    expect : str
        An RE2 expression that what comes back must contain (at most `body_max` of it).
    """

    send: str = ""
    expect: str = ""

    def __post_init__(self) -> None:
        _check_pattern("expect", self.expect)


@dataclass(frozen=True, slots=True)
class DnsProbe:
    """How `target` is asked for.

    Attributes
    ----------
    server : str
        Whom to ask, "host" or "host:port"; "" takes the servers of /etc/resolv.conf.
    type : str
        A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT or CAA.
    expect : tuple of str
        Each of these must be among the answers, as dig prints them.
    rcode : str
        The expected code: NOERROR, NXDOMAIN, …
    transport : str
        "udp" (TCP where the answer was cut) or "tcp".
    """

    server: str = ""
    type: str = "A"
    expect: tuple[str, ...] = ()
    rcode: str = "NOERROR"
    transport: str = "udp"

    def __post_init__(self) -> None:
        if self.type not in DNS_TYPES:
            raise ValueError(f"type must be one of {', '.join(DNS_TYPES)}, got {self.type!r}")
        if self.transport not in ("udp", "tcp"):
            raise ValueError(f"transport must be udp or tcp, got {self.transport!r}")
        if not re.fullmatch(r"[A-Z0-9]{3,20}", self.rcode):
            raise ValueError(f"rcode must be such as NOERROR or NXDOMAIN, got {self.rcode!r}")
        if self.server:
            host_port(self.server, 53, key="server")


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """One thing that is tried again and again.

    Attributes
    ----------
    name : str
        Its `probe` label; no two probes have the same.
    kind : ProbeKind
    target : str
        http: an address; tcp and tls: "host:port"; dns: the name to ask for. Its `instance` label.
    service : str
        Whom it is about, by the catalogue's name; "" takes `name`.
    labels : mapping of str to str
        More labels for every series of the probe.
    interval_ms, timeout_ms : duration
        0 takes `probes`'. The timeout is for the whole probe; it is cut to the interval.
    ip : str
        "any", "4" or "6": which addresses of a name are tried.
    allow_private : bool
        Whether private and loopback addresses may be connected to. Link-local ones never are, and a
        redirect from a public address never leads to a private one.
    """

    name: str
    kind: ProbeKind
    target: str
    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    interval_ms: Milliseconds = 0
    timeout_ms: Milliseconds = 0
    ip: str = "any"
    allow_private: bool = True
    http: HttpProbe = HttpProbe()
    tls: TlsProbe = TlsProbe()
    tcp: TcpProbe = TcpProbe()
    dns: DnsProbe = DnsProbe()

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > 100 or not self.name.isprintable():
            raise ValueError(f"name must be a name of at most 100 characters, got {self.name!r}")
        if self.ip not in ("any", "4", "6"):
            raise ValueError(f'ip must be any, "4" or "6", got {self.ip!r}')
        self._check_target()
        fits = {"http": ("http",), "tls": ("http", "tls"), "tcp": ("tcp", "tls"), "dns": ("dns",)}
        for key, kinds in fits.items():
            given, default = getattr(self, key), type(getattr(self, key))()
            if given != default and self.kind.value not in kinds:
                raise ValueError(
                    f"{key} is for probes of kind {' and '.join(kinds)}, this one is of kind {self.kind.value}"
                )

    def _check_target(self) -> None:
        if self.kind is ProbeKind.HTTP:
            check_url(self.target)
        elif self.kind is ProbeKind.DNS:
            if not re.fullmatch(r"[\w.*-]{1,253}", self.target) or ".." in self.target:
                raise ValueError(f"target must be a name such as example.org, got {self.target!r}")
        else:
            host_port(self.target, None)

    @property
    def instance(self) -> str:
        """The target as it may be shown: an address goes without its query."""
        return self.target.partition("?")[0] if self.kind is ProbeKind.HTTP else self.target


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What is tried from outside, as users would try it.

    Attributes
    ----------
    targets : tuple of ProbeTarget
        The probes.
    interval_ms, timeout_ms : duration
        Where the probe sets none.
    body_bytes_max : size
        How much of an answer is read and searched.
    workers : int
        Probes that may be under way at the same time.
    lookups_max : int
        Name look-ups that may be under way at the same time; the system's cannot be interrupted.
    targets_max : int
        Probes in all; more are a mistake in the configuration.
    """

    targets: tuple[ProbeTarget, ...] = ()
    interval_ms: Milliseconds = 30_000
    timeout_ms: Milliseconds = 10_000
    body_bytes_max: SizeBytes = 2**20
    workers: int = 32
    lookups_max: int = 64
    targets_max: int = 1_000

    def __post_init__(self) -> None:
        for key in ("interval", "timeout", "workers", "lookups_max"):
            if getattr(self, key, getattr(self, f"{key}_ms", 1)) < 1:
                raise ValueError(f"{key} must be more than nothing")
        if len(self.targets) > self.targets_max:
            raise ValueError(f"targets must be at most targets_max, {self.targets_max}")

    def interval_of(self, target: ProbeTarget) -> int:
        """Milliseconds between two probes of a target."""
        return max(1, target.interval_ms or self.interval_ms)

    def timeout_of(self, target: ProbeTarget) -> int:
        """Milliseconds that one probe of a target may take."""
        return min(target.timeout_ms or self.timeout_ms, self.interval_of(target))
