"""The shop's tables: one that Twofold refers to, and one that refers to Twofold's."""

from __future__ import annotations

import sqlalchemy as sa

import twofold

metadata = sa.MetaData()

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("number", sa.BigInteger(), primary_key=True),
    sa.Column("email", sa.String(255), nullable=False, unique=True),
)

devices = twofold.tables(metadata, users="accounts.number").devices

nicknames = sa.Table(
    "nicknames",
    metadata,
    sa.Column("device_id", devices.c.id.type, sa.ForeignKey(devices.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("nickname", sa.String(64), nullable=False),
)
