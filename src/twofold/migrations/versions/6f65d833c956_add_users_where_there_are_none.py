"""Add users where there are none.

An application that has a users table keeps it: this revision then does nothing, up or down. In a database without
tables, or where it is asked for, a minimal one is made for the self-hosted service, whose `subject` is the
application's own name for the user.

Revision ID: 6f65d833c956
Revises: nothing
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import context, op

from twofold.errors import SchemaDrift
from twofold.schema import catalog, founding, place, spec
from twofold.schema.dependants import find
from twofold.schema.failures import refusal_as_command_error
from twofold.schema.users.users import configured, parent

revision = "6f65d833c956"
down_revision = None
# A host that takes this history as a branch of its own says twofold@head.
branch_labels = ("twofold",)
depends_on = None

_log = logging.getLogger("twofold.migrations")
# Seen again at the downgrade, together with the mark: a table of the host's own is never dropped.
_COLUMNS = {"id", "subject", "created_at"}


def _users(dialect: str) -> sa.Table:
    # MariaDB's CURRENT_TIMESTAMP is local time, which PostgreSQL's column type and SQLite convert to UTC by themselves.
    now = "(utc_timestamp(6))" if dialect in {"mysql", "mariadb"} else "CURRENT_TIMESTAMP"
    return sa.Table(
        "users",
        sa.MetaData(),
        sa.Column("id", spec.Key, primary_key=True),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("created_at", spec.Moment, nullable=False, server_default=sa.text(now)),
        sa.UniqueConstraint("subject", name=founding.MARK),
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mariadb_charset="utf8mb4",
    )


@refusal_as_command_error()
def upgrade() -> None:
    """Create `users` where the settings name `users.id`, and there is no table at all, or it was asked for."""
    if str(configured(context.config)) != "users.id":
        return
    dialect = op.get_context().dialect.name
    if context.is_offline_mode():
        # Another type of user_id means that the application has a users table.
        if context.get_x_argument(as_dictionary=True).get("twofold_user_id_type", "bigint").lower() == "bigint":
            op.execute(
                "-- For an empty database. Are your users in another table? Set TWOFOLD_USERS, and write this anew."
            )
            op.execute(sa.schema.CreateTable(_users(dialect), if_not_exists=True))
        return
    bind = op.get_bind()
    users = configured(context.config)
    if parent(bind, users) is not None:
        return
    schema = place.ours(bind)
    if taken := [name for name in spec.NAMES if catalog.read(bind, name, schema) is not None]:
        raise SchemaDrift(
            "There is no users table, but tables that belong to one; nothing was changed. "
            "Restore it, or set TWOFOLD_USERS, then run `twofold db adopt`.",
            [f"{name}: exists without users" for name in taken],
        )
    if founding.founds(bind, users, asked=_is_asked()):
        op.execute(sa.schema.CreateTable(_users(dialect)))
        _log.info("There was no table users, so an empty one was made.")


def _is_asked() -> bool:
    """By the caller of the library, or by `-x` on the command line of Alembic."""
    if context.config.attributes.get("with_users"):
        return True
    return context.get_x_argument(as_dictionary=True).get(founding.OPTION) == "yes"


def downgrade() -> None:
    """Drop `users` only if this revision made it and nothing else hangs on it."""
    if context.is_offline_mode():
        op.execute("-- The table users is left alone: without the database nobody can tell whose it is.")
        return
    bind = op.get_bind()
    schema = place.ours(bind)
    users = catalog.read(bind, "users", schema)
    if users is None or users.kind != "table" or set(users.columns) != _COLUMNS or not _is_marked(bind, schema):
        return
    if others := [one for one in find.of_tables(bind, ["users"]) if one.fate != "goes along"]:
        _log.warning("The table users stays. %s", " ".join(map(str, others)))
        return
    count = bind.scalar(sa.select(sa.func.count()).select_from(sa.table("users", schema=schema)))
    _log.warning("Dropping users with %s rows.", count)
    op.drop_table("users")


def _is_marked(bind: sa.Connection, schema: str | None) -> bool:
    return any(unique["name"] == founding.MARK for unique in sa.inspect(bind).get_unique_constraints("users", schema))
