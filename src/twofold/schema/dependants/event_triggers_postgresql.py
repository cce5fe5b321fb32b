"""Event triggers decide by running, so they are run: each kind of command of a plan, once, on an empty temporary table.

What they do is undone with it. One that goes by the name of a table is not found out that way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from twofold.schema.dependants.dependant import Dependant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twofold.schema.plan.plan import Step

_THERE = sa.text(
    "SELECT quote_ident(evtname) AS name, evttags AS tags FROM pg_event_trigger "
    "WHERE evtenabled IN ('O', 'A') AND has_database_privilege(current_database(), 'TEMPORARY') ORDER BY evtname"
)
_COPY = "pg_temp.twofold_rehearsal"
_FUNCTION = f"{_COPY}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
# In an order in which each finds what it needs: what stands in a statement of the plan, and what is done for it.
_COMMANDS = (
    ("CREATE TABLE", r"CREATE TABLE ", "CREATE TEMPORARY TABLE twofold_rehearsal (id integer, gone integer)"),
    ("ALTER TABLE", r"ALTER TABLE ", f"ALTER TABLE {_COPY} ADD COLUMN added bigint"),
    ("ALTER TABLE", r".* TYPE BIGINT\b", f"ALTER TABLE {_COPY} ALTER COLUMN id TYPE bigint"),
    ("ALTER TABLE", r".* DROP (COLUMN|CONSTRAINT) ", f"ALTER TABLE {_COPY} DROP COLUMN gone"),
    ("CREATE INDEX", r"CREATE (UNIQUE )?INDEX ", f"CREATE INDEX twofold_rehearsal_id ON {_COPY} (id)"),
    ("ALTER INDEX", r"ALTER INDEX ", f"ALTER INDEX {_COPY}_id RENAME TO twofold_rehearsal_ids"),
    ("CREATE FUNCTION", r"CREATE OR REPLACE FUNCTION ", f"CREATE FUNCTION {_FUNCTION}"),
    ("DROP FUNCTION", r"DROP FUNCTION ", f"DROP FUNCTION {_COPY}()"),
)


def refusing(connection: sa.Connection, steps: Sequence[Step]) -> Iterator[tuple[Step, Dependant]]:
    """The commands of a plan that an event trigger does not let pass, each with the first step that has it."""
    if not steps or not (there := connection.execute(_THERE).all()):
        return
    for tag, pattern, code in _refused(connection, [one for step in steps for one in step.statements]):
        step = next(step for step in steps if any(re.match(pattern, one) for one in step.statements))
        names = [str(row.name) for row in there if row.tags is None or tag in row.tags]
        gone, made = (
            " ".join(f"ALTER EVENT TRIGGER {name} {word};" for name in names) for word in ("DISABLE", "ENABLE")
        )
        because = f"what is done at each {tag} refuses it (error {code})"
        remedy = f"Switch it off ({gone}), adopt, and switch it on again: {made}"
        yield step, Dependant(step.table, f"event trigger {', '.join(names)}", "refuses", because, remedy)


def _refused(connection: sa.Connection, statements: Sequence[str]) -> Iterator[tuple[str, str, str | None]]:
    """Go through the commands until one is refused; what comes after it would miss what it makes."""
    with connection.begin_nested() as undone:
        for tag, pattern, command in _COMMANDS:
            is_planned = any(re.match(pattern, one) for one in statements)
            # Without a table there is nothing to try the others on.
            if not is_planned and tag != "CREATE TABLE":
                continue
            try:
                with connection.begin_nested():
                    connection.exec_driver_sql(command)
            except DBAPIError as error:
                if is_planned:
                    yield tag, pattern, getattr(error.orig, "sqlstate", None)
                break
        undone.rollback()
