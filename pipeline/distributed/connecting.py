"""What the workers' Kafka clients are told of the brokers."""

from __future__ import annotations

from typing import Any

from collectors import kafka_client
from collectors.kafka_client import password, tls_context
from pipeline.distributed.settings import KafkaSettings


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients."""
    return kafka_client.client_options(kafka, kafka.prefix)


__all__ = ["client_options", "password", "tls_context"]
