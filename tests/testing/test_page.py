"""Every block of the page on testing runs in an empty file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.databases import ROOT
from tests.testing.test_plugin import pytest_on

if TYPE_CHECKING:
    from pathlib import Path


def test_every_block_of_the_page_is_a_file_that_passes(tmp_path: Path) -> None:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert f"{len(blocks)} passed" in pytest_on(tmp_path, *blocks)
