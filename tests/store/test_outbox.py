"""The outbox against a slow twin, and the rules that its callers rely on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.action import Action, ActionKind, ActionState, PageDraft
from model.ticket import TicketDraft, TicketState
from store import outbox
from store.rows import Cursor
from store.store import Store

PENDING, DONE = ActionState.PENDING, ActionState.DONE
DEAD, CANCELLED = ActionState.DEAD, ActionState.CANCELLED


def action(ident: str, lane: str = "i1", sequence: int = 1, created_ms: int = 10) -> Action:
    return Action(ident, ActionKind.PAGE, lane, "ops", sequence, created_ms)


def ids(queued: list[outbox.Queued]) -> list[str]:
    return [item.action.id for item in queued]


def test_an_action_comes_back_as_it_was(any_store: Store) -> None:
    draft = TicketDraft("i1", "slow", "very", TicketState.OPEN, "P2", "cart")
    page = PageDraft("ops", "i1", "slow", "very", "P2", "opened")
    whole = replace(action("a"), kind=ActionKind.TICKET_CREATE, ticket=draft, page=page)
    with any_store.records.write() as conn:
        outbox.add(conn, [whole])
        assert outbox.get(conn, "a") == outbox.Queued(whole, PENDING, 0, 10)
        assert outbox.get(conn, "b") is None


def test_one_that_is_known_is_not_added_again_in_whatever_state(any_store: Store) -> None:
    with any_store.records.write() as conn:
        outbox.add(conn, [action("a"), action("a", sequence=7)])
        outbox.done(conn, "a", now_ms=20)
        outbox.add(conn, [action("a"), action("b")])
        outbox.add(conn, [])
        assert ids(outbox.due(conn, 99)) == ["b"]
        assert outbox.counts(conn)[DONE] == 1


def test_a_lane_waits_for_its_head_and_no_lane_for_another(any_store: Store) -> None:
    with any_store.records.write() as conn:
        outbox.add(conn, [action(f"a{n}", "A", n) for n in (2, 1, 3)] + [action("b1", "B", 1, 11)])
        assert outbox.due(conn, 9) == []  # not before they were decided
        assert ids(outbox.due(conn, 10)) == ["a1"]
        assert ids(outbox.due(conn, 11)) == ["a1", "b1"]
        assert ids(outbox.due(conn, 11, 1)) == ["a1"]
        outbox.retry(conn, "a1", next_ms=100, error="503")
        assert ids(outbox.due(conn, 99)) == ["b1"]  # a2 must not overtake a1
        assert outbox.next_due_ms(conn) == 10
        (head, _) = sorted(outbox.due(conn, 100), key=lambda q: q.action.id)
        assert (head.action.id, head.tries, head.last_error) == ("a1", 1, "503")


# What ends a head, and the state it is in then.
@pytest.mark.parametrize("end", [DONE, DEAD, CANCELLED])
def test_a_head_that_has_ended_lets_the_next_through(any_store: Store, end: ActionState) -> None:
    with any_store.records.write() as conn:
        outbox.add(conn, [action("a1", "A", 1), action("a2", "A", 2)])
        if end is DONE:
            outbox.done(conn, "a1", now_ms=20)
        elif end is DEAD:
            outbox.dead(conn, "a1", now_ms=20, error="400: no such field")
        else:
            assert outbox.cancel(conn, ["a1", "unheard-of"], now_ms=20) == 1
        ended = outbox.get(conn, "a1")
        assert ended is not None and (ended.state, ended.ended_ms) == (end, 20)
        assert ids(outbox.due(conn, 20)) == ["a2"]


def test_a_cancelled_action_stays_so_unless_the_world_has_seen_it(any_store: Store) -> None:
    with any_store.records.write() as conn:
        outbox.add(conn, [action("a"), action("b")])
        assert outbox.cancel(conn, ["a", "b"], now_ms=20) == 2
        assert outbox.cancel(conn, ["a"], now_ms=21) == 0
        outbox.retry(conn, "a", next_ms=30, error="503")
        outbox.dead(conn, "a", now_ms=30, error="400")
        outbox.done(conn, "b", now_ms=30)
        assert outbox.counts(conn) == {PENDING: 0, DONE: 1, DEAD: 0, CANCELLED: 1}


def test_a_dead_letter_tells_why_and_can_be_revived(any_store: Store) -> None:
    with any_store.records.write() as conn:
        outbox.add(conn, [action("a", created_ms=1), action("b", "i2", created_ms=2)])
        for ident in ("a", "b"):
            outbox.dead(conn, ident, now_ms=20, error=f"400 for {ident}")
        letters = outbox.dead_letters(conn)
        assert [(q.action.id, q.last_error, q.tries) for q in letters] == [
            ("b", "400 for b", 1),
            ("a", "400 for a", 1),
        ]
        assert outbox.revive(conn, "a", now_ms=50)
        assert not outbox.revive(conn, "a", now_ms=50)  # it is not dead any more
        assert outbox.due(conn, 49) == []
        assert outbox.due(conn, 50)[0].tries == 0


def test_an_error_is_cut_and_made_plain(any_store: Store) -> None:
    with any_store.records.write() as conn:
        outbox.add(conn, [action("a")])
        outbox.retry(conn, "a", next_ms=1, error="\0" + "x" * 10_000)
        tried = outbox.due(conn, 99)[0].last_error
        outbox.dead(conn, "a", now_ms=1, error="\0!")
        assert tried == "\ufffd" + "x" * (outbox.ERROR_MAX - 1)
        assert outbox.dead_letters(conn)[0].last_error == "\ufffd!"


def test_listings_and_counts_are_filtered(any_store: Store) -> None:
    simulated = replace(action("s", "i2", created_ms=30), simulated=True)
    ticket = replace(action("t", created_ms=20), target="desk", kind=ActionKind.TICKET_UPDATE)
    with any_store.records.write() as conn:
        outbox.add(conn, [simulated, ticket, action("a")])
        assert ids(outbox.by_incident(conn, "i1")) == ["a", "t"]
        assert ids(outbox.recent(conn, limit=2)) == ["s", "t"]
        assert ids(outbox.recent(conn, before=Cursor(20, "t"))) == ["a"]
        assert outbox.cursor(outbox.recent(conn)[0]) == Cursor(30, "s")
        assert ids(outbox.recent(conn, state=PENDING, simulated=False)) == ["t", "a"]
        assert ids(outbox.due(conn, 99, simulated=False)) == ["a", "t"]
        assert ids(outbox.due(conn, 99, kinds=[ActionKind.TICKET_UPDATE])) == ["t"]
        assert outbox.counts(conn, simulated=True)[PENDING] == 1
        assert outbox.next_due_ms(conn) == 10


class NaiveOutbox:
    """The same rules over a list."""

    def __init__(self) -> None:
        self.rows: dict[str, outbox.Queued] = {}

    def add(self, item: Action) -> None:
        self.rows.setdefault(item.id, outbox.Queued(item, PENDING, 0, item.created_ms))

    def change(self, ident: str, verb: str, at_ms: int) -> None:
        row = self.rows.get(ident)
        if row is None:
            return
        if verb == "done":
            row = replace(row, state=DONE)
        elif verb == "revive" and row.state is DEAD:
            row = replace(row, state=PENDING, tries=0, next_ms=at_ms)
        elif row.state is PENDING and verb == "retry":
            row = replace(row, tries=row.tries + 1, next_ms=at_ms)
        elif row.state is PENDING and verb == "dead":
            row = replace(row, state=DEAD, tries=row.tries + 1)
        elif row.state is PENDING and verb == "cancel":
            row = replace(row, state=CANCELLED)
        self.rows[ident] = row

    def due(self, now_ms: int) -> set[str]:
        heads: dict[str, outbox.Queued] = {}
        order = sorted(self.rows.values(), key=lambda q: (q.action.sequence, q.action.id))
        for row in order:
            if row.state is PENDING:
                heads.setdefault(row.action.lane, row)
        return {row.action.id for row in heads.values() if row.next_ms <= now_ms}


VERBS = ("done", "retry", "dead", "cancel", "revive")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("ABC"), st.integers(1, 4), st.integers(0, 20)),
        st.tuples(st.sampled_from(VERBS), st.sampled_from("ABC"), st.integers(1, 4), st.integers(0, 20)),
    ),
    max_size=40,
)  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/tocsin.db", now_ms=0)
        yield store
        store.close()


def _apply(conn: object, verb: str, ident: str, at_ms: int) -> None:
    if verb == "done":
        outbox.done(conn, ident, now_ms=at_ms)  # type: ignore[arg-type]
    elif verb == "retry":
        outbox.retry(conn, ident, next_ms=at_ms, error="x")  # type: ignore[arg-type]
    elif verb == "dead":
        outbox.dead(conn, ident, now_ms=at_ms, error="x")  # type: ignore[arg-type]
    elif verb == "cancel":
        outbox.cancel(conn, [ident], now_ms=at_ms)  # type: ignore[arg-type]
    else:
        outbox.revive(conn, ident, now_ms=at_ms)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=100)
@given(steps=STEPS, now_ms=st.integers(0, 25))
def test_it_does_what_its_naive_twin_does(
    shared: Store, steps: list[tuple[str, str, int, int]], now_ms: int
) -> None:
    twin = NaiveOutbox()
    with shared.records.write() as conn:
        for verb, lane, sequence, at_ms in steps:
            ident = f"{lane}{sequence}"
            if verb == "add":
                made = action(ident, lane, sequence, at_ms)
                twin.add(made)
                outbox.add(conn, [made])
            else:
                twin.change(ident, verb, at_ms)
                _apply(conn, verb, ident, at_ms)
        found = outbox.due(conn, now_ms)
        kept = {q.action.id: (q.state, q.tries, q.next_ms) for q in outbox.recent(conn)}
        conn.rollback()
    assert set(ids(found)) == twin.due(now_ms)
    assert kept == {k: (q.state, q.tries, q.next_ms) for k, q in twin.rows.items()}
