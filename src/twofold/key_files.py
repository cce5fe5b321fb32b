"""Files that hold keys: read only where nobody else can read or write them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from twofold.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_FOR_ITS_OWNER, _FOR_A_GROUP = 0o077, 0o037


def read_key_file(file: Path) -> list[str]:
    """The lines of a file of secret keys, those with nothing on them left out.

    Raises ConfigurationError where the file cannot be read, or others can.
    """
    return _lines(file, is_secret=True)


def read_public_file(file: Path) -> list[str]:
    """The same for what everybody may read."""
    return _lines(file, is_secret=False)


def exposed(found: os.stat_result) -> str | None:
    """The mode of a file that others can read or write, as `0644`; None where it is well.

    The rule is that of libpq: nobody but the owner, and for a file of root's, as containers are given their secrets, a
    group that may read. Windows has no such modes.
    """
    if os.name != "posix" or not stat.S_ISREG(found.st_mode):
        return None
    mode = stat.S_IMODE(found.st_mode)
    return f"{mode:04o}" if mode & (_FOR_A_GROUP if found.st_uid == 0 else _FOR_ITS_OWNER) else None


def _lines(file: Path, *, is_secret: bool) -> list[str]:
    try:
        with file.open(encoding="ascii", errors="replace") as stream:
            mode = exposed(os.fstat(stream.fileno())) if is_secret else None
            text = "" if mode else stream.read()
    except OSError as error:
        raise ConfigurationError(f"The key file {file} cannot be read ({type(error).__name__}).") from None
    if mode:
        raise ConfigurationError(
            f"The key file {file} can be read or written by others (mode {mode}): chmod 600 {file}"
        )
    return [line.strip() for line in text.splitlines() if line.strip()]
