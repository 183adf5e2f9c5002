"""A Faust application as ours are: it reads, buffers, sends and commits, and keeps nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faust

from pipeline.distributed.connecting import password, tls_context
from pipeline.distributed.settings import KafkaSettings
from pipeline.distributed.threads import Application

BUFFERED_MESSAGES_MAX = 1_024
COMMIT_INTERVAL_S = 1.0
SEND_WITHIN_S = 0.005  # what is told at one tick goes out together


def application(name: str, kafka: KafkaSettings, folder: Path) -> Application:
    """A Faust application of ours; nothing runs yet."""
    session_s = kafka.session_timeout_ms / 1000
    return Application(
        f"{kafka.prefix}-{name}",
        broker=[f"kafka://{address}" for address in kafka.brokers],
        broker_credentials=credentials(kafka),
        autodiscover=False,
        set_as_current=False,
        web_enabled=False,
        datadir=folder / "faust",
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 3,
        broker_commit_interval=COMMIT_INTERVAL_S,
        producer_acks=-1,
        producer_max_request_size=2**20,
        producer_linger=SEND_WITHIN_S,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_MESSAGES_MAX,
    )


def credentials(kafka: KafkaSettings) -> Any:
    """What Faust asks for; None for a plain connection."""
    context = tls_context(kafka)
    if kafka.sasl:
        return faust.SASLCredentials(
            username=kafka.username,
            password=password(kafka),
            ssl_context=context,
            mechanism=kafka.mechanism.value,
        )
    return faust.SSLCredentials(context=context) if context else None


def plain_topic(app: faust.App, name: str) -> Any:
    """A topic of plain bytes."""
    return app.topic(
        name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
