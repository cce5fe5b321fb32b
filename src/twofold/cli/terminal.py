"""What every command has: its settings, the library over them, and a way to answer people or programs."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import sys
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TimeRemainingColumn
from rich.text import Text

from twofold.cli.nouns import ABOUT
from twofold.cli.operator import Operator
from twofold.cli.shown import Line, visible
from twofold.database import create_engine
from twofold.errors import ConfigurationError, DatabaseUnavailable
from twofold.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa
    from rich.progress import Task

    from twofold.cli.shown import Table

P = ParamSpec("P")
R = TypeVar("R")

_PANEL = "Common options"
_WIDE = 200


def _plain(value: object) -> Any:
    """A value as JSON has it."""
    match value:
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case UUID() | Path():
            return str(value)
        case bytes():
            return value.hex()
        case frozenset() | set():
            return sorted(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        case _:
            raise TypeError(type(value).__name__)


def as_json(payload: object) -> str:
    """One line of JSON, in ASCII, so that nothing in it can move a cursor."""
    return json.dumps(payload, default=_plain)


def _console(*, err: bool) -> Console:
    # What is read by another program is not wrapped at the width of a screen that is not there.
    stream = sys.stderr if err else sys.stdout
    return Console(stderr=err, width=None if stream.isatty() else _WIDE, highlight=False, markup=False, emoji=False)


class Doing(ProgressColumn):
    """What a bar says beside itself: a text from anywhere, in which no bracket is a style or a link."""

    def render(self, task: Task) -> Text:
        """Write the description out."""
        return Text(visible(task.description))


class Terminal:
    """One run of one command."""

    def __init__(self, *, given: dict[str, Any], is_json: bool) -> None:
        self._given = given
        self.is_json = is_json

    @functools.cached_property
    def settings(self) -> Settings:
        """The options, then the environment, then the `.env` file."""
        given = {name: value for name, value in self._given.items() if value is not None}
        env_file = given.pop("env_file", None)
        if env_file is not None:
            if not env_file.is_file():
                raise ConfigurationError(f"There is no file {env_file}, which --env-file names.")
            given["_env_file"] = env_file
        return Settings(**given)

    @property
    def env_file(self) -> Path | None:
        """The file that the settings are read from beside the environment, where there is one."""
        path = self._given.get("env_file") or Path(".env")
        return path if path.is_file() else None

    @functools.cached_property
    def engine(self) -> sa.Engine:
        """The configured database, which may take its time; nothing connects before it is asked.

        Raises DatabaseUnavailable for a SQLite file that is not there, which a connection would make.
        """
        engine = self.founding_engine
        _require_file(engine.url)
        return engine

    @functools.cached_property
    def founding_engine(self) -> sa.Engine:
        """The same, for the one command that makes a database."""
        return create_engine(self.settings.database_url.get_secret_value(), answer_within=None)

    @functools.cached_property
    def impatient_engine(self) -> sa.Engine:
        """The same, for what people wait for: a database that is silent counts as gone."""
        engine = create_engine(self.settings.database_url.get_secret_value())
        _require_file(engine.url)
        return engine

    @functools.cached_property
    def mfa(self) -> Operator:
        """The library over the configured database and keys."""
        # Keys that are missing are told of first: no database helps without them.
        made = Operator(self.founding_engine, self.settings)
        _require_file(self.founding_engine.url)
        return made

    def close(self) -> None:
        """Let go of the database."""
        for name in {"founding_engine", "impatient_engine"} & self.__dict__.keys():
            self.__dict__[name].dispose()

    def answer(self, payload: object, *people: str | Line | Table) -> None:
        """The answer on standard output: the payload as a line of JSON with `--json`, else what people read."""
        if self.is_json:
            typer.echo(as_json(payload))
            return
        console = _console(err=False)
        for part in people:
            match part:
                case str():
                    console.print(visible(part), soft_wrap=True)
                case Line():
                    console.print(part.text, soft_wrap=True)
                case _:
                    console.print(part)

    def note(self, sentence: str) -> None:
        """A remark beside the answer, on standard error; programs are spared it."""
        if not self.is_json:
            typer.echo(visible(sentence), err=True)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone. Raises Abort for everything but yes."""
        if yes:
            return
        if self.is_json:
            raise typer.BadParameter("with --json nothing is asked: give --yes, or leave --json out.")
        typer.confirm(visible(question), abort=True, err=True)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar on standard error for the length of the block; the value takes steps forward."""
        columns = (Doing(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        is_hidden = self.is_json or not sys.stderr.isatty()
        with Progress(*columns, console=_console(err=True), disable=is_hidden) as bar:
            task = bar.add_task(what, total=total)
            yield lambda steps: bar.advance(task, steps)


def _require_file(url: sa.URL) -> None:
    # A URI of SQLite's own says by itself whether a file is made.
    is_file = url.get_backend_name() == "sqlite" and not str(url.database).startswith("file:")
    if is_file and not Path(str(url.database)).exists():
        raise DatabaseUnavailable(f"There is no file {url.database}; `twofold db upgrade` makes it.")


def _option(name: str, annotation: Any, default: Any, *names: str, help: str, **more: Any) -> inspect.Parameter:  # noqa: A002
    option = typer.Option(*names, help=help, rich_help_panel=_PANEL, **more)
    annotated = Annotated[annotation, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotated)


_COMMON = (
    _option("is_json", bool, False, "--json", help="Answer in JSON on standard output, errors too."),
    _option(
        "database_url",
        str | None,
        None,
        "--database-url",
        metavar="URL",
        help="Where the users are. Others on the machine see it: a password belongs into TWOFOLD_DATABASE_URL.",
        show_default=False,
    ),
    _option(
        "keys_file",
        Path | None,
        None,
        "--keys-file",
        metavar="PATH",
        help="The file with the keys. Else TWOFOLD_KEYS, then TWOFOLD_KEYS_FILE.",
        show_default=False,
    ),
    _option(
        "env_file",
        Path | None,
        None,
        "--env-file",
        metavar="PATH",
        help="A file of TWOFOLD_* lines. Else ./.env, where there is one.",
        show_default=False,
    ),
    _option("debug", bool, False, "--debug", help="Show where an error came from."),
)


def command(
    app: typer.Typer, *examples: str
) -> Callable[[Callable[Concatenate[Terminal, P], R]], Callable[Concatenate[Terminal, P], R]]:
    """Register a function of a Terminal as a command with the common options, and with examples below its help."""

    def register(function: Callable[Concatenate[Terminal, P], R]) -> Callable[Concatenate[Terminal, P], R]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        parameters = [*own, *_COMMON]

        def run(*, is_json: bool, debug: bool, **values: Any) -> None:
            del debug  # It is for whoever tells the error.
            common = {option.name: values.pop(option.name) for option in _COMMON if option.name in values}
            terminal = Terminal(given=common, is_json=is_json)
            try:
                function(terminal, **values)  # type: ignore[call-arg]
            finally:
                terminal.close()

        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        # The help is wrapped at the width of the screen, not where the docstring is.
        paragraphs = (inspect.getdoc(function) or "").split("\n\n")
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        epilog = "\n".join(("Examples:", *(f"  $ {example}" for example in examples)))
        app.command(function.__name__.rstrip("_").replace("_", "-"), help=text, epilog=epilog)(run)
        return function

    return register


def noun(name: str) -> typer.Typer:
    """What follows `twofold` on the command line: a group of commands about one thing, or a command by itself."""
    return typer.Typer(help=ABOUT[name], no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
