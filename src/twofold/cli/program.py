"""The root command of `twofold`, which imports only the command that is called."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from twofold.cli import failures
from twofold.cli.nouns import ABOUT

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Program(TyperGroup):
    """The root command: it imports only the command that is called, and prints an error as a sentence."""

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
        del standalone_mode  # Never standalone: Click would print its errors itself.
        run = functools.partial(super().main, args, prog_name, complete_var, False, windows_expand_args, **extra)
        failures.run(args, run)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        del ctx
        return list(ABOUT)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the command."""
        del ctx
        if cmd_name in ABOUT and cmd_name not in self.commands:
            group = typer.main.get_group(import_module(f"twofold.cli.{cmd_name}").app)
            # A noun without subcommands, as doctor, is a group whose only command has its name.
            self.commands[cmd_name] = group.commands.get(cmd_name, group)
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them: importing SQLAlchemy alone takes most of a second."""
        commands = [TyperCommand(name, help=text, rich_markup_mode="rich") for name, text in ABOUT.items()]
        contents = TyperGroup(
            name=self.name,
            commands=commands,
            params=self.params,
            help=self.help,
            epilog=self.epilog,
            rich_markup_mode=self.rich_markup_mode,
        )
        contents.format_help(ctx, formatter)


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
    """Take the options that stand before the command."""
