"""The journal: order, durability, back-pressure, and what happens when the disk or the process fails."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from model.errors import StoreError
from model.journal import JournalKind, NewEntry
from store import schema
from store.database import Database
from store.journal import Journal
from store.migration import migrate
from store.store import Store


def entry(body: str | bytes = b"{}") -> NewEntry:
    return NewEntry(JournalKind.ALERT, "prom", 5, body.encode() if isinstance(body, str) else body)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/j.db", synchronous="FULL", busy_timeout_ms=10_000)
    migrate(opened, schema.journal)
    yield opened
    opened.close()


class Gate:
    """Holds the database's write lock, so that the journal's thread must wait with its batch."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database, self._journal = database, journal
        self._open = threading.Event()
        held = threading.Event()

        def hold() -> None:
            with database.write():
                held.set()
                self._open.wait()

        self._thread = threading.Thread(target=hold)
        self._thread.start()
        held.wait()

    def let_go(self) -> None:
        self._open.set()
        self._thread.join()


def test_what_is_appended_is_read_in_order(any_store: Store) -> None:
    journal = any_store.journal
    assert journal.last() == 0
    first = journal.append([entry("a"), entry("b")])
    second = journal.append([NewEntry(JournalKind.ACT, "ann", 6, b"\x00\xff")])
    assert (first, second) == ([1, 2], [3])
    assert [(e.offset, e.body) for e in journal.read(0, 2)] == [(1, b"a"), (2, b"b")]
    (last,) = journal.read(2, 10)
    assert (last.kind, last.source, last.arrival_ms) == (JournalKind.ACT, "ann", 6)
    assert last.body == b"\x00\xff"
    assert journal.append([]) == [] and journal.last() == 3


def test_offsets_are_never_given_twice_even_when_all_was_pruned(any_store: Store) -> None:
    journal = any_store.journal
    journal.append([entry(), entry(), entry()])
    assert journal.prune(2) == 2
    assert [e.offset for e in journal.read(0)] == [3]
    assert journal.prune(99) == 1
    assert (journal.count(), journal.last()) == (0, 3)
    assert journal.append([entry()]) == [4]


def test_pruning_goes_on_past_one_transaction(store: Store) -> None:
    for _ in range(6):
        store.journal.append([entry()] * 2_000)
    assert store.journal.prune(11_999) == 11_999
    assert [e.offset for e in store.journal.read(0)] == [12_000]


def test_many_threads_share_commits_and_each_hears_its_own_offset(store: Store) -> None:
    heard: dict[int, str] = {}

    def push(name: int) -> None:
        for i in range(40):
            (offset,) = store.journal.append([entry(f"{name}/{i}")])
            heard[offset] = f"{name}/{i}"

    threads = [threading.Thread(target=push, args=(name,)) for name in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {e.offset: e.body.decode() for e in store.journal.read(0)} == heard
    assert sorted(heard) == list(range(1, 801))
    assert store.journal.batches < 800
    assert store.journal.appended == 800


def test_an_async_caller_awaits_the_future(store: Store) -> None:
    async def push() -> list[int]:
        return await asyncio.wrap_future(store.journal.submit([entry()]))

    assert asyncio.run(push()) == [1]


def test_one_that_gave_up_before_its_commit_is_left_out(database: Database) -> None:
    journal = Journal(database)
    gate = Gate(database, journal)
    journal.submit([entry("the thread waits with this one")])
    while journal.waiting:  # until the thread has taken it
        pass
    given_up, kept = journal.submit([entry("given up")]), journal.submit([entry("kept")])
    assert given_up.cancel()
    gate.let_go()
    assert kept.result() == [2]
    assert [e.body for e in journal.read(1)] == [b"kept"]
    journal.close()


@pytest.mark.parametrize(
    ("limits", "fits", "refused"),
    [
        ({"queue_entries_max": 3}, [entry()] * 3, [entry()]),
        ({"queue_bytes_max": 10}, [entry("0123456789")], [entry("x")]),
    ],
    ids=["entries", "bytes"],
)
def test_f21_more_than_may_wait_is_refused_until_there_is_room(
    database: Database, limits: dict[str, Any], fits: list[NewEntry], refused: list[NewEntry]
) -> None:
    journal = Journal(database, **limits)
    gate = Gate(database, journal)
    journal.submit([entry("")])
    while journal.waiting:  # until the thread has taken it
        pass
    accepted = journal.submit(fits)
    with pytest.raises(StoreError, match="wait for the disk"):
        journal.submit(refused)
    assert journal.refused == len(refused)
    gate.let_go()
    assert accepted.result() == list(range(2, 2 + len(fits)))
    assert journal.append(refused) == [2 + len(fits)]
    journal.close()


def test_f21_locked_for_too_long_fails_every_caller_of_the_batch(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/j.db", synchronous="FULL", busy_timeout_ms=50)
    migrate(database, schema.journal)
    journal = Journal(database)
    gate = Gate(database, journal)
    futures = [journal.submit([entry()]) for _ in range(3)]
    for future in futures:
        with pytest.raises(StoreError, match="held the database"):
            future.result()
    gate.let_go()
    assert (journal.failed, journal.count()) == (3, 0)
    assert journal.append([entry()]) == [1]
    journal.close()
    database.close()


def test_f19_a_full_disk_accepts_nothing_and_loses_nothing(tmp_path: Path) -> None:
    pages_max = [40]
    database = Database(f"sqlite:///{tmp_path}/j.db", synchronous="FULL")

    @event.listens_for(database.engine, "connect")
    def small(raw: Any, _record: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {pages_max[0]}")

    migrate(database, schema.journal)
    journal = Journal(database)
    accepted: list[int] = []
    with pytest.raises(StoreError, match="full"):
        while len(accepted) < 1_000:
            accepted += journal.append([entry(b"x" * 2_000)])
    assert 10 < len(accepted) < 100
    assert [e.offset for e in journal.read(0)] == accepted
    pages_max[0] = 10_000
    database.engine.dispose()  # somebody made room
    assert journal.append([entry()]) == [accepted[-1] + 1]
    journal.close()
    database.close()


def test_closed_it_takes_no_more_and_has_kept_what_waited(database: Database) -> None:
    journal = Journal(database)
    futures = [journal.submit([entry()]) for _ in range(50)]
    journal.close()
    assert [future.result() for future in futures] == [[n] for n in range(1, 51)]
    with pytest.raises(StoreError, match="closed"):
        journal.append([entry()])


def test_nothing_is_pruned_before_what_was_made_of_it_is_on_the_disk(database: Database) -> None:
    def refuse() -> None:
        raise StoreError("the disk is full")

    journal = Journal(database, settle=refuse)
    journal.append([entry()])
    with pytest.raises(StoreError, match="full"):
        journal.prune(1)
    assert journal.count() == 1
    journal.close()


STORM = """
import os, sys, threading
from model.journal import JournalKind, NewEntry
from store.store import Store

store = Store.open(sys.argv[1], now_ms=0)

def push(name):
    for i in range(1_000_000):
        body = f"{name}/{i}"
        (offset,) = store.journal.append([NewEntry(JournalKind.ALERT, "prom", 0, body.encode())])
        os.write(1, f"{offset} {body}\\n".encode())  # one line, whole or not at all

for name in range(8):
    threading.Thread(target=push, args=(name,), daemon=True).start()
threading.Event().wait()
"""


@pytest.mark.parametrize("lines_until_killed", [1, 300, 1_500])
def test_f01_kill_9_loses_nothing_that_was_acknowledged(
    tmp_path: Path, lines_until_killed: int
) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", STORM, url], stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(lines_until_killed)]
        process.kill()
        lines += process.stdout.readlines()
    acknowledged = dict(line.split() for line in lines if line.endswith("\n"))
    assert len(acknowledged) >= lines_until_killed
    store = Store.open(url, now_ms=1)
    kept = {str(e.offset): e.body.decode() for e in store.journal.read(0, 1_000_000)}
    assert acknowledged.items() <= kept.items()
    assert sorted(map(int, kept)) == list(range(1, len(kept) + 1))
    assert store.journal.append([entry()]) == [len(kept) + 1]
    store.close()
