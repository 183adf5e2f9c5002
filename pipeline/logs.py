"""Structured logs: one JSON object a line, on standard error; control characters are escaped, so that no entry can be forged."""

from __future__ import annotations

import json
import logging
import math
import sys
from datetime import UTC, datetime

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_CLIENTS = ("faust", "mode", "aiokafka", "asyncio")
_KIND_CHARS = 32
_KINDS_MAX = 1_000


class JsonFormatter(logging.Formatter):
    """ECS names: `@timestamp`, `log.level`, `log.logger`, `message`; extras as they are."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; json escapes newlines and control characters, so no entry can be forged."""
        line = {
            "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "log.level": record.levelname.lower(),
            "log.logger": record.name,
            "message": record.getMessage(),
        }
        line.update({k: v for k, v in record.__dict__.items() if k not in _STANDARD})
        if record.exc_info:
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=True)


class Seldom(logging.Filter):
    """Of what clients of Kafka say again and again while no broker answers, one line a minute each.

    Examples
    --------
    >>> seldom = Seldom(("aiokafka",))
    >>> def said(at_s, name="aiokafka.client"):
    ...     record = logging.makeLogRecord({"name": name, "msg": "no broker at %s", "created": at_s})
    ...     return seldom.filter(record) and getattr(record, "left_out", 0)
    >>> [said(0.0), said(1.0), said(2.0), said(61.0), said(62.0, "tocsin.kafka")]
    [0, False, False, 2, 0]
    """

    def __init__(self, names: tuple[str, ...], every_s: float = 60.0) -> None:
        super().__init__()
        self._names = names
        self._every_s = every_s
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; one that is says how many like it were `left_out` before."""
        if record.name.partition(".")[0] not in self._names:
            return True
        key = record.name, str(record.msg)[:_KIND_CHARS]
        last_s, left_out = self._said.get(key, (-math.inf, 0))
        if record.created - last_s < self._every_s:
            self._said[key] = last_s, left_out + 1
            return False
        if len(self._said) >= _KINDS_MAX:
            self._said.clear()
        self._said[key] = record.created, 0
        if left_out:
            record.left_out = left_out
        return True


def set_up(level: str = "info", *, stream: object = None) -> None:
    """Send the program's logs to standard error as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)  # type: ignore[arg-type]
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Seldom(_CLIENTS))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "alembic", "urllib3", "apprise", *_CLIENTS):
        logging.getLogger(noisy).setLevel(logging.WARNING)
