"""What hangs on the tables is known before anything is changed or dropped, in whichever schema it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from tests.schema.built import BUILT
from twofold.schema import dependants, spec

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tests.databases import Database


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
        for built in (one for one in BUILT if one.backend == migrated.backend):
            built.make(connection)
            found = dependants.of_tables(connection, spec.NAMES)
            assert built.called(connection) in {one.name for one in found}, built.name
            assert {one.fate for one in found} == {built.drop}, built.name
            if built.drop == "refuses" or migrated.backend == "postgresql":
                assert is_dropped(connection) is (built.drop != "refuses"), built.name
            built.take_away(connection)
            assert dependants.of_tables(connection, spec.NAMES) == (), built.name
