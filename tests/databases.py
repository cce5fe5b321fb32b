"""Fresh databases out of running servers: empty ones, and ones that the revision has already been through."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from tests import servers
from twofold.database import create_engine
from twofold.metadata import Key, tables

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("sqlite", "postgresql", *(("mariadb",) if servers.mariadb_programs() else ()))
_MIGRATED = "twofold_migrated"


@dataclass(frozen=True)
class Database:
    """A database of one test: `url` for the blocking face, `backend` is sqlite, postgresql or mariadb."""

    url: str
    backend: str
    _engines: list[sa.Engine] = field(default_factory=list, repr=False)

    def engine(self) -> sa.Engine:
        """An engine as Twofold's own programs use it, disposed of when the test ends."""
        engine = create_engine(self.url)
        self._engines.append(engine)
        return engine

    @cached_property
    def behind(self) -> sa.Engine:
        """The engine for what a test does behind the library's back."""
        return self.engine()

    def dispose(self) -> None:
        """Close what the test left open."""
        for engine in self._engines:
            engine.dispose()


def alembic_config(connection: sa.Connection | None = None) -> Config:
    """The repository's own alembic.ini, on this connection."""
    config = Config(ROOT / "alembic.ini")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def add_passkeys(database: Database) -> None:
    """Make the table of passkeys beside the four."""
    passkeys = tables(sa.MetaData(), passkeys=True).passkeys
    assert passkeys is not None
    sa.Table("users", passkeys.metadata, sa.Column("id", Key, primary_key=True))
    passkeys.create(database.behind)


def migrate(database: Database, revision: str = "head") -> None:
    """Do what `alembic upgrade head` does, however long that takes while other servers start beside this one."""
    engine = create_engine(database.url, answer_within=None)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), revision)
    engine.dispose()


class Source(Protocol):
    """Where databases come from."""

    def create(self, *, migrated: bool) -> Database:
        """Make a database that nobody else has."""
        ...

    def drop(self, database: Database) -> None:
        """Throw it away."""
        ...


class SQLiteFiles:
    """A file for each database; a migrated one is a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    def _at(self, path: Path) -> Database:
        return Database(f"sqlite:///{path}", "sqlite")

    def create(self, *, migrated: bool) -> Database:
        """Make a file name, and the file where it is to be migrated."""
        path = self._folder / f"{next(self._numbers)}.db"
        if migrated:
            template = self._folder / f"{_MIGRATED}.db"
            if not template.exists():
                migrate(self._at(template))
            shutil.copyfile(template, path)
        return self._at(path)

    def drop(self, database: Database) -> None:
        """Delete the file and what stands beside it."""
        path = Path(database.url.removeprefix("sqlite:///"))
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


class _Server:
    """A running server and a connection to it that creates and drops databases."""

    backend: str

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._engine = create_engine(url, answer_within=None)
        self._admin = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._numbers = itertools.count(1)

    def _at(self, name: str) -> Database:
        return Database(self._url.set(database=name).render_as_string(hide_password=False), self.backend)

    def close(self) -> None:
        """Let go of the server."""
        self._admin.close()
        self._engine.dispose()


class PostgreSQLServer(_Server):
    """A database for each test on one server; a migrated one is cloned from a template."""

    backend = "postgresql"
    _has_template = False

    def create(self, *, migrated: bool) -> Database:
        """CREATE DATABASE, out of the template where it is to be migrated."""
        if migrated and not self._has_template:
            # One that was begun and not finished would else be in the way of every other test.
            self._admin.exec_driver_sql(f"DROP DATABASE IF EXISTS {_MIGRATED} WITH (FORCE)")
            self._admin.exec_driver_sql(f"CREATE DATABASE {_MIGRATED}")
            migrate(self._at(_MIGRATED))
            self._has_template = True
        name, template = f"test_{next(self._numbers)}", _MIGRATED if migrated else "template1"
        # A template of some megabytes is copied in half the time that its log takes.
        copied = "STRATEGY FILE_COPY" if (self._admin.dialect.server_version_info or ()) >= (15,) else ""
        self._admin.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template} {copied}")
        return self._at(name)

    def drop(self, database: Database) -> None:
        """DROP DATABASE, whoever is still connected."""
        self._admin.exec_driver_sql(f"DROP DATABASE {sa.make_url(database.url).database} WITH (FORCE)")


class MariaDBServer(_Server):
    """A database for each test on one server; a migrated one is made from the statements of the first."""

    backend = "mariadb"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._statements: list[str] = []

    def create(self, *, migrated: bool) -> Database:
        """CREATE DATABASE, and the tables where it is to be migrated."""
        if migrated and not self._statements:
            self._statements = self._remember()
        name = f"test_{next(self._numbers)}"
        self._admin.exec_driver_sql(f"CREATE DATABASE {name}")
        if migrated:
            for statement in (f"USE {name}", *self._statements):
                self._admin.exec_driver_sql(statement)
        return self._at(name)

    def _remember(self) -> list[str]:
        self._admin.exec_driver_sql(f"DROP DATABASE IF EXISTS {_MIGRATED}")
        self._admin.exec_driver_sql(f"CREATE DATABASE {_MIGRATED}")
        migrate(self._at(_MIGRATED))
        self._admin.exec_driver_sql(f"USE {_MIGRATED}")
        names = sorted(self._admin.exec_driver_sql("SHOW TABLES").scalars(), key=lambda name: str(name) != "users")
        statements = [str(self._admin.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1]) for name in names]
        version = self._admin.exec_driver_sql("SELECT version_num FROM alembic_version_twofold").scalar_one()
        return [*statements, f"INSERT INTO alembic_version_twofold VALUES ('{version}')"]

    def drop(self, database: Database) -> None:
        """DROP DATABASE, unless a connection that the test left open keeps it; it goes with the server then.

        Nothing is killed: a KILL that meets a connection at its end can take MariaDB 10.11 down with it.
        """
        self._admin.exec_driver_sql("SET SESSION lock_wait_timeout = 2")
        with contextlib.suppress(OperationalError):
            self._admin.exec_driver_sql(f"DROP DATABASE {sa.make_url(database.url).database}")


class Sources:
    """Every kind of database, each server started when the first test asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = contextlib.ExitStack()
        self._sources: dict[str, Source] = {}

    def __getitem__(self, backend: str) -> Source:
        if backend not in self._sources:
            self._sources[backend] = self._start(backend)
        return self._sources[backend]

    def _start(self, backend: str) -> Source:
        if backend == "sqlite":
            return SQLiteFiles(self._folder)
        if backend == "postgresql":
            url = self._open.enter_context(servers.postgresql())
            return self._open.enter_context(contextlib.closing(PostgreSQLServer(url)))
        url = self._open.enter_context(servers.mariadb())
        return self._open.enter_context(contextlib.closing(MariaDBServer(url)))

    def close(self) -> None:
        """Stop every server."""
        self._open.close()

    @contextlib.contextmanager
    def database(self, backend: str, *, migrated: bool) -> Iterator[Database]:
        """A database for the length of the block."""
        source = self[backend]
        database = source.create(migrated=migrated)
        try:
            yield database
        finally:
            database.dispose()
            source.drop(database)
