"""What Alembic runs for every command on a history, with or without a database."""

from __future__ import annotations

from logging.config import fileConfig
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import context

from twofold.address import backend_of
from twofold.database import create_engine, prefer_readers
from twofold.errors import ConfigurationError
from twofold.schema import locking, place
from twofold.schema.failures import as_command_error
from twofold.schema.history import EVERY
from twofold.schema.stamp import refuse_unverified
from twofold.settings import Settings

if TYPE_CHECKING:
    from twofold.schema.history import History


def _require_section(history: History, section: str) -> None:
    """Raise ConfigurationError where `alembic --name` means another history than its configuration has led to.

    Where a pyproject.toml configures Alembic, a section that is nowhere is no error of its own.
    """
    for other in EVERY:
        if other is not history and other.name == section:
            raise ConfigurationError(
                f"No alembic.ini has a section [{section}], and without it `--name {section}` would mean another "
                f"history; nothing was changed. Add it, with script_location = {other.scripts} in it."
            )


def _offline(history: History, settings: Settings) -> None:
    """Write SQL for the database that the settings name, without asking it anything."""
    backend = backend_of(sa.make_url(settings.database_url.get_secret_value()))
    context.configure(dialect_name=backend, literal_binds=True, version_table=history.version_table)
    with context.begin_transaction():
        context.run_migrations()


def _online(history: History, connection: sa.Connection) -> None:
    """Migrate over one connection, in a turn of its own; what only reads waits for nobody and takes no lock."""
    has_begun = connection.in_transaction()
    ours = place.ours(connection)
    if not has_begun:
        # Alembic takes a transaction that is under way for the caller's, and would leave its end to the caller.
        connection.rollback()

    def configure() -> None:
        context.configure(
            connection=connection,
            version_table=history.version_table,
            version_table_schema=ours,
            on_version_apply=refuse_unverified,
        )

    def migrate() -> None:
        configure()
        with context.begin_transaction():
            context.run_migrations()

    configure()
    if context.get_context().opts.get("dont_mutate", False):
        context.run_migrations()
    else:
        prefer_readers(connection)
        locking.take(connection, migrate, history.version_table)


def run(history: History) -> None:
    """Take the connection that the caller gives, else make one as the settings say."""
    config = context.config
    # Only the command line configures logging, where its file says how; a host that calls Alembic has done so itself.
    file = config.config_file_name if config.cmd_opts is not None else None
    if file is not None and config.file_config.has_section("loggers"):
        fileConfig(file, disable_existing_loggers=False)
    with as_command_error():
        _require_section(history, config.config_ini_section)
        settings: Settings = config.attributes.get("settings") or Settings()
        if context.is_offline_mode():
            _offline(history, settings)
        elif (given := config.attributes.get("connection")) is not None:
            _online(history, given)
        else:
            engine = create_engine(settings.database_url.get_secret_value(), answer_within=None)
            try:
                with engine.connect() as connection:
                    _online(history, connection)
            finally:
                engine.dispose()
