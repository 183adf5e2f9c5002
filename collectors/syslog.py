"""Syslog over UDP, TCP and TLS: one thread reads every socket and hands lines to the pipeline's queue.

Where the queue is full or a sender too fast, a connection is not read until there is room, and so the sender
keeps what it has. Datagrams have nobody who keeps them: the newest are dropped and counted.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from collectors.base import Counters, Problems
from collectors.metrics import METRICS
from collectors.pushed import Push
from collectors.syslog_lines import Services, SyslogReader
from collectors.syslog_settings import SyslogListener, SyslogSettings
from collectors.syslog_sockets import (
    Certificates,
    KernelDrops,
    Listening,
    Stream,
    listen,
    networks,
    sender_of,
)
from collectors.syslog_streams import Streams
from collectors.syslog_taking import Taking
from model.batch import LogBatch, MetricBatch
from model.clock import Clock
from model.errors import InputError
from model.reason import because

DATAGRAMS_PER_TURN = 2_000
SWEEP_S = 1.0
PAUSED_S = 0.05
STOP_S = 5.0
_COUNTED = tuple(name for name in METRICS if name.startswith("tocsin_syslog_"))


class SyslogIntake:
    """Listens. It outlives a reload: addresses that stay configured stay open, and connections with them.

    Parameters
    ----------
    settings : SyslogSettings
    feed
        Takes a push; False where there is no room.

    Raises
    ------
    InputError
        If an address cannot be had.
    """

    def __init__(
        self, settings: SyslogSettings, feed: Callable[[Push], bool], clock: Clock
    ) -> None:
        self._to = Taking(settings, feed, clock)
        self.problems = Problems()
        self._drops = KernelDrops()
        self._selector = selectors.DefaultSelector()
        self._streams = Streams(self._to, self._selector)
        self._listening: dict[str, Listening] = {}
        self._services = Services(settings)
        self._next: tuple[SyslogSettings, Services, dict[str, Listening]] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._sweep_s = 0.0
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, None)
        try:
            self.follow(settings)
        except InputError:
            self._close_all()
            raise
        self._turn_to()

    # --- from other threads -------------------------------------------------------------------

    def follow(self, settings: SyslogSettings) -> None:
        """Go by other settings from now on.

        Raises
        ------
        InputError
            If a new address cannot be had, or its certificate cannot be used: then nothing changes.
        """
        services = Services(settings)
        with self._lock:
            known = self._listening if self._next is None else self._next[2]
            wanted: dict[str, Listening] = {}
            try:
                for listener in settings.listeners:
                    reader = SyslogReader(listener, services)
                    old = known.get(listener.name)
                    fresh = (
                        listen(listener, settings, reader)
                        if old is None
                        else _kept(old, listener, reader)
                    )
                    wanted[listener.name] = fresh
            except InputError:
                _close(wanted, but=known)
                raise
            _close(known, but={**wanted, **self._listening})  # never taken up, not wanted any more
            self._next = (settings, services, wanted)
        self._ring()

    def addresses(self) -> dict[str, tuple[str, int]]:
        """Where each listener is bound, by its name."""
        return {name: one.bound.getsockname()[:2] for name, one in list(self._listening.items())}

    def start(self) -> None:
        """Read, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="syslog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what has arrived, then close every socket."""
        self._stopping.set()
        self._ring()
        if self._thread is None:
            self._drain()
            self._close_all()
        else:
            self._thread.join(timeout=STOP_S + 1)

    def _ring(self) -> None:
        with suppress(OSError):
            self._bell.send(b"x")

    # --- as a collector -----------------------------------------------------------------------

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Nothing: lines come by the queue. What was reported is taken up."""
        while self._to.reports:
            source, kind, reason = self._to.reports.popleft()
            if reason is None:
                self.problems.mend(source, kind)
            else:
                self.problems.note(source, kind, reason, now_ms=now_ms)
        return []

    def counters(self) -> Counters:
        """Running totals."""
        found: Counters = {name: self._to.counts[name] for name in _COUNTED}
        found["tocsin_syslog_connections"] = len(self._streams)
        found["tocsin_syslog_services_refused_total"] = self._services.refused
        found["tocsin_syslog_kernel_dropped_total"] = self._drops.total
        return found

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.step(PAUSED_S if self._streams.paused else SWEEP_S)
            self._drain()
        finally:
            self._close_all()

    def step(self, wait_s: float) -> None:
        """One turn of the thread: wait so long for something, read what is there."""
        for key, _ in self._selector.select(wait_s):
            at = key.data
            if at is None:
                with suppress(OSError):
                    self._ear.recv(4096)
                self._turn_to()
            elif isinstance(at, Stream):
                if at in self._streams:
                    self._streams.read(at)
            elif at.bound.fileno() < 0:  # closed by a change of settings in this very turn
                continue
            elif at.udp:
                self._datagrams(at)
            else:
                self._streams.accept(at)
        now_s = self._to.clock.monotonic_s()
        for stream in list(self._streams.paused):
            self._streams.resume(stream, now_s)
        if now_s >= self._sweep_s:
            self._sweep_s = now_s + SWEEP_S
            self._sweep(now_s)

    def _drain(self) -> None:
        ends_s = self._to.clock.monotonic_s() + STOP_S
        for at in self._listening.values():
            while at.udp and self._to.clock.monotonic_s() < ends_s and self._datagrams(at):
                pass
        self._streams.drain(ends_s)

    def _turn_to(self) -> None:
        """Take up what `follow` prepared."""
        with self._lock:
            if self._next is None:
                return
            settings, self._services, wanted = self._next
            self._next = None
            old, self._listening = self._listening, wanted
        for one in old.values():
            self._selector.unregister(one.bound)
        _close(old, but=wanted)
        for one in wanted.values():
            self._selector.register(one.bound, selectors.EVENT_READ, one)
        self._to.turn_to(settings)
        self._streams.turn_to(wanted)

    def _datagrams(self, at: Listening) -> int:
        by_sender: dict[str, list[bytes]] = {}
        taken = 0
        while taken < DATAGRAMS_PER_TURN:
            try:
                data, address = at.bound.recvfrom(65_535)
            except OSError:  # nothing more
                break
            taken += 1
            by_sender.setdefault(sender_of(address), []).append(data)
        now_s = self._to.clock.monotonic_s()
        for sender, datagrams in by_sender.items():
            if not at.allows(sender):
                self._to.count("senders_refused_total", len(datagrams))
                continue
            allowed = self._to.rates.take(sender, len(datagrams), now_s=now_s)
            self._to.count("datagrams_dropped_total", len(datagrams) - allowed)
            self._take(at, sender, datagrams[:allowed])
        return taken

    def _take(self, at: Listening, sender: str, datagrams: list[bytes]) -> None:
        limit = self._to.settings.message_bytes_max
        self._to.count("bytes_total", sum(map(len, datagrams)))
        self._to.count("cut_total", sum(len(data) > limit for data in datagrams))
        messages = [cut for data in datagrams if (cut := data[:limit].strip(b"\0\r\n"))]
        if messages and self._to.push(at, sender, messages) is not None:
            self._to.count("datagrams_dropped_total", len(messages))
            said = because("the queue of pushes is full: datagrams are dropped")
            self._to.report(at, "full", said)

    def _sweep(self, now_s: float) -> None:
        self._streams.sweep(now_s)
        bound = [one for one in self._listening.values() if one.udp]
        if bound and self._drops.look([one.bound for one in bound]):
            said = because(
                "the kernel drops datagrams: raise syslog.receive_buffer and net.core.rmem_max"
            )
            self._to.report(bound[0], "dropped", said)
        for one in self._listening.values():
            if one.certificates is not None:
                self._renew(one, one.certificates, now_s)

    def _renew(self, at: Listening, certificates: Certificates, now_s: float) -> None:
        before = certificates.reloads
        problem = certificates.refresh(now_s)
        if problem:
            self._to.report(at, "certificate", because("{problem}", problem=problem))
        elif certificates.reloads > before:
            self._to.count("certificates_reloaded_total")
            self._to.report(at, "certificate", None)

    def _close_all(self) -> None:
        self._streams.close_all()
        _close(self._listening, but={})
        self._selector.close()
        self._bell.close()
        self._ear.close()


def _kept(old: Listening, listener: SyslogListener, reader: SyslogReader) -> Listening:
    """The same socket, read by other rules."""
    certificates = old.certificates
    if listener != old.listener:
        certificates = Certificates(listener) if listener.protocol == "tls" else None
    return Listening(listener, old.bound, reader, networks(listener), certificates)


def _close(listening: dict[str, Listening], *, but: dict[str, Listening]) -> None:
    for name, one in listening.items():
        if name not in but:
            one.bound.close()
