"""The style sheet and the script, as they are sent: without what is for whoever reads the source, and nothing else."""

from __future__ import annotations

from importlib.resources import files

import pytest

from tests.chrome import chrome
from twofold.web.assets import ASSETS


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_nothing_is_left_that_only_a_reader_of_the_source_needs(name: str) -> None:
    lines = ASSETS[name][0].decode().splitlines()
    assert not [line for line in lines if not line.strip() or line[0].isspace() or line.startswith(("/*", "//"))]


@pytest.mark.parametrize(
    ("name", "rules"), [("twofold.css", 80), ("setup.css", 15), ("backup_codes.css", 5), ("security.css", 10)]
)
def test_a_browser_reads_the_same_rules_of_a_sheet(name: str, rules: int) -> None:
    source = files("twofold.web").joinpath("static", name).read_text()
    with chrome() as browser:
        page = browser.new_page()
        read = (
            "text => { const sheet = new CSSStyleSheet(); sheet.replaceSync(text); "
            "return [...sheet.cssRules].map(rule => rule.cssText) }"
        )
        sent = page.evaluate(read, ASSETS[name][0].decode())
        assert len(sent) > rules
        assert sent == page.evaluate(read, source)
