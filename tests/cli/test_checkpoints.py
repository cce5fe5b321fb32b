"""`twofold events checkpoint`, `tombstone` and `verify --against`: keys, files, and what goes wrong with them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.cli.conftest import Shell, secret_part
from tests.hosts.test_users import execute
from tests.people import enroll, plain_settings
from twofold import MFA
from twofold.database import create_engine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.people import Clock, Enrolment

FILE = "checkpoints.jsonl"


@pytest.fixture
def keeping(shell: Shell, folder: Path) -> Shell:
    """A shell with a checkpoint key."""
    made = shell("events", "checkpoint", "--new-key", "checkpoint.key")
    assert made.code == 0
    (folder / "checkpoint.pub").write_text(made.out)
    shell.secrets.append(secret_part((folder / "checkpoint.key").read_text().strip()))
    shell.environment["checkpoint_key_file"] = "checkpoint.key"
    return shell


@pytest.mark.backends("sqlite")
def test_a_new_key_is_a_private_file_and_a_public_line(shell: Shell, folder: Path) -> None:
    before = os.umask(0)
    try:
        made = shell("events", "checkpoint", "--new-key", "checkpoint.key")
    finally:
        os.umask(before)
    written = (folder / "checkpoint.key").read_text()
    assert stat.S_IMODE((folder / "checkpoint.key").stat().st_mode) == 0o600
    assert written.startswith("ed25519-private:")
    assert (made.code, made.out.count("\n")) == (0, 1)
    assert made.out.startswith("ed25519-public:")
    assert secret_part(written.strip()) not in made.out + made.err
    assert shell("events", "checkpoint", "--new-key", "checkpoint.key").code == 78
    assert (folder / "checkpoint.key").read_text() == written
    data = shell("events", "checkpoint", "--new-key", "other.key", "--json").data
    assert (set(data), data["file"]) == ({"file", "public_key"}, str(folder / "other.key"))


@pytest.mark.backends("sqlite")
def test_the_key_of_the_environment_signs_and_its_public_half_verifies(
    twofold: Shell, keeping: Shell, enrolled: Enrolment, folder: Path
) -> None:
    made = twofold("events", "checkpoint", FILE)
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith("1 user at ")
    del twofold.environment["keys"]
    own = twofold("events", "verify", "--against", FILE)
    assert (own.code, own.out.rstrip().endswith("with 1 user: intact.")) == (0, True)
    given = {"checkpoint_key_file": "nowhere", "checkpoint_key": (folder / "checkpoint.key").read_text()}
    assert twofold("events", "checkpoint", FILE, **given).code == 0
    data = twofold("events", "verify", "--against", FILE, "--public-key", "checkpoint.pub", "--json").data
    assert (data["is_intact"], data["checkpoints"]) == (True, 2)


@pytest.mark.backends("sqlite")
def test_whatever_is_wrong_with_keys_and_files_is_a_sentence(
    twofold: Shell, keeping: Shell, enrolled: Enrolment, folder: Path
) -> None:
    assert twofold("events", "checkpoint", FILE).code == 0
    (folder / "empty").touch()
    (folder / "text").write_text("once upon a time\n")
    (folder / "text").chmod(0o600)
    bare = Shell({name: value for name, value in twofold.environment.items() if name != "checkpoint_key_file"})
    keyless: list[tuple[list[str], str]] = [
        (["verify", "--against", FILE], "name the public one with --public-key FILE"),
        (["verify", "--against", FILE, "--public-key", "nowhere"], "nowhere cannot be read"),
        (["verify", "--against", FILE, "--public-key", "checkpoint.key"], "A public checkpoint key is one line"),
        (["checkpoint", FILE], "There is no checkpoint key"),
        (["tombstone", FILE], "There is no checkpoint key"),
    ]
    for arguments, sentence in keyless:
        answer = bare("events", *arguments)
        assert (answer.code, answer.out) == (78, "")
        assert sentence in answer.err, arguments
    cases: list[tuple[list[str], dict[str, str], int, str]] = [
        (["verify", "--against", "nowhere"], {}, 78, "nowhere cannot be read"),
        (["verify", "--against", "."], {}, 78, ". cannot be read"),
        (["verify", "--against", "empty"], {}, 78, "no finished checkpoint in empty"),
        (["verify", "--against", "text"], {}, 1, "Line 1 is no line of a checkpoint file"),
        (["verify", "7", "--against", FILE], {}, 64, "leave USER out"),
        (["verify", "--public-key", "checkpoint.pub"], {}, 64, "goes with --against"),
        (["checkpoint"], {}, 64, "name the file"),
        (["checkpoint", FILE, "--new-key", "another"], {}, 64, "name the file"),
        (["checkpoint", FILE], {"checkpoint_key_file": "nowhere"}, 78, "nowhere cannot be read"),
        (["checkpoint", FILE], {"checkpoint_key_file": "text"}, 78, "A private checkpoint key is one line"),
        (["checkpoint", FILE], {"checkpoint_key_file": "checkpoint.pub"}, 78, "chmod 600 checkpoint.pub"),
        (["checkpoint", FILE], {"checkpoint_key": "sekret"}, 78, "A private checkpoint key is one line"),
        (["checkpoint", "text"], {}, 1, "Line 1 is no line of a checkpoint file"),
        (["checkpoint", "nowhere/file"], {}, 78, "cannot be written"),
        (["checkpoint", "."], {}, 78, ". cannot be written"),
        (["tombstone"], {}, 64, "Missing argument"),
        (["tombstone", "nowhere"], {}, 78, "nowhere cannot be read"),
        (["tombstone", FILE], {"keys": ""}, 78, "There are no keys"),
        (["checkpoint", FILE], {"database_url": "postgresql://ada:sekret@127.0.0.1:1/app"}, 69, "does not answer"),
        (["verify", "--against", FILE], {"database_url": "postgresql://127.0.0.1:1/app"}, 69, "does not answer"),
        (["checkpoint", FILE], {"database_url": f"sqlite:///{folder / 'none.db'}"}, 69, "twofold db upgrade"),
    ]
    for arguments, environment, code, sentence in cases:
        answer = twofold("events", *arguments, **environment)
        assert (answer.code, answer.out) == (code, ""), (arguments, answer.err)
        assert sentence in " ".join(answer.err.replace("│", "").split()), arguments
    # What was begun without a database is unfinished, and in nobody's way.
    assert twofold("events", "checkpoint", FILE).code == 0
    assert twofold("events", "verify", "--against", FILE, "--json").data["unfinished"] == 0


@pytest.mark.backends("sqlite")
def test_another_key_neither_goes_on_with_a_file_nor_proves_it(
    twofold: Shell, keeping: Shell, enrolled: Enrolment, folder: Path
) -> None:
    assert twofold("events", "checkpoint", FILE).code == 0
    before = (folder / FILE).read_bytes()
    (folder / "other.pub").write_text(twofold("events", "checkpoint", "--new-key", "other.key").out)
    for arguments in (["verify", "--against", FILE, "--public-key", "other.pub"], ["checkpoint", FILE]):
        answer = twofold("events", *arguments, "--json", checkpoint_key_file="other.key")
        assert (answer.code, answer.data["error"]) == (1, "Altered")
        assert answer.data["message"] == "Line 2 is signed by another key."
    assert (folder / FILE).read_bytes() == before


@pytest.mark.backends("sqlite")
def test_a_row_that_holds_no_number_is_named_and_never_signed(
    twofold: Shell, keeping: Shell, enrolled: Enrolment, migrated: Database
) -> None:
    assert twofold("events", "checkpoint", FILE).code == 0
    execute(migrated, "UPDATE user_mfa_secrets SET event_count = 'many'")
    answer = twofold("events", "checkpoint", FILE, "--json")
    assert (answer.code, answer.data["error"]) == (1, "Tampered")
    (broken,) = twofold("events", "verify", "--against", FILE, "--json").data["broken"]
    assert broken["user_id"] == enrolled.user_id


def checkpointed_erased_and_buried(
    database: Database, keeping: Shell, clock: Clock, column: str, user_id: UUID | str
) -> None:
    keeping.environment["database_url"] = database.url
    execute(database, f"CREATE TABLE users (id {column} PRIMARY KEY)", f"INSERT INTO users VALUES ('{user_id}')")
    assert keeping("db", "upgrade").code == 0
    mfa = MFA(database.engine(), plain_settings(keys=keeping.environment["keys"]), clock=clock)
    enroll(mfa, user_id, clock)
    assert keeping("events", "checkpoint", FILE).code == 0
    assert keeping("events", "verify", "--against", FILE).code == 0
    erased = mfa.erase(user_id)
    answer = keeping("events", "verify", "--against", FILE)
    assert (answer.code, f"user {user_id}: is gone with 2 events" in answer.out) == (1, True)
    assert keeping("events", "tombstone", FILE, typed=f"{erased.tombstone}\n").out == "1 tombstone added.\n"
    assert keeping("events", "verify", "--against", FILE).code == 0


@pytest.mark.backends("postgresql", "mariadb")
def test_users_have_uuids(database: Database, keeping: Shell, clock: Clock) -> None:
    user_id = UUID("0190a7c8-d6e0-4f2b-8a3c-000000000001")
    checkpointed_erased_and_buried(database, keeping, clock, "UUID", user_id)


def test_users_have_names(database: Database, keeping: Shell, clock: Clock) -> None:
    checkpointed_erased_and_buried(database, keeping, clock, "VARCHAR(64)", "Ada-ö")


@pytest.mark.backends("sqlite")
def test_a_file_of_another_database_is_told_apart(
    twofold: Shell, keeping: Shell, enrolled: Enrolment, folder: Path
) -> None:
    assert twofold("events", "checkpoint", FILE).code == 0
    others = f"sqlite:///{folder / 'others.db'}"
    engine = create_engine(others)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (id VARCHAR(64) PRIMARY KEY)")
    engine.dispose()
    assert twofold("db", "upgrade", database_url=others).code == 0
    answer = twofold("events", "verify", "--against", FILE, database_url=others)
    assert (answer.code, answer.out) == (78, "")
    assert "it is of another one" in answer.err
