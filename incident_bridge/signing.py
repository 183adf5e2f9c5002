"""Signatures on what we send, so that the other side can know it is from us and new.

`Tocsin-Signature: t=1700000000,v1=<hex>,v1=<hex>` over `t.body` with HMAC-SHA256: one `v1` for each
secret, so that secrets can be exchanged without a gap. The receiver recomputes one, compares in
constant time, and refuses a `t` that is more than five minutes off.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

HEADER = "Tocsin-Signature"
TOLERANCE_S = 300


def sign(body: bytes, secrets: Sequence[bytes], *, now_ms: int) -> str:
    """The header's value.

    Examples
    --------
    >>> sign(b"{}", [b"k"], now_ms=5_000)[:20]
    't=5,v1=d066254199a6f'
    """
    time_s = now_ms // 1000
    return ",".join([f"t={time_s}", *(f"v1={_digest(body, s, time_s)}" for s in secrets)])


def verify(header: str, body: bytes, secrets: Sequence[bytes], *, now_ms: int) -> bool:
    """Whether one of the signatures is by one of our secrets, and fresh."""
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t" and value.isdigit()]
    if len(times) != 1 or abs(now_ms // 1000 - int(times[0])) > TOLERANCE_S:
        return False
    given = [value for name, _, value in parts if name == "v1"]
    wanted = [_digest(body, secret, int(times[0])) for secret in secrets]
    # Every pair is compared, so that the time taken tells nothing of which one fits.
    return any([hmac.compare_digest(g.encode(), w.encode()) for g in given for w in wanted])


def _digest(body: bytes, secret: bytes, time_s: int) -> str:
    return hmac.new(secret, b"%d." % time_s + body, hashlib.sha256).hexdigest()
