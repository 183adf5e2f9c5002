"""The topics that workers need: are they there as they should be, and making them."""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka import AIOKafkaClient
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import InvalidPartitionsError, KafkaError, TopicAlreadyExistsError

from model.errors import InputError, TransientError
from pipeline.distributed.connecting import client_options
from pipeline.distributed.settings import KafkaSettings

HOUR_MS = 3_600_000
TELEMETRY_KEPT_MS = 24 * HOUR_MS
"""As long as detecting may stand still."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be; `found` is its number of partitions, 0 where it is not there."""

    name: str
    partitions: int
    keep_ms: int
    found: int = 0

    @property
    def problem(self) -> str:
        """What is wrong with it, "" for nothing."""
        if self.found == 0:
            return "is not there"
        if self.found != self.partitions:
            return f"has {self.found} partitions, the configuration says {self.partitions}"
        return ""


def wanted(kafka: KafkaSettings) -> tuple[Topic, ...]:
    """The topics of a configuration."""
    return (
        Topic(kafka.telemetry, kafka.partitions, TELEMETRY_KEPT_MS),
        Topic(kafka.alerts, kafka.domains, 7 * 24 * HOUR_MS),
        Topic(kafka.dead, 1, 30 * 24 * HOUR_MS),
    )


async def look(kafka: KafkaSettings) -> list[Topic]:
    """The topics as they are.

    Raises
    ------
    TransientError
        If no broker answers.
    """
    client = AIOKafkaClient(**client_options(kafka))
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
        return [
            Topic(one.name, one.partitions, one.keep_ms, len(cluster.partitions_for_topic(one.name) or ()))
            for one in wanted(kafka)
        ]  # fmt: skip
    except KafkaError as error:
        raise TransientError(f"kafka.brokers: {error}") from error
    finally:
        await client.close()


async def ready(kafka: KafkaSettings, *names: str) -> None:
    """Return where these are there, with as many partitions as the configuration says, or more.

    Whoever uses one asks this first: many brokers make a topic that somebody asks for, of one partition.

    Raises
    ------
    TransientError
        If no broker answers, or one is not there or too small; ask again later.
    """
    found = await look(kafka)
    short = [one for one in found if one.name in names and one.found < one.partitions]
    if short:
        problems = ", ".join(f"{one.name} {one.problem}" for one in short)
        raise TransientError(f"{problems}; see tocsin topics --create")


async def create(kafka: KafkaSettings) -> list[str]:
    """Make those that are not there, and give the alerts topic the partitions that it lacks; their names.

    Only it may grow: what comes for the old partitions is sent on by whoever decides (`placing`).

    Raises
    ------
    TransientError
        If no broker answers.
    InputError
        If the broker refuses one, or one that is there does not fit.
    """
    found = await look(kafka)
    missing = [one for one in found if not one.found]
    short = [one for one in found if one.name == kafka.alerts and 0 < one.found < one.partitions]
    admin = AIOKafkaAdminClient(**client_options(kafka))
    try:
        await admin.start()
        if missing:
            await admin.create_topics([_new(one, kafka) for one in missing])
        for one in short:
            await admin.create_partitions({one.name: NewPartitions(one.partitions)})
    except (TopicAlreadyExistsError, InvalidPartitionsError):
        pass  # somebody else just did
    except KafkaError as error:
        raise InputError(f"the broker refuses a topic: {error}") from error
    finally:
        await admin.close()
    return [one.name for one in (*missing, *short)]


def _new(topic: Topic, kafka: KafkaSettings) -> NewTopic:
    return NewTopic(
        topic.name,
        topic.partitions,
        kafka.replication,
        topic_configs={"retention.ms": str(topic.keep_ms), "cleanup.policy": "delete"},
    )
