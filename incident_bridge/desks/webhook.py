"""A desk behind one signed HTTP endpoint: the adapter for whatever has no adapter.

Create: `POST {url}`. Change: `POST {url}` with the ticket's number. Find: `GET {url}?key=…`.
Changes: `GET {url}?since_ms=…`. docs/tickets-and-pages.md has the bodies and an example.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson

from incident_bridge.outgoing import Answer, Outgoing, check
from incident_bridge.signing import HEADER, sign
from model.clock import Clock
from model.errors import PermanentError, TransientError
from model.ticket import Ticket, TicketDraft, TicketState


class WebhookDesk:
    """Speaks the protocol of docs/tickets-and-pages.md.

    Parameters
    ----------
    secrets : sequence of bytes
        Each signs; more than one while they are being exchanged.
    """

    def __init__(
        self, name: str, url: str, secrets: Sequence[bytes], outgoing: Outgoing, clock: Clock
    ) -> None:
        self.name = name
        self._url = url
        self._secrets = tuple(secrets)
        self._outgoing = outgoing
        self._clock = clock

    def find(self, key: str) -> Ticket | None:
        """The ticket that carries the incident's id; 404 and an empty answer are none."""
        answer = self._ask("GET", f"?key={quote(key, safe='')}", accept_missing=True)
        if answer.status == 404:
            return None
        data = self._json(answer)
        found = data.get("ticket", data)
        return self._ticket(found, key) if found else None

    def create(self, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Open a ticket."""
        data = self._post("create", draft, "", idempotency_key)
        return self._ticket(data.get("ticket", data), draft.key, draft)

    def update(self, number: str, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Change a ticket."""
        data = self._post("update", draft, number, idempotency_key)
        return self._ticket(data.get("ticket", data), draft.key, draft)

    def changes(self, since_ms: int) -> list[Ticket]:
        """Tickets touched at `since_ms` or later; a desk that cannot say answers 404."""
        answer = self._ask("GET", f"?since_ms={since_ms}", accept_missing=True)
        if answer.status == 404:
            return []
        found = self._json(answer).get("tickets", [])
        if not isinstance(found, list):
            raise TransientError(f'{self.name}: "tickets" must be a list')
        return [self._ticket(item, "") for item in found[:1000]]

    def _post(self, verb: str, draft: TicketDraft, number: str, key: str) -> dict[str, Any]:
        body = {
            "version": 1,
            "action": verb,
            "number": number,
            "ticket": {
                "key": draft.key,
                "title": draft.title,
                "body": draft.body,
                "state": draft.state.value,
                "priority": draft.priority,
                "service": draft.service,
                "team": draft.team,
                "labels": list(draft.labels),
                "simulated": draft.simulated,
            },
            "comment": draft.comment,
        }
        return self._json(self._ask("POST", "", orjson.dumps(body), {"Idempotency-Key": key}))

    def _ask(
        self,
        method: str,
        query: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        accept_missing: bool = False,
    ) -> Answer:
        now_ms = self._clock.now_ms()
        # A GET signs its query: an empty body would make every signature of a second the same.
        signature = sign(body or query.encode(), self._secrets, now_ms=now_ms)
        sent = {
            "Accept": "application/json",
            "User-Agent": "tocsin",
            **({"Content-Type": "application/json"} if body else {}),
            **({HEADER: signature} if self._secrets else {}),
            **(headers or {}),
        }
        joined = query.replace("?", "&") if "?" in self._url else query
        answer = self._outgoing.request(method, self._url + joined, body=body, headers=sent)
        if not (accept_missing and answer.status == 404):
            check(answer, where=self.name, now_ms=now_ms)
        return answer

    def _json(self, answer: Answer) -> dict[str, Any]:
        kind = answer.headers.get("content-type", "")
        if "json" not in kind:
            # A login page or a proxy's apology comes with 200 and means that nothing was done.
            raise TransientError(f"{self.name}: answered {kind or 'nothing'} instead of JSON")
        try:
            data = orjson.loads(answer.body or b"{}")
        except orjson.JSONDecodeError as error:
            raise TransientError(f"{self.name}: the answer is not JSON: {error}") from None
        if not isinstance(data, dict):
            raise TransientError(f"{self.name}: the answer must be a JSON object")
        if refused := data.get("error"):
            raise PermanentError(f"{self.name}: {str(refused)[:200]}")
        return data

    def _ticket(self, data: object, key: str, draft: TicketDraft | None = None) -> Ticket:
        if not isinstance(data, dict) or not isinstance(data.get("number"), str | int):
            raise TransientError(f'{self.name}: the answer has no ticket "number"')
        number = str(data["number"])[:64]
        if not number:
            raise TransientError(f'{self.name}: the answer has no ticket "number"')
        state = str(data.get("state", draft.state.value if draft else "open"))
        if state not in tuple(TicketState):
            raise PermanentError(f"{self.name}: unknown ticket state {state[:40]!r}")
        return Ticket(
            desk=self.name,
            number=number,
            key=str(data.get("key", key)),
            title=str(data.get("title", draft.title if draft else "")),
            body=str(data.get("body", draft.body if draft else "")),
            state=TicketState(state),
            priority=str(data.get("priority", draft.priority if draft else "")),
            url=_link(data.get("url")),
            created_ms=_time(data.get("created_ms")),
            updated_ms=_time(data.get("updated_ms")),
            service=str(data.get("service", draft.service if draft else "")),
            team=str(data.get("team", draft.team if draft else "")),
            simulated=bool(data.get("simulated", draft.simulated if draft else False)),
        )


_TIME_MAX_MS = 253_402_300_799_000


def _time(value: object) -> int:
    # What no database and no calendar can hold is no time.
    known = isinstance(value, int) and not isinstance(value, bool)
    return value if known and 0 < value < _TIME_MAX_MS else 0  # type: ignore[operator,return-value]


def _link(value: object) -> str:
    """An address that may be shown as a link: nothing but http and https."""
    text = str(value or "")[:2000]
    return text if text.startswith(("https://", "http://")) else ""
