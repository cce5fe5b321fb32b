"""What Alembic runs for every command, with or without a database."""

from __future__ import annotations

from logging.config import fileConfig

import sqlalchemy as sa
from alembic import context

from twofold.address import backend_of
from twofold.database import create_engine, prefer_readers
from twofold.schema import locking, place, spec
from twofold.schema.failures import as_command_error
from twofold.schema.stamp import refuse_unverified
from twofold.settings import Settings


def offline(settings: Settings) -> None:
    """Write SQL for the database that the settings name, without asking it anything."""
    backend = backend_of(sa.make_url(settings.database_url.get_secret_value()))
    context.configure(dialect_name=backend, literal_binds=True, version_table=spec.VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


def online(connection: sa.Connection) -> None:
    """Migrate over one connection, in a turn of its own; what only reads waits for nobody and takes no lock."""
    has_begun = connection.in_transaction()
    ours = place.ours(connection)
    if not has_begun:
        # Alembic takes a transaction that is under way for the caller's, and would leave its end to the caller.
        connection.rollback()

    def configure() -> None:
        context.configure(
            connection=connection,
            version_table=spec.VERSION_TABLE,
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
        locking.take(connection, migrate)


def main() -> None:
    """Take the connection that the caller gives, else make one as the settings say."""
    config = context.config
    # Only the command line configures logging, where its file says how; a host that calls Alembic has done so itself.
    file = config.config_file_name if config.cmd_opts is not None else None
    if file is not None and config.file_config.has_section("loggers"):
        fileConfig(file, disable_existing_loggers=False)
    with as_command_error():
        settings: Settings = config.attributes.get("settings") or Settings()
        if context.is_offline_mode():
            offline(settings)
        elif (given := config.attributes.get("connection")) is not None:
            online(given)
        else:
            engine = create_engine(settings.database_url.get_secret_value(), answer_within=None)
            try:
                with engine.connect() as connection:
                    online(connection)
            finally:
                engine.dispose()


main()
