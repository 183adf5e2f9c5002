"""The built-in desk."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from model.ticket import Ticket, TicketComment, TicketDraft, TicketState
from store import tickets
from store.store import Store


def draft(key: str = "i1", **more: object) -> TicketDraft:
    made = TicketDraft(key, "cart is slow", "p99 is 3 s", TicketState.OPEN, "P2", "cart", "shop")
    return replace(made, **more)  # type: ignore[arg-type]


def numbers(found: list[Ticket]) -> list[str]:
    return [ticket.number for ticket in found]


def test_tickets_are_numbered_by_desk_and_opened_once_per_key(any_store: Store) -> None:
    with any_store.records.write() as conn:
        first = tickets.create(conn, "builtin", draft(comment="opened"), now_ms=5)
        assert (first.number, first.url, first.created_ms) == ("OPS-1", "/tickets/OPS-1", 5)
        assert first.comments == (TicketComment(5, "tocsin", "opened"),)
        assert tickets.create(conn, "builtin", draft(comment="again"), now_ms=6) == first
        assert tickets.create(conn, "builtin", draft("i2"), now_ms=6).number == "OPS-2"
        other = tickets.create(conn, "memory", draft(), now_ms=6, prefix="M-", url_prefix="/m/")
        assert (other.number, other.url) == ("M-1", "/m/M-1")
        assert tickets.find(conn, "builtin", "i1") == first
        assert tickets.find(conn, "builtin", "i9") is None


def test_a_number_that_was_undone_is_given_again(any_store: Store) -> None:
    with pytest.raises(KeyError), any_store.records.write() as conn:
        tickets.create(conn, "builtin", draft("lost"), now_ms=5)
        raise KeyError
    with any_store.records.write() as conn:
        assert tickets.create(conn, "builtin", draft(), now_ms=5).number == "OPS-1"


def test_many_threads_get_a_number_each(store: Store) -> None:
    def open_some(name: int) -> None:
        for i in range(10):
            with store.records.write() as conn:
                tickets.create(conn, "builtin", draft(f"{name}/{i}"), now_ms=i)

    threads = [threading.Thread(target=open_some, args=(name,)) for name in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.records.read() as conn:
        found = tickets.recent(conn, "builtin")
    assert sorted(numbers(found)) == sorted(f"OPS-{n}" for n in range(1, 51))
    assert len({ticket.key for ticket in found}) == 50


def test_a_ticket_is_changed_by_us_and_by_people(any_store: Store) -> None:
    with any_store.records.write() as conn:
        tickets.create(conn, "builtin", draft(), now_ms=5)
        changed = tickets.change(
            conn, "builtin", "OPS-1", draft(title="gone", comment="quiet"), now_ms=7
        )
        assert changed is not None and (changed.title, changed.updated_ms) == ("gone", 7)
        said = TicketComment(9, "ann", "thanks")
        commented = tickets.comment(conn, "builtin", "OPS-1", said)
        assert commented is not None and commented.comments[1] == said
        closed = tickets.set_state(conn, "builtin", "OPS-1", TicketState.CLOSED, now_ms=11)
        assert closed == tickets.get(conn, "builtin", "OPS-1")
        assert closed is not None and len(closed.comments) == 2
        assert (closed.state, closed.created_ms) == (TicketState.CLOSED, 5)


def test_a_ticket_that_is_not_there_is_none(any_store: Store) -> None:
    with any_store.records.write() as conn:
        assert tickets.get(conn, "builtin", "OPS-9") is None
        assert tickets.change(conn, "builtin", "OPS-9", draft(), now_ms=1) is None
        assert tickets.set_state(conn, "builtin", "OPS-9", TicketState.OPEN, now_ms=1) is None
        said = TicketComment(1, "ann", "hello?")
        assert tickets.comment(conn, "builtin", "OPS-9", said) is None


def test_listings(any_store: Store) -> None:
    kinds: list[dict[str, Any]] = [{}, {"service": "db"}, {"simulated": True}]
    with any_store.records.write() as conn:
        for n, more in enumerate(kinds, start=1):
            tickets.create(conn, "builtin", draft(f"i{n}", comment="x", **more), now_ms=n)
        tickets.set_state(conn, "builtin", "OPS-1", TicketState.CLOSED, now_ms=9)
        assert numbers(tickets.recent(conn, "builtin")) == ["OPS-3", "OPS-2", "OPS-1"]
        assert numbers(tickets.recent(conn, "builtin", simulated=False, limit=1)) == ["OPS-2"]
        assert numbers(tickets.recent(conn, "builtin", service="db")) == ["OPS-2"]
        closed = tickets.recent(conn, "builtin", state=TicketState.CLOSED)
        assert numbers(closed) == ["OPS-1"] and closed[0].comments == ()
        before = tickets.cursor(tickets.recent(conn, "builtin")[0])
        assert numbers(tickets.recent(conn, "builtin", before=before, limit=1)) == ["OPS-2"]
        changed = tickets.changed_since(conn, "builtin", 3)
        assert numbers(changed) == ["OPS-3", "OPS-1"] and len(changed[0].comments) == 1
