"""Killed and started again, a process knows what it knew: incidents, people's acts, clocks, cursors, silences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.pipeline.running import PACE, QUICK, RETRY, Running, until

HALF = "host: {enabled: false}\nself: {enabled: false}\n" + PACE


def _known(tocsin: Running) -> dict[str, Any]:
    """What must be the same before and after."""
    fields = (
        "id",
        "state",
        "opened_ms",
        "acknowledged_ms",
        "acknowledged_by",
        "priority",
        "tickets",
    )
    heard = [one for one in tocsin.incidents() if not one["muted"]]
    ids = ", ".join(f"'{one['id']}'" for one in heard)
    return {
        "incidents": sorted([[one[f] for f in fields] for one in heard], key=str),
        "clocks": sorted(tocsin.rows(f"SELECT body FROM clocks WHERE incident_id IN ({ids})")),
        "pages": sorted(tocsin.rows("SELECT body FROM pages")),
        "silences": [one["id"] for one in tocsin.ask("GET", "/api/v2/silences").json()],
    }


def _silence(tocsin: Running, service: str) -> None:
    now = datetime.now(UTC)
    body = {
        "matchers": [{"name": "service", "value": service, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "planned",
    }
    assert tocsin.ask("POST", "/api/v2/silences", body).status_code == 200


def test_f01_a_restart_keeps_what_people_and_stages_did(tocsin: Running) -> None:
    tocsin.configure(tocsin=HALF + QUICK + RETRY)
    tocsin.start()
    tocsin.push("Slow", service="cart")
    tocsin.push("Down", service="search")
    _silence(tocsin, "quiet")
    until(lambda: len(tocsin.incidents()) == 2, "both incidents")
    mine = next(one["id"] for one in tocsin.incidents() if one["service"] == "cart")
    act = {"act": "acknowledge", "text": "I look"}
    assert tocsin.ask("POST", f"/api/v1/incidents/{mine}/acts", act).status_code < 300
    until(lambda: tocsin.incidents("acknowledged"), "the acknowledgement")
    tocsin.settled()
    known = _known(tocsin)
    tocsin.kill()
    tocsin.start()
    assert _known(tocsin) == known
    tocsin.push("Slow", service="cart")
    tocsin.push("Planned", service="quiet")
    tocsin.settled()
    until(lambda: tocsin.metric("tocsin_steps_total") > 5, "some steps")
    assert _known(tocsin) == known  # seen again it is the same
    (quiet,) = [one for one in tocsin.incidents() if one["muted"]]  # the silence still holds
    assert quiet["service"] == "quiet" and not quiet["tickets"]


def test_a_heartbeat_that_ran_out_meanwhile_fires_once_and_its_return_resolves_it(
    tocsin: Running,
) -> None:
    tocsin.start()
    assert tocsin.ask("POST", "/api/v1/heartbeats/backup", {"timeout": "2s"}).status_code < 300
    until(lambda: tocsin.rows("SELECT 1 FROM heartbeats"), "its record")
    tocsin.kill()
    tocsin.start()
    (incident,) = until(tocsin.incidents, "the missing heartbeat")
    assert tocsin.ask("POST", "/api/v1/heartbeats/backup", {"timeout": "1h"}).status_code < 300
    (resolved,) = until(lambda: tocsin.incidents("resolved"), "the end")
    assert resolved["id"] == incident["id"] and resolved["alert_count"] == 1


def _lines(first: int, last: int) -> str:
    return "".join(f'level=info msg="order {n} was packed"\n' for n in range(first, last))


def _read(tocsin: Running) -> float:
    return tocsin.metric("tocsin_detector_log_lines_total")


def test_f01_no_log_line_is_lost_or_read_twice(tocsin: Running, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.touch()
    logs = f"logs: {{sources: [{{paths: ['{path}'], service: app}}]}}\n"
    tocsin.configure(tocsin=HALF + logs)
    tocsin.start()
    until(lambda: tocsin.metric("tocsin_steps_total") > 1, "a look at the file")
    with path.open("a") as file:
        file.write(_lines(0, 40))
    until(lambda: _read(tocsin) == 40, "the first lines")
    with path.open("a") as file:
        file.write(_lines(40, 47))  # seen or not seen when it is killed
    tocsin.kill()
    path.rename(path.with_suffix(".log.1"))  # rotated while nobody looked
    path.write_text(_lines(47, 50))
    tocsin.start()
    until(lambda: _read(tocsin) >= 50, "all lines")
    until(lambda: tocsin.metric("tocsin_steps_total") > 3, "some more steps")
    assert _read(tocsin) == 50
