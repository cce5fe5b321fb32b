"""The table of passkeys comes and goes in a history of its own, beside the four tables and not with them."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.cli.conftest import Shell
from tests.databases import ROOT, Database
from tests.schema.killed import environment
from tests.schema.snapshot import snapshot
from tests.test_migrations import USERS, alembic, execute, offline, start_alembic, table_names
from twofold.database import create_engine
from twofold.errors import SchemaDrift
from twofold.schema import adoption, commands, passkeys_spec, spec
from twofold.schema.conformity.findings import Verdict
from twofold.schema.history import EVERY, PASSKEYS
from twofold.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings()
TABLE, REVISION, VERSIONS = PASSKEYS.names[0], PASSKEYS.revision, PASSKEYS.version_table
FOUR = {*spec.NAMES, spec.VERSION_TABLE}


def upgrade(database: Database, settings: Settings = SETTINGS) -> None:
    commands.upgrade(database.engine(), settings, history=PASSKEYS)


def add_a_row(database: Database, user_id: str = "1") -> None:
    columns = "user_id, name, credential_key, credential_id, public_key, user_handle, rp_id, algorithm, created_at"
    values = f"{user_id}, 'blue key', 'v1:kid:check:00', 'sealed', 'sealed', 'handle', 'example.com', -7, '2026-01-01'"
    execute(database, f"INSERT INTO {TABLE} ({columns}) VALUES ({values})")


def add_ada(database: Database) -> None:
    execute(database, "INSERT INTO users (id, subject) VALUES (1, 'ada@example.com')")


@pytest.fixture
def fifth(migrated: Database) -> Database:
    """A database with the table of passkeys beside the four."""
    upgrade(migrated)
    return migrated


@pytest.mark.by_turns
def test_the_commands_of_alembic_are_told_by_name_which_history_they_mean(migrated: Database, tmp_path: Path) -> None:
    def told(*arguments: str) -> tuple[int, str]:
        return alembic(*arguments, folder=tmp_path, url=migrated.url)

    assert told("--name", "passkeys", "upgrade", "head")[0] == 0
    assert table_names(migrated) == {"users", *FOUR, TABLE, VERSIONS}
    assert commands.verify(migrated.engine(), SETTINGS, history=PASSKEYS).findings == ()
    assert told("--name", "passkeys", "downgrade", "-1")[0] == 0
    assert table_names(migrated) == {"users", *FOUR, VERSIONS}
    code, output = told("--name", "passkeys", "stamp", REVISION)
    assert code != 0
    assert f"FAILED: Revision {REVISION} was not recorded. The table of passkeys does not exist" in output
    assert f"{spec.REVISION} (head)" in told("current")[1]


@pytest.mark.by_turns
def test_three_upgrades_at_once_all_succeed(migrated: Database, tmp_path: Path) -> None:
    racing = [
        start_alembic("--name", "passkeys", "upgrade", "head", folder=tmp_path, url=migrated.url) for _ in range(3)
    ]
    errors = [process.communicate()[1] for process in racing]
    assert [process.returncode for process in racing] == [0, 0, 0], "\n".join(errors)
    assert commands.verify(migrated.engine(), SETTINGS, history=PASSKEYS).findings == ()
    assert commands.current(migrated.engine(), history=PASSKEYS) == REVISION


def test_the_four_tables_come_first(database: Database) -> None:
    add = "CREATE TABLE users (id INTEGER PRIMARY KEY)"
    execute(database, add)
    before = snapshot(database)
    with pytest.raises(SchemaDrift, match="`twofold db upgrade` or `alembic upgrade head` first") as caught:
        upgrade(database)
    assert caught.value.differences == tuple(f"{name}: missing" for name in spec.NAMES)
    assert snapshot(database) == before
    commands.upgrade(database.engine(), SETTINGS)
    upgrade(database)
    assert commands.current(database.engine(), history=PASSKEYS) == REVISION


def test_it_goes_up_down_and_up_again_and_the_four_do_not_move(migrated: Database) -> None:
    engine, before = migrated.engine(), snapshot(migrated)
    upgrade(migrated)
    made = snapshot(migrated)
    assert {name: made[name] for name in before} == before
    upgrade(migrated)
    assert snapshot(migrated) == made
    commands.downgrade(engine, SETTINGS, history=PASSKEYS)
    assert {name: one for name, one in snapshot(migrated).items() if name != VERSIONS} == before
    upgrade(migrated)
    assert snapshot(migrated) == made


@pytest.mark.by_turns
def test_the_four_go_down_and_up_again_beside_it_and_say_what_they_leave(
    fifth: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_ada(fifth)
    add_a_row(fifth)
    before = snapshot(fifth)[TABLE]
    code, output = alembic("downgrade", "-1", folder=tmp_path, url=fifth.url)
    assert code == 0
    assert f"{TABLE} stays, with 1 rows. Whoever has a row in it that the four tables do not know is refused" in output
    assert "`twofold db downgrade --passkeys` or `alembic --name passkeys downgrade -1`" in output
    assert table_names(fifth) == {"users", spec.VERSION_TABLE, TABLE, VERSIONS}
    assert snapshot(fifth)[TABLE] == before
    commands.upgrade(fifth.engine(), SETTINGS)
    for history in EVERY:
        assert commands.verify(fifth.engine(), SETTINGS, history=history).findings == ()
    # The users are left, too, as passkeys refer to them.
    with caplog.at_level(logging.WARNING):
        commands.downgrade(fifth.engine(), SETTINGS, "base")
    assert any(message.startswith("The table users stays. ") or TABLE in message for message in caplog.messages)
    assert "users" in table_names(fifth)


def test_a_database_without_it_hears_nothing_of_it(migrated: Database, caplog: pytest.LogCaptureFixture) -> None:
    """Neither does one with a table of the application's own that has the same name."""
    shell = Shell({"database_url": migrated.url})
    for _ in range(2):
        assert shell("db", "verify").out.strip() == f"The tables conform to revision {spec.REVISION}."
        assert "passkeys" not in shell("db", "verify", "--json").data
        assert not any(check["about"] == "passkeys" for check in shell("doctor", "--json").data["checks"])
        execute(migrated, f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, credential VARCHAR(255))")
    with caplog.at_level(logging.WARNING):
        commands.downgrade(migrated.engine(), SETTINGS)
    assert not any(TABLE in message for message in caplog.messages)


def test_a_table_that_conforms_is_recorded_and_its_rows_are_named(
    fifth: Database, caplog: pytest.LogCaptureFixture
) -> None:
    add_ada(fifth)
    add_a_row(fifth)
    execute(fifth, f"DROP TABLE {VERSIONS}")
    before = snapshot(fifth)
    with caplog.at_level(logging.WARNING):
        upgrade(fifth)
    assert f"{TABLE} was there with 1 rows." in "".join(caplog.messages)
    assert {name: one for name, one in snapshot(fifth).items() if name != VERSIONS} == before
    assert commands.current(fifth.engine(), history=PASSKEYS) == REVISION
    execute(fifth, f"DROP TABLE {VERSIONS}")
    commands.stamp(fifth.engine(), SETTINGS, REVISION, history=PASSKEYS)
    assert commands.current(fifth.engine(), history=PASSKEYS) == REVISION


_ON = {"mariadb": f" ON {TABLE}", "sqlite": "", "postgresql": ""}
_NO_UNIQUE = {
    "mariadb": f"ALTER TABLE {TABLE} DROP INDEX uq_mfa_passkeys_credential_key",
    "postgresql": f"ALTER TABLE {TABLE} DROP CONSTRAINT uq_mfa_passkeys_credential_key",
}


def drift(database: Database, name: str) -> tuple[str, str]:
    """Make a difference; the aspect and the subject of the finding."""
    backend = database.backend
    match name:
        case "no index":
            if backend == "mariadb":
                # The foreign key keeps one that serves it.
                execute(database, f"CREATE INDEX other ON {TABLE} (user_id)")
            execute(database, f"DROP INDEX ix_mfa_passkeys_user_id_revoked_at{_ON[backend]}")
            return "index", "(user_id, revoked_at)"
        case "no column":
            execute(database, f"ALTER TABLE {TABLE} DROP COLUMN suspended_at")
            return "column", "suspended_at"
        case "no unique" if backend == "sqlite":
            with database.engine().connect() as connection:
                made = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{TABLE}'").scalar_one()
            constraint = "CONSTRAINT uq_mfa_passkeys_credential_key UNIQUE (credential_key),"
            assert constraint in made
            execute(database, "DROP INDEX ix_mfa_passkeys_user_id_revoked_at", f"ALTER TABLE {TABLE} RENAME TO before")
            execute(database, made.replace(constraint, ""), f"INSERT INTO {TABLE} SELECT * FROM before")
            execute(database, f"CREATE INDEX other ON {TABLE} (user_id, revoked_at)", "DROP TABLE before")
            return "unique", "(credential_key)"
        case "no unique":
            execute(database, _NO_UNIQUE[backend])
            return "unique", "(credential_key)"
        case "a column more":
            kind = "NOT NULL DEFAULT 0" if backend == "sqlite" else "NOT NULL"
            execute(database, f"ALTER TABLE {TABLE} ADD tenant INTEGER {kind}")
            if backend == "sqlite":
                execute(database, f"CREATE UNIQUE INDEX one_each ON {TABLE} (tenant)")
                return "unique", "(tenant)"
            return "column", "tenant"
        case _:
            execute(database, f"DROP TABLE {TABLE}", f"CREATE VIEW {TABLE} AS SELECT id FROM users")
            return "table", ""


@pytest.mark.parametrize("name", ["no index", "no column", "no unique", "a column more", "a view"])
def test_a_table_that_differs_is_refused_with_its_differences_and_left(fifth: Database, name: str) -> None:
    execute(fifth, f"DROP TABLE {VERSIONS}")
    aspect, subject = drift(fifth, name)
    engine, before = fifth.engine(), snapshot(fifth)
    findings = commands.verify(engine, SETTINGS, history=PASSKEYS).findings
    assert (TABLE, aspect, subject) in {(one.table, one.aspect, one.subject) for one in findings}
    for refused in (commands.upgrade, commands.stamp):
        with pytest.raises(SchemaDrift, match="twofold db adopt --passkeys") as caught:
            refused(engine, SETTINGS, REVISION, history=PASSKEYS)
        assert any(aspect in difference for difference in caught.value.differences)
        assert snapshot(fifth) == before
    assert commands.verify(engine, SETTINGS).findings == ()


@pytest.mark.parametrize("name", ["no index", "no column", "no unique"])
def test_what_can_be_repaired_is_adopted_with_its_rows(fifth: Database, name: str) -> None:
    add_ada(fifth)
    add_a_row(fifth)
    execute(fifth, f"DROP TABLE {VERSIONS}")
    drift(fifth, name)
    shell = Shell({"database_url": fifth.url})
    verified = shell("db", "verify", "--passkeys")
    assert (verified.code, "Next: twofold db adopt --passkeys" in verified.out) == (2, True)
    planned = shell("db", "adopt", "--passkeys")
    assert planned.code == 2
    assert "Next: twofold db adopt --passkeys --apply" in planned.out
    script = shell("db", "adopt", "--passkeys", "--sql").out
    assert f"INSERT INTO {VERSIONS} (version_num) VALUES ('{REVISION}')" in script
    assert "Afterwards: twofold db verify --passkeys" in script
    done = shell("db", "adopt", "--passkeys", "--apply", "--yes", "--json")
    assert (done.code, done.data["verdict"], done.data["revision"]) == (0, "conforms", REVISION)
    assert commands.verify(fifth.engine(), SETTINGS, history=PASSKEYS).conforms
    with fifth.engine().connect() as connection:
        assert connection.exec_driver_sql(f"SELECT name FROM {TABLE}").scalars().all() == ["blue key"]
    assert commands.verify(fifth.engine(), SETTINGS).findings == ()


_HEAVY = {
    "postgresql": (
        "ALTER id TYPE integer",
        "ALTER sign_count TYPE integer",
        "ALTER created_at TYPE timestamp",
        "ALTER name DROP NOT NULL",
        "DROP CONSTRAINT mfa_passkeys_user_id_fkey",
    ),
    "mariadb": (
        "MODIFY id INT NOT NULL AUTO_INCREMENT",
        "MODIFY sign_count INT NOT NULL DEFAULT 0",
        "MODIFY created_at DATETIME NOT NULL",
        "MODIFY name VARCHAR(64) CHARACTER SET latin1",
        "DROP FOREIGN KEY mfa_passkeys_ibfk_1",
    ),
    "sqlite": (),
}


def test_what_is_heavy_is_done_where_it_is_allowed(fifth: Database) -> None:
    """As it is for the four tables, by the same steps."""
    add_ada(fifth)
    add_a_row(fifth)
    changes = (f"ALTER TABLE {TABLE} {change}" for change in _HEAVY[fifth.backend])
    execute(fifth, f"DROP TABLE {VERSIONS}", *changes)
    if fifth.backend == "sqlite":
        written = "sign_count BIGINT DEFAULT 0 NOT NULL"
        with fifth.engine().connect() as connection:
            made = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{TABLE}'").scalar_one()
        assert written in made
        execute(fifth, f"ALTER TABLE {TABLE} RENAME TO before", "DROP INDEX ix_mfa_passkeys_user_id_revoked_at")
        execute(fifth, made.replace(written, "sign_count BIGINT"), f"INSERT INTO {TABLE} SELECT * FROM before")
        execute(fifth, "DROP TABLE before")
    engine = fifth.engine()
    with pytest.raises(adoption.Refused, match="The table of passkeys was not adopted; nothing was changed"):
        adoption.apply(engine, SETTINGS, history=PASSKEYS)
    done = adoption.apply(engine, SETTINGS, allow=["heavy"], history=PASSKEYS)
    assert {step.table for step in done.steps} == {TABLE}
    assert commands.verify(engine, SETTINGS, history=PASSKEYS).conforms
    assert commands.current(engine, history=PASSKEYS) == REVISION
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT name, sign_count FROM {TABLE}").all() == [("blue key", 0)]
    assert adoption.plan(engine, SETTINGS, history=PASSKEYS).is_done


def test_a_table_of_the_applications_own_is_not_taken_over(migrated: Database) -> None:
    execute(
        migrated,
        f"CREATE TABLE {TABLE} (id BIGINT PRIMARY KEY, user_id BIGINT, credential_id VARCHAR(255), key_text TEXT)",
        f"INSERT INTO {TABLE} VALUES (1, 1, 'raw', 'key')",
    )
    before = snapshot(migrated)
    shell = Shell({"database_url": migrated.url})
    refused = shell("db", "adopt", "--passkeys", "--apply", "--yes")
    assert refused.code == 3
    assert "credential_key: missing" in refused.out
    assert f"ALTER TABLE {TABLE} RENAME TO" in refused.out
    assert snapshot(migrated) == before
    execute(migrated, f"ALTER TABLE {TABLE} RENAME TO passkeys_of_before")
    upgrade(migrated)
    assert commands.verify(migrated.engine(), SETTINGS, history=PASSKEYS).findings == ()


def test_without_the_four_there_is_nothing_to_adopt(database: Database) -> None:
    execute(database, "CREATE TABLE users (id INTEGER PRIMARY KEY)")
    refused = Shell({"database_url": database.url})("db", "adopt", "--passkeys")
    assert refused.code == 3
    assert "Make them first: twofold db upgrade" in refused.out


@pytest.mark.parametrize("kind", ["integer", "bigint", "uuid", "string"])
def test_the_hosts_own_users_lend_their_type(database: Database, kind: str) -> None:
    definition, key = USERS[database.backend][kind]
    options = " CHARACTER SET latin1 COLLATE latin1_german2_ci" if database.backend == "mariadb" else ""
    execute(database, f"CREATE TABLE accounts (number {definition}){options}")
    execute(database, f"INSERT INTO accounts VALUES ({key})")
    settings = Settings(users="accounts.number")
    commands.upgrade(database.engine(), settings)
    upgrade(database, settings)
    assert commands.verify(database.engine(), settings, history=PASSKEYS).findings == ()
    add_a_row(database, key)
    execute(database, "DELETE FROM accounts")
    with database.engine().connect() as connection:
        assert connection.exec_driver_sql(f"SELECT count(*) FROM {TABLE}").scalar_one() == 0


@pytest.mark.backends("postgresql")
def test_a_tenant_has_a_table_of_its_own(fifth: Database) -> None:
    execute(fifth, "CREATE SCHEMA tenant_b", "CREATE TABLE tenant_b.users (id UUID PRIMARY KEY)")
    options = {"options": "-csearch_path=tenant_b,public"}
    path = create_engine(sa.make_url(fifth.url).update_query_dict(options).render_as_string(hide_password=False))
    mapped = fifth.engine().execution_options(schema_translate_map={None: "tenant_b"})
    for engine in (path, mapped):
        assert commands.current(engine, history=PASSKEYS) is None
        commands.upgrade(engine, SETTINGS)
        commands.upgrade(engine, SETTINGS, history=PASSKEYS)
        assert commands.verify(engine, SETTINGS, history=PASSKEYS).findings == ()
        commands.downgrade(engine, SETTINGS, history=PASSKEYS)
        assert commands.verify(engine, SETTINGS, history=PASSKEYS).nothing_there
        assert commands.verify(fifth.engine(), SETTINGS, history=PASSKEYS).findings == ()
        commands.downgrade(engine, SETTINGS)
    path.dispose()


def test_what_hangs_on_it_is_named_and_nothing_is_dropped(fifth: Database) -> None:
    if fifth.backend == "sqlite":
        execute(fifth, f"CREATE TABLE notes (passkey INTEGER REFERENCES {TABLE} (id))")
    else:
        execute(fifth, f"CREATE TABLE notes (passkey BIGINT, FOREIGN KEY (passkey) REFERENCES {TABLE} (id))")
    before = snapshot(fifth)
    with pytest.raises(SchemaDrift, match="nothing was changed") as caught:
        commands.downgrade(fifth.engine(), SETTINGS, history=PASSKEYS)
    assert any("notes" in one for one in caught.value.differences)
    assert snapshot(fifth) == before
    # The four go, as nothing hangs on them.
    commands.downgrade(fifth.engine(), SETTINGS)
    assert TABLE in table_names(fifth)


@pytest.mark.backends("postgresql")
def test_what_was_made_is_verified_before_it_is_recorded(migrated: Database) -> None:
    """A trigger of the server's makes something else of every new table; the four are looked at in the same way."""
    execute(
        migrated,
        "CREATE FUNCTION hide() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF to_regclass('mfa_passkeys') IS NOT NULL THEN ALTER TABLE mfa_passkeys ENABLE ROW LEVEL SECURITY; END IF; "
        "IF to_regclass('mfa_events') IS NOT NULL THEN ALTER TABLE mfa_events ENABLE ROW LEVEL SECURITY; END IF; "
        "END $$",
    )
    commands.downgrade(migrated.engine(), SETTINGS)
    execute(
        migrated, "CREATE EVENT TRIGGER hides ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION hide()"
    )
    before = snapshot(migrated)
    with pytest.raises(SchemaDrift, match=r"just made differs from revision 769e76ff65d7.*not recorded"):
        commands.upgrade(migrated.engine(), SETTINGS)
    assert snapshot(migrated) == before
    execute(migrated, "ALTER EVENT TRIGGER hides DISABLE")
    commands.upgrade(migrated.engine(), SETTINGS)
    execute(migrated, "ALTER EVENT TRIGGER hides ENABLE")
    before = snapshot(migrated)
    with pytest.raises(SchemaDrift, match=rf"just made differs from revision {REVISION}"):
        upgrade(migrated)
    assert snapshot(migrated) == before


@pytest.mark.parametrize("at", [f"CREATE {TABLE}", f"INSERT {VERSIONS}"], ids=["made", "recorded"])
def test_a_kill_on_the_way_leaves_what_the_next_run_finishes(migrated: Database, at: str) -> None:
    before = snapshot(migrated)
    migrated.dispose()
    killed = subprocess.run(
        [sys.executable, "-m", "tests.schema.test_passkeys", *at.split()],
        cwd=ROOT,
        env=environment(migrated),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    after = snapshot(migrated)
    if migrated.backend != "mariadb":
        assert after == before
    assert commands.current(migrated.engine(), history=PASSKEYS) is None
    upgrade(migrated)
    assert commands.verify(migrated.engine(), SETTINGS, history=PASSKEYS).findings == ()
    assert commands.current(migrated.engine(), history=PASSKEYS) == REVISION


def test_written_sql_makes_the_same_table_as_the_migration(migrated: Database) -> None:
    written = offline(migrated.url, history=PASSKEYS)
    for statement in written.split(";\n"):
        lines = [line for line in statement.splitlines() if not line.startswith("--")]
        if (text := "\n".join(lines).strip()) and text not in {"BEGIN", "COMMIT"}:
            # SQLite's own migration of BIGINT is INTEGER, which the type of users.id decides.
            execute(
                migrated, text.replace("user_id BIGINT", "user_id INTEGER") if migrated.backend == "sqlite" else text
            )
    assert commands.verify(migrated.engine(), SETTINGS, history=PASSKEYS).findings == ()
    assert commands.current(migrated.engine(), history=PASSKEYS) == REVISION


def test_the_commands_of_twofold_mean_it_where_they_are_told(migrated: Database) -> None:
    shell = Shell({"database_url": migrated.url})
    assert shell("db", "upgrade", "--passkeys", "--with-users").code == 64
    pending = shell("db", "verify", "--passkeys", "--json")
    assert (pending.code, pending.data["verdict"], pending.data["missing"]) == (2, "pending", [TABLE])
    references = {"sqlite": "users.id (INTEGER)"}.get(migrated.backend, "users.id (bigint)")
    made = {"revision": REVISION, "before": None, "changed": True, "references": references, "made_users": False}
    first = shell("db", "upgrade", "--passkeys", "--json")
    assert (first.code, first.data) == (0, made)
    assert "at revision b1f04c7d29ae already." in shell("db", "upgrade", "--passkeys").out
    current = {"revision": REVISION, "head": REVISION, "is_head": True}
    assert shell("db", "current", "--passkeys", "--json").data == current
    both = shell("db", "verify", "--json").data
    assert (both["revision"], both["passkeys"]["revision"]) == (spec.REVISION, REVISION)

    add_ada(migrated)
    add_a_row(migrated)
    refused = shell("db", "downgrade", typed="n\n")
    assert refused.code == 1
    assert f"{TABLE} stays, with 1 rows." in refused.err
    refused = shell("db", "downgrade", "--passkeys", typed="n\n")
    assert refused.code == 1
    assert f"This drops the table of passkeys with all its rows: 1 in {TABLE}." in refused.err
    done = shell("db", "downgrade", "--passkeys", "--yes", "--json")
    assert (done.code, done.data["rows"], done.data["revision"]) == (0, {TABLE: 1}, None)
    assert shell("db", "verify").code == 0
    assert "nothing to take back" in shell("db", "downgrade", "--passkeys", "--yes").out
    assert shell("db", "upgrade", "--passkeys").code == 0
    left = shell("db", "downgrade", "--yes", "--json").data["left_behind"]
    assert [one.partition(".")[0] for one in left] == [f"{TABLE} stays, with 0 rows"]


def test_verify_tells_of_both_where_both_are_there(fifth: Database) -> None:
    shell = Shell({"database_url": fifth.url})
    checks = shell("doctor", "--json").data["checks"]
    assert [one["state"] for one in checks if one["about"] == "passkeys"] == ["ok"]
    drift(fifth, "no index")
    verified = shell("db", "verify")
    assert verified.code == 2
    assert f"The tables conform to revision {spec.REVISION}." in verified.out
    assert "The table of passkeys differs; all of it can be repaired. Next: twofold db adopt --passkeys" in verified.out
    execute(fifth, f"DROP TABLE {TABLE}")
    assert shell("db", "verify").code == 2


def test_its_plan_asks_nothing_of_the_rows_of_the_four(fifth: Database) -> None:
    add_ada(fifth)
    execute(
        fifth, "INSERT INTO user_mfa_secrets (user_id, created_at, updated_at) VALUES (1, '2026-01-01', '2026-01-01')"
    )
    assert adoption.plan(fifth.engine(), SETTINGS).legacy_rows == 1
    plan = adoption.plan(fifth.engine(), SETTINGS, history=PASSKEYS)
    assert (plan.legacy_rows, plan.is_done, plan.history) == (0, True, PASSKEYS)
    assert plan.report.verdict(TABLE) is Verdict.SAME
    assert PASSKEYS.names == passkeys_spec.NAMES


def _die(verb: str, table: str) -> None:
    """Upgrade, and be killed right behind a statement."""

    @event.listens_for(sa.Engine, "after_cursor_execute")
    def after(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.lstrip().startswith(verb) and table in statement:
            signal.raise_signal(signal.SIGKILL)

    settings = Settings()
    commands.upgrade(create_engine(settings.database_url.get_secret_value()), settings, history=PASSKEYS)


if __name__ == "__main__":
    _die(*sys.argv[1:])
