"""Verdicts on alerts through the console: given, shown, audited, taken back."""

from __future__ import annotations

from typing import Any

import pytest

from model.account import Role
from model.codec import decode
from model.feedback import Feedback, Verdict
from model.journal import JournalKind
from store import alerts, audit, feedback


@pytest.fixture
def filled(house: Any, seed: Any) -> Any:
    seed.fill(house.store)
    return house


def some_alert(filled: Any) -> str:
    with filled.store.records.read() as conn:
        return next(s.alert.id for s in alerts.recent(conn) if s.alert.source == "detector")


def test_given_journalled_shown_audited_and_taken_back(filled: Any) -> None:
    client, ident = filled.client(), some_alert(filled)
    url = f"/api/v1/alerts/{ident}/feedback"
    said = client.post(url, json={"verdict": "noise", "note": "a batch job"})
    assert said.status_code == 202, said.text
    entry = filled.submitted[-1]
    assert entry.kind is JournalKind.FEEDBACK
    assert decode(Feedback, entry.body).verdict is Verdict.NOISE
    (listed,) = client.get("/api/v1/feedback").json()["feedback"]
    assert (listed["note"], listed["active"]) == ("a batch job", True)
    assert "a batch job" in client.get("/feedback").text
    back = client.post(f"/api/v1/feedback/{listed['id']}/withdraw")
    assert back.status_code == 202 and not back.json()["active"]
    assert not decode(Feedback, filled.submitted[-1].body).active
    with filled.store.records.read() as conn:
        assert feedback.active(conn) == []
        assert [r.act for r in audit.recent(conn)][:2] == ["feedback_withdrawn", "noise"]


def test_a_second_verdict_of_the_same_person_replaces_the_first(filled: Any) -> None:
    client, ident = filled.client(), some_alert(filled)
    for verdict in ("noise", "good_catch"):
        client.post(f"/api/v1/alerts/{ident}/feedback", json={"verdict": verdict})
    with filled.store.records.read() as conn:
        assert [said.verdict for said in feedback.active(conn)] == [Verdict.GOOD_CATCH]


def test_what_is_refused(filled: Any) -> None:
    client, ident = filled.client(), some_alert(filled)
    url = f"/api/v1/alerts/{ident}/feedback"
    wrong = client.post(url, json={"verdict": "boring"})
    assert wrong.status_code == 400 and "noise, good_catch" in wrong.text
    assert client.post("/api/v1/alerts/none/feedback", json={"verdict": "noise"}).status_code == 404
    assert client.post("/api/v1/feedback/none/withdraw").status_code == 404


def test_a_viewer_may_not(filled: Any) -> None:
    ident = some_alert(filled)
    viewer = filled.token(Role.VIEWER.value)
    url = f"/api/v1/alerts/{ident}/feedback"
    assert filled.client().post(url, json={"verdict": "noise"}, headers=viewer).status_code == 403
    assert filled.client().get("/api/v1/feedback", headers=viewer).status_code == 200


def test_a_form_leads_back_to_this_console_only(filled: Any) -> None:
    client, ident = filled.client(), some_alert(filled)
    page = client.get("/alerts").text
    assert f"/alerts/{ident}/feedback" in page
    csrf = page.split('name="csrf" value="', 1)[1].split('"', 1)[0]
    for asked, led in (("/incidents/x", "/incidents/x"), ("//evil.example", "/alerts"), ("/\\evil", "/alerts")):  # fmt: skip
        answer = client.post(
            f"/alerts/{ident}/feedback",
            data={"csrf": csrf, "verdict": "noise", "next": asked},
            follow_redirects=False,
        )
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{led}?told=feedback"
