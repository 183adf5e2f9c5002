"""The runbooks count nothing of their own yet."""

from __future__ import annotations

METRICS: dict[str, tuple[str, str]] = {}
