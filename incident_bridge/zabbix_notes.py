"""Zabbix hears what became of its problems: acknowledged, resolved by a person, the ticket's number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collectors.alert_zabbix import EVENT_ID
from collectors.zabbix_api import ACKNOWLEDGE, MESSAGE, UNACKNOWLEDGE, Refused, ZabbixApi
from collectors.zabbix_book import is_ours, updates
from collectors.zabbix_settings import ZabbixSettings
from model.action import SourceDraft
from model.alert import Alert
from model.clock import Clock

AT_ONCE_MAX = 100
TEXT_MAX = 1_900
"""Zabbix keeps 2,048 characters of a message."""
_BITS = {"acknowledged": ACKNOWLEDGE | MESSAGE, "unacknowledged": UNACKNOWLEDGE | MESSAGE}
_WANTED_BEFORE = {"acknowledged": "0", "unacknowledged": "1"}


class ZabbixNotes:
    """Updates problems by `event.acknowledge`; each message bears the action's id, by which it is known again.

    Before anything is said Zabbix is asked what was said: so a lost answer is not followed by the same
    message, and what a person has acknowledged (or taken back) already, or since, is left as it is.
    """

    def __init__(self, settings: ZabbixSettings, clock: Clock) -> None:
        self.name = settings.name
        self._api = ZabbixApi(settings, clock)

    def tell(self, alerts: Sequence[Alert], draft: SourceDraft, *, idempotency_key: str) -> int:
        """Say it of the problems behind these alerts.

        Raises
        ------
        DeliveryError
            If it is not known to be said.
        """
        ids = sorted({alert.annotations.get(EVENT_ID, "") for alert in alerts} - {""}, key=_order)
        mark = f"[tocsin {idempotency_key}]"
        rows = self._api.updates(ids) if ids else {}
        waiting = [one for one in ids if one in rows and _wants(rows[one], draft, mark)]
        message = f"{draft.text[: TEXT_MAX - len(mark)]} {mark}"
        bits = _BITS.get(draft.why, MESSAGE)
        pieces = [waiting[at : at + AT_ONCE_MAX] for at in range(0, len(waiting), AT_ONCE_MAX)]
        return sum(self._say(piece, bits, message) for piece in pieces)

    def _say(self, ids: Sequence[str], bits: int, message: str) -> int:
        """All at once; where one is over meanwhile, each for itself. Returns how many were told."""
        try:
            self._api.update(ids, bits, message)
            return len(ids)
        except Refused as error:
            if not error.too_late or len(ids) == 1:
                raise
        refused = 0
        for one in ids:
            try:
                self._api.update([one], bits, message)
            except Refused as error:
                refused += 1
                if not error.too_late or refused == len(ids):
                    raise
        return len(ids) - refused


def _order(event: str) -> tuple[int, str]:
    return len(event), event


def _wants(row: Mapping[str, Any], draft: SourceDraft, mark: str) -> bool:
    """Whether a problem is to be told: not twice, and not against what a person said of it later."""
    known = updates(row, 0)
    if any(mark in one.text for one in known):
        return False
    if draft.why not in _WANTED_BEFORE:
        return True
    last = next(
        (one for one in reversed(known) if one.action & (ACKNOWLEDGE | UNACKNOWLEDGE)), None
    )
    if last is not None and draft.at_ms is not None and not is_ours(last):
        if last.at_ms >= draft.at_ms // 1_000 * 1_000:  # Zabbix' clock has seconds
            return False
    return str(row.get("acknowledged")) == _WANTED_BEFORE[draft.why]
