"""What hangs on a table of SQLite: asked of a copy in memory, since the catalog has the text of things and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from twofold.schema.dependants.dependant import Dependant, out_of_the_way
from twofold.schema.dependants.references import referencing
from twofold.schema.dependants.rehearsal_sqlite import rehearsal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from twofold.schema.plan.plan import Step

_SQL = sa.text("SELECT sql FROM sqlite_master WHERE type = :kind AND name = :name")
_TRIGGERS = sa.text("SELECT name, lower(tbl_name) AS \"table\" FROM sqlite_master WHERE type = 'trigger'")


def of_steps(connection: sa.Connection, steps: Sequence[Step]) -> Iterator[tuple[Step, Dependant]]:
    """What SQLite would refuse each step for, and which views and triggers would be of no use after it."""
    with rehearsal(connection) as copy:
        usable = copy.usable
        for step in steps:
            refusals = (refusal for statement in step.statements if (refusal := copy.refusal(statement)) is not None)
            if (refusal := next(refusals, None)) is not None:
                remedy = "Change what it names, or drop it, adopt, and create it again."
                yield step, Dependant(step.table, "the schema", "refuses", f"SQLite says: {refusal}", remedy)
                return
            left = copy.usable
            for kind, name in sorted(usable - left):
                yield step, _broken(connection, kind, name, step.table, "adopt")
            usable = left


def of_tables(connection: sa.Connection, names: Collection[str]) -> Iterator[Dependant]:
    """What would be left behind by DROP TABLE, of no use, and the triggers that go along."""
    for name in referencing(connection, names):
        because = "its rows would refer to nothing, or go with the rows of ours"
        remedy = "Make it anew without its foreign key first."
        yield Dependant(name, f"table {name}", "breaks", because, remedy)
    gone = {str(row.name): str(row.table) for row in connection.execute(_TRIGGERS) if row.table in names}
    for name, table in gone.items():
        remedy = _away(connection, "trigger", name, "take the tables away")
        yield Dependant(table, f"trigger {name}", "goes along", "SQLite drops it with the table", remedy)
    with rehearsal(connection) as copy:
        before = copy.usable
        for table in names:
            copy.refusal(f"DROP TABLE IF EXISTS {table}")
            left = copy.usable
            for kind, name in sorted(before - left):
                if name not in gone:
                    yield _broken(connection, kind, name, table, "take the tables away")
            before = left


def _broken(connection: sa.Connection, kind: str, name: str, table: str, meanwhile: str) -> Dependant:
    because = f"SQLite would keep the {kind}, and refuse whoever uses it"
    return Dependant(table, f"{kind} {name}", "breaks", because, _away(connection, kind, name, meanwhile))


def _away(connection: sa.Connection, kind: str, name: str, meanwhile: str) -> str:
    made = connection.execute(_SQL, {"kind": kind, "name": name}).scalar_one()
    quoted = connection.dialect.identifier_preparer.quote(name)
    return out_of_the_way(f"DROP {kind.upper()} {quoted}", str(made), meanwhile)
