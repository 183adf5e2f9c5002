"""Log lines in the formats people write them; anything is a log line, nothing raises."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import NamedTuple

from collectors.logformats import read_row
from collectors.logwords import UNKNOWN, escape

__all__ = ["LogLine", "continues", "escape", "parse_line"]


class LogLine(NamedTuple):
    """What was read from a line. (A tuple, since making a frozen dataclass takes as long as reading a line.)

    Attributes
    ----------
    message : str
        Control characters escaped, cut at a limit.
    time_ms : int or None
        None where the line does not say.
    severity : int
        OpenTelemetry's number: 0 unknown, 5 debug, 9 info, 13 warn, 17 error, 21 fatal.
    """

    message: str
    time_ms: int | None = None
    severity: int = UNKNOWN
    service: str = ""
    logger: str = ""
    trace_id: str = ""
    fields: str = ""  # numbers beside the message, as `name=value` with a blank between


def parse_line(
    text: str, *, now_ms: int, zone: tzinfo | None = None, message_chars_max: int = 4096
) -> LogLine:
    """Read one line: JSON (ECS, OpenTelemetry and common names), logfmt, syslog, or plain text.

    Parameters
    ----------
    now_ms : int
        For formats whose times have no year.
    zone : tzinfo or None
        Of times that name none; None is the machine's.

    Examples
    --------
    >>> line = parse_line('{"level":"error","msg":"no stock","service":"cart","ts":1700000000}', now_ms=0)
    >>> line.severity, line.message, line.service, line.time_ms
    (17, 'no stock', 'cart', 1700000000000)
    >>> parse_line("level=warn msg=\\"slow call\\" ms=950", now_ms=0).message
    'slow call ms=950'
    >>> parse_line("2023-11-14T22:13:20Z [ERROR] disk is full", now_ms=0).severity
    17
    """
    return LogLine(*read_row(text, now_ms, zone, message_chars_max))


_CONTINUES = re.compile(
    r"[ \t]+\S|Traceback \(most recent call last\)|Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)"
    r"|During handling of the above|The above exception was"
)
_RAISED = re.compile(r"[\w.]+(?:Error|Exception|Exit|Interrupt|Warning|Failure)\b(?::|$)")


def continues(text: str, *, in_trace: bool = False) -> bool:
    """Whether a line belongs to the one before it: an indented line or part of a stack trace.

    Parameters
    ----------
    in_trace : bool
        Whether a Python traceback is under way: then its last line ("ValueError: …") belongs too.

    Examples
    --------
    >>> continues("    at shop.Cart.add(Cart.java:12)"), continues("ValueError: x"), continues("ready")
    (True, False, False)
    >>> continues("ValueError: x", in_trace=True)
    True
    """
    return bool(_CONTINUES.match(text) or (in_trace and _RAISED.match(text)))
