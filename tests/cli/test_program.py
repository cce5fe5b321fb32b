"""The real program, as a process: how it starts, where its settings come from, how it is piped."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.cli.conftest import PROGRAM, Shell, secret_part
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database


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
    assert shell("events", "verify", database_url=elsewhere).code == 1
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
