"""Nothing that stands in a database or a file moves the cursor of the operator who looks at it."""

from __future__ import annotations

import io
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.progress import Progress

from tests.cli.conftest import PROGRAM, Shell, secret_part
from twofold.cli.shown import Line, visible
from twofold.cli.terminal import Doing
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.people import Enrolment, Sql

# A title and a bell, a colour by a C1 control, an overwritten line, a false line, right-to-left text, and a tag.
EVIL = "x\x1b]0;PWNED\x07\x9b31m\r\n✓ keys: \u202e\u2066\U000e0041"
SHOWN = "x\\x1b]0;PWNED\\x07\\x9b31m\\r\\n✓ keys: \\u202e\\u2066\\U000e0041"


def test_what_cannot_be_printed_is_written_out() -> None:
    assert visible(EVIL) == SHOWN
    assert visible("Ada Lovelace, Žofie, 東京 🙂") == "Ada Lovelace, Žofie, 東京 🙂"
    assert visible("a\ud800\tb\x00\x7f") == "a\\ud800\\tb\\x00\\x7f"
    assert Line((EVIL, "bold"), (" ", "")).text.plain == f"{SHOWN} "


def test_a_bar_takes_no_bracket_for_a_link_and_none_for_a_mistake() -> None:
    written = io.StringIO()
    for name in ("[link=https://evil.example]an index[/link]", "an index[/y]", EVIL):
        with Progress(Doing(), console=Console(file=written, force_terminal=True, width=200)) as bar:
            bar.add_task(name)
        assert visible(name) in written.getvalue()
    assert "\x1b]" not in written.getvalue()


@pytest.fixture
def planted(migrated: Database, enrolled: Enrolment, ada: int, sql: Sql) -> str:
    """Every text that is not refused by its column, and none that is checked before it is shown."""
    quote = "`" if migrated.backend == "mariadb" else '"'
    sql("UPDATE mfa_events SET event_details = :evil, ip_address = :short", evil=EVIL, short="\x1b[2J")
    sql("UPDATE mfa_events SET user_agent = :evil", evil=EVIL)
    sql("UPDATE mfa_events SET event_type = :evil, event_status = :short WHERE seq = 2", evil=EVIL, short="\x1b[2J")
    sql("UPDATE mfa_events SET mac = :evil WHERE seq = 2", evil=f"v1:{EVIL}:00")
    # MariaDB's names have no character beyond the basic plane.
    name = EVIL.replace("\U000e0041", "").replace("\n", "")
    sql(f"ALTER TABLE mfa_events ADD COLUMN {quote}{name}{quote} INTEGER".replace(":", "\\:"))
    sql(f"CREATE INDEX {quote}i{name}{quote} ON mfa_events ({quote}{name}{quote})".replace(":", "\\:"))
    return str(ada)


def look_everywhere(twofold: Shell, user: str, folder: Path) -> list[str]:
    """Run whatever prints something of a database; the shell holds each answer to be printable."""
    key = "checkpoint.key"
    if not (folder / key).exists():
        twofold("events", "checkpoint", "--new-key", key)
    return [
        twofold(*command, checkpoint_key_file=key).out
        for command in (
            ["doctor"],
            ["db", "verify"],
            ["db", "adopt"],
            ["keys", "status"],
            ["keys", "rotate"],
            ["users", "status", user],
            ["events", "list", user],
            ["events", "verify"],
            ["events", "verify", user],
            ["events", "export"],
            ["events", "prune", "--older-than", "1", "--yes"],
            ["events", "checkpoint", "heads.jsonl"],
            ["events", "verify", "--against", "heads.jsonl"],
            ["secrets", "import-legacy", "--dry-run"],
        )
    ]


@pytest.mark.requirement("R100")
def test_no_command_lets_a_value_reach_the_terminal(twofold: Shell, planted: str, sql: Sql, folder: Path) -> None:
    answers = look_everywhere(twofold, planted, folder)
    assert sum("\\x1b" in answer for answer in answers) >= 3
    first = sql("SELECT min(id) FROM mfa_backup_codes")[0][0]
    sql("DELETE FROM mfa_backup_codes WHERE id <> :first", first=first)
    for table, column in (
        ("mfa_backup_codes", "code_hash"),
        ("user_mfa_secrets", "state_mac"),
        ("user_mfa_secrets", "secret"),
        ("user_mfa_secrets", "event_head"),
    ):
        sql(f"UPDATE {table} SET {column} = :evil", evil=f"v1:{EVIL}:00")
        look_everywhere(twofold, planted, folder)


@pytest.mark.backends("sqlite")
def test_a_user_id_of_somebody_else_is_shown_as_it_is(
    database: Database, shell: Shell, folder: Path, keys: str
) -> None:
    shell.environment |= {"database_url": database.url, "users": "members.name"}
    with database.engine().begin() as connection:
        connection.exec_driver_sql("CREATE TABLE members (name VARCHAR(60) PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO members VALUES (?)", (EVIL,))
    assert shell("db", "upgrade").code == 0
    for value in ("'x'", "NULL"):
        with database.engine().begin() as connection:
            connection.exec_driver_sql("DELETE FROM user_mfa_secrets")
            connection.exec_driver_sql(
                "INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, state_mac, created_at, updated_at) "
                f"SELECT name, '!', true, {value}, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM members"
            )
        look_everywhere(shell, EVIL, folder)
        for command in ("reset", "repair"):
            assert shell("users", command, EVIL, "--reason", "x", typed="n\n").code == 1
    assert SHOWN in shell("events", "verify").out + shell("secrets", "import-legacy", "--dry-run").out


@pytest.mark.backends("sqlite")
def test_a_terminal_is_sent_no_sequence_but_our_own(migrated: Database, keys: str, planted: str) -> None:
    environment = {**os.environ, "TWOFOLD_DATABASE_URL": migrated.url, "TWOFOLD_KEYS": keys, "COLUMNS": "500"}
    for command in (["events", "list", planted], ["db", "verify"], ["keys", "status"]):
        ours, theirs = pty.openpty()
        with subprocess.Popen([PROGRAM, *command], env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
            os.close(theirs)
            said = b""
            while True:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # The other side has gone.
                    break
                if not part:
                    break
                said += part
        os.close(ours)
        assert b"PWNED" in said or command[0] == "keys"
        assert b"\x1b]" not in said
        assert b"\x07" not in said
        assert b"\xc2\x9b" not in said
        assert "\u202e".encode() not in said


def test_an_error_shows_nothing_else_either(shell: Shell) -> None:
    answer = shell("db", EVIL)
    assert answer.code == 64
    assert "PWNED" in answer.err
    assert shell("users", "status", EVIL, database_url=f"{EVIL}://").code == 78
    assert shell("db", "verify", "--env-file", EVIL).code == 78
    assert secret_part(generate_key()) not in answer.err
