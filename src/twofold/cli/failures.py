"""How a command ends when it cannot do what was asked: a sentence, mostly a next step, and an exit code."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from twofold.cli.shown import visible
from twofold.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    MFAError,
    NotAdopted,
    NotEnrolled,
    SchemaDrift,
    Tampered,
    UnknownUser,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import ValidationError

# 1 to 3 are answers. The others are those of sysexits.h, so that a supervisor can tell what a restart cannot mend.
REFUSED, USAGE, UNAVAILABLE, BROKEN, MISCONFIGURED, INTERRUPTED = 1, 64, 69, 70, 78, 130

_SHOWN = 20
_HINTS: dict[type[MFAError], str] = {
    UnknownUser: "an id is written as the users' table holds it, for example 42 or a UUID.",
    NotEnrolled: "`twofold users status` shows how the user stands.",
    NotAdopted: "`twofold secrets import-legacy` brings the rows of before along.",
    Tampered: "`twofold events verify` names what was altered.",
    DatabaseUnavailable: "`twofold doctor` says what the database answers.",
}
# What may stand between the scheme and the host of a URL: a user, and whatever was meant to be a password.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]*@")


def run(arguments: Sequence[str] | None, command: Callable[[], Any]) -> NoReturn:
    """Run a command and end the process: never with a traceback, unless `--debug` asks for it."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What the encoding of the terminal has not is written out, as what cannot be printed is.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command() or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the answer has gone; the interpreter would complain about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = REFUSED
    except Exception as error:  # noqa: BLE001 -- Whatever it is, a person reads a sentence.
        code = _tell(error, as_json="--json" in given, debug="--debug" in given)
    sys.exit(code)


def _tell(error: Exception, *, as_json: bool, debug: bool) -> int:
    name, sentences, hint, code = _described(error)
    if not sentences[0]:
        return code  # A noun without a verb has been answered with its help.
    sentences = [_CREDENTIALS.sub("***@", visible(sentence)) for sentence in sentences]
    if as_json:
        answer: dict[str, object] = {"error": name, "message": sentences[0]}
        if sentences[1:]:
            answer["details"] = sentences[1:]
        if hint:
            answer["hint"] = hint
        typer.echo(json.dumps(answer))
    else:
        for sentence in sentences[: _SHOWN + 1]:
            typer.echo(f"error: {sentence}" if sentence is sentences[0] else f"  - {sentence}", err=True)
        if len(sentences) > _SHOWN + 1:
            typer.echo(f"  ... and {len(sentences) - _SHOWN - 1} more", err=True)
        if hint:
            typer.echo(f"hint: {hint}", err=True)
    if debug:
        for line in "".join(traceback.format_exception(error)).split("\n"):
            typer.echo(_CREDENTIALS.sub("***@", visible(line)), err=True)
    return code


def _described(error: Exception) -> tuple[str, list[str], str | None, int]:
    """The class of the error, its sentences, the hint and the exit code."""
    from pydantic import ValidationError

    name = type(error).__name__
    match error:
        case ValidationError():
            return (
                "ConfigurationError",
                settings_sentences(error),
                "docs/settings.md lists every setting.",
                MISCONFIGURED,
            )
        case ConfigurationError():
            return name, [str(error)], None, MISCONFIGURED
        case SchemaDrift():
            return name, [str(error), *error.differences], None, REFUSED
        case DatabaseUnavailable():
            return name, [str(error)], _HINTS[DatabaseUnavailable], UNAVAILABLE
        case MFAError():
            return name, [str(error)], _HINTS.get(type(error)), REFUSED
        case typer.Abort():
            return "Aborted", ["Nothing was changed."], None, REFUSED
        case typer.TyperException():
            hint = "`--help` after a command shows how it is used."
            return "UsageError", [" ".join(error.format_message().split())], hint, USAGE
        case _:
            hint = "the same command with --debug shows where."
            return name, [f"Something unexpected happened ({name})."], hint, BROKEN


def settings_sentences(error: ValidationError) -> list[str]:
    """What is wrong with the settings, by the names of the variables and without a value."""
    sentences: list[str] = []
    for found in error.errors(include_input=False, include_url=False, include_context=False):
        variable = f"TWOFOLD_{found['loc'][0]}".upper() if found["loc"] else "TWOFOLD_*"
        message = found["msg"].removeprefix("Value error, ")
        problem = (
            message.replace("Input should be", "must be", 1)
            if message.startswith("Input should be")
            else f"is wrong: {message}"
        )
        sentences.append(f"{variable} {problem}.")
    return sentences
