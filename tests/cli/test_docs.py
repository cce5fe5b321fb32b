"""The pages tell the truth: every setting, every command, every exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer
import typer.main
from typer.core import TyperGroup

from tests.cli.documented import BEGIN, DOCS, PAGES, documented
from twofold.cli import failures
from twofold.cli.nouns import ABOUT
from twofold.cli.program import app

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        context = typer.Context(command)
        for word in command.list_commands(context):
            yield from commands(command.get_command(context, word), f"{name} {word}")
    else:
        yield name, command


COMMANDS = dict(commands(typer.main.get_command(app), "twofold"))


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_of_settings_and_of_faults_are_up_to_date(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    assert BEGIN in text
    assert documented(text, PAGES[name]()) == text, "run: python -m tests.cli.documented"


def test_every_command_and_every_option_of_it_is_on_the_page() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0].strip("` "): part for part in text.split("\n### ")[1:]}
    common, *_ = text.split("\n### ")
    assert set(sections) == set(COMMANDS)
    for name, command in COMMANDS.items():
        for parameter in command.params:
            option = parameter.opts[0]
            if option != "--help" and option.startswith("--"):
                assert f"`{option}" in sections[name] + common, f"{name} {option}"


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for name, about in ABOUT.items():
        found = root.get_command(typer.Context(root), name)
        assert found is not None
        assert (found.help or "").partition("\n\n")[0] == about


def test_every_exit_code_is_on_the_page() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    codes = (failures.REFUSED, failures.USAGE, failures.UNAVAILABLE, failures.BROKEN, failures.MISCONFIGURED)
    for code in (0, *codes, failures.INTERRUPTED):
        assert f"| {code} |" in text


def test_every_command_helps_with_an_example_of_itself() -> None:
    for name, command in COMMANDS.items():
        assert command.help
        assert f"$ {name}" in command.epilog or f"$({name})" in command.epilog, name
