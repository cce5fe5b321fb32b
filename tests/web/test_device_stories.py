"""The stories of trusted browsers are true, and the page that tells them is up to date."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from examples.sample import tables
from examples.sample.app import build
from tests.people import Clock, plain_settings
from tests.served import served
from tests.web.stories import ANEW, COPIED, OLD, PAGE, STORIES, Line, Scene, Story, page
from twofold import MFA

if TYPE_CHECKING:
    from tests.databases import Database


def play(story: Story, database: Database, keys: str) -> None:
    engine, clock = database.engine(), Clock(datetime.now(UTC))
    tables.create(engine)
    settings = plain_settings(keys=keys)
    line = Line(build(engine, settings, clock=clock))
    with ExitStack() as stack:
        url = stack.enter_context(served(line))
        scene = stack.enter_context(closing(Scene(url, line, clock, engine, MFA(engine, settings, clock=clock))))
        story.play(scene)
        assert tuple(scene.asked) == story.asked
        assert scene.ending() == story.ending
        assert tuple(scene.told()) == story.told
        read = scene.security_page()
        assert {words for words in (OLD, COPIED, ANEW) if words in read} == set(story.reads)
        assert ("the second step is asked for the next time" in read) == (story.ending == "contested")
        assert scene.mfa.events.verify(scene.user_id).is_intact


@pytest.mark.requirement("R73", "R79")
@pytest.mark.backends("sqlite")
@pytest.mark.parametrize("story", [one for one in STORIES if not one.is_a_race], ids=lambda story: story.play.__name__)
def test_a_browser_that_lost_its_cookie_is_asked_for_a_code_and_is_no_thief(
    story: Story, migrated: Database, keys: str
) -> None:
    play(story, migrated, keys)


@pytest.mark.requirement("R73", "R79")
@pytest.mark.parametrize("story", [one for one in STORIES if one.is_a_race], ids=lambda story: story.play.__name__)
def test_whoever_comes_first_is_found_out_where_two_have_the_cookie(
    story: Story, migrated: Database, keys: str
) -> None:
    play(story, migrated, keys)


def test_the_page_tells_the_stories_as_they_are_played() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.web.stories"
