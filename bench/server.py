"""A PostgreSQL server that writes to the disk and waits for it, as in production, and the database to measure on."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import sqlalchemy as sa

# The servers of the tests live in memory, where a commit waits for nothing; what installs one serves here too.
from tests.databases import Database, migrate
from tests.servers import installed_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Server:
    """A running server: its programs, and the URL of its `postgres` database."""

    programs: Path
    url: str

    def database(self, name: str) -> str:
        """The URL of another database on it."""
        return sa.make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def empty(self, name: str) -> str:
        """Make a database with nothing in it; return its URL."""
        self._execute(f"CREATE DATABASE {name}")
        return self.database(name)

    def create(self, name: str) -> str:
        """Make a database that the revision has been through; return its URL."""
        self.empty(name)
        migrate(Database(self.database(name), "postgresql"))
        return self.database(name)

    def copy(self, name: str, template: str) -> str:
        """Make a database with the rows of another, to which nobody is connected; return its URL."""
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.database(name)

    def settle(self, *names: str) -> None:
        """Do at once what the server would do in the background a moment later, in the midst of a measurement."""
        for name in names:
            with psycopg.connect(self.database(name), autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
        self._execute("CHECKPOINT")

    def version(self) -> str:
        """Which PostgreSQL this is."""
        with psycopg.connect(self.url) as connection:
            return str(connection.execute("SHOW server_version").fetchall()[0][0])

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def started() -> Iterator[Server]:
    """Run a server with the settings that PostgreSQL ships: every commit is on the disk before it is answered."""
    with installed_postgresql(max_connections="300") as server, server.running():
        yield Server(Path(server.command[0]).parent, server.url)
