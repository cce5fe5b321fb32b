"""The structural verifier: whether a database keeps every promise of the revision.

It compares by structure and not by name, asks the catalog and not the models, reads no rows, and writes nothing.
Alembic's own diff cannot serve: it misses an absent primary key, a key that was never validated, an invalid index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from twofold.schema import catalog, place
from twofold.schema.conformity import columns, indexes
from twofold.schema.conformity.findings import Finding, Report, Verdict
from twofold.schema.history import FOUR, History
from twofold.schema.users.referenced import obstacle
from twofold.schema.users.users import as_spelled, column
from twofold.schema.users.users import parent as users_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twofold.metadata import UsersColumn
    from twofold.schema.catalog.relation import Relation


def verify(connection: sa.Connection, users: UsersColumn, history: History = FOUR) -> Report:
    """Compare the database with the revision of a history."""
    found = read(connection, history)
    return judge(users, users_table(connection, users), found, connection.dialect.name, history)


def read(connection: sa.Connection, history: History = FOUR) -> dict[str, Relation | None]:
    """What stands under the names of a history, where ours are."""
    schema = place.ours(connection)
    return {name: catalog.read(connection, name, schema) for name in history.names}


def has(connection: sa.Connection, history: History) -> bool:
    """Whether the database has the tables of a history that not every database has, or says that it does.

    A table of the same name that lacks the mark is the application's own.
    """
    if history.every(connection):
        return True
    return any(one is not None and history.mark in one.columns for one in read(connection, history).values())


def judge(
    users: UsersColumn,
    parent: Relation | None,
    found: Mapping[str, Relation | None],
    dialect: str,
    history: History = FOUR,
) -> Report:
    """Compare what was read with the revision. `parent` is the users table."""
    users = as_spelled(users, parent)
    findings = list(_users(users, parent, dialect))
    for expected in history.tables(column(users, sa.BigInteger())):
        relation = found[expected.name]
        if relation is None:
            findings.append(Finding(expected.name, "table", "", "missing", "present", Verdict.ADDITIVE))
        elif relation.kind != "table":
            findings.append(Finding(expected.name, "table", "", f"a {relation.kind}", "a table", Verdict.BLOCKED))
        else:
            findings += _table(expected, relation, parent, users, dialect)
    present = frozenset(name for name, relation in found.items() if relation is not None)
    return Report(present, tuple(findings), history.revision)


def _users(users: UsersColumn, parent: Relation | None, dialect: str) -> Iterator[Finding]:
    """What `user_id` references has to exist and to be unique."""
    if (found := obstacle(users, parent, dialect)) is not None:
        yield Finding(users.table_key, found.aspect, found.subject, found.found, found.wanted, Verdict.BLOCKED)


def _table(
    expected: sa.Table, found: Relation, parent: Relation | None, users: UsersColumn, dialect: str
) -> Iterator[Finding]:
    for flaw in found.flaws:
        yield Finding(expected.name, "storage", "", flaw, "an ordinary table", Verdict.BLOCKED)
    for added in found.listed:
        yield Finding(expected.name, "listed", "", added, "left alone", Verdict.TOLERATED)
    referenced: Any = None if parent is None else parent.columns.get(users.column)
    yield from columns.compare(expected, found, referenced, dialect)
    yield from indexes.compare(expected, found, parent, users.column, dialect)
