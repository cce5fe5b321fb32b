"""The four tables as the library uses them, and the fifth, for passkeys, where it is asked for.

`tables(metadata)` adds them to a host's `MetaData`, so that its autogenerate sees them as its own. What the revisions
create stands, frozen, in `twofold.schema.spec` and `twofold.schema.passkeys_spec`; a test holds them together.

Tests: `tests/test_migrations.py`, `tests/hosts/test_users.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from twofold.errors import ConfigurationError
from twofold.settings import users_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.sql.type_api import (
        _BindProcessorType,  # pyright: ignore[reportPrivateUsage]
        _ResultProcessorType,  # pyright: ignore[reportPrivateUsage]
    )

NAMES = ("user_mfa_secrets", "mfa_backup_codes", "mfa_device_trusts", "mfa_events")
PASSKEYS = "mfa_passkeys"
POSTGRESQL_INDEX = "ix_mfa_events_created_at_brin"
"""PostgreSQL alone has BRIN."""


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond: aware in Python, and in the column where the database can say so."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """Keep microseconds on MariaDB, whose DATETIME drops them unless told otherwise."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def bind_processor(self, dialect: sa.Dialect) -> _BindProcessorType[datetime] | None:
        """Bind in one step where that is all: a moment of any zone on PostgreSQL, text in UTC on SQLite."""
        match dialect.name:
            case "postgresql":
                return _aware
            case "sqlite":
                return _as_text
            case _:
                return super().bind_processor(dialect)

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Store UTC; refuse a moment without an offset, which could mean anything."""
        if _aware(value) is None or value is None:
            return None
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> _ResultProcessorType[datetime] | None:
        """Read UTC, in one step on PostgreSQL, whose drivers give a moment of the session's zone, and on SQLite."""
        match dialect.name:
            case "postgresql":
                return _in_utc
            case "sqlite":
                return _of_text
            case _:
                return super().result_processor(dialect, coltype)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Read UTC."""
        return _in_utc(value)


def _in_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    try:
        zone = value.tzinfo
    except AttributeError:
        # MariaDB has a day zero, which its drivers give as text.
        raise ValueError("this is no moment") from None
    # An infinite moment comes from asyncpg without a zone, as every moment does from SQLite and MariaDB.
    return value.replace(tzinfo=UTC) if zone is None else value.astimezone(UTC)


def _aware(value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise ValueError("a timestamp needs a time zone")
    return value


# One write has the same moment in several columns, and most of a row's moments are written as they were read.
@lru_cache(maxsize=256)
def _as_text(value: datetime | None) -> str | None:
    """The text that SQLAlchemy's own type for SQLite writes and reads."""
    if _aware(value) is None or value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _of_text(value: str | None) -> datetime | None:
    """Read such a text; others may have written a zone behind it."""
    if value is None:
        return None
    try:
        # A zone is read faster than it is set.
        moment = datetime.fromisoformat(value + "+00:00")
    except ValueError:
        moment = datetime.fromisoformat(value)
    return _in_utc(moment)


Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself only where the column is an INTEGER."""


@dataclass(frozen=True, slots=True)
class UsersColumn:
    """The column that `user_id` references, as `table.column` or `schema.table.column`."""

    schema: str | None
    table: str
    column: str

    @classmethod
    def parse(cls, text: str) -> UsersColumn:
        """Read `users.id` or `app.accounts.uuid`. Raises ConfigurationError for anything else."""
        match users_parts(text):
            case [table, column]:
                return cls(None, table, column)
            case [schema, table, column]:
                return cls(schema, table, column)
            case _:
                raise ConfigurationError("TWOFOLD_USERS names the users' key as table.column, for example users.id.")

    @property
    def table_key(self) -> str:
        """The key of the table in a `MetaData`."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def __str__(self) -> str:
        return f"{self.table_key}.{self.column}"


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables, by what they hold. Iterating over them gives the four; `passkeys` is None where nobody asked."""

    secrets: sa.Table
    codes: sa.Table
    devices: sa.Table
    events: sa.Table
    passkeys: sa.Table | None = None

    def __iter__(self) -> Iterator[sa.Table]:
        return iter((self.secrets, self.codes, self.devices, self.events))


_FROM = "twofold.tables"
_final: Any = sa.schema.conv
"""A name that no naming convention of the host's changes: the revision gives it."""
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mariadb_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_charset": "utf8mb4",
}


def tables(
    metadata: sa.MetaData,
    users: str = "users.id",
    user_id_type: TypeEngine[Any] | None = None,
    *,
    passkeys: bool = False,
) -> Tables:
    """Add the four tables to `metadata` and return them; a second call returns the same ones.

    With `passkeys` the fifth is added as well, also by a later call.

    `users` names the key of the users' table. `user_id` takes `user_id_type`, else the type of that column where the
    table is in `metadata` already, else BIGINT. Where the tables are, the search path decides, and not
    `metadata.schema`. Raises ConfigurationError where `metadata` has tables of these names that are not such ones.
    """
    reference = UsersColumn.parse(users)
    if user_id_type is None:
        parent = metadata.tables.get(reference.table_key)
        user_id_type = None if parent is None else parent.c[reference.column].type
    if made := [metadata.tables[name] for name in NAMES if name in metadata.tables]:
        four = _same(made, reference, user_id_type)
    else:
        four = _build(metadata, reference, sa.BigInteger() if user_id_type is None else user_id_type)
    return replace(four, passkeys=_fifth(metadata, reference, four)) if passkeys else four


def _same(made: list[sa.Table], reference: UsersColumn, user_id_type: TypeEngine[Any] | None) -> Tables:
    """The tables of an earlier call, if they are what this one asks for."""
    if len(made) < len(NAMES) or any(_FROM not in table.info for table in made):
        names = ", ".join(table.name for table in made)
        raise ConfigurationError(f"The metadata has {names} already, not all four from twofold.tables().")
    before, id_type = made[0].info[_FROM], made[0].c.user_id.type
    if before != str(reference):
        raise ConfigurationError(f"The metadata has the four tables already, with users={before!r}.")
    if user_id_type is not None and repr(id_type) != repr(user_id_type):
        raise ConfigurationError(
            f"The metadata has the four tables already, with a user_id of {id_type!r}, which would now be "
            f"{user_id_type!r}; declare the users before the first twofold.tables()."
        )
    return Tables(*made)


def _fifth(metadata: sa.MetaData, reference: UsersColumn, four: Tables) -> sa.Table:
    """The table of passkeys beside the four: that of an earlier call, else a new one."""
    made = metadata.tables.get(PASSKEYS)
    if made is None:
        return _build_passkeys(metadata, reference, four.secrets.c.user_id.type)
    if _FROM not in made.info:
        raise ConfigurationError(f"The metadata has {PASSKEYS} already, not from twofold.tables().")
    return made


class _Frame:
    """What all the tables have in common: their options, `id`, and the `user_id` that goes with its user."""

    def __init__(self, metadata: sa.MetaData, reference: UsersColumn, user_id_type: TypeEngine[Any]) -> None:
        self._metadata = metadata
        self._reference = reference
        self._user_id_type = user_id_type
        conventions: Any = metadata.naming_convention
        convention = str(conventions.get("fk") or conventions.get(sa.ForeignKeyConstraint))
        # The revision leaves the name to the database. Where the host's convention asks for one, any will do.
        self._name = "users" if "%(constraint_name)s" in convention else None

    def table(self, name: str, *items: sa.schema.SchemaItem) -> sa.Table:
        """Add a table with these columns, keys and indexes."""
        cascade = sa.ForeignKey(str(self._reference), name=self._name, ondelete="CASCADE")
        made = sa.Table(
            name,
            self._metadata,
            sa.Column("id", Key, primary_key=True),
            sa.Column("user_id", self._user_id_type, cascade, nullable=False),
            *items,
            schema=sa.BLANK_SCHEMA,
            **_OPTIONS,
        )
        made.info[_FROM] = str(self._reference)
        return made


def _build(metadata: sa.MetaData, reference: UsersColumn, user_id_type: TypeEngine[Any]) -> Tables:
    """Add the four tables."""
    frame = _Frame(metadata, reference, user_id_type)
    secrets = frame.table(
        "user_mfa_secrets",
        sa.Column("secret", sa.String(255)),
        sa.Column("pending_secret", sa.String(255)),
        sa.Column("pending_at", UTCDateTime()),
        sa.Column("algorithm", sa.String(16), nullable=False, server_default="SHA1"),
        sa.Column("digits", sa.Integer(), nullable=False, server_default=sa.text("6")),
        sa.Column("period", sa.Integer(), nullable=False, server_default=sa.text("30")),
        sa.Column("is_enabled", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("is_verified", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("last_used_step", sa.BigInteger()),
        sa.Column("last_challenge", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("last_used_at", UTCDateTime()),
        sa.Column("failed_attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("last_failed_at", UTCDateTime()),
        sa.Column("locked_until", UTCDateTime()),
        sa.Column("event_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("event_head", sa.String(128)),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("codes_digest", sa.String(160)),
        sa.Column("devices_digest", sa.String(160)),
        sa.Column("passkeys_digest", sa.String(160)),
        sa.Column("cases_digest", sa.String(160)),
        sa.Column("proofs_after", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("failure_level", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("failure_level_at", UTCDateTime()),
        sa.Column("setup_tries", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("lines_today", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("lines_day", UTCDateTime()),
        sa.Column("told_refusal", sa.String(128)),
        sa.Column("epoch", sa.String(64)),
        sa.Column("shown_codes", sa.Text()),
        sa.Column("last_answer", sa.String(32)),
        sa.Column("changes_suspended_at", UTCDateTime()),
        sa.Column("state_mac", sa.String(128)),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("enabled_at", UTCDateTime()),
        sa.Column("disabled_at", UTCDateTime()),
        sa.UniqueConstraint("user_id", name=_final("uq_user_mfa_secrets_user_id")),
        sa.Index(_final("ix_user_mfa_secrets_user_id_is_enabled"), "user_id", "is_enabled"),
    )
    codes = frame.table(
        "mfa_backup_codes",
        sa.Column("code_hash", sa.String(128), nullable=False),
        sa.Column("is_used", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("used_at", UTCDateTime()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime()),
        sa.UniqueConstraint("user_id", "code_hash", name=_final("uq_mfa_backup_codes_user_id_code_hash")),
        sa.Index(_final("ix_mfa_backup_codes_code_hash"), "code_hash"),
        sa.Index(_final("ix_mfa_backup_codes_user_id_is_used"), "user_id", "is_used"),
    )
    devices = frame.table(
        "mfa_device_trusts",
        sa.Column("device_fingerprint", sa.String(128), nullable=False),
        sa.Column("device_name", sa.String(255)),
        sa.Column("browser", sa.String(64)),
        sa.Column("platform", sa.String(64)),
        sa.Column("trust_token", sa.String(128), nullable=False),
        sa.Column("previous_token", sa.String(128)),
        sa.Column("rotated_at", UTCDateTime()),
        sa.Column("trusted_until", UTCDateTime(), nullable=False),
        sa.Column("last_used_at", UTCDateTime()),
        sa.Column("usage_count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("location", sa.String(255)),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime()),
        sa.Column("revoked_reason", sa.String(255)),
        sa.UniqueConstraint("trust_token", name=_final("uq_mfa_device_trusts_trust_token")),
        sa.Index(_final("ix_mfa_device_trusts_user_id_device_fingerprint"), "user_id", "device_fingerprint"),
        sa.Index(_final("ix_mfa_device_trusts_user_id_trusted_until"), "user_id", "trusted_until"),
    )
    events = frame.table(
        "mfa_events",
        sa.Column("seq", sa.BigInteger()),
        sa.Column("event_type", sa.String(64), nullable=False),
        sa.Column("event_status", sa.String(16), nullable=False),
        sa.Column("event_details", sa.Text()),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("user_agent", sa.String(512)),
        sa.Column("device_fingerprint", sa.String(128)),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("mac", sa.String(128)),
        sa.UniqueConstraint("user_id", "seq", name=_final("uq_mfa_events_user_id_seq")),
        sa.Index(_final("ix_mfa_events_event_type_created_at"), "event_type", "created_at"),
    )
    # As an Index of the table it would be missing on every other database, in the eyes of Alembic's autogenerate.
    brin = sa.DDL(f"CREATE INDEX {POSTGRESQL_INDEX} ON %(fullname)s USING brin (created_at)")  # type: ignore[no-untyped-call]
    event.listen(events, "after_create", brin.execute_if(dialect="postgresql"))
    return Tables(secrets, codes, devices, events)


def _build_passkeys(metadata: sa.MetaData, reference: UsersColumn, user_id_type: TypeEngine[Any]) -> sa.Table:
    """Add the fifth table."""
    return _Frame(metadata, reference, user_id_type).table(
        PASSKEYS,
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("credential_key", sa.String(128), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("user_handle", sa.String(86), nullable=False),
        sa.Column("rp_id", sa.String(253), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("backup_state", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("user_verified", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("transports", sa.String(128)),
        sa.Column("aaguid", sa.String(36)),
        sa.Column("attestation_format", sa.String(32)),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("last_used_at", UTCDateTime()),
        sa.Column("suspended_at", UTCDateTime()),
        sa.Column("revoked_at", UTCDateTime()),
        sa.Column("revoked_reason", sa.String(255)),
        sa.UniqueConstraint("credential_key", name=_final("uq_mfa_passkeys_credential_key")),
        sa.Index(_final("ix_mfa_passkeys_user_id_revoked_at"), "user_id", "revoked_at"),
    )
