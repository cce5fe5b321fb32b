"""In which language a page speaks, and how moments, durations and numbers are said in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from twofold.web import assets
from twofold.web.languages import ENGLISH, Languages, current, speaking, wanted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.visitors import Ada

NOW = datetime(2026, 11, 5, 14, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE-at", "de-AT"),
        ("de-AT-1996", "de-AT"),
        ("nl,ja;q=0.5,fr;q=0.8", "fr"),
        ("nl, *;q=0.1, de;q=0", "en"),
        ("de;q=0,ar;q=0.1", "ar"),
        ("en-US,en;q=0.9,de;q=0.8", "en-US"),
        ("nl, pl;q=0.4", "en"),
        ("de;q=7, fr", "fr"),
        ("en-QX", "en"),
        ("x" * 900, "en"),
        ("ja" + ",de" * 5000, "ja"),
        ("<script>, es", "es"),
    ],
)
def test_the_language_is_the_one_that_the_browser_wants_most(header: str, tag: str) -> None:
    assert Languages().choose(header).tag == tag


def test_what_the_host_says_of_a_person_comes_first() -> None:
    languages = Languages()
    assert languages.choose("de", said="fr").tag == "fr"
    assert languages.choose("de", said="nl").tag == "en"
    assert languages.choose("de", said=None).tag == "de"


def test_a_range_that_is_refused_or_not_well_formed_is_no_wish() -> None:
    assert wanted("fr;q=0, de;q=0.2, es;q=1.0, ja;q=x, ar;q=0.25") == ["es", "ar", "de"]


def test_of_a_tag_without_an_end_the_first_parts_are_read() -> None:
    for endless in (f"de-{'a-' * 400}a", f"de-AT-{'x1-' * 5000}x"):
        assert Languages().choose(said=endless).tag.startswith("de")
    assert Languages().choose(f"de-{'a-' * 400}a").tag == "de"


def test_a_host_adds_languages_and_words_of_its_own(tmp_path: Path) -> None:
    for tag, word in (("nl", "zojuist"), ("pt_BR", "agora mesmo"), ("zh_Hant", "剛剛"), ("de", "eben")):
        folder = tmp_path / tag / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "twofold.po").write_text(f'msgid "just now"\nmsgstr "{word}"\n', encoding="utf-8")
    languages = Languages(tmp_path)
    said = {
        tag: languages.choose(tag).gettext("just now") for tag in ("nl-BE", "pt", "pt-BR", "zh-TW", "de", "de-CH", "fr")
    }
    assert said == {
        "nl-BE": "zojuist",
        "pt": "agora mesmo",
        "pt-BR": "agora mesmo",
        "zh-TW": "剛剛",
        "de": "eben",
        "de-CH": "eben",
        "fr": "à l’instant",
    }
    # What the host leaves out is said in our words.
    assert languages.choose("de").gettext("today, %(time)s", time="8:00") == "heute, 8:00"
    assert languages.choose("zh-TW").tag == "zh-Hant-TW"


@pytest.mark.parametrize(
    ("tag", "day", "today", "ago", "wait", "lasting", "direction"),
    [
        ("en", "5 November 2026", "today, 14:05 UTC", "12 minutes ago", "in 2 minutes", "30 days", "ltr"),
        ("en-US", "November 5, 2026", "today, 2:05 PM UTC", "12 minutes ago", "in 2 minutes", "30 days", "ltr"),
        ("de", "5. November 2026", "heute, 14:05 UTC", "vor 12 Minuten", "in 2 Minuten", "30 Tage", "ltr"),
        ("fr", "5 novembre 2026", "aujourd’hui à 14:05 UTC", "il y a 12 minutes", "dans 2 minutes", "30 jours", "ltr"),
        ("es", "5 de noviembre de 2026", "hoy, 14:05 UTC", "hace 12 minutos", "dentro de 2 minutos", "30 días", "ltr"),
        ("ja", "2026年11月5日", "今日 14:05 UTC", "12 分前", "2 分後", "30 日", "ltr"),
        ("ar", "5 نوفمبر 2026", "اليوم، 2:05 م UTC", "قبل 12 دقيقة", "خلال دقيقتين", "30 يومًا", "rtl"),
    ],
)
def test_moments_and_durations_are_said_as_the_language_has_them(
    tag: str, day: str, today: str, ago: str, wait: str, lasting: str, direction: str
) -> None:
    language = Languages().choose(tag)
    said = (
        language.day(NOW),
        language.moment(NOW, NOW + timedelta(hours=2)),
        language.moment(NOW, NOW + timedelta(minutes=12, seconds=30)),
        language.from_now(timedelta(minutes=2)),
        language.duration(timedelta(days=30)),
    )
    # Which of the spaces that do not break is a matter of the version of CLDR.
    assert tuple(re.sub(r"\s", " ", text) for text in said) == (day, today, ago, wait, lasting)
    assert language.direction == direction


def test_moments_of_other_days_name_the_day() -> None:
    assert ENGLISH.moment(NOW, NOW) == "just now"
    assert ENGLISH.moment(NOW, NOW + timedelta(days=1)) == "yesterday, 14:05 UTC"
    assert ENGLISH.moment(NOW + timedelta(hours=1), NOW) == "today, 15:05 UTC"
    assert ENGLISH.moment(NOW + timedelta(days=1), NOW) == "tomorrow, 14:05 UTC"
    assert ENGLISH.moment(NOW - timedelta(days=60), NOW) == "6 September 2026, 14:05 UTC"


def test_a_wait_is_rounded_up_to_what_one_would_say() -> None:
    spans = {"30 seconds": 29.2, "1 minute": 60, "90 seconds": 90, "3 minutes": 121, "36 hours": 129_600, "1 second": 0}
    said = [ENGLISH.duration(timedelta(seconds=span)) for span in spans.values()]
    assert said == [span.replace(" ", "\xa0") for span in spans]


@pytest.mark.parametrize("tag", Languages().tags)
def test_a_figure_stays_on_the_line_of_the_word_that_it_counts(tag: str) -> None:
    language = Languages().choose(tag)
    told = (
        language.duration(timedelta(days=30)),
        language.from_now(timedelta(minutes=5)),
        language.moment(NOW, NOW + timedelta(minutes=12)),
        language.ngettext(
            "%(num)s digit, from your authenticator app.", "%(num)s digits, from your authenticator app.", 6
        ),
        language.gettext("This name is too long. Use at most 64 characters."),
    )
    for text in told:
        assert re.search(r"\d\s", text), text
        assert not re.search(r"\d \w", text), text


def test_what_a_person_wrote_is_said_as_it_is() -> None:
    assert ENGLISH.gettext("%(device)s is trusted", device="Pixel 8 pro") == "Pixel 8 pro is trusted"


def test_a_zone_that_is_known_needs_no_name_and_may_move_the_day() -> None:
    sydney = Languages().choose("en", zone=ZoneInfo("Australia/Sydney"))
    assert sydney.day(NOW) == "6 November 2026"
    assert sydney.moment(NOW, NOW + timedelta(hours=2)) == "today, 01:05"


def test_each_task_speaks_its_own_language() -> None:
    german = Languages().choose("de")
    with speaking(german):
        assert current().gettext("just now") == "gerade eben"
    assert current() is ENGLISH


def test_a_page_says_which_language_it_is_in(enrolled: Ada) -> None:
    enrolled.browser.client.headers["accept-language"] = "ar-EG, en;q=0.5"
    page = enrolled.browser.get("/mfa/security")
    assert page.headers["content-language"] == "ar-EG"
    assert "accept-language" in page.headers["vary"].lower()
    assert '<html lang="ar-EG" dir="rtl">' in page.text
    del enrolled.browser.client.headers["accept-language"]
    assert '<html lang="en" dir="ltr">' in enrolled.browser.get("/mfa/security").text


def test_moments_in_a_page_are_marked_for_the_script(enrolled: Ada) -> None:
    page = enrolled.browser.get("/mfa/security").text
    assert re.search(r'<time datetime="20[0-9T:+-]{23}" data-local="moment">1\xa0minute ago</time>', page)
    assert re.search(r'Since <time datetime="20[0-9T:+-]{23}" data-local="day">\d+ \w+ \d{4}</time>', page)


def test_no_style_sheet_names_a_side_that_the_writing_would_turn_around() -> None:
    sheet = "".join(content.decode() for name, (content, _kind) in assets.ASSETS.items() if name.endswith(".css"))
    physical = (
        r"(?:margin|padding|border)-(?:left|right)|(?:^|[{;\s])(?:left|right)\s*:|text-align:\s*(?:left|right)|float:"
    )
    assert not re.search(physical, sheet)
    assert re.search(physical, sheet.replace("inset-inline-start", "left"))
    assert re.search(physical, sheet.replace("padding-inline-start", "padding-left"))


def test_codes_keys_and_names_keep_their_own_direction(ada: Ada) -> None:
    ada.browser.client.headers["accept-language"] = "ar"
    ada.phone = ada.begin()
    page = ada.browser.get("/mfa/setup").text
    assert re.search(r'<code class="secret"[^>]* dir="ltr"', page)
    assert re.search(r'<input class="code"[^>]* dir="ltr"', page)
    assert "<bdi>ada@example.com</bdi>" in page
    ada.browser.post("/mfa/setup/confirm", code=ada.phone.code())
    assert re.search(r'<ol class="codes"[^>]* dir="ltr"', ada.browser.get("/mfa/backup-codes").text)
    assert '<span class="account" dir="auto">ada@example.com</span>' in ada.browser.get("/mfa/security").text
