"""The client in TypeScript: it compiles strictly, and goes through the story at a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.served import served
from tests.typescript import NODE, TSC, TYPES
from tests.web.api import typescript

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.people import Clock

STORY = Path(__file__).with_name("story.mts")
# What a browser has, and what Node has.
SURROUNDINGS: dict[str, list[str | Path]] = {
    "browser": [typescript.FILE, "--lib", "es2022,dom"],
    "node": [STORY, "--lib", "es2022", "--types", "node", "--typeRoots", TYPES],
}


def test_the_client_is_made_from_the_description() -> None:
    made = typescript.FILE.read_text(encoding="utf-8")
    assert made == typescript.source(), "run: python -m tests.web.api.documented"


@pytest.mark.parametrize("where", SURROUNDINGS)
def test_it_compiles_strictly(compiler: None, where: str, tmp_path: Path) -> None:
    strictly = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--verbatimModuleSyntax"]
    modules = ["--module", "es2022", "--moduleResolution", "bundler", "--rewriteRelativeImportExtensions"]
    made: list[str | Path] = ["--target", "es2022", "--skipLibCheck", "--outDir", tmp_path]
    command = [NODE, TSC, *strictly, *modules, *made, *SURROUNDINGS[where]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.rglob("twofold.js"))


@pytest.mark.backends("sqlite")
def test_an_app_goes_through_the_story(app: FastAPI, clock: Clock) -> None:
    @app.post("/forward", include_in_schema=False)
    def forward() -> dict[str, float]:
        clock.forward(seconds=60)
        return {"now": clock.now.timestamp()}

    with served(app) as url:
        done = subprocess.run(
            [NODE, "--no-warnings", STORY, url], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the story is told\n"
