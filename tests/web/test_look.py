"""What a host puts into the pages out of its own folder: templates, words, languages, logo, icon, links and zone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from examples.sample import accounts, sessions, tables
from examples.sample.host import SampleHost
from tests.visitors import Browser
from twofold import MFA, ConfigurationError, Settings
from twofold.keyring import generate_key
from twofold.web.fastapi import Link, router
from twofold.web.look import Look

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.databases import Database
    from tests.people import Clock

CATALOGUE = 'msgid "%s"\nmsgstr "%s"\n'


def catalogue(folder: Path, tag: str, **said: str) -> Path:
    """Write a catalogue; a sentence is named with underscores in the place of spaces."""
    home = folder / tag / "LC_MESSAGES"
    home.mkdir(parents=True, exist_ok=True)
    text = "\n".join(CATALOGUE % (message.replace("_", " "), words) for message, words in said.items())
    (home / "twofold.po").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def visit(database: Database, clock: Clock) -> Callable[..., Browser]:
    """Ada's browser, signed in at an application that gives these options to the router."""

    def open_(**options: Any) -> Browser:
        engine = database.engine()
        tables.create(engine)
        given: dict[str, Any] = {"_env_file": None, "keys": generate_key("k1"), "issuer": "Acme"}
        mfa = MFA(engine, Settings(**given), clock=clock)
        app = FastAPI(openapi_url=None)
        app.include_router(router(mfa, SampleHost(engine, mfa), **options), prefix="/mfa")
        account = accounts.register(engine, "ada@example.com", "a password of ada")
        client = TestClient(app, base_url="https://testserver", follow_redirects=False)
        client.cookies.set("__Host-sample_session", sessions.begin(engine, account, "password", None))
        return Browser(client)

    return open_


def test_a_template_of_the_host_takes_the_place_of_ours_and_may_extend_it(
    visit: Callable[..., Browser], tmp_path: Path
) -> None:
    (tmp_path / "layout.html").write_text(
        '{% extends "twofold/layout.html" %}\n'
        '{% block head %}<meta name="author" content="Acme">{% endblock %}\n'
        "{% block corner %}<nav>{{ _('Our pages') }}</nav>{% endblock %}\n"
        "{% block footer %}<footer>Acme Ltd</footer>{% endblock %}\n"
    )
    catalogue(tmp_path / "words", "de", Our_pages="Unsere Seiten")
    browser = visit(templates=tmp_path, translations=tmp_path / "words")
    browser.client.headers["accept-language"] = "de"
    page = browser.get("/mfa/security").text
    assert '<meta name="author" content="Acme">' in page
    assert "<nav>Unsere Seiten</nav>" in page
    assert "<footer>Acme Ltd</footer>" in page
    assert 'id="main"' in page


def test_templates_may_come_in_a_package(visit: Callable[..., Browser]) -> None:
    assert "<main" in visit(templates="examples.sample").get("/mfa/security").text


def test_the_host_adds_a_language_and_words_of_its_own(visit: Callable[..., Browser], tmp_path: Path) -> None:
    catalogue(tmp_path, "nl", Skip_to_the_content="Naar de inhoud")
    catalogue(tmp_path, "en", Skip_to_the_content="Straight on")
    browser = visit(translations=tmp_path)
    for accepted, tag, words in (("nl-BE", "nl-BE", "Naar de inhoud"), ("fi", "en", "Straight on")):
        browser.client.headers["accept-language"] = accepted
        answer = browser.get("/mfa/security")
        assert (answer.headers["content-language"], words in answer.text) == (tag, True)


def test_logo_icon_and_links_are_the_hosts(visit: Callable[..., Browser], tmp_path: Path) -> None:
    links = [
        Link("Help", "https://help.example.com/codes"),
        Link("Privacy", "/privacy"),
        Link("Sign out", "/sign-out", is_form=True),
    ]
    catalogue(tmp_path, "de", Sign_out="Abmelden")
    browser = visit(logo="/static/acme.svg", favicon="/static/acme.ico", links=links, translations=tmp_path)
    browser.client.headers["accept-language"] = "de"
    page = browser.get("/mfa/security").text
    assert '<img class="logo" src="/static/acme.svg" alt="Acme">' in page
    assert '<link rel="icon" href="/static/acme.ico">' in page
    assert "mark.svg" not in page
    assert '<a href="https://help.example.com/codes">Help</a>' in page
    assert '<a href="/privacy">Privacy</a>' in page
    form = re.search(r'<form method="post" action="/sign-out">(.*?)</form>', page)
    assert form
    assert 'name="csrf" value="' in form[1]
    assert "Abmelden" in form[1]


@pytest.mark.parametrize("is_async", [False, True])
def test_the_host_says_language_and_zone_of_a_person(visit: Callable[..., Browser], *, is_async: bool) -> None:
    def language(request: Request) -> str | None:
        return request.query_params.get("in")

    async def language_later(request: Request) -> str | None:
        return language(request)

    async def zone_later(_request: Request) -> str:
        return "Asia/Kathmandu"

    browser = visit(
        language=language_later if is_async else language,
        timezone=zone_later if is_async else lambda _request: "Asia/Kathmandu",
    )
    browser.client.headers["accept-language"] = "fr"
    assert browser.get("/mfa/security?in=ja").headers["content-language"] == "ja"
    assert browser.get("/mfa/security").headers["content-language"] == "fr"
    browser.get("/mfa/setup")
    browser.post("/mfa/setup/begin")
    page = browser.get("/mfa/security").text
    assert re.search(r'<time datetime="[0-9T:+-]+">', page)
    assert "UTC" not in page
    # The zone is the person's; the browser's must not take its place.
    assert "data-local=" not in page


def test_a_host_that_cannot_say_the_language_is_an_outage(visit: Callable[..., Browser]) -> None:
    def fail(_request: Request) -> str:
        raise RuntimeError("no settings of this person")

    answer = visit(language=fail).get("/mfa/security")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_zone_that_nobody_knows_is_utc(visit: Callable[..., Browser]) -> None:
    browser = visit(timezone=lambda _request: "Mars/Olympus")
    browser.get("/mfa/setup")
    browser.post("/mfa/setup/begin")
    assert 'data-local="moment"' in browser.get("/mfa/security").text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"logo": "https://cdn.example.com/logo.svg"}, "give a path of this site"),
        ({"favicon": "//cdn.example.com/icon.ico"}, "give a path of this site"),
        ({"stylesheet": "brand.css"}, "give a path of this site"),
        ({"stylesheet": "/\t/cdn.example.com/brand.css"}, "give a path of this site"),
        ({"logo": "/\\cdn.example.com/logo.svg"}, "give a path of this site"),
        ({"links": [Link("Help", "javascript:alert(1)")]}, "leads to"),
        ({"links": [Link("Sign out", "https://example.com/out", is_form=True)]}, "leads to"),
        ({"templates": "no.such.package"}, "cannot be used"),
        ({"templates": Path("/no/such/folder")}, "no folder"),
        ({"translations": Path("/no/such/folder")}, "no folder"),
    ],
)
def test_what_cannot_be_shown_does_not_start(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Look(**options)


def test_a_template_or_a_catalogue_with_a_mistake_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "layout.html").write_text("{% if %}")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Look(templates=tmp_path)
    for wrong in ("heute, %(zeit)s", "heute, %(time)", "100%"):
        (catalogue(tmp_path, "nl") / "nl/LC_MESSAGES/twofold.po").write_text(CATALOGUE % ("today, %(time)s", wrong))
        with pytest.raises(ConfigurationError, match="does not have the places"):
            Look(translations=tmp_path)
    catalogue(tmp_path, "klingon")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Look(translations=tmp_path)
