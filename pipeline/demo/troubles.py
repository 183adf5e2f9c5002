"""What went wrong at the shop in thirty days that never were: drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from model.change import Change
from model.identity import derive_id
from pipeline.demo.blueprint import SHOP

DAY_MS = 86_400_000
MINUTE_MS = 60_000
TROUBLES_PER_DAY = 0.67
DEPLOYS_PER_DAY = 0.5
KINDS = ("latency", "errors", "down", "cpu", "leak", "deploy")
_SERVICES = ("catalog", "search", "cart", "checkout", "inventory", "payment", "shipping")
_PEOPLE = ("ada", "bruno", "chen", "dana", "emre", "fatima", "goran")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One simulated failure: its culprit, its kind (of `KINDS`), and event times [start, end).

    `force` is from 0.35 (few notice) to 1 (nobody misses it).
    """

    kind: str
    service: str
    start_ms: int
    end_ms: int
    force: float = 1.0


def draw_troubles(start_ms: int, end_ms: int, *, seed: int) -> tuple[Trouble, ...]:
    """Two troubles in three days, apart from each other, none on the first two days.

    The first days are left alone because everything that is learnt is learnt there.

    Examples
    --------
    >>> month = draw_troubles(0, 30 * DAY_MS, seed=1)
    >>> 15 <= len(month) <= 25, month == draw_troubles(0, 30 * DAY_MS, seed=1)
    (True, True)
    """
    rng = Random(f"troubles/{seed}")
    first_ms = start_ms + 2 * DAY_MS
    # The last hours stay calm, so that no simulated incident reaches into the present.
    last_ms = end_ms - 6 * 60 * MINUTE_MS
    count = round((last_ms - first_ms) / DAY_MS * TROUBLES_PER_DAY)
    if count <= 0:
        return ()
    room_ms = (last_ms - first_ms) // count
    kinds = _shuffled(KINDS, count, rng)
    services = _shuffled(_SERVICES, count, rng)
    made = []
    for number in range(count):
        # Memory creeps: what fills up within an hour is another kind of trouble.
        shortest, longest = (330, 480) if kinds[number] == "leak" else (35, 150)
        length_ms = rng.randrange(shortest, longest) * MINUTE_MS
        began_ms = first_ms + number * room_ms + rng.randrange(max(1, room_ms - 2 * length_ms))
        force = round(rng.uniform(0.35, 1.0), 2)
        made.append(Trouble(kinds[number], services[number], began_ms, began_ms + length_ms, force))
    return tuple(made)


def _shuffled(values: Sequence[str], count: int, rng: Random) -> list[str]:
    """`count` values in random order, each as often as the others (give or take one)."""
    repeated = [values[i % len(values)] for i in range(count)]
    rng.shuffle(repeated)
    return repeated


def draw_changes(
    troubles: Sequence[Trouble], start_ms: int, end_ms: int, *, seed: int
) -> tuple[Change, ...]:
    """Deploys: those that brought a trouble, with their rollbacks, and harmless ones; by time."""
    rng = Random(f"changes/{seed}")
    changes: list[Change] = []
    for trouble in troubles:
        if trouble.kind == "deploy":
            deployed_ms = trouble.start_ms - rng.randrange(1, 4) * MINUTE_MS
            changes.append(_change("deploy", trouble.service, deployed_ms, rng))
            changes.append(_change("rollback", trouble.service, trouble.end_ms, rng))
    for _ in range(round((end_ms - start_ms) / DAY_MS * DEPLOYS_PER_DAY)):
        time_ms = rng.randrange(start_ms, max(start_ms + 1, end_ms))
        changes.append(_change("deploy", rng.choice(list(SHOP)), time_ms, rng))
    return tuple(sorted(changes, key=lambda change: (change.time_ms, change.id)))


def _change(kind: str, service: str, time_ms: int, rng: Random) -> Change:
    major, minor, _ = SHOP[service].version.split(".")
    version = f"{major}.{minor}.{rng.randrange(10, 90)}"
    return Change(
        id=derive_id("simulated", kind, service, time_ms),
        time_ms=time_ms,
        kind=kind,
        service=service,
        title=f"{service} {version}",
        author=rng.choice(_PEOPLE),
        version=version,
        source="demo",
        arrival_ms=time_ms,
        simulated=True,
    )
