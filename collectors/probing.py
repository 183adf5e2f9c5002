"""One probe under way: its deadline, its phases, what it saw, and connections that keep to the deadline."""

from __future__ import annotations

import io
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collectors.probe_settings import ProbeSettings, ProbeTarget
from model.addresses import allowed
from model.clock import Clock
from model.reason import Reason, because

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

AddressInfo = Callable[[str, int], list[str]]
Series = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name and the labels it has beside the probe's own."""
_ADDRESSES_MAX = 4


class ProbeFault(Exception):
    """The probe found something wrong: a whole sentence."""

    def __init__(self, template: str, **params: object) -> None:
        super().__init__(template)
        self.reason = because(template, **params)


class Late(Exception):
    """The probe's time is over."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe saw.

    Attributes
    ----------
    reason : Reason or None
        Why it failed, a whole sentence that names the target; None where all is well.
    seconds : float
    phases : tuple of (name, seconds)
        In the order they began: resolve, connect, tls, processing, transfer.
    values : dict of (metric, labels) to float
        Beside success and duration.
    expires_ms : int or None
        When the first certificate of the chain that was shown expires.
    address : str
        What was connected to; "" where it did not come so far.
    """

    reason: Reason | None
    seconds: float
    phases: tuple[tuple[str, float], ...] = ()
    values: dict[Series, float] = field(default_factory=dict)
    expires_ms: int | None = None
    address: str = ""

    @property
    def ok(self) -> bool:
        """Whether the probe succeeded."""
        return self.reason is None


def system_addresses(host: str, port: int) -> list[str]:
    """Every address of a name, by the system's resolver; waits as long as that does."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class Names:
    """Looks names up in threads of their own, because nothing ends `getaddrinfo` before its time.

    Who waits for a name that is being looked up waits for the same thread, so that there is at most
    one for each name, and at most `lookups_max` in all. They end when the system's resolver gives up.
    """

    def __init__(self, lookups_max: int, addresses: AddressInfo = system_addresses) -> None:
        self._lookups_max = lookups_max
        self._addresses = addresses
        self._lock = threading.Lock()
        self._running: dict[str, Future[list[str]]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def look_up(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Addresses of a name.

        Raises
        ------
        Late
            If they were not found in time, or too many other look-ups hang.
        OSError
            As `getaddrinfo` raises it.
        """
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        with self._lock:
            future = self._running.get(host)
            if future is None:
                if len(self._running) >= self._lookups_max:
                    raise Late
                future = self._running[host] = Future()
                thread = threading.Thread(
                    target=self._run, args=(host, port, future), name="lookup", daemon=True
                )
                thread.start()
        try:
            return future.result(timeout_s)
        except TimeoutError:
            raise Late from None

    def _run(self, host: str, port: int, future: Future[list[str]]) -> None:
        try:
            found = self._addresses(host, port)
        except Exception as error:
            self._done(host)
            future.set_exception(error)
        else:
            self._done(host)
            future.set_result(found)

    def _done(self, host: str) -> None:
        with self._lock:
            del self._running[host]


class Attempt:
    """One probe under way.

    Parameters
    ----------
    target : ProbeTarget
    settings : ProbeSettings
    names : Names
    clock : Clock
        To keep the deadline and to measure phases.
    now_ms : int
        To say how long ago a certificate expired.
    """

    def __init__(
        self,
        target: ProbeTarget,
        settings: ProbeSettings,
        names: Names,
        clock: Clock,
        now_ms: int,
    ) -> None:
        self.target = target
        self.settings = settings
        self.clock = clock
        self.now_ms = now_ms
        self.timeout_s = settings.timeout_of(target) / 1000
        self.began_s = clock.monotonic_s()
        self.phase = "resolve"
        self.phases: dict[str, float] = {}
        self.values: dict[Series, float] = {}
        self.expires_ms: int | None = None
        self.address = ""
        self._names = names
        self._public = False

    def left_s(self) -> float:
        """Seconds that remain.

        Raises
        ------
        Late
            If none do.
        """
        left_s = self.began_s + self.timeout_s - self.clock.monotonic_s()
        if left_s <= 0:
            raise Late
        return left_s

    @contextmanager
    def timing(self, phase: str) -> Iterator[None]:
        """Add the time of what is inside to a phase; what goes wrong went wrong in it."""
        self.phase = phase
        began_s = self.clock.monotonic_s()
        try:
            yield
        finally:
            spent_s = self.clock.monotonic_s() - began_s
            self.phases[phase] = self.phases.get(phase, 0.0) + spent_s

    def see(self, metric: str, value: float, **labels: str) -> None:
        """Note a value for the series of this name."""
        self.values[metric, tuple(sorted(labels.items()))] = value

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to.

        Raises
        ------
        ProbeFault, Late, OSError
        """
        with self.timing("resolve"):
            found = self._names.look_up(host, port, self.left_s())
        wanted = {"4": 4, "6": 6}.get(self.target.ip)
        fitting = [text for text in found if wanted in (None, _version(text))]
        if not fitting:
            raise ProbeFault("DNS: {host} has no address of the wanted kind", host=host)
        # A public page must not send us inside: not by a redirect, not by another answer for its name.
        private = self.target.allow_private and not self._public
        for text in fitting:
            if not allowed(text, allow_private=private):
                raise ProbeFault(
                    "{host} leads to {address}, which may not be connected to",
                    host=host,
                    address=text,
                )
        self._public = self._public or all(allowed(t, allow_private=False) for t in fitting)
        return fitting[:_ADDRESSES_MAX]

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to the first address of a host that takes one.

        Raises
        ------
        ProbeFault, Late, OSError
        """
        addresses = self.addresses(host, port)
        with self.timing("connect"):
            for tried, address in enumerate(addresses):
                share_s = self.left_s() / (len(addresses) - tried)
                try:
                    connection = socket.create_connection((address, port), share_s)
                except TimeoutError:
                    if tried + 1 == len(addresses):
                        raise Late from None
                except OSError:
                    if tried + 1 == len(addresses):
                        raise
                else:
                    self.address = address
                    self.see("probe_ip_protocol", _version(address))
                    return connection
        raise AssertionError("no address was tried")


def _version(text: str) -> int:
    return ipaddress.ip_address(text.partition("%")[0]).version


class Timed(io.RawIOBase):
    """A connection that is read from until the attempt's deadline, not so long for each read.

    A drop a second would keep each single read within a socket's own timeout for ever.
    """

    def __init__(self, connection: socket.socket, attempt: Attempt) -> None:
        self._connection, self._attempt = connection, attempt

    def makefile(self, mode: str) -> io.BufferedReader:
        """As `http.client.HTTPResponse` asks for it."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read what has come, or wait for it no longer than is left."""
        self._connection.settimeout(self._attempt.left_s())
        return self._connection.recv_into(buffer)
