"""What a Kafka client is told of the brokers: addresses, TLS, who we are."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from model.errors import InputError
from pipeline.distributed.settings import KafkaSettings

RETRY_MS = 500
"""Between attempts while no broker answers: ten a second would help nobody."""


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.brokers),
        "client_id": kafka.prefix,
        "retry_backoff_ms": RETRY_MS,
        "security_protocol": kafka.security.value.upper(),
    }
    if kafka.tls:
        options["ssl_context"] = tls_context(kafka)
    if kafka.sasl:
        options["sasl_mechanism"] = kafka.mechanism.value
        options["sasl_plain_username"] = kafka.username
        options["sasl_plain_password"] = password(kafka)
    return options


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """The files of the settings as a context; None without TLS.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    if not kafka.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file or None)
        if kafka.cert_file:
            context.load_cert_chain(kafka.cert_file, kafka.key_file)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"kafka: ca_file, cert_file or key_file: {error}") from error
    return context


def password(kafka: KafkaSettings) -> str:
    """The content of the password's file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return Path(kafka.password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"kafka.password_file: cannot be read: {error}") from error
