"""`tocsin check`: is a configuration right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from correlator.domains import Domains
from model.units import format_duration
from pipeline import output
from pipeline.commands.options import DEFAULT_CONFIG, AsJson, Config
from pipeline.problems import ConfigurationError
from pipeline.settings import Settings, load


def check(
    config: Config = DEFAULT_CONFIG,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema for editors instead.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Check a configuration folder: every problem with file:line:column; exit 2 if there is one."""
    if schema:
        from pipeline.schema import json_schema

        output.show_json(json_schema())
        return
    try:
        settings = load(Path(config))
    except ConfigurationError as error:
        if not json:
            raise
        output.show_json(
            [
                {
                    "path": p.path,
                    "line": p.line,
                    "column": p.column,
                    "where": p.where,
                    "what": output.translate(p.what),
                }
                for p in error.problems
            ]
        )
        raise typer.Exit(output.USAGE) from None
    if json:
        output.show_json([])
        return
    catalogue = settings.catalogue
    output.say(
        f"{config}: good: {len(catalogue.services)} services, {len(catalogue.teams)} teams, "
        f"{len(settings.machine.scrape.targets)} targets, {len(settings.rules)} rules, "
        f"{len(settings.machine.probes.targets)} probes, {len(settings.slos)} objectives"
    )
    if settings.machine.correlator.separate_domains:
        output.say(_domains(settings))
    for target in settings.machine.probes.targets:
        every = format_duration(settings.machine.probes.interval_of(target))
        output.say(
            f"probe {target.name}: {target.kind.value} {target.instance} every {every}, "
            f"of {target.service or target.name}"
        )


def _domains(settings: Settings) -> str:
    """How far alerts can be shared out: a domain is decided in one place."""
    sizes = Domains(settings.catalogue).sizes()
    partitions = settings.machine.kafka.domains
    if not sizes:
        return f"domains: the catalogue lists no service; each that is heard of is one, over {partitions} partitions"
    largest = max(sizes, key=lambda name: (sizes[name], name))
    return (
        f"domains: {len(sizes)} over {partitions} partitions; the largest, {largest}, "
        f"has {sizes[largest]} of {sum(sizes.values())} services"
    )
