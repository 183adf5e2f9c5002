"""Receivers: how a page reaches people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import orjson

from incident_bridge.outgoing import Outgoing, check, split
from incident_bridge.settings import ReceiverKind, ReceiverSettings, RetrySettings
from incident_bridge.signing import HEADER, sign
from model.action import PageDraft
from model.catalogue import Catalogue
from model.clock import Clock
from model.errors import InputError, PermanentError, TransientError


class Receiver(Protocol):
    """Somebody who can be paged.

    Attributes
    ----------
    channel : str
        "console", "apprise" or "webhook", as shown on the incident.
    people : tuple of str
        Whom the page is for.
    """

    name: str
    channel: str
    people: tuple[str, ...]

    def send(self, page: PageDraft, *, idempotency_key: str) -> None:
        """Deliver it, or raise a `DeliveryError`."""
        ...


class ConsoleReceiver:
    """The console shows the page's row: writing the row is the delivery, and happens exactly once."""

    channel = "console"

    def __init__(self, name: str = "console", people: Sequence[str] = ()) -> None:
        self.name = name
        self.people = tuple(people)

    def send(self, page: PageDraft, *, idempotency_key: str) -> None:
        """Nothing more is to be done."""


class WebhookReceiver:
    """A signed POST of the page as JSON."""

    channel = "webhook"

    def __init__(
        self,
        name: str,
        url: str,
        secrets: Sequence[bytes],
        outgoing: Outgoing,
        clock: Clock,
        people: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.people = tuple(people)
        self._url = url
        self._secrets = tuple(secrets)
        self._outgoing = outgoing
        self._clock = clock

    def send(self, page: PageDraft, *, idempotency_key: str) -> None:
        """Deliver it once for each key, as far as the other side heeds the key."""
        now_ms = self._clock.now_ms()
        body = orjson.dumps({"version": 1, "page": asdict(page), "people": self.people})
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tocsin",
            "Idempotency-Key": idempotency_key,
        }
        if self._secrets:
            headers[HEADER] = sign(body, self._secrets, now_ms=now_ms)
        answer = self._outgoing.request("POST", self._url, body=body, headers=headers)
        check(answer, where=self.name, now_ms=now_ms)


class AppriseReceiver:
    """Any of Apprise's services. Its URLs are secrets and appear in no message."""

    channel = "apprise"

    def __init__(
        self, name: str, urls: Sequence[str], *, timeout_ms: int, people: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.people = tuple(people)
        self._urls = tuple(urls)
        self._timeout_s = max(timeout_ms // 1000, 1)

    def send(self, page: PageDraft, *, idempotency_key: str) -> None:
        """Tell every URL; if one fails all are tried again, because it does not say which did."""
        # Here, because it costs a second and many a pipeline never needs it.
        import apprise

        sender = apprise.Apprise()
        for url in self._urls:
            if not sender.add(self._timed(url)):
                raise PermanentError(f"{self.name}: Apprise does not know this kind of URL")
        urgent = page.priority in ("P1", "P2") and page.why != "resolved"
        kind = apprise.NotifyType.FAILURE if urgent else apprise.NotifyType.INFO
        sent = sender.notify(
            title=page.title,
            body=f"{page.body}\n{page.url}" if page.body else page.url,
            notify_type=kind,
            # As text: Apprise escapes it for services that want HTML or Markdown.
            body_format=apprise.NotifyFormat.TEXT,
        )
        if not sent:
            raise TransientError(f"{self.name}: Apprise could not deliver it")

    def _timed(self, url: str) -> str:
        joint = "&" if "?" in url else "?"
        return url if "rto=" in url else f"{url}{joint}cto={self._timeout_s}&rto={self._timeout_s}"


def build(
    settings: Sequence[ReceiverSettings],
    clock: Clock,
    *,
    catalogue: Catalogue,
    retry: RetrySettings,
) -> dict[str, Receiver]:
    """The receivers by name; a console is always among them, as the last resort.

    Raises
    ------
    InputError
        If a file with URLs or secrets cannot be read, or an address is none.
    """
    receivers: dict[str, Receiver] = {"console": ConsoleReceiver()}
    for one in settings:
        people = tuple(
            dict.fromkeys([*one.people, *(m for t in one.teams for m in _members(t, catalogue))])
        )
        receivers[one.name] = _build(one, clock, people, retry)
    return receivers


def _build(
    one: ReceiverSettings, clock: Clock, people: Sequence[str], retry: RetrySettings
) -> Receiver:
    if one.kind is ReceiverKind.CONSOLE:
        return ConsoleReceiver(one.name, people)
    if one.kind is ReceiverKind.APPRISE:
        lines = read_secret(one.urls_file, f"receiver {one.name}: urls_file").decode().splitlines()
        urls = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return AppriseReceiver(one.name, urls, timeout_ms=one.timeout_ms, people=people)
    split(one.url)
    secrets = [read_secret(path, f"receiver {one.name}: secret_files") for path in one.secret_files]
    outgoing = Outgoing(clock, one.allow_private, one.timeout_ms, retry.response_bytes_max)
    return WebhookReceiver(one.name, one.url, secrets, outgoing, clock, people)


def _members(team: str, catalogue: Catalogue) -> tuple[str, ...]:
    known = catalogue.teams.get(team)
    return known.members if known else ()


def read_secret(path: str, where: str) -> bytes:
    """The content of a secret's file, without the line's end.

    Raises
    ------
    InputError
        If it cannot be read or is empty.
    """
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise InputError(f"{where}: {path!r} cannot be read: {error.strerror}") from None
    if not secret:
        raise InputError(f"{where}: {path!r} is empty")
    return secret
