"""Whatever is wrong, a command ends with a sentence and a code, never with a traceback or a secret."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell

WEAK = base64.b64encode(b"sekret!!" * 4).decode()
SHORT = base64.b64encode(b"sekret").decode()
UNREACHABLE = "postgresql://ada:sekret@127.0.0.1:1/app"

COMMANDS = [
    ["db", "verify"],
    ["db", "current"],
    ["db", "upgrade"],
    ["db", "downgrade", "--yes"],
    ["keys", "status"],
    ["keys", "rotate"],
    ["users", "status", "1"],
    ["users", "reset", "1", "--reason", "x", "--yes"],
    ["users", "repair", "1", "--reason", "x", "--yes"],
    ["events", "list", "1"],
    ["events", "verify"],
    ["events", "verify", "1"],
    ["events", "export"],
    ["serve", "--port", "0"],
]
NEED_KEYS = [command for command in COMMANDS if command[0] != "db"]

SETTINGS = [
    ({"database_url": "sekret"}, "TWOFOLD_DATABASE_URL is not a URL"),
    ({"database_url": ""}, "TWOFOLD_DATABASE_URL is not a URL"),
    ({"database_url": "oracle://ada:sekret@db/app"}, "does not know the database 'oracle'"),
    ({"database_url": "sqlite://"}, "SQLite needs a file"),
    ({"database_url": "postgresql://ada:sekret@db:sekret/app"}, "a port that is not a number"),
    ({"database_url": "postgresql://ada:top@sekret@db/app"}, "write @ as %40"),
    ({"users": "users"}, "TWOFOLD_USERS is wrong: it names the users' key as table.column"),
    ({"digits": "sekret"}, "TWOFOLD_DIGITS must be a valid integer"),
    ({"digits": "9"}, "TWOFOLD_DIGITS must be less than or equal to 8"),
    ({"algorithm": "sekret"}, "TWOFOLD_ALGORITHM must be 'SHA1', 'SHA256' or 'SHA512'"),
    ({"free_failures": "10", "suspend_after": "10"}, "TWOFOLD_SUSPEND_AFTER is wrong: it has to be more than"),
    ({"device_lifetime": "P7D", "device_idle": "P8D"}, "TWOFOLD_DEVICE_IDLE is wrong: it may not be longer"),
    ({"challenge_lifetime": "PT601S"}, "TWOFOLD_CHALLENGE_LIFETIME must be less than or equal to"),
]
KEYS = [
    ({"keys": ""}, "There are no keys"),
    ({"keys": "sekret"}, "Key 1 is not written as kid:base64"),
    ({"keys": "k1:sekret"}, "Key 1 "),
    ({"keys": f"k1:{SHORT}"}, "Key 1 has 6 bytes; a key has 32."),
    ({"keys": f"k1:{WEAK}"}, "Key 1 is not random"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_does_not_answer(shell: Shell, command: list[str]) -> None:
    answer = shell(*command, database_url=UNREACHABLE)
    assert (answer.code, answer.out) == (69, "")
    assert answer.err.startswith("error: The database does not answer")
    assert "\nhint: " in answer.err


@pytest.mark.parametrize("command", [["db", "verify"], ["users", "status", "1"]], ids=" ".join)
@pytest.mark.parametrize(("settings", "sentence"), SETTINGS)
def test_a_setting_that_is_wrong(shell: Shell, settings: dict[str, str], sentence: str, command: list[str]) -> None:
    answer = shell(*command, **settings)
    assert (answer.code, answer.out) == (78, "")
    assert answer.err.startswith("error: ")
    assert sentence in answer.err


@pytest.mark.requirement("R92")
@pytest.mark.parametrize(("settings", "sentence"), KEYS)
def test_keys_that_are_weak_or_odd(shell: Shell, settings: dict[str, str], sentence: str) -> None:
    answer = shell("keys", "status", **settings)
    assert (answer.code, answer.out) == (78, "")
    assert sentence in answer.err
    assert WEAK not in answer.err


@pytest.mark.requirement("R92")
@pytest.mark.parametrize("command", NEED_KEYS, ids=" ".join)
@pytest.mark.backends("sqlite")
def test_no_keys_at_all(twofold: Shell, command: list[str]) -> None:
    del twofold.environment["keys"]
    answer = twofold(*command)
    assert (answer.code, answer.out) == (78, "")
    assert "error: There are no keys" in answer.err


@pytest.mark.parametrize("command", NEED_KEYS, ids=" ".join)
def test_tables_that_are_not_there(shell: Shell, folder: Path, command: list[str]) -> None:
    (folder / "empty.db").touch()
    answer = shell(*command, database_url=f"sqlite:///{folder / 'empty.db'}")
    assert (answer.code, answer.out) == (1, "")
    assert "twofold db upgrade" in answer.err


READING = [command for command in COMMANDS if command != ["db", "upgrade"]]


@pytest.mark.parametrize("command", [*READING, ["db", "adopt", "--apply", "--yes"], ["doctor"]], ids=" ".join)
def test_no_file_is_made_for_a_path_that_was_mistyped(shell: Shell, folder: Path, command: list[str]) -> None:
    answer = shell(*command, database_url=f"sqlite:///{folder / 'typo.db'}")
    assert answer.code == (1 if command == ["doctor"] else 69)
    assert f"There is no file {folder / 'typo.db'}; `twofold db upgrade` makes it." in answer.out + answer.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing"], "No such command"),
        (["db", "verifi"], "Did you mean 'verify'?"),
        (["db", "verify", "--loud"], "No such option: --loud"),
        (["db", "verify", "postgresql://ada:sekret@db/app"], "unexpected extra argument"),
        (["users", "status"], "Missing argument"),
        (["events", "list", "1", "--limit", "many"], "--limit"),
        (["serve", "--port", "70000"], "--port"),
    ],
)
def test_a_command_line_that_is_wrong(shell: Shell, arguments: list[str], sentence: str) -> None:
    answer = shell(*arguments)
    assert (answer.code, answer.out) == (64, "")
    assert sentence in answer.err
    data = shell(*arguments, "--json")
    assert (data.code, data.data["error"], data.err) == (64, "UsageError", "")


def test_files_that_are_not_there(shell: Shell, folder: Path) -> None:
    for arguments in (["--env-file", "nowhere"], ["--keys-file", "nowhere"], ["--keys-file", str(folder)]):
        answer = shell("keys", "status", *arguments, database_url=f"sqlite:///{folder / 'app.db'}")
        assert (answer.code, answer.out) == (78, "")
    (folder / ".env").write_bytes(b"TWOFOLD_ISSUER=\xff\xfe\n")
    assert shell("db", "current").code == 78


def test_errors_are_json_for_programs(shell: Shell) -> None:
    answer = shell("users", "status", "1", "--json", database_url=UNREACHABLE)
    assert (answer.code, answer.err) == (69, "")
    assert answer.data["error"] == "DatabaseUnavailable"
    assert set(answer.data) == {"error", "message", "hint"}
    wrong = shell("db", "verify", "--json", digits="x", period="x")
    assert (wrong.code, wrong.data["error"], len(wrong.data["details"])) == (78, "ConfigurationError", 1)


@pytest.mark.backends("sqlite")
def test_the_unexpected_is_a_sentence_until_debug_is_asked(twofold: Shell) -> None:
    def fail(*_: Any) -> None:
        raise LookupError("postgresql://ada:sekret@db")

    event.listen(sa.Engine, "before_cursor_execute", fail)
    try:
        answer = twofold("events", "export")
        data = twofold("events", "export", "--json").data
        with pytest.raises(AssertionError, match="Traceback"):
            twofold("events", "export", "--debug")
    finally:
        event.remove(sa.Engine, "before_cursor_execute", fail)
    assert (answer.code, answer.out) == (70, "")
    assert answer.err == (
        "error: Something unexpected happened (LookupError).\nhint: the same command with --debug shows where.\n"
    )
    assert data["error"] == "LookupError"
