"""The shop's own history, which brings Twofold's tables too, and records their revision only where they are there."""

from __future__ import annotations

from alembic import context

from examples.hosts.one_history.models import metadata
from twofold import Settings, include_name
from twofold.database import create_engine
from twofold.schema.stamp import refuse_unverified

engine = create_engine(Settings().database_url.get_secret_value(), answer_within=None)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name(metadata),
        on_version_apply=refuse_unverified,
    )
    with context.begin_transaction():
        context.run_migrations()
