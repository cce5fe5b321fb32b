"""The fifth table exactly as revision b1f04c7d29ae makes it, in a history of its own beside that of the four.

Frozen: this module never changes and never imports the live tables, for what it says is what databases out there have.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from twofold.schema.spec import OPTIONS, Key, Moment

REVISION = "b1f04c7d29ae"
VERSION_TABLE = "alembic_version_twofold_passkeys"
NAMES = ("mfa_passkeys",)


def tables(users: sa.Column[Any]) -> tuple[sa.Table, ...]:
    """Build the table, in the MetaData of the column that `user_id` references."""
    passkeys = sa.Table(
        "mfa_passkeys",
        users.table.metadata,
        sa.Column("id", Key, primary_key=True),
        sa.Column("user_id", users.type, sa.ForeignKey(users, ondelete="CASCADE"), nullable=False),
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
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("last_used_at", Moment),
        sa.Column("suspended_at", Moment),
        sa.Column("revoked_at", Moment),
        sa.Column("revoked_reason", sa.String(255)),
        sa.UniqueConstraint("credential_key", name="uq_mfa_passkeys_credential_key"),
        sa.Index("ix_mfa_passkeys_user_id_revoked_at", "user_id", "revoked_at"),
        **OPTIONS,
    )
    return (passkeys,)
