"""The language in which a page speaks: words by gettext; dates, times, durations and numbers by Babel.

Code says `_("Signed in with %(factor)s", factor=...)` or `ngettext("%(num)s device", "%(num)s devices", number)`, both
imported from here (`gettext as _`), in whole sentences; a constant is marked by `gettext_noop` and goes through `_`
where it is said. Templates say `{{ _("...") }}` or `{% trans %}`, and the filters `day`, `clock`, `moment(now)`,
`duration`, `from_now` and `number`; all of it speaks what `speaking` holds for this request.

The catalogues are `translations/<tag>/LC_MESSAGES/twofold.po`. They are compiled when they are read, so there is no
second file that could be out of date. `python -m tests.web.catalogues` brings new sentences into them.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_decimal

from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

    from babel.messages.catalog import Catalog, Message

DOMAIN = "twofold"
SOURCE = "en"
"""The language that code and templates are written in."""

# English without a country is written as most of the world writes it: the day before the month, and 24 hours.
_FORMATS = {"en": "en_150"}

_Unit = Literal["day", "hour", "minute", "second"]
_UNITS: tuple[tuple[_Unit, int], ...] = (("day", 86400), ("hour", 3600), ("minute", 60))

_PLACE = re.compile(r"%\((\w+)\)s")
# A figure, or the place of one, before the word that it counts.
_FIGURE = re.compile(r"(\d|%\((?:num|number|length)\)s) (?=\w)")

# No browser sends more than this; who does is not read to the end.
_LONGEST, _MOST = 1000, 30
# Language, script, country and a variant; each more would cost a look of Babel's.
_SUBTAGS = 4
_RANGE = re.compile(r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


@dataclass(frozen=True, slots=True)
class Language:
    """One language as a page speaks it to one person. `zone` is None where the reader's own is not known."""

    tag: str = SOURCE
    locale: Locale = field(default_factory=lambda: Locale.parse("en_150"))
    words: NullTranslations = field(default_factory=NullTranslations)
    zone: tzinfo | None = None

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`, for the attribute `dir`."""
        return self.locale.text_direction

    def gettext(self, message: str, /, **values: object) -> str:
        """Say a sentence. A percent sign in it is written twice, since its places are filled by `%`."""
        return self.sentence(message) % values

    def ngettext(self, singular: str, plural: str, number: int, /, **values: object) -> str:
        """Say a sentence with a number, which has the place `%(num)s`."""
        return self.counted(singular, plural, number) % {"num": self.number(number), **values}

    def sentence(self, message: str) -> str:
        """The sentence with its places still open."""
        return _whole(self.words.gettext(message))

    def counted(self, singular: str, plural: str, number: int) -> str:
        """The form of a sentence that belongs to a number, with its places still open."""
        return _whole(self.words.ngettext(singular, plural, number))

    def number(self, number: int) -> str:
        """`1,024`, `1.024` or `1 024`."""
        return format_decimal(number, locale=self.locale)

    def duration(self, span: timedelta) -> str:
        """`30 seconds`, `2 minutes`, `30 days`, rounded up to what one would say."""
        return self._span(span)

    def from_now(self, span: timedelta) -> str:
        """`in 30 seconds`: how long to wait, in the grammatical case that this asks for."""
        return self._span(span, is_to_come=True)

    def _span(self, span: timedelta, *, is_to_come: bool = False) -> str:
        exact, unit = _rounded(span)
        # With a threshold that nothing reaches, it is said in this unit and no larger one.
        return _whole(format_timedelta(exact, unit, threshold=1000, add_direction=is_to_come, locale=self.locale))

    def day(self, at: datetime) -> str:
        """`5 November 2026`."""
        return format_date(self._here(at), "long", locale=self.locale)

    def clock(self, at: datetime) -> str:
        """`14:05 UTC`, and `14:05` where the zone is the reader's."""
        here = self._here(at)
        time = format_time(here, "short", tzinfo=here.tzinfo, locale=self.locale)
        return time if self.zone else f"{time} UTC"

    def moment(self, at: datetime, now: datetime) -> str:
        """`12 minutes ago`, `today, 14:05 UTC`, `tomorrow, 09:00 UTC`, `5 November 2026, 14:05 UTC`."""
        age = now - at
        if timedelta() <= age < timedelta(minutes=1):
            return self.gettext("just now")
        if timedelta() <= age < timedelta(hours=1):
            said = format_timedelta(-age, granularity="minute", threshold=1000, add_direction=True, locale=self.locale)
            return _whole(said)
        days = (self._here(at).date() - self._here(now).date()).days
        sentence = _DAYS.get(days)
        if sentence is not None:
            return self.gettext(sentence, time=self.clock(at))
        return self.gettext("%(day)s, %(time)s", day=self.day(at), time=self.clock(at))

    def _here(self, at: datetime) -> datetime:
        return at.astimezone(self.zone or UTC)


def gettext_noop(message: str) -> str:
    """Mark a sentence that is said later, by `_`."""
    return message


_DAYS: Mapping[int, str] = {
    -1: gettext_noop("yesterday, %(time)s"),
    0: gettext_noop("today, %(time)s"),
    1: gettext_noop("tomorrow, %(time)s"),
}

ENGLISH = Language()
_spoken: ContextVar[Language] = ContextVar("twofold_language", default=ENGLISH)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Speak this language until the block ends, in this task or thread alone."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def current() -> Language:
    """The language that is spoken here and now."""
    return _spoken.get()


def gettext(message: str, /, **values: object) -> str:
    """Say a sentence in the current language: `Language.gettext`."""
    return current().gettext(message, **values)


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """Say a sentence with a number in the current language: `Language.ngettext`."""
    return current().ngettext(singular, plural, number, **values)


class Languages:
    """The languages that one application has: ours, and those of the host's folders, whose words come before ours."""

    def __init__(self, *folders: Traversable) -> None:
        self._words: dict[str, NullTranslations] = {SOURCE: NullTranslations(), **_ours()}
        for folder in folders:
            for tag, words in _read(folder).items():
                fallback = next((self._words[form] for form in _forms(tag) if form in self._words), None)
                if fallback is not None:
                    words.add_fallback(fallback)
                self._words[tag] = words

    @property
    def tags(self) -> list[str]:
        """The languages that there are, sorted."""
        return sorted(self._words)

    def choose(self, accepted: str = "", *, said: str | None = None, zone: tzinfo | None = None) -> Language:
        """The language that the host said, else the one that `Accept-Language` wants most, else English."""
        wishes = [said] if said else wanted(accepted)
        for wish in wishes:
            if wish == "*":
                break
            of_another_country = (tag for tag in self.tags if tag.startswith(f"{wish}-"))
            for tag in (*_forms(wish), *of_another_country):
                if tag in self._words:
                    return self._language(tag, wish, zone)
        return self._language(SOURCE, SOURCE, zone)

    def _language(self, tag: str, wish: str, zone: tzinfo | None) -> Language:
        own = _locale(wish)
        # The words are those of the language, the dates those of the country, where one was named.
        locale = own if own is not None and own.territory else Locale.parse(_FORMATS.get(tag) or tag.replace("-", "_"))
        shown = str(locale).replace("_", "-") if own is not None and own.territory else tag
        return Language(shown, locale, self._words[tag], zone)


def wanted(header: str) -> list[str]:
    """The language ranges of `Accept-Language`, best first, without those that are refused (RFC 9110 §12.5.4)."""
    found: list[tuple[float, str]] = []
    for part in header[:_LONGEST].split(",")[:_MOST]:
        match = _RANGE.fullmatch(part.strip())
        if match and (quality := float(match[2] or 1)) > 0:
            found.append((min(quality, 1.0), match[1]))
    return [tag for _, tag in sorted(found, key=lambda each: -each[0])]


def _forms(wish: str) -> Iterator[str]:
    """The tags that would do, closest first: as it was said, with the script that it means, and ever shorter."""
    locale = _locale(wish)
    if locale is None:
        return
    parts = [locale.language, locale.script, locale.territory]
    yield "-".join(part for part in parts if part)
    for shorter in ([locale.language, locale.territory], [locale.language, locale.script], [locale.language]):
        yield "-".join(part for part in shorter if part)


@lru_cache(maxsize=256)
def _locale(tag: str) -> Locale | None:
    """What Babel knows of a language tag. A country that it does not know beside the language is left out."""
    parts = tag.split("-", _SUBTAGS)[:_SUBTAGS]
    for length in range(len(parts), 0, -1):
        try:
            return Locale.parse("-".join(parts[:length]), sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return None


def _whole(sentence: str) -> str:
    """Keep figures on the line of the word that they count."""
    return _FIGURE.sub("\\1\N{NO-BREAK SPACE}", sentence)


def _rounded(span: timedelta) -> tuple[timedelta, _Unit]:
    """A span rounded up, and the unit in which it is said: 90 seconds are 90 seconds, 121 are three minutes."""
    seconds = max(1, -(-span // timedelta(seconds=1)))
    for unit, length in _UNITS:
        if seconds >= length and (seconds % length == 0 or seconds > 2 * length):
            return timedelta(seconds=-(-seconds // length) * length), unit
    return timedelta(seconds=seconds), "second"


@cache
def _ours() -> Mapping[str, NullTranslations]:
    # They do not change while the program runs.
    return _read(files("twofold.web").joinpath("translations"))


def _read(folder: Traversable) -> dict[str, NullTranslations]:
    """The catalogues of a folder by their tags, laid out as gettext has them. What is marked fuzzy is not said."""
    found: dict[str, NullTranslations] = {}
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder}; give the one that holds <tag>/LC_MESSAGES/{DOMAIN}.po.")
    for language in folder.iterdir():
        source = language.joinpath("LC_MESSAGES", f"{DOMAIN}.po")
        if not source.is_file():
            continue
        try:
            tag = str(Locale.parse(language.name.replace("-", "_"))).replace("_", "-")
            with source.open("rb") as text:
                found[tag] = _compiled(read_po(text, abort_invalid=True))
        except (ValueError, UnknownLocaleError, PoFileError) as problem:
            raise ConfigurationError(f"The catalogue {source} cannot be used: {problem}") from problem
    return found


def _compiled(catalogue: Catalog) -> GNUTranslations:
    for message in catalogue:
        if message.id:
            _check_places(message)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def _check_places(message: Message) -> None:
    """Raise ValueError for a translation that cannot be filled: one wrong place would fail the page that says it."""
    ids, said = ([*text] if isinstance(text, (tuple, list)) else [text or ""] for text in (message.id, message.string))
    places = {name: "" for text in ids for name in _PLACE.findall(text)}
    for text in said:
        try:
            _ = text % places
        except (KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"{text!r} does not have the places of {ids[-1]!r}") from problem
