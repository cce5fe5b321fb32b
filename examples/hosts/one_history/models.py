"""The shop's tables, and Twofold's as its own."""

from __future__ import annotations

import sqlalchemy as sa

import twofold

metadata = sa.MetaData()

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("uuid", sa.Uuid(), primary_key=True),
    sa.Column("email", sa.String(255), nullable=False, unique=True),
)

twofold.tables(metadata, users="accounts.uuid")
