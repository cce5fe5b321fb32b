"""The sentences of the pages, collected out of code and templates; `python -m tests.web.catalogues` writes them down.

What is written is `translations/twofold.pot`, and each catalogue beside it: new sentences come in without a
translation, and those that nobody says any more go.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from tests.databases import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = ROOT / "src" / "twofold" / "web"
TEMPLATE = WEB / "translations" / "twofold.pot"
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
}
METHODS = [("**.py", "python"), ("templates/**", "jinja2.ext:babel_extract")]
OPTIONS = {"templates/**": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}
HEADER = "# Translations of Twofold's pages.\n#"


def marked() -> Iterator[tuple[str | tuple[str, ...], list[str], str | None]]:
    """Every sentence that code and templates mark, with comments and context; one with a number in both its forms."""
    for _name, _line, message, comments, context in extract_from_dir(
        str(WEB), method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS, comment_tags=("Translators:",)
    ):
        yield message, [comment.removeprefix("Translators: ") for comment in comments], context


def collected() -> Catalog:
    """Every sentence once, without a translation."""
    found = Catalog(project="Twofold", charset="utf-8", header_comment=HEADER, fuzzy=False)
    for message, comments, context in marked():
        found.add(message, auto_comments=comments, context=context)
    return found


def catalogues() -> dict[str, Catalog]:
    """The catalogues that the package has, by language."""
    found: dict[str, Catalog] = {}
    for source in sorted(WEB.glob("translations/*/LC_MESSAGES/twofold.po")):
        with source.open("rb") as text:
            found[source.parent.parent.name] = read_po(text, locale=source.parent.parent.name)
    return found


def written(catalogue: Catalog) -> bytes:
    """A catalogue as it lies in the folder: sorted, and without places, dates and tools that differ from run to run."""
    target = BytesIO()
    write_po(target, catalogue, width=110, no_location=True, omit_header=True, sort_output=True, ignore_obsolete=True)
    lines = [HEADER, 'msgid ""', 'msgstr ""', '"Content-Type: text/plain; charset=utf-8\\n"']
    if catalogue.locale is not None:
        lines += [f'"Language: {catalogue.locale}\\n"', f'"Plural-Forms: {catalogue.plural_forms}\\n"']
    return "\n".join(lines).encode() + b"\n\n" + target.getvalue()


def main() -> None:
    """Bring the files up to date."""
    template = collected()
    TEMPLATE.write_bytes(written(template))
    for tag, catalogue in catalogues().items():
        catalogue.update(template, no_fuzzy_matching=True)
        (WEB / "translations" / tag / "LC_MESSAGES" / "twofold.po").write_bytes(written(catalogue))


if __name__ == "__main__":
    main()
