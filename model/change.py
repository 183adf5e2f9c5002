"""A change: a deploy, a configuration edit, a feature flag. The first suspect of every incident."""

from __future__ import annotations

from dataclasses import dataclass

from model.labels import Labels


@dataclass(frozen=True, slots=True)
class Change:
    """One change event.

    Attributes
    ----------
    id : str
        The sender's id, or derived from service, kind, title and time.
    time_ms : int
        When it took effect (event time).
    kind : str
        "deploy", "config", "flag", "schema", "infrastructure", …
    service : str
        What was changed, by its name in the catalogue.
    """

    id: str
    time_ms: int
    kind: str
    service: str
    title: str
    author: str = ""
    version: str = ""
    url: str = ""
    source: str = ""
    labels: Labels = Labels()
    arrival_ms: int = 0
    simulated: bool = False
