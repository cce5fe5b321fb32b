"""Check for a pooler before PostgreSQL, and for prepared statements that it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold import pooler
from twofold.cli.doctor.check import Check
from twofold.schema.failures import as_mfa_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.terminal import Terminal


def statements(terminal: Terminal) -> Iterator[Check]:
    """Check, on PostgreSQL, that no prepared statement is lost by a pooler that changes connections."""
    engine = terminal.engine
    if engine.dialect.name != "postgresql":
        return
    with as_mfa_errors():
        changes = pooler.changes_connections(engine)
        with engine.connect() as connection:
            loses = changes and pooler.loses_statements(connection)
    if not changes:
        yield Check("pooler", "ok", "Every connection keeps its own connection of the server.")
    elif loses:
        message = (
            "A pooler gives each transaction another connection, where a statement that psycopg has prepared is "
            "missing, or is another one."
        )
        yield Check("pooler", "wrong", message, "Leave prepare_threshold out of TWOFOLD_DATABASE_URL.")
    else:
        yield Check("pooler", "ok", "A pooler gives each transaction another connection, and no statement is lost.")
