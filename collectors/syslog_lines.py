"""Syslog messages to log lines, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from fnmatch import translate
from zoneinfo import ZoneInfo

from collectors.logformats import Row, of_syslog, plain_syslog, printable, read_row, tidy
from collectors.loglines import LogLine
from collectors.logwords import without_colour
from collectors.pushed import Door
from collectors.syslog_header import read_header
from collectors.syslog_settings import SyslogListener, SyslogSettings
from model.batch import LogBatch, MetricBatch

_LINE_BYTES, _CHARS_MAX = 200, 4_096
_NAMES_MAX = 10_000
_NAME = re.compile(r"[\w./@:+ -]{1,100}")


@dataclass(frozen=True, slots=True)
class SyslogPush:
    """Lines of one sender on their way to the pipeline.

    Attributes
    ----------
    source : str
        "syslog", the listener's protocol, and the sender's address.
    """

    source: str
    rows: Sequence[Row]
    size_bytes: int

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """The same with names."""
        return tuple(LogLine(*row) for row in self.rows)

    def batches(self, door: Door, now_ms: int) -> Sequence[MetricBatch | LogBatch]:
        """One batch, in the order the lines came."""
        batch = door.logs.make(self.rows, source=self.source, now_ms=now_ms)
        return [] if batch is None else [batch]


class SyslogReader:
    """Reads messages of one listener; `Services` may be shared between listeners."""

    def __init__(self, listener: SyslogListener, services: Services) -> None:
        self._zone: tzinfo | None = ZoneInfo(listener.time_zone) if listener.time_zone else None
        self._service = listener.service
        self._services = services
        self.malformed = 0

    def push(self, messages: Sequence[bytes], source: str, now_ms: int) -> SyslogPush:
        """All of them as log lines; what is no syslog is a line too, and counted."""
        texts = [message.decode("utf-8", "replace") for message in messages]
        clean = printable(texts)
        rows = [self._read(text, now_ms, clean) for text in texts]
        return SyslogPush(source, rows, sum(map(len, messages)) + _LINE_BYTES * len(messages))

    def _read(self, text: str, now_ms: int, clean: bool) -> Row:
        read = plain_syslog(text.strip()) if clean and len(text) <= _CHARS_MAX else None
        if read is not None:
            row, host = read
            app = row[4]
        else:
            row, host, app = self._any(text, now_ms)
        if self._service or not row[3]:
            said, time_ms, severity, _, logger, trace, fields = row
            service = self._service or self._services.of(app, host)
            return said, time_ms, severity, service, logger, trace, fields
        return row

    def _any(self, text: str, now_ms: int) -> tuple[Row, str, str]:
        text = without_colour(text)
        header = read_header(text, now_ms=now_ms, zone=self._zone)
        if header is None:
            self.malformed += 1
            return read_row(text, now_ms, self._zone, _CHARS_MAX), "", ""
        row = of_syslog(header, text, now_ms, self._zone)
        return tidy(row, _CHARS_MAX), header.host, header.app


class Services:
    """From program and host to a service; the names that senders bring are limited.

    Examples
    --------
    >>> from collectors.syslog_settings import SyslogService
    >>> settings = SyslogSettings(services=(SyslogService("checkout", "nginx", "shop*"),), services_max=1)
    >>> services = Services(settings)
    >>> services.of("nginx", "shop-3"), services.of("nginx", "db1"), services.of("other", "db1")
    ('checkout', 'nginx', '')
    >>> services.refused
    1
    """

    def __init__(self, settings: SyslogSettings) -> None:
        self._patterns = [
            (re.compile(translate(entry.app)), re.compile(translate(entry.host)), entry.service)
            for entry in settings.services
        ]
        self._from = settings.service_from
        self._names_max = settings.services_max
        self._names: set[str] = set()
        self._known: dict[tuple[str, str], str] = {}
        self.refused = 0

    def of(self, app: str, host: str) -> str:
        """The service; "" where nothing names one."""
        known = self._known.get((app, host))
        if known is None:
            known = self._find(app, host)
            if len(self._known) >= _NAMES_MAX:
                self._known.clear()
            self._known[app, host] = known
        return known

    def _find(self, app: str, host: str) -> str:
        for apps, hosts, service in self._patterns:
            if apps.match(app) and hosts.match(host):
                return service
        name = {"app": app, "host": host}.get(self._from, "")
        if not _NAME.fullmatch(name):
            return ""
        if name not in self._names:
            if len(self._names) >= self._names_max:
                self.refused += 1
                return ""
            self._names.add(name)
        return name
