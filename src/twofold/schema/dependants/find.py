"""What hangs on our tables: whatever the host has built on them, and what becomes of it when they change or go.

A database refuses a step for the sake of a view, a trigger or another's foreign key, in whichever schema that is. So it
is asked before the first change, and not by way of the first refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.errors import SchemaDrift
from twofold.schema.dependants import mariadb, postgresql, sqlite, texts_postgresql
from twofold.schema.plan.plan import Blocker, Mention

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import sqlalchemy as sa

    from twofold.schema.dependants.dependant import Dependant
    from twofold.schema.plan.plan import Step


def blocking(connection: sa.Connection, steps: Sequence[Step]) -> Iterator[Blocker]:
    """Everything for whose sake the database would refuse one of the steps, or that a step would break."""
    match connection.dialect.name:
        case "postgresql":
            found = postgresql.of_steps(connection, steps)
        case "sqlite":
            found = sqlite.of_steps(connection, steps)
        case _:
            found = mariadb.of_steps(connection, steps)
    # One thing may stand in the way of several steps, and is taken out of it once.
    met: dict[Dependant, list[str]] = {}
    for step, dependant in found:
        met.setdefault(dependant, []).append(step.what)
    for dependant, whats in met.items():
        problem = f"{dependant.name}: {dependant.because}"
        yield Blocker(dependant.table, "; ".join(dict.fromkeys(whats)), problem, dependant.remedy)


def mentioning(connection: sa.Connection, steps: Sequence[Step]) -> tuple[Mention, ...]:
    """What names a table that one of the steps changes: nobody but its author knows whether it goes on working.

    SQLite tells by trying.
    """
    changed = list(dict.fromkeys(step.table for step in steps if step.kind != "table"))
    if not changed or connection.dialect.name == "sqlite":
        return ()
    asked = texts_postgresql.naming if connection.dialect.name == "postgresql" else mariadb.naming
    return tuple(Mention(table, name) for table, name in asked(connection, changed))


def going_along(connection: sa.Connection, names: Collection[str]) -> tuple[Dependant, ...]:
    """What goes along without a word when these tables are dropped, and what stays and only names them.

    Raises SchemaDrift, before anything is dropped, where something of the host's is in the way: for its sake the
    database would refuse, or keep what is of no use to anybody.
    """
    found = of_tables(connection, names)
    if in_the_way := [str(one) for one in found if one.fate in {"refuses", "breaks"}]:
        message = "What was built on the tables of Twofold is in the way, and goes first; nothing was changed."
        raise SchemaDrift(message, in_the_way)
    return found


def of_tables(connection: sa.Connection, names: Collection[str]) -> tuple[Dependant, ...]:
    """What a DROP of these tables, all of them, meets: what it is refused for, what goes along, what breaks or may.

    What hangs on one of the tables and is itself one of them, or goes with one, is not told.
    """
    match connection.dialect.name:
        case "postgresql":
            found = postgresql.of_tables(connection, names)
        case "sqlite":
            found = sqlite.of_tables(connection, names)
        case _:
            found = mariadb.of_tables(connection, names)
    return tuple(sorted(found, key=lambda one: (one.fate, one.table, one.name)))
