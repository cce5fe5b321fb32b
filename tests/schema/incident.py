"""The tables that this project was born from: made by `create_all()` from models, and then stamped.

Indexes where none were wanted and none where they were, defaults that only Python knows, moments without a zone, unique
constraints without a name, users that cannot be deleted. And columns that came later are not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tests.schema.rows import fill
from twofold.schema import spec

if TYPE_CHECKING:
    from tests.databases import Database


def models() -> sa.MetaData:
    """The application's models."""
    metadata = sa.MetaData()

    def table(name: str, *columns: sa.schema.SchemaItem) -> None:
        key = sa.Column("id", sa.Integer, primary_key=True, index=True)
        user_id = sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False)
        sa.Table(name, metadata, key, user_id, *columns)

    def moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
        return sa.Column(name, sa.DateTime, nullable=nullable)

    def flag(name: str) -> sa.Column[bool]:
        return sa.Column(name, sa.Boolean, default=False)

    sa.Table("users", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("subject", sa.String(255)))
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
        connection.exec_driver_sql(f"CREATE TABLE {stamped} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.exec_driver_sql(f"INSERT INTO {stamped} VALUES ('{spec.REVISION}')")
    fill(database, rows)
