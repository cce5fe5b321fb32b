"""The three commands of Alembic do to the letter what they promise, on every database."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from argparse import Namespace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pydantic import SecretStr

from tests.databases import ROOT, Database, alembic_config
from tests.length import IS_WHOLE
from tests.schema.snapshot import snapshot
from twofold.database import create_engine
from twofold.errors import ConfigurationError, DatabaseUnavailable, MFAError, SchemaDrift
from twofold.schema import commands, spec
from twofold.schema.history import FOUR, PASSKEYS, History
from twofold.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

ALEMBIC = Path(sys.executable).with_name("alembic")
SETTINGS = Settings()
OURS = {*spec.NAMES, spec.VERSION_TABLE}

pytestmark = pytest.mark.every_driver


def start_alembic(*arguments: str, folder: Path, url: str | None = None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}
    if url is not None:
        environment["TWOFOLD_DATABASE_URL"] = url
    shutil.copy(ROOT / "alembic.ini", folder)
    return subprocess.Popen(
        [ALEMBIC, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def alembic(*arguments: str, folder: Path, url: str | None = None) -> tuple[int, str]:
    process = start_alembic(*arguments, folder=folder, url=url)
    output, errors = process.communicate()
    assert "Traceback" not in errors
    return process.returncode, output + errors


def packaged(*x: str, history: History = FOUR) -> Config:
    """The migrations as they come with the package, without an alembic.ini; `x` are the arguments of -x."""
    config = Config(output_buffer=StringIO(), cmd_opts=Namespace(x=list(x)))
    config.set_main_option("script_location", history.scripts)
    config.set_main_option("path_separator", "os")
    return config


def offline(url: str, *x: str, history: History = FOUR) -> str:
    """What `alembic upgrade head --sql` writes for a database."""
    config = packaged(*x, history=history)
    config.attributes["settings"] = Settings(database_url=SecretStr(url))
    command.upgrade(config, "head", sql=True)
    assert isinstance(config.output_buffer, StringIO)
    return config.output_buffer.getvalue()


def table_names(database: Database) -> set[str]:
    with database.engine().connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def execute(database: Database, *statements: str) -> None:
    with database.engine().begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_alembic_without_any_configuration_migrates_a_file_in_the_current_folder(tmp_path: Path) -> None:
    here = Database(f"sqlite:///{tmp_path / 'twofold.db'}", "sqlite")
    assert alembic("upgrade", "head", folder=tmp_path)[0] == 0
    assert table_names(here) == {"users", *OURS}
    code, output = alembic("downgrade", "-1", folder=tmp_path)
    assert code == 0
    assert "Dropping mfa_events with 0 rows." in output
    assert table_names(here) == {"users", spec.VERSION_TABLE}
    code, output = alembic("stamp", "769e76ff65d7", folder=tmp_path)
    assert code != 0
    assert "FAILED: Revision 769e76ff65d7 was not recorded." in output
    assert "user_mfa_secrets: table: missing" in output
    assert commands.current(here.engine()) == "6f65d833c956"
    here.dispose()


def test_alembic_invents_no_users_and_says_what_is_referenced(tmp_path: Path) -> None:
    here = Database(f"sqlite:///{tmp_path / 'twofold.db'}", "sqlite")
    execute(here, "CREATE TABLE user (id INTEGER PRIMARY KEY)")
    code, output = alembic("upgrade", "head", folder=tmp_path)
    assert code != 0
    assert "FAILED: There is no users.id in the database." in output
    assert "TWOFOLD_USERS=user.id." in output
    assert table_names(here) == {"user"}
    code, output = alembic("-x", "twofold_with_users=yes", "upgrade", "head", folder=tmp_path)
    assert code == 0
    assert "There was no table users, so an empty one was made." in output
    assert "user_id references users.id (INTEGER)." in output
    assert table_names(here) == {"user", "users", *OURS}
    here.dispose()


def test_the_library_invents_no_users(database: Database) -> None:
    execute(database, "CREATE TABLE accounts (number INTEGER PRIMARY KEY)")
    with pytest.raises(ConfigurationError, match=r"TWOFOLD_USERS=accounts\.number\."):
        commands.upgrade(database.engine(), SETTINGS)
    assert table_names(database) == {"accounts"}
    commands.upgrade(database.engine(), SETTINGS, with_users=True)
    assert commands.verify(database.engine(), SETTINGS).findings == ()


def test_a_database_of_views_alone_belongs_to_somebody(database: Database) -> None:
    execute(database, "CREATE VIEW members AS SELECT 7 AS id, 'ada@example.com' AS subject")
    with pytest.raises(ConfigurationError, match=r"There is no users\.id in the database"):
        commands.upgrade(database.engine(), SETTINGS)
    assert not table_names(database)
    commands.upgrade(database.engine(), SETTINGS, with_users=True)
    assert commands.verify(database.engine(), SETTINGS).conforms


@pytest.mark.backends("postgresql")
def test_tables_in_another_schema_are_seen_and_those_of_an_extension_are_not(database: Database) -> None:
    execute(
        database,
        "CREATE TABLE things (n INTEGER)",
        "CREATE EXTENSION IF NOT EXISTS plpgsql",
        "ALTER EXTENSION plpgsql ADD TABLE things",
        "CREATE SCHEMA app",
        "CREATE TABLE app.members (id UUID PRIMARY KEY)",
    )
    with pytest.raises(ConfigurationError, match=r"TWOFOLD_USERS=app\.members\.id\."):
        commands.upgrade(database.engine(), SETTINGS)
    execute(database, "DROP SCHEMA app CASCADE")
    commands.upgrade(database.engine(), SETTINGS)
    assert commands.verify(database.engine(), SETTINGS).findings == ()


SHORTEST = {
    "alembic.ini": "[alembic]\nscript_location = twofold:migrations\n",
    "pyproject.toml": '[tool.alembic]\nscript_location = "twofold:migrations"\n',
}
PASSKEYS_SECTION = "[passkeys]\nscript_location = twofold:migrations/passkeys\n"


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds."""
    folder = tmp_path_factory.mktemp("unpacked")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


@pytest.mark.begun_first
@pytest.mark.parametrize("file", list(SHORTEST) if IS_WHOLE else ["alembic.ini"])
def test_alembic_works_from_an_installed_wheel_with_two_lines_of_configuration(
    unpacked: Path, tmp_path: Path, file: str
) -> None:
    page = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
    assert SHORTEST[file] in page
    here = tmp_path / "here"
    here.mkdir()
    (here / file).write_text(SHORTEST[file], encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}

    def told(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [ALEMBIC, *arguments],
            cwd=here,
            env=environment | {"PYTHONPATH": str(unpacked)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    database = Database(f"sqlite:///{here / 'twofold.db'}", "sqlite")
    assert told("upgrade", "head") == (0, "")
    assert table_names(database) == {"users", *OURS}
    assert told("current") == (0, f"{spec.REVISION} (head)\n")
    assert "Dropping mfa_events with 0 rows." in told("downgrade", "-1")[1]
    code, output = told("stamp", spec.REVISION)
    assert (code != 0, "was not recorded" in output) == (True, True)
    assert told("upgrade", "head", "--sql")[1].count("CREATE TABLE mfa_events") == 1

    assert told("upgrade", "head") == (0, "")
    for asked in (("upgrade", "head"), ("downgrade", "-1")):
        # Where the section is not there, the four tables are not what is meant.
        assert told("--name", "passkeys", *asked)[0] != 0
    assert table_names(database) == {"users", *OURS}
    assert PASSKEYS_SECTION in page
    with (here / "alembic.ini").open("a", encoding="utf-8") as configuration:
        configuration.write(PASSKEYS_SECTION)
    assert told("--name", "passkeys", "upgrade", "head") == (0, "")
    assert table_names(database) == {"users", *OURS, *PASSKEYS.names, PASSKEYS.version_table}
    assert told("--name", "passkeys", "current") == (0, f"{PASSKEYS.revision} (head)\n")
    assert told("current") == (0, f"{spec.REVISION} (head)\n")
    database.dispose()


@pytest.mark.backends("postgresql")
def test_alembic_stamps_tables_that_conform_wherever_they_are(migrated: Database, tmp_path: Path) -> None:
    execute(migrated, f"DROP TABLE {spec.VERSION_TABLE}")
    assert alembic("stamp", "769e76ff65d7", folder=tmp_path, url=migrated.url)[0] == 0
    assert commands.current(migrated.engine()) == spec.REVISION


def test_tables_that_conform_can_be_stamped(migrated: Database) -> None:
    execute(migrated, f"DROP TABLE {spec.VERSION_TABLE}")
    commands.stamp(migrated.engine(), SETTINGS)
    assert commands.current(migrated.engine()) == spec.REVISION


def test_unverified_tables_are_stamped_only_when_told_twice(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SchemaDrift, match="was not recorded"):
        commands.stamp(database.engine(), SETTINGS)
    assert table_names(database) == set()
    with database.engine().connect() as connection:
        config = packaged("twofold_unverified_stamp=yes")
        config.attributes["connection"] = connection
        command.stamp(config, "head")
    assert any("mfa_events: table: missing" in message for message in caplog.messages)
    assert commands.current(database.engine()) == spec.REVISION


def test_alembic_answers_in_a_sentence_when_the_database_is_away(tmp_path: Path) -> None:
    code, output = alembic("upgrade", "head", folder=tmp_path, url="postgresql://ada:hunter2@127.0.0.1:9/twofold")
    assert code != 0
    assert "FAILED: The database does not answer" in output
    assert "hunter2" not in output


def test_alembic_answers_in_a_sentence_when_a_setting_is_wrong(tmp_path: Path) -> None:
    code, output = alembic("upgrade", "head", folder=tmp_path, url="oracle://ada:hunter2@there/twofold")
    assert code != 0
    assert "FAILED: Twofold does not know the database" in output
    assert "hunter2" not in output


@pytest.mark.by_turns
def test_three_upgrades_at_once_all_succeed(database: Database, tmp_path: Path) -> None:
    racing = [start_alembic("upgrade", "head", folder=tmp_path, url=database.url) for _ in range(3)]
    errors = [process.communicate()[1] for process in racing]
    assert [process.returncode for process in racing] == [0, 0, 0], "\n".join(errors)
    assert commands.verify(database.engine(), SETTINGS).findings == ()
    assert commands.current(database.engine()) == spec.REVISION


def test_every_revision_goes_up_down_and_up_again(database: Database) -> None:
    engine = database.engine()
    seen: dict[str, dict[str, object]] = {}
    for revision in (spec.USERS_REVISION, spec.REVISION):
        commands.upgrade(engine, SETTINGS, revision)
        seen[revision] = snapshot(database)
        commands.downgrade(engine, SETTINGS, "-1")
        commands.upgrade(engine, SETTINGS, revision)
        assert snapshot(database) == seen[revision]
    commands.downgrade(engine, SETTINGS, "-1")
    assert snapshot(database) == seen[spec.USERS_REVISION]
    commands.downgrade(engine, SETTINGS, "base")
    assert table_names(database) == {spec.VERSION_TABLE}
    commands.upgrade(engine, SETTINGS)
    assert snapshot(database) == seen[spec.REVISION]


def test_a_second_upgrade_changes_nothing(migrated: Database) -> None:
    before = snapshot(migrated)
    commands.upgrade(migrated.engine(), SETTINGS)
    assert snapshot(migrated) == before


USERS = {
    "sqlite": {
        "integer": ("INTEGER PRIMARY KEY", "7"),
        "bigint": ("BIGINT PRIMARY KEY", "7"),
        "uuid": ("CHAR(32) PRIMARY KEY", "'0190a7c8d6e04f2b8a3c000000000001'"),
        "string": ("VARCHAR(36) PRIMARY KEY", "'ada'"),
    },
    "postgresql": {
        "integer": ("INTEGER PRIMARY KEY", "7"),
        "bigint": ("BIGINT PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY", "7"),
        "uuid": ("UUID PRIMARY KEY", "'0190a7c8-d6e0-4f2b-8a3c-000000000001'"),
        "string": ("VARCHAR(36) PRIMARY KEY", "'ada'"),
    },
    "mariadb": {
        "integer": ("INT UNSIGNED PRIMARY KEY", "7"),
        "bigint": ("BIGINT PRIMARY KEY", "7"),
        "uuid": ("UUID PRIMARY KEY", "'0190a7c8-d6e0-4f2b-8a3c-000000000001'"),
        "string": ("VARCHAR(36) PRIMARY KEY", "'ada'"),
    },
}


@pytest.mark.parametrize("kind", ["integer", "bigint", "uuid", "string"])
def test_the_hosts_own_users_lend_their_type_and_stay_when_everything_else_goes(database: Database, kind: str) -> None:
    definition, key = USERS[database.backend][kind]
    options = " CHARACTER SET latin1 COLLATE latin1_german2_ci" if database.backend == "mariadb" else ""
    engine = database.engine()
    execute(database, f"CREATE TABLE users (id {definition}, email VARCHAR(100)){options}")
    execute(database, f"INSERT INTO users VALUES ({key}, 'ada@example.com')")
    before = snapshot(database)
    commands.upgrade(engine, SETTINGS)
    report = commands.verify(engine, SETTINGS)
    assert report.findings == ()
    execute(
        database,
        f"INSERT INTO user_mfa_secrets (user_id, created_at, updated_at) VALUES ({key}, '2026-01-01', '2026-01-01')",
        f"INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES ({key}, 'x', '2026-01-01')",
        "INSERT INTO mfa_device_trusts (user_id, device_fingerprint, trust_token, trusted_until, created_at) "
        f"VALUES ({key}, 'f', 't', '2026-02-01', '2026-01-01')",
        "INSERT INTO mfa_events (user_id, event_type, event_status, created_at) "
        f"VALUES ({key}, 'verified', 'success', '2026-01-01')",
    )
    execute(database, "DELETE FROM users")
    with engine.connect() as connection:
        for name in spec.NAMES:
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() == 0, name
    execute(database, f"INSERT INTO users VALUES ({key}, 'ada@example.com')")
    commands.downgrade(engine, SETTINGS, "base")
    after = snapshot(database)
    after.pop(spec.VERSION_TABLE)
    assert after == before


def test_a_users_table_of_another_name_is_referenced_where_the_settings_say(database: Database) -> None:
    settings = Settings(users="accounts.number")
    engine = database.engine()
    with pytest.raises(ConfigurationError, match=r"There is no accounts\.number"):
        commands.upgrade(engine, settings)
    assert table_names(database) <= {spec.VERSION_TABLE}
    execute(database, "CREATE TABLE accounts (number INTEGER PRIMARY KEY)")
    commands.upgrade(engine, settings)
    assert commands.verify(engine, settings).findings == ()
    assert "users" not in table_names(database)
    commands.downgrade(engine, settings, "base")
    assert table_names(database) == {"accounts", spec.VERSION_TABLE}


def test_a_users_table_that_only_resembles_ours_is_never_dropped(database: Database) -> None:
    execute(
        database,
        "CREATE TABLE users (id INTEGER PRIMARY KEY, subject VARCHAR(255) UNIQUE, created_at VARCHAR(30))",
    )
    commands.upgrade(database.engine(), SETTINGS)
    commands.downgrade(database.engine(), SETTINGS, "base")
    assert "users" in table_names(database)


def test_our_users_table_stays_as_long_as_somebody_refers_to_it(database: Database) -> None:
    commands.upgrade(database.engine(), SETTINGS)
    execute(database, "CREATE TABLE orders (user_id BIGINT REFERENCES users (id))")
    commands.downgrade(database.engine(), SETTINGS, "base")
    assert {"users", "orders"} <= table_names(database)


def test_a_downgrade_says_how_much_it_destroys(migrated: Database, caplog: pytest.LogCaptureFixture) -> None:
    execute(
        migrated,
        "INSERT INTO users (subject) VALUES ('ada@example.com')",
        "INSERT INTO mfa_backup_codes (user_id, code_hash, created_at) VALUES (1, 'x', '2026-01-01')",
    )
    with caplog.at_level(logging.WARNING):
        commands.downgrade(migrated.engine(), SETTINGS)
    assert "Dropping mfa_backup_codes with 1 rows." in caplog.messages
    assert table_names(migrated) == {"users", spec.VERSION_TABLE}


def test_mfa_tables_without_users_are_refused_and_left_as_they_are(database: Database) -> None:
    execute(database, "CREATE TABLE mfa_events (id INTEGER)")
    before = snapshot(database)
    with pytest.raises(SchemaDrift, match="no users table"):
        commands.upgrade(database.engine(), SETTINGS)
    assert snapshot(database) == before


def test_a_users_table_whose_key_is_not_unique_is_refused(database: Database) -> None:
    execute(database, "CREATE TABLE users (id BIGINT)")
    before = snapshot(database)
    with pytest.raises(ConfigurationError, match=r"users\.id could belong to two users"):
        commands.upgrade(database.engine(), SETTINGS)
    assert snapshot(database) == before


@pytest.mark.backends("postgresql", "mariadb")
def test_a_busy_users_table_delays_the_migration_and_not_the_logins(database: Database) -> None:
    engine = database.engine()
    commands.upgrade(engine, SETTINGS, spec.USERS_REVISION)
    failed: list[MFAError] = []

    def migrate() -> None:
        try:
            commands.upgrade(engine, SETTINGS)
        except MFAError as error:
            failed.append(error)

    with engine.connect() as writer:
        writer.exec_driver_sql("INSERT INTO users (subject) VALUES ('ada@example.com')")
        thread = threading.Thread(target=migrate)
        thread.start()
        time.sleep(0.5)
        began = time.monotonic()
        with engine.begin() as login:
            login.exec_driver_sql("INSERT INTO users (subject) VALUES ('grace@example.com')")
        assert time.monotonic() - began < 9
        writer.commit()
    thread.join()
    assert failed == []
    assert commands.verify(engine, SETTINGS).conforms


def test_a_caller_can_migrate_inside_a_transaction_of_its_own(database: Database) -> None:
    with database.engine().begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    assert commands.current(database.engine()) == spec.REVISION


def test_an_unknown_revision_is_a_sentence(database: Database) -> None:
    with pytest.raises(MFAError, match="nonsense"):
        commands.upgrade(database.engine(), SETTINGS, "nonsense")


def test_a_database_that_is_away_is_an_outage() -> None:
    engine = create_engine("postgresql://ada:hunter2@127.0.0.1:9/twofold")
    for action in (commands.upgrade, commands.downgrade, commands.verify):
        with pytest.raises(DatabaseUnavailable) as caught:
            action(engine, SETTINGS)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(DatabaseUnavailable):
        commands.current(engine)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ((), "user_id BIGINT NOT NULL"),
        (("twofold_user_id_type=integer",), "user_id INTEGER NOT NULL"),
        (("twofold_user_id_type=uuid",), "user_id UUID NOT NULL"),
        (("twofold_user_id_type=varchar(40)",), "user_id VARCHAR(40) NOT NULL"),
        (("twofold_user_id_type=bytea",), "user_id BYTEA NOT NULL"),
        (("twofold_user_id_type=numeric(20)",), "user_id NUMERIC(20) NOT NULL"),
    ],
)
def test_sql_can_be_written_without_a_database(arguments: Sequence[str], written: str) -> None:
    script = offline("postgresql://nowhere/app", *arguments)
    assert script.count(written) == 4
    assert ("CREATE TABLE IF NOT EXISTS users" in script) == (not arguments)
    assert offline("postgres://nowhere/app", *arguments) == script


def test_sql_without_a_database_refuses_a_type_that_it_does_not_know(tmp_path: Path) -> None:
    code, output = alembic("-x", "twofold_user_id_type=datetime", "upgrade", "head", "--sql", folder=tmp_path)
    assert code != 0
    assert "twofold_user_id_type is bigint, integer" in output


def test_written_sql_makes_the_same_tables_as_the_migration(database: Database) -> None:
    script = offline(database.url)
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    with database.engine().connect() as connection:
        for statement in "\n".join(lines).split(";"):
            if statement.strip() not in {"", "BEGIN", "COMMIT"}:
                connection.exec_driver_sql(statement)
        connection.commit()
    assert commands.verify(database.engine(), SETTINGS).findings == ()
    assert commands.current(database.engine()) == spec.REVISION


def test_alembic_writes_the_way_down_too(tmp_path: Path) -> None:
    code, output = alembic("downgrade", "head:base", "--sql", folder=tmp_path)
    assert code == 0
    assert "DROP TABLE IF EXISTS mfa_events" in output
    assert "DROP TABLE users" not in output
