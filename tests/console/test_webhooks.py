"""Other systems' webhooks: each says it in its own words, none can speak for another."""

from __future__ import annotations

from typing import Any

import pytest

from model.alert import Alert, AlertStatus
from model.change import Change
from model.codec import decode
from model.incident import Act, ActKind
from model.journal import JournalKind
from store import alerts as alert_rows

HOOK = "/api/v1/webhook"
PAGERDUTY = f"{HOOK}/pagerduty/v2/enqueue"
TRIGGER: dict[str, Any] = {
    "event_action": "trigger",
    "dedup_key": "disk-web1",
    "client": "monit",
    "client_url": "https://monit.example/web1",
    "links": [{"href": "https://wiki.example/disk", "text": "what to do"}],
    "images": [{"src": "https://graphs.example/1.png", "href": "https://graphs.example", "alt": "disk"}],
    "payload": {
        "summary": "disk of web1 is full",
        "source": "web1",
        "severity": "error",
        "timestamp": "2020-01-01T00:00:00.000+0000",
        "component": "disk",
        "group": "web",
        "class": "DiskFull",
        "custom_details": {"service": "checkout", "free": 0.02, "nested": {"a": 1}},
    },
}  # fmt: skip
ZABBIX: dict[str, Any] = {
    "event_value": "1",
    "event_update": "0",
    "update_action": "{EVENT.UPDATE.ACTION}",
    "event_source": "0",
    "event_id": "4711",
    "trigger_id": "15",
    "event_name": "High CPU on web1",
    "nseverity": "4",
    "host": "web1",
    "host_ip": "{HOST.IP}",
    "host_group": "Web servers",
    "tags": '[{"tag":"service","value":"checkout"},{"tag":"scope","value":"{$SCOPE}"}]',
    "event_opdata": "*UNKNOWN*",
    "item_value": "97 %",
}
GRAFANA: dict[str, Any] = {
    "receiver": "tocsin",
    "status": "firing",
    "orgId": 1,
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "High memory", "service": "checkout", "grafana_folder": "shop"},
            "annotations": {"summary": "memory of checkout is high"},
            "startsAt": "2020-01-01T10:00:00.5+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://grafana.example/alerting/a/edit",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://grafana.example/alerting/silence/new?x",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 44.23, "C": 1},
            "imageURL": "https://grafana.example/i.png",
        }
    ],
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "https://grafana.example/",
    "version": "1",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "title": "[FIRING:1]",
    "state": "alerting",
    "message": "**Firing**",
}


EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/mon/eu",
    "type": "acme.alert.firing.v1",
    "subject": "queue/mail",
    "time": "2020-01-01T00:00:00Z",
    "data": {"name": "QueueFull", "severity": "critical", "service": "mail", "summary": "it is full"},
}  # fmt: skip


def alerts_of(house: Any) -> list[Alert]:
    return [decode(Alert, e.body) for e in house.submitted if e.kind is JournalKind.ALERT]


def store(house: Any, incident: str = "") -> None:
    """What the pipeline does with what was journalled."""
    with house.store.records.write() as conn:
        alert_rows.save(
            conn, [AlertStatus(alert, incident_id=incident) for alert in alerts_of(house)]
        )


def post(house: Any, path: str, body: object, headers: dict[str, str] | None = None) -> Any:
    return house.client().post(path, json=body, headers=headers or {})


# --- PagerDuty --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PAGERDUTY, "/v2/enqueue"])
def test_pagerduty_triggers_and_resolves_by_key(house: Any, path: str) -> None:
    key = house.token("responder", "monit")["authorization"].split()[1]
    answer = post(house, path, {**TRIGGER, "routing_key": key})
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "success",
        "message": "Event processed",
        "dedup_key": "disk-web1",
    }
    (alert,) = alerts_of(house)
    assert alert.source == "monit" and alert.firing and alert.service == "checkout"
    assert (alert.name, alert.labels["instance"], alert.severity.value) == (
        "DiskFull",
        "web1",
        "critical",
    )
    assert (
        alert.annotations["free"] == "0.02"
        and alert.annotations["link_1"] == "https://wiki.example/disk"
    )
    ended = {"routing_key": key, "event_action": "resolve", "dedup_key": "disk-web1"}
    assert post(house, path, ended).status_code == 202
    assert [(a.key, a.firing) for a in alerts_of(house)] == [(alert.key, True), (alert.key, False)]
    assert post(house, path, ended).status_code == 202  # once more: nothing fires
    assert len(alerts_of(house)) == 2


def test_a25_a_resolve_of_another_source_does_nothing(house: Any) -> None:
    mine, other = (
        house.token("responder", name)["authorization"].split()[1] for name in ("a", "b")
    )
    post(house, PAGERDUTY, {**TRIGGER, "routing_key": mine})
    forged = {"routing_key": other, "event_action": "resolve", "dedup_key": "disk-web1"}
    assert post(house, PAGERDUTY, forged).status_code == 202
    assert [alert.firing for alert in alerts_of(house)] == [True]
    zabbix = {"authorization": f"Bearer {other}"}
    post(house, f"{HOOK}/zabbix", ZABBIX, {"authorization": f"Bearer {mine}"})
    answer = post(house, f"{HOOK}/zabbix", {**ZABBIX, "event_value": "0"}, zabbix)
    assert answer.json() == {"accepted": 0, "ignored": 1} and len(alerts_of(house)) == 2
    resolved = {**EVENT, "type": "acme.alert.resolved.v1"}
    post(house, f"{HOOK}/cloudevents", EVENT, {"authorization": f"Bearer {mine}"})
    answer = post(house, f"{HOOK}/cloudevents", resolved, zabbix)
    assert answer.json() == {"accepted": 0, "ignored": 1} and len(alerts_of(house)) == 3


def test_a01_a_wrong_routing_key_is_refused_and_nothing_kept(house: Any) -> None:
    house.token()
    for key in ("", "x" * 32, None, ["x"]):
        answer = post(house, PAGERDUTY, {**TRIGGER, "routing_key": key})
        assert answer.status_code == 401 and house.submitted == []
    viewer = house.token("viewer", "v")["authorization"].split()[1]
    assert post(house, PAGERDUTY, {**TRIGGER, "routing_key": viewer}).status_code == 403
    for path in ("zabbix", "grafana", "cloudevents"):
        assert post(house, f"{HOOK}/{path}", {}).status_code == 401


def test_a_key_survives_a_restart_of_the_console(house: Any, build: Any) -> None:
    post(house, PAGERDUTY, TRIGGER)
    store(house)
    from console.app import create_app

    house.app = create_app(house.ports)
    post(house, PAGERDUTY, {"event_action": "resolve", "dedup_key": "disk-web1"})
    assert [alert.firing for alert in alerts_of(house)] == [True, False]


def test_worse_is_another_alert_of_the_same_incident(house: Any) -> None:
    post(house, PAGERDUTY, TRIGGER)
    worse = {
        **TRIGGER,
        "payload": {**TRIGGER["payload"], "severity": "critical", "summary": "worse"},
    }
    post(house, PAGERDUTY, worse)
    post(house, PAGERDUTY, {"event_action": "resolve", "dedup_key": "disk-web1"})
    found = [(a.labels["severity"], a.firing) for a in alerts_of(house)]
    assert found == [("error", True), ("critical", True), ("error", False), ("critical", False)]


def test_an_acknowledgement_is_one_of_the_incident(house: Any, seed: Any) -> None:
    seed.fill(house.store)
    post(house, PAGERDUTY, TRIGGER)
    acknowledge = {"event_action": "acknowledge", "dedup_key": "disk-web1"}
    assert post(house, PAGERDUTY, acknowledge).status_code == 202  # there is no incident yet
    with house.store.records.read() as conn:
        from store import incidents

        (open_one, *_) = [i for i in incidents.recent(conn) if i.state.value == "open"]
    store(house, open_one.id)
    assert post(house, PAGERDUTY, acknowledge).status_code == 202
    acts = [decode(Act, e.body) for e in house.submitted if e.kind is JournalKind.ACT]
    assert [(one.kind, one.incident_id) for one in acts] == [(ActKind.ACKNOWLEDGE, open_one.id)]


def test_pagerduty_says_what_is_wrong_in_its_own_words(house: Any) -> None:
    answer = post(house, PAGERDUTY, {"event_action": "shout", "payload": 5})
    assert answer.status_code == 400 and answer.json()["status"] == "invalid event"
    assert answer.json()["errors"][0].startswith("/event_action: must be trigger")
    answer = post(house, PAGERDUTY, {"event_action": "trigger", "payload": {"severity": "bad"}})
    assert len(answer.json()["errors"]) == 3 and house.submitted == []
    house.broken = True
    answer = post(house, PAGERDUTY, TRIGGER)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0


def test_without_a_key_one_is_given(house: Any) -> None:
    body = {name: value for name, value in TRIGGER.items() if name != "dedup_key"}
    given = post(house, PAGERDUTY, body).json()["dedup_key"]
    post(house, PAGERDUTY, {"event_action": "resolve", "dedup_key": given})
    assert [alert.firing for alert in alerts_of(house)] == [True, False]


def test_pagerduty_change_events(house: Any) -> None:
    body = {
        "routing_key": "any",
        "payload": {"summary": "cart 2.4", "source": "ci", "custom_details": {"service": "cart", "version": "2.4"}},
        "links": [{"href": "https://ci.example/7"}],
    }  # fmt: skip
    for path in (f"{HOOK}/pagerduty/v2/change/enqueue", "/v2/change/enqueue"):
        assert post(house, path, body).status_code == 202
    found = [decode(Change, entry.body) for entry in house.submitted]
    assert [(c.service, c.title, c.version, c.url) for c in found] == [("cart", "cart 2.4", "2.4", "https://ci.example/7")] * 2  # fmt: skip
    assert post(house, "/v2/change/enqueue", {"payload": {}}).status_code == 400


# --- Zabbix -----------------------------------------------------------------------------------


def test_zabbix_problem_and_recovery(house: Any) -> None:
    assert post(house, f"{HOOK}/zabbix", ZABBIX).json() == {"accepted": 1, "ignored": 0}
    (alert,) = alerts_of(house)
    assert alert.name == "High CPU on web1" and alert.service == "checkout"
    assert alert.severity.value == "critical" and alert.annotations["zabbix_severity"] == "High"
    texts = [*alert.labels.values(), *alert.annotations.values()]
    assert not [
        text for text in texts if "{" in text or "*" in text
    ]  # macros that were not resolved
    recovery = {
        **ZABBIX,
        "event_value": "0",
        "event_name": "{EVENT.NAME}",
        "nseverity": "{EVENT.NSEVERITY}",
    }
    assert post(house, f"{HOOK}/zabbix", recovery).json() == {"accepted": 1, "ignored": 0}
    assert [a.firing for a in alerts_of(house)] == [True, False]
    assert alerts_of(house)[1].key == alert.key


def test_zabbix_other_tags_are_another_problem(house: Any) -> None:
    other = {**ZABBIX, "tags": [{"tag": "service", "value": "cart"}], "event_id": "4712"}
    post(house, f"{HOOK}/zabbix", ZABBIX)
    post(house, f"{HOOK}/zabbix", other)
    post(house, f"{HOOK}/zabbix", {**other, "event_value": "0"})
    assert [(a.service, a.firing) for a in alerts_of(house)] == [("checkout", True), ("cart", True), ("cart", False)]  # fmt: skip


def test_zabbix_discovery_is_no_problem(house: Any) -> None:
    assert post(house, f"{HOOK}/zabbix", {**ZABBIX, "event_source": "1"}).status_code == 202
    assert house.submitted == []


WRONG_ZABBIX = [
    ({"event_value": "{EVENT.VALUE}"}, "/event_value"),
    ({"event_id": "{EVENT.ID}", "trigger_id": "{TRIGGER.ID}"}, "/event_id"),
    ({"event_name": "{EVENT.NAME}"}, "/event_name"),
    ({"nseverity": "9"}, "/nseverity"),
    ({"tags": "[{"}, "/tags"),
    ({"tags": [{"tag": 5}]}, "/tags"),
    ({"host": {"name": "web1"}}, "/host"),
]


@pytest.mark.parametrize(
    ("fields", "where"), WRONG_ZABBIX, ids=[str(f)[:40] for f, _ in WRONG_ZABBIX]
)
def test_zabbix_what_cannot_be(house: Any, fields: dict[str, Any], where: str) -> None:
    answer = post(house, f"{HOOK}/zabbix", {**ZABBIX, **fields})
    assert answer.status_code == 400 and house.submitted == []
    assert [problem["where"] for problem in answer.json()["problems"]] == [where]


# --- Grafana ----------------------------------------------------------------------------------


def test_grafana_fires_and_resolves(house: Any) -> None:
    assert post(house, f"{HOOK}/grafana", GRAFANA).json() == {"accepted": 1}
    (alert,) = alerts_of(house)
    assert alert.service == "checkout" and alert.firing and alert.expires_ms is not None
    assert (
        alert.annotations["values"] == "B=44.23, C=1" and "dashboard_url" not in alert.annotations
    )
    assert alert.annotations["image_url"] == "https://grafana.example/i.png"
    over = {**GRAFANA["alerts"][0], "status": "resolved", "endsAt": "2020-01-01T09:00:00Z"}
    post(house, f"{HOOK}/grafana", {**GRAFANA, "status": "resolved", "alerts": [over]})
    assert [a.firing for a in alerts_of(house)] == [True, False]
    assert len({a.key for a in alerts_of(house)}) == 1


def test_grafana_the_rest_is_taken_and_all_problems_said(house: Any) -> None:
    broken = [
        {"labels": {}},
        {"labels": {"a": "b"}, "values": [1]},
        {"labels": {"a": "b"}, "status": "x"},
    ]
    answer = post(house, f"{HOOK}/grafana", {**GRAFANA, "alerts": [*GRAFANA["alerts"], *broken]})
    assert answer.status_code == 400 and len(alerts_of(house)) == 1
    assert [problem["where"] for problem in answer.json()["problems"]] == ["/alerts/1/labels", "/alerts/2/values", "/alerts/3/status"]  # fmt: skip
    assert post(house, f"{HOOK}/grafana", {"version": "1"}).status_code == 400
