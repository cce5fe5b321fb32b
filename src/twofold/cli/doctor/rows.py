"""The rows: a sample of them as it was written, and none that stops its user or belongs to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.cli.doctor.check import Check
from twofold.cli.shown import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.doctor.check import State
    from twofold.cli.samples import Sample
    from twofold.cli.terminal import Terminal

_NAMED = 5


def rows(terminal: Terminal) -> Iterator[Check]:
    """Of a sample, each row is as Twofold wrote it, and names the codes, devices and passkeys that are there."""
    found = terminal.mfa.sample_rows()
    about = "sampled rows"
    if not found.altered:
        yield _intact(about, found, "row")
    else:
        them = "it" if len(found.altered) == 1 else "them"
        message = (
            f"Of {counted(found.proven, 'sampled row')}, {_are(found)} not as Twofold wrote {them}, with their codes, "
            f"devices and passkeys: {_named(found, 'user')}."
        )
        yield Check(about, "wrong", message, f"twofold users status {found.altered[0]}")


def events(terminal: Terminal) -> Iterator[Check]:
    """Of a sample, each event is as Twofold wrote it."""
    found = terminal.mfa.sample_events()
    about = "sampled events"
    if found.altered:
        message = (
            f"Of {counted(found.proven, 'sampled event')}, {_are(found)} not as Twofold wrote "
            f"{'it' if len(found.altered) == 1 else 'them'}: {_named(found, 'id')}."
        )
        yield Check(about, "wrong", message, "twofold events verify")
    else:
        yield _intact(about, found, "event")


def orphans(terminal: Terminal) -> Iterator[Check]:
    """Each row has its user: the next one with the same id would inherit a factor."""
    found = terminal.mfa.orphans()
    if not found:
        yield Check("orphans", "ok", "Every row has its user.")
        return
    named = ", ".join(f"{name} of {counted(number, 'user')}" for name, number in found.items())
    table, _, column = terminal.settings.users.rpartition(".")
    step = (
        f"DELETE FROM {next(iter(found))} "  # noqa: S608 -- A person reads it.
        f"WHERE user_id NOT IN (SELECT {column} FROM {table}), and so for each table."
    )
    yield Check("orphans", "wrong", f"Rows whose users are gone: {named}.", step)


def of_before(terminal: Terminal) -> Iterator[Check]:
    """No row of before Twofold waits to be adopted, and no setting of a move is left when it is over."""
    settings, left = terminal.settings, terminal.mfa.legacy.survey()
    found = {"row": left.rows, "raw device token": left.devices, "bare hash of a backup code": left.backup_codes}
    named = ", ".join(f"{number} {_several(what, number)}" for what, number in found.items() if number)
    if named:
        met = " Each is adopted when it is met." if settings.legacy_rows else ""
        state: State = "note" if settings.legacy_rows else "wrong"
        yield Check("legacy rows", state, f"Of before Twofold: {named}.{met}", "twofold secrets import-legacy")
        return
    yield Check("legacy rows", "ok", "No row of before Twofold is left.")
    for is_set, name in (
        (settings.legacy_rows, "TWOFOLD_LEGACY_ROWS"),
        (settings.legacy_fernet_key is not None, "TWOFOLD_LEGACY_FERNET_KEY"),
    ):
        if is_set:
            message = f"{name} is set, and no row of before is left: whoever can write rows could plant one."
            yield Check("legacy settings", "note", message, f"Take {name} out.")


def ahead(terminal: Terminal) -> Iterator[Check]:
    """No moment in a row is still to come."""
    number = terminal.mfa.ahead()
    if number:
        message = f"{counted(number, 'row')} {'holds a moment' if number == 1 else 'hold moments'} still to come."
        yield Check("moments", "note", message, "A clock stood ahead: synchronise every machine with NTP.")
    else:
        yield Check("moments", "ok", "No row holds a moment still to come.")


def refused(terminal: Terminal) -> Iterator[Check]:
    """How many users are refused codes of the app until they set it up anew."""
    found = terminal.mfa.refused()
    if found.suspended or found.exhausted:
        message = (
            f"Codes of the app are refused of {counted(found.suspended + found.exhausted, 'user')}: {found.suspended} "
            f"suspended, {found.exhausted} with too many failures in the last weeks. Somebody guesses, or is lost."
        )
        yield Check("refused users", "note", message, "twofold events list ID")
    else:
        yield Check("refused users", "ok", "Codes of the app are refused of nobody for good.")


def _intact(about: str, found: Sample, what: str) -> Check:
    if not found.looked_at:
        return Check(about, "ok", f"There is no {what} yet.")
    if not found.proven:
        message = f"Of {counted(found.looked_at, f'sampled {what}')}, none could be proven: keys are missing."
        return Check(about, "note", message, "twofold keys status")
    others = found.looked_at - found.proven
    unproven = f" {others} more could not be proven." if others else ""
    return Check(about, "ok", f"Of {counted(found.proven, f'sampled {what}')}, each is as Twofold wrote it.{unproven}")


def _are(found: Sample) -> str:
    number = len(found.altered)
    return f"{number} {'is' if number == 1 else 'are'}"


def _named(found: Sample, what: str) -> str:
    shown = ", ".join(found.altered[:_NAMED])
    more = ", ..." if len(found.altered) > _NAMED else ""
    return f"{what} {shown}{more}"


def _several(what: str, number: int) -> str:
    if number == 1:
        return what
    return what.replace("hash", "hashes", 1).replace("a backup code", "backup codes") if "hash" in what else f"{what}s"
