"""A host out of `examples/hosts`, in a folder and on a database of its own, moved by the real commands."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.attacks.processes import started
from tests.databases import ROOT, Database
from tests.hosts.typed import typed
from twofold.schema import spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OURS = set(spec.NAMES)


@dataclass
class Host:
    """An example and its database. `run` is what somebody types in its folder."""

    folder: Path
    database: Database
    users: str = "users.id"

    def run(self, *commands: str) -> tuple[int, str]:
        """Run commands until one fails: the exit code of the last one, and all that it said; never a traceback."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}
        environment |= {"TWOFOLD_DATABASE_URL": self.database.url, "TWOFOLD_USERS": self.users}
        said = self.folder.with_suffix(".said")
        with started(typed, self.folder, environment, said, commands) as child:
            code = child.end()
        output = said.read_text(encoding="utf-8")
        assert "Traceback" not in output, output
        assert code is not None, output
        return code, output.rpartition("\n$ ")[2]

    def do(self, *commands: str) -> str:
        """Commands that have to succeed; what the last one said."""
        code, output = self.run(*commands)
        assert code == 0, output
        return output

    def refused(self, command: str) -> str:
        """What a command says that has to fail."""
        code, output = self.run(command)
        assert code != 0, (command, output)
        return output

    def tables(self) -> set[str]:
        """What the database holds."""
        with self.database.engine().connect() as connection:
            return set(sa.inspect(connection).get_table_names())

    def recorded(self, version_table: str = "alembic_version") -> set[str]:
        """The revisions that a version table records."""
        with self.database.engine().connect() as connection:
            return set(connection.exec_driver_sql(f"SELECT version_num FROM {version_table}").scalars())

    def execute(self, *statements: str) -> None:
        """Run statements of the host."""
        with self.database.engine().begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


@pytest.fixture
def host(database: Database, tmp_path: Path) -> Callable[..., Host]:
    """A copy of an example, on an empty database."""

    def copy(name: str, users: str = "users.id") -> Host:
        shutil.copytree(ROOT / "examples" / "hosts", tmp_path / "examples" / "hosts", dirs_exist_ok=True)
        return Host(tmp_path / "examples" / "hosts" / name, database, users)

    return copy
