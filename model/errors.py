"""The exception tree, and which failures may be tried again.

TocsinError
├── InputError            somebody sent or wrote something malformed: say where and how to mend it
│   ├── LabelError        a label name, value or matcher
│   └── UnitError         a duration or a size
├── SnapshotError         saved state is damaged or of another version
├── NotAllowed            the state machine or a role refuses this act
└── DeliveryError         a desk, a receiver or a target did not take it
    ├── TransientError    try again (network, 5xx, 429 with `retry_after_ms`)
    └── PermanentError    trying again will not help (4xx, missing field): dead letter
"""

from __future__ import annotations


class TocsinError(Exception):
    """Everything Tocsin raises on purpose."""


class InputError(TocsinError):
    """Malformed input: the message says where, what was expected and what came."""


class LabelError(InputError):
    """A label name, a label value or a matcher is not acceptable."""


class UnitError(InputError):
    """A duration or a size cannot be read."""


class SnapshotError(TocsinError):
    """A snapshot is damaged, or was written by another version."""


class StoreError(TocsinError):
    """The database or the disk does not take writes (full, read-only, locked): nothing was accepted."""

    retry = True


class NotAllowed(TocsinError):
    """The lifecycle or a role refuses this act; the message says why."""


class DeliveryError(TocsinError):
    """Something outside did not take what we sent. `retry` says whether to try again."""

    retry = False


class TransientError(DeliveryError):
    """Worth trying again, not before `retry_after_ms` from now where the other side said so."""

    retry = True

    def __init__(self, message: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class PermanentError(DeliveryError):
    """Trying again will not help; it goes to the dead letters with this reason."""
