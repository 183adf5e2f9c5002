"""Alerts and changes of a topic: Alertmanager's webhook, and CloudEvents in Kafka's binding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from collectors import alert_cloudevents, alertmanager
from collectors.accepting import Accepting, act_entry, alert_entry
from collectors.kafka_messages import Message, Read, each
from collectors.kafka_settings import KafkaFormat, KafkaSourceSettings
from collectors.known_alerts import KnownAlerts
from collectors.settings import IntakeLimits
from model.codec import encode
from model.errors import InputError
from model.journal import JournalKind, NewEntry


class AlertMessages:
    """Alerts and changes, made entries of the journal; their settling asks the store what fires."""

    def __init__(
        self, settings: KafkaSourceSettings, accepting: Accepting, limits: IntakeLimits
    ) -> None:
        self._settings = settings
        self._store = accepting.store
        self._limits = limits
        self._known = KnownAlerts()

    def read(self, messages: Sequence[Message], now_ms: int) -> Read:
        entries: list[NewEntry] = []

        def take(message: Message) -> None:
            try:
                entries.extend(self._entries(message, now_ms))
            except InputError as error:
                accepted = getattr(error, "accepted", ())  # of a list the well-formed are taken
                entries.extend(alert_entry(alert, now_ms) for alert in accepted)
                raise

        poison = each(messages, take, self._settings.message_bytes_max)
        return Read(entries=tuple(entries), poison=poison)

    def _entries(self, message: Message, now_ms: int) -> list[NewEntry]:
        source = self._settings.name
        if self._settings.format is KafkaFormat.ALERTMANAGER:
            found = alertmanager.parse_webhook(
                message.value, now_ms=now_ms, source=source, limits=self._limits
            )
            return [alert_entry(alert, now_ms) for alert in found]
        events = alert_cloudevents.parse(
            message.value,
            headers=event_headers(message.headers),
            now_ms=now_ms,
            source=source,
            limits=self._limits,
            encoded=False,
        )
        entries = [
            NewEntry(JournalKind.CHANGE, source, now_ms, encode(change))
            for change in events.changes
        ]
        for told in events.told:
            alerts, act = self._known.settle(told, self._store, source=source, now_ms=now_ms)
            entries += [alert_entry(alert, now_ms) for alert in alerts]
            entries += [] if act is None else [act_entry(act, now_ms)]
        return entries


def event_headers(headers: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Headers of Kafka's binding of CloudEvents (`ce_id`) as those of HTTP's (`ce-id`).

    Examples
    --------
    >>> event_headers([("ce_specversion", b"1.0"), ("Content-Type", b"application/json"), ("x", b"\\xff")])
    {'ce-specversion': '1.0', 'content-type': 'application/json', 'x': '\\ufffd'}
    """
    return {
        name.lower().replace("ce_", "ce-", 1) if name.lower().startswith("ce_") else name.lower():
        (value or b"").decode("utf-8", "replace")
        for name, value in headers
    }  # fmt: skip
