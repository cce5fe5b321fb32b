"""The route that answers what no page below the prefix does, whatever the method, after every other one has refused.

Tests: `tests/web/test_addresses.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Match, Route

if TYPE_CHECKING:
    from starlette.types import Scope

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Exact(Route):
    """A route that leaves every method but its own to the fallback, which knows a better answer than 405."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say that the address fits, or that nothing does."""
        match, found = super().matches(scope)
        return (match if match is Match.FULL else Match.NONE), found


class Fallback(Route):
    """A route for `/{rest:path}` that stands back behind every other one that fits, a later one of the host's too."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say that the address fits, but never that it fits best. The prefix itself, without a slash, fits as well."""
        match, found = super().matches(scope)
        if match is Match.NONE and scope["type"] == "http" and not scope["path"].endswith("/"):
            match, found = super().matches({**scope, "path": f"{scope['path']}/"})
        # Starlette takes the first route that fits in part where none fits in full.
        return (match if match is Match.NONE else Match.PARTIAL), found
