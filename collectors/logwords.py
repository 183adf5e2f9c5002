"""Words and characters of log lines: how bad, and safe to be written down."""

from __future__ import annotations

import re

UNKNOWN, DEBUG, INFO, WARN, ERROR, FATAL = 0, 5, 9, 13, 17, 21

_SEVERITIES = {
    "trace": 1,
    "verbose": DEBUG,
    "debug": DEBUG,
    "dbg": DEBUG,
    "info": INFO,
    "information": INFO,
    "informational": INFO,
    "notice": INFO,
    "warn": WARN,
    "warning": WARN,
    "error": ERROR,
    "err": ERROR,
    "severe": ERROR,
    "fail": ERROR,
    "crit": FATAL,
    "critical": FATAL,
    "alert": FATAL,
    "emerg": FATAL,
    "emergency": FATAL,
    "fatal": FATAL,
    "panic": FATAL,
}
SYSLOG_SEVERITIES = (FATAL, FATAL, FATAL, ERROR, WARN, INFO, INFO, DEBUG)
_FRONT_CHARS = 100
_WORDS_MAX = 10_000
_FRONT_UPPER = re.compile(
    r"\b(TRACE|VERBOSE|DEBUG|DBG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRIT|CRITICAL|ALERT"
    r"|EMERG|FATAL|PANIC)\b"
)
_FRONT_LOWER = re.compile(
    r"\s*(?:[\w./-]+(?:\[\d+\])?: )?[\[(<]?(trace|debug|info|notice|warn|warning|error|err|crit"
    r"|critical|alert|emerg|fatal|panic)(?:[\])>]|:)",
    re.IGNORECASE,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def without_colour(text: str) -> str:
    """Text as a terminal would show it, without blanks around it."""
    return (_COLOUR.sub("", text) if "\x1b" in text else text).strip()


def escape(text: str, chars_max: int = 4096) -> str:
    """Make text safe for one line: control characters, line separators and reorderings are spelt out (A7).

    Examples
    --------
    >>> escape("a\\nb\\x1b[2J")
    'a\\\\nb\\\\x1b[2J'
    """
    if len(text) > chars_max:
        text = text[: max(0, chars_max - 1)] + "…"
    return text if text.isprintable() else _CONTROL.sub(_spell, text)


def _spell(found: re.Match[str]) -> str:
    char = found[0]
    named = {"\n": "\\n", "\t": " ", "\r": "\\r"}.get(char)
    return named or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")


def severity_of(value: object) -> int:
    """Severity from a word or a number in a `level` field.

    Numbers 0 to 7 are syslog's, 10 to 60 pino's and bunyan's.

    Examples
    --------
    >>> severity_of("WARNING"), severity_of(3), severity_of(50), severity_of("?")
    (13, 17, 17, 0)
    """
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) < 4:
            return severity_of(int(value))
        return _SEVERITIES.get(value.strip().lower(), UNKNOWN)
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= 7:
            return SYSLOG_SEVERITIES[value]
        return {10: 1, 20: DEBUG, 30: INFO, 40: WARN, 50: ERROR, 60: FATAL}.get(value, UNKNOWN)
    return UNKNOWN


class _Levels(dict[str, int]):
    """Word to the severity that it names in capitals; starts anew when it holds too many."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _WORDS_MAX:
            self.clear()
        found = _FRONT_UPPER.search(word)
        severity = self[word] = _SEVERITIES.get(found[1].lower(), UNKNOWN) if found else UNKNOWN
        return severity


_LEVELS = _Levels()


def severity_at_front(text: str) -> int:
    """The severity that stands in capitals near the front of a text, or begins it in any letters.

    Examples
    --------
    >>> severity_at_front("[main] WARN slow"), severity_at_front("cart: error: no"), severity_at_front("no error")
    (13, 17, 0)
    """
    front = text[:_FRONT_CHARS]
    if not front.islower():
        for word in front.split(" "):
            if severity := _LEVELS[word]:
                return severity
    found = _FRONT_LOWER.match(front)
    return _SEVERITIES.get(found[1].lower(), UNKNOWN) if found else UNKNOWN
