"""The keys: there, strong, for the eyes of their owner alone, and all that rows need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twofold.account.runtime import read_keys
from twofold.cli import keys
from twofold.cli.checkpoints import private_key
from twofold.cli.doctor.check import Check
from twofold.cli.shown import counted
from twofold.key_files import exposed
from twofold.settings import in_file
from twofold.upkeep.legacy import read_fernet_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twofold.cli.terminal import Terminal

_SECRET = {"keys", "audit_keys", "checkpoint_key", "legacy_fernet_key", "database_url"}


def key_settings(terminal: Terminal) -> Iterator[Check]:
    """Keys are there, strong, and for the owner's eyes alone."""
    settings = terminal.settings
    if settings.keys is not None:
        where = "TWOFOLD_KEYS"
    else:
        where = str(settings.keys_file)
        if (found := _exposed("keys file", settings.keys_file)) is not None:
            yield found
            return
    keyring = read_keys(settings)
    yield Check("keys", "ok", f"{counted(len(keyring.kids), 'key')} from {where}; {keyring.active} is active.")


def other_keys(terminal: Terminal) -> Iterator[Check]:
    """The key of the checkpoints is one, for the owner's eyes alone, where there is one."""
    settings = terminal.settings
    if settings.checkpoint_key is None and settings.checkpoint_key_file is None:
        return
    path = None if settings.checkpoint_key is not None else settings.checkpoint_key_file
    if (found := _exposed("checkpoint key", path)) is not None:
        yield found
        return
    yield Check("checkpoint key", "ok", f"The key {private_key(settings).public.kid} signs checkpoints.")


def fernet_keys(terminal: Terminal) -> Iterator[Check]:
    """The Fernet keys of before are some, where there are any."""
    configured = terminal.settings.legacy_fernet_key
    if configured is not None:
        number = len(read_fernet_keys(configured.get_secret_value()))
        yield Check("Fernet keys", "ok", f"{counted(number, 'Fernet key')} for secrets of before Twofold.")


def env_file(terminal: Terminal) -> Iterator[Check]:
    """A `.env` file that holds secrets is for the owner's eyes alone."""
    path = terminal.env_file
    if path is None:
        return
    secret = [name for name in in_file(path) if name in _SECRET]
    found = _exposed("env file", path) if secret else None
    if found is not None:
        yield found
    elif secret:
        yield Check("env file", "ok", f"{path} holds secrets, and is for its owner alone.")


def _exposed(about: str, path: Path | None) -> Check | None:
    """What is wrong with the mode of a file; whatever else is wrong with it, who reads it says."""
    try:
        mode = None if path is None else exposed(path.stat())
    except OSError:
        return None
    if mode is None:
        return None
    return Check(about, "wrong", f"{path} can be read or written by others (mode {mode}).", f"chmod 600 {path}")


def needed_keys(terminal: Terminal) -> Iterator[Check]:
    """Every key that a row needs is configured, and is the one that wrote it."""
    uses = terminal.mfa.keys.status()
    for use in uses:
        if keys.is_missing(use) or use.is_wrong:
            yield Check("needed keys", "wrong", keys.verdict(use), "twofold keys status")
        elif use.foreign:
            yield Check("altered rows", "note", keys.verdict(use), "twofold events verify")
    if not any(keys.is_missing(use) or use.is_wrong for use in uses):
        yield Check("needed keys", "ok", "Every key that a row needs is configured.")
