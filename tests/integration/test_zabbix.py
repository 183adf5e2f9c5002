"""A real Zabbix 6.0: its problems asked for and pushed, and what became of them told back."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.conftest import Tocsin, wait_for
from tests.integration.zabbix_server import Zabbix, zabbix_server

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
ZABBIX = "zabbix: [{{url: {url}, name: zabbix, interval: 1s, {more}}}]\n"


@pytest.fixture(scope="module")
def zabbix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zabbix]:
    with zabbix_server(tmp_path_factory.mktemp("zabbix")) as started:
        yield started


@dataclass
class Trouble:
    """A trigger of a host of its own, and how it is made to fire."""

    zabbix: Zabbix
    host: str

    def __post_init__(self) -> None:
        hostid = self.zabbix.host(self.host)
        self.zabbix.item(hostid, "trap")
        self.trigger = self.zabbix.trigger(
            f"{self.host} is broken", f"last(/{self.host}/trap)=1",
            tags=[{"tag": "service", "value": self.host}],
        )  # fmt: skip

    def be(self, broken: bool) -> None:
        """Send the value until the trigger has judged one: the server learns of an item before its trigger."""

        def judged() -> bool:
            self.zabbix.send(self.host, "trap", int(broken))
            return bool(self.zabbix.problems(self.trigger)) == broken

        wait_for(judged, f"Zabbix to judge {self.host}")

    def problem(self) -> str:
        """The eventid of what is open."""
        (one,) = self.zabbix.problems(self.trigger)
        return str(one["eventid"])


def polling(zabbix: Zabbix, servers: Any, folder: Path, more: str = "") -> str:
    """Settings with a token of a user of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    token = folder / "token"
    token.write_text(zabbix.api_token(zabbix.userid))
    return str(servers.settings) + ZABBIX.format(
        url=zabbix.url, more=f"token_file: {token}, {more}"
    )


def said(zabbix: Zabbix, trouble: Trouble) -> list[str]:
    """Messages on the open problem."""
    (one,) = zabbix.problems(trouble.trigger)
    return [ack["message"] for ack in one["acknowledges"]]


def counted(tocsin: Tocsin, what: str) -> int:
    """One of the poll's counters."""
    text = requests.get(f"{tocsin.url}/metrics", timeout=60).text
    found = re.search(rf"^tocsin_zabbix_{what}_total (\S+)", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def test_a_problem_is_asked_for_acknowledged_back_and_recovers(
    zabbix: Zabbix, servers: Any, tmp_path: Path
) -> None:
    trouble = Trouble(zabbix, "asked1")
    trouble.be(True)
    event = trouble.problem()
    settings = polling(zabbix, servers, tmp_path)
    with servers.tocsin_in(tmp_path, settings) as tocsin:
        incident = tocsin.incident("asked1")
        (alert,) = [a for a in tocsin.get("/api/v2/alerts") if a["labels"].get("host") == "asked1"]
        assert alert["labels"]["severity"] == "critical"
        assert alert["labels"]["host_group"] == "Linux servers"
        number = tocsin.ticket(incident["id"])["number"]
        servers.wait_for(lambda: any(number in text for text in said(zabbix, trouble)), "the ticket in Zabbix")  # fmt: skip
        assert zabbix.event(event)["acknowledged"] == "0"
        tocsin.post(f"/api/v1/incidents/{incident['id']}/acts", {"act": "acknowledge"})
        servers.wait_for(lambda: zabbix.event(event)["acknowledged"] == "1", "it to be acknowledged in Zabbix")  # fmt: skip
    # While Tocsin is away, a person writes there, and another problem comes and goes.
    zabbix.api("event.acknowledge", {"eventids": event, "action": 4, "message": "replacing the disk"})  # fmt: skip
    passing = Trouble(zabbix, "asked2")
    passing.be(True)
    passing.be(False)
    with servers.tocsin_in(tmp_path, settings) as tocsin:

        def noted() -> bool:
            return "replacing the disk" in str(tocsin.get(f"/api/v1/incidents/{incident['id']}"))

        servers.wait_for(noted, "what was said in Zabbix")
        assert tocsin.incident("asked1", "acknowledged")["id"] == incident["id"]
        texts = said(zabbix, trouble)
        assert len(texts) == 3, texts  # the ticket, the acknowledgement, the person: nothing echoes
        trouble.be(False)
        assert tocsin.incident("asked1", "resolved")["id"] == incident["id"]
        servers.wait_for(lambda: counted(tocsin, "recoveries") == 2, "what came and went")


def test_what_a_person_does_in_zabbix_wins(zabbix: Zabbix, servers: Any, tmp_path: Path) -> None:
    trouble = Trouble(zabbix, "person1")
    with servers.tocsin_in(tmp_path, polling(zabbix, servers, tmp_path)) as tocsin:
        trouble.be(True)
        incident = tocsin.incident("person1")
        event = trouble.problem()
        zabbix.api("event.acknowledge", {"eventids": event, "action": 6, "message": "I am on it"})
        acked = tocsin.incident("person1", "acknowledged")
        assert acked["id"] == incident["id"]
        assert acked["acknowledged_by"] == "Admin (zabbix)"
        zabbix.api("event.acknowledge", {"eventids": event, "action": 16})
        assert tocsin.incident("person1", "open")["id"] == incident["id"]
        trouble.be(False)
        tocsin.incident("person1", "resolved")
        ours = [a for a in zabbix.event(event)["acknowledges"] if "[tocsin " in a["message"]]
        assert len(ours) <= 1, ours  # the ticket's number; no echo of what was done there


def test_a_real_agents_item(zabbix: Zabbix, servers: Any, tmp_path: Path) -> None:
    hostid = zabbix.host("real")
    zabbix.item(hostid, "agent.ping", polled=True)
    zabbix.trigger("the agent answers", "last(/real/agent.ping)=1", priority=2,
                   tags=[{"tag": "service", "value": "agent"}])  # fmt: skip
    with servers.tocsin_in(tmp_path, polling(zabbix, servers, tmp_path)) as tocsin:
        tocsin.incident("agent")


def media_type() -> dict[str, Any]:
    """The media type of docs/webhooks.md, as it is written there."""
    page = (ROOT / "docs" / "webhooks.md").read_text().partition("## Zabbix")[2]
    page = page.partition("\n## ")[0]
    script = re.search(r"```js\n(.*?)```", page, re.DOTALL)
    assert script is not None
    parameters = re.findall(r"^\| `(\w+)` \| (?:`([^`]+)`|the token) \|$", page, re.MULTILINE)
    return {
        "name": "Tocsin",
        "type": 4,
        "status": 0,
        "script": script[1],
        "parameters": [{"name": name, "value": value} for name, value in parameters],
        "message_templates": [
            {"eventsource": 0, "recovery": mode, "subject": "x", "message": "x"} for mode in (0, 1, 2)
        ],
    }  # fmt: skip


def pushing(zabbix: Zabbix, tocsin: Tocsin, token: str) -> None:
    """The documented media type, a user that has it, and an action that sends by it."""
    made = media_type()
    given = {"url": f"{tocsin.url}/api/v1/webhook/zabbix", "token": token}
    for parameter in made["parameters"]:
        parameter["value"] = given.get(parameter["name"], parameter["value"])
    (kind,) = zabbix.api("mediatype.create", made)["mediatypeids"]
    medias = [{"mediatypeid": kind, "sendto": "tocsin", "active": 0, "severity": 63}]
    user = zabbix.user("pusher", "A-long-password-1", medias=medias)
    send = {"operationtype": 0, "opmessage": {"default_msg": 1, "mediatypeid": kind}, "opmessage_usr": [{"userid": user}]}  # fmt: skip
    zabbix.api(
        "action.create",
        {
            "name": "tell Tocsin", "eventsource": 0, "status": 0, "esc_period": "1m",
            "filter": {"evaltype": 0, "conditions": []}, "operations": [{**send, "esc_step_from": 1, "esc_step_to": 1}],
            "recovery_operations": [send], "update_operations": [send],
        },
    )  # fmt: skip


def pushed(zabbix: Zabbix, trouble: Trouble) -> list[dict[str, Any]]:
    """What an action has sent of a trigger."""
    asked = {"output": "extend", "objectids": trouble.trigger}
    return list(zabbix.api("alert.get", asked))


def acted(zabbix: Zabbix, trouble: Trouble) -> bool:
    """Break and mend it; whether an action ever minded: the server learns of an action some time after it is made."""
    trouble.be(True)
    trouble.be(False)
    return bool(pushed(zabbix, trouble))


def test_both_doors_at_once_are_one_alert(zabbix: Zabbix, servers: Any, tmp_path: Path) -> None:
    settings = polling(zabbix, servers, tmp_path)
    config = tmp_path / "config"
    config.mkdir(parents=True)
    (config / "tocsin.yaml").write_text(settings)
    tokens = []
    for name in ("zabbix", "test"):
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "tokens", "add", name, "--role", "admin",
             "--config", str(config), "--data", str(tmp_path / "data")],
            capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        tokens.append(max(done.stdout.split(), key=len))
    known, trouble = Trouble(zabbix, "both0"), Trouble(zabbix, "both1")
    with servers.tocsin_in(tmp_path, settings) as started:
        tocsin = Tocsin(started.address, started.folder, tokens[1])
        pushing(zabbix, tocsin, tokens[0])
        wait_for(lambda: acted(zabbix, known), "Zabbix to act")
        trouble.be(True)

        def sent() -> bool:
            found = pushed(zabbix, trouble)
            assert not [one for one in found if one["error"]], found
            return [one["status"] for one in found] == ["1"]

        servers.wait_for(sent, "Zabbix to have pushed it")
        incident = tocsin.incident("both1")
        (alert,) = [a for a in tocsin.get("/api/v2/alerts") if a["labels"].get("host") == "both1"]
        assert tocsin.get(f"/api/v1/incidents/{incident['id']}")["alert_count"] == 1
        assert alert["annotations"]["zabbix_event_id"] == trouble.problem()
        tocsin.post(f"/api/v1/incidents/{incident['id']}/acts", {"act": "acknowledge"})
        event = trouble.problem()
        servers.wait_for(lambda: zabbix.event(event)["acknowledged"] == "1", "the acknowledgement")  # fmt: skip
        trouble.be(False)
        assert tocsin.incident("both1", "resolved")["id"] == incident["id"]
