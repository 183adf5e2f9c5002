"""What the shop's services say in their logs: templates by service, filled with made-up particulars.

Three kinds: `DONE` after each request, `GRUMBLES` (WARN, in normal life too), and `CHORES` (INFO,
rare): a detector of never-seen templates has to stay calm at a chore it meets for the first time.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

DONE: dict[str, tuple[str, ...]] = {
    "gateway": (
        "{method} {route} for user {user} done",
        "served {route} from session {session}",
    ),
    "catalog": (
        "listed {count} products of category {category}",
        "product {sku} read from cache",
        "product {sku} read from database in {small} ms",
    ),
    "search": (
        "query matched {count} documents in {small} ms",
        "ranked {count} candidates with profile {category}",
    ),
    "cart": (
        "cart {session} now holds {few} items",
        "cart {session} read, total {price} EUR",
    ),
    "checkout": (
        "order {order} placed by user {user}, {few} items, {price} EUR",
        "order {order} priced, voucher applied, {price} EUR",
    ),
    "inventory": (
        "reserved {few} of {sku} in warehouse {warehouse}",
        "stock of {sku} is now {count}",
    ),
    "payment": (
        "authorized {price} EUR for order {order} via {acquirer}",
        "authorization {session} took {small} ms at {acquirer}",
    ),
    "shipping": (
        "quoted {price} EUR to zone {few} with {carrier}",
        "carrier {carrier} offers {few} days for order {order}",
    ),
}

GRUMBLES: dict[str, tuple[str, ...]] = {
    "gateway": ("slow client: response to user {user} took {large} ms to write",),
    "catalog": ("image of {sku} has no thumbnail, using the original",),
    "search": ("query for {category} fell back to fuzzy matching",),
    "cart": ("cart {session} was changed concurrently, merged {few} items",),
    "checkout": ("voucher {session} is expired, order {order} continues without it",),
    "inventory": ("stock of {sku} below safety level: {few} left",),
    "payment": ("{acquirer} asked for a second factor for order {order}",),
    "shipping": ("address of order {order} is ambiguous, picked the first of {few} matches",),
}

CHORES: dict[str, tuple[str, ...]] = {
    "gateway": (
        "rotated session keys, {few} kept",
        "route table reloaded with {count} entries",
    ),
    "catalog": (
        "price list {order} imported, {count} rows",
        "cache swept, {count} entries dropped",
    ),
    "search": (
        "merged {few} index segments in {large} ms",
        "synonyms refreshed from version {count}",
    ),
    "cart": ("expired {count} abandoned carts", "session table vacuumed in {large} ms"),
    "checkout": ("tax table {order} loaded", "outbox flushed, {few} messages"),
    "inventory": (
        "cycle count of warehouse {warehouse} finished",
        "ledger checkpoint written in {small} ms",
    ),
    "payment": ("settlement batch {order} closed with {count} records", "fraud rules reloaded"),
    "shipping": ("tariffs of {carrier} refreshed", "label printer queue is empty"),
}

FAILING: dict[str, tuple[str, ...]] = {
    "catalog": (
        "unhandled error reading product {sku}: database returned no rows for shard {few}",
    ),
    "payment": (
        "authorization failed: cannot decode response of {acquirer}: missing field 'risk'",
    ),
}
"""What an injected error says; services without an entry say `FAILING_ANY`."""

FAILING_ANY = "unhandled error while serving {route}"

BROKEN_INDEX = (
    "index segment {order} checksum mismatch, expected {session} read {user}",
    "segment {order} quarantined, serving results from replica {few}",
)
"""The log-only failure: results still come, from a replica, and no metric moves."""

_PARTICULARS: dict[str, Callable[[Random], object]] = {
    "user": lambda rng: f"u{rng.randrange(10_000, 99_999)}",
    "session": lambda rng: f"{rng.getrandbits(32):08x}",
    "sku": lambda rng: f"SKU-{rng.randrange(1_000, 9_999)}",
    "order": lambda rng: rng.randrange(700_000, 799_999),
    "count": lambda rng: rng.randrange(10, 900),
    "few": lambda rng: rng.randrange(1, 9),
    "small": lambda rng: rng.randrange(2, 40),
    "large": lambda rng: rng.randrange(200, 900),
    "price": lambda rng: f"{rng.randrange(500, 30_000) / 100:.2f}",
    "category": lambda rng: rng.choice(("books", "garden", "kitchen", "music", "toys")),
    "warehouse": lambda rng: rng.choice(("north", "south", "port")),
    "acquirer": lambda rng: rng.choice(("acme-pay", "bluebank")),
    "carrier": lambda rng: rng.choice(("postal", "swift", "cargo")),
}


class _Filling(dict[str, object]):
    """Makes up a particular only when a template asks for it."""

    def __init__(self, rng: Random, given: dict[str, object]) -> None:
        super().__init__(given)
        self._rng = rng

    def __missing__(self, name: str) -> object:
        return _PARTICULARS[name](self._rng)


def fill(template: str, rng: Random, **given: object) -> str:
    """Fill a template; what is not given is made up from `rng`.

    Examples
    --------
    >>> fill("stock of {sku} is now {count}", Random(1), count=7)
    'stock of SKU-3201 is now 7'
    """
    return template.format_map(_Filling(rng, given))
