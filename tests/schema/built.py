"""What applications build on tables, each by SQL, and what the database says to it when the tables change or go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa

    from twofold.schema.dependant import Fate


@dataclass(frozen=True)
class Built:
    """`statements` make it and `gone` takes it away; `told` is how it is called, `drop` what DROP TABLE does to it."""

    backend: str
    name: str
    told: str
    drop: Fate
    statements: tuple[str, ...]
    gone: tuple[str, ...]

    def make(self, connection: sa.Connection) -> None:
        """Build it."""
        for statement in self.statements:
            connection.exec_driver_sql(self._here(connection, statement))
        connection.commit()

    def called(self, connection: sa.Connection) -> str:
        """Tell its name, with that of the database."""
        return self._here(connection, self.told)

    def _here(self, connection: sa.Connection, text: str) -> str:
        return text.replace("{here}", str(connection.engine.url.database))

    def take_away(self, connection: sa.Connection) -> None:
        """Leave nothing of it."""
        for statement in self.gone:
            connection.exec_driver_sql(statement)
        connection.commit()


_FUNCTION = "CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
_ELSEWHERE = "CREATE SCHEMA elsewhere"
_NOT_ELSEWHERE = "DROP SCHEMA elsewhere CASCADE"


def _postgresql(name: str, told: str, drop: Fate, *statements: str, gone: tuple[str, ...] = (_NOT_ELSEWHERE,)) -> Built:
    return Built("postgresql", name, told, drop, (_ELSEWHERE, *statements), gone)


POSTGRESQL = (
    _postgresql(
        "a view in another schema",
        "view elsewhere.recent",
        "refuses",
        "CREATE VIEW elsewhere.recent AS SELECT id FROM mfa_events WHERE created_at > now()",
    ),
    _postgresql(
        "a materialized view",
        "materialized view elsewhere.recent",
        "refuses",
        "CREATE MATERIALIZED VIEW elsewhere.recent AS SELECT created_at FROM mfa_events",
    ),
    _postgresql(
        "a foreign key in another schema",
        "table constraint notes_event_fkey on elsewhere.notes",
        "refuses",
        "CREATE TABLE elsewhere.notes (event BIGINT REFERENCES mfa_events (id))",
    ),
    _postgresql(
        "a function with its body",
        "function elsewhere.counted()",
        "refuses",
        "CREATE FUNCTION elsewhere.counted() RETURNS bigint LANGUAGE sql "
        "BEGIN ATOMIC SELECT count(*) FROM mfa_events WHERE created_at > now(); END",
    ),
    _postgresql(
        "a policy of another table",
        "policy seen on elsewhere.notes",
        "refuses",
        "CREATE TABLE elsewhere.notes (id BIGINT)",
        "CREATE POLICY seen ON elsewhere.notes USING (EXISTS (SELECT FROM mfa_events WHERE created_at < now()))",
    ),
    _postgresql(
        "a column of its row type",
        "table column elsewhere.notes.event",
        "refuses",
        "CREATE TABLE elsewhere.notes (event mfa_events)",
    ),
    _postgresql(
        "a table that inherits",
        "table elsewhere.older",
        "refuses",
        "CREATE TABLE elsewhere.older () INHERITS (mfa_events)",
    ),
    _postgresql(
        "a trigger of a column",
        "trigger told on public.mfa_events",
        "goes along",
        _FUNCTION,
        "CREATE TRIGGER told BEFORE UPDATE OF created_at ON mfa_events FOR EACH ROW EXECUTE FUNCTION told()",
        gone=(_NOT_ELSEWHERE, "DROP FUNCTION told CASCADE"),
    ),
    _postgresql(
        "a rule",
        "rule kept on public.mfa_events",
        "goes along",
        "CREATE RULE kept AS ON DELETE TO mfa_events WHERE old.created_at > now() DO INSTEAD NOTHING",
        gone=(_NOT_ELSEWHERE, "DROP RULE kept ON mfa_events"),
    ),
    _postgresql(
        "a policy",
        "policy seen on public.mfa_events",
        "goes along",
        "CREATE POLICY seen ON mfa_events USING (created_at < now())",
        gone=(_NOT_ELSEWHERE, "DROP POLICY seen ON mfa_events"),
    ),
    _postgresql(
        "a publication of columns",
        "publication relation public.mfa_events in publication told",
        "goes along",
        "CREATE PUBLICATION told FOR TABLE mfa_events (id, created_at)",
        gone=(_NOT_ELSEWHERE, "DROP PUBLICATION told"),
    ),
)

MARIADB = (
    Built(
        "mariadb",
        "a foreign key in another database",
        "foreign key theirs of elsewhere.notes",
        "refuses",
        (
            "CREATE DATABASE elsewhere",
            "CREATE TABLE elsewhere.notes (event BIGINT)",
            "ALTER TABLE elsewhere.notes ADD CONSTRAINT theirs FOREIGN KEY (event) REFERENCES {here}.mfa_events (id)",
        ),
        ("DROP DATABASE elsewhere",),
    ),
    Built(
        "mariadb",
        "a view",
        "view {here}.recent",
        "breaks",
        ("CREATE VIEW recent AS SELECT id FROM mfa_events WHERE created_at > now()",),
        ("DROP VIEW recent",),
    ),
    Built(
        "mariadb",
        "a trigger",
        "trigger told",
        "goes along",
        ("CREATE TRIGGER told BEFORE UPDATE ON mfa_events FOR EACH ROW SET NEW.mac = OLD.mac",),
        ("DROP TRIGGER told",),
    ),
)

SQLITE = (
    Built(
        "sqlite",
        "a view",
        "view recent",
        "breaks",
        ("CREATE VIEW recent AS SELECT id FROM mfa_events",),
        ("DROP VIEW recent",),
    ),
    Built(
        "sqlite",
        "a trigger",
        "trigger told",
        "goes along",
        ("CREATE TRIGGER told AFTER INSERT ON mfa_events BEGIN SELECT 1; END",),
        ("DROP TRIGGER told",),
    ),
    Built(
        "sqlite",
        "a trigger of another table",
        "trigger told",
        "breaks",
        ("CREATE TRIGGER told AFTER INSERT ON users BEGIN DELETE FROM mfa_events WHERE user_id = new.id; END",),
        ("DROP TRIGGER told",),
    ),
    Built(
        "sqlite",
        "a foreign key",
        "table notes",
        "breaks",
        ("CREATE TABLE notes (event INTEGER REFERENCES mfa_events (id) ON DELETE CASCADE)",),
        ("DROP TABLE notes",),
    ),
)

BUILT = (*SQLITE, *POSTGRESQL, *MARIADB)
