"""What amtool and karma rely on of Alertmanager's API."""

from __future__ import annotations

from typing import Any

import pytest

from collectors.alertmanager import rfc3339
from model.alert import Alert, AlertStatus
from model.labels import Labels
from store import alerts

MINUTE_MS = 60_000


def shown(house: Any, **flags: str) -> set[str]:
    found = house.client().get("/api/v2/alerts", params=flags).json()
    return {alert["labels"]["alertname"] for alert in found}


def test_silenced_and_inhibited_are_told_apart(house: Any) -> None:
    now_ms = house.clock.now_ms()
    muting = {
        "Plain": (),
        "Quiet": ("s1",),
        "Hidden": ("inhibit:down",),
        "Both": ("inhibit:down", "s1"),
    }
    with house.store.records.write() as conn:
        alerts.save(
            conn,
            [
                AlertStatus(Alert(Labels.of({"alertname": name}), "am", now_ms, now_ms), "", by)
                for name, by in muting.items()
            ],
        )
    assert shown(house) == set(muting)
    assert shown(house, active="false") == {"Quiet", "Hidden", "Both"}
    assert shown(house, silenced="false") == {"Plain", "Hidden"}
    assert shown(house, inhibited="false") == {"Plain", "Quiet"}
    (both,) = house.client().get("/api/v2/alerts", params={"filter": "alertname=Both"}).json()
    status = both["status"]
    assert (status["state"], status["silencedBy"], status["inhibitedBy"]) == ("suppressed", ["s1"], ["down"])  # fmt: skip


class Silencing:
    """Silences of one house, as amtool makes and changes them."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.client = house.client()

    def body(self, *, starts: int = 0, ends: int = 60, value: str = "cart", **more: Any) -> dict[str, Any]:  # fmt: skip
        now_ms = self.house.clock.now_ms()
        return {
            "matchers": [{"name": "service", "value": value, "isRegex": False}],
            "startsAt": rfc3339(now_ms + starts * MINUTE_MS),
            "endsAt": rfc3339(now_ms + ends * MINUTE_MS),
            "comment": "update",
            "createdBy": "ann",
            **more,
        }

    def post(self, body: dict[str, Any]) -> str:
        answer = self.client.post("/api/v2/silences", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["silenceID"])

    def get(self, ident: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/api/v2/silence/{ident}").json()
        return found


@pytest.fixture
def silencing(house: Any) -> Silencing:
    return Silencing(house)


def test_another_end_or_comment_changes_the_silence(silencing: Silencing) -> None:
    ident = silencing.post(silencing.body())
    posted = silencing.get(ident)
    silencing.house.clock.set(silencing.house.clock.now_ms() + 5 * MINUTE_MS)
    longer = {**posted, "endsAt": silencing.body(ends=120)["endsAt"], "comment": "longer"}
    assert silencing.post(longer) == ident
    assert silencing.get(ident)["comment"] == "longer"
    assert silencing.get(ident)["startsAt"] == posted["startsAt"]


def test_other_matchers_are_another_silence_and_end_the_old(silencing: Silencing) -> None:
    ident = silencing.post(silencing.body())
    other = silencing.post(silencing.body(value="payment", id=ident))
    assert other != ident
    assert silencing.get(ident)["status"]["state"] == "expired"
    assert silencing.get(other)["status"]["state"] == "active"


def test_what_is_over_does_not_come_back_under_its_name(silencing: Silencing) -> None:
    ident = silencing.post(silencing.body())
    silencing.client.delete(f"/api/v2/silence/{ident}")
    ended = silencing.get(ident)
    silencing.house.clock.set(silencing.house.clock.now_ms() + MINUTE_MS)
    again = silencing.post(silencing.body(id=ident))
    assert again != ident
    assert silencing.get(ident) == ended


def test_a_pending_one_may_be_moved(silencing: Silencing) -> None:
    ident = silencing.post(silencing.body(starts=10))
    assert silencing.get(ident)["status"]["state"] == "pending"
    assert silencing.post(silencing.body(starts=20, id=ident)) == ident


def test_filters_of_silences(silencing: Silencing) -> None:
    silencing.post(silencing.body())

    def listed(filter_: str) -> int:
        return len(silencing.client.get("/api/v2/silences", params={"filter": filter_}).json())

    assert (listed("service=cart"), listed("service=payment")) == (1, 0)
    assert (listed("service!=payment"), listed("team!=db"), listed("service=~c.*")) == (1, 1, 1)
