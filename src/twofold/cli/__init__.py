"""The command line `twofold`: one file per noun, every command a plain function over the library."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from twofold.cli import db, doctor, events, failures, keys, secrets, serve, users

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Program(TyperGroup):
    """The root of the commands, which turns whatever they raise into a sentence and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run one command and end the process."""
        del standalone_mode  # The errors of the parser are told like all others.
        run = functools.partial(super().main, args, prog_name, complete_var, False, windows_expand_args, **extra)
        failures.run(args, run)


app = typer.Typer(
    name="twofold",
    cls=_Program,
    help="Multi-factor authentication beside the users of a SQL database: its tables, keys, users and audit log.",
    epilog="Settings come from TWOFOLD_* in the environment, then from ./.env; the options of a command win over both. "
    "Exit codes: 0 done, 1 refused, 64 wrong usage, 69 no database, 78 wrong settings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"twofold {version('twofold')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """What comes before the command."""


app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(secrets.app, name="secrets")
app.add_typer(events.app, name="events")
doctor.register(app)
serve.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, those of the process by default, and end the process."""
    app(arguments)
