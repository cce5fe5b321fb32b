"""Where settings come from: the source that ranks higher wins, and what no setting reads is not overlooked. Pure."""

from __future__ import annotations

import difflib
import functools
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_log = logging.getLogger("twofold")

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
                said = {}
            else:
                said = {name: found[name] for name in pair if name in found and found[name] != ""}
            decided.update(said)
            for name in pair:
                found.pop(name, None)
            found |= said
        return found

    for source in sources:
        yield functools.partial(read, source)


def unread(variables: Iterable[str], settings: Iterable[str]) -> dict[str, str | None]:
    """The variables that begin like a setting and are none, each with the one that was probably meant, if any."""
    known = {f"{PREFIX}{name}" for name in settings}
    found: dict[str, str | None] = {}
    for name in sorted({one.lower() for one in variables}):
        if name.startswith(PREFIX) and name not in known:
            short = {one.removeprefix(PREFIX): one for one in known}
            alike = difflib.get_close_matches(name.removeprefix(PREFIX), short, 1, _ALIKE)
            found[name.upper()] = short[alike[0]].upper() if alike else None
    return found


@functools.lru_cache
def warn(name: str, meant: str) -> None:
    """Say once in the log of the process that a variable is ignored."""
    _log.warning("%s is no setting of Twofold and is ignored; did you mean %s?", name, meant)
