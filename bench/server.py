"""Databases that write to the disk and wait for it, as in production: what is measured stands in them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa

# The servers of the tests live in memory, where a commit waits for nothing; what installs one serves here too.
from tests.databases import Database, migrate
from tests.servers import installed_mariadb, installed_postgresql
from twofold.database import create_engine
from twofold.schema import spec


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL server: its programs, and the URL of its `postgres` database."""

    programs: Path
    url: str

    def database(self, name: str, driver: str = "postgresql") -> sa.URL:
        """Return the URL of another database on it."""
        return sa.make_url(self.url).set(database=name, drivername=driver)

    def create(self, name: str, *, migrated: bool = True, template: str = "template1") -> str:
        """Make a database, with the rows of a template to which nobody is connected; return its URL."""
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        url = self.database(name).render_as_string(hide_password=False)
        if migrated:
            migrate(Database(url, "postgresql"))
        return url

    def settle(self, *names: str) -> None:
        """Do at once what the server would do in the background a moment later, in the midst of a measurement."""
        for name in names:
            with psycopg.connect(self.database(name).render_as_string(), autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
        self._execute("CHECKPOINT")

    def version(self) -> str:
        """Say which PostgreSQL this is."""
        with psycopg.connect(self.url) as connection:
            return str(connection.execute("SHOW server_version").fetchall()[0][0])

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


def statements(path: Path) -> list[str]:
    """Read a file of SQL, whose statements have an empty line between them."""
    return path.read_text(encoding="utf-8").strip().rstrip(";").split(";\n\n")


def fill(engine: sa.Engine, statement: str, **values: object) -> None:
    """Run a statement with those of the values that it names. No row has to prove that its user exists."""
    text = sa.text(statement)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.execute(text, {name: values[name] for name in text.compile().params})


def rows(engine: sa.Engine) -> dict[str, int]:
    """Count the rows of each table."""
    with engine.connect() as connection:
        counts = {name: sa.select(sa.func.count()).select_from(sa.table(name)) for name in ("users", *spec.NAMES)}
        return {name: connection.execute(count).scalar_one() for name, count in counts.items()}


@contextlib.contextmanager
def started() -> Iterator[Server]:
    """Run a server with the settings that PostgreSQL ships: every commit is on the disk before it is answered."""
    with installed_postgresql(max_connections="300") as server, server.running():
        yield Server(Path(server.command[0]).parent, server.url)


@contextlib.contextmanager
def migrated(backend: str) -> Iterator[sa.Engine]:
    """Give an engine on a new database behind its revision; the backend is one of `tests.databases.BACKENDS`."""
    with contextlib.ExitStack() as open_:
        if backend == "postgresql":
            url = open_.enter_context(started()).url
        elif backend == "mariadb":
            installed = open_.enter_context(installed_mariadb())
            open_.enter_context(installed.running())
            url = installed.url
        else:
            url = f"sqlite:///{open_.enter_context(tempfile.TemporaryDirectory(prefix='twofold-bench-'))}/twofold.db"
        migrate(Database(url, backend))
        # What the server engines of Twofold's own programs have beside it is no host's, and is not measured.
        driver = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}.get(backend)
        engine = sa.create_engine(sa.make_url(url).set(drivername=driver)) if driver else create_engine(url)
        open_.callback(engine.dispose)
        yield engine
