"""The shop's own history. `include_name` keeps autogenerate away from Twofold's tables and its version table."""

from __future__ import annotations

from alembic import context

from examples.hosts.own_history.models import metadata
from twofold import Settings, include_name
from twofold.database import create_engine

engine = create_engine(Settings().database_url.get_secret_value(), answer_within=None)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name(metadata),
    )
    with context.begin_transaction():
        context.run_migrations()
