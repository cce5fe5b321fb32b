"""Where settings come from: the source that ranks higher wins, and what no setting reads is not overlooked. Pure."""

from __future__ import annotations

import difflib
import functools
from typing import TYPE_CHECKING, Any

from twofold import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


PREFIX = "twofold_"
_PAIRS = (("keys", "keys_file"), ("checkpoint_key", "checkpoint_key_file"))
_ALIKE = 0.8


def ranked(*sources: Callable[[], dict[str, Any]]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Sources, the highest first, in which a key and its file are one setting.

    Where one of the two is set, no lower source is asked for the other. An empty text sets neither.
    """
    decided: set[str] = set()

    def read(source: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        found = dict(source())
        for pair in _PAIRS:
            if decided.intersection(pair):
                values = {}
            else:
                values = {name: found[name] for name in pair if name in found and found[name] != ""}
            decided.update(values)
            for name in pair:
                found.pop(name, None)
            found |= values
        return found

    for source in sources:
        yield functools.partial(read, source)


def unread(variables: Iterable[str], settings: Iterable[str]) -> dict[str, str | None]:
    """The variables that begin like a setting and are none, each with the one that was probably meant, if any."""
    known = set(settings)
    found: dict[str, str | None] = {}
    for name in sorted({one.lower() for one in variables}):
        short = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and short not in known:
            near = meant(short, known)
            found[name.upper()] = near and f"{PREFIX}{near}".upper()
    return found


def meant(name: str, settings: Iterable[str]) -> str | None:
    """The setting that was probably meant by a name, if any."""
    alike = difflib.get_close_matches(name.lower().removeprefix(PREFIX), list(settings), 1, _ALIKE)
    return alike[0] if alike else None


def refuse_unknown(arguments: Iterable[str], settings: Iterable[str]) -> None:
    """Raise TypeError, as any function does, for an argument that is no setting."""
    known = list(settings)
    for name in arguments:
        if name not in known:
            near = meant(name, known)
            raise TypeError(f"Settings has no {name!r}{f'; did you mean {near!r}?' if near else '.'}")


@functools.lru_cache
def warn(name: str, meant: str) -> None:
    """Say once in the log of the process that a variable is ignored."""
    lines.SETTING_UNKNOWN.write(name, meant)
