"""The keys: there, strong, for the eyes of their owner alone, and all that rows need."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from twofold.account.runtime import read_keys
from twofold.cli import keys
from twofold.cli.checks.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twofold.cli.terminal import Terminal


def key_settings(terminal: Terminal) -> Iterator[Check]:
    """Keys are there, strong, and for the owner's eyes alone."""
    settings = terminal.settings
    keyring = read_keys(settings)
    where = "TWOFOLD_KEYS" if settings.keys is not None else str(settings.keys_file)
    yield Check("keys", "ok", f"{keys.counted(len(keyring.kids), 'key')} from {where}; {keyring.active} is active.")
    if settings.keys is None and settings.keys_file is not None:
        mode = stat.S_IMODE(settings.keys_file.stat().st_mode)
        if mode & 0o077:
            message = f"{settings.keys_file} can be read or written by others (mode {mode:04o})."
            yield Check("keys file", "wrong", message, f"chmod 600 {settings.keys_file}")
        else:
            yield Check("keys file", "ok", f"{settings.keys_file} is for its owner alone (mode {mode:04o}).")


def needed_keys(terminal: Terminal) -> Iterator[Check]:
    """Every key that a row needs is configured."""
    missing = [use for use in terminal.mfa.keys.status() if keys.is_missing(use)]
    for use in missing:
        yield Check("needed keys", "wrong", keys.verdict(use), "twofold keys status")
    if not missing:
        yield Check("needed keys", "ok", "Every key that a row needs is configured.")
