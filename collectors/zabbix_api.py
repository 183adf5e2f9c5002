"""Zabbix's JSON-RPC API: problems, events and triggers read; acknowledgements and messages written.

Made for 6.0 and tried with it; what changed since is kept apart here: from 6.4 on the credential travels in a
header (7.2 takes it nowhere else), from 6.2 on host groups have a parameter of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from collectors.fetch import Request, secret
from collectors.http_client import HttpClient, printable
from collectors.zabbix_settings import ZabbixSettings
from model.clock import Clock
from model.errors import PermanentError, TransientError
from model.reason import gettext

ACKNOWLEDGE, MESSAGE, UNACKNOWLEDGE = 2, 4, 16
"""Bits of an update of a problem."""
IDS_MAX = 500
"""Ids of one question: more make a query that some databases refuse."""
_BEARER_SINCE = (6, 4)
_HOST_GROUPS_SINCE = (6, 2)
_MENDS = {
    401: gettext("does the web server want a password of its own?"),
    403: gettext("may this machine reach the API, and is the token's user allowed to use it?"),
    404: gettext("is url the address of Zabbix' frontend?"),
    412: gettext("is url the address of Zabbix' frontend?"),
}
_NO_SESSION = re.compile("re-login|not authori[sz]ed|session terminated", re.IGNORECASE)
_TOO_LATE = re.compile("no permissions|does not exist|cannot (?:un)?acknowledge", re.IGNORECASE)
_FREE = ("apiinfo.version", "user.login")

Json = Any
Row = Mapping[str, Json]


class Refused(PermanentError):
    """The API understood, and said no.

    Attributes
    ----------
    too_late : bool
        What it is about is no longer there, or no longer so.
    """

    def __init__(self, message: str, *, too_late: bool = False) -> None:
        super().__init__(message)
        self.too_late = too_late


class ZabbixApi:
    """One call at a time.

    Parameters
    ----------
    settings : ZabbixSettings
    clock : Clock
        Only to measure how long an answer takes.
    """

    def __init__(self, settings: ZabbixSettings, clock: Clock) -> None:
        self.settings = settings
        self._http = HttpClient(settings, clock, reason=_reason, mends=_MENDS)
        self._version: tuple[int, int] | None = None
        self._session = ""

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        return self._http.name

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def open_problems(self, groups: Sequence[str], limit: int) -> Iterator[Row]:
        """What is a problem now, by eventid, with what people did to it; at most `limit`.

        Raises
        ------
        DeliveryError
            If it cannot be had; see `call`.
        """
        asked = {
            "output": ["eventid", "objectid", "clock", "severity", "acknowledged"],
            "selectAcknowledges": ["acknowledgeid", "userid", "clock", "message", "action"],
            **self._which(groups),
        }
        yield from islice(self._pages("problem.get", asked, "0"), limit)

    def new_problems(self, after: str, since_s: int, groups: Sequence[str]) -> Iterator[Row]:
        """Problems behind an eventid, over or not, by eventid.

        Raises
        ------
        DeliveryError
            If they cannot be had.
        """
        asked = {
            "output": ["eventid", "objectid", "clock", "r_eventid"],
            "value": 1,
            "time_from": since_s,
            **self._which(groups),
        }
        yield from self._pages("event.get", asked, after)

    def events(self, ids: Iterable[str]) -> dict[str, Row]:
        """Events by id; what is no longer there, or may not be seen, is left out.

        Raises
        ------
        DeliveryError
            If they cannot be had.
        """
        asked = {
            "output": ["eventid", "objectid", "clock", "name", "severity", "opdata", "r_eventid"],
            "selectHosts": ["hostid", "name"],
            "selectTags": ["tag", "value"],
        }
        return self._by_id("event.get", "eventids", ids, asked)

    def triggers(self, ids: Iterable[str]) -> dict[str, Row]:
        """Triggers by id, with the groups of their hosts under `groups`.

        Raises
        ------
        DeliveryError
            If they cannot be had.
        """
        select, key = "selectGroups", "groups"
        if self.version() >= _HOST_GROUPS_SINCE:
            select, key = "selectHostGroups", "hostgroups"
        asked = {"output": ["triggerid", "url", "comments"], select: ["name"]}
        found = self._by_id("trigger.get", "triggerids", ids, asked)
        return {one: {**row, "groups": row.get(key) or []} for one, row in found.items()}

    def updates(self, ids: Iterable[str]) -> dict[str, Row]:
        """Problems by eventid, over lately or not, with what was done to them: before we do it again.

        Raises
        ------
        DeliveryError
            If they cannot be had.
        """
        asked = {
            "output": ["eventid", "acknowledged"],
            "selectAcknowledges": ["message"],
            "recent": True,
        }
        return self._by_id("problem.get", "eventids", ids, asked)

    def users(self, ids: Iterable[str]) -> dict[str, str]:
        """Names of users by id, as far as we may see them.

        Raises
        ------
        DeliveryError
            If they cannot be had.
        """
        found = self._by_id("user.get", "userids", ids, {"output": ["userid", "username"]})
        return {one: str(row.get("username") or one) for one, row in found.items()}

    def group_ids(self, names: Sequence[str]) -> list[str]:
        """Ids of host groups.

        Raises
        ------
        DeliveryError
            If they cannot be had, or one of them is not there.
        """
        asked = {"output": ["groupid", "name"], "filter": {"name": list(names)}}
        found = {str(row.get("name")): str(row["groupid"]) for row in self._rows("hostgroup.get", asked)}  # fmt: skip
        if missing := [name for name in names if name not in found]:
            raise PermanentError(
                f'there is no host group "{missing[0][:80]}" that the user may see'
            )
        return list(found.values())

    def update(self, ids: Sequence[str], action: int, message: str) -> None:
        """Do something to problems, and say something.

        Raises
        ------
        Refused
            If one of them cannot be; then nothing was done.
        DeliveryError
            If it is not known to be done.
        """
        self.call("event.acknowledge", {"eventids": list(ids), "action": action, "message": message})  # fmt: skip

    def version(self) -> tuple[int, int]:
        """Major and minor version, asked for once.

        Raises
        ------
        DeliveryError
            If it cannot be had.
        """
        if self._version is None:
            told = self.call("apiinfo.version", [])
            found = re.match(r"(\d+)\.(\d+)", told) if isinstance(told, str) else None
            if found is None:
                raise PermanentError(_unexpected("a version", told))
            self._version = (int(found[1]), int(found[2]))
        return self._version

    def call(self, method: str, params: Json) -> Json:
        """The `result` of one call.

        Raises
        ------
        TransientError
            If it is unreachable, slow, busy, or its database is down.
        Refused
            If it refuses the call.
        PermanentError
            If it refuses us, or is no Zabbix.
        """
        try:
            return self._call(method, params)
        except Refused as error:
            self._version = None  # it may have been upgraded
            if not (self._session and _NO_SESSION.search(str(error))):
                raise
        self._session = ""  # it ended: log in anew
        return self._call(method, params)

    def _call(self, method: str, params: Json) -> Json:
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        headers["Content-Type"] = "application/json-rpc"
        if method not in _FREE:
            credential = self._credential()
            if self.version() >= _BEARER_SINCE:
                headers["Authorization"] = "Bearer " + credential
            else:
                body["auth"] = credential
        url = self.settings.url.rstrip("/") + "/api_jsonrpc.php"
        return _result(self._http.ask(Request("POST", url, headers, orjson.dumps(body))).body)

    def _credential(self) -> str:
        if self.settings.token_file:
            return secret(self.settings.token_file)
        if not self._session:
            given = {
                "username" if self.version() >= (5, 4) else "user": self.settings.username,
                "password": secret(self.settings.password_file),
            }
            told = self._call("user.login", given)
            if not isinstance(told, str):
                raise PermanentError(_unexpected("a session", told))
            self._session = told
        return self._session

    def _which(self, groups: Sequence[str]) -> dict[str, Json]:
        settings = self.settings
        found: dict[str, Json] = {"source": 0, "object": 0}
        if settings.severity_min.rank:
            found["severities"] = list(range(settings.severity_min.rank, 6))
        if not settings.suppressed:
            found["suppressed"] = False
        if groups:
            found["groupids"] = list(groups)
        return found

    def _pages(self, method: str, asked: Mapping[str, Json], after: str) -> Iterator[Row]:
        size = self.settings.page_size
        while True:
            page = {"sortfield": ["eventid"], "sortorder": "ASC", "limit": size}
            rows = self._rows(method, {**asked, **page, "eventid_from": str(int(after) + 1)})
            yield from rows
            if len(rows) < size:
                return
            if int(rows[-1]["eventid"]) <= int(after):
                raise PermanentError(
                    "said the same events again; is something between us that caches?"
                )
            after = str(rows[-1]["eventid"])

    def _by_id(
        self, method: str, key: str, ids: Iterable[str], asked: Mapping[str, Json]
    ) -> dict[str, Row]:
        own = key.removesuffix("s")
        waiting = list(dict.fromkeys(ids))
        found: dict[str, Row] = {}
        for at in range(0, len(waiting), IDS_MAX):
            rows = self._rows(method, {**asked, key: waiting[at : at + IDS_MAX]})
            found.update((str(row.get(own)), row) for row in rows)
        return found

    def _rows(self, method: str, asked: Mapping[str, Json]) -> list[Row]:
        rows = self.call(method, asked)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise PermanentError(_unexpected("a list of objects", rows))
        for row in rows:
            if not str(row.get("eventid", "0")).isdecimal():
                raise PermanentError("said an event whose id is no number")
        return rows


def _reason(body: bytes) -> str:
    """What a refusal says that is no answer of the API."""
    try:
        told = orjson.loads(body).get("error")
        return printable(str(told.get("data") or told.get("message")))
    except (orjson.JSONDecodeError, AttributeError):
        return ""


def _result(body: bytes) -> Json:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise PermanentError("answered what is not JSON; is url the address of Zabbix' frontend?") from None  # fmt: skip
    if not isinstance(told, dict) or not ("result" in told or isinstance(told.get("error"), dict)):
        raise PermanentError(_unexpected("a result", told))
    if "result" in told:
        return told["result"]
    error = told["error"]
    said = printable(f"{error.get('message', '')} {error.get('data', '')}")
    if "SQL" in said or "atabase" in said:
        raise TransientError(f'its database does not answer: "{said}"')
    mend = "; check token_file, or username and password_file" if _NO_SESSION.search(said) else ""
    raise Refused(f'refused: "{said}"{mend}', too_late=bool(_TOO_LATE.search(said)))


def _unexpected(wanted: str, came: object) -> str:
    return f"said {type(came).__name__} where {wanted} was expected; is it a Zabbix?"
