"""The pages tell the truth: every setting, every command, every exit code."""

from __future__ import annotations

import re
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

    from tests.cli.conftest import Shell
    from tests.people import Enrolment


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


# Each command, and what of the documented keys is there at other times.
ANSWERS: dict[str, tuple[list[str], set[str]]] = {
    "twofold db upgrade": ([], set()),
    "twofold db verify": ([], set()),
    "twofold db adopt": ([], {"rows", "script"}),
    "twofold db current": ([], set()),
    "twofold keys status": ([], set()),
    "twofold keys rotate": ([], set()),
    "twofold keys generate": ([], {"file"}),
    "twofold users status": (["1"], set()),
    "twofold secrets import-legacy": ([], set()),
    "twofold events list": (["1"], set()),
    "twofold events prune": (["--older-than", "1", "--yes"], {"found"}),
    "twofold users reset": (["1", "--reason", "lost", "--by", "ada", "--yes"], set()),
    "twofold users repair": (["1", "--reason", "lost", "--by", "ada", "--yes"], set()),
    "twofold doctor": ([], set()),
    "twofold db downgrade": (["--yes"], set()),
}


@pytest.mark.backends("sqlite")
def test_every_key_of_an_answer_in_json_is_on_the_page(twofold: Shell, enrolled: Enrolment) -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0].strip("` "): part for part in text.split("\n### ")[1:]}
    for command, (arguments, at_other_times) in ANSWERS.items():
        answer = twofold(*command.split()[1:], *arguments, "--json").data
        told = sections[command].partition("\nJSON: ")[2].partition("\n\n")[0]
        told = re.sub(r"\([^)]*\)|with `[^`]*`:|, each with .*|as in .*", "", told, flags=re.DOTALL)
        assert set(re.findall(r"`(\w+)`", told)) - at_other_times == set(answer), command
