"""A fault that `twofold doctor` finds: how it is planted, what is said of it, and the next step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from tests.databases import BACKENDS

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Shell
    from tests.databases import Database
    from tests.people import Clock, Enrolment
    from twofold import MFA

REVISION = "769e76ff65d7"


@dataclass
class Sick:
    """An installation that is well, with ada enrolled, until something is done to it."""

    shell: Shell
    database: Database
    folder: Path
    mfa: MFA
    enrolled: Enrolment
    ada: int
    clock: Clock
    cure: contextlib.ExitStack
    options: list[str] = field(default_factory=list[str])

    def sql(self, *statements: str, **values: Any) -> None:
        with self.database.engine().begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)

    def set(self, **variables: str) -> None:
        self.shell.environment.update(variables)

    def write(self, text: str, mode: int) -> str:
        path = self.folder / "planted"
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def on_every_connection(self, what: Callable[[Any], object]) -> None:
        """Do something to each connection that is taken, as a proxy or an unlucky driver would."""

        def taken(connection: Any, *_: Any) -> None:
            what(connection)

        event.listen(sa.Engine, "checkout", taken)
        self.cure.callback(event.remove, sa.Engine, "checkout", taken)

    def shadow(self, function: str, body: str) -> None:
        """Put a function before PostgreSQL's own."""
        name = sa.make_url(self.database.url).database
        self.sql(
            f"CREATE FUNCTION public.{function} LANGUAGE sql AS $$ SELECT {body} $$",
            f"ALTER DATABASE {name} SET search_path = public, pg_catalog",
        )


@dataclass(frozen=True)
class Fault:
    """`said` and `next_step` are parts of what is said; {planted} is a file, and {user} whose row it is."""

    name: str
    about: str
    state: str
    said: str
    next_step: str
    plant: Callable[[Sick], object]
    backends: tuple[str, ...]


FILE = ("sqlite",)
"""What no database makes a difference to is planted on one."""

POOLED = ("PgBouncer before postgresql",)
"""What a pooler is the reason for."""


class Faults(list[Fault]):
    """The faults of one kind, in the order of the table."""

    def add(
        self, name: str, about: str, state: str, said: str, next_step: str = "", *, on: tuple[str, ...] = BACKENDS
    ) -> Callable[[Callable[[Sick], object]], Callable[[Sick], object]]:
        """Add a fault that this function plants."""

        def add(plant: Callable[[Sick], object]) -> Callable[[Sick], object]:
            self.append(Fault(name, about, state, said, next_step, plant, on))
            return plant

        return add
