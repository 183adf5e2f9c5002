"""Free ports for servers that tests and benchmarks start."""

from __future__ import annotations

import atexit
import errno
import random
import socket
import sys
from itertools import chain

FIRST, LAST = 10_000, 32_767
"""Where ports are taken from: above what services are known by, below what the system takes for connections that go out."""
_chance = random.SystemRandom()
_kept: dict[int, socket.socket | None] = {}


@atexit.register
def _let_go() -> None:
    for one in _kept.values():
        if one is not None:
            one.close()


def free_port(first: int = FIRST, last: int = LAST) -> int:
    """A port of 127.0.0.1, from `first` to `last`, that nobody has now and nobody else is given while this process lives.

    A socket stays bound to it that does not listen: who connects is refused, as if nobody were there, and the server
    that the port is for binds it all the same, because it asks to (SO_REUSEADDR, as every server of ours and every
    one of the tests does). So neither another session of tests, nor a connection that goes out can come between, also
    while that server is restarted.
    """
    begin = _chance.randint(first, last)
    for port in chain(range(begin, last + 1), range(first, begin)):
        if port not in _kept and _keep(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no port from {first} to {last} is free")


def _keep(port: int) -> bool:
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        probe.close()
        return False
    if sys.platform == "linux":
        # Only now, or it would be bound beside another session's.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kept[port] = probe
    else:  # elsewhere no other may bind beside it
        probe.close()
        _kept[port] = None
    return True
