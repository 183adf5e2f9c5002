"""Objectives written for others: OpenSLO v1 and Sloth's files, as entries of slo.yaml.

Only what is counted the same here is taken over: ratios of Prometheus counters (OpenSLO's `ratioMetric`, Sloth's
`events`). Anything else is named with the reason, and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from model.errors import LabelError
from model.slo import parse_selector

_BY = r"(?:by|without)\s*\([^()]*\)"
_WRAPPED = re.compile(rf"(?:sum|rate|increase|irate)\s*(?:{_BY}\s*)?\((?P<inner>.*)\)", re.DOTALL)
_TAIL = re.compile(rf"\)\s*{_BY}\s*$")
_SINGLE = re.compile(r"'([^'\"\\\\]*)'")
_RANGE = re.compile(r"\[[^\]]*\]\s*$")
_DURATION = re.compile(r"(\d+)\s*([dwMQ])")
_DAYS = {"d": 1, "w": 7, "M": 30, "Q": 90}
DOCUMENTS_MAX = 1_000


class NotTaken(ValueError):
    """Something that cannot be said in slo.yaml; the message says why."""


@dataclass(slots=True)
class Imported:
    """What came of files.

    Attributes
    ----------
    entries : list of dict
        Of slo.yaml's `objectives`.
    problems : list of str
        What was left out, and why.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def text(self) -> str:
        """slo.yaml."""
        dumped: str = yaml.safe_dump(
            {"objectives": self.entries}, sort_keys=False, allow_unicode=True, width=1000
        )
        return dumped


def selector(query: object) -> str:
    """The selector within the sums and rates of a query.

    Raises
    ------
    NotTaken
        If the query is more than that.

    Examples
    --------
    >>> selector('sum(rate(http_requests_total{code=~"5.."}[{{.window}}]))')
    'http_requests_total{code=~"5.."}'
    """
    text = _SINGLE.sub(r'"\1"', str(query or "").strip())
    while found := _WRAPPED.fullmatch(_TAIL.sub(")", text)):
        text = found["inner"].strip()
    text = _RANGE.sub("", text).strip()
    try:
        parse_selector(text)
    except LabelError:
        raise NotTaken(f"its query is not one sum of a counter: {text[:120]!r}") from None
    return text


def convert(text: str) -> Imported:
    """Read a file of one or more documents.

    Raises
    ------
    ValueError
        If it is no YAML.
    """
    try:
        documents = [d for d in yaml.safe_load_all(text) if isinstance(d, dict)]
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {error}") from None
    found = Imported()
    indicators = {
        str(_dig(d, "metadata", "name")): d.get("spec") for d in documents if d.get("kind") == "SLI"
    }
    for document in documents[:DOCUMENTS_MAX]:
        if str(document.get("version")) == "prometheus/v1":
            _each(found, _of_sloth(document))
        elif document.get("kind") == "SLO":
            _each(found, _of_openslo(document, indicators))
        elif document.get("kind") not in ("SLI", "Service"):
            kind = document.get("kind") or "a document without a kind"
            found.problems.append(f"{kind}: neither an SLO of OpenSLO nor a file of Sloth")
    return found


Made = Iterator[tuple[str, Any]]
"""Names, each with a function that makes its entry."""


def _each(found: Imported, made: Made) -> None:
    for name, entry in made:
        try:
            found.entries.append({k: v for k, v in entry().items() if v not in (None, "")})
        except NotTaken as error:
            found.problems.append(f"{name}: {error}")


def _of_sloth(document: dict[str, Any]) -> Made:
    service = str(document.get("service", ""))
    for slo in document.get("slos") or ():
        name = f"{service}-{slo.get('name')}"

        def entry(slo: dict[str, Any] = slo, name: str = name) -> dict[str, Any]:
            events = _dig(slo, "sli", "events")
            if not events:
                raise NotTaken(
                    "only `sli.events` is taken over: good and bad events must be counted"
                )
            made = {
                "service": service,
                "name": name,
                "objective": slo.get("objective"),
                "total": selector(events.get("total_query")),
                "bad": selector(events.get("error_query")),
                "description": slo.get("description"),
            }
            for ours, theirs in (("page", "page_alert"), ("ticket", "ticket_alert")):
                if _dig(slo, "alerting", theirs, "disable"):
                    made[ours] = False
            return made

        yield name, entry


def _of_openslo(document: dict[str, Any], indicators: dict[str, Any]) -> Made:
    spec = document.get("spec") or {}
    name = str(_dig(document, "metadata", "name"))
    targets = spec.get("objectives") or ()
    for number, target in enumerate(targets, start=1):

        def entry(target: dict[str, Any] = target, number: int = number) -> dict[str, Any]:
            indicator = _dig(spec, "indicator", "spec") or indicators.get(
                str(spec.get("indicatorRef"))
            )
            ratio = _dig(indicator, "ratioMetric")
            if not ratio:
                raise NotTaken(
                    "only a `ratioMetric` is taken over: good and bad events must be counted"
                )
            if str(spec.get("budgetingMethod", "Occurrences")) != "Occurrences":
                raise NotTaken(
                    "only the budgeting method Occurrences is known: events are counted, not minutes"
                )
            which = "good" if ratio.get("good") else "bad"
            return {
                "service": str(spec.get("service", "")),
                "name": name if len(targets) == 1 else f"{name}-{number}",
                "objective": _per_cent(target),
                "window": _window(spec.get("timeWindow")),
                "total": selector(_query(ratio.get("total"))),
                which: selector(_query(ratio.get(which))),
                "description": spec.get("description") or target.get("displayName"),
            }  # fmt: skip

        yield name, entry


def _per_cent(target: dict[str, Any]) -> float:
    if (given := target.get("targetPercent")) is not None:
        return float(given)
    if (given := target.get("target")) is None:
        raise NotTaken("it has no target")
    return round(100.0 * float(given), 9)


def _window(windows: Any) -> str:
    first = windows[0] if isinstance(windows, list) and windows else {}
    if first.get("isRolling") is False or "calendar" in first:
        raise NotTaken("its window follows the calendar; here windows roll")
    found = _DURATION.fullmatch(str(first.get("duration", "30d")))
    if found is None:
        raise NotTaken(f"its window is {first.get('duration')!r}, not days, weeks or months")
    return f"{int(found[1]) * _DAYS[found[2]]}d"


def _query(metric: Any) -> Any:
    kind = str(_dig(metric, "metricSource", "type") or "Prometheus")
    if kind.lower() != "prometheus":
        raise NotTaken(f"its metrics come from {kind}, not from Prometheus")
    return _dig(metric, "metricSource", "spec", "query") or _dig(metric, "query")


def _dig(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
