"""`twofold db` on the three databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tests.cli.conftest import Shell
from tests.schema.snapshot import snapshot
from twofold.schema import spec

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Enrolment


def statements(database: Database, *texts: str) -> None:
    with database.engine().begin() as connection:
        for text in texts:
            connection.execute(sa.text(text))


def test_an_empty_database_is_brought_up_and_says_so(database: Database) -> None:
    shell = Shell({"database_url": database.url})
    database.engine().connect().close()  # On SQLite, this is what makes a file.
    pending = shell("db", "verify", "--json")
    assert (pending.code, pending.data["verdict"], len(pending.data["missing"])) == (2, "pending", 4)
    assert shell("db", "current").out.startswith("none ")

    first = shell("db", "upgrade", "--json")
    references = {"sqlite": "users.id (INTEGER)"}.get(database.backend, "users.id (bigint)")
    made = {"revision": spec.REVISION, "before": None, "changed": True, "references": references, "made_users": True}
    assert (first.code, first.data) == (0, made)
    again = shell("db", "upgrade")
    already = f"The database is at revision {spec.REVISION} already.\nuser_id references {references}."
    assert (again.code, again.out.strip()) == (0, already)
    assert shell("db", "current", "--json").data == {"revision": spec.REVISION, "head": spec.REVISION, "is_head": True}
    conforms = shell("db", "verify")
    assert (conforms.code, conforms.out.strip()) == (0, f"The tables conform to revision {spec.REVISION}.")


def test_beside_tables_of_an_application_no_users_are_invented(database: Database) -> None:
    """An application whose users are in another table hears of it here, and not from a user whom nobody knows."""
    shell = Shell({"database_url": database.url})
    statements(
        database,
        "CREATE TABLE settings (name VARCHAR(20) PRIMARY KEY)",
        "CREATE TABLE user_settings (a INTEGER, b INTEGER, PRIMARY KEY (a, b))",
        "CREATE TABLE accounts (number BIGINT PRIMARY KEY)",
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
    )
    before = snapshot(database)
    refused = shell("db", "upgrade")
    assert refused.code == 78
    assert "There is no users.id in the database." in refused.err
    assert "TWOFOLD_USERS=accounts.number, or TWOFOLD_USERS=settings.name. To have" in refused.err
    assert snapshot(database) == before
    for command in (("db", "verify"), ("db", "adopt")):
        assert shell(*command).code == 3
    assert "TWOFOLD_USERS=accounts.number" in shell("db", "adopt").out
    assert snapshot(database) == before

    right = shell("db", "upgrade", "--json", users="accounts.number")
    assert (right.code, right.data["made_users"]) == (0, False)
    assert right.data["references"].lower() == "accounts.number (bigint)"
    assert shell("db", "verify", users="accounts.number").code == 0


def test_users_are_made_beside_other_tables_where_that_is_asked_for(database: Database) -> None:
    shell = Shell({"database_url": database.url})
    statements(database, "CREATE TABLE accounts (number BIGINT PRIMARY KEY)")
    made = shell("db", "upgrade", "--with-users")
    assert made.code == 0
    assert "There was no table users, so an empty one was made" in made.out
    assert "set TWOFOLD_USERS" in made.out
    assert "There was no table users" not in shell("db", "upgrade", "--with-users").out
    assert shell("db", "verify").code == 0


def test_a_downgrade_shows_what_is_lost_and_asks(twofold: Shell, enrolled: Enrolment) -> None:
    refused = twofold("db", "downgrade", typed="n\n")
    assert (refused.code, refused.out.strip()) == (1, "n")
    assert "1 in user_mfa_secrets, 10 in mfa_backup_codes, 0 in mfa_device_trusts, 2 in mfa_events" in refused.err
    assert "error: Nothing was changed." in refused.err
    assert twofold("db", "verify").code == 0

    unasked = twofold("db", "downgrade", "--json")
    assert (unasked.code, unasked.data["error"]) == (64, "UsageError")
    assert twofold("db", "verify").code == 0

    done = twofold("db", "downgrade", "--json", "--yes")
    assert (done.code, done.data["rows"]["mfa_backup_codes"], done.data["revision"]) == (0, 10, spec.USERS_REVISION)
    assert twofold("db", "verify").code == 2
    nothing = twofold("db", "downgrade", "--yes")
    assert nothing.code == 0
    assert "nothing to take back" in nothing.out


def test_a_missing_index_can_be_repaired_and_is_named(twofold: Shell, migrated: Database) -> None:
    on = " ON mfa_events" if migrated.backend == "mariadb" else ""
    statements(migrated, f"DROP INDEX ix_mfa_events_event_type_created_at{on}")
    answer = twofold("db", "verify")
    assert answer.code == 2
    assert "(event_type, created_at)" in answer.out
    assert "can be added" in answer.out
    data = twofold("db", "verify", "--json").data
    assert [(one["table"], one["verdict"]) for one in data["findings"]] == [("mfa_events", "additive")]
    planned = twofold("db", "adopt").out
    assert ("MiB" in planned) == (migrated.backend != "sqlite")
    done = twofold("db", "adopt", "--apply", "--yes")
    assert (done.code, "it is recorded." in done.out, "Adopted" in done.out) == (0, True, False)
    assert twofold("db", "verify").code == 0


def test_what_somebody_has_to_decide_blocks(twofold: Shell, migrated: Database) -> None:
    statements(migrated, "DROP TABLE mfa_events", "CREATE VIEW mfa_events AS SELECT id FROM users")
    answer = twofold("db", "verify")
    assert answer.code == 3
    assert "a view" in answer.out
    assert "you decide" in answer.out
    statements(migrated, "DELETE FROM alembic_version_twofold")
    upgrade = twofold("db", "upgrade", "--json")
    assert (upgrade.code, upgrade.data["error"]) == (1, "SchemaDrift")
    assert any("mfa_events" in line for line in upgrade.data["details"])


def test_users_that_are_not_there_block(twofold: Shell) -> None:
    answer = twofold("db", "verify", users="accounts.id")
    assert answer.code == 3
    assert "accounts" in answer.out
