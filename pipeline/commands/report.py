"""`tocsin report`: reliability over a period."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from model.clock import SystemClock
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


def report(
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
    """MTTD, MTTA, MTTR, SLA attainment and availability, by service and team."""
    until_ms = SystemClock().now_ms()
    text = Client(url, token).text(
        "/api/v1/report",
        since=until_ms - parse_duration(last),
        until=until_ms,
        service=service,
        team=team,
        format="text" if format is Format.TABLE else format.value,
        simulated=str(simulated).lower(),
        language=language,
    )
    if out is not None:
        out.write_text(text, encoding="utf-8")
        output.console.print(f"written to {out}", markup=False)
    else:
        typer.echo(text, nl=False)
