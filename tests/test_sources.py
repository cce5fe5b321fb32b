"""Where settings come from: which source wins, and what is not overlooked."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from tests.people import plain_settings
from twofold import ConfigurationError, Settings, sources
from twofold.account.runtime import read_keys
from twofold.keyring import generate_key


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    sources.warn.cache_clear()
    return tmp_path


def filed(folder: Path, kid: str) -> Path:
    path = folder / kid
    path.write_text(generate_key(kid))
    path.chmod(0o600)
    return path


def test_an_argument_wins_over_both_whichever_form_it_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_KEYS", generate_key("environment"))
    assert read_keys(Settings(keys_file=filed(folder, "argument"))).active == "argument"
    monkeypatch.setenv("TWOFOLD_KEYS_FILE", str(filed(folder, "file")))
    assert read_keys(Settings()).active == "environment"
    assert read_keys(Settings(keys=SecretStr(generate_key("argument")))).active == "argument"


def test_the_environment_wins_over_the_env_file_whichever_form_it_has(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text(f"TWOFOLD_KEYS={generate_key('developer')}\nTWOFOLD_CHECKPOINT_KEY=developer\n")
    assert read_keys(Settings()).active == "developer"
    monkeypatch.setenv("TWOFOLD_KEYS_FILE", str(filed(folder, "production")))
    monkeypatch.setenv("TWOFOLD_CHECKPOINT_KEY_FILE", "production")
    settings = Settings()
    assert read_keys(settings).active == "production"
    assert (settings.checkpoint_key, settings.checkpoint_key_file) == (None, Path("production"))


@pytest.mark.parametrize("empty", ["TWOFOLD_KEYS", "TWOFOLD_KEYS_FILE"])
def test_an_empty_variable_sets_no_key(folder: Path, monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setenv(empty, "")
    assert read_keys(Settings(keys_file=filed(folder, "argument"))).active == "argument"
    with pytest.raises(ConfigurationError, match="There are no keys"):
        read_keys(Settings())
    (folder / ".env").write_text(f"TWOFOLD_KEYS={generate_key('developer')}\n")
    assert read_keys(Settings()).active == "developer"


def test_what_is_not_a_pair_is_ranked_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("TWOFOLD_ISSUER=File\nTWOFOLD_DIGITS=8\n")
    monkeypatch.setenv("TWOFOLD_ISSUER", "Environment")
    settings = Settings(period=60)
    assert (settings.issuer, settings.digits, settings.period) == ("Environment", 8, 60)


def test_a_misspelt_variable_is_warned_of_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TWOFOLD_SUSPEND_AFTR", "10")
    # Kubernetes sets such a one for a service by this name.
    monkeypatch.setenv("TWOFOLD_SERVICE_HOST", "192.0.2.7")
    (folder / ".env").write_text("TWOFOLD_KEY=sekret\nSOMEBODY_ELSES=1\n")
    with caplog.at_level(logging.WARNING, "twofold"):
        Settings()
        Settings()
    assert caplog.messages == [
        "TWOFOLD_KEY is no setting of Twofold and is ignored; did you mean TWOFOLD_KEYS?",
        "TWOFOLD_SUSPEND_AFTR is no setting of Twofold and is ignored; did you mean TWOFOLD_SUSPEND_AFTER?",
    ]


def test_an_env_file_that_cannot_be_read_is_a_sentence(folder: Path) -> None:
    (folder / ".env").write_bytes(b"TWOFOLD_ISSUER=\xff\xfe\n")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        Settings()
    (folder / ".env").unlink()
    (folder / ".env").symlink_to(folder / ".env")
    try:
        Settings()
    except ConfigurationError as error:
        assert ".env file cannot be read" in str(error)  # noqa: PT017 -- Newer versions of Python take it for absent.


@pytest.mark.requirement("R92")
def test_settings_that_contradict_each_other_do_not_start() -> None:
    for failures in range(5, 11):
        with pytest.raises(ValidationError, match="more than TWOFOLD_FREE_FAILURES"):
            plain_settings(free_failures=failures, suspend_after=failures)
        assert plain_settings(free_failures=failures, suspend_after=failures + 1)
    week = timedelta(days=7)
    with pytest.raises(ValidationError, match="longer than TWOFOLD_DEVICE_LIFETIME"):
        plain_settings(device_lifetime=week, device_idle=week + timedelta(seconds=1))
    assert plain_settings(device_lifetime=week, device_idle=week)
    # A default contradicts nothing.
    assert plain_settings(device_lifetime=week).device_idle > week
    for users in ("", "users", ".id", "users.", "a.b.c.d", "a..b"):
        with pytest.raises(ValidationError, match=r"table\.column"):
            plain_settings(users=users)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("isuer", "Settings has no 'isuer'; did you mean 'issuer'?"),
        ("ISSUER", "Settings has no 'ISSUER'; did you mean 'issuer'?"),
        ("TWOFOLD_ISSUER", "Settings has no 'TWOFOLD_ISSUER'; did you mean 'issuer'?"),
        ("sufficiently", "Settings has no 'sufficiently'."),
        ("_env_fiel", "Settings has no '_env_fiel'."),
    ],
)
def test_an_argument_that_is_no_setting_is_refused_by_name(argument: str, sentence: str) -> None:
    wrong: dict[str, Any] = {"_env_file": None, argument: "sekret"}
    with pytest.raises(TypeError) as refused:
        Settings(**wrong)
    assert str(refused.value) == sentence


def test_settings_of_a_host_may_have_more_of_them() -> None:
    class Theirs(Settings):
        colour: str = "blue"

    more: dict[str, Any] = {"_env_file": None, "colour": "red", "issuer": "Acme"}
    made = Theirs(**more)
    assert (made.colour, made.issuer) == ("red", "Acme")


def test_what_is_for_others_in_the_env_file_is_left_alone(folder: Path) -> None:
    (folder / ".env").write_text("COLOUR=red\nTWOFOLD_ISSUER=Acme\n")
    assert Settings().issuer == "Acme"
