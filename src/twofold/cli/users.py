"""`twofold users`: how one user stands, and the way back in for somebody who lost the second factor."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli.shown import Table
from twofold.cli.terminal import Terminal, command, noun
from twofold.errors import NotEnrolled, Tampered, WrongKey
from twofold.outcomes import spelled
from twofold.request import printable

if TYPE_CHECKING:
    from twofold.outcomes import Status, UserId

app = noun("users")

User = Annotated[str, typer.Argument(metavar="ID", help="The user, as users.id holds it.")]
By = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Who does it. Default: the user of the operating system.", show_default=False),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why. Both are kept in the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@command(app, "twofold users status 42", "twofold users status 0b9e6a52-6d0c-4a4e-9c0b-0d8f6f5a3c11 --json")
def status(terminal: Terminal, user: User) -> None:
    """Show whether a user has a second factor, and what stands in its way."""
    found = _status(terminal, terminal.mfa.user(user))
    terminal.answer(found, _table(found))


@command(
    app,
    'twofold users reset 42 --reason "lost the phone; passport checked"',
    'twofold users reset 42 --reason "left the company" --yes',
)
def reset(terminal: Terminal, user: User, *, reason: Reason, by: By = None, yes: Yes = False) -> None:
    """Remove a user's second factor, passkeys, backup codes and trusted devices; then the password alone logs in.

    For a lost phone. Make sure first who is asking: this is how second factors are stolen.
    """
    operator = _operator(by)
    user_id = terminal.mfa.user(user)
    found = _status(terminal, user_id)
    if not (found.is_enrolled or found.is_pending):
        raise NotEnrolled("This user has no second factor; there is nothing to reset.")
    lost = f"{found.backup_codes_remaining} backup codes and {found.trusted_devices} trusted devices"
    if found.passkeys:
        lost = f"{found.passkeys} {'passkey' if found.passkeys == 1 else 'passkeys'}, {lost}"
    terminal.confirm(f"Remove the second factor of user {spelled(user_id)}, with {lost}?", yes=yes)
    terminal.mfa.reset(user_id, by=operator, reason=reason)
    terminal.answer(
        {"user_id": user_id, "action": "reset", "by": operator, "reason": reason},
        f"The second factor of user {spelled(user_id)} is removed. It is recorded that {operator} did it.",
    )


@command(app, 'twofold users repair 42 --by ada --reason "restored from the wrong backup"')
def repair(
    terminal: Terminal,
    user: User,
    *,
    reason: Reason,
    by: By = None,
    yes: Yes = False,
    keys_lost: Annotated[
        bool, typer.Option("--keys-lost", help="The keys that wrote the rows are lost for good, with every copy.")
    ] = False,
) -> None:
    """Take a row back into service that was altered outside Twofold, by removing the factor like `reset`.

    Look into the alteration first: `twofold events verify ID` names it, before and after. Where not one row was written
    under the configured keys, nothing is changed: with the right keys this row may be whole.
    """
    operator = _operator(by)
    user_id = terminal.mfa.user(user)
    if not keys_lost:
        # What is refused later on is not asked about.
        terminal.mfa.require_keys(user_id)
    terminal.confirm(f"Remove the second factor of user {spelled(user_id)} and trust the row again?", yes=yes)
    terminal.mfa.repair(user_id, by=operator, reason=reason, keys_lost=keys_lost)
    terminal.answer(
        {"user_id": user_id, "action": "repair", "by": operator, "reason": reason},
        f"The row of user {spelled(user_id)} is in service again, without a factor. "
        f"It is recorded that {operator} did it.",
    )


def _status(terminal: Terminal, user_id: UserId) -> Status:
    """How a user stands. Raises Tampered where the row names another key than all others of that name do."""
    try:
        return terminal.mfa.status(user_id)
    except WrongKey as error:
        if error.kid not in terminal.mfa.kids_in_use():
            raise
        terminal.mfa.require_keys(user_id)
        raise Tampered(
            f"The row names another key than the others that name {error.kid!r}: it was changed outside Twofold; look "
            "into it, then run `twofold users repair`."
        ) from None


def _operator(by: str | None) -> str:
    """Who acts: the name that was given, else the one that the operating system knows."""
    try:
        name = printable(getpass.getuser() if by is None else by, 255)
    except (KeyError, OSError):
        name = None
    if name is None:
        raise typer.BadParameter("say who does it, with --by NAME.")
    return name


def _table(status: Status) -> Table:
    def moment(name: str) -> str:
        found = getattr(status, name)
        return f"{found:%Y-%m-%d %H:%M:%S} UTC" if found else "never" if name == "last_used_at" else "-"

    if status.is_enrolled:
        factor = f"enabled since {moment('enabled_at')}"
    else:
        factor = "begun, not confirmed" if status.is_pending else "none"
    budget = f"{status.failed_attempts} wrong codes in a row"
    if status.is_suspended:
        budget += (
            "; suspended until the app is set up anew, for which a backup code lets the owner in, "
            "or until `twofold users reset`"
        )
    elif status.exhausted_until:
        budget += (
            f"; too many of before, codes of the app are refused until {moment('exhausted_until')}, or until the app "
            "is set up anew"
        )
    elif status.waiting_until:
        budget += f"; codes of the app are refused until {moment('waiting_until')}"
    shown = Table(show_header=False)
    for name, value in (
        ("user", str(status.user_id)),
        ("second factor", factor),
        ("last used", moment("last_used_at")),
        ("guess budget", budget),
        ("backup codes left", str(status.backup_codes_remaining)),
        ("trusted devices", str(status.trusted_devices)),
    ):
        shown.add_row(name, value)
    if status.passkeys:
        shown.add_row("passkeys", str(status.passkeys))
    for table in status.altered:
        shown.add_row("altered outside Twofold", f"{table}: none of its rows counts, until the user makes them anew")
    return shown
