"""The command line as an operator has it: a database, a key, and an empty folder to stand in."""

from __future__ import annotations

import functools
import json
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.testing
from typer.main import get_command
from typer.testing import CliRunner

from tests.people import Clock, Enrolment, add_user, enroll
from twofold import MFA, Settings
from twofold.cli.program import app
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from tests.databases import Database

# The commands are the same whenever they are called: their signatures are read once.
typer.testing._get_command = functools.cache(get_command)  # type: ignore[attr-defined]

PROGRAM = Path(sys.executable).with_name("twofold")


@dataclass
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one line of JSON that a program reads."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The lines of JSON that a program reads."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Shell:
    """Runs `twofold` with an environment.

    Whatever it says, it never says a secret, never shows a traceback, and nothing of it can move a cursor.
    """

    environment: dict[str, str]
    secrets: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str, typed: str = "", **environment: str) -> Answer:
        wanted = {**self.environment, **environment}
        # What the tests themselves are told is no setting.
        given: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name.startswith("TWOFOLD_"))
        given |= {f"TWOFOLD_{name.upper()}": value for name, value in wanted.items()}
        result = CliRunner().invoke(app, list(arguments), input=typed, env=given)
        for secret in (*self.secrets, "sekret"):
            assert secret not in result.output
        assert "Traceback" not in result.output
        assert result.output.replace("\n", "").isprintable()
        assert isinstance(result.exception, SystemExit | None)
        return Answer(result.exit_code, result.stdout, result.stderr)


def secret_part(key: str) -> str:
    return key.partition(":")[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder without a `.env`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def keys() -> str:
    return generate_key("k1")


@pytest.fixture
def shell(keys: str) -> Shell:
    """A shell with a key and no database yet."""
    return Shell({"keys": keys}, [secret_part(keys)])


@pytest.fixture
def twofold(migrated: Database, shell: Shell) -> Shell:
    """A shell over a migrated database."""
    shell.environment["database_url"] = migrated.url
    return shell


@pytest.fixture
def clock() -> Clock:
    """The commands live in the real time, so these tests do."""
    return Clock(datetime.now(UTC))


@pytest.fixture
def mfa(migrated: Database, keys: str, clock: Clock) -> MFA:
    made: dict[str, Any] = {"keys": keys, "_env_file": None}
    return MFA(migrated.engine(), Settings(**made), clock=clock)


@pytest.fixture
def ada(migrated: Database) -> int:
    return add_user(migrated, "ada@example.com")


@pytest.fixture
def enrolled(mfa: MFA, ada: int, clock: Clock, twofold: Shell) -> Enrolment:
    """Ada, with an authenticator app, whose secrets no command may show."""
    enrolment = enroll(mfa, ada, clock)
    twofold.secrets += [enrolment.phone.secret, *enrolment.backup_codes]
    return enrolment
