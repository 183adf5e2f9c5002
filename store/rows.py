"""What every query module does: rows in by upsert, values out by `model.codec`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import orjson
from sqlalchemy import ColumnElement, Connection, Dialect, LargeBinary, Select, Table, and_, or_
from sqlalchemy.dialects import postgresql, sqlite

from model.codec import decode, encode
from model.errors import InputError

T = TypeVar("T")
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])
WORDS_MAX = 2_000


class Cursor(NamedTuple):
    """Where a page of a listing, newest first, ended: the next one continues `before` it.

    Examples
    --------
    >>> str(Cursor(1700000000000, "8a46f0d5")), Cursor.parse("5.OPS-1")
    ('1700000000000.8a46f0d5', Cursor(time_ms=5, id='OPS-1'))
    """

    time_ms: int
    id: str

    def __str__(self) -> str:
        return f"{self.time_ms}.{self.id}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` wrote.

        Raises
        ------
        InputError
            If `text` is not a time in milliseconds, a dot and an id.
        """
        time_ms, dot, ident = text.partition(".")
        if not (dot and ident and time_ms.isascii() and time_ms.isdigit() and len(time_ms) < 18):
            raise InputError(
                f'must be where a page ended, such as "1700000000000.8a46", got {text!r}'
            )
        return cls(int(time_ms), ident)


def body(value: object) -> str:
    """A value as the text of a `body` column."""
    return encode(value).decode()


def words(*parts: str) -> str:
    """What a free-text filter searches: lower case, cut at `WORDS_MAX` characters."""
    return plain(" ".join(parts).lower(), WORDS_MAX)


def plain(text: str, length_max: int) -> str:
    """Text of the world's as a column may hold it: cut, and without NUL, which PostgreSQL refuses.

    Examples
    --------
    >>> plain("50\\x003 from the desk", 5)
    '50\ufffd3 '
    """
    return text[:length_max].replace("\0", "\ufffd")


def insert(conn: Connection, table: Table) -> Any:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    kind = postgresql if conn.dialect.name == "postgresql" else sqlite
    return kind.insert(table)


def insert_new(conn: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row where none has its key; says whether none had.

    The key is asked back: PostgreSQL's driver does not count the rows of an INSERT.
    """
    key = next(iter(table.primary_key))
    made = insert(conn, table).values(row).on_conflict_do_nothing().returning(key)
    return conn.execute(made).first() is not None


def upsert(
    conn: Connection,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    *,
    by: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
) -> None:
    """Insert rows, or overwrite those with the same key (`by`; by default the primary key).

    Every row has the same columns; those of `keep` stay what they were when the row is there.
    """
    if not rows:
        return
    key = by or tuple(column.name for column in table.primary_key)
    # PostgreSQL does not overwrite a row twice in one statement: the last of each key counts.
    last = {tuple([row[name] for name in key]): row for row in rows}
    columns = tuple(rows[0])
    values = [tuple([row[name] for name in columns]) for row in last.values()]
    if conn.dialect.name != "postgresql":
        conn.exec_driver_sql(_upsert_rows(table, columns, key, keep), values)
    elif len(values) > 1 and not any(isinstance(table.c[n].type, LargeBinary) for n in columns):
        body = orjson.dumps([dict(zip(columns, row, strict=True)) for row in values]).decode()
        text = _upsert_json(conn.dialect, table, columns, key, keep)
        conn.exec_driver_sql(text, (body,))
    else:
        conn.exec_driver_sql(_upsert_rows(table, columns, key, keep, "%s"), values)


@lru_cache(maxsize=256)
def _upsert_rows(
    table: Table,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    keep: tuple[str, ...],
    mark: str = "?",
) -> str:
    """A statement for `executemany`: SQLAlchemy's own costs more for each row than SQLite does."""
    places = ", ".join([mark] * len(columns))
    return f"{_into(table, columns)} VALUES ({places}) {_on_conflict(columns, key, keep)}"


@lru_cache(maxsize=256)
def _upsert_json(
    dialect: Dialect,
    table: Table,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    keep: tuple[str, ...],
) -> str:
    """A statement for PostgreSQL that takes all rows as one JSON text: nothing else costs its client so little."""
    kinds = [f"{_quoted(name)} {table.c[name].type.compile(dialect=dialect)}" for name in columns]
    # Row by row in the order of the text: numbers that count up follow it.
    select = f"SELECT * FROM json_to_recordset(%s::json) AS given({', '.join(kinds)})"
    return f"{_into(table, columns)} {select} {_on_conflict(columns, key, keep)}"


def _into(table: Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({', '.join(map(_quoted, columns))})"


def _on_conflict(columns: tuple[str, ...], key: tuple[str, ...], keep: tuple[str, ...]) -> str:
    changed = [_quoted(name) for name in columns if name not in key and name not in keep]
    told = (
        f"UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in changed)}" if changed else "NOTHING"
    )
    return f"ON CONFLICT ({', '.join(map(_quoted, key))}) DO {told}"


def _quoted(name: str) -> str:
    return f'"{name}"'


def read(conn: Connection, kind: type[T], query: Select[Any]) -> list[T]:
    """The values of a query whose only column is `body`."""
    return [decode(kind, text) for text in conn.execute(query).scalars()]


def read_one(conn: Connection, kind: type[T], query: Select[Any]) -> T | None:
    """The first value of such a query, or None."""
    text = conn.execute(query.limit(1)).scalar()
    return None if text is None else decode(kind, text)


def newest_first(
    query: Query,
    time_ms: ColumnElement[Any],
    ident: ColumnElement[Any],
    *,
    before: Cursor | None,
    limit: int,
) -> Query:
    """One page of a listing, by time and id: stable while new rows come in above it."""
    if before is not None:
        query = query.where(
            or_(time_ms < before.time_ms, and_(time_ms == before.time_ms, ident < before.id))
        )
    return query.order_by(time_ms.desc(), ident.desc()).limit(limit)


def filtered(query: Query, table: Table, *, text: str = "", **equal: str | bool | None) -> Query:
    """Add a condition for each column that is given (neither None nor ""), and one per word of `text`."""
    for name, value in equal.items():
        if value is not None and value != "":
            query = query.where(table.c[name] == value)
    for word in text.lower().split():
        query = query.where(table.c.words.contains(word, autoescape=True))
    return query
