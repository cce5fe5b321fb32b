"""A route of the host's, whatever its framework, and an address that leads to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXAMPLES: Final = {
    "int": "1",
    "integer": "1",
    "float": "1.0",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "path": "x",
}


@dataclass(frozen=True)
class Route:
    """A method and a path with its parameters in braces; `parameters` names the kind of each."""

    method: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """How the route is named in tables and tests: `POST /users/{user_id}`."""
        return f"{self.method} {self.path}"

    def address(self, examples: Mapping[str, Any]) -> str:
        """Fill the parameters in, with the host's examples or with something of their kind."""
        address = self.path
        for name, kind in self.parameters.items():
            value = str(examples.get(name, _EXAMPLES.get(kind, "x")))
            address = address.replace("{" + name + "}", quote(value, safe="/" if kind == "path" else ""))
        return address


@dataclass(frozen=True)
class Routes:
    """What was found, and the names of what cannot be tried: sockets, and applications of another kind inside."""

    found: tuple[Route, ...]
    untried: tuple[str, ...]
