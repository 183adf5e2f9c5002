"""`tocsin incidents`: list, show and act."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import AsJson, Token, Url

app = typer.Typer(help="List incidents, show one, act on it.", no_args_is_help=True)

IncidentId = Annotated[str, typer.Argument(help="The incident's id, as in the list.")]
Text = Annotated[str, typer.Option("--note", "-n", help="A note for the timeline.")]


@app.command("list")
def list_(
    state: Annotated[
        str, typer.Option(help="open, acknowledged, resolved, closed, merged, active or all.")
    ] = "active",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    simulated: Annotated[bool, typer.Option(help="Also simulated ones.")] = False,
    url: Url = "",
    token: Token = "",
    json: AsJson = False,
) -> None:
    """List incidents, newest first."""
    found = Client(url, token).get(
        "/api/v1/incidents",
        state="" if state == "all" else state,
        service=service,
        limit=limit,
        simulated=None if simulated else "false",
    )
    rows = found["incidents"]
    if json:
        output.show_json(rows)
        return
    output.show_table(
        ["ID", "PRIORITY", "STATE", "SERVICE", "OPENED", "ALERTS", "TITLE"],
        [
            (
                r["id"],
                r["priority"],
                r["state"],
                r["service"],
                output.when(r["opened_ms"]),
                r["alert_count"],
                _title(r),
            )
            for r in rows
        ],
        empty="No incidents.",
    )


def _title(incident: dict[str, Any]) -> str:
    title = incident["title"]
    return title if isinstance(title, str) else str(title.get("text", title))


@app.command()
def show(incident: IncidentId, url: Url = "", token: Token = "", json: AsJson = False) -> None:
    """Show one incident: cause, timeline, ticket, pages."""
    found = Client(url, token).get(f"/api/v1/incidents/{incident}")
    if json:
        output.show_json(found)
        return
    head = found["incident"] if "incident" in found else found
    output.show(f"{head['id']}  {head['priority']}  {head['state']}")
    output.show(output.printable(_title(head)))
    for cause in head.get("causes", []):
        output.show(f"\n{cause['service']}  {cause['score']:.2f}")
        for reason in cause.get("reasons", []):
            said = reason if isinstance(reason, str) else reason.get("text", reason)
            output.show(f"  {output.printable(str(said))}")
    for line in _attached(head):
        output.show(output.printable(line))
    output.console.print()
    output.show_table(["ALERT", "NAME", "SERVICE", "SAID"], _alerts(found), empty="")
    output.console.print()
    output.show_table(
        ["TIME", "WHAT", "WHO", "SAID"],
        [
            (output.when(e["time_ms"]), e["kind"], e["actor"], _said(e["text"]))
            for e in found.get("timeline", [])
        ],
        empty="",
    )


def _attached(incident: dict[str, Any]) -> list[str]:
    """Tickets and runbooks, a line each."""
    tickets = [
        f"ticket   {t['number']} in {t['desk']}  {t['url']}" for t in incident.get("tickets", [])
    ]
    runbooks = [f"runbook  {r['title']}" for r in incident.get("runbooks", [])]
    lines = [line.rstrip() for line in (*tickets, *runbooks)]
    return ["", *lines] if lines else []


def _alerts(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Alerts with the ids that `tocsin feedback give` takes."""
    return [
        (
            status["id"],
            status["alert"]["labels"].get("alertname", ""),
            status["alert"]["labels"].get("service", ""),
            status["alert"]["summary"] or status["alert"]["annotations"].get("summary", ""),
        )
        for status in found.get("alerts", [])
    ]


def _said(text: Any) -> str:
    return text if isinstance(text, str) else str(text.get("text", text))


def _act(kind: str, incident: str, note: str, url: str, token: str) -> None:
    Client(url, token).post(f"/api/v1/incidents/{incident}/acts", {"act": kind, "text": note})
    output.say(f"{incident}: {kind} accepted")


@app.command()
def acknowledge(incident: IncidentId, note: Text = "", url: Url = "", token: Token = "") -> None:
    """Take an incident: repeat pages stop."""
    _act("acknowledge", incident, note, url, token)


@app.command()
def resolve(incident: IncidentId, note: Text = "", url: Url = "", token: Token = "") -> None:
    """Say that the trouble is over."""
    _act("resolve", incident, note, url, token)


@app.command()
def close(incident: IncidentId, note: Text = "", url: Url = "", token: Token = "") -> None:
    """Close an incident for good; its alerts do not reopen it."""
    _act("close", incident, note, url, token)


@app.command()
def reopen(incident: IncidentId, note: Text = "", url: Url = "", token: Token = "") -> None:
    """Open a resolved or closed incident again."""
    _act("reopen", incident, note, url, token)


@app.command()
def priority(
    incident: IncidentId,
    priority: Annotated[str, typer.Argument(help="P1, P2, P3 or P4.")],
    url: Url = "",
    token: Token = "",
) -> None:
    """Set the priority; it is not changed by itself any more."""
    _act("priority", incident, priority, url, token)


@app.command()
def note(
    incident: IncidentId,
    text: Annotated[str, typer.Argument(help="What to write.")],
    url: Url = "",
    token: Token = "",
) -> None:
    """Write a note on the timeline."""
    _act("note", incident, text, url, token)
