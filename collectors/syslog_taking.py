"""What every socket of the syslog intake shares: where lines go, what is counted, what is reported."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from collectors.pushed import Push
from collectors.syslog_lines import SyslogPush
from collectors.syslog_rate import Rates
from collectors.syslog_settings import SyslogSettings
from collectors.syslog_sockets import Listening
from model.clock import Clock
from model.reason import Reason

_REPORTS_MAX = 1_000


class Taking:
    """Belongs to the intake's thread; `counts` and `reports` may be read by others."""

    def __init__(
        self, settings: SyslogSettings, feed: Callable[[Push], bool], clock: Clock
    ) -> None:
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.reports: deque[tuple[str, str, Reason | None]] = deque(maxlen=_REPORTS_MAX)
        self._feed = feed
        self.turn_to(settings)

    def turn_to(self, settings: SyslogSettings) -> None:
        """Go by other limits."""
        self.settings = settings
        self.rates = Rates(per_s=settings.rate_max, senders_max=settings.senders_max)

    def push(self, at: Listening, sender: str, messages: Sequence[bytes]) -> SyslogPush | None:
        """Hand messages over; what found no room comes back."""
        before = at.reader.malformed
        push = at.reader.push(messages, at.source(sender), self.clock.now_ms())
        self.count("malformed_total", at.reader.malformed - before)
        return None if self.offer(push) else push

    def offer(self, push: SyslogPush) -> bool:
        """Hand over what was read; False where there is no room."""
        if not self._feed(push):
            return False
        self.count("messages_total", len(push.rows))
        return True

    def count(self, name: str, amount: int = 1) -> None:
        """Add to `tocsin_syslog_…`."""
        if amount:
            self.counts[f"tocsin_syslog_{name}"] += amount

    def report(self, at: Listening, kind: str, reason: Reason | None) -> None:
        """Something is wrong with a listener (None: no longer)."""
        self.reports.append((at.listener.name, kind, reason))
