"""Add MFA tables for two-factor authentication.

Which index serves which lookup:

    user_mfa_secrets    UNIQUE (user_id)                  the user's row, read and written at every operation
                        (user_id, is_enabled)             who has a confirmed factor
    mfa_backup_codes    UNIQUE (user_id, code_hash)       a code that is spent, and no code twice
                        (code_hash)                       a hash, whoever's it is
                        (user_id, is_used)                codes that remain; everything by user_id
    mfa_device_trusts   UNIQUE (trust_token)              the device of a cookie
                        (user_id, device_fingerprint)     the device of a browser; everything by user_id
                        (user_id, trusted_until)          a user's devices that are still trusted
    mfa_events          UNIQUE (user_id, seq)             a user's events by page, the chain; everything by user_id
                        (event_type, created_at)          what happened lately, of one kind
                        BRIN (created_at), PostgreSQL     old events, to prune them

No index repeats the leading column of another.

Revision ID: 769e76ff65d7
Revises: 6f65d833c956
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import context, op

from twofold.errors import SchemaDrift
from twofold.schema import catalog, spec
from twofold.schema.references import referencing
from twofold.schema.users import column, configured, live_type, named_type
from twofold.schema.verifier import verify

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.types import TypeEngine

revision = "769e76ff65d7"
down_revision = "6f65d833c956"
branch_labels = None
depends_on = None

_log = logging.getLogger("twofold.migrations")


def upgrade() -> None:
    """Create the tables that are missing. What exists has to conform, or nothing is changed."""
    users = configured(context.config)
    if context.is_offline_mode():
        named = context.get_x_argument(as_dictionary=True).get("twofold_user_id_type", "bigint")
        _create(column(users, named_type(named)), spec.NAMES)
        return
    bind = op.get_bind()
    type_: TypeEngine[object] = live_type(bind, users)
    report = verify(bind, users)
    if not (report.conforms or report.only_missing_tables):
        report.raise_if_drifted()
    _create(column(users, type_), report.missing)


def _create(users: sa.Column[object], names: Collection[str]) -> None:
    for table in spec.tables(users):
        if table.name in names:
            for statement in spec.statements(table, op.get_context().dialect.name):
                op.execute(statement)


def downgrade() -> None:
    """Drop the tables, and with them every enrolment; their indexes go with them, under whatever name."""
    if not context.is_offline_mode():
        bind = op.get_bind()
        if others := referencing(bind, spec.NAMES):
            raise SchemaDrift(
                "Tables of your own refer to those of Twofold; nothing was changed. Drop those foreign keys first.",
                [f"{other}: refers to a table of Twofold" for other in others],
            )
        for name in spec.NAMES:
            if catalog.read(bind, name) is not None:
                count = bind.scalar(sa.select(sa.func.count()).select_from(sa.table(name)))
                _log.warning("Dropping %s with %s rows.", name, count)
    for name in reversed(spec.NAMES):
        op.drop_table(name, if_exists=True)
