"""TCP and TLS connections of the syslog intake."""

from __future__ import annotations

import selectors
import socket
import ssl
from collections import Counter
from contextlib import suppress

from collectors.syslog_framing import Framer
from collectors.syslog_sockets import Listening, Stream, sender_of
from collectors.syslog_taking import Taking
from model.reason import because

READ_BYTES = 64 * 1024
TURN_BYTES = 256 * 1024
ACCEPTS_PER_TURN = 64
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Streams:
    """The open connections, each read in turn and never further than there is room."""

    def __init__(self, taking: Taking, selector: selectors.BaseSelector) -> None:
        self._to = taking
        self._selector = selector
        self._open_now: set[Stream] = set()
        self._per_sender: Counter[str] = Counter()
        self.paused: set[Stream] = set()

    def __len__(self) -> int:
        return len(self._open_now)

    def __contains__(self, stream: Stream) -> bool:
        return stream in self._open_now

    def accept(self, at: Listening) -> None:
        """Let in who waits, as far as one turn and the limits go."""
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = at.bound.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no more file descriptors: not in a busy loop
                self._to.report(at, "accept", because("{problem}", problem=error.strerror or error))
                self._to.clock.sleep(0.05)
                return
            sender = sender_of(address)
            settings = self._to.settings
            if not at.allows(sender):
                self._to.count("senders_refused_total")
            elif (
                len(self._open_now) >= settings.connections_max
                or self._per_sender[sender] >= settings.sender_connections_max
            ):
                self._to.count("connections_refused_total")
                self._to.report(
                    at, "connections", because("too many connections: further ones are closed")
                )
            else:
                self._open(at, sock, sender)
                continue
            sock.close()

    def _open(self, at: Listening, sock: socket.socket, sender: str) -> None:
        now_s = self._to.clock.monotonic_s()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        tls = at.certificates
        if tls is not None:
            try:
                sock = tls.context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
            except OSError:  # gone already
                self._to.count("tls_errors_total")
                sock.close()
                return
        framer = Framer(self._to.settings.message_bytes_max)
        begun_s = now_s if tls is not None else None
        stream = Stream(sock, sender, at, framer, now_s, begun_s, tls is not None)
        self._open_now.add(stream)
        self._per_sender[sender] += 1
        self._to.count("connections_total")
        self._want(stream, _READ)

    def read(self, stream: Stream) -> None:
        """What has arrived, as far as one turn goes."""
        messages: list[bytes] = []
        read = 0
        want = _READ
        cut = stream.framer.cut
        try:
            if stream.shaking:
                assert isinstance(stream.sock, ssl.SSLSocket)
                stream.sock.do_handshake()
                stream.shaking, stream.begun_s = False, None
            while read < TURN_BYTES or _pending(stream.sock):
                data = stream.sock.recv(READ_BYTES)
                if not data:
                    stream.ended = True
                    break
                read += len(data)
                messages += stream.framer.feed(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except ssl.SSLWantWriteError:
            want = _WRITE
        except OSError as error:  # reset, or not TLS, or a certificate that is not accepted
            if stream.shaking:
                self._to.count("tls_errors_total")
                self._to.report(stream.at, "tls", because("{problem}", problem=_plain(error)))
            stream.ended = True
        self._to.count("bytes_total", read)
        if stream.ended and not stream.shaking:
            messages += stream.framer.rest()
        self._to.count("cut_total", stream.framer.cut - cut)
        self._heard(stream, read, messages, want)

    def _heard(self, stream: Stream, read: int, messages: list[bytes], want: int) -> None:
        now_s = self._to.clock.monotonic_s()
        if read:
            stream.heard_s = now_s
            waiting = stream.framer.waiting
            stream.begun_s = (
                None
                if not waiting
                else now_s
                if messages or stream.begun_s is None
                else stream.begun_s
            )
        if messages:
            pause_s = self._to.rates.charge(stream.sender, len(messages), now_s=now_s)
            stream.held = self._to.push(stream.at, stream.sender, messages)
            if stream.held is not None or pause_s:
                stream.not_before_s = now_s + pause_s
                self._pause(stream)
                return
        if stream.ended:
            self.close(stream)
        else:
            self._want(stream, want)

    def _pause(self, stream: Stream) -> None:
        """Not read: the kernel's buffer fills, and the sender keeps the rest."""
        self._to.count("paused_total")
        self._want(stream, 0)
        self.paused.add(stream)

    def resume(self, stream: Stream, now_s: float) -> None:
        """Read a paused connection again, if its time has come and there is room."""
        if now_s < stream.not_before_s:
            return
        if stream.held is not None:
            if not self._to.offer(stream.held):
                return
            stream.held = None
        self.paused.discard(stream)
        stream.heard_s = now_s
        if stream.begun_s is not None:  # it could not go on meanwhile
            stream.begun_s = now_s
        if stream.ended:
            self.close(stream)
        else:
            self._want(stream, _READ)

    def _want(self, stream: Stream, events: int) -> None:
        if events == stream.events:
            return
        if not stream.events:
            self._selector.register(stream.sock, events, stream)
        elif not events:
            self._selector.unregister(stream.sock)
        else:
            self._selector.modify(stream.sock, events, stream)
        stream.events = events

    def close(self, stream: Stream) -> None:
        """End a connection."""
        self._want(stream, 0)
        self._open_now.discard(stream)
        self.paused.discard(stream)
        self._per_sender[stream.sender] -= 1
        if self._per_sender[stream.sender] <= 0:
            del self._per_sender[stream.sender]
        if isinstance(stream.sock, ssl.SSLSocket) and not stream.shaking and not stream.ended:
            with suppress(OSError, ValueError):  # says goodbye, and does not wait for the other's
                stream.sock.unwrap()
        stream.sock.close()

    def sweep(self, now_s: float) -> None:
        """Close what is idle, and what does not end the message or handshake it began."""
        settings = self._to.settings
        idle_s, message_s = settings.idle_ms / 1000, settings.message_ms / 1000
        for stream in self._open_now - self.paused:
            late = stream.begun_s is not None and now_s - stream.begun_s > message_s
            if late or now_s - stream.heard_s > idle_s:
                self._to.count("connections_timed_out_total")
                self.close(stream)

    def turn_to(self, listening: dict[str, Listening]) -> None:
        """Close what came in where nothing listens any more, or may come in no longer."""
        for stream in list(self._open_now):
            at = listening.get(stream.at.listener.name)
            if at is None or not at.allows(stream.sender):
                self.close(stream)
            else:
                stream.at = at

    def drain(self, ends_s: float) -> None:
        """Take what the kernel has received already; what finds no room is lost, and counted."""
        for stream in list(self._open_now):
            before = -1
            while stream in self._open_now and self._to.clock.monotonic_s() < ends_s:
                if stream in self.paused:
                    self.resume(stream, float("inf"))
                    if stream.held is not None:
                        self._to.count("lost_at_stop_total", len(stream.held.rows))
                        break
                    continue
                if before == self._to.counts["tocsin_syslog_bytes_total"]:
                    break
                before = self._to.counts["tocsin_syslog_bytes_total"]
                self.read(stream)

    def close_all(self) -> None:
        """End every connection."""
        for stream in list(self._open_now):
            self.close(stream)


def _pending(sock: socket.socket) -> bool:
    """Whether TLS has decrypted more than was asked for: no event will tell of it."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _plain(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
