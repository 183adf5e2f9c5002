"""What the API says, as the scoreboard reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from model.change import Change
from model.errors import TransientError
from pipeline.client import Client
from pipeline.demo.witness import Witness, read_incident
from tests.collectors.http_double import Answer, answering

INCIDENT = {
    "id": "a1",
    "state": "closed",
    "service": "gateway",
    "title": "search is slow",
    "opened_ms": 5,
    "resolved_ms": 9,
    "causes": [{"service": "search"}, {"service": "gateway"}],
    "pages": [{"why": "opened"}, {"why": "resolved"}],
}
TICKETS = [{"key": "a1", "state": "closed"}, {"key": "b2", "state": "open"}]


class Api:
    """An API on loopback with one incident; remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {
            "/api/v1/incidents": {"incidents": [INCIDENT]},
            "/api/v1/incidents/a1": INCIDENT,
            "/api/v1/tickets": {"tickets": TICKETS},
        }
        self.bodies: list[Any] = []


@pytest.fixture
def api() -> Iterator[tuple[Api, Witness]]:
    told = Api()

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        data: Any = {"ok": True}
        if method == "POST":
            told.bodies.append((path, json.loads(body)))
        else:
            told.asked.append(path.partition("?")[0])
            data = told.answers.get(told.asked[-1])
        return (404 if data is None else 200), json.dumps(data).encode(), {}

    with answering(ask) as address:
        yield told, Witness(Client(address))


def test_an_incident_is_read_with_its_ticket_and_its_pages(api: tuple[Api, Witness]) -> None:
    _, witness = api
    (found,) = witness.incidents()
    assert (found.culprit, found.tickets, found.tickets_closed, found.pages) == ("search", 1, 1, 1)
    assert (found.opened_ms, found.resolved_ms, found.active) == (5, 9, False)


def test_a_closed_incident_is_asked_for_once(api: tuple[Api, Witness]) -> None:
    told, witness = api
    assert witness.incidents() == witness.incidents()
    assert told.asked.count("/api/v1/incidents/a1") == 1


def test_what_cannot_be_read_can_be_asked_again(api: tuple[Api, Witness]) -> None:
    told, witness = api
    del told.answers["/api/v1/incidents/a1"]
    with pytest.raises(TransientError):
        witness.incidents()
    told.answers["/api/v1/incidents"] = {"rows": []}
    with pytest.raises(TransientError):
        witness.incidents()


def test_acts_and_changes_are_posted(api: tuple[Api, Witness]) -> None:
    told, witness = api
    witness.acknowledge("a1", "mine")
    witness.announce(Change("c1", 7, "deploy", "payment", "payment 2", version="2"))
    assert told.bodies[0] == ("/api/v1/incidents/a1/acts", {"act": "acknowledge", "text": "mine"})
    path, body = told.bodies[1]
    assert path == "/api/v1/changes"
    assert (body["id"], body["service"], body["version"]) == ("c1", "payment", "2")


def test_an_incident_whose_ticket_is_still_open_is_asked_for_again(
    api: tuple[Api, Witness],
) -> None:
    told, witness = api
    told.answers["/api/v1/tickets"] = {"tickets": [{"key": "a1", "state": "resolved"}]}
    assert witness.incidents()[0].tickets_closed == 0
    told.answers["/api/v1/tickets"] = {"tickets": TICKETS}
    assert witness.incidents()[0].tickets_closed == 1


def test_without_causes_the_incident_s_own_service_is_named() -> None:
    assert read_incident({**INCIDENT, "causes": []}, TICKETS).culprit == "gateway"
