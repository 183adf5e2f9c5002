"""`tocsin report`: reliability over a period."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from model.clock import SystemClock
from model.errors import InputError
from model.units import parse_duration
from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import Language, Token, Url


class Format(StrEnum):
    """How to print it."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


class Subject(StrEnum):
    """What to report on."""

    RELIABILITY = "reliability"
    CAPACITY = "capacity"


def report(
    subject: Annotated[
        Subject,
        typer.Argument(help="reliability: how incidents went; capacity: what runs out when."),
    ] = Subject.RELIABILITY,
    last: Annotated[str, typer.Option(help="The period up to now, e.g. 7d or 30d.")] = "30d",
    service: Annotated[str, typer.Option(help="Only this service.")] = "",
    team: Annotated[str, typer.Option(help="Only this team's services.")] = "",
    format: Annotated[
        Format, typer.Option("--format", "-f", help="How to print it.")
    ] = Format.TABLE,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file.")] = None,
    simulated: Annotated[
        bool, typer.Option(help="Report on the simulated history instead.")
    ] = False,
    language: Language = "en",
    url: Url = "",
    token: Token = "",
) -> None:
    """MTTD, MTTA, MTTR, SLA attainment and availability, by service and team; or capacity."""
    client = Client(url, token)
    if subject is Subject.CAPACITY:
        text = _capacity(client, service, format, language)
    else:
        text = _reliability(client, last, service, team, format, simulated, language)
    if out is not None:
        out.write_text(text, encoding="utf-8")
        output.show(f"written to {out}")
    else:
        typer.echo(text, nl=False)


def _reliability(
    client: Client,
    last: str,
    service: str,
    team: str,
    format: Format,
    simulated: bool,
    language: str,
) -> str:
    until_ms = SystemClock().now_ms()
    return client.text(
        "/api/v1/report",
        since=until_ms - parse_duration(last),
        until=until_ms,
        service=service,
        team=team,
        format="text" if format is Format.TABLE else format.value,
        simulated=str(simulated).lower(),
        language=language,
    )


def _capacity(client: Client, service: str, format: Format, language: str) -> str:
    if format is Format.HTML:
        raise InputError(
            "report capacity: --format html is for reliability; use table, json or csv"
        )
    kind = "text" if format is Format.TABLE else format.value
    return client.text("/api/v1/capacity", service=service, format=kind, language=language)
