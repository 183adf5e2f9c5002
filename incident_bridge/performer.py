"""Does what the outbox holds, and writes down that it did.

Targets do not wait for each other: each desk and receiver has its own threads and its own queue,
and one that asks for patience (429) is left alone while the others are served. Within a lane (an
incident at a target) order is kept by the outbox.

What happens in our own store (the built-in desk, pages in the console) happens in the transaction
that marks it done, and so exactly once. What happens outside happens at least once, by keys the
other side can recognise; before a ticket is opened outside, the desk is asked for it, because a
crash after an earlier attempt leaves no trace here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlalchemy import Connection

from incident_bridge import outcome
from incident_bridge.desks.base import Desk, LocalDesk
from incident_bridge.metrics import Counts
from incident_bridge.notify import ConsoleReceiver, Receiver
from incident_bridge.settings import RetrySettings
from incident_bridge.sources import Source, alerts_of, tell_of_ticket
from model.action import SOURCE_TARGET, Action, ActionKind, ActionState
from model.clock import Clock
from model.errors import DeliveryError, StoreError, TransientError
from model.ticket import Ticket, TicketDraft
from store import outbox, pages, ticket_links, tickets
from store.outbox import Queued
from store.store import Store

LOCAL = ""
IDLE_S = 1.0
COMMENT_MAX = 8_000


class Performer:
    """Performs actions, by `run_due` in the caller's thread or by its own threads.

    Parameters
    ----------
    desks, receivers
        By name. A name that is both is the desk's for tickets and the receiver's for pages.
    sources
        By name: what hears what became of the alerts it fired.
    report
        Told of what is worth a line in the log.
    """

    def __init__(
        self,
        store: Store,
        desks: Mapping[str, Desk],
        receivers: Mapping[str, Receiver],
        clock: Clock,
        settings: RetrySettings | None = None,
        *,
        sources: Mapping[str, Source] | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._records = store.records
        self._desks = dict(desks)
        self._receivers = dict(receivers)
        self._sources = {SOURCE_TARGET + name: one for name, one in (sources or {}).items()}
        self._clock = clock
        self._settings = settings or RetrySettings()
        self._report = report
        self.counts = Counts()
        names = sorted({*self._desks, *self._receivers, *self._sources})
        self._local = [name for name in names if self._is_local(name)]
        self._outside = [name for name in names if name not in self._local]
        self._paused_until_ms: dict[str, int] = {}
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake = {name: threading.Event() for name in (LOCAL, *self._outside)}
        self._threads: list[threading.Thread] = []

    def run_due(self, now_ms: int) -> int:
        """Do everything that is due at `now_ms`, here and now; returns how many attempts were made."""
        attempts = 0
        while self._anything(now_ms):
            targets = self._due_targets(now_ms)
            done = self._run_local(now_ms, targets)
            for name in self._outside:
                while name in targets and self._run_outside(name, now_ms):
                    done += 1
            if not done:
                # What is left waits for a desk that asked for patience.
                break
            attempts += done
        return attempts

    def start(self) -> None:
        """Begin to perform in own threads: one for what is local, some for each target outside."""
        assert not self._threads, "it runs already"
        self._stopping.clear()
        workers = [LOCAL]
        workers += [n for n in self._outside for _ in range(self._settings.workers_per_target)]
        for number, name in enumerate(workers):
            thread = threading.Thread(
                target=self._loop,
                args=(name,),
                name=f"perform-{name or 'local'}-{number}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)

    def notify(self) -> None:
        """Something was put into the outbox: look now."""
        for event in self._wake.values():
            event.set()

    def stop(self, timeout_s: float = 15.0) -> bool:
        """Finish the attempts under way, and end. What is left waits in the outbox.

        Returns
        -------
        bool
            Whether all have ended; False where a target has not answered within `timeout_s`.
        """
        self._stopping.set()
        self.notify()
        until_s = self._clock.monotonic_s() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - self._clock.monotonic_s()))
        ended = not any(thread.is_alive() for thread in self._threads)
        self._threads.clear()
        return ended

    def counters(self) -> dict[str, float]:
        """Our own metrics by name (`incident_bridge.metrics`)."""
        return self.counts.values()

    def _is_local(self, name: str) -> bool:
        desk, receiver = self._desks.get(name), self._receivers.get(name)
        return (
            name not in self._sources
            and (desk is None or isinstance(desk, LocalDesk))
            and (receiver is None or isinstance(receiver, ConsoleReceiver))
        )

    def _loop(self, name: str) -> None:
        event = self._wake[name]
        while not self._stopping.is_set():
            try:
                done = self._look(name, self._clock.now_ms())
            except StoreError as error:
                # Nothing was lost: it is still in the outbox.
                self._report(f"the outbox cannot be worked on: {error}")
                done = 0
            if not done:
                event.wait(IDLE_S)
                event.clear()

    def _look(self, name: str, now_ms: int) -> int:
        if not self._anything(now_ms):
            return 0
        if name == LOCAL:
            return self._run_local(now_ms, self._due_targets(now_ms))
        return self._run_outside(name, now_ms)

    def _due_targets(self, now_ms: int) -> set[str]:
        """Who has something to do. Where the list is full, it may hide others: then everybody."""
        with self._records.read() as conn:
            due = outbox.due(conn, now_ms, self._settings.batch_max)
        found = {queued.action.target for queued in due}
        full = len(due) >= self._settings.batch_max
        return found | {*self._local, *self._outside} if full else found

    def _known(self, action: Action) -> bool:
        if action.kind is ActionKind.SOURCE_NOTE:
            return action.target in self._sources
        return action.target in (self._receivers if action.kind is ActionKind.PAGE else self._desks)

    def _run_local(self, now_ms: int, targets: set[str]) -> int:
        """A batch of what is in our own store, in one transaction; and giving up what has no target."""
        mine = sorted(targets.difference(self._outside))
        if not mine:
            return 0
        done = 0
        with self._records.write() as conn:
            for name in mine:
                for queued in outbox.due(conn, now_ms, self._settings.batch_max, target=name):
                    if self._known(queued.action):
                        self._do_local(conn, queued, now_ms)
                    else:
                        self._bury_orphan(conn, queued.action, now_ms)
                    done += 1
        return done

    def _bury_orphan(self, conn: Connection, action: Action, now_ms: int) -> None:
        kinds = {ActionKind.PAGE: "receiver", ActionKind.SOURCE_NOTE: "source"}
        message = f"no {kinds.get(action.kind, 'desk')} {action.target!r} is set"
        outcome.bury(conn, action, message, None, now_ms=now_ms)
        self.counts.dead += 1

    def _anything(self, now_ms: int) -> bool:
        with self._records.read() as conn:
            due_ms = outbox.next_due_ms(conn)
        return due_ms is not None and due_ms <= now_ms

    def _do_local(self, conn: Connection, queued: Queued, now_ms: int) -> None:
        action = queued.action
        if action.kind is ActionKind.PAGE:
            if self._pointless(conn, action):
                outbox.cancel(conn, [action.id], now_ms=now_ms)
                return
            outcome.page_done(conn, action, self._receivers[action.target], now_ms=now_ms)
            self.counts.pages += 1
            return
        desk = self._desks[action.target]
        assert isinstance(desk, LocalDesk) and action.ticket is not None
        known = tickets.find(conn, action.target, action.incident_id)
        if known is None:
            ticket = desk.create_in(conn, action.ticket, now_ms=now_ms)
            self.counts.opened += 1
        elif action.kind is ActionKind.TICKET_CREATE:
            ticket = known
        else:
            ticket = desk.update_in(conn, known.number, action.ticket, now_ms=now_ms)
            self.counts.updated += 1
        self._ticket_done(conn, action, ticket, now_ms)

    def _ticket_done(self, conn: Connection, action: Action, ticket: Ticket, now_ms: int) -> None:
        news = outcome.ticket_done(conn, action, ticket, now_ms=now_ms)
        if news and self._sources:
            tell_of_ticket(conn, action, ticket, self._sources, now_ms=now_ms)

    def _pointless(self, conn: Connection, action: Action) -> bool:
        """Whether it is the end of something that the receiver never heard of."""
        if action.page is None or action.page.why != "resolved":
            return False
        told = pages.by_incident(conn, action.incident_id)
        return not any(page.ok and page.receiver == action.target for page in told)

    def _run_outside(self, name: str, now_ms: int) -> int:
        """One attempt at a target outside; returns how many were made (0 or 1)."""
        queued = self._claim(name, now_ms)
        if queued is None:
            return 0
        try:
            self._attempt(queued, now_ms)
        finally:
            with self._lock:
                self._busy.discard(queued.action.lane)
        return 1

    def _claim(self, name: str, now_ms: int) -> Queued | None:
        with self._lock:
            if now_ms < self._paused_until_ms.get(name, 0):
                return None
            with self._records.read() as conn:
                limit = self._settings.workers_per_target + 1
                due = outbox.due(conn, now_ms, limit, target=name)
            for queued in due:
                if queued.action.lane not in self._busy:
                    self._busy.add(queued.action.lane)
                    return queued
        return None

    def _attempt(self, queued: Queued, now_ms: int) -> None:
        action = queued.action
        if not self._known(action):
            with self._records.write() as conn:
                self._bury_orphan(conn, action, now_ms)
            return
        receiver = self._receivers.get(action.target) if action.kind is ActionKind.PAGE else None
        try:
            if action.source is not None:
                self._tell_source(action, now_ms)
            elif receiver is not None:
                self._page(action, receiver, now_ms)
            else:
                self._ticket(action, now_ms)
        except DeliveryError as error:
            self._failed(queued, error, receiver, now_ms)
        except StoreError:
            raise
        except Exception as error:  # whatever an adapter raises must not end its thread
            unexpected = TransientError(f"{type(error).__name__}: {error}")
            self._failed(queued, unexpected, receiver, now_ms)

    def _page(self, action: Action, receiver: Receiver, now_ms: int) -> None:
        assert action.page is not None
        with self._records.read() as conn:
            # It may have been acknowledged since it was claimed.
            now = outbox.get(conn, action.id)
            wanted = now is not None and now.state is ActionState.PENDING
            pointless = self._pointless(conn, action)
        if not wanted:
            return
        if pointless:
            with self._records.write() as conn:
                outbox.cancel(conn, [action.id], now_ms=now_ms)
            return
        receiver.send(action.page, idempotency_key=action.id)
        with self._records.write() as conn:
            outcome.page_done(conn, action, receiver, now_ms=now_ms)
        self.counts.pages += 1

    def _tell_source(self, action: Action, now_ms: int) -> None:
        assert action.source is not None
        with self._records.read() as conn:
            alerts = alerts_of(conn, action)
        count = self._sources[action.target].tell(alerts, action.source, idempotency_key=action.id)
        with self._records.write() as conn:
            outcome.source_done(conn, action, count, now_ms=now_ms)
        self.counts.sources += count

    def _ticket(self, action: Action, now_ms: int) -> None:
        desk = self._desks[action.target]
        assert action.ticket is not None
        with self._records.read() as conn:
            links = ticket_links.by_incident(conn, action.incident_id)
            later = [q.action for q in outcome.lane(conn, action)]
        number = next((link.number for link in links if link.desk == action.target), "")
        if action.kind is ActionKind.TICKET_CREATE or not number:
            ticket, merged = self._find_or_create(desk, action), []
        else:
            # Each draft is the whole ticket: of a queue that grew while the desk was down only
            # the last is sent, with every comment.
            merged = later
            draft = _merge(action.ticket, [a.ticket for a in later if a.ticket is not None])
            key = later[-1].id if later else action.id
            ticket = desk.update(number, draft, idempotency_key=key)
            self.counts.updated += 1
        with self._records.write() as conn:
            self._ticket_done(conn, action, ticket, now_ms)
            for done in merged:
                outcome.ticket_done(conn, done, ticket, now_ms=now_ms)

    def _find_or_create(self, desk: Desk, action: Action) -> Ticket:
        assert action.ticket is not None
        known = desk.find(action.ticket.key)
        if known is None:
            ticket = desk.create(action.ticket, idempotency_key=action.id)
            self.counts.opened += 1
            return ticket
        self.counts.adopted += 1
        if action.kind is ActionKind.TICKET_CREATE:
            return known
        return desk.update(known.number, action.ticket, idempotency_key=action.id)

    def _failed(
        self, queued: Queued, error: DeliveryError, receiver: Receiver | None, now_ms: int
    ) -> None:
        target = queued.action.target
        if isinstance(error, TransientError) and error.retry_after_ms:
            with self._lock:
                until_ms = now_ms + error.retry_after_ms
                self._paused_until_ms[target] = max(until_ms, self._paused_until_ms.get(target, 0))
        with self._records.write() as conn:
            dead = outcome.failed(conn, queued, error, self._settings, receiver, now_ms=now_ms)
        self.counts.failed += 1
        self.counts.dead += dead
        verdict = "given up" if dead else "will be tried again"
        self._report(f"{target}: {queued.action.kind.value} failed, {verdict}: {error}")


def _merge(first: TicketDraft, later: list[TicketDraft]) -> TicketDraft:
    if not later:
        return first
    comments = [draft.comment for draft in (first, *later) if draft.comment]
    # Of too much the latest is kept: the whole is on the incident's page.
    return replace(later[-1], comment="\n\n".join(comments)[-COMMENT_MAX:])
