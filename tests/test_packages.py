"""The wheel and the source distribution: built, looked through, installed into an empty environment, and run there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.databases import ROOT

UV = str(Path(sys.executable).with_name("uv"))


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What the command prints; it must end well."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment in which the wheel is, and of other packages what these tests have."""
    home = tmp_path_factory.mktemp("environment")
    run(UV, "venv", "-q", "--python", sys.executable, home, cwd=home)
    (wheel,) = built.glob("*.whl")
    run(UV, "pip", "install", "-q", "--offline", "--no-deps", "--python", home / "bin" / "python", wheel, cwd=home)
    (site,) = home.glob("lib/python*/site-packages")
    # A path that a .pth adds comes last, and its own .pth files, such as that of an editable Twofold, are not read.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_the_wheel_holds_what_the_package_needs(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        told = Parser().parsestr(archive.read(metadata).decode())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        plugins = archive.read(entry_points).decode().partition("[pytest11]")[2]
    tracked = run("git", "ls-files", "src/twofold", cwd=ROOT).split() if (ROOT / ".git").exists() else []
    assert {name.removeprefix("src/") for name in tracked} <= names
    assert not {name for name in names if name.startswith("tests") or "__pycache__" in name}
    assert "twofold/py.typed" in names
    assert plugins.split("\n")[1] == "twofold = twofold.testing.plugin"
    assert (told["Name"], told["License-Expression"]) == ("twofold", "Apache-2.0")
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_distribution_can_be_worked_on(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        "Makefile",
        "LICENSE",
        "requirements-lock.txt",
        ".ci/run",
        "alembic.ini",
        "tests/conftest.py",
        "README.md",
    }
    assert needed <= names
    assert not {name for name in names if name.endswith((".db", ".keys", ".pyc")) or name.startswith(".venv")}


def _environment(folder: Path, key: str = "") -> dict[str, str]:
    plain = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return plain | {"TWOFOLD_DATABASE_URL": f"sqlite:///{folder}/app.db"} | ({"TWOFOLD_KEYS": key} if key else {})


def _twofold(programs: Path, folder: Path, *words: str, key: str = "") -> str:
    return run(programs / "twofold", *words, cwd=folder, env=_environment(folder, key))


def test_the_commands_run_from_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = "import twofold, twofold.web; print(twofold.__file__)"
    assert str(installed.parent) in run(installed / "python", "-c", where, cwd=tmp_path, env=_environment(tmp_path))
    key = _twofold(installed, tmp_path, "keys", "generate").strip()
    _twofold(installed, tmp_path, "db", "upgrade")
    _twofold(installed, tmp_path, "db", "verify")
    assert '"keys"' in _twofold(installed, tmp_path, "doctor", "--json", key=key)
    assert "0" in _twofold(installed, tmp_path, "keys", "status", key=key)


def test_the_pages_are_served_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    # The sample of the documentation mounts them; here it is enough that templates and pictures are found.
    program = (
        "from importlib.resources import files\n"
        "from twofold.web import fastapi\n"
        "found = [str(one) for one in files('twofold.web').joinpath('templates').iterdir()]\n"
        "print(len(found))\n"
        "from twofold.web.languages import Languages\n"
        "print(Languages().choose('de').gettext('just now'))"
    )
    shown = run(installed / "python", "-c", program, cwd=tmp_path, env=_environment(tmp_path))
    number, words = shown.splitlines()
    assert int(number) == len(list((ROOT / "src" / "twofold" / "web" / "templates").iterdir()))
    assert words == "gerade eben"
