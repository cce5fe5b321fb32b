"""What CONTRIBUTING and ARCHITECTURE name is there: files, rooms, commands, and the variables of the environment."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import ROOT

PAGES = ("CONTRIBUTING.md", "ARCHITECTURE.md")
HOMES = (ROOT, ROOT / "src" / "twofold", ROOT / "src" / "twofold" / "account", ROOT / "src" / "twofold" / "cli")


def named(page: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / page).read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_is_there(page: str) -> None:
    paths = named(page, r"`([a-z_.]+(?:/[a-z_*.]*)*)`") | named(page, r"\]\(([^)#]+)\)")
    files = {path for path in paths if "/" in path or Path(path).suffix in {".py", ".md", ".toml"}}
    assert len(files) > 3
    missing = {path for path in files if not any(any(home.glob(path.rstrip("/"))) for home in HOMES)}
    assert not missing


def test_every_room_is_on_the_map() -> None:
    told = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "src" / "twofold").glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}/`" not in told} == set()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_every_target_of_make_is_there(page: str) -> None:
    targets = named(page, r"(?m)(?:^|`)make ([a-z-]+)")
    assert "test" in targets
    assert targets <= named("Makefile", r"(?m)^([a-z-]+):")


def test_every_test_that_is_named_is_found() -> None:
    commands = named("CONTRIBUTING.md", r"python -m pytest -n0 ([^#\n]+)")
    words = {word.strip('"') for command in commands for word in re.findall(r'"[^"]*"|\S+', command)}
    files = {word for word in words if word.startswith("tests/")}
    assert len(commands) > len(files) > 1
    quick = [sys.executable, "-m", "pytest", "-n0", "-p", "no:randomly", "--collect-only", "-q"]
    run = subprocess.run(
        [*quick, *files, "-k", "sqlite and blocking"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout


def test_every_variable_of_the_environment_is_told() -> None:
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    used = {name for file in files for name in re.findall(r'environ\.get\("([A-Z_]+)"', file.read_text("utf-8"))}
    assert "QUICK" in used
    assert (used - {"PATH", "PYENV_ROOT"}) | {"PY"} == named("CONTRIBUTING.md", r"(?m)^\| `([A-Z_]+)=")


def test_every_module_says_which_tests_tell_its_story() -> None:
    names = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    silent: list[str] = []
    for module in sorted((ROOT / "src" / "twofold").rglob("*.py")):
        story = [file for file in (module, module.parent / "__init__.py") if "Tests: `" in file.read_text("utf-8")]
        # Revisions, and the face of the package, are told by the room above.
        above = module.parent.parent / "__init__.py"
        is_told = story or module.stem in names or (above.exists() and "Tests: `" in above.read_text("utf-8"))
        if not is_told and module != ROOT / "src" / "twofold" / "__init__.py":
            silent.append(str(module.relative_to(ROOT)))
    assert not silent


def test_every_test_that_a_module_names_is_there() -> None:
    for module in (ROOT / "src" / "twofold").rglob("*.py"):
        for line in re.findall(r"^Tests: ([^\"]*?)\.$", module.read_text("utf-8"), re.MULTILINE):
            for path in re.findall(r"`([^`]+)`", line):
                assert (ROOT / path).exists(), f"{module}: {path}"


def test_every_file_of_tests_says_what_it_tests() -> None:
    files = [*(ROOT / "tests").rglob("test_*.py")]
    assert len(files) > 100
    assert not [str(file) for file in files if not ast.get_docstring(ast.parse(file.read_text("utf-8")))]
