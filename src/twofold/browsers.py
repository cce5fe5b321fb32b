"""Browsers by what they say of themselves: what one is called, and which of them may be one and the same. Pure.

A name is for the eyes of its owner. `ua-parser` reads it, whose patterns follow the browsers of the day. A family takes
part in a decision, whether a token comes from the browser that was trusted; so a few patterns of our own make it, which
no new edition of a package changes.

Tests: `tests/test_browsers.py`, `tests/trusted_devices/test_devices.py`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# The first match wins: Edge and Opera call themselves Chrome, and Chrome calls itself Safari.
_FAMILIES = (
    ("Edge", r"\bEdg(e|A|iOS)?/"),
    ("Opera", r"\b(OPR|OPT|OPX|Opera)/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    # On an iPad, Firefox calls itself Safari, and only its "rv:" gives it away.
    ("Firefox", r"\b(Firefox|FxiOS)/|\brv:[\d.]+\) AppleWebKit/"),
    ("Chrome", r"\b(Chrome|CriOS|Chromium|HeadlessChrome)/"),
    ("Safari", r"\bVersion/[\d.]+.*Safari/"),
)
_PLATFORMS = (
    ("iPhone", r"\b(iPhone|iPod)\b"),
    ("iPad", r"\biPad\b"),
    ("HarmonyOS", r"\b(OpenHarmony|HarmonyOS)\b"),
    ("Android", r"\bAndroid\b"),
    ("Xbox", r"\bXbox\b"),
    ("PlayStation", r"\bPlayStation\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\b(Macintosh|Mac OS X)\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Tizen", r"\bTizen\b"),
    ("Linux", r"\bLinux\b"),
)
BROWSERS = frozenset(name for name, _ in _FAMILIES)
PLATFORMS = frozenset(name for name, _ in _PLATFORMS)
"""The names that stand in a family."""

# With "desktop site", or by default on a tablet, a browser says that it runs on the system on the right.
_DESKTOP_SITES = {"iPhone": "macOS", "iPad": "macOS", "Android": "Linux", "HarmonyOS": "Linux"}
# What comes as a web view, or is not told apart by the package.
_OWN_NAMES = (
    ("Firefox", r"\brv:[\d.]+\) AppleWebKit/"),
    ("Google app", r"\bGSA/"),
    ("Mi Browser", r"\bMiuiBrowser/"),
)
_AN_APP = {"Mobile Safari UI/WKWebView", "Chrome Mobile WebView", "Android WebView", "Electron"}
_NAMES = {"HeadlessChrome": "Chrome", "Opera Touch": "Opera", "Opera Mini": "Opera", "IE": "Internet Explorer"}


class Family(NamedTuple):
    """Browser and platform as the user's row keeps them, as `Firefox` and `Android`."""

    browser: str | None
    platform: str | None

    def may_be(self, other: Family) -> bool:
        """Whether one and the same browser calls itself both: with and without "desktop site", for one."""
        return self.browser == other.browser and self._desktop == other._desktop

    @property
    def _desktop(self) -> str | None:
        return _DESKTOP_SITES.get(self.platform or "", self.platform)


@lru_cache(maxsize=1024)
def family(user_agent: str) -> Family:
    """The family that a browser claims."""
    return Family(_first(_FAMILIES, user_agent), _first(_PLATFORMS, user_agent))


def given(name: str) -> str:
    """A name that people give, as it is kept: its spaces do not break where it reads like one that `name` makes.

    So "Work on Linux" is theirs for good, and no page takes it for a browser that it may name in another language.
    """
    if name == "A browser":
        return "A\u00a0browser"
    return name.replace(" on ", "\u00a0on\u00a0")


# What a browser says of itself stands in the first half. Patterns take longer over a text that fits none of them.
_READ = 300


@lru_cache(maxsize=1024)
def name(user_agent: str) -> str:
    """What its owner would call it: `Firefox on Linux`, `An app on iPhone`, `Safari on Mac or iPad`."""
    user_agent = user_agent[:_READ]
    browser, platform = _browser(user_agent), _platform(user_agent)
    if browser == "Safari" and platform == "macOS":
        # An iPad says word for word what a Mac does.
        platform = "Mac or iPad"
    elif browser == "Safari" and platform not in {"iPhone", "iPad"}:
        # Apple has made none for other systems; this is one that borrows its name.
        browser = None
    return f"{browser or 'A browser'} on {platform or 'an unknown system'}"


def _browser(user_agent: str) -> str | None:
    own = _first(_OWN_NAMES, user_agent)
    if own is not None:
        return own
    # Loaded when the first name is asked for: its patterns take a quarter of a second.
    from ua_parser import parse_user_agent

    read = parse_user_agent(user_agent)
    if read is None or read.family == "Other":
        return None
    if read.family in _AN_APP:
        return "An app"
    return _NAMES.get(read.family) or re.sub(r"^Mobile | (Mobile( iOS)?|iOS)$", "", read.family)


def _platform(user_agent: str) -> str | None:
    own = _first(_PLATFORMS, user_agent)
    if own is not None and own != "Linux":
        return own
    from ua_parser import parse_os

    read = parse_os(user_agent)
    return own if read is None or read.family == "Other" else read.family


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((name for name, pattern in patterns if re.search(pattern, text)), None)
