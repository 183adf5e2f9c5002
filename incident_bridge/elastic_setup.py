"""Index templates, data streams and ILM, as far as a server has them: it is asked first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collectors.elastic_http import ElasticHttp
from incident_bridge.elastic_documents import HISTORY, LOGS
from incident_bridge.elastic_settings import ElasticSinkSettings
from model.errors import PermanentError

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is set up for some streams.

    Attributes
    ----------
    name : str
        Of the index template and the ILM policy.
    keep_ms : int
        0: no ILM.
    rollover_days : int
        A backing index is written so long at most: what is deleted is a whole one.
    """

    name: str
    datasets: tuple[str, ...]
    keep_ms: int
    rollover_days: int


def history_plan(settings: ElasticSinkSettings) -> Plan:
    """Of incidents and alerts."""
    return Plan("tocsin-history", HISTORY, settings.keep_ms, 30)


def logs_plan(settings: ElasticSinkSettings) -> Plan:
    """Of log lines, and of what was refused."""
    return Plan("tocsin-logs", LOGS, settings.logs_keep_ms, 1)


def prepare(http: ElasticHttp, plan: Plan) -> list[str]:
    """Set up what the server can; returns what was left out, with why.

    Raises
    ------
    TransientError
        If it does not answer: ask again.
    """
    left: list[str] = []
    streams = _can(http, "/_data_stream/logs-tocsin.*", "data streams", left)
    managed = bool(plan.keep_ms) and _can(http, "/_ilm/status", "ILM", left)
    if managed:
        managed = _put(http, f"/_ilm/policy/{plan.name}", _policy(plan), "ILM", left)
    body = _template(plan, streams=streams, managed=managed)
    _put(http, f"/_index_template/{plan.name}", body, "the index template", left)
    return left


def _can(http: ElasticHttp, path: str, what: str, left: list[str]) -> bool:
    try:
        http.ask("GET", path, None)
    except PermanentError as error:
        left.append(f"{what} ({error})")
        return False
    return True


def _put(http: ElasticHttp, path: str, body: Mapping[str, Any], what: str, left: list[str]) -> bool:
    try:
        http.ask("PUT", path, body)
    except PermanentError as error:
        left.append(f"{what} ({error})")
        return False
    return True


def _policy(plan: Plan) -> dict[str, Any]:
    days = max(1, plan.keep_ms // _DAY_MS)
    rollover = {"max_age": f"{plan.rollover_days}d", "max_primary_shard_size": "50gb"}
    return {
        "policy": {
            "phases": {
                "hot": {"actions": {"rollover": rollover}},
                "delete": {"min_age": f"{days}d", "actions": {"delete": {}}},
            }
        }
    }


def _template(plan: Plan, *, streams: bool, managed: bool) -> dict[str, Any]:
    words = {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 1024}}
    made: dict[str, Any] = {
        "index_patterns": [f"logs-{dataset}-*" for dataset in plan.datasets],
        # Above those that Elasticsearch brings for logs-*-*.
        "priority": 300,
        "template": {
            "settings": {"index.lifecycle.name": plan.name} if managed else {},
            "mappings": {
                "dynamic_templates": [{"words": words}],
                "properties": {
                    "@timestamp": {"type": "date"},
                    "message": {"type": "text"},
                    "event": {
                        "properties": {n: {"type": "date"} for n in ("start", "end", "created")}
                    },
                    "error": {"properties": {"message": {"type": "text"}}},
                    "tocsin": {
                        "properties": {
                            "template": {"properties": {"text": {"type": "text"}}},
                            "incident": {"properties": {"title": {"type": "text"}}},
                            "alert": {
                                "properties": {
                                    "log_examples": {"type": "text"},
                                    **{n: {"type": "double"} for n in ("value", "low", "high")},
                                }
                            },
                        }
                    },
                },
            },
        },
    }
    return made | {"data_stream": {}} if streams else made
