"""The sample's own tables, beside `users`, which Twofold's first revision makes where a database has none."""

from __future__ import annotations

import sqlalchemy as sa

from twofold.metadata import UTCDateTime

metadata = sa.MetaData()

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("subject", sa.String(255), nullable=False, unique=True),
    sa.Column("created_at", UTCDateTime(), nullable=False),
)

accounts = sa.Table(
    "sample_accounts",
    metadata,
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    sa.Column("password_hash", sa.String(255), nullable=False),
    # Counts the passwords; a session of an older one is none any more, whoever began it when.
    sa.Column("password_serial", sa.Integer(), nullable=False, server_default=sa.text("0")),
)

sessions = sa.Table(
    "sample_sessions",
    metadata,
    sa.Column("id_hash", sa.String(64), primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("password_serial", sa.Integer(), nullable=False),
    sa.Column("how", sa.String(32), nullable=False),
    # What stood for the user's factors when the login began; with another one the session is none any more.
    sa.Column("epoch", sa.String(64)),
    sa.Column("challenge", sa.Text()),
    # Another session has followed this one, which is kept for a moment: its answer may not have arrived.
    sa.Column("is_answered", sa.Boolean(), nullable=False, default=False),
    sa.Column("proof", sa.Text()),
    sa.Column("expires_at", UTCDateTime(), nullable=False),
)


def create(engine: sa.Engine) -> None:
    """Make the sample's own tables where they are missing."""
    metadata.create_all(engine, tables=[accounts, sessions])
