"""Who may come in, what they did, and the small facts a database keeps of itself."""

from __future__ import annotations

from dataclasses import replace

from model.account import AuditRecord, Role, Token, User
from store import audit, meta, offsets, sessions, snapshots, tokens, users
from store.sessions import Session
from store.store import Store


def test_of_two_that_go_on_from_one_state_one_does(any_store: Store) -> None:
    with any_store.records.write() as conn:
        assert snapshots.replace(conn, "x", b"a", before=None, now_ms=1)
        assert not snapshots.replace(conn, "x", b"b", before=None, now_ms=2)
        assert not snapshots.replace(conn, "x", b"b", before=b"z", now_ms=2)
        assert snapshots.replace(conn, "x", b"b", before=b"a", now_ms=3)
        assert (snapshots.get(conn, "x"), snapshots.saved_ms(conn, "x")) == (b"b", 3)
    with any_store.records.write() as conn:
        assert offsets.advance(conn, "y", 5) and offsets.advance(conn, "y", 6)
        assert not offsets.advance(conn, "y", 6) and not offsets.advance(conn, "y", 2)
        assert offsets.get(conn, "y") == 6


def test_snapshots_are_found_and_pruned_by_the_front_of_their_name(any_store: Store) -> None:
    with any_store.records.write() as conn:
        for at, name in enumerate(["a_1", "a_2", "ab"]):
            snapshots.put(conn, name, b"", now_ms=at)
        assert snapshots.named(conn, "a_") == [("a_1", 0, b""), ("a_2", 1, b"")]
        snapshots.prune(conn, "a_", before_ms=1)
        assert [name for name, *_ in snapshots.named(conn, "a")] == ["a_2", "ab"]


def test_accounts_tokens_and_sessions(any_store: Store) -> None:
    ann, token = User("ann", Role.ADMIN, "hash"), Token("t1", "ci", Role.RESPONDER, "h1", 5)
    session = Session("s-hash", "ann", "csrf", 1, 100)
    with any_store.records.write() as conn:
        users.save(conn, [ann, User("bob", Role.VIEWER)])
        users.save(conn, [replace(ann, language="zh")])
        assert users.get(conn, "ann") == replace(ann, language="zh")
        assert [u.name for u in users.everyone(conn)] == ["ann", "bob"]
        assert users.remove(conn, "bob") and not users.remove(conn, "bob")
        assert users.count(conn) == 1
        tokens.save(conn, [token, replace(token, id="t2", token_hash="h2", created_ms=6)])
        tokens.used(conn, "t1", now_ms=8)
        assert tokens.by_hash(conn, "h1") == replace(token, last_used_ms=8)
        assert tokens.revoke(conn, "t1") and not tokens.revoke(conn, "t9")
        assert tokens.by_hash(conn, "h1") is None and tokens.get(conn, "t1") is not None
        assert [t.id for t in tokens.everything(conn)] == ["t2", "t1"]
        assert tokens.count(conn) == 2
        sessions.save(conn, [session, replace(session, id_hash="other")])
        assert sessions.get(conn, "s-hash", now_ms=99) == session
        assert sessions.get(conn, "s-hash", now_ms=100) is None
        sessions.remove(conn, "s-hash")
        assert sessions.get(conn, "s-hash", now_ms=1) is None
        assert sessions.remove_of(conn, "ann") == 1


def test_the_audit_trail_is_appended_to(any_store: Store) -> None:
    record = AuditRecord(1, "ann", "silenced", "s1", "for a day", "::1")
    with any_store.records.write() as conn:
        audit.save(conn, [record, record, replace(record, actor="bob", act="signed in")])
        audit.save(conn, [])
        assert [r.actor for r in audit.recent(conn)] == ["bob", "ann", "ann"]
        assert audit.recent(conn, actor="ann", act="silenced", target="s1", skip=1) == [record]


def test_offsets_snapshots_and_facts(any_store: Store) -> None:
    with any_store.records.write() as conn:
        assert offsets.get(conn, "journal") == 0
        offsets.put(conn, "journal", 2**40)
        assert offsets.get(conn, "journal") == 2**40
        assert snapshots.get(conn, "x") is None and snapshots.saved_ms(conn, "x") is None
        snapshots.put(conn, "x", b"\x00\xff", now_ms=5)
        snapshots.put(conn, "x", b"two", now_ms=6)
        assert (snapshots.get(conn, "x"), snapshots.saved_ms(conn, "x")) == (b"two", 6)
        snapshots.remove(conn, "x")
        assert snapshots.get(conn, "x") is None
        meta.put(conn, "version", "1")
        assert (meta.get(conn, "version"), meta.get(conn, "x")) == ("1", None)
