"""What browsers say of themselves, and what their owners read of it."""

from __future__ import annotations

import time

import pytest

from twofold import Request
from twofold.browsers import Family, family

_APPLE, _CHROME = "AppleWebKit/605.1.15 (KHTML, like Gecko)", "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_APPLE}"
_IPAD = f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {_APPLE}"
_MAC = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE}"
_ANDROID = f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME}"
_WEB_VIEW = f"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) {_CHROME}"
_LINUX, _WINDOWS = f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME}", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}"

SAFARI_ON_IPAD = f"{_IPAD} Version/18.5 Mobile/15E148 Safari/604.1"
SAFARI_ON_MAC = f"{_MAC} Version/18.5 Safari/605.1.15"
CHROME_ON_IPHONE = f"{_IPHONE} CriOS/137.0.7151.34 Mobile/15E148 Safari/604.1"
CHROME_ON_IPHONE_FOR_DESKS = f"{_MAC} CriOS/137 Version/11.1.1 Safari/605.1.15"
CHROME_ON_ANDROID = f"{_ANDROID} Chrome/137.0.0.0 Mobile Safari/537.36"
CHROME_ON_LINUX = f"{_LINUX} Chrome/137.0.0.0 Safari/537.36"
FIREFOX_ON_ANDROID = "Mozilla/5.0 (Android 15; Mobile; rv:139.0) Gecko/139.0 Firefox/139.0"
FIREFOX_ON_LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"
FIREFOX_ON_IPAD = f"{_IPAD} FxiOS/139.0 Mobile/15E148 Safari/605.1.15"
FIREFOX_ON_IPAD_FOR_DESKS = (
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:139.0) {_APPLE} Version/17.0 Safari/605.1.15"
)
SAMSUNG = f"{_ANDROID} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36"
SAMSUNG_FOR_DESKS = f"{_LINUX} SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36"

SAME = [
    (SAFARI_ON_IPAD, SAFARI_ON_MAC),
    (CHROME_ON_IPHONE, CHROME_ON_IPHONE_FOR_DESKS),
    (CHROME_ON_ANDROID, CHROME_ON_LINUX),
    (FIREFOX_ON_ANDROID, FIREFOX_ON_LINUX),
    (FIREFOX_ON_IPAD, FIREFOX_ON_IPAD_FOR_DESKS),
    (SAMSUNG, SAMSUNG_FOR_DESKS),
]
"""Pairs that one browser sends, with and without "desktop site"."""
OTHERS = [
    (SAFARI_ON_MAC, CHROME_ON_IPHONE_FOR_DESKS),
    (CHROME_ON_ANDROID, FIREFOX_ON_ANDROID),
    (CHROME_ON_ANDROID, CHROME_ON_IPHONE),
    (CHROME_ON_LINUX, f"{_WINDOWS} Chrome/137.0.0.0 Safari/537.36"),
]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (SAFARI_ON_IPAD, "Safari on iPad"),
        (SAFARI_ON_MAC, "Safari on Mac or iPad"),
        (CHROME_ON_IPHONE, "Chrome on iPhone"),
        (CHROME_ON_IPHONE_FOR_DESKS, "Chrome on macOS"),
        (CHROME_ON_ANDROID, "Chrome on Android"),
        (FIREFOX_ON_ANDROID, "Firefox on Android"),
        (FIREFOX_ON_IPAD, "Firefox on iPad"),
        (FIREFOX_ON_IPAD_FOR_DESKS, "Firefox on macOS"),
        (SAMSUNG, "Samsung Internet on Android"),
        (f"{_ANDROID} Chrome/137.0.0.0 Mobile Safari/537.36 EdgA/136.0.0.0", "Edge on Android"),
        (f"{_ANDROID} Chrome/135.0.0.0 Mobile Safari/537.36 OPR/89.0.0.0", "Opera on Android"),
        (f"{_IPHONE} Version/18.5 Mobile/15E148 Safari/604.1 OPT/5.5.1", "Opera on iPhone"),
        (f"{_IPHONE} Version/18.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15", "DuckDuckGo on iPhone"),
        (f"{_IPHONE} GSA/372.0 Mobile/15E148 Safari/604.1", "Google app on iPhone"),
        (f"{_IPHONE} Mobile/15E148 Instagram 382.0.0.24.92", "Instagram on iPhone"),
        (f"{_IPHONE} Mobile/15E148", "An app on iPhone"),
        (f"{_WEB_VIEW} Version/4.0 Chrome/137.0.7151.72 Mobile Safari/537.36", "An app on Android"),
        (f"{_WINDOWS} MyShop/1.4 Chrome/134.0.0.0 Electron/35.0.0 Safari/537.36", "An app on Windows"),
        (f"{_LINUX} Chrome/136.0.0.0 Safari/537.36 Vivaldi/7.4.3684.38", "Vivaldi on Linux"),
        (f"{_LINUX} HeadlessChrome/137.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer on Windows"),
        ("Mozilla/5.0 (X11; FreeBSD amd64; rv:139.0) Gecko/20100101 Firefox/139.0", "Firefox on FreeBSD"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_CHROME} Chrome/137.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
        (
            f"Mozilla/5.0 (PlayStation; PlayStation 5/9.00) {_APPLE} Version/13.0 Safari/605.1.15",
            "A browser on PlayStation",
        ),
        (
            f"Mozilla/5.0 (Phone; OpenHarmony 5.0) {_CHROME} Chrome/114.0.0.0 Safari/537.36 HuaweiBrowser/5.0.4.304",
            "Huawei Browser on HarmonyOS",
        ),
        ("x", "A browser on an unknown system"),
        (None, "A browser on an unknown system"),
    ],
)
def test_a_browser_of_today_is_called_what_its_owner_calls_it(agent: str | None, name: str) -> None:
    assert Request(user_agent=agent).device_name == name


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_browser_that_asks_for_the_desktop_site_is_the_same_one(one: str, other: str) -> None:
    assert family(one).may_be(family(other))
    assert family(other).may_be(family(one))


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_another_browser_or_another_system_is_another_one(one: str, other: str) -> None:
    assert not family(one).may_be(family(other))


def test_who_says_nothing_is_nobody_else() -> None:
    assert family("") == Family(None, None)
    assert not family("").may_be(family(CHROME_ON_ANDROID))


def test_no_string_takes_long_to_read() -> None:
    """A browser may send what it likes, and the patterns of the package are many."""
    Request(user_agent="x").device_name  # noqa: B018 -- The patterns are loaded by now.
    for odd in ("; " * 256, "Mozilla/5.0 (" + "a " * 249, "1." * 256, "Android " * 64, "Linux; " * 73, " " * 512):
        begun = time.process_time()
        assert Request(user_agent=odd[:512]).device_name
        assert time.process_time() - begun < 0.25
