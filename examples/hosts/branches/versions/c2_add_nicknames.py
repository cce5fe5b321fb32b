"""Add nicknames of trusted devices.

Revision ID: c2
Revises: c1
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c2"
down_revision = "c1"
branch_labels = None
# It refers to a table of Twofold's branch. That says nothing about accounts, which Twofold in turn refers to.
depends_on = "769e76ff65d7"


def upgrade() -> None:
    """Create nicknames."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "nicknames",
        sa.Column("device_id", key, sa.ForeignKey("mfa_device_trusts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("nickname", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Drop nicknames."""
    op.drop_table("nicknames")
