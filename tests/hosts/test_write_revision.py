"""`twofold db write-revision` reads a history without running it, and writes nothing that would not fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from twofold.cli.program import app
from twofold.schema.hosting import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "versions").mkdir()
    return tmp_path / "versions"


def add(versions: Path, revision: str, after: str) -> None:
    text = f"raise SystemExit('this file is never run')\nrevision: str = '{revision}'\ndown_revision = {after}\n"
    (versions / f"{revision}.py").write_text(text)


def write(after: str, folder: str = "versions") -> tuple[int, str]:
    arguments = ["db", "write-revision", "--after", after, "--folder", folder, "--json"]
    result = CliRunner().invoke(app, arguments, env={"TWOFOLD_USERS": "accounts.uuid"})
    answer = json.loads(result.stdout)
    return result.exit_code, answer.get("message") or answer["file"]


def test_the_newest_revision_can_be_named_or_called_head(versions: Path) -> None:
    add(versions, "h1", "None")
    add(versions, "h2", "'h1'")
    for after in ("h2", "head"):
        code, file = write(after)
        assert (code, file) == (0, f"versions/{FILE_NAME}")
        assert 'down_revision = "h2"' in (versions / FILE_NAME).read_text()
        (versions / FILE_NAME).unlink()


def test_a_merge_is_a_head_like_any_other(versions: Path) -> None:
    add(versions, "h1", "None")
    add(versions, "h2", "None")
    assert write("head") == (78, "The history in versions has several heads: h1, h2. Name the one to follow.")
    add(versions, "h3", "('h1', 'h2')")
    assert write("head")[0] == 0


def test_an_empty_history_says_so(versions: Path) -> None:
    assert write("head") == (78, "There are no revisions in versions. In an empty history, say --after base.")
    assert write("base")[0] == 0
    assert "down_revision = None" in (versions / FILE_NAME).read_text()


def test_what_would_fork_the_history_is_refused(versions: Path) -> None:
    add(versions, "h1", "None")
    add(versions, "h2", "'h1'")
    code, message = write("h1")
    assert code == 78
    assert message.endswith("Follow the newest: --after h2")
    assert write("base") == (78, "There is no revision base in versions; the newest is h2.")
    assert write("h3") == (78, "There is no revision h3 in versions; the newest is h2.")
    assert not (versions / FILE_NAME).exists()


def test_no_file_is_overwritten(versions: Path) -> None:
    add(versions, "h1", "None")
    (versions / FILE_NAME).write_text("# mine\n")
    assert write("h1") == (78, f"versions/{FILE_NAME} exists and is left as it is.")
    assert (versions / FILE_NAME).read_text() == "# mine\n"
    add(versions, "769e76ff65d7", "'h1'")
    assert write("769e76ff65d7") == (78, "Revision 769e76ff65d7 is in versions already.")


def test_a_folder_that_is_not_there_and_a_file_that_is_not_python_are_named(versions: Path) -> None:
    assert write("h1", "nowhere") == (78, "There is no folder nowhere; name the one that holds your revisions.")
    (versions / "h1.py").write_text("this is no Python")
    assert write("h1") == (78, "versions/h1.py cannot be read as Python (SyntaxError).")
