"""The rows of before Twofold come along with `twofold db adopt`, wherever the tables are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import Shell
from tests.people import log_in, plain_settings
from tests.schema.incident import happen, older
from tests.schema.snapshot import snapshot
from twofold import MFA

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Clock

APPLY = ("db", "adopt", "--apply", "--yes", "--allow", "heavy")


@pytest.fixture
def shell(backend: str, keys: str) -> Shell:
    return Shell({"keys": keys})


def test_rows_in_tables_that_conform_and_are_recorded_are_told_and_brought_along(
    migrated: Database, clock: Clock, keys: str, shell: Shell
) -> None:
    phones = older(migrated, 3, clock)
    where = {"database_url": migrated.url}
    planned = shell("db", "adopt", "--json", **where)
    assert (planned.code, planned.data["verdict"], planned.data["legacy_rows"]) == (2, "conforms", 3)
    assert "3 rows of before Twofold" in shell("db", "adopt", **where).out

    untouched = snapshot(migrated)
    assert shell("db", "adopt", "--apply", "--data", "later", **where).code == 0
    asked = shell("db", "adopt", "--apply", typed="n\n", **where)
    assert (asked.code, "Seal 3 rows of before Twofold?" in asked.err) == (1, True)
    assert snapshot(migrated) == untouched

    done = shell(*APPLY, "--json", **where)
    assert (done.code, done.data["rows"], done.data["legacy_rows"]) == (0, {"adopted": 3, "left": []}, 0)
    assert shell("db", "adopt", **where).code == 0
    mfa = MFA(migrated.engine(), plain_settings(keys=keys), clock=clock)
    assert all(log_in(mfa, user, phone.code()) for user, phone in phones.items())


def test_a_row_that_cannot_be_opened_is_told_until_somebody_does_something_about_it(
    migrated: Database, clock: Clock, shell: Shell
) -> None:
    older(migrated, 3, clock)
    with migrated.engine().begin() as connection:
        connection.exec_driver_sql("UPDATE user_mfa_secrets SET secret = 'no secret' WHERE user_id = 2")
    where = {"database_url": migrated.url}
    for adopted in (2, 0):
        done = shell(*APPLY, "--json", **where)
        assert (done.code, done.data["rows"]) == (2, {"adopted": adopted, "left": ["2"]})
        assert (done.data["verdict"], done.data["legacy_rows"]) == ("conforms", 1)


def test_without_keys_nothing_is_begun(database: Database, shell: Shell) -> None:
    happen(database)
    untouched = snapshot(database)
    refused = shell(*APPLY, database_url=database.url, keys="")
    assert refused.code == 78
    assert snapshot(database) == untouched
