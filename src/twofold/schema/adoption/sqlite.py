"""How SQLite is repaired: what it can add it adds, and for the rest a table is made anew around its rows.

Alembic's batch mode is not used: it loses ON DELETE CASCADE, triggers, expression indexes, and, with foreign keys
enforced, the rows of tables that refer to ours. The order of the rebuild is that of SQLite's own documentation
("ALTER TABLE", section 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from twofold.schema.adoption import preflight, sqlite_ddl
from twofold.schema.conformity.findings import Verdict
from twofold.schema.plan.plan import Lock, Step, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.schema.adoption.sqlite_ddl import Part
    from twofold.schema.plan.plan import Probe, Subject

_NEW = "twofold_new_"
_SQL = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = :table")
_BESIDE = sa.text(
    "SELECT sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND lower(tbl_name) = :table "
    "AND sql IS NOT NULL ORDER BY type, name"
)


def steps(subject: Subject) -> Iterator[Step]:
    """A rebuild makes everything right but indexes, so where there is one, only they are left to add."""
    lock = (Lock("the database file", "write lock", "writers wait for an instant"),)
    needs_rebuild = bool(subject.of("nullability", "default", "foreign key", verdict=Verdict.HEAVY))
    if needs_rebuild:
        yield _rebuild(subject)
    elif added := subject.of("column"):
        changes = tuple(f"ALTER TABLE {subject.name} ADD COLUMN {subject.definition(one.subject)}" for one in added)
        yield Step(subject.name, subject.listed(*added), "column", Verdict.ADDITIVE, changes, lock)
    for finding in subject.of("index", *(() if needs_rebuild else ("unique",))):
        columns, is_unique = columns_of(finding), finding.aspect == "unique"
        name = _free(subject, subject.named(columns)[0])
        unique = "UNIQUE " if is_unique else ""
        change = f"CREATE {unique}INDEX {name} ON {subject.name} ({', '.join(columns)})"
        asked = preflight.duplicates(subject, columns) if is_unique else ()
        kind = "unique" if is_unique else "index"
        yield Step(subject.name, finding.what, kind, Verdict.ADDITIVE, (change,), lock, probes=asked)


def _free(subject: Subject, name: str) -> str:
    """Names of indexes are shared by the whole file, and a constraint's name is not an index's."""
    taken = set(subject.connection.exec_driver_sql("SELECT lower(name) FROM sqlite_master").scalars())
    number = 2
    free = name
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free


def _rebuild(subject: Subject) -> Step:
    named = {"table": subject.name}
    live = str(subject.connection.execute(_SQL, named).scalar_one())
    companions = [str(sql) for sql in subject.connection.execute(_BESIDE, named).scalars()]
    parts = sqlite_ddl.parts(live)
    is_counted = any("AUTOINCREMENT" in map(str.upper, part.tokens) for part in parts if part.name == "id")
    new = _NEW + subject.name
    stored = [name for name, column in subject.found.columns.items() if not column.generated]
    names = ", ".join(map(subject.quote, stored))
    statements = [
        _created(subject, new, parts, is_counted=is_counted),
        f"INSERT INTO {new} ({names}) SELECT {names} FROM {subject.name}",  # noqa: S608 - names, none given by a user.
        *(_counter(subject.name, new) if is_counted else ()),
        f"DROP TABLE {subject.name}",
        f"ALTER TABLE {new} RENAME TO {subject.name}",
    ]
    what = subject.listed(*subject.of("column", "nullability", "default", "foreign key", "unique"))
    locks = (Lock("the database file", "write lock", "writers wait"),)
    asked = tuple(_questions(subject))
    all_of_it = (*statements, *companions)
    return Step(subject.name, what, "rebuild", Verdict.HEAVY, all_of_it, locks, "rebuild", asked)


def _counter(old: str, new: str) -> Iterator[str]:
    """The number of the last row, read when the step is taken: rows may have come and gone since the plan."""
    yield f"DELETE FROM sqlite_sequence WHERE name = '{new}'"  # noqa: S608 - names, none given by a user.
    last = f"SELECT '{new}', seq FROM sqlite_sequence WHERE lower(name) = '{old}'"  # noqa: S608 - the same.
    yield f"INSERT INTO sqlite_sequence (name, seq) {last}"


def _questions(subject: Subject) -> Iterator[Probe]:
    """What the new table would refuse, though the old one did not."""
    yield preflight.orphans(subject)
    for finding in subject.of("nullability"):
        if not subject.expected.c[finding.subject].nullable:
            yield preflight.nulls(subject, finding.subject)
    for finding in subject.of("unique"):
        yield from preflight.duplicates(subject, columns_of(finding))


def _created(subject: Subject, name: str, live: list[Part], *, is_counted: bool) -> str:
    """The frozen DDL, with what the host put beside it: its columns, checks, keys, and references."""
    subject.expected.dialect_options["sqlite"]["autoincrement"] = is_counted
    frozen = sqlite_ddl.parts(str(CreateTable(subject.expected).compile(dialect=subject.dialect)))
    known = {part.name for part in frozen}
    columns = [part.text for part in frozen if part.name is not None]
    columns += [part.text for part in live if part.name is not None and part.name not in known]
    constraints = [part.text for part in frozen if part.name is None]
    constraints += [check for part in live if part.name in known and part.name is not None for check in part.checks]
    constraints += [part.text for part in live if part.name is None and _is_hosts(subject, part)]
    body = ",\n\t".join((*columns, *constraints, *_uniques(subject, live)))
    return f"CREATE TABLE {name} (\n\t{body}\n)"


def _is_hosts(subject: Subject, part: Part) -> bool:
    """A constraint that the frozen DDL says nothing about."""
    tokens = [sqlite_ddl.unquoted(token).casefold() for token in part.tokens]
    if part.kind == "UNIQUE":
        return _columns_of(tokens, "unique") not in _frozen_uniques(subject)
    if part.kind == "FOREIGN":
        return _columns_of(tokens, "key") != {"user_id"}
    return part.kind == "CHECK"


def _columns_of(tokens: list[str], behind: str) -> set[str]:
    start = tokens.index("(", tokens.index(behind))
    return set(tokens[start + 1 : tokens.index(")", start)]) - {","}


def _frozen_uniques(subject: Subject) -> list[set[str]]:
    return [
        set(constraint.columns.keys())
        for constraint in subject.expected.constraints
        if isinstance(constraint, sa.UniqueConstraint)
    ]


def _uniques(subject: Subject, live: list[Part]) -> Iterator[str]:
    """UNIQUE written at a column of the revision, where the revision has none."""
    for part in live:
        is_unique = "UNIQUE" in (token.upper() for token in part.tokens)
        if (
            part.name is not None
            and part.name in subject.expected.c
            and is_unique
            and {part.name} not in _frozen_uniques(subject)
        ):
            yield f"UNIQUE ({part.name})"
