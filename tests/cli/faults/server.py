"""The database itself."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from tests import servers
from tests.cli.faults.fault import FILE, POOLED, Faults, Sick

FAULTS = Faults()


@FAULTS.add(
    "a database that does not answer",
    "database",
    "wrong",
    "The database does not answer",
    "Start the server, or correct TWOFOLD_DATABASE_URL.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(database_url="postgresql://ada:sekret@127.0.0.1:1/app")


@FAULTS.add(
    "a SQLite file that is not there",
    "database",
    "wrong",
    "There is no file {planted}; `twofold db upgrade` makes it.",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.set(database_url=f"sqlite:///{sick.folder / 'planted'}")


def through_a_pooler(sick: Sick, query: str) -> None:
    sick.set(database_url=sick.cure.enter_context(servers.pgbouncer(sick.database.url)) + query)


@FAULTS.add(
    "a pooler that mixes prepared statements up",
    "pooler",
    "wrong",
    "A pooler gives each transaction another connection, where a statement that psycopg has prepared is missing",
    "Leave prepare_threshold out of TWOFOLD_DATABASE_URL.",
    on=POOLED,
)
def _(sick: Sick) -> None:
    through_a_pooler(sick, "?prepare_threshold=5")


@FAULTS.add(
    "a pooler that refuses a parameter of the connection",
    "database",
    "wrong",
    "A pooler refuses a parameter that connections are opened with. Leave it out, or give it to the role",
    "Start the server, or correct TWOFOLD_DATABASE_URL.",
    on=POOLED,
)
def _(sick: Sick) -> None:
    through_a_pooler(sick, "?options=-csearch_path%3Dpublic")


@FAULTS.add("an old server", "version", "wrong", "is too old.", "Twofold needs", on=("sqlite", "postgresql"))
def _(sick: Sick) -> None:
    if sick.database.backend == "postgresql":
        sick.shadow("version() RETURNS text", "'PostgreSQL 11.22'::text")
    else:
        sick.on_every_connection(lambda connection: connection.create_function("sqlite_version", 0, lambda: "3.30.1"))


@FAULTS.add(
    "MySQL in the place of MariaDB",
    "version",
    "note",
    "This is not MariaDB; Twofold is not tested on MySQL.",
    on=("mariadb",),
)
def _(sick: Sick) -> None:
    def other(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return statement.replace("SELECT version()", "SELECT '8.4.3'"), parameters

    event.listen(sa.Engine, "before_cursor_execute", other, retval=True)
    sick.cure.callback(event.remove, sa.Engine, "before_cursor_execute", other)


@FAULTS.add(
    "foreign keys that are off",
    "foreign keys",
    "wrong",
    "are not enforced.",
    "On SQLite every connection asks for them: PRAGMA foreign_keys = ON",
    on=FILE,
)
def _(sick: Sick) -> None:
    sick.on_every_connection(lambda connection: connection.execute("PRAGMA foreign_keys = OFF"))


@FAULTS.add(
    "a standby",
    "primary",
    "wrong",
    "This is a standby, or a server that takes no writes: nobody can log in over it.",
    "Name the primary in TWOFOLD_DATABASE_URL",
    on=("postgresql", "mariadb"),
)
def _(sick: Sick) -> None:
    if sick.database.backend == "postgresql":
        sick.shadow("pg_is_in_recovery() RETURNS boolean", "true")
        return
    sick.cure.callback(sick.sql, "SET GLOBAL read_only = 0")
    sick.sql("SET GLOBAL read_only = 1")


@FAULTS.add(
    "clocks that are apart",
    "clock",
    "wrong",
    "The database's clock and this machine's are 3600 s apart",
    "Synchronise both with NTP",
    on=("sqlite", "postgresql"),
)
def _(sick: Sick) -> None:
    # It goes on while the command starts, however long that takes.
    if sick.database.backend == "postgresql":
        sick.shadow("clock_timestamp() RETURNS timestamptz", "pg_catalog.clock_timestamp() + interval '1 hour'")
        return

    def ahead(_: object) -> float:
        return (time.time() + 3600) / 86400 + 2440587.5

    sick.on_every_connection(lambda connection: connection.create_function("julianday", 1, ahead))
