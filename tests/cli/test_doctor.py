"""`twofold doctor`: well, or a next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twofold.keyring import generate_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Answer, Shell
    from tests.people import Enrolment, Sql


def states(answer: Answer) -> dict[str, str]:
    return {check["about"]: check["state"] for check in answer.data["checks"]}


@pytest.mark.requirement("R20")
def test_a_well_installation_is_told_so_with_the_odds_of_a_guess(twofold: Shell, enrolled: Enrolment) -> None:
    answer = twofold("doctor")
    assert answer.code == 0, answer.out
    assert "✗" not in answer.out
    assert "at most 0.03 % ever" in answer.out
    assert "at most 0.4 % in a year" in answer.out
    assert "Everything is well." in answer.out
    found = states(twofold("doctor", "--json"))
    assert set(found.values()) == {"ok"}
    assert {"keys", "database", "version", "clock", "users", "schema", "needed keys", "guess odds"} <= set(found)


def test_an_installation_without_users_is_well(twofold: Shell) -> None:
    answer = twofold("doctor")
    assert answer.code == 0, answer.out
    assert "sampled rows: There is no row yet." in answer.out
    assert "sampled events: There is no event yet." in answer.out


@pytest.mark.backends("sqlite")
def test_each_thing_that_is_missing_has_a_next_step(shell: Shell, folder: Path) -> None:
    (folder / "empty.db").touch()
    shell.environment["database_url"] = f"sqlite:///{folder / 'empty.db'}"
    answer = shell("doctor")
    assert answer.code == 1
    assert "✗ schema: The four tables are not there.\n    next: twofold db upgrade" in answer.out
    assert "✗ users: There is no users.id in the database.\n    next:" in answer.out


@pytest.mark.backends("sqlite")
def test_a_key_file_that_others_can_read_is_found(twofold: Shell, folder: Path) -> None:
    del twofold.environment["keys"]
    key = generate_key()
    twofold.secrets.append(key.partition(":")[2])
    path = folder / "keys"
    path.write_text(key)
    path.chmod(0o644)
    answer = twofold("doctor", "--keys-file", str(path))
    assert answer.code == 1
    assert f"next: chmod 600 {path}" in answer.out
    path.chmod(0o600)
    assert twofold("doctor", keys_file=str(path)).code == 0


@pytest.mark.requirement("R89")
@pytest.mark.backends("sqlite")
def test_a_key_that_rows_need_and_nobody_has_is_found(twofold: Shell, enrolled: Enrolment) -> None:
    answer = twofold("doctor", "--json", keys=generate_key("other"))
    found = states(answer)
    assert (answer.code, found["needed keys"], found["sampled rows"], found["sampled events"]) == (
        1,
        "wrong",
        "note",
        "note",
    )
    assert "Of 1 sampled row, none could be proven: keys are missing." in answer.out


@pytest.mark.backends("sqlite")
def test_a_lax_policy_is_noted_and_is_not_an_error(twofold: Shell) -> None:
    answer = twofold("doctor", window="2", device_lifetime="P100D")
    assert answer.code == 0
    assert "TWOFOLD_WINDOW is 2: a code lives 150 s." in answer.out
    assert "over 90 days" in answer.out


@pytest.mark.backends("sqlite")
@pytest.mark.requirement("R20")
def test_a_guesser_with_more_than_one_chance_in_a_hundred_in_a_year_is_noted(twofold: Shell) -> None:
    answer = twofold("doctor", failure_memory="P7D")
    assert (answer.code, states(twofold("doctor", "--json", failure_memory="P7D"))["guess odds"]) == (0, "note")
    assert "at most 1.6 % in a year" in answer.out
    assert "TWOFOLD_FAILURE_MEMORY lower the year's" in answer.out
    # With eight digits there is nothing to note.
    assert states(twofold("doctor", "--json", failure_memory="P7D", digits="8"))["guess odds"] == "ok"


@pytest.mark.backends("sqlite")
def test_a_users_column_that_is_not_unique_is_found(twofold: Shell) -> None:
    answer = twofold("doctor", users="users.created_at")
    assert answer.code == 1
    assert "users.created_at could belong to two users: it is neither the primary key nor unique." in answer.out


def test_a_database_that_does_not_answer_is_named_without_its_password(shell: Shell) -> None:
    answer = shell("doctor", database_url="postgresql://ada:sekret@127.0.0.1:1/app?application_name=sekret")
    assert answer.code == 1
    assert "✗ database: postgresql://127.0.0.1:1/app: The database does not answer" in answer.out
    assert "ada" not in answer.out


def test_wrong_settings_are_named_by_their_variables(shell: Shell) -> None:
    answer = shell("doctor", digits="sekret", period="3", issuer="a:sekret", longest_wait="PT10S")
    assert answer.code == 1
    assert "TWOFOLD_DIGITS must be a valid integer" in answer.out
    assert "TWOFOLD_PERIOD must be greater than or equal to 15" in answer.out
    assert "TWOFOLD_ISSUER is wrong: the issuer must be printable and hold no colon." in answer.out
    assert "TWOFOLD_LONGEST_WAIT is wrong: no wait may be shorter than the first." in answer.out


@pytest.mark.parametrize(("users", "proven"), [(150, 150), (450, 200)])
def test_a_sample_is_bounded_and_says_how_large_it_is(twofold: Shell, sql: Sql, users: int, proven: int) -> None:
    for number in range(users):
        sql("INSERT INTO users (subject, created_at) VALUES (:one, '2026-01-01 00:00:00')", one=f"{number}")
    sql(
        "INSERT INTO user_mfa_secrets (user_id, version, state_mac, created_at, updated_at) "
        "SELECT id, 1, 'v1:k1:00', created_at, created_at FROM users"
    )
    answer = twofold("doctor")
    assert answer.code == 1
    assert f"Of {proven} sampled rows, {proven} are not as Twofold wrote them" in answer.out
