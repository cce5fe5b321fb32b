"""What operators see and what their commands log: no secret, key, code, token or password, whatever goes wrong."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tests.attacks.witness import everything_heard
from tests.canaries import Canaries
from tests.people import FIREFOX, Clock, Open, Sql, enroll, log_in
from tests.upkeep.test_legacy import FERNET, leave
from twofold.cli.program import app
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database

PASSWORD = "a-password-of-the-database"

COMMANDS = [
    "db verify",
    "db current",
    "db upgrade",
    "db adopt",
    "db adopt --apply",
    "keys status",
    "secrets import-legacy --dry-run --legacy-fernet-key-file old.key",
    "secrets import-legacy --legacy-fernet-key-file old.key",
    "keys rotate",
    "users status 1",
    "users status 2",
    "users status 404",
    "users reset 2 --yes --reason lost",
    "users reset 2 --yes --reason lost",
    "events list 1",
    "events verify",
    "events export",
    "doctor",
]
TAMPERED = ["users status 1", "users reset 1 --yes --reason lost", "events verify 1", "users repair 1 --yes --reason x"]
WRONG = {
    "another key": {"TWOFOLD_KEYS": generate_key("k9")},
    "half a key": {"TWOFOLD_KEYS": generate_key("k9")[:-9]},
    "no such file": {"TWOFOLD_KEYS": "", "TWOFOLD_KEYS_FILE": "nowhere"},
    "no such server": {"TWOFOLD_DATABASE_URL": f"postgresql://ada:{PASSWORD}@127.0.0.1:1/app"},
    "no such database": {"TWOFOLD_DATABASE_URL": f"oracle://ada:{PASSWORD}@127.0.0.1:1/app"},
    "no URL": {"TWOFOLD_DATABASE_URL": PASSWORD},
    "a password that is not quoted": {"TWOFOLD_DATABASE_URL": f"postgresql://ada:{PASSWORD}@x@127.0.0.1:1/app"},
}


@pytest.fixture
def face() -> str:
    return "blocking"


@pytest.fixture
def clock() -> Clock:
    """The commands live in the real time, so Ada does."""
    return Clock(datetime.now(UTC).replace(microsecond=1))


def with_password(url: str) -> str:
    """The URL with a password; PostgreSQL trusts whoever comes from this machine, with any."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return url
    return parsed.set(password=PASSWORD).render_as_string(hide_password=False)


@pytest.mark.requirement("R92", "R93", "R99")
@pytest.mark.backends("sqlite", "postgresql")
def test_no_command_says_or_logs_anything_secret(
    migrated: Database,
    open_mfa: Open,
    ada: int,
    grace: int,
    clock: Clock,
    keys: str,
    sql: Sql,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    canaries, new, mfa = Canaries(), generate_key("k2"), open_mfa()
    enrolment = enroll(mfa, ada, clock)
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolment.phone.code()), request=FIREFOX)
    older = leave(sql, grace, clock, sealed=True)
    canaries.hide_keys(f"{keys},{new}")
    canaries.hide_secret(enrolment.phone.secret)
    canaries.hide_secret(older.phone.secret)
    canaries.hide("a code on paper", *enrolment.backup_codes, *older.codes)
    canaries.hide("a device token", device.token, older.cookie)
    canaries.hide("a Fernet key", FERNET)
    canaries.hide("the password of the database", PASSWORD)
    for values in WRONG.values():
        canaries.hide("a wrong key", *(key.partition(":")[2] for key in [values.get("TWOFOLD_KEYS", "")] if key))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.key").write_text(FERNET)
    (tmp_path / "old.key").chmod(0o600)
    environment: dict[str, str | None] = {
        "TWOFOLD_KEYS": f"{new},{keys}",
        "TWOFOLD_DATABASE_URL": with_password(migrated.url),
    }
    said: list[str] = []

    def run(command: str, **wrong: str) -> None:
        for options in ([], ["--json"], ["--debug"]):
            result = CliRunner().invoke(app, [*command.split(), *options], env=environment | wrong)
            said.append(f"$ twofold {command} {' '.join(options)}\n{result.output}")
            assert isinstance(result.exception, SystemExit | None)

    with everything_heard() as heard:
        # The rows that an older application left are plain until they are adopted, and DEBUG shows rows.
        logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
        for command in COMMANDS:
            run(command)
        sql("UPDATE user_mfa_secrets SET failed_attempts = 7 WHERE user_id = :ada", ada=ada)
        for command in TAMPERED:
            run(command)
        for wrong in WRONG.values():
            for command in ("doctor", "users status 1", "keys status"):
                run(command, **wrong)
    log = heard.said.getvalue()
    assert "UPDATE user_mfa_secrets" in log
    assert "alembic" in log
    assert "Traceback" in "".join(said)
    assert {command: seen for command in said if (seen := canaries.seen_in(command))} == {}
    assert canaries.seen_in(log) == []
