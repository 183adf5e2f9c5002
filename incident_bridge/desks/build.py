"""Settings to desks."""

from __future__ import annotations

from collections.abc import Sequence

from incident_bridge.desks.base import Desk
from incident_bridge.desks.builtin import BuiltinDesk
from incident_bridge.desks.memory import MemoryDesk
from incident_bridge.desks.webhook import WebhookDesk
from incident_bridge.notify import read_secret
from incident_bridge.outgoing import Outgoing, split
from incident_bridge.settings import DeskKind, DeskSettings, RetrySettings
from model.clock import Clock
from store.database import Database


def build(
    settings: Sequence[DeskSettings],
    records: Database,
    clock: Clock,
    *,
    retry: RetrySettings,
    external_url: str = "",
) -> dict[str, Desk]:
    """The desks by name.

    Raises
    ------
    InputError
        If a secret's file cannot be read, or an address is none.
    """
    return {one.name: _build(one, records, clock, retry, external_url) for one in settings}


def _build(
    one: DeskSettings, records: Database, clock: Clock, retry: RetrySettings, external_url: str
) -> Desk:
    if one.kind is DeskKind.BUILTIN:
        prefix = f"{external_url.rstrip('/')}/tickets/"
        return BuiltinDesk(records, clock, name=one.name, prefix=one.prefix, url_prefix=prefix)
    if one.kind is DeskKind.MEMORY:
        return MemoryDesk(clock, one.name)
    split(one.url)
    secrets = [read_secret(path, f"desk {one.name}: secret_files") for path in one.secret_files]
    outgoing = Outgoing(clock, one.allow_private, one.timeout_ms, retry.response_bytes_max)
    return WebhookDesk(one.name, one.url, secrets, outgoing, clock)
