"""A silence mutes matching alerts for a time, as in Alertmanager."""

from __future__ import annotations

from dataclasses import dataclass

from model.labels import Labels, Matcher, matches_all


@dataclass(frozen=True, slots=True)
class Silence:
    """Matchers with a start and an end. An expired silence has `ends_ms` in the past."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_ms: int
    ends_ms: int
    created_by: str
    comment: str
    updated_ms: int

    def mutes(self, labels: Labels, at_ms: int) -> bool:
        """Whether an alert with these labels is muted at a time.

        Examples
        --------
        >>> silence = Silence("s", (Matcher.parse("job=a"),), 0, 10, "ann", "", 0)
        >>> silence.mutes(Labels.of({"job": "a"}), 9), silence.mutes(Labels.of({"job": "a"}), 10)
        (True, False)
        """
        return self.starts_ms <= at_ms < self.ends_ms and matches_all(self.matchers, labels)

    def state(self, now_ms: int) -> str:
        """ "pending", "active" or "expired", as Alertmanager names them."""
        if now_ms < self.starts_ms:
            return "pending"
        return "active" if now_ms < self.ends_ms else "expired"
