"""TLS as probes speak it: a handshake in time, the chain that was shown, and what is wrong with it in words."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any

import certifi

from collectors.der import validity_ms
from collectors.probe_settings import TlsProbe
from collectors.probing import Attempt, Late, ProbeFault
from model.units import format_span

# X509_V_ERR_… of OpenSSL.
_NOT_YET, _EXPIRED, _SELF_SIGNED, _OTHER_NAME = 9, 10, (18, 19), (62, 64)
_UNKNOWN_ISSUER = (2, 20, 21, 27)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")


def context_for(tls: TlsProbe, *, verify: bool) -> ssl.SSLContext:
    """What a probe believes.

    Raises
    ------
    ProbeFault
        If a file of the configuration cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if not tls.ca_file and not _has_authorities():
            context.load_verify_locations(certifi.where())
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file or None)
    except (OSError, ValueError):  # an ssl.SSLError is an OSError
        files = ", ".join(filter(None, (tls.ca_file, tls.cert_file, tls.key_file)))
        raise ProbeFault("a certificate file cannot be used: {files}", files=files) from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _has_authorities() -> bool:
    """Whether the system has certificate authorities: small containers have none."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile is not None or bool(paths.capath and os.listdir(paths.capath))


def secure(attempt: Attempt, connection: socket.socket, host: str, port: int) -> ssl.SSLSocket:
    """Do the handshake; the connection given is closed where it fails.

    Raises
    ------
    ProbeFault, Late, OSError
    """
    tls = attempt.target.tls
    name = tls.server_name or host
    with attempt.timing("tls"):
        try:
            context = context_for(tls, verify=not tls.insecure)
            connection.settimeout(attempt.left_s())
            secured = context.wrap_socket(connection, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            begins_ms, ends_ms = _look_again(attempt, port, name)
            raise _refused(attempt, error, name, begins_ms, ends_ms) from None
        except BaseException:
            connection.close()
            raise
    note_chain(attempt, secured)
    return secured


def _look_again(attempt: Attempt, port: int, name: str) -> tuple[int | None, int | None]:
    """The validity of a certificate that was refused: OpenSSL does not show it."""
    context = context_for(attempt.target.tls, verify=False)
    try:
        address = (attempt.address, port)
        with socket.create_connection(address, attempt.left_s()) as connection:
            connection.settimeout(attempt.left_s())
            with context.wrap_socket(connection, server_hostname=name) as secured:
                note_chain(attempt, secured)
                return validity_ms(secured.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError, Late):
        return None, None


def note_chain(attempt: Attempt, secured: ssl.SSLSocket) -> None:
    """Note when the first certificate of the chain expires, and which TLS is spoken."""
    spans = []
    for der in _chain(secured):
        try:
            spans.append(validity_ms(der))
        except ValueError:
            continue
    if spans:
        begins_ms, ends_ms = min(spans, key=lambda span: span[1])
        attempt.expires_ms = ends_ms
        attempt.see("probe_ssl_earliest_cert_expiry", ends_ms / 1000)
        attempt.see("probe_ssl_earliest_cert_not_before", begins_ms / 1000)
    attempt.see("probe_tls_version_info", 1.0, version=secured.version() or "unknown")


def _chain(secured: ssl.SSLSocket) -> list[bytes]:
    """The certificates as shown. A public method of Python 3.13; of its C part since 3.10."""
    inner: Any = getattr(secured, "_sslobj", None)
    shown = getattr(secured, "get_unverified_chain", None) or inner.get_unverified_chain
    found = [c if isinstance(c, bytes) else c.public_bytes(_DER) for c in shown() or []]
    return found or [secured.getpeercert(binary_form=True) or b""]


_DER = 2  # _ssl.ENCODING_DER


def _refused(
    attempt: Attempt,
    error: ssl.SSLCertVerificationError,
    name: str,
    begins_ms: int | None,
    ends_ms: int | None,
) -> ProbeFault:
    """What is wrong with a certificate."""
    target, code = attempt.target.instance, error.verify_code
    if code == _EXPIRED and ends_ms is not None and ends_ms < attempt.now_ms:
        ago = format_span(attempt.now_ms - ends_ms)
        return ProbeFault("the certificate of {target} expired {ago} ago", target=target, ago=ago)
    if code == _EXPIRED:
        return ProbeFault("a certificate of {target} has expired", target=target)
    if code == _NOT_YET and begins_ms is not None and begins_ms > attempt.now_ms:
        ahead = format_span(begins_ms - attempt.now_ms)
        return ProbeFault(
            "the certificate of {target} is valid only in {ahead}", target=target, ahead=ahead
        )
    if code in _SELF_SIGNED:
        return ProbeFault("the certificate of {target} is self-signed", target=target)
    if code in _UNKNOWN_ISSUER:
        return ProbeFault(
            "the certificate of {target} is signed by no authority that is trusted here",
            target=target,
        )
    if code in _OTHER_NAME:
        return ProbeFault("the certificate of {target} is not for {name}", target=target, name=name)
    said = error.verify_message
    return ProbeFault("the certificate of {target} is refused: {said}", target=target, said=said)


def tls_fault(attempt: Attempt, error: ssl.SSLError) -> ProbeFault:
    """What went wrong in a handshake, or after it."""
    target, said = attempt.target.instance, error.reason or type(error).__name__
    if said in _NOT_TLS:
        return ProbeFault("what answers at {target} does not speak TLS", target=target)
    if "ALERT" in said and "CERTIFICATE" in said:
        return ProbeFault("{target} wants a certificate of ours, or refuses it", target=target)
    said = said.replace("_", " ").lower()
    return ProbeFault("TLS with {target} fails: {said}", target=target, said=said)
