"""Probes that connect, perhaps do a TLS handshake, and perhaps say something."""

from __future__ import annotations

import socket

import re2

from collectors.probe_settings import ProbeKind, host_port
from collectors.probe_tls import secure
from collectors.probing import Attempt, ProbeFault, Timed

_CHUNK = 4_096


def probe_tcp(attempt: Attempt) -> None:
    """Kinds tcp and tls.

    Raises
    ------
    ProbeFault, Late, OSError
    """
    host, port = host_port(attempt.target.target, None)
    connection = attempt.connect(host, port)
    if attempt.target.kind is ProbeKind.TLS:
        connection = secure(attempt, connection, host, port)
    with connection:
        _talk(attempt, connection)


def _talk(attempt: Attempt, connection: socket.socket) -> None:
    said = attempt.target.tcp
    if said.send:
        with attempt.timing("processing"):
            connection.settimeout(attempt.left_s())
            connection.sendall(said.send.encode())
    if not said.expect:
        return
    with attempt.timing("transfer"):
        found, heard = _listen(attempt, connection, said.expect)
    attempt.see("probe_failed_due_to_regex", not found)
    if not found:
        raise ProbeFault(
            "{target} answers {heard}, not {pattern}",
            target=attempt.target.target,
            heard=ascii(heard[:80]),
            pattern=said.expect,
        )


def _listen(attempt: Attempt, connection: socket.socket, pattern: str) -> tuple[bool, str]:
    """Read until the pattern is there, or there is no more to come."""
    most, heard = attempt.settings.body_bytes_max, bytearray()
    reader, buffer = Timed(connection, attempt), memoryview(bytearray(_CHUNK))
    while len(heard) < most:
        count = reader.readinto(buffer)
        heard += buffer[:count]
        text = heard.decode("utf-8", "replace")
        if re2.search(pattern, text):
            return True, text
        if not count:
            break
    return False, heard.decode("utf-8", "replace")
