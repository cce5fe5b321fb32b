"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Create what the revision adds."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Drop what the revision added."""
    ${downgrades if downgrades else "raise NotImplementedError"}
