"""What a role may not do is known before anything is changed, and so is what has to be granted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.databases import Database
from tests.schema.clients import run
from tests.schema.incident import happen_in_part
from tests.schema.rows import contents, unchanged
from twofold.schema import adoption, commands, spec
from twofold.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Settings()
pytestmark = pytest.mark.backends("postgresql", "mariadb")
_SEEN = {
    "postgresql": ("CREATE ROLE keeper LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO keeper"),
    "mariadb": ("CREATE USER keeper@'127.0.0.1'", "GRANT SELECT ON * TO keeper@'127.0.0.1'"),
}
_GONE = {
    "postgresql": ("REASSIGN OWNED BY keeper TO postgres", "DROP OWNED BY keeper", "DROP ROLE keeper"),
    "mariadb": ("DROP USER keeper@'127.0.0.1'",),
}
_LACKS = {
    "postgresql": {"mfa_events", "schema public", "users (id)"},
    "mariadb": {"mfa_events", "user_mfa_secrets", "mfa_backup_codes", "mfa_device_trusts", spec.VERSION_TABLE},
}


@pytest.fixture
def kept(database: Database) -> Iterator[Database]:
    """The same database, as a role that may read it and nothing else."""
    happen_in_part(database, "mfa_events")
    with database.engine().begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {spec.VERSION_TABLE}")
        for statement in _SEEN[database.backend]:
            connection.exec_driver_sql(statement)
    url = sa.make_url(database.url)._replace(username="keeper", password=None)
    keeper = Database(url.render_as_string(), database.backend)
    yield keeper
    keeper.dispose()
    with database.engine().begin() as connection:
        for statement in _GONE[database.backend]:
            connection.exec_driver_sql(statement)


def test_a_role_is_told_what_it_lacks_and_carries_the_plan_out_once_it_is_granted(
    database: Database, kept: Database
) -> None:
    rows = contents(database)
    with pytest.raises(adoption.Refused) as caught:
        adoption.apply(kept.engine(), SETTINGS, allow=["heavy"])
    blocked = caught.value.plan.blocked
    assert {one.table for one in blocked} == _LACKS[database.backend]
    kept.dispose()
    with database.engine().begin() as connection:
        for blocker in blocked:
            (grant,) = re.findall(r"\((\w+ [^;]*;)\)", blocker.remedy)
            connection.exec_driver_sql(grant.rstrip(";"))
    adoption.apply(kept.engine(), SETTINGS, allow=["heavy"])
    assert commands.verify(kept.engine(), SETTINGS).conforms
    assert commands.current(kept.engine()) == spec.REVISION
    assert unchanged(rows, contents(database))


def test_a_role_without_rights_writes_the_script_for_one_that_has_them(database: Database, kept: Database) -> None:
    rows = contents(database)
    _, script = adoption.script(kept.engine(), SETTINGS)
    done = run(script, database)
    assert done.returncode == 0, done.stderr
    assert commands.verify(database.engine(), SETTINGS).conforms
    assert commands.current(database.engine()) == spec.REVISION
    assert unchanged(rows, contents(database))


@pytest.mark.backends("mariadb")
def test_a_role_that_may_lock_no_tables_adopts_upgrades_and_takes_them_back(database: Database, kept: Database) -> None:
    with database.engine().begin() as connection:
        granted = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP"
        connection.exec_driver_sql(f"GRANT {granted} ON * TO keeper@'127.0.0.1'")
    with kept.engine().connect() as connection, pytest.raises(DBAPIError, match="denied"):
        connection.exec_driver_sql("LOCK TABLES mfa_events WRITE")
    adoption.apply(kept.engine(), SETTINGS, allow=["heavy"])
    for _ in range(2):
        assert commands.verify(kept.engine(), SETTINGS).conforms
        commands.downgrade(kept.engine(), SETTINGS)
        assert not set(sa.inspect(kept.engine()).get_table_names()) & set(spec.NAMES)
        commands.upgrade(kept.engine(), SETTINGS)
