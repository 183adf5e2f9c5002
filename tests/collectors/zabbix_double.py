"""A small double of Zabbix' API on loopback: triggers fire and recover, people write, as 6.0 and 7.2 answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.collectors.http_double import Answer, answering

JSON = {"Content-Type": "application/json"}
GONE = {"code": -32602, "message": "Invalid params.", "data": "No permissions to referred object or it does not exist!"}  # fmt: skip
NO_AUTH = {"code": -32602, "message": "Invalid params.", "data": "Not authorised."}


@dataclass
class Double:
    """What it knows, and what it was asked."""

    version: str = "6.0.14"
    token: str = "t0ken"
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""
    logins: int = 0
    made: int = 0
    instead: Callable[[str, Any], Answer | None] = lambda method, params: None
    after: Callable[[str], Answer | None] = lambda method: None

    def fire(self, at_s: int, trigger: str = "15", severity: int = 4, name: str = "disk full",
             tags: dict[str, str] | None = None, **more: Any) -> int:  # fmt: skip
        """A problem; returns its eventid."""
        self.made += 1
        self.events[self.made] = {
            "eventid": str(self.made), "objectid": trigger, "clock": str(at_s), "name": name, "value": "1",
            "severity": str(severity), "acknowledged": "0", "r_eventid": "0", "opdata": "", "acknowledges": [],
            "hosts": [{"hostid": "1", "name": "web1"}], "suppressed": "0",
            "tags": [{"tag": k, "value": v} for k, v in (tags or {"service": "shop"}).items()], **more,
        }  # fmt: skip
        return self.made

    def recover(self, event: int, at_s: int) -> None:
        """Its end, an event of its own."""
        self.made += 1
        self.events[self.made] = {
            "eventid": str(self.made), "clock": str(at_s), "value": "0", "objectid": "15",
            "severity": "0", "r_eventid": "0", "suppressed": "0",
        }  # fmt: skip
        self.events[event]["r_eventid"] = str(self.made)

    def write(self, event: int, action: int, message: str, *, at_s: int, user: str = "1") -> None:
        """Somebody does something to a problem."""
        self.made += 1
        row = self.events[event]
        if action & 2:
            row["acknowledged"] = "1"
        if action & 16:
            row["acknowledged"] = "0"
        row["acknowledges"].append(
            {"acknowledgeid": str(self.made), "userid": user, "clock": str(at_s), "message": message, "action": str(action)}
        )  # fmt: skip

    def said(self, event: int) -> list[str]:
        """Messages on a problem."""
        return [one["message"] for one in self.events[event]["acknowledges"]]

    def answer(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Status, body and headers of one call."""
        told = json.loads(body)
        method, params = told["method"], told["params"]
        self.asked.append((method, params))
        if (other := self.instead(method, params)) is not None:
            return other
        if method == "apiinfo.version":
            assert "auth" not in told and "authorization" not in headers
            return self.result(self.version)
        if method == "user.login":
            self.logins += 1
            self.token = f"session{self.logins}"
            return self.result(self.token)
        new = tuple(map(int, self.version.split(".")[:2])) >= (6, 4)
        given = (
            headers.get("authorization", "").removeprefix("Bearer ") if new else told.get("auth")
        )
        if new and "auth" in told:
            return self.error({"code": -32600, "message": "Invalid request.", "data": 'unexpected parameter "auth".'})  # fmt: skip
        if given != self.token:
            return self.error(NO_AUTH)
        found = self._known(method, params, new)
        return self.after(method) or (self.error(found) if isinstance(found, dict) and "code" in found else self.result(found))  # fmt: skip

    def result(self, found: Any) -> Answer:
        """As JSON-RPC says it."""
        return 200, json.dumps({"jsonrpc": "2.0", "result": found, "id": 1}).encode(), JSON

    def error(self, error: Any) -> Answer:
        """Likewise."""
        return 200, json.dumps({"jsonrpc": "2.0", "error": error, "id": 1}).encode(), JSON

    def _known(self, method: str, asked: Any, new: bool) -> Any:
        if method in ("problem.get", "event.get"):
            return self._events(method, asked)
        if method == "trigger.get":
            key = "hostgroups" if new else "groups"
            assert ("selectHostGroups" if new else "selectGroups") in asked
            groups = {key: [{"name": "Linux servers"}]}
            return [{"triggerid": one, "url": "", "comments": "look at df", **groups} for one in asked["triggerids"]]  # fmt: skip
        if method == "user.get":
            return [{"userid": one, "username": f"user{one}"} for one in asked["userids"]]
        if method == "hostgroup.get":
            return [{"groupid": "2", "name": n} for n in asked["filter"]["name"] if n == "Linux servers"]  # fmt: skip
        assert method == "event.acknowledge", method
        if any(int(one) not in self.events for one in asked["eventids"]):
            return GONE
        for one in asked["eventids"]:
            self.write(int(one), asked["action"], asked["message"], at_s=0, user="9")
        return {"eventids": asked["eventids"]}

    def _events(self, method: str, asked: Any) -> list[Any]:
        found = []
        for number, row in sorted(self.events.items()):
            if method == "problem.get" and (row["value"] != "1" or (row["r_eventid"] != "0" and not asked.get("recent"))):  # fmt: skip
                continue
            if "value" in asked and row["value"] != str(asked["value"]):
                continue
            if number < int(asked.get("eventid_from", 0)) or int(row["clock"]) < asked.get("time_from", 0):  # fmt: skip
                continue
            if "eventids" in asked and str(number) not in asked["eventids"]:
                continue
            if int(row["severity"]) not in asked.get("severities", range(6)):
                continue
            if asked.get("suppressed") is False and row["suppressed"] == "1":
                continue
            found.append(row)
        return found[: asked.get("limit", len(found))]


@contextmanager
def serving(double: Double) -> Iterator[Double]:
    """Serve it on loopback for a while."""

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        assert (method, path) == ("POST", "/zabbix/api_jsonrpc.php")
        return double.answer(body, headers)

    with answering(ask) as address:
        double.url = f"{address}/zabbix"
        yield double
