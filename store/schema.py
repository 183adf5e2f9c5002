"""The tables. A change here needs a migration beside it (`migrations/`); a test compares the two.

Most rows are an indexed shell around `body`, the record itself as JSON by `model.codec`: what is
filtered and sorted by is a column, the rest may grow fields without a migration.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

# Constraints need names, the same ones everywhere, for later migrations to find them.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
records = MetaData(naming_convention=_NAMES)
"""Everything but the journal."""

journal = MetaData(naming_convention=_NAMES)
"""The journal: its own file in SQLite, because it is flushed to the disk at every commit."""

# SQLite counts rows up by itself only for a column declared INTEGER PRIMARY KEY.
_Number = BigInteger().with_variant(Integer, "sqlite")


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _ms(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _ms_or_none(name: str) -> Column[int | None]:
    return Column(name, BigInteger, nullable=True)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, _Number, primary_key=True, autoincrement=True)


def _where(name: str, *columns: str, condition: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


alerts = Table(
    "alerts",
    records,
    _key("id"),
    _text("key"),
    _text("source"),
    _text("name"),
    _text("service"),
    _text("severity"),
    _text("incident_id"),
    _ms("starts_ms"),
    _ms_or_none("ends_ms"),
    _flag("simulated"),
    _text("words"),
    _text("body"),
    Index(None, "key", "starts_ms"),
    Index(None, "incident_id", "starts_ms"),
    Index(None, "starts_ms", "id"),
    Index(None, "ends_ms"),
    _where("ix_alerts_firing", "starts_ms", condition="ends_ms IS NULL"),
)

groupings = Table("groupings", records, _key("id"), _ms("at_ms"), _flag("simulated"), _text("body"))

incidents = Table(
    "incidents",
    records,
    _key("id"),
    _text("state"),
    _text("service"),
    _text("services"),  # all that are affected, each between line feeds
    _text("team"),
    _text("priority"),
    _ms("opened_ms"),
    _ms("updated_ms"),
    _flag("simulated"),
    _text("words"),
    _text("body"),
    Index(None, "opened_ms", "id"),
    Index(None, "state", "opened_ms"),
    Index(None, "service", "opened_ms"),
    Index(None, "updated_ms"),
)

timeline = Table(
    "timeline",
    records,
    _number("number"),
    _text("id"),
    _text("incident_id"),
    _ms("time_ms"),
    _text("kind"),
    _flag("simulated"),
    _text("body"),
    UniqueConstraint("id"),
    Index(None, "incident_id", "time_ms"),
    Index(None, "time_ms"),
)

clocks = Table(
    "clocks",
    records,
    _key("incident_id"),
    _key("kind"),
    _ms_or_none("stopped_ms"),
    _ms_or_none("breached_ms"),
    _flag("simulated"),
    _text("body"),
)

ledger = Table("ledger", records, _key("incident_id"), _key("target"), _text("body"))

outbox = Table(
    "outbox",
    records,
    _key("id"),
    _text("lane"),
    Column("sequence", BigInteger, nullable=False),
    _text("kind"),
    _text("incident_id"),
    _text("target"),
    _text("state"),
    Column("tries", Integer, nullable=False),
    _ms("created_ms"),
    _ms("next_ms"),
    _ms_or_none("ended_ms"),
    _text("last_error"),
    _flag("simulated"),
    _text("body"),
    Index(None, "incident_id", "state"),
    Index(None, "state", "created_ms", "id"),
    _where("ix_outbox_ended", "ended_ms", condition="ended_ms IS NOT NULL"),
)

pages = Table(
    "pages",
    records,
    _key("id"),
    _text("incident_id"),
    _text("receiver"),
    _ms("sent_ms"),
    _flag("ok"),
    _flag("simulated"),
    _text("body"),
    Index(None, "incident_id", "sent_ms"),
    Index(None, "sent_ms", "id"),
)

tickets = Table(
    "tickets",
    records,
    _key("desk"),
    _key("number"),
    _text("key"),
    _text("state"),
    _text("service"),
    _ms("created_ms"),
    _ms("updated_ms"),
    _flag("simulated"),
    _text("body"),
    UniqueConstraint("desk", "key"),
    Index(None, "created_ms", "number"),
    Index(None, "updated_ms"),
)

ticket_comments = Table(
    "ticket_comments",
    records,
    _number("id"),
    _text("desk"),
    _text("number"),
    _text("body"),
    Index(None, "desk", "number"),
)

ticket_links = Table(
    "ticket_links",
    records,
    _key("incident_id"),
    _key("desk"),
    _text("number"),
    _text("url"),
    Index(None, "desk", "number"),
)

silences = Table(
    "silences",
    records,
    _key("id"),
    _ms("starts_ms"),
    _ms("ends_ms"),
    _text("body"),
    Index(None, "ends_ms"),
)

feedback = Table(
    "feedback",
    records,
    _key("id"),
    _text("alert_id"),
    _ms("time_ms"),
    _flag("active"),
    _text("body"),
    Index(None, "alert_id"),
    Index(None, "time_ms", "id"),
)

changes = Table(
    "changes",
    records,
    _key("id"),
    _ms("time_ms"),
    _text("service"),
    _text("kind"),
    _flag("simulated"),
    _text("body"),
    Index(None, "time_ms", "id"),
    Index(None, "service", "time_ms"),
)

heartbeats = Table(
    "heartbeats", records, _key("name"), _key("source"), _ms("time_ms"), _text("body")
)

users = Table("users", records, _key("name"), _text("body"))

tokens = Table(
    "tokens",
    records,
    _key("id"),
    _text("token_hash"),
    _text("body"),
    UniqueConstraint("token_hash"),
)

sessions = Table(
    "sessions",
    records,
    _key("id_hash"),
    _text("user"),
    _text("csrf"),
    _ms("created_ms"),
    _ms("expires_ms"),
    Index(None, "user"),
    Index(None, "expires_ms"),
)

audit = Table(
    "audit",
    records,
    _number("number"),
    _ms("time_ms"),
    _text("actor"),
    _text("act"),
    _text("target"),
    _text("body"),
    Index(None, "actor"),
    Index(None, "target"),
)

offsets = Table("offsets", records, _key("name"), Column("value", BigInteger, nullable=False))

snapshots = Table(
    "snapshots",
    records,
    _key("name"),
    _ms("saved_ms"),
    Column("data", LargeBinary, nullable=False),
)

meta = Table("meta", records, _key("key"), _text("value"))

entries = Table(
    "journal_entries",
    journal,
    Column(
        "offset",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    _text("kind"),
    _text("source"),
    _ms("arrival_ms"),
    Column("body", LargeBinary, nullable=False),
)

head = Table(
    "journal_head",
    journal,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: there is one row
    Column("offset", BigInteger, nullable=False),
)
