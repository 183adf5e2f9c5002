"""`tocsin routes`: who would be told?"""

from __future__ import annotations

from typing import Annotated

import typer

from incident_bridge.routing import build, route_test
from model.errors import InputError
from model.labels import Labels
from model.units import format_duration
from pipeline import output
from pipeline.commands.options import DEFAULT_CONFIG, AsJson, Config
from pipeline.settings import load

app = typer.Typer(help="Try the routing tree.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `test` a subcommand."""


@app.command()
def test(
    labels: Annotated[
        list[str], typer.Argument(help="Labels of an incident, e.g. service=cart priority=P1.")
    ],
    config: Config = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Show which routes an incident with these labels takes, and why the others not."""
    pairs = {}
    for text in labels:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"a label must be name=value, got {text!r}")
        pairs[name] = value
    plans, looked = route_test(build(load(config).route), Labels.of(pairs))
    if json:
        output.show_json(
            [{"path": p.path, "receiver": p.receiver, "desks": list(p.desks)} for p in plans]
        )
        return
    output.show_table(
        ["ROUTE", "TAKEN", "WHY"],
        [(m.path, "yes" if m.taken else "no", output.translate(m.reason.text())) for m in looked],
        empty="",
    )
    output.console.print()
    output.show_table(
        ["ROUTE", "RECEIVER", "DESKS", "FROM", "REPEAT", "ESCALATE"],
        [
            (
                p.path,
                p.receiver,
                ", ".join(p.desks),
                p.priority_min,
                format_duration(p.repeat_interval_ms) if p.repeat_interval_ms else "never",
                f"{', '.join(p.escalate_to)} after {format_duration(p.escalate_after_ms)}"
                if p.escalate_to
                else "never",
            )
            for p in plans
        ],
        empty="Nobody is told.",
    )
