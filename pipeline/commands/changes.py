"""`tocsin changes`: list, and announce one (from a deploy script)."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import AsJson, Token, Url

app = typer.Typer(help="List changes, announce one.", no_args_is_help=True)


@app.command("list")
def list_(
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    url: Url = "",
    token: Token = "",
    json: AsJson = False,
) -> None:
    """List recent changes, newest first."""
    found = Client(url, token).get("/api/v1/changes", service=service)
    rows = found["changes"]
    if json:
        output.show_json(rows)
        return
    output.show_table(
        ["TIME", "KIND", "SERVICE", "VERSION", "AUTHOR", "TITLE"],
        [
            (
                output.when(c["time_ms"]),
                c["kind"],
                c["service"],
                c["version"],
                c["author"],
                c["title"],
            )
            for c in rows
        ],
        empty="No changes.",
    )


@app.command()
def announce(
    service: Annotated[str, typer.Argument(help="What was changed.")],
    title: Annotated[str, typer.Argument(help="What was done.")],
    kind: Annotated[str, typer.Option(help="deploy, config, flag, …")] = "deploy",
    version: Annotated[str, typer.Option(help="The new version.")] = "",
    author: Annotated[str, typer.Option(help="Who.")] = "",
    link: Annotated[str, typer.Option(help="Where to read more.")] = "",
    url: Url = "",
    token: Token = "",
) -> None:
    """Announce a change: the first suspect if something breaks after it."""
    body = {
        "service": service,
        "title": title,
        "kind": kind,
        "version": version,
        "author": author,
        "url": link,
    }
    Client(url, token).post("/api/v1/changes", {k: v for k, v in body.items() if v})
    output.say("accepted")
