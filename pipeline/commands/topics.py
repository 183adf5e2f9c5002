"""`tocsin topics`: the Kafka topics that workers need."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from pipeline import output
from pipeline.commands.options import DEFAULT_CONFIG, Config
from pipeline.settings import load


def topics(
    config: Config = DEFAULT_CONFIG,
    create: Annotated[bool, typer.Option(help="Make those that are not there.")] = False,
) -> None:
    """Show the Kafka topics of a configuration, or create them; exit 1 where one is not as it should be."""
    from pipeline.distributed import topics as kafka_topics

    kafka = load(config).machine.kafka
    if create:
        for name in asyncio.run(kafka_topics.create(kafka)):
            output.say(f"{name}: created")
    found = asyncio.run(kafka_topics.look(kafka))
    for topic in found:
        output.say(f"{topic.name}: {topic.problem or f'{topic.found} partitions'}")
    if any(topic.problem for topic in found):
        raise typer.Exit(output.FAILED)
