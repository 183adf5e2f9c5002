"""slo.yaml: objectives, and what only the other files can tell of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model.slo import OBJECTIVES_MAX, Objective, ObjectiveKind
from pipeline.positions import Document


@dataclass(frozen=True, slots=True)
class ObjectivesFile:
    """slo.yaml.

    Attributes
    ----------
    objectives : tuple of Objective
        What is promised to users; at most 500.
    """

    objectives: tuple[Objective, ...] = ()


def check(document: Document, services: Iterable[str]) -> None:
    """Names that occur twice, services that are probably misspelt; read from the plain data.

    A service may be missing in the catalogue: it is known by its metrics.
    """
    known = sorted(set(services))
    listed = document.data.get("objectives") if isinstance(document.data, dict) else None
    if not isinstance(listed, list):
        return
    if len(listed) > OBJECTIVES_MAX:
        what = f"must be at most {OBJECTIVES_MAX}, got {len(listed)}"
        document.problem(("objectives",), what)
    names: dict[str, int] = {}
    for i, entry in enumerate(listed):
        if not isinstance(entry, dict):
            continue
        service = entry.get("service")
        if isinstance(service, str) and service not in known:
            close = difflib.get_close_matches(service, known, n=1, cutoff=0.75)
            if close:
                what = f'no service "{service}" in catalogue.yaml; did you mean "{close[0]}"?'
                document.problem(("objectives", i, "service"), what)
        name = _name(entry)
        if name and name in names:
            first = names[name] + 1
            key = "name" if "name" in entry else "service"
            what = (
                f'a second objective "{name}" (the first is number {first}); give it another name'
            )
            document.problem(("objectives", i, key), what)
        elif name:
            names[name] = i


def _name(entry: dict[Any, Any]) -> str:
    """The name that an objective will have; "" where it is not clear."""
    if entry.get("name"):
        return str(entry["name"])
    kind = str(entry.get("kind", ObjectiveKind.AVAILABILITY))
    if not entry.get("service"):
        return ""
    tail = entry.get("threshold") if kind == ObjectiveKind.LATENCY else entry.get("probe")
    return "-".join(str(part) for part in (entry["service"], kind, tail) if part)
