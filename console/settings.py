"""Settings of the console and of the intake."""

from __future__ import annotations

from dataclasses import dataclass

from model.units import Milliseconds, SizeBytes

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The web server, its pages and its sign-in.

    Attributes
    ----------
    listen : str
        Address and port. Any other address than a loopback one is refused until a user or a token exists.
    external_url : str
        How people reach the console ("https://tocsin.example.org"); links in pages and tickets begin with
        it. With https, cookies are marked Secure. Empty: as listened.
    trusted_proxies : tuple of str
        Addresses of proxies whose X-Forwarded-For is believed; empty: nobody's.
    language : str
        "en" or "zh_CN" for everybody who has not chosen; empty: what the browser asks for.
    open_loopback : bool
        While no user and no token exists, let requests from this machine in as the administrator "local".
    session_idle_ms, session_lifetime_ms : int
        A session ends after so long without a request, and so long after the sign-in in any case.
    sign_in_tries_max : int
        Failed sign-ins per name and address within `sign_in_window_ms`; beyond it further ones are refused.
    sign_in_window_ms : int
        See `sign_in_tries_max`.
    password_length_min : int
        Characters of a new password.
    page_size : int
        Rows per page of a list.
    poll_ms : int
        How often an open page asks for what is new.
    form_bytes_max : int
        Body of a form or of an API request that is not a push.
    silence_ms_max : int
        Longest silence a responder may set; a manager may set any.
    silences_max : int
        Silences in force or to come; beyond it new ones are refused, because each is tried on every alert.
    trace_url : str
        Where a trace is looked at ("https://jaeger.example/trace/{trace_id}"); the traces on an incident
        lead there.
    graph_services_max : int
        Services drawn on the dependency graph, the most critical ones first; the list has all.
    """

    listen: str = "127.0.0.1:8420"
    external_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    language: str = ""
    open_loopback: bool = True
    session_idle_ms: Milliseconds = 12 * HOUR_MS
    session_lifetime_ms: Milliseconds = 7 * DAY_MS
    sign_in_tries_max: int = 5
    sign_in_window_ms: Milliseconds = 15 * MINUTE_MS
    password_length_min: int = 10
    page_size: int = 50
    poll_ms: Milliseconds = 2_000
    form_bytes_max: SizeBytes = 256 * 1024
    silence_ms_max: Milliseconds = DAY_MS
    silences_max: int = 1_000
    trace_url: str = ""
    graph_services_max: int = 120

    def __post_init__(self) -> None:
        if self.trace_url and "{trace_id}" not in self.trace_url:
            raise ValueError("trace_url must have {trace_id} in it")
        if self.trace_url and not self.trace_url.startswith(("http://", "https://")):
            raise ValueError("trace_url must begin with http:// or https://")


@dataclass(frozen=True, slots=True)
class SignedSource:
    """A source that signs what it pushes (header `Tocsin-Signature`) instead of sending a token.

    Attributes
    ----------
    name : str
        The source's name, sent in the header `Tocsin-Source`.
    secret_file : str
        File that holds the shared secret.
    previous_secret_file : str
        File that holds the secret before it, valid while keys are rotated.
    """

    name: str
    secret_file: str = ""
    previous_secret_file: str = ""


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """What pushes are accepted.

    Attributes
    ----------
    body_bytes_max : int
        Body of one push as sent.
    decoded_bytes_max : int
        Body of one push after decompression.
    resolve_timeout_ms : int
        An alert that is pushed without an end resolves when nothing is heard of it for so long.
    signature_window_ms : int
        A signature older or newer than this is refused.
    signatures_max : int
        Signatures remembered within the window, so that a replay is recognised.
    signed : tuple of SignedSource
        Sources that sign.
    """

    body_bytes_max: SizeBytes = 4 * 1024 * 1024
    decoded_bytes_max: SizeBytes = 32 * 1024 * 1024
    resolve_timeout_ms: Milliseconds = 5 * MINUTE_MS
    signature_window_ms: Milliseconds = 5 * MINUTE_MS
    signatures_max: int = 100_000
    signed: tuple[SignedSource, ...] = ()
