"""What the running pipeline says over its HTTP API, as the scoreboard reads it."""

from __future__ import annotations

from typing import Any

from model.change import Change
from model.errors import PermanentError, TransientError
from pipeline.client import Client
from pipeline.demo.scoreboard import Found

INCIDENTS_MAX = 200


class Witness:
    """Reads incidents with their tickets and pages; acknowledges; announces changes.

    Details of an incident that is closed do not change any more and are asked for once.
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
        try:
            page = self._client.get("/api/v1/incidents", limit=INCIDENTS_MAX, simulated="false")
            found = [self._details(row) for row in page["incidents"]]
        except (PermanentError, KeyError, TypeError, ValueError) as error:
            raise TransientError(f"the incidents cannot be read: {error}") from error
        return sorted(found, key=lambda incident: (incident.opened_ms, incident.id))

    def acknowledge(self, incident_id: str, text: str) -> None:
        """Acknowledge an incident."""
        try:
            self._client.post(
                f"/api/v1/incidents/{incident_id}/acts", {"kind": "acknowledge", "text": text}
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

    def _details(self, row: dict[str, Any]) -> Found:
        incident_id = str(row["id"])
        if incident_id in self._closed:
            return self._closed[incident_id]
        found = read_incident(self._client.get(f"/api/v1/incidents/{incident_id}"))
        if found.state == "closed" and found.tickets_closed == found.tickets:
            self._closed[incident_id] = found
        return found


def read_incident(data: dict[str, Any]) -> Found:
    """Read `GET /api/v1/incidents/ID`.

    Examples
    --------
    >>> head = {"id": "a", "service": "cart", "title": "cart is slow", "state": "open", "opened_ms": 5}
    >>> read_incident({"incident": head, "pages": [{"why": "opened"}, {"why": "resolved"}]}).pages
    1
    """
    head = data.get("incident", data)
    causes = head.get("causes") or []
    tickets = data.get("tickets") or []
    pages = [p for p in data.get("pages") or [] if p.get("why") != "resolved"]
    title = head["title"]
    return Found(
        id=str(head["id"]),
        culprit=str(causes[0]["service"] if causes else head["service"]),
        title=str(title.get("text", "") if isinstance(title, dict) else title),
        state=str(head["state"]),
        opened_ms=int(head["opened_ms"]),
        resolved_ms=head.get("resolved_ms"),
        tickets=len(tickets),
        tickets_closed=sum(ticket.get("state") == "closed" for ticket in tickets),
        pages=len(pages),
        muted=bool(head.get("muted", False)),
        simulated=bool(head.get("simulated", False)),
        merged_into=str(head.get("merged_into", "")),
    )
