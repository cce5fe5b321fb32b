"""What a session of PostgreSQL holds that would meet whoever is given its connection next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

import psycopg

if TYPE_CHECKING:
    from tests.databases import Database

# PgBouncer itself sets these for each client, when it gives the client a connection.
_KEPT_BY_THE_POOLER = "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "application_name"
_ASKED: dict[str, LiteralString] = {
    "settings": "SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY name",
    "role and path": "SELECT current_user, session_user, current_schemas(true)::text",
    "statements": "SELECT statement FROM pg_prepared_statements",
    "cursors": "SELECT name FROM pg_cursors WHERE is_holdable",
    "channels": "SELECT pg_listening_channels()",
    "temporary tables": "SELECT relname FROM pg_class WHERE relpersistence = 't'",
}
_LOCKS = (
    "SELECT locktype, mode FROM pg_locks WHERE pid = %s AND (locktype = 'advisory' OR fastpath OR relation > 16383)"
)


def left_behind(pooled: str, database: Database) -> dict[str, list[Any]]:
    """Ask the session that a pooler with one connection gives, and the server about that session."""
    with psycopg.connect(pooled, prepare_threshold=None, autocommit=True) as session:
        found: dict[str, list[Any]] = {what: session.execute(text).fetchall() for what, text in _ASKED.items()}
        (process,) = session.execute("SELECT pg_backend_pid()").fetchone() or (0,)
    with psycopg.connect(database.url) as watching:
        found["locks"] = watching.execute(_LOCKS, (process,)).fetchall()
        found["transactions"] = watching.execute(
            "SELECT state FROM pg_stat_activity WHERE pid = %s AND state <> 'idle'", (process,)
        ).fetchall()
    found["settings"] = [one for one in found["settings"] if one[0] not in _KEPT_BY_THE_POOLER]
    return found
