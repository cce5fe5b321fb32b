"""How far a long statement has come, as the database tells another connection."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EVERY = 0.5
_POSTGRESQL = sa.text(
    "SELECT CASE WHEN tuples_total > 0 THEN tuples_done::float8 / tuples_total "
    "WHEN blocks_total > 0 THEN blocks_done::float8 / blocks_total END "
    "FROM pg_stat_progress_create_index WHERE pid = :id"
)
_MARIADB = sa.text("SELECT progress / 100 FROM information_schema.processlist WHERE id = :id")


@contextmanager
def watched(engine: sa.Engine, connection: sa.Connection, tell: Callable[[float | None], None]) -> Iterator[None]:
    """Tell, twice a second for the length of the block, which share of its statement the connection has done.

    SQLite does not say; then only the beginning is told.
    """
    tell(None)
    queries = {"postgresql": ("pg_backend_pid", _POSTGRESQL), "mariadb": ("connection_id", _MARIADB)}
    if connection.dialect.name not in queries:
        yield
        return
    function, query = queries[connection.dialect.name]
    number = connection.scalar(sa.select(getattr(sa.func, function)()))
    connection.rollback()
    over = threading.Event()

    def watch() -> None:
        # Progress is a courtesy: without it the work goes on.
        try:
            while not over.wait(_EVERY):
                with engine.connect() as another:
                    share = another.execute(query, {"id": number}).scalar_one_or_none()
                tell(None if share is None else min(float(share), 1.0))
        except SQLAlchemyError:
            return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
