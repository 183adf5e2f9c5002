"""Signs of life: what should report and does not, raises an alert (a dead man's switch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from collectors.base import Counters
from collectors.json_input import Reader, load
from collectors.logwords import escape
from collectors.settings import IntakeLimits
from model.alert import Alert
from model.journal import Heartbeat
from model.labels import LABEL_BYTES_MAX, Labels
from model.reason import because
from model.units import format_duration

GRACE_MS = 60_000
"""After a start of ours, a heartbeat that is overdue is waited for so long (or its timeout, if less)."""
ALERT_NAME = "HeartbeatMissing"
_TIMEOUT_MS = 300_000
_TIMEOUT_MAX_MS = 366 * 86_400_000
_LIMITS = IntakeLimits()


def parse(
    body: bytes,
    *,
    now_ms: int,
    source: str,
    name: str = "",
    limits: IntakeLimits = _LIMITS,
) -> Heartbeat:
    """Read the body of a heartbeat; it may be empty where `name` is known from the address.

    Fields: `name`, `timeout` ("5m", or seconds; five minutes where missing), `service`. Its time is the
    arrival: a sender's clock must not keep it alive.

    Raises
    ------
    InputError
        Every problem, one a line.

    Examples
    --------
    >>> parse(b'{"name": "backup", "timeout": "1d"}', now_ms=5, source="cron").timeout_ms
    86400000
    """
    reader = Reader(load(body, limits) if body.strip() else {})
    name = name or reader.text("name")
    # In an address a name may hold what `load` refuses in a body.
    if not name or len(name) > 200 or escape(name) != name:
        reader.problem("name", "must be text of 1 to 200 characters, no control characters")
    timeout_ms = reader.duration_ms("timeout")
    if timeout_ms is not None and not 1_000 <= timeout_ms <= _TIMEOUT_MAX_MS:
        reader.problem("timeout", "must be between 1s and 366d", reader.data["timeout"])
    service = reader.short("service")
    reader.check()
    return Heartbeat(name, now_ms, timeout_ms or _TIMEOUT_MS, service, source)


class Heartbeats:
    """A stage that watches heartbeats.

    Examples
    --------
    >>> beats = Heartbeats()
    >>> beats.take([Heartbeat("backup", 0, 1_000)], now_ms=0)
    []
    >>> [alert.name for alert in beats.step(1_001)], beats.step(1_002)
    (['HeartbeatMissing'], [])
    >>> [alert.firing for alert in beats.take([Heartbeat("backup", 1_500, 1_000)], now_ms=1_500)]
    [False]
    """

    def __init__(self, heartbeats_max: int = 10_000) -> None:
        self.heartbeats_max = heartbeats_max
        self.refused = 0
        self._beats: dict[tuple[str, str], Heartbeat] = {}
        self._firing: dict[tuple[str, str], Alert] = {}
        self._restored = False
        self._resumed_ms = -GRACE_MS

    def take(self, beats: Sequence[Heartbeat], *, now_ms: int) -> list[Alert]:
        """Something gave a sign of life; what was missing and is back resolves its alert."""
        alerts: list[Alert] = []
        for beat in beats:
            key = (beat.source, beat.name)
            known = self._beats.get(key)
            if known is None and len(self._beats) >= self.heartbeats_max:
                self.refused += 1
                continue
            if known is not None and beat.time_ms < known.time_ms:
                continue
            self._beats[key] = beat
            fired = self._firing.pop(key, None)
            if fired is not None:
                ends_ms = max(fired.starts_ms, beat.time_ms)
                alerts.append(replace(fired, ends_ms=ends_ms, arrival_ms=now_ms))
        return alerts

    def step(self, now_ms: int) -> list[Alert]:
        """Fire for what has been silent too long."""
        if self._restored:
            self._restored, self._resumed_ms = False, now_ms
        alerts: list[Alert] = []
        for key, beat in self._beats.items():
            # While we were away nobody could reach us: give them a moment to.
            grace_ms = self._resumed_ms + min(beat.timeout_ms, GRACE_MS)
            if key not in self._firing and now_ms > max(beat.time_ms + beat.timeout_ms, grace_ms):
                self._firing[key] = _missing(beat, now_ms)
                alerts.append(self._firing[key])
        return alerts

    def restore(self, beats: Iterable[Heartbeat], firing: Iterable[Alert] = ()) -> None:
        """Take over what the store knows: the latest heartbeats, and this stage's firing alerts."""
        self._restored = True
        self._beats = {(beat.source, beat.name): beat for beat in beats}
        by_key = {_missing(beat, 0).key: key for key, beat in self._beats.items()}
        self._firing = {
            by_key[alert.key]: alert for alert in firing if alert.firing and alert.key in by_key
        }

    def forget(self, name: str, source: str = "") -> None:
        """A person says that this need not report any more."""
        self._beats.pop((source, name), None)
        self._firing.pop((source, name), None)

    @property
    def beats(self) -> tuple[Heartbeat, ...]:
        """The latest of each."""
        return tuple(self._beats.values())

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_heartbeats": len(self._beats),
            "tocsin_heartbeats_missing": len(self._firing),
            "tocsin_heartbeats_refused_total": self.refused,
        }


def missing_labels(beat: Heartbeat) -> Labels:
    """Labels of the alert that a heartbeat is missing."""
    return Labels.of(
        {
            "alertname": ALERT_NAME,
            "heartbeat": beat.name,
            "sender": beat.source,
            "service": (beat.service or beat.name)[:LABEL_BYTES_MAX],
            "severity": "critical",
            "signal": "availability",
        }
    )


def _missing(beat: Heartbeat, now_ms: int) -> Alert:
    return Alert(
        labels=missing_labels(beat),
        source="heartbeat",
        starts_ms=beat.time_ms + beat.timeout_ms,
        arrival_ms=now_ms,
        summary=because(
            "{name} has given no sign of life for {timeout}",
            name=beat.name,
            timeout=format_duration(beat.timeout_ms),
        ),
    )
