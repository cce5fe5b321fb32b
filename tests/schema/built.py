"""What applications build on tables, each by SQL, and what the database says to it when the tables change or go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from twofold.schema import spec
from twofold.schema.dependants import find

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from tests.databases import Database
    from twofold.schema.dependants.dependant import Fate


@dataclass(frozen=True)
class Built:
    """`statements` make it on a table and a column, and `gone` takes it away.

    `told` is how it is called, `drop` what DROP TABLE does to it, `refuses` whether it keeps the incident of
    tests/schema/incident.py from being adopted.
    """

    backend: str
    name: str
    told: str
    drop: Fate | None
    refuses: bool
    statements: tuple[str, ...]
    gone: tuple[str, ...]
    table: str = "mfa_events"
    column: str = "created_at"

    def at(self, table: str, column: str) -> Built:
        """The same on another column."""
        return replace(self, table=table, column=column)

    def make(self, connection: sa.Connection) -> None:
        """Build it."""
        self._execute(connection, self.statements)

    def take_away(self, connection: sa.Connection) -> None:
        """Leave nothing of it, where somebody else has not done so."""
        for statement in self.gone:
            try:
                self._execute(connection, (statement,))
            except DBAPIError:
                connection.rollback()

    def called(self, connection: sa.Connection) -> str:
        """Tell its name, with that of the table and the database."""
        return self._placed(connection, self.told)

    def _execute(self, connection: sa.Connection, statements: tuple[str, ...]) -> None:
        for statement in statements:
            connection.exec_driver_sql(self._placed(connection, statement))
        connection.commit()

    def _placed(self, connection: sa.Connection, text: str) -> str:
        here = str(connection.engine.url.database)
        placed = {"{table}": self.table, "{column}": self.column, "{here}": here}
        for word, meant in placed.items():
            text = text.replace(word, meant)
        return text


_FUNCTION = "CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
_NEVER = "CREATE OR REPLACE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''kept''; END'"
_NO_SCHEMA = "DROP SCHEMA elsewhere CASCADE"


def _postgresql(
    name: str,
    told: str,
    drop: Fate | None,
    *statements: str,
    gone: tuple[str, ...] = (),
    refuses: bool = True,
) -> Built:
    made = ("CREATE SCHEMA IF NOT EXISTS elsewhere", *statements)
    return Built("postgresql", name, told, drop, refuses, made, (*gone, _NO_SCHEMA))


POSTGRESQL = (
    _postgresql(
        "a view in another schema",
        "view elsewhere.recent",
        "refuses",
        "CREATE VIEW elsewhere.recent AS SELECT id FROM {table} WHERE {column} IS NOT NULL",
    ),
    _postgresql(
        "a materialized view",
        "materialized view elsewhere.kept",
        "refuses",
        "CREATE MATERIALIZED VIEW elsewhere.kept AS SELECT {column} FROM {table}",
    ),
    _postgresql(
        "a view of no column",
        "view elsewhere.many",
        "refuses",
        "CREATE VIEW elsewhere.many AS SELECT count(*) FROM {table}",
        refuses=False,
    ),
    _postgresql(
        "a foreign key in another schema",
        "table constraint notes_id_fkey on elsewhere.notes",
        "refuses",
        "CREATE TABLE elsewhere.notes (id BIGINT REFERENCES {table} (id))",
        refuses=False,
    ),
    _postgresql(
        "a function with its body",
        "function elsewhere.counted()",
        "refuses",
        "CREATE FUNCTION elsewhere.counted() RETURNS bigint LANGUAGE sql "
        "BEGIN ATOMIC SELECT count(*) FROM {table} WHERE {column} IS NOT NULL; END",
    ),
    _postgresql(
        "a function whose text names it",
        "function public.counted_by_text()",
        "breaks",
        "CREATE FUNCTION counted_by_text() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM \"{table}\"'",
        gone=("DROP FUNCTION counted_by_text()",),
        refuses=False,
    ),
    _postgresql(
        "a procedure in another schema whose text means it",
        "procedure elsewhere.cleared()",
        "breaks",
        "CREATE PROCEDURE elsewhere.cleared() LANGUAGE plpgsql AS 'BEGIN DELETE FROM Public.{table}; END'",
        refuses=False,
    ),
    _postgresql(
        "a function in another schema whose text names one",
        "function elsewhere.counted_somewhere()",
        "may break",
        "CREATE FUNCTION elsewhere.counted_somewhere() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM {table}'",
        refuses=False,
    ),
    _postgresql(
        "a trigger of the users whose function names it",
        "trigger writes on public.users",
        "breaks",
        "CREATE FUNCTION elsewhere.writes() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN DELETE FROM {table} WHERE user_id = -1; RETURN NEW; END'",
        "CREATE TRIGGER writes AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION elsewhere.writes()",
        refuses=False,
    ),
    _postgresql(
        "a policy of another table",
        "policy seen on elsewhere.seen",
        "refuses",
        "CREATE TABLE elsewhere.seen (id BIGINT)",
        "CREATE POLICY seen ON elsewhere.seen USING (EXISTS (SELECT FROM {table} WHERE {column} IS NULL))",
    ),
    _postgresql(
        "a column of its row type",
        "table column elsewhere.whole.of_it",
        "refuses",
        "CREATE TABLE elsewhere.whole (of_it {table})",
    ),
    _postgresql(
        "an array of its row type below a domain",
        "table column elsewhere.wholes.of_it",
        None,
        "CREATE DOMAIN elsewhere.wholly AS {table}[]",
        "CREATE TABLE elsewhere.wholes (of_it elsewhere.wholly)",
    ),
    _postgresql(
        "a table that inherits",
        "table elsewhere.heir",
        "refuses",
        "CREATE TABLE elsewhere.heir () INHERITS ({table})",
        refuses=False,
    ),
    _postgresql(
        "a view of a table that inherits",
        "view elsewhere.of_heir",
        None,
        "CREATE TABLE elsewhere.heir () INHERITS ({table})",
        "CREATE VIEW elsewhere.of_heir AS SELECT {column} FROM elsewhere.heir",
    ),
    _postgresql(
        "an heir with a column that is missing",
        "table elsewhere.heir",
        None,
        "CREATE TABLE elsewhere.heir (mac INTEGER) INHERITS ({table})",
    ),
    _postgresql(
        "a parent",
        "table elsewhere.parent",
        None,
        "CREATE TABLE elsewhere.parent AS SELECT {column} FROM {table} LIMIT 0",
        "ALTER TABLE elsewhere.parent ALTER {column} SET NOT NULL",
        "ALTER TABLE {table} INHERIT elsewhere.parent",
        gone=("ALTER TABLE {table} NO INHERIT elsewhere.parent",),
    ),
    _postgresql(
        "a trigger of a column",
        "trigger told on public.{table}",
        "goes along",
        _FUNCTION,
        "CREATE TRIGGER told BEFORE UPDATE OF {column} ON {table} FOR EACH ROW EXECUTE FUNCTION told()",
        gone=("DROP FUNCTION told CASCADE",),
    ),
    _postgresql(
        "a trigger with a condition",
        "trigger told_when on public.{table}",
        "goes along",
        _FUNCTION,
        "CREATE TRIGGER told_when BEFORE UPDATE ON {table} FOR EACH ROW "
        "WHEN (OLD.{column} IS DISTINCT FROM NEW.{column}) EXECUTE FUNCTION told()",
        gone=("DROP FUNCTION told CASCADE",),
    ),
    _postgresql(
        "a trigger that forbids every change",
        "trigger never on public.{table}",
        "goes along",
        _NEVER,
        "CREATE TRIGGER never BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION never()",
        gone=("DROP FUNCTION never CASCADE",),
        refuses=False,
    ),
    _postgresql(
        "a rule that forbids every change",
        "rule kept on public.{table}",
        "goes along",
        "CREATE RULE kept AS ON UPDATE TO {table} DO INSTEAD NOTHING",
        gone=("DROP RULE kept ON {table}",),
        refuses=False,
    ),
    _postgresql(
        "a rule with a condition",
        "rule kept_then on public.{table}",
        "goes along",
        "CREATE RULE kept_then AS ON DELETE TO {table} WHERE old.{column} IS NULL DO INSTEAD NOTHING",
        gone=("DROP RULE kept_then ON {table}",),
    ),
    _postgresql(
        "a policy",
        "policy seen on public.{table}",
        "goes along",
        "CREATE POLICY seen ON {table} USING ({column} IS NOT NULL)",
        gone=("DROP POLICY seen ON {table}",),
    ),
    _postgresql(
        "a publication of columns",
        "publication relation public.{table} in publication told",
        "goes along",
        "CREATE PUBLICATION told FOR TABLE {table} (id, {column})",
        gone=("DROP PUBLICATION told",),
    ),
    _postgresql(
        "a publication without an identity",
        "publication relation public.{table} in publication all_of_it",
        "goes along",
        "CREATE PUBLICATION all_of_it FOR TABLE {table}",
        "ALTER TABLE {table} REPLICA IDENTITY NOTHING",
        gone=("DROP PUBLICATION all_of_it", "ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
        refuses=False,
    ),
    _postgresql(
        "a generated column",
        "table column public.{table}.made",
        None,
        "ALTER TABLE {table} ADD made boolean GENERATED ALWAYS AS ({column} IS NULL) STORED",
        gone=("ALTER TABLE {table} DROP made",),
    ),
    _postgresql(
        "an index over an expression",
        "index public.by_day",
        None,
        "CREATE INDEX by_day ON {table} (({column}::date))",
        gone=("DROP INDEX by_day",),
    ),
    _postgresql(
        "an index over some rows, by a moment",
        "index public.since",
        None,
        "CREATE INDEX since ON {table} (user_id) WHERE {column} > '2026-01-01'",
        gone=("DROP INDEX since",),
    ),
    _postgresql(
        "an index over some rows",
        "index public.there",
        None,
        "CREATE INDEX there ON {table} (user_id) INCLUDE ({column}) WHERE {column} IS NOT NULL",
        gone=("DROP INDEX there",),
        refuses=False,
    ),
    _postgresql(
        "a check by a function of the host",
        "table constraint checked on public.{table}",
        None,
        "CREATE FUNCTION elsewhere.fits(timestamp) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
        "ALTER TABLE {table} ADD CONSTRAINT checked CHECK (elsewhere.fits({column}))",
        gone=("ALTER TABLE {table} DROP CONSTRAINT checked",),
    ),
    _postgresql(
        "a check",
        "table constraint checked_too on public.{table}",
        None,
        "ALTER TABLE {table} ADD CONSTRAINT checked_too CHECK ({column} IS NULL OR {column} IS NOT NULL)",
        gone=("ALTER TABLE {table} DROP CONSTRAINT checked_too",),
        refuses=False,
    ),
    _postgresql(
        "statistics of an expression",
        "statistics object public.fits",
        None,
        "CREATE FUNCTION elsewhere.day(timestamp) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
        "CREATE STATISTICS fits ON (elsewhere.day({column})), user_id FROM {table}",
        gone=("DROP STATISTICS fits",),
    ),
    _postgresql(
        "statistics",
        "statistics object public.together",
        "goes along",
        "CREATE STATISTICS together ON {column}, user_id FROM {table}",
        gone=("DROP STATISTICS together",),
        refuses=False,
    ),
)


def _mariadb(
    name: str, told: str, drop: Fate | None, *statements: str, gone: tuple[str, ...], refuses: bool = False
) -> Built:
    return Built("mariadb", name, told, drop, refuses, statements, gone)


MARIADB = (
    _mariadb(
        "a foreign key in another database",
        "foreign key theirs of {here}_too.notes",
        "refuses",
        "CREATE DATABASE {here}_too",
        # Of whatever type the column is.
        "CREATE TABLE {here}_too.notes AS SELECT id FROM {table} LIMIT 0",
        "ALTER TABLE {here}_too.notes ADD CONSTRAINT theirs FOREIGN KEY (id) REFERENCES {here}.{table} (id)",
        gone=("DROP DATABASE {here}_too",),
        refuses=True,
    ),
    _mariadb(
        "a view",
        "view {here}.recent",
        "breaks",
        "CREATE VIEW recent AS SELECT id FROM {table} WHERE {column} IS NOT NULL",
        gone=("DROP VIEW recent",),
    ),
    _mariadb(
        "a trigger",
        "trigger told",
        "goes along",
        "CREATE TRIGGER told BEFORE UPDATE ON {table} FOR EACH ROW SET NEW.{column} = OLD.{column}",
        gone=("DROP TRIGGER told",),
    ),
    _mariadb(
        "a trigger of another table that writes ours",
        "trigger {here}.elsewhere",
        "breaks",
        "CREATE TRIGGER elsewhere AFTER UPDATE ON users FOR EACH ROW DELETE FROM {table} WHERE user_id = -1",
        gone=("DROP TRIGGER elsewhere",),
    ),
    _mariadb(
        "a function that reads",
        "function {here}.counted",
        "breaks",
        "CREATE FUNCTION counted() RETURNS BIGINT READS SQL DATA RETURN (SELECT count(*) FROM `{table}`)",
        gone=("DROP FUNCTION counted",),
    ),
    _mariadb(
        "an event",
        "event {here}.nightly",
        "breaks",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM {table} WHERE user_id = -1",
        gone=("DROP EVENT nightly",),
    ),
    _mariadb(
        "a foreign key of a column to be longer",
        "foreign key outwards of {here}.{table}",
        None,
        "CREATE TABLE agents (name VARCHAR(50) CHARACTER SET utf8mb4 PRIMARY KEY)",
        "ALTER TABLE {table} MODIFY event_type VARCHAR(50) CHARACTER SET utf8mb4",
        "INSERT INTO agents SELECT DISTINCT event_type FROM {table}",
        "ALTER TABLE {table} ADD CONSTRAINT outwards FOREIGN KEY (event_type) REFERENCES agents (name)",
        gone=(
            "ALTER TABLE {table} DROP FOREIGN KEY outwards",
            "DROP TABLE agents",
            "ALTER TABLE {table} DROP INDEX outwards",
            "ALTER TABLE {table} MODIFY event_type VARCHAR(64) NOT NULL",
        ),
        refuses=True,
    ),
    _mariadb(
        "a history of the rows",
        "system versioning",
        None,
        "ALTER TABLE {table} ADD SYSTEM VERSIONING",
        gone=("ALTER TABLE {table} DROP SYSTEM VERSIONING",),
        refuses=True,
    ),
    _mariadb(
        "columns that are made of others",
        "column made",
        None,
        "ALTER TABLE {table} ADD made INT GENERATED ALWAYS AS ({column} IS NULL) STORED, "
        "ADD made_too INT GENERATED ALWAYS AS ({column} IS NOT NULL) VIRTUAL, ADD INDEX (made_too)",
        gone=("ALTER TABLE {table} DROP made, DROP made_too",),
    ),
    _mariadb(
        "an index over words",
        "index worded",
        None,
        "ALTER TABLE {table} ADD FULLTEXT INDEX worded (event_details)",
        gone=("ALTER TABLE {table} DROP INDEX worded",),
    ),
    _mariadb(
        "a check",
        "check",
        None,
        "ALTER TABLE {table} ADD CONSTRAINT late CHECK ({column} > '2020-01-01')",
        gone=("ALTER TABLE {table} DROP CONSTRAINT late",),
    ),
)


def _sqlite(
    name: str, told: str, drop: Fate | None, *statements: str, gone: tuple[str, ...], refuses: bool = False
) -> Built:
    return Built("sqlite", name, told, drop, refuses, statements, gone)


SQLITE = (
    _sqlite(
        "a view",
        "view recent",
        "breaks",
        "CREATE VIEW recent AS SELECT id FROM {table} WHERE {column} IS NOT NULL",
        gone=("DROP VIEW recent",),
    ),
    _sqlite(
        "a trigger",
        "trigger told",
        "goes along",
        "CREATE TRIGGER told AFTER UPDATE OF {column} ON {table} WHEN new.{column} IS NULL BEGIN SELECT 1; END",
        gone=("DROP TRIGGER told",),
    ),
    _sqlite(
        "a trigger of another table",
        "trigger told_elsewhere",
        "breaks",
        "CREATE TRIGGER told_elsewhere AFTER INSERT ON users BEGIN DELETE FROM {table} WHERE user_id = new.id; END",
        gone=("DROP TRIGGER told_elsewhere",),
    ),
    _sqlite(
        "a foreign key",
        "table notes",
        "breaks",
        "CREATE TABLE notes (event INTEGER REFERENCES {table} (id) ON DELETE CASCADE)",
        gone=("DROP TABLE notes",),
    ),
    _sqlite(
        "a trigger that keeps whole rows",
        "trigger archived",
        "goes along",
        "CREATE TABLE archive AS SELECT * FROM {table} WHERE false",
        "CREATE TRIGGER archived BEFORE DELETE ON {table} BEGIN "
        "INSERT INTO archive SELECT * FROM {table} WHERE id = old.id; END",
        gone=("DROP TRIGGER archived", "DROP TABLE archive"),
        refuses=True,
    ),
    _sqlite(
        "a view of whole rows beside others",
        "view every",
        "breaks",
        "CREATE TABLE older AS SELECT * FROM {table} WHERE false",
        "CREATE VIEW every AS SELECT * FROM {table} UNION ALL SELECT * FROM older",
        gone=("DROP VIEW every", "DROP TABLE older"),
        refuses=True,
    ),
    _sqlite(
        "an index over an expression of some rows",
        "index by_day",
        None,
        "CREATE INDEX by_day ON {table} (lower({column}) DESC) WHERE {column} IS NOT NULL",
        gone=("DROP INDEX by_day",),
    ),
)

BUILT = (*SQLITE, *POSTGRESQL, *MARIADB)


def build(connection: sa.Connection, things: Iterable[Built]) -> None:
    """Make what can be made on what is there."""
    for one in things:
        try:
            one.make(connection)
        except DBAPIError:
            connection.rollback()


def hanging(database: Database) -> set[str]:
    """All that hangs on the four tables, by name."""
    with database.engine().connect() as connection:
        return {one.name for one in find.of_tables(connection, spec.NAMES)}
