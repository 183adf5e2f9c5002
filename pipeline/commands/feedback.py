"""`tocsin feedback`: say that an alert was noise or a good catch, list, take back."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import AsJson, Token, Url

app = typer.Typer(help="Say what an alert was, list verdicts, take one back.", no_args_is_help=True)


@app.command("list")
def list_(
    withdrawn: Annotated[bool, typer.Option(help="Also those that were taken back.")] = False,
    url: Url = "",
    token: Token = "",
    json: AsJson = False,
) -> None:
    """List verdicts, newest first."""
    found = Client(url, token).get("/api/v1/feedback")["feedback"]
    found = [said for said in found if withdrawn or said["active"]]
    if json:
        output.show_json(found)
        return
    output.show_table(
        ["ID", "VERDICT", "WHEN", "BY", "ALERT", "SERVICE", "NOTE"],
        [
            (
                said["id"],
                said["verdict"],
                output.when(said["time_ms"]),
                said["actor"],
                said["alertname"],
                said["service"],
                said["note"],
            )
            for said in found
        ],
        empty="No verdicts.",
    )


@app.command()
def give(
    alert: Annotated[
        str, typer.Argument(help="The alert's id, as `tocsin incidents show` has it.")
    ],
    verdict: Annotated[str, typer.Argument(help="noise or good_catch.")],
    note: Annotated[str, typer.Option("--note", "-m", help="Why.")] = "",
    url: Url = "",
    token: Token = "",
) -> None:
    """Say that an alert was noise, or a good catch."""
    body = {"verdict": verdict, "note": note}
    typer.echo(Client(url, token).post(f"/api/v1/alerts/{alert}/feedback", body)["id"])


@app.command()
def withdraw(
    feedback: Annotated[str, typer.Argument(help="The verdict's id.")],
    url: Url = "",
    token: Token = "",
) -> None:
    """Take a verdict back; what it did is undone."""
    Client(url, token).post(f"/api/v1/feedback/{feedback}/withdraw", {})
    output.say(f"{feedback}: taken back")
