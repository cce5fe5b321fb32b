"""PostgreSQL: what an application that goes on while its tables are adopted has to know of the types that change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.errors import FeatureNotSupported

from tests.schema.incident import happen_in_part
from twofold.schema import adoption
from twofold.settings import Settings

if TYPE_CHECKING:
    from tests.databases import Database

pytestmark = pytest.mark.backends("postgresql")
# psycopg prepares a statement when it is executed for the sixth time on a connection.
OFTEN = 8
CHANGING = "SELECT id, created_at FROM mfa_events WHERE user_id = 1"
WRITING = "UPDATE mfa_events SET created_at = %s WHERE user_id = 1"


def test_a_prepared_plan_fails_once_where_a_type_has_changed_and_never_where_nothing_is_prepared(
    database: Database,
) -> None:
    happen_in_part(database, "mfa_events")
    with psycopg.connect(database.url) as usual, psycopg.connect(database.url, prepare_threshold=None) as careful:
        for connection in (usual, careful):
            for _ in range(OFTEN):
                connection.execute(CHANGING)
            connection.commit()
        adoption.apply(database.engine(), Settings(), allow=["heavy"])
        with pytest.raises(FeatureNotSupported, match="cached plan must not change result type"):
            usual.execute(CHANGING)
        usual.rollback()
        for connection in (usual, careful):
            ((number, moment),) = connection.execute(CHANGING).fetchall()
            assert number == 1
            # A moment that had no zone has one now.
            assert moment.tzinfo is not None


def test_a_moment_without_a_zone_is_taken_for_one_of_the_session(database: Database) -> None:
    happen_in_part(database, "mfa_events")
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    with psycopg.connect(database.url) as elsewhere, psycopg.connect(database.url, options="-c timezone=UTC") as ours:
        adoption.apply(database.engine(), Settings(), allow=["heavy"])
        for connection, is_right in ((elsewhere, False), (ours, True)):
            # The tests' servers live in a zone far from UTC.
            connection.execute(WRITING, [noon.replace(tzinfo=None)])
            connection.commit()
            ((_, moment),) = connection.execute(CHANGING).fetchall()
            assert (moment == noon) is is_right
