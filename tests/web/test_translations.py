"""No sentence is left behind: everything that the pages say is marked, translated, and said in each language."""

from __future__ import annotations

import ast
import re
import unicodedata
from typing import TYPE_CHECKING

import pytest
from babel import Locale
from jinja2 import nodes
from markupsafe import Markup

from tests.web import catalogues
from twofold.web import rendering
from twofold.web.languages import Languages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from babel.messages.catalog import Message

TAGS = ("ar", "de", "es", "fr", "ja")
PLACE = re.compile(r"%\((\w+)\)s")
TEMPLATES = sorted(catalogues.WEB.glob("templates/*"))
# What is said in the same words in every language.
NAMES = {"QR", "TOTP", "UTC", "txt", "Mac", "iPad"}


def test_there_are_six_languages() -> None:
    assert Languages().tags == sorted(("en", *TAGS))


def test_the_catalogues_are_up_to_date() -> None:
    template = catalogues.collected()
    assert catalogues.TEMPLATE.read_bytes() == catalogues.written(template), "run: python -m tests.web.catalogues"
    for tag, catalogue in catalogues.catalogues().items():
        known = {(message.id, message.context) for message in catalogue if message.id}
        assert known == {(message.id, message.context) for message in template if message.id}, tag


def test_every_sentence_that_is_marked_is_collected() -> None:
    # The extraction passes over a mark inside of the brackets of another.
    marked: set[str] = set()
    for path in catalogues.WEB.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in catalogues.KEYWORDS:
                first = call.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    marked.add(first.value)
    assert marked
    collected = {message.id if isinstance(message.id, str) else message.id[0] for message in catalogues.collected()}
    assert not marked - collected


def test_no_sentence_is_said_with_a_number_here_and_without_one_there() -> None:
    # gettext keeps both under one name, so that the one without would be said with an empty place for the number.
    messages = [message for message, _comments, _context in catalogues.marked()]
    with_a_number = {message[0] for message in messages if isinstance(message, tuple)}
    assert with_a_number
    assert not with_a_number & {message for message in messages if isinstance(message, str)}


def said(message: Message) -> list[str]:
    return [str(text) for text in message.string] if isinstance(message.string, tuple) else [str(message.string or "")]


@pytest.mark.parametrize("tag", TAGS)
def test_every_sentence_is_translated_with_all_its_places_and_plurals(tag: str) -> None:
    catalogue = catalogues.catalogues()[tag]
    # All forms of CLDR but "other" have a rule.
    forms = len(Locale.parse(tag).plural_form.tags) + 1
    assert catalogue.num_plurals == forms
    for message in catalogue:
        if not message.id:
            continue
        told = said(message)
        assert all(told), message.id
        assert not message.fuzzy, message.id
        if isinstance(message.id, str):
            assert set(PLACE.findall(told[0])) == set(PLACE.findall(message.id)), message.id
            continue
        assert len(told) == forms, message.id
        needed = set(PLACE.findall(message.id[1]))
        for text in told:
            # One thing, or two, may be said without a figure.
            assert needed - {"num"} <= set(PLACE.findall(text)) <= needed, message.id
        assert any("%(num)s" in text for text in told), message.id


@pytest.mark.parametrize("tag", TAGS)
def test_no_sentence_is_left_in_english(tag: str) -> None:
    for message in catalogues.catalogues()[tag]:
        words = set(re.findall(r"[A-Za-z]{3,}", re.sub(PLACE, "", str(message.id))))
        if len(words - NAMES) >= 2:
            assert said(message)[0] != (message.id if isinstance(message.id, str) else message.id[0])


@pytest.mark.parametrize("tag", TAGS)
def test_every_sentence_is_written_in_the_script_of_its_language(tag: str) -> None:
    scripts = {"ar": {"ARABIC"}, "ja": {"HIRAGANA", "KATAKANA", "CJK", "KATAKANA-HIRAGANA", "FULLWIDTH"}}
    known = scripts.get(tag, set()) | {"LATIN", "FEMININE", "MASCULINE"}
    for message in catalogues.catalogues()[tag]:
        for text in said(message):
            letters = [one for one in re.sub(PLACE, "", text) if one.isalpha()]
            assert {unicodedata.name(one).split()[0] for one in letters} <= known, text


def test_no_line_begins_with_a_sign_of_french() -> None:
    told = [text for message in catalogues.catalogues()["fr"] if message.id for text in said(message)]
    assert not [text for text in told if re.search(r" [:;?!»]|« ", text)]


def unmarked(template: Path) -> Iterator[str]:
    """What a template says outside of gettext: in its text, in attributes that are read, and in expressions."""
    tree = rendering.environment().parse(template.read_text(encoding="utf-8"))
    for block in tree.find_all(nodes.Block):
        if block.name == "width":
            block.body = []  # The name of a class, which nobody reads.
    text = "".join(data.data for data in tree.find_all(nodes.TemplateData))
    read = re.findall(
        r'\b(?:aria-label|alt|title|placeholder|data-done|data-failed|data-over|data-add)="([^"]+)"', text
    )
    plain = Markup(re.sub(r"<(?:path|rect|svg)\b[^>]*>", "", text)).striptags() if template.suffix == ".html" else text
    yield from (word for piece in (plain, *read) for word in re.findall(r"[^\W\d_]{2,}", piece))
    for constant in _constants(tree):
        if re.search(r"[A-Z][a-z]+|[a-z]{2,} [a-z]{2,}", constant):
            yield constant


def _constants(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Call) and getattr(node.node, "name", "") in {"_", "gettext", "ngettext"}:
        for keyword in node.kwargs:
            yield from _constants(keyword)
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    for child in node.iter_child_nodes():
        yield from _constants(child)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_anything_that_is_not_marked(template: Path) -> None:
    assert not [word for word in unmarked(template) if word not in NAMES]


def test_an_unmarked_word_would_be_found(tmp_path: Path) -> None:
    template = tmp_path / "page.html"
    for text in (
        "<p>Sign in</p>",
        '<p title="Sign in"></p>',
        '{{ "Sign in" if x else y }}',
        '{{ f("Sign in") }}',
        '{{ _("%(x)s", x="Sign in") }}',
        "<p>{{ x }} left</p>",
    ):
        template.write_text(text)
        assert list(unmarked(template)), text
    template.write_text('<p class="any thing" id="x">{{ _("Sign in") }} · {{ base ~ "/challenge" }}</p>')
    assert not list(unmarked(template))


def test_no_code_shows_a_sentence_that_is_not_marked() -> None:
    found: list[str] = []
    for path in sorted(catalogues.WEB.rglob("*.py")):
        if path.name == "look.py":
            continue  # What it says is read by whoever mounts the pages.
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.Call):
                continue
            name = ast.unparse(function.func)
            if name.rpartition(".")[2] not in {"error", "BadForm", "Problem"} or name.startswith("_log"):
                continue
            found += [
                f"{path.name}: {value.value}"
                for argument in (*function.args, *(keyword.value for keyword in function.keywords))
                for value in ([argument] if isinstance(argument, ast.Constant) else getattr(argument, "elts", []))
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and " " in value.value
            ]
    assert not found
