"""Each page in each state: nothing for axe to find, nothing that scrolls sideways, nothing that is heavy.

In the suite each state is met in one language, the languages taking turns, and axe looks at it light at a desk or dark
on a small screen, by turns too; in `.ci/run` at both, and with `TWOFOLD_ATTACK_LENGTH` over 1 in all languages and in
every look, forced colours too.
With SCREENSHOTS=FOLDER each is kept as a picture to look at.
"""

from __future__ import annotations

import gzip
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from examples.sample import tables
from examples.sample.app import build
from tests.atlas import LANGUAGES, Person, World
from tests.atlas_of_passkeys import STATES
from tests.chrome import chrome, come_to_rest
from tests.databases import add_passkeys
from tests.length import IS_WHOLE, LENGTH
from tests.passkeys.makers import MODEL
from tests.people import Clock, plain_settings
from tests.served import served
from tests.servers import free_port
from twofold import MFA
from twofold.keyring import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from playwright.sync_api import Page

    from tests.databases import Sources

LIMIT = 8 * 1024
"""What a page, its style sheets and its scripts may weigh together, in bytes over the line."""

# 320 pixels are what a desk of 1280 has left at 400 %.
LOOKS: dict[str, tuple[Literal["light", "dark"], Literal["none", "active"], int]] = {
    "light-1280": ("light", "none", 1280),
    "dark-320": ("dark", "none", 320),
}
if LENGTH > 1:
    LOOKS |= {
        "light-320": ("light", "none", 320),
        "dark-1280": ("dark", "none", 1280),
        "forced-320": ("dark", "active", 320),
        "forced-1280": ("light", "active", 1280),
    }

NAMED = list(STATES)
MET = [
    (name, language)
    for place, name in enumerate(NAMED)
    for language in (LANGUAGES if LENGTH > 1 else (LANGUAGES[place % len(LANGUAGES)],))
]


@pytest.fixture(scope="module")
def world(databases: Sources) -> Iterator[World]:
    with databases.database("sqlite", migrated=True) as database:
        port = free_port()
        domain = {"rp_id": "localhost", "origins": f"http://localhost:{port}", "passkey_aaguids": MODEL}
        settings = plain_settings(keys=generate_key("k1"), issuer="Acme", **domain)
        add_passkeys(database)
        engine, clock = database.engine(), Clock(datetime.now(UTC))
        tables.create(engine)
        with served(build(engine, settings, clock=clock), port) as url:
            yield World(url, engine, MFA(engine, settings, clock=clock), clock)


@pytest.fixture(scope="module")
def page_in() -> Iterator[Callable[[str], Page]]:
    """Whose browser speaks a language, and knows nobody: one page for all of those."""
    pages: dict[str, Page] = {}
    with chrome() as browser:

        def page_in(language: str) -> Page:
            if language not in pages:
                context = browser.new_context(locale=language, viewport={"width": 1280, "height": 900})
                pages[language] = context.new_page()
            pages[language].context.clear_cookies()
            pages[language].set_viewport_size({"width": 1280, "height": 900})
            pages[language].emulate_media(color_scheme="light", forced_colors="none")
            return pages[language]

        yield page_in


@pytest.mark.parametrize(("name", "language"), MET)
def test_each_state_is_open_to_everybody(
    world: World, page_in: Callable[[str], Page], name: str, language: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    page = page_in(language)
    STATES[name](Person(world, page, *world.newcomer()))
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("html").get_attribute("dir") == ("rtl" if language == "ar" else "ltr")
    assert weight(page) < LIMIT
    for look in looks(name):
        scheme, forced, width = LOOKS[look]
        page.emulate_media(color_scheme=scheme, forced_colors=forced)
        page.set_viewport_size({"width": width, "height": 800})
        come_to_rest(page)
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{language}-{look}.png", full_page=True)
        # Forced colours are the system's; axe reads those that the style sheet asked for.
        contrast = {"rules": {"color-contrast": {"enabled": forced == "none"}}}
        found = Axe().run(page, options=contrast)
        assert not found.response["violations"], f"{look}: {found.generate_report()}"
    page.emulate_media(forced_colors="none")
    for width, text in ((375, "100%"), (320, "100%"), (375, "200%")):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} pixels at {width}, with text at {text}"


def looks(name: str) -> list[str]:
    """In the suite one, and each language meets both."""
    all_of_them = list(LOOKS)
    if IS_WHOLE or "SCREENSHOTS" in os.environ:
        return all_of_them
    return [all_of_them[NAMED.index(name) // len(LANGUAGES) % len(all_of_them)]]


def weight(page: Page) -> int:
    """What the page, its style sheets and its scripts weigh over the line."""
    files: list[str] = page.evaluate(
        "[...document.querySelectorAll('link[rel=stylesheet], script[src]')].map((one) => one.href || one.src)"
    )
    texts = (page.content(), *(page.request.get(file).text() for file in files))
    return sum(len(gzip.compress(text.encode())) for text in texts)
