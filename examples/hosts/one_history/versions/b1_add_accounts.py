"""Add accounts.

Revision ID: b1
Revises: nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create accounts."""
    op.create_table(
        "accounts",
        sa.Column("uuid", sa.Uuid(), primary_key=True),
        sa.Column("email", sa.String(255), nullable=False, unique=True),
    )


def downgrade() -> None:
    """Drop accounts."""
    op.drop_table("accounts")
