"""Which of its databases a test has in the suite, where it has one by turns: in `.ci/run` it has all of them."""

from __future__ import annotations

import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

# Folders whose tests are about databases and drivers, or attack them.
_OF_DATABASES = {"attacks", "fuzz", "hosts", "schema"}


def out_of_turn(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Return the tests that have their turn on another database of those that were asked for."""
    waiting: defaultdict[str, list[tuple[str, pytest.Item]]] = defaultdict(list)
    for item in items:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        # What is about no database has turns over the frameworks.
        where = given.get("backend") or (given.get("framework") if item.get_closest_marker("by_turns") else None)
        if isinstance(where, str) and _takes_turns(item, is_awaited=given.get("face") == "awaited"):
            waiting[_elsewhere(item, where)].append((where, item))
    return {item for name, found in waiting.items() for item in _others(name, found)}


def _elsewhere(item: pytest.Item, where: str) -> str:
    """What the same test is called on every database. The name of a function may hold that of one, too."""
    name, bracket, values = item.nodeid.partition("[")
    return f"{name}{bracket}{values.replace(where, '')}"


def _others(name: str, found: list[tuple[str, pytest.Item]]) -> list[pytest.Item]:
    """All but the one whose turn it is, whatever the order of the run."""
    others = [item for _, item in sorted(found, key=lambda one: one[0])]
    del others[zlib.crc32(name.encode()) % len(others)]
    return others


def _takes_turns(item: pytest.Item, *, is_awaited: bool) -> bool:
    """Whether one database is enough in the suite: all three are met in `.ci/run`."""
    if item.get_closest_marker("by_turns"):
        return True
    if item.get_closest_marker("every_driver"):
        return False
    shows_security = item.get_closest_marker("requirement") or item.get_closest_marker("attack")
    return is_awaited or not (shows_security or item.path.parent.name in _OF_DATABASES)
