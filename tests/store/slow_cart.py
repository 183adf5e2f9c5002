"""An incident of a small shop, as records of it are tested in several places."""

from __future__ import annotations

from dataclasses import replace

from model.alert import Severity
from model.incident import Cause, Incident, IncidentState, Priority
from model.reason import because


def incident(ident: str = "i1", opened_ms: int = 100, **more: object) -> Incident:
    """The cart is slow; `more` says what is different."""
    made = Incident(
        id=ident,
        state=IncidentState.OPEN,
        state_since_ms=opened_ms,
        title=because("{service} is slow", service="cart"),
        service="cart",
        services=("cart", "gateway"),
        severity=Severity.CRITICAL,
        priority=Priority.P2,
        impact=2,
        urgency=1,
        team="shop",
        began_ms=opened_ms - 10,
        opened_ms=opened_ms,
        updated_ms=opened_ms,
        causes=(Cause("cart", 0.9, (because("first of all"),)),),
    )
    return replace(made, **more)  # type: ignore[arg-type]
