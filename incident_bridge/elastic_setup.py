"""Index templates, data streams and ILM, as far as a server has them: it is asked first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collectors.elastic_http import ElasticHttp
from incident_bridge.elastic_documents import DATASETS
from incident_bridge.elastic_settings import ElasticSinkSettings
from model.errors import PermanentError

NAME = "tocsin-history"
_DAY_MS = 86_400_000


def prepare(http: ElasticHttp, settings: ElasticSinkSettings) -> list[str]:
    """Set up what the server can; returns what was left out, with why.

    Raises
    ------
    TransientError
        If it does not answer: ask again.
    """
    left: list[str] = []
    streams = _can(http, "/_data_stream/logs-tocsin.*", "data streams", left)
    managed = bool(settings.keep_ms) and _can(http, "/_ilm/status", "ILM", left)
    if managed:
        managed = _put(http, f"/_ilm/policy/{NAME}", _policy(settings.keep_ms), "ILM", left)
    body = _template(streams=streams, managed=managed)
    _put(http, f"/_index_template/{NAME}", body, "the index template", left)
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


def _policy(keep_ms: int) -> dict[str, Any]:
    days = max(1, keep_ms // _DAY_MS)
    rollover = {"max_age": "30d", "max_primary_shard_size": "50gb"}
    return {
        "policy": {
            "phases": {
                "hot": {"actions": {"rollover": rollover}},
                "delete": {"min_age": f"{days}d", "actions": {"delete": {}}},
            }
        }
    }


def _template(*, streams: bool, managed: bool) -> dict[str, Any]:
    words = {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": 1024}}
    made: dict[str, Any] = {
        "index_patterns": [f"logs-{dataset}-*" for dataset in DATASETS],
        # Above those that Elasticsearch brings for logs-*-*.
        "priority": 300,
        "template": {
            "settings": {"index.lifecycle.name": NAME} if managed else {},
            "mappings": {
                "dynamic_templates": [{"words": words}],
                "properties": {
                    "@timestamp": {"type": "date"},
                    "message": {"type": "text"},
                    "event": {"properties": {"start": {"type": "date"}, "end": {"type": "date"}}},
                    "tocsin": {
                        "properties": {
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
