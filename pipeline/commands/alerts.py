"""`tocsin alerts`: list, and push by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from model.errors import InputError
from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import AsJson, Token, Url

app = typer.Typer(help="List alerts, push one by hand.", no_args_is_help=True)


@app.command("list")
def list_(
    matchers: Annotated[
        list[str] | None,
        typer.Argument(help='Matchers, e.g. service=cart severity=~"critical|warning".'),
    ] = None,
    url: Url = "",
    token: Token = "",
    json: AsJson = False,
) -> None:
    """List alerts that fire now."""
    found = Client(url, token).get("/api/v2/alerts", filter=matchers or None)
    if json:
        output.show_json(found)
        return
    output.show_table(
        ["ALERT", "SERVICE", "SEVERITY", "SINCE", "STATE", "SUMMARY"],
        [
            (
                a["labels"].get("alertname", ""),
                a["labels"].get("service", ""),
                a["labels"].get("severity", ""),
                output.when_iso(a["startsAt"]),
                a["status"]["state"],
                a["annotations"].get("summary", ""),
            )
            for a in found
        ],
        empty="No alerts.",
    )


@app.command()
def push(
    labels: Annotated[list[str], typer.Argument(help="Labels as name=value; alertname is needed.")],
    summary: Annotated[str, typer.Option(help="One sentence.")] = "",
    resolved: Annotated[bool, typer.Option(help="Say that it is over.")] = False,
    url: Url = "",
    token: Token = "",
) -> None:
    """Push an alert, as Prometheus would."""
    pairs = dict(_pair(text) for text in labels)
    body: dict[str, object] = {
        "labels": pairs,
        "annotations": {"summary": summary} if summary else {},
    }
    if resolved:
        body["endsAt"] = "1970-01-02T00:00:00Z"
        body["startsAt"] = "1970-01-01T00:00:00Z"
    Client(url, token).post("/api/v2/alerts", [body])
    output.say("accepted")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"a label must be name=value, got {text!r}")
    return name, value
