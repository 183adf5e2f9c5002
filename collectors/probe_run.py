"""Run one probe: whatever happens, there is a result, in time, with a sentence."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Callable

from collectors.probe_dns import probe_dns
from collectors.probe_http import probe_http
from collectors.probe_settings import ProbeKind, ProbeSettings, ProbeTarget
from collectors.probe_tcp import probe_tcp
from collectors.probe_tls import tls_fault
from collectors.probing import Attempt, Late, Names, ProbeFault, Result, Series
from model.clock import Clock
from model.reason import Reason, because, gettext
from model.units import format_duration

_PROBES: dict[ProbeKind, Callable[[Attempt], None]] = {
    ProbeKind.HTTP: probe_http,
    ProbeKind.TCP: probe_tcp,
    ProbeKind.TLS: probe_tcp,
    ProbeKind.DNS: probe_dns,
}
_LATE = {
    "resolve": gettext("DNS: no address of {target} within {timeout}"),
    "connect": gettext("no connection to {target} within {timeout}"),
    "tls": gettext("no TLS handshake with {target} within {timeout}"),
    "processing": gettext("no answer from {target} within {timeout}"),
    "transfer": gettext("no whole answer from {target} within {timeout}"),
}


def run_probe(
    target: ProbeTarget, settings: ProbeSettings, names: Names, clock: Clock, now_ms: int
) -> Result:
    """Try a target once; never raises for what the world does, never takes longer than its timeout.

    Parameters
    ----------
    names : Names
        Shared by all probes.
    clock : Clock
        To keep the deadline.
    now_ms : int
        To say how long ago a certificate expired.
    """
    attempt = Attempt(target, settings, names, clock, now_ms)
    reason: Reason | None = None
    try:
        _PROBES[target.kind](attempt)
    except Exception as error:
        reason = _why(attempt, error)
    seconds = clock.monotonic_s() - attempt.began_s
    return Result(
        reason,
        seconds,
        tuple(attempt.phases.items()),
        {**attempt.values, **_phases(attempt)},
        attempt.expires_ms,
        attempt.address,
    )


def _phases(attempt: Attempt) -> dict[Series, float]:
    """Phases under blackbox_exporter's names."""
    found: dict[Series, float] = {
        ("probe_dns_lookup_time_seconds", ()): attempt.phases.get("resolve", 0.0)
    }
    if attempt.target.kind is ProbeKind.HTTP:
        metric, names = "probe_http_duration_seconds", {}
    elif attempt.target.kind is ProbeKind.DNS:
        metric, names = "probe_dns_duration_seconds", {"processing": "request"}
    else:
        return found
    for phase, seconds in attempt.phases.items():
        found[metric, (("phase", names.get(phase, phase)),)] = seconds
    return found


# Which of the two of ssl it is depends on whether the peer says so, and on Python's version.
_HANGS_UP = (http.client.RemoteDisconnected, ssl.SSLEOFError, ssl.SSLZeroReturnError)


def _why(attempt: Attempt, error: Exception) -> Reason:
    """What went wrong, in a sentence."""
    target = attempt.target.instance
    if isinstance(error, ProbeFault):
        return error.reason
    if isinstance(error, Late | TimeoutError):
        timeout = format_duration(round(attempt.timeout_s * 1000))
        return because(_LATE[attempt.phase], target=target, timeout=timeout)
    if isinstance(error, socket.gaierror):
        if error.errno in (socket.EAI_AGAIN, getattr(socket, "EAI_FAIL", None)):
            return because("DNS: no name server answers for {target}", target=target)
        return because("DNS: there is no such name as that of {target}", target=target)
    if isinstance(error, _HANGS_UP):
        return because("{target} hangs up without an answer", target=target)
    if isinstance(error, ssl.SSLError):
        return tls_fault(attempt, error).reason
    if isinstance(error, http.client.IncompleteRead):
        return because("{target} breaks off in the middle of its answer", target=target)
    if isinstance(error, http.client.HTTPException):
        return because("what answers at {target} does not speak HTTP", target=target)
    if isinstance(error, OSError):
        return _of_the_net(error, target)
    return because(
        "the probe of {target} failed by itself ({kind})", target=target, kind=type(error).__name__
    )


def _of_the_net(error: OSError, target: str) -> Reason:
    if error.errno == errno.ECONNREFUSED:
        return because("{target} refuses the connection", target=target)
    if error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED):
        return because("{target} resets the connection", target=target)
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN):
        return because("there is no way to {target}: the network says so", target=target)
    said = error.strerror or type(error).__name__
    return because("the connection to {target} fails: {said}", target=target, said=said)
