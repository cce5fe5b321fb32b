"""The four tables exactly as revision 769e76ff65d7 makes them.

Frozen: this module never changes and never imports the live tables, for what it says is what databases out there have.
A later revision brings a specification of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.schema import ExecutableDDLElement
    from sqlalchemy.sql.compiler import DDLCompiler

REVISION = "769e76ff65d7"
USERS_REVISION = "6f65d833c956"
VERSION_TABLE = "alembic_version_twofold"
NAMES = ("user_mfa_secrets", "mfa_backup_codes", "mfa_device_trusts", "mfa_events")

Moment = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
"""UTC to the microsecond. MariaDB's DATETIME drops fractions of a second unless told otherwise."""

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the column is an INTEGER."""

# A database whose default is another character set could not hold every name, and MyISAM has no foreign keys.
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mariadb_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_charset": "utf8mb4",
}


def tables(users: sa.Column[Any]) -> tuple[sa.Table, ...]:
    """Build the four tables, in the order of NAMES, in the MetaData of the column that `user_id` references."""
    metadata = users.table.metadata

    def table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
        key = sa.Column("id", Key, primary_key=True)
        user_id = sa.Column("user_id", users.type, sa.ForeignKey(users, ondelete="CASCADE"), nullable=False)
        return sa.Table(name, metadata, key, user_id, *columns, **OPTIONS)

    return (
        table(
            "user_mfa_secrets",
            sa.Column("secret", sa.String(255)),
            sa.Column("pending_secret", sa.String(255)),
            sa.Column("pending_at", Moment),
            sa.Column("algorithm", sa.String(16), nullable=False, server_default="SHA1"),
            sa.Column("digits", sa.Integer(), nullable=False, server_default=sa.text("6")),
            sa.Column("period", sa.Integer(), nullable=False, server_default=sa.text("30")),
            sa.Column("is_enabled", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("is_verified", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("last_used_step", sa.BigInteger()),
            sa.Column("last_challenge", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
            sa.Column("last_used_at", Moment),
            sa.Column("failed_attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
            sa.Column("last_failed_at", Moment),
            sa.Column("locked_until", Moment),
            sa.Column("event_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
            sa.Column("event_head", sa.String(128)),
            sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
            sa.Column("codes_digest", sa.String(160)),
            sa.Column("devices_digest", sa.String(160)),
            sa.Column("passkeys_digest", sa.String(160)),
            sa.Column("cases_digest", sa.String(160)),
            sa.Column("proofs_after", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
            sa.Column("failure_level", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
            sa.Column("failure_level_at", Moment),
            sa.Column("setup_tries", sa.Integer(), nullable=False, server_default=sa.text("0")),
            sa.Column("lines_today", sa.Integer(), nullable=False, server_default=sa.text("0")),
            sa.Column("lines_day", Moment),
            sa.Column("told_refusal", sa.String(128)),
            sa.Column("epoch", sa.String(64)),
            sa.Column("shown_codes", sa.Text()),
            sa.Column("last_answer", sa.String(32)),
            sa.Column("changes_suspended_at", Moment),
            sa.Column("state_mac", sa.String(128)),
            sa.Column("created_at", Moment, nullable=False),
            sa.Column("updated_at", Moment, nullable=False),
            sa.Column("enabled_at", Moment),
            sa.Column("disabled_at", Moment),
            sa.UniqueConstraint("user_id", name="uq_user_mfa_secrets_user_id"),
            sa.Index("ix_user_mfa_secrets_user_id_is_enabled", "user_id", "is_enabled"),
        ),
        table(
            "mfa_backup_codes",
            sa.Column("code_hash", sa.String(128), nullable=False),
            sa.Column("is_used", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("used_at", Moment),
            sa.Column("created_at", Moment, nullable=False),
            sa.Column("expires_at", Moment),
            sa.UniqueConstraint("user_id", "code_hash", name="uq_mfa_backup_codes_user_id_code_hash"),
            sa.Index("ix_mfa_backup_codes_code_hash", "code_hash"),
            sa.Index("ix_mfa_backup_codes_user_id_is_used", "user_id", "is_used"),
        ),
        table(
            "mfa_device_trusts",
            sa.Column("device_fingerprint", sa.String(128), nullable=False),
            sa.Column("device_name", sa.String(255)),
            sa.Column("browser", sa.String(64)),
            sa.Column("platform", sa.String(64)),
            sa.Column("trust_token", sa.String(128), nullable=False),
            sa.Column("previous_token", sa.String(128)),
            sa.Column("rotated_at", Moment),
            sa.Column("trusted_until", Moment, nullable=False),
            sa.Column("last_used_at", Moment),
            sa.Column("usage_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
            sa.Column("ip_address", sa.String(45)),
            sa.Column("location", sa.String(255)),
            sa.Column("created_at", Moment, nullable=False),
            sa.Column("revoked_at", Moment),
            sa.Column("revoked_reason", sa.String(255)),
            sa.UniqueConstraint("trust_token", name="uq_mfa_device_trusts_trust_token"),
            sa.Index("ix_mfa_device_trusts_user_id_device_fingerprint", "user_id", "device_fingerprint"),
            sa.Index("ix_mfa_device_trusts_user_id_trusted_until", "user_id", "trusted_until"),
        ),
        table(
            "mfa_events",
            sa.Column("seq", sa.BigInteger()),
            sa.Column("event_type", sa.String(64), nullable=False),
            sa.Column("event_status", sa.String(16), nullable=False),
            sa.Column("event_details", sa.Text()),
            sa.Column("ip_address", sa.String(45)),
            sa.Column("user_agent", sa.String(512)),
            sa.Column("device_fingerprint", sa.String(128)),
            sa.Column("created_at", Moment, nullable=False),
            sa.Column("mac", sa.String(128)),
            sa.UniqueConstraint("user_id", "seq", name="uq_mfa_events_user_id_seq"),
            sa.Index("ix_mfa_events_event_type_created_at", "event_type", "created_at"),
            sa.Index("ix_mfa_events_created_at_brin", "created_at", postgresql_using="brin"),
        ),
    )


def indexes(table: sa.Table, dialect: str) -> list[sa.Index]:
    """The indexes of a table on a database, by name. BRIN is PostgreSQL's alone."""
    found = [
        index
        for index in table.indexes
        if dialect == "postgresql" or "using" not in index.dialect_options.get("postgresql", {})
    ]
    return sorted(found, key=lambda index: str(index.name))


class CreateTableWithIndexes(CreateTable):
    """CREATE TABLE that names its indexes too, so that no crash can leave the one without the other."""


@compiles(CreateTableWithIndexes, "mysql", "mariadb")
def _with_indexes(element: CreateTableWithIndexes, compiler: DDLCompiler, **options: Any) -> str:
    statement = str(compiler.visit_create_table(element, **options))  # type: ignore[no-untyped-call]
    body, _, end = statement.rpartition("\n)")
    quote = compiler.preparer.quote
    for index in indexes(element.element, "mariadb"):
        names = ", ".join(quote(column.name) for column in index.columns)
        body += f", \n\tINDEX {quote(str(index.name))} ({names})"
    return f"{body}\n){end}"


def statements(table: sa.Table, dialect: str) -> Iterator[ExecutableDDLElement]:
    """What creates a table on a database.

    PostgreSQL and SQLite undo an unfinished CREATE; MariaDB cannot, so a table of it comes whole or not at all.
    """
    if dialect in {"mysql", "mariadb"}:
        yield CreateTableWithIndexes(table)
        return
    yield CreateTable(table)
    yield from (CreateIndex(index) for index in indexes(table, dialect))
