"""Each page in each language, as a person meets it: nothing on it is left in English."""

from __future__ import annotations

import re
from collections import defaultdict
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.people import FIREFOX

if TYPE_CHECKING:
    from httpx2 import Response

    from tests.visitors import Ada

LANGUAGES = ("en", "ar", "de", "es", "fr", "ja")
NAMES = {"ada@example.com", "Twofold", "Acme", "Linux", "Firefox", "Chrome"}
# An English sentence has one of these; none of them is a word of the other languages.
ENGLISH = re.compile(r"\b(?:the|your|you|with|and|of|that|this|been|will|again)\b", re.IGNORECASE)


class Reader(HTMLParser):
    """Collects what people read or hear: texts, and the attributes that are spoken or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.direction = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.direction = given.get("dir") or ""
        spoken = ("aria-label", "title", "placeholder", "data-done", "data-failed", "data-over", "data-add")
        self.said += [value for name in spoken if (value := given.get(name))]

    def handle_data(self, data: str) -> None:
        if text := " ".join(data.split()):
            self.said.append(text)


def is_left(text: str, english: set[str]) -> bool:
    """Whether a text of another language is English. Codes and names are nobody's."""
    words = set(re.findall(r"[^\W\d_]{2,}", text)) - NAMES
    if not words or re.fullmatch(r"[0-9A-Z-]{29}|[A-Z2-7]{1,4}", text):
        return False
    return ENGLISH.search(text) is not None or (len(words) > 3 and text in english)


@pytest.fixture
def said() -> dict[str, dict[str, list[str]]]:
    """What each page says, by language."""
    return defaultdict(dict)


def read(page: Response) -> Reader:
    reader = Reader()
    reader.feed(page.text)
    return reader


def test_no_page_has_a_sentence_that_is_left_in_english(ada: Ada, said: dict[str, dict[str, list[str]]]) -> None:
    browser = ada.browser
    browser.client.headers["user-agent"] = FIREFOX.user_agent or ""

    def keep(name: str, method: str, path: str, status: int = 200, **fields: str) -> None:
        for language in LANGUAGES:
            browser.client.headers["accept-language"] = language
            page = browser.get(path) if method == "GET" else browser.post(path, **fields)
            assert page.status_code == status, (name, language, page.status_code)
            assert page.headers["content-language"] == language
            reader = read(page)
            if page.headers["content-type"].startswith("text/html"):
                assert reader.direction == ("rtl" if language == "ar" else "ltr")
            said[language][name] = reader.said
        browser.client.headers["accept-language"] = "en"

    keep("security, not set up", "GET", "/mfa/security")
    keep("begin", "GET", "/mfa/setup")
    ada.phone = ada.begin()
    keep("set up", "GET", "/mfa/setup")
    keep("set up, too short", "POST", "/mfa/setup/confirm", 400, code="12")
    ada.phone = ada.begin()
    assert browser.post("/mfa/setup/confirm", code=ada.phone.code()).status_code == 303
    keep("codes", "GET", "/mfa/backup-codes")
    codes = ada.shown_codes()
    keep("codes, not kept", "POST", "/mfa/backup-codes/kept", 400)
    keep("codes, as a file", "POST", "/mfa/backup-codes/download", codes=" ".join(codes))
    keep("security, codes not kept", "GET", "/mfa/security")
    ada.keep_codes()
    keep("security, kept", "GET", "/mfa/security?done=kept")
    keep("new codes?", "GET", "/mfa/backup-codes/regenerate")
    keep("another app", "GET", "/mfa/setup")
    keep("step-up", "GET", "/mfa/reverify")
    keep("step-up, backup code", "GET", "/mfa/reverify?with=backup-code")
    keep("step-up, nothing typed", "POST", "/mfa/reverify", 400, code=" ")
    keep("no device", "POST", "/mfa/devices/77/revoke", 404)
    keep("no such page", "GET", "/mfa/nothing/here", 404)

    ada.sign_out()
    ada.sign_in()
    keep("challenge", "GET", "/mfa/challenge")
    keep("challenge, backup code", "GET", "/mfa/challenge?with=backup-code")
    keep("challenge, wrong backup code", "POST", "/mfa/challenge?with=backup-code", 400, code="0" * 25)
    browser.get("/mfa/challenge")
    for _ in range(5):
        browser.post("/mfa/challenge", code="000000")
    keep("challenge, waiting", "POST", "/mfa/challenge", 429, code="000000")
    ada.clock.forward(hours=1)
    browser.post("/mfa/challenge/cancel")
    ada.sign_in()
    assert browser.post("/mfa/challenge", code=ada.code(), trust_device="yes").status_code == 303
    keep("security, a device", "GET", "/mfa/security")
    keep("a form of before", "POST", "/mfa/reverify", 403, csrf="x", code="1")

    english = {text for texts in said["en"].values() for text in texts}
    for language in LANGUAGES[1:]:
        for name, texts in said[language].items():
            assert texts
            assert not [text for text in texts if is_left(text, english)], (language, name)
