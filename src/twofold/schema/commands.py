"""What the command line does with the schema, as plain functions. They raise MFAError and nothing else."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from twofold.alone import alone
from twofold.metadata import UsersColumn
from twofold.schema import founding, making, place, spec
from twofold.schema.conformity import verifier
from twofold.schema.dependants import find
from twofold.schema.failures import as_mfa_errors
from twofold.schema.history import FOUR, History
from twofold.schema.users.users import described

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from twofold.schema.conformity.findings import Report
    from twofold.schema.dependants.dependant import Dependant
    from twofold.settings import Settings

# Alembic keeps its state in module globals.
_one_at_a_time = Lock()


def _run(
    action: Callable[..., Any],
    engine: sa.Engine,
    settings: Settings,
    revision: str,
    history: History,
    *,
    with_users: bool = False,
) -> Report | None:
    """Run a command of Alembic, and give the report of what it verified, if it did."""
    config = Config()
    config.set_main_option("script_location", history.scripts)
    config.set_main_option("path_separator", "os")
    with _one_at_a_time, as_mfa_errors(), alone(engine), engine.connect() as connection:
        config.attributes.update(connection=connection, settings=settings, with_users=with_users)
        action(config, revision)
        return config.attributes.get("report")


def upgrade(
    engine: sa.Engine,
    settings: Settings,
    revision: str = "head",
    *,
    with_users: bool = False,
    history: History = FOUR,
) -> Report | None:
    """Bring the database to a revision; returns the report of tables that were there and conform, if they were.

    Raises SchemaDrift, with nothing changed, where existing tables differ.

    `users` is made in a database without tables and views, and with `with_users` beside others. Where there are others
    and none is the one that the settings name, raises ConfigurationError, which lists those whose key would do.
    """
    return _run(command.upgrade, engine, settings, revision, history, with_users=with_users)


def downgrade(engine: sa.Engine, settings: Settings, revision: str = "-1", *, history: History = FOUR) -> None:
    """Take revisions back; what they made is dropped with its rows.

    Raises SchemaDrift, with nothing changed, where something else hangs on the tables.
    """
    _run(command.downgrade, engine, settings, revision, history)


def going_along(engine: sa.Engine, *, history: History = FOUR) -> tuple[Dependant, ...]:
    """What a downgrade would take along, or leave naming the tables. Raises SchemaDrift where it would be refused."""
    with as_mfa_errors(), alone(engine), engine.connect() as connection:
        there = [name for name, relation in verifier.read(connection, history).items() if relation is not None]
        return find.going_along(connection, there)


def left_behind(engine: sa.Engine, *, history: History = FOUR) -> tuple[str, ...]:
    """What a downgrade would leave of histories that come after this one, for people."""
    with as_mfa_errors(), alone(engine), engine.connect() as connection:
        return tuple(making.left_behind(connection, history))


def stamp(engine: sa.Engine, settings: Settings, revision: str = spec.REVISION, *, history: History = FOUR) -> None:
    """Record a revision without running it. Raises SchemaDrift where the tables do not conform to it."""
    _run(command.stamp, engine, settings, revision, history)


def current(engine: sa.Engine, *, history: History = FOUR) -> str | None:
    """The revision that the database has recorded."""
    with as_mfa_errors(), alone(engine), engine.connect() as connection:
        options = {"version_table": history.version_table, "version_table_schema": place.ours(connection)}
        return MigrationContext.configure(connection, opts=options).get_current_revision()


def founds(engine: sa.Engine, settings: Settings, *, with_users: bool = False) -> bool:
    """Whether an upgrade would make `users`. Raises as it would."""
    with as_mfa_errors(), alone(engine), engine.connect() as connection:
        return founding.founds(connection, UsersColumn.parse(settings.users), asked=with_users)


def referenced(engine: sa.Engine, settings: Settings) -> str:
    """What `user_id` references, with its type, for people: `users.id (bigint)`."""
    with as_mfa_errors(), alone(engine), engine.connect() as connection:
        return described(connection, UsersColumn.parse(settings.users))


def has(engine: sa.Engine, history: History) -> bool:
    """Whether the database has the tables of a history that not every database has, or says that it does."""
    with as_mfa_errors(), alone(engine), engine.connect() as connection:
        return verifier.has(connection, history)


def verify(engine: sa.Engine, settings: Settings, *, history: History = FOUR) -> Report:
    """Compare the live tables with the revision of a history, reading the catalog only."""
    with as_mfa_errors(), alone(engine), engine.connect() as connection:
        return verifier.verify(connection, UsersColumn.parse(settings.users), history)
