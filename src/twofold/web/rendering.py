"""Templates into HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from jinja2 import (
    BaseLoader,
    BytecodeCache,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    pass_context,
    select_autoescape,
)
from markupsafe import Markup

from twofold.web import assets, languages, naming, words

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from jinja2.bccache import Bucket
    from jinja2.runtime import Context


class _CompiledOnce(BytecodeCache):
    """What was compiled in this process: a second router, or the application of a next test, finds it ready."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


# The key is the template's name and file, the checksum that of its text; every environment compiles alike.
_COMPILED = _CompiledOnce()


def environment(*sources: str | Path) -> Environment:
    """The templates of the package, and before them those of a host: a folder, or a package with a folder `templates`.

    A template of the host's that has the name of one of ours takes its place, and may extend it: `twofold/layout.html`.
    """
    ours = PackageLoader("twofold.web")
    loader = ChoiceLoader([*map(_loader, sources), ours, PrefixLoader({"twofold": ours})])
    made = Environment(
        loader=loader,
        extensions=["jinja2.ext.i18n"],
        autoescape=select_autoescape(enabled_extensions=("html",), disabled_extensions=("txt",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
    )
    made.filters |= {
        "moment": _moment,
        "day": _day,
        "clock": _clock,
        "duration": _duration,
        "from_now": _from_now,
        "number": _number,
        "named": _named,
        "groups": words.groups,
    }
    made.globals |= {"version": assets.VERSION, "language": languages.current}
    made.globals |= {"stylesheet": None, "logo": None, "favicon": None, "links": ()}
    made.policies["ext.i18n.trimmed"] = True
    cast("Any", made).install_gettext_callables(_gettext, _ngettext, newstyle=True)
    return made


def _loader(source: str | Path) -> BaseLoader:
    """What reads the templates of a folder or of a package."""
    if isinstance(source, str):
        return PackageLoader(source)
    if not source.is_dir():
        raise ValueError(f"there is no folder {source}")
    return FileSystemLoader(source)


def _gettext(message: str) -> str:
    return languages.current().sentence(message)


def _ngettext(singular: str, plural: str, number: int) -> str:
    return languages.current().counted(singular, plural, number)


# A filter of a constant would be worked out once, when the template is compiled, if it did not ask for the context.
@pass_context
def _moment(page: Context, at: datetime, now: datetime) -> str:
    return _element(page, at, "moment", languages.current().moment(at, now))


@pass_context
def _day(page: Context, at: datetime) -> str:
    return _element(page, at, "day", languages.current().day(at))


@pass_context
def _clock(page: Context, at: datetime) -> str:
    return _element(page, at, "clock", languages.current().clock(at))


def _element(page: Context, at: datetime, form: str, said: str) -> str:
    """A moment that the script may say again in the reader's zone, where the server does not know it; text as it is."""
    if not page.eval_ctx.autoescape:
        return said
    local = "" if languages.current().zone else Markup(' data-local="{}"').format(form)
    return Markup('<time datetime="{}"{}>{}</time>').format(at.isoformat(timespec="seconds"), local, said)


@pass_context
def _duration(_page: Context, span: timedelta) -> str:
    return languages.current().duration(span)


@pass_context
def _from_now(_page: Context, span: timedelta) -> str:
    return languages.current().from_now(span)


@pass_context
def _named(_page: Context, name: str) -> str:
    return naming.named(name)


@pass_context
def _number(_page: Context, number: int) -> str:
    return languages.current().number(number)
