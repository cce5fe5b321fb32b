"""`twofold keys`: make a key, see what needs which key, move everything to the newest."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 -- Typer reads the annotations.
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from twofold.cli import batches
from twofold.cli.failures import REFUSED
from twofold.cli.shown import Table, counted
from twofold.cli.terminal import Terminal, command, noun
from twofold.errors import ConfigurationError
from twofold.keyring import generate_deployment, generate_key

if TYPE_CHECKING:
    from twofold.upkeep.rotation import KeyUse, Rotated

app = noun("keys")

_COUNTED = {
    "secrets": ("secret", "secrets"),
    "states": ("user's row", "users' rows"),
    "backup_codes": ("unused backup code", "unused backup codes"),
    "devices": ("trusted device", "trusted devices"),
    "passkeys": ("value of a passkey", "values of passkeys"),
}
# What adopted tables brought along was written under no key at all.
_NO_KEY = "legacy"


@command(
    app,
    "twofold keys generate --file /etc/twofold/keys",
    'export TWOFOLD_KEYS="$(twofold keys generate)"',
    'export TWOFOLD_KEYS="$(twofold keys generate),$TWOFOLD_KEYS"   # the next key, before a rotation',
)
def generate(
    terminal: Terminal,
    *,
    kid: Annotated[
        str | None, typer.Option(metavar="KID", help="The key's id. Default: today's date.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write it here, for your eyes alone (0600).", show_default=False)
    ] = None,
) -> None:
    """Make a key and print it, or write it to a new file. This is the only command that shows a key.

    With the first key comes a name for the deployment, for a database that has no rows yet.
    """
    key, deployment = generate_key(kid), None if _is_under_way(terminal) else generate_deployment()
    name = key.partition(":")[0]
    terminal.note(
        f"With the first key, before the first row is written, set TWOFOLD_DEPLOYMENT={deployment} too, and never "
        "change it: what is stored here then means nothing in another deployment that has the same keys."
        if deployment
        else "TWOFOLD_DEPLOYMENT stays as it is. Put this key before one that is configured. Then: twofold keys rotate"
    )
    if file is None:
        terminal.answer({"kid": name, "key": key, "deployment": deployment}, key)
        return
    write_key_file(file, key)
    path = str(file.absolute())
    terminal.answer(
        {"kid": name, "file": path, "deployment": deployment},
        f"The key {name} is in {path}.",
        f"Set TWOFOLD_KEYS_FILE={path}",
    )


def _is_under_way(terminal: Terminal) -> bool:
    """Whether a key or a deployment is configured, so that rows may rest on it. Other settings may be wrong."""
    try:
        settings = terminal.settings
    except (ConfigurationError, ValidationError):
        return False
    return bool(settings.keys or settings.keys_file or settings.deployment)


def write_key_file(path: Path, key: str) -> None:
    """Write a key where nothing is yet, readable for its owner alone. Raises ConfigurationError."""
    try:
        # O_EXCL follows no link and replaces nothing: the key that is there may be the only one that opens the secrets.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists and is left as it is; give another name.") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(f"{key}\n")
        stream.flush()
        os.fsync(descriptor)


@command(app, "twofold keys status", "twofold keys status --json")
def status(terminal: Terminal) -> None:
    """Show what needs which key, and which keys may be removed. Exit 1 where a key is missing, or is another one."""
    uses = terminal.mfa.keys.status()
    terminal.answer({"keys": [payload(use) for use in uses]}, table(uses), *(f"{verdict(use)}" for use in uses))
    if any(is_missing(use) or use.is_wrong for use in uses):
        raise typer.Exit(REFUSED)


@command(app, "twofold keys rotate", "twofold keys rotate --batch 500")
def rotate(
    terminal: Terminal,
    *,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Rows in one transaction.")] = 100,
) -> None:
    """Re-seal every row under the first key, while logins go on. It can be stopped at any time and run again.

    Put the new key before the old one, restart the application with both, then rotate.

    Exit 1 where rows were left alone. Where not one row was written under the configured keys, nothing is changed.
    """
    mfa = terminal.mfa
    pending = sum(use.states for use in mfa.keys.status() if not use.is_active)
    done, skipped = 0, list[str]()

    def count(moved: Rotated) -> int:
        nonlocal done
        done += moved.done
        skipped.extend(moved.skipped)
        return moved.done + len(moved.skipped)

    moves = batches.each(lambda after: mfa.keys.rotate(after=after, limit=batch))
    is_stopped = batches.take(terminal, "Re-sealing", pending, moves, count)
    uses = mfa.keys.status()
    people = [f"Re-sealed {counted(done, 'row')}."]
    if is_stopped:
        people.append(batches.STOPPED)
    if skipped:
        people.append(f"Left alone, since they do not open; look into {counted(len(skipped), 'user')}:")
        people += [f"  twofold users status {user}" for user in skipped]
    people += [verdict(use) for use in uses]
    result = {"done": done, "skipped": skipped, "is_stopped": is_stopped, "keys": [payload(use) for use in uses]}
    terminal.answer(result, *people)
    batches.leave(is_stopped=is_stopped, has_left=bool(skipped))


def is_missing(use: KeyUse) -> bool:
    """Whether something needs this key and it is not configured."""
    return use.is_needed and not use.is_configured and use.kid != _NO_KEY


def payload(use: KeyUse) -> dict[str, Any]:
    """A key's use for programs."""
    counts = {name: getattr(use, name) for name in (*_COUNTED, "events")}
    counts["foreign"] = use.foreign
    flags = {"is_active": use.is_active, "is_configured": use.is_configured, "is_needed": use.is_needed}
    may_be_removed = use.is_configured and not use.is_needed
    return {
        "kid": use.kid,
        **flags,
        "is_audit": use.is_audit,
        "is_missing": is_missing(use),
        "is_wrong": use.is_wrong,
        "may_be_removed": may_be_removed,
        **counts,
    }


def needs(use: KeyUse) -> str:
    """What needs a key, in words."""
    numbers = {words: getattr(use, name) for name, words in _COUNTED.items()}
    return ", ".join(f"{number} {words[number != 1]}" for words, number in numbers.items() if number)


def verdict(use: KeyUse) -> str:
    """What may be done with a key, in a sentence or two."""
    if use.is_wrong:
        return (
            f"{use.kid} is another key than the one that wrote {needs(use) or counted(use.events, 'event')}, or "
            "TWOFOLD_DEPLOYMENT is another: nothing of that opens. Put the right one back, and repair nothing."
        )
    sentence = _verdict(use)
    if use.foreign:
        sentence += (
            f" {counted(use.foreign, 'value')} that {'names' if use.foreign == 1 else 'name'} it did not come from it: "
            "altered, or written by a process that has another key of that name."
        )
    return sentence


def _verdict(use: KeyUse) -> str:
    if use.kid == _NO_KEY:
        return f"{needs(use) or f'{use.events} events'}: from before Twofold, under no key."
    if is_missing(use):
        return f"{use.kid} is missing: {needs(use)} cannot be read without it. Put it back into TWOFOLD_KEYS."
    if use.is_audit:
        what = f"the {counted(use.events, 'event')} written under it" if use.events else "no event"
        return f"{use.kid} is for audits alone: it verifies {what}, and tombstones that it signed."
    if use.is_active:
        return f"{use.kid} is the active key: everything new is written under it."
    if use.is_needed:
        return f"{use.kid} is still needed by {needs(use)}."
    if not use.events:
        return f"{use.kid} may be removed."
    logged = f"the {counted(use.events, 'event')} written under it"
    if not use.is_configured:
        return (
            f"{use.kid} is not configured: {logged} cannot be verified. No login needs it; TWOFOLD_AUDIT_KEYS would do."
        )
    return (
        f"{use.kid} may be removed: no login needs it. Put it into TWOFOLD_AUDIT_KEYS, since {logged} cannot be "
        "verified without it."
    )


def table(uses: tuple[KeyUse, ...]) -> Table:
    """The counts for people."""
    shown = Table("key", "", *(many for _, many in _COUNTED.values()), "events")
    for use in uses:
        state = "active" if use.is_active else "configured" if use.is_configured else "not configured"
        state = "for audits" if use.is_audit else state
        numbers = (str(getattr(use, name)) for name in (*_COUNTED, "events"))
        shown.add_row(use.kid, "" if use.kid == _NO_KEY else state, *numbers)
    return shown
