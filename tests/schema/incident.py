"""The tables that this project was born from: made by `create_all()` from models, and then stamped.

Indexes where none were wanted and none where they were, defaults that only Python knows, moments without a zone, unique
constraints without a name, users that cannot be deleted. And columns that came later are not there.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from pyotp import random_base32

from tests.people import Clock, Phone
from tests.schema.rows import fill
from twofold.schema import spec

if TYPE_CHECKING:
    from tests.databases import Database


def models(users_id: sa.types.TypeEngine[Any] = sa.Integer()) -> sa.MetaData:  # noqa: B008 - a type has no state.
    """The application's models, where users have this kind of id."""
    metadata = sa.MetaData()

    def table(name: str, *columns: sa.schema.SchemaItem) -> None:
        key = sa.Column("id", sa.Integer, primary_key=True, index=True)
        user_id = sa.Column("user_id", users_id, sa.ForeignKey("users.id"), nullable=False)
        sa.Table(name, metadata, key, user_id, *columns)

    def moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
        return sa.Column(name, sa.DateTime, nullable=nullable)

    def flag(name: str) -> sa.Column[bool]:
        return sa.Column(name, sa.Boolean, default=False)

    sa.Table("users", metadata, sa.Column("id", users_id, primary_key=True), sa.Column("subject", sa.String(255)))
    table(
        spec.NAMES[0],
        sa.Column("secret", sa.String(255)),
        flag("is_enabled"),
        flag("is_verified"),
        moment("last_used_at"),
        sa.Column("failed_attempts", sa.Integer, default=0),
        moment("last_failed_at"),
        moment("created_at"),
        moment("updated_at"),
        moment("enabled_at"),
        moment("disabled_at"),
        sa.UniqueConstraint("user_id"),
    )
    table(
        spec.NAMES[1],
        sa.Column("code_hash", sa.String(64), nullable=False, index=True),
        flag("is_used"),
        moment("used_at"),
        moment("created_at", nullable=False),
        moment("expires_at"),
    )
    table(
        spec.NAMES[2],
        sa.Column("device_fingerprint", sa.String(64), nullable=False),
        sa.Column("device_name", sa.String(255)),
        sa.Column("browser", sa.String(64)),
        sa.Column("platform", sa.String(64)),
        sa.Column("trust_token", sa.String(64), unique=True, nullable=False),
        moment("trusted_until", nullable=False),
        moment("last_used_at"),
        sa.Column("usage_count", sa.Integer, default=0),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("location", sa.String(255)),
        moment("created_at", nullable=False),
        moment("revoked_at"),
        sa.Column("revoked_reason", sa.String(255)),
    )
    table(
        spec.NAMES[3],
        sa.Column("event_type", sa.String(64), nullable=False),
        sa.Column("event_status", sa.String(16), nullable=False),
        sa.Column("event_details", sa.Text),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("user_agent", sa.String(512)),
        sa.Column("device_fingerprint", sa.String(128)),
        moment("created_at", nullable=False),
    )
    return metadata


def happen(database: Database, *, rows: int = 3, stamped: str = spec.VERSION_TABLE) -> None:
    """`create_all()`, some use, and a blind stamp in one of the two version tables."""
    with database.engine().begin() as connection:
        models().create_all(connection)
        stamp(connection, stamped)
    fill(database, rows)


def happen_in_part(database: Database, *tables: str) -> None:
    """The same, but only these of the four tables are there: what is quicker to repair."""
    happen(database)
    with database.engine().begin() as connection:
        for name in set(spec.NAMES).difference(tables):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    database.dispose()


def stamp(connection: sa.Connection, table: str = spec.VERSION_TABLE) -> None:
    """Record the revision, whatever there is."""
    connection.exec_driver_sql(f"CREATE TABLE {table} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.exec_driver_sql(f"INSERT INTO {table} VALUES ('{spec.REVISION}')")


def older(database: Database, people: int, clock: Clock) -> dict[int, Phone]:
    """So many users of before Twofold, each with a phone, a browser, a line in the log, and codes on paper.

    User 7 has the backup code `abcd-0007` and the cookie `cookie-7`.
    """
    phones = {user: Phone(random_base32(), clock) for user in range(1, people + 1)}
    at = datetime(2026, 11, 20, 8, 0)  # noqa: DTZ001 - the models keep moments without a zone.
    made, tables = {"created_at": at}, models().tables
    secret = {"is_enabled": True, "is_verified": True, "failed_attempts": 0, "updated_at": at, "enabled_at": at} | made
    device = {"device_fingerprint": "f00", "trusted_until": at + timedelta(days=30), "last_used_at": at} | made
    event = {"event_type": "login", "event_status": "success", "event_details": "{}"} | made

    def insert(connection: sa.Connection, table: str, *rows: dict[str, Any]) -> None:
        connection.execute(sa.insert(tables[table]), rows)

    with database.engine().begin() as connection:
        insert(connection, "users", *({"id": user, "subject": f"user-{user}"} for user in phones))
        rows = [({"user_id": user}, f"ABCD{user:04}", phone.secret) for user, phone in phones.items()]
        insert(connection, spec.NAMES[0], *(user | secret | {"secret": base32} for user, _, base32 in rows))
        insert(
            connection,
            spec.NAMES[1],
            *(user | made | {"code_hash": sha256(code.encode()).hexdigest()} for user, code, _ in rows),
        )
        insert(
            connection,
            spec.NAMES[2],
            *(user | device | {"trust_token": f"cookie-{user['user_id']}"} for user, *_ in rows),
        )
        insert(connection, spec.NAMES[3], *(user | event for user, *_ in rows))
    return phones
