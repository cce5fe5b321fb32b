"""`twofold doctor`: is this installation well, and if not, what is the next step."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError

from twofold.cli.doctor import address, keys, older_codes, passkeys, policy, pooler, rows, server, tables, variables
from twofold.cli.doctor.check import Check
from twofold.cli.failures import REFUSED, settings_sentences
from twofold.cli.shown import Line, can_show
from twofold.cli.terminal import Terminal, command, noun
from twofold.errors import MFAError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

app = noun("doctor")
_MARKS = {"ok": ("✓", "ok", "green"), "note": ("!", "!", "yellow"), "wrong": ("✗", "x", "bold red")}


@command(app, "twofold doctor", "twofold doctor --json")
def doctor(terminal: Terminal) -> None:
    """Check keys, database, schema, clock and policy, and name the next step for whatever is wrong.

    Exit 1 where something is wrong.
    """
    found = tuple(_checks(terminal))
    wrong = sum(check.state == "wrong" for check in found)
    summary = "Everything is well." if not wrong else f"{wrong} of {len(found)} checks found something wrong."
    terminal.answer(
        {"is_well": not wrong, "checks": found}, *(line for check in found for line in _lines(check)), summary
    )
    if wrong:
        raise typer.Exit(REFUSED)


def _checks(terminal: Terminal) -> Iterator[Check]:
    try:
        settings = terminal.settings
    except ValidationError as error:
        for sentence in settings_sentences(error):
            yield Check("settings", "wrong", sentence, "docs/settings.md lists every setting.")
        return
    except MFAError as error:
        yield Check("settings", "wrong", str(error))
        return
    configured = tuple(_checked("keys", lambda: keys.key_settings(terminal)))
    yield from configured
    for name, look in (
        ("checkpoint key", keys.other_keys),
        ("Fernet keys", keys.fernet_keys),
        ("env file", keys.env_file),
        ("variables", variables.variables),
    ):
        yield from _checked(name, functools.partial(look, terminal))
    reached = tuple(_reached(terminal))
    yield from reached
    # Without a connection each of these checks would repeat the same error; behind a pooler that mixes up prepared
    # statements their findings would be wrong.
    if _are_well(reached, "database") and not _is_wrong(reached, "pooler"):
        yield from _of_the_database(terminal, has_keys=_are_well(configured, "keys"))
    yield from policy.odds(settings)
    yield from policy.policy(settings)
    yield from address.public_url(settings)


def _reached(terminal: Terminal) -> Iterator[Check]:
    answering = tuple(_checked("database", lambda: server.database(terminal)))
    yield from answering
    if _are_well(answering, "database"):
        yield from _checked("pooler", lambda: pooler.statements(terminal))


def _of_the_database(terminal: Terminal, *, has_keys: bool) -> Iterator[Check]:
    yield from _checked("users", lambda: tables.users(terminal))
    conforming = tuple(_checked("schema", lambda: tables.schema(terminal)))
    yield from conforming
    yield from _checked("passkeys", lambda: passkeys.passkeys(terminal))
    yield from _checked("row security", lambda: tables.row_security(terminal))
    if not _are_well(conforming, "schema"):
        return
    yield from _checked("revision", lambda: tables.revision(terminal))
    if not has_keys:
        return
    for name, look in (
        ("needed keys", keys.needed_keys),
        ("sampled rows", rows.rows),
        ("sampled events", rows.events),
        ("orphans", rows.orphans),
        ("legacy rows", rows.of_before),
        ("moments", rows.ahead),
        ("refused users", rows.refused),
        ("older codes", older_codes.older_codes),
    ):
        yield from _checked(name, functools.partial(look, terminal))


def _checked(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Run one check. Where it raises, report the error as a finding of its own, so that the other checks go on."""
    try:
        yield from look()
    except MFAError as error:
        yield Check(name, "wrong", str(error))


def _are_well(found: Iterable[Check], about: str) -> bool:
    return any(check.about == about for check in found) and not _is_wrong(found, about)


def _is_wrong(found: Iterable[Check], about: str) -> bool:
    return any((check.about, check.state) == (about, "wrong") for check in found)


def _lines(check: Check) -> Iterator[str | Line]:
    drawn, spelt, style = _MARKS[check.state]
    mark = drawn if can_show(drawn) else spelt
    yield Line((mark, style), (" ", ""), (f"{check.about}: ", "bold"), (check.message, ""))
    if check.next_step and check.state != "ok":
        yield f"    next: {check.next_step}"
