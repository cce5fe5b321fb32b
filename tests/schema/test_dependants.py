"""What hangs on the tables is known before anything is changed or dropped, in whichever schema it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from tests.schema.built import BUILT
from tests.schema.incident import happen_in_part
from tests.schema.rows import contents, unchanged
from twofold.schema import adoption, commands, dependants, spec
from twofold.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tests.databases import Database
    from tests.schema.built import Built

SETTINGS = Settings()


def here(database: Database) -> list[Built]:
    return [one for one in BUILT if one.backend == database.backend]


def is_dropped(connection: sa.Connection) -> bool:
    """Whether the database lets go of the table; PostgreSQL and SQLite take it back."""
    try:
        connection.exec_driver_sql("DROP TABLE mfa_events")
    except DBAPIError:
        return False
    finally:
        connection.rollback()
    return True


def test_all_that_a_drop_of_the_tables_meets_is_told_before_it(migrated: Database) -> None:
    with migrated.engine().connect() as connection:
        assert dependants.of_tables(connection, spec.NAMES) == ()
        for built in here(migrated):
            if built.drop is None:
                continue
            built.make(connection)
            found = dependants.of_tables(connection, spec.NAMES)
            assert built.called(connection) in {one.name for one in found}, built.name
            assert {one.fate for one in found} == {built.drop}, built.name
            if built.drop == "refuses" or migrated.backend == "postgresql":
                assert is_dropped(connection) is (built.drop != "refuses"), built.name
            built.take_away(connection)
            assert dependants.of_tables(connection, spec.NAMES) == (), built.name


def test_what_would_be_refused_blocks_the_plan_by_name_until_it_is_out_of_the_way(database: Database) -> None:
    """And once nothing is left in the way, all that can stay is carried along, and comes back as it was."""
    happen_in_part(database, "mfa_events")
    engine = database.engine()
    with engine.connect() as connection:
        for built in here(database):
            if built.refuses:
                built.make(connection)
                blocked = adoption.plan(engine, SETTINGS).blocked
                assert {one.problem.partition(": ")[0] for one in blocked} == {built.called(connection)}, built.name
                for blocker in blocked:
                    (gone,) = re.findall(r"\((.*?);\)", blocker.remedy)
                    connection.exec_driver_sql(gone)
                connection.commit()
                built.take_away(connection)
        carried = [one for one in here(database) if not one.refuses]
        for built in carried:
            built.make(connection)
        before = {one.name for one in dependants.of_tables(connection, spec.NAMES)}
        connection.rollback()
    rows = contents(database)
    adoption.apply(engine, SETTINGS, allow=["heavy"])
    assert commands.verify(engine, SETTINGS).conforms
    assert unchanged(rows, contents(database))
    with engine.connect() as connection:
        assert {one.name for one in dependants.of_tables(connection, spec.NAMES)} >= before
