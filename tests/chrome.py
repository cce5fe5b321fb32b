"""Chromium for the tests and the pictures, and how its page comes to rest before anybody measures it."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.servers import chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# As long as Playwright waits for all else: five seconds are too few on a machine that does much at once.
expect.set_options(timeout=30_000)

# As root there is no sandbox, and without these switches the browser looks for hosts that are none of ours.
_SWITCHES = [
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A change of the style begins its transitions with the next frame, and the end of one may begin another.
# What is not drawn, as in a closed <details>, has no end of them.
_AT_REST = """async () => {
  let moving;
  do {
    await new Promise(requestAnimationFrame);
    moving = document.getAnimations().filter((one) => one.effect.target.checkVisibility());
    await Promise.all(moving.map((one) => one.finished.catch(() => null)));
  } while (moving.length);
}"""


@contextlib.contextmanager
def chrome() -> Iterator[Browser]:
    """Run the browser until the block ends."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), args=_SWITCHES) as browser,
    ):
        yield browser


def type_code(page: Page, code: str) -> None:
    """Type a code when the script of the page hears it, so that its last digit sends the form."""
    page.wait_for_load_state("load")
    page.locator("input[name=code]").fill(code)


def hold(page: Page, files: str) -> list[Route]:
    """Hold back the files whose address has this pattern: what was asked for is in the list, and goes on from there."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(re.compile(files), keep)
    return held


def wait_until(page: Page, has_come: Callable[[], bool]) -> None:
    """Wait for what the page tells by an event, such as a request that a route holds; a minute at most."""
    for _ in range(3000):
        if has_come():
            return
        page.wait_for_timeout(20)
    raise AssertionError("It did not come within a minute.")


def come_to_rest(page: Page) -> None:
    """Wait until nothing moves: half-way between two colours, text has the contrast of neither."""
    page.evaluate(_AT_REST)
