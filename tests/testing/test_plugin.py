"""Fixtures for hosts: they are there once Twofold is installed, and cost a run that does not ask for them nothing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

from tests.databases import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ISOLATED = ["-p", "no:cacheprovider", "-c", "/dev/null", "-q"]

_STORY = """
import pytest
from sqlalchemy import text
from twofold import MFA
from twofold.testing import engine, enrolled

def test_the_library_is_there(mfa, mfa_engine, mfa_clock, mfa_keys, mfa_settings):
    with mfa_engine.begin() as connection:
        connection.execute(text("INSERT INTO users (id, subject) VALUES (1, 'ada@example.com')"))
    ada = enrolled(mfa, 1)
    assert mfa_settings.keys.get_secret_value() == mfa_keys
    mfa_clock.forward(hours=1)
    assert mfa.reverify(1, ada.code()).at == mfa_clock.now

@pytest.fixture
def mfa_engine():
    made = engine()
    yield made
    made.dispose()
"""
_NOTHING = """
import sys

def test_nothing_is_imported_that_nobody_asked_for():
    ours = {name for name in sys.modules if name.partition(".")[0] == "twofold"}
    assert ours == {"twofold", "twofold.testing", "twofold.testing.plugin"}
    assert not {"sqlalchemy", "cryptography", "pydantic", "alembic"} & set(sys.modules)
"""


def pytest_on(folder: Path, *files: str, plugin: str = "twofold.testing.plugin") -> str:
    """Run pytest in a folder of its own, with nothing of ours but the plugin."""
    for number, text in enumerate(files):
        (folder / f"test_{number}.py").write_text(text)
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        *ISOLATED,
        "-p",
        plugin,
        "--rootdir",
        str(folder),
        str(folder),
    ]
    # Where Twofold is installed, its plugin is there already; here it is named, so that nothing else is.
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_host_has_the_fixtures_and_may_override_them(tmp_path: Path) -> None:
    assert "1 passed" in pytest_on(tmp_path, _STORY)


def test_a_run_that_asks_for_nothing_imports_nothing(tmp_path: Path) -> None:
    assert "1 passed" in pytest_on(tmp_path, _NOTHING)


def test_the_plugin_is_named_where_pytest_looks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ((name, home),) = project["entry-points"]["pytest11"].items()
    assert EntryPoint(name, home, "pytest11").load().__name__ == "twofold.testing.plugin"
