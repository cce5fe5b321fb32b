"""Questions to the rows, each of which ends at the first row that answers it: whether a step would fail, or lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.schema.plan.plan import Blocker, Probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from twofold.schema.plan.plan import Step, Subject

REMEDIES = {
    "orphans": "Delete them, or give them their users back.",
    "duplicates": "Keep one of each.",
    "nulls": "Give each of them a value.",
    "future": "Shift the moments of this table to UTC first: the clock that wrote them was not in UTC.",
}
_NEWEST = 1000
_SOON = {
    "postgresql": "{column} > (now() AT TIME ZONE 'UTC') + INTERVAL '5 minutes'",
    "sqlite": "datetime({column}) > datetime('now', '+5 minutes')",
}
_SOON_MARIADB = "{column} > utc_timestamp() + INTERVAL 5 MINUTE"


def orphans(subject: Subject) -> Probe:
    """Rows whose user is gone."""
    key = subject.quote(subject.users.column)
    parent = f"SELECT 1 FROM {subject.users_table} AS theirs WHERE theirs.{key} = ours.user_id"  # noqa: S608 - the same.
    without = f"user_id IS NOT NULL AND NOT EXISTS ({parent})"
    query = f"SELECT id, user_id FROM {subject.name} AS ours WHERE {without}"  # noqa: S608 - the same.
    return Probe("orphans", query, f"{query} LIMIT 1")


def duplicates(subject: Subject, columns: tuple[str, ...]) -> tuple[Probe, ...]:
    """Rows that a unique key would refuse. NULL is like nothing, itself included, and so is a column still to come."""
    if not subject.found.columns.keys() >= set(columns):
        return ()
    names = ", ".join(map(subject.quote, columns))
    present = " AND ".join(f"{subject.quote(name)} IS NOT NULL" for name in columns)
    query = f"SELECT {names}, count(*) FROM {subject.name} WHERE {present} GROUP BY {names} HAVING count(*) > 1"  # noqa: S608 - names, none of them given by a user.
    return (Probe("duplicates", query, f"{query} LIMIT 1"),)


def nulls(subject: Subject, column: str) -> Probe:
    """Rows without a value that is to become required."""
    query = f"SELECT id FROM {subject.name} WHERE {subject.quote(column)} IS NULL"  # noqa: S608 - names, none of them given by a user.
    return Probe("nulls", query, f"{query} LIMIT 1")


def future(subject: Subject, column: str = "created_at") -> Probe:
    """Newest rows that were made in the future, which they would not be, had they been stored in UTC.

    A zone west of UTC cannot be told from a quiet hour.
    """
    when = _SOON.get(subject.dialect.name, _SOON_MARIADB).format(column=subject.quote(column))
    query = f"SELECT id, {subject.quote(column)} FROM {subject.name} WHERE {when} ORDER BY id DESC"  # noqa: S608 - names, none of them given by a user.
    newest = f"SELECT {subject.quote(column)} FROM {subject.name} ORDER BY id DESC LIMIT {_NEWEST}"  # noqa: S608 - names, none of them given by a user.
    return Probe("future", query, f"SELECT 1 FROM ({newest}) AS newest WHERE {when} LIMIT 1")  # noqa: S608


_PROBLEMS = {
    "orphans": "there are rows whose user does not exist",
    "duplicates": "there are rows that are alike",
    "nulls": "there are rows without a value",
    "future": "the newest rows were made in the future, so their moments are not UTC",
}


def ask(connection: sa.Connection, step: Step) -> Iterator[Blocker]:
    """Put the questions of a step to the database."""
    for probe in step.probes:
        if connection.exec_driver_sql(probe.bounded).first() is not None:
            yield Blocker(step.table, step.what, _PROBLEMS[probe.problem], REMEDIES[probe.problem], f"{probe.query};")
