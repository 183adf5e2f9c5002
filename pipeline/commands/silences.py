"""`tocsin silences`: list, add, expire."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from model.clock import SystemClock
from model.labels import Matcher
from model.units import parse_duration
from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import AsJson, Token, Url

app = typer.Typer(help="List, add and expire silences.", no_args_is_help=True)


@app.command("list")
def list_(
    expired: Annotated[bool, typer.Option(help="Also expired ones.")] = False,
    url: Url = "",
    token: Token = "",
    json: AsJson = False,
) -> None:
    """List silences."""
    found = Client(url, token).get("/api/v2/silences")
    found = [s for s in found if expired or s["status"]["state"] != "expired"]
    if json:
        output.show_json(found)
        return
    output.show_table(
        ["ID", "STATE", "UNTIL", "BY", "MATCHERS", "COMMENT"],
        [
            (
                s["id"],
                s["status"]["state"],
                output.when_iso(s["endsAt"]),
                s["createdBy"],
                " ".join(_matcher(m) for m in s["matchers"]),
                s["comment"],
            )
            for s in found
        ],
        empty="No silences.",
    )


def _matcher(matcher: dict[str, object]) -> str:
    regex = "~" if matcher["isRegex"] else ""
    op = f"={regex}" if matcher.get("isEqual", True) else "!" + (regex or "=")
    return f'{matcher["name"]}{op}"{matcher["value"]}"'


@app.command()
def add(
    matchers: Annotated[list[str], typer.Argument(help='Matchers, e.g. service="cart".')],
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why.")],
    duration: Annotated[str, typer.Option("--for", help="How long, e.g. 2h.")] = "1h",
    author: Annotated[str, typer.Option(help="Who (default: you).", show_default=False)] = "",
    url: Url = "",
    token: Token = "",
) -> None:
    """Silence matching alerts for a time."""
    start = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    end = start + timedelta(milliseconds=parse_duration(duration))
    parsed = [Matcher.parse(text) for text in matchers]
    body = {
        "matchers": [
            {
                "name": m.name,
                "value": m.value,
                "isRegex": m.op.value.endswith("~"),
                "isEqual": not m.op.value.startswith("!"),
            }
            for m in parsed
        ],
        "startsAt": start.isoformat(),
        "endsAt": end.isoformat(),
        "createdBy": author or getpass.getuser(),
        "comment": comment,
    }
    typer.echo(Client(url, token).post("/api/v2/silences", body)["silenceID"])


@app.command()
def expire(
    silence: Annotated[str, typer.Argument(help="The silence's id.")],
    url: Url = "",
    token: Token = "",
) -> None:
    """End a silence now."""
    Client(url, token).delete(f"/api/v2/silence/{silence}")
    output.say(f"{silence}: expired")
