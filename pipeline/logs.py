"""Structured logs: one JSON object a line, on standard error; control characters are escaped, so that no entry can be forged."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


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


def set_up(level: str = "info", *, stream: object = None) -> None:
    """Send the program's logs to standard error as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)  # type: ignore[arg-type]
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "alembic", "urllib3", "apprise", "faust", "mode", "aiokafka"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
