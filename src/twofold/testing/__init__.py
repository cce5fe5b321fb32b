"""For the tests of a host: a clock to turn, a phone, a user who is enrolled, a database in memory, a walk over doors.

Nothing here takes the place of anything in Twofold: tests run the real library on a real database, at any moment they
like. `twofold.testing.plugin` has the same as fixtures of pytest, `twofold.testing.doors` tries the host's routes.

Tests: `tests/testing/`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twofold.testing.clock import Clock
    from twofold.testing.engines import async_engine, engine
    from twofold.testing.owner import Owner, enrolled
    from twofold.testing.passkey import VirtualPasskey
    from twofold.testing.phone import Phone
    from twofold.testing.setting import keys, settings

_HOMES = {
    "clock": ("Clock",),
    "engines": ("async_engine", "engine"),
    "owner": ("Owner", "enrolled"),
    "passkey": ("VirtualPasskey",),
    "phone": ("Phone",),
    "setting": ("keys", "settings"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["Clock", "Owner", "Phone", "VirtualPasskey", "async_engine", "engine", "enrolled", "keys", "settings"]


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: the plugin is imported by every run of pytest."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
