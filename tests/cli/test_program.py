"""The real program, as a process: how it starts, where its settings come from, how it is piped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

import twofold as library
from tests.cli.conftest import PROGRAM, Shell, secret_part
from tests.length import IS_WHOLE
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.databases import Database
    from tests.people import Enrolment, Sql


def test_it_says_its_version(shell: Shell) -> None:
    answer = shell("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"twofold {version('twofold')}\n", "")


@pytest.mark.parametrize("noun", [[], ["db"], ["keys"], ["users"], ["events"]])
def test_a_noun_alone_answers_with_its_help(shell: Shell, noun: list[str]) -> None:
    answer = shell(*noun)
    assert (answer.code, answer.err) == (64, "")
    assert "Commands" in answer.out


def test_help_needs_no_settings_and_shows_examples(shell: Shell) -> None:
    answer = shell("keys", "rotate", "--help", digits="x")
    assert answer.code == 0
    assert "$ twofold keys rotate --batch 500" in answer.out


@pytest.mark.backends("sqlite")
def test_settings_come_from_options_then_environment_then_the_env_file(
    migrated: Database, keys: str, folder: Path
) -> None:
    (folder / ".env").write_text(f"TWOFOLD_DATABASE_URL={migrated.url}\nTWOFOLD_KEYS={keys}\n")
    shell = Shell({}, [secret_part(keys)])
    assert shell("events", "verify").out == "0 events of 0 users: intact.\n"
    (folder / "other.env").write_text(f"TWOFOLD_KEYS={keys}\n")
    elsewhere = f"sqlite:///{folder / 'elsewhere.db'}"
    assert shell("events", "verify", database_url=elsewhere).code == 69
    options = ["--database-url", migrated.url, "--env-file", "other.env"]
    back = shell("events", "verify", *options, database_url=elsewhere)
    assert (back.code, back.err) == (0, "")


@pytest.mark.backends("sqlite")
def test_a_key_file_on_the_command_line_wins_over_keys_in_the_environment(twofold: Shell, folder: Path) -> None:
    (folder / "keys").write_text(generate_key("filed"))
    (folder / "keys").chmod(0o600)
    assert twofold("keys", "status", "--keys-file", "keys", "--json").data["keys"][0]["kid"] == "filed"


@pytest.mark.backends("sqlite")
def test_a_reader_that_goes_away_is_no_error(migrated: Database, keys: str, ada: int) -> None:
    columns = "user_id, seq, event_type, event_status, created_at"
    line = f"INSERT INTO mfa_events ({columns}) VALUES (:user, :seq, 'x', 'x', :at)"
    with migrated.engine().begin() as connection:
        # More than a pipe holds, so that the program is still writing.
        rows = [{"user": ada, "seq": seq, "at": "2026-01-01 00:00:00"} for seq in range(1, 1001)]
        connection.execute(sa.text(line), rows)
    environment = {**os.environ, "TWOFOLD_DATABASE_URL": migrated.url, "TWOFOLD_KEYS": keys}
    with subprocess.Popen([PROGRAM, "events", "export"], env=environment, stdout=-1, stderr=-1, text=True) as export:
        assert export.stdout is not None
        assert export.stderr is not None
        export.stdout.readline()
        export.stdout.close()
        assert export.stderr.read() == ""
    assert export.returncode == 1


# Of the locales that every machine has: one that is ASCII, and what programs that start others set.
LOCALES = {
    "ascii": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    "latin-1": {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1"},
    "posix": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("locale", list(LOCALES) if IS_WHOLE else ["posix"])
def test_every_answer_fits_into_the_encoding_of_the_terminal(
    migrated: Database, keys: str, enrolled: Enrolment, sql: Sql, locale: str
) -> None:
    sql("UPDATE mfa_events SET user_agent = '\u6771\u4eac' WHERE seq = 1")
    sql('ALTER TABLE mfa_events ADD COLUMN "\u00fc\u6771" INTEGER')
    environment = {**os.environ, "TWOFOLD_DATABASE_URL": migrated.url, "TWOFOLD_KEYS": keys} | LOCALES[locale]

    def run(*command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([PROGRAM, *command], env=environment, capture_output=True, check=False)

    found = run("doctor")
    assert found.returncode == 1  # The line that was altered.
    assert b"\nok schema: The four tables conform" in found.stdout
    assert b"\nx sampled events: " in found.stdout
    assert rb"\u6771\u4eac" in run("events", "list", str(enrolled.user_id)).stdout
    assert rb"\u6771" in run("db", "verify").stdout
    helped = run("--help")
    assert (helped.returncode, helped.stderr) == (0, b"")


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """An environment in which neither typer nor rich is installed."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for package in Path(folder).iterdir():
            if not package.name.startswith(("typer", "rich", "__editable__", "_editable")) and package.suffix != ".pth":
                (packages / package.name).symlink_to(package)
    source = Path(library.__file__).parent.parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(packages)])}


def test_without_the_extra_the_program_says_what_to_install(without: dict[str, str]) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Without -S the packages of this environment would be found after all.
        program = "import twofold.cli; twofold.cli.main()"
        command = [sys.executable, "-S", "-c", program, *arguments]
        return subprocess.run(command, env=without, capture_output=True, text=True, check=False)

    for arguments in ([], ["--help"], ["db", "verify"]):
        answer = run(*arguments)
        assert (answer.returncode, answer.stdout) == (78, "")
        assert (
            answer.stderr
            == "error: The command line needs typer, which is not installed: pip install 'twofold[cli]'.\n"
        )
    data = run("doctor", "--json")
    assert (data.returncode, data.stderr) == (78, "")
    assert json.loads(data.stdout)["error"] == "ConfigurationError"
