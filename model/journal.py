"""What a push source was promised: accepted entries, in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class JournalKind(StrEnum):
    """What an entry's body holds (JSON by `model.codec`)."""

    ALERT = "alert"  # Alert
    CHANGE = "change"  # Change
    HEARTBEAT = "heartbeat"  # Heartbeat
    ACT = "act"  # Act
    SILENCE = "silence"  # Silence
    FEEDBACK = "feedback"  # Feedback


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An accepted push that has no offset yet."""

    kind: JournalKind
    source: str
    arrival_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An accepted push. Offsets grow by the order of acceptance; none is used twice."""

    offset: int
    kind: JournalKind
    source: str
    arrival_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life from something that should report (a dead man's switch).

    If nothing is heard for `timeout_ms`, an alert fires in the name of `name`.
    """

    name: str
    time_ms: int
    timeout_ms: int
    service: str = ""
    source: str = ""
