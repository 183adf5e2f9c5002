"""A probe of the Domain Name System: one question, and what must be among the answers."""

from __future__ import annotations

from collections.abc import Iterator

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from collectors.probe_settings import host_port
from collectors.probing import Attempt, Late, ProbeFault

_TRIES = 3  # a datagram may be lost
_ENDINGS = (EOFError, OSError, dns.exception.DNSException)


def probe_dns(attempt: Attempt) -> None:
    """Ask each server in turn until one answers.

    Raises
    ------
    ProbeFault, Late, OSError
    """
    target, settings = attempt.target, attempt.target.dns
    try:
        question = dns.message.make_query(target.target, settings.type)
    except dns.exception.DNSException:
        raise ProbeFault("DNS: {name} is not a name", name=target.target) from None
    servers = list(_servers(attempt))
    attempt.see("probe_dns_query_succeeded", 0)
    with attempt.timing("processing"):
        answer = _ask(attempt, question, servers)
    attempt.see("probe_dns_query_succeeded", 1)
    attempt.see("probe_dns_answer_rrs", sum(len(rrset) for rrset in answer.answer))
    attempt.see("probe_dns_authority_rrs", sum(len(rrset) for rrset in answer.authority))
    attempt.see("probe_dns_additional_rrs", sum(len(rrset) for rrset in answer.additional))
    _judge(attempt, answer)


def _servers(attempt: Attempt) -> Iterator[tuple[str, int]]:
    if attempt.target.dns.server:
        host, port = host_port(attempt.target.dns.server, 53)
        for address in attempt.addresses(host, port):
            yield address, port
        return
    try:
        configured = dns.resolver.Resolver()
    except dns.exception.DNSException:
        raise ProbeFault("DNS: /etc/resolv.conf names no server") from None
    for server in configured.nameservers:
        yield str(server), configured.port


def _ask(
    attempt: Attempt, question: dns.message.QueryMessage, servers: list[tuple[str, int]]
) -> dns.message.Message:
    tries = servers * (_TRIES if attempt.target.dns.transport == "udp" else 1)
    last: Exception = Late()
    for tried, (address, port) in enumerate(tries):
        share_s = attempt.left_s() / (len(tries) - tried)
        attempt.address = address
        try:
            if attempt.target.dns.transport == "tcp":
                return dns.query.tcp(question, address, share_s, port)
            try:
                return dns.query.udp(
                    question, address, share_s, port,
                    ignore_unexpected=True, raise_on_truncation=True, ignore_errors=True,
                )  # fmt: skip
            except dns.message.Truncated:
                return dns.query.tcp(question, address, attempt.left_s(), port)
        except dns.exception.Timeout:
            last = Late()
        except _ENDINGS as error:
            last = error
    raise last if isinstance(last, Late | OSError) else _unreadable(attempt)


def _unreadable(attempt: Attempt) -> ProbeFault:
    return ProbeFault("DNS: what {server} answers is no DNS message", server=attempt.address)


def _judge(attempt: Attempt, answer: dns.message.Message) -> None:
    target, settings = attempt.target, attempt.target.dns
    code = dns.rcode.to_text(answer.rcode())
    if code != settings.rcode and settings.rcode == "NOERROR":
        raise ProbeFault("DNS: {code} for {name}", code=code, name=target.target)
    if code != settings.rcode:
        raise ProbeFault(
            "DNS: {code} for {name} instead of {expected}",
            code=code,
            name=target.target,
            expected=settings.rcode,
        )
    kind = dns.rdatatype.from_text(settings.type)
    found = [item.to_text() for rrset in answer.answer if rrset.rdtype == kind for item in rrset]
    if not found and settings.rcode == "NOERROR":
        raise ProbeFault("DNS: {name} has no {type} record", name=target.target, type=settings.type)
    known = {_plain(text) for text in found}
    missing = [text for text in settings.expect if _plain(text) not in known]
    if missing:
        raise ProbeFault(
            "DNS: {name} is {found}, and {missing} is not among it",
            name=target.target,
            found=", ".join(sorted(found))[:200],
            missing=", ".join(missing)[:200],
        )


def _plain(text: str) -> str:
    """A record so that capitals, final dots and the quotes of a text do not matter."""
    return text.strip('"').rstrip(".").lower()
