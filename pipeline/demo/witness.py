"""What the running pipeline says over its HTTP API, as the scoreboard reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.change import Change
from model.errors import PermanentError, TransientError
from pipeline.client import Client
from pipeline.demo.scoreboard import Found

ROWS_MAX = 200


class Witness:
    """Reads incidents with their tickets and pages; acknowledges; announces changes.

    Details of an incident whose ticket is closed do not change any more and are asked for once.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._closed: dict[str, Found] = {}

    def incidents(self) -> list[Found]:
        """Every incident that is not simulated, oldest first.

        Raises
        ------
        TransientError
            If the API does not answer, or answers what it should not.
        """
        real = {"limit": ROWS_MAX, "simulated": "false"}
        try:
            rows = self._client.get("/api/v1/incidents", **real)["incidents"]
            tickets = self._client.get("/api/v1/tickets", **real)["tickets"]
            found = [self._details(str(row["id"]), tickets) for row in rows]
        except (PermanentError, KeyError, TypeError, ValueError) as error:
            raise TransientError(f"the incidents cannot be read: {error}") from error
        return sorted(found, key=lambda incident: (incident.opened_ms, incident.id))

    def acknowledge(self, incident_id: str, text: str) -> None:
        """Acknowledge an incident."""
        try:
            self._client.post(
                f"/api/v1/incidents/{incident_id}/acts", {"act": "acknowledge", "text": text}
            )
        except PermanentError as error:
            raise TransientError(str(error)) from error

    def announce(self, change: Change) -> None:
        """Send a change event, as a deploy script would."""
        body = {
            "id": change.id,
            "service": change.service,
            "kind": change.kind,
            "title": change.title,
            "author": change.author,
            "version": change.version,
        }
        self._client.post("/api/v1/changes", body)

    def _details(self, incident_id: str, tickets: Sequence[dict[str, Any]]) -> Found:
        if incident_id in self._closed:
            return self._closed[incident_id]
        found = read_incident(self._client.get(f"/api/v1/incidents/{incident_id}"), tickets)
        if found.state == "closed" and 0 < found.tickets == found.tickets_closed:
            self._closed[incident_id] = found
        return found


def read_incident(data: dict[str, Any], tickets: Sequence[dict[str, Any]]) -> Found:
    """Read `GET /api/v1/incidents/ID`, and which of the desk's tickets are its own.

    Examples
    --------
    >>> data = {"id": "a", "service": "cart", "title": "cart is slow", "state": "open",
    ...         "opened_ms": 5, "pages": [{"why": "opened"}, {"why": "resolved"}]}
    >>> found = read_incident(data, [{"key": "a", "state": "open"}, {"key": "b"}])
    >>> found.tickets, found.tickets_closed, found.pages
    (1, 0, 1)
    """
    causes = data.get("causes") or []
    mine = [ticket for ticket in tickets if ticket["key"] == data["id"]]
    pages = [page for page in data.get("pages") or [] if page["why"] != "resolved"]
    return Found(
        id=str(data["id"]),
        culprit=str(causes[0]["service"] if causes else data["service"]),
        title=str(data["title"]),
        state=str(data["state"]),
        opened_ms=int(data["opened_ms"]),
        resolved_ms=data.get("resolved_ms"),
        tickets=len(mine),
        tickets_closed=sum(ticket["state"] == "closed" for ticket in mine),
        pages=len(pages),
        muted=bool(data.get("muted", False)),
        simulated=bool(data.get("simulated", False)),
        merged_into=str(data.get("merged_into", "")),
    )
