"""Names of devices in the current language, and those that none is given. Pure.

Names of browsers are kept in English, as `browsers.name` makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold import browsers
from twofold.web.languages import gettext as _
from twofold.web.languages import gettext_noop

if TYPE_CHECKING:
    from collections.abc import Mapping

_GENERIC: Mapping[str, str] = {
    "A browser": gettext_noop("A browser"),
    "An app": gettext_noop("An app"),
    "an unknown system": gettext_noop("an unknown system"),
    "Mac or iPad": gettext_noop("Mac or iPad"),
}

BAD_NAMES: Mapping[str, str] = {
    "empty": gettext_noop("Type a name."),
    "too long": gettext_noop("This name is too long. Use at most 64 characters."),
    "unseen": gettext_noop("This name has characters that cannot be seen. Type it again, with letters and digits."),
}
"""What an owner reads of a name that no device is given, by what is wrong with it."""

NO_SUCH_DEVICE = gettext_noop("This device is not trusted, or not any more.")


def named(name: str) -> str:
    """A browser's name as the reader says it. A name that people gave stays as it is (`browsers.given`)."""
    if is_made(name):
        browser, _on, platform = name.rpartition(" on ")
        return _("%(browser)s on %(platform)s", browser=_generic(browser), platform=_generic(platform))
    return _generic(name)


def is_made(name: str) -> bool:
    """Whether a name says a browser and its system, as those do that are made for a browser."""
    browser, on, platform = name.rpartition(" on ")
    return bool(on) and (browser in browsers.BROWSERS | set(_GENERIC) or platform in browsers.PLATFORMS | set(_GENERIC))


def _generic(part: str) -> str:
    return _(_GENERIC[part]) if part in _GENERIC else part
