"""Real databases for every test that asks: `database` is empty, `migrated` has the revision.

A test that takes one of the two runs on SQLite, PostgreSQL and MariaDB; `@pytest.mark.backends("postgresql")` narrows
that. Each test process starts a server when its first test asks for it, so the whole suite pays about two seconds.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.databases import BACKENDS, Database, Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.people"]

_WITHOUT_MARIADB = """
MariaDB WAS NOT TESTED, since its server is not installed here. Everything else ran.
On Debian or Ubuntu: apt-get install --no-install-recommends mariadb-server-core mariadb-client-core"""

# What the developer has configured for an installation of their own must not reach the tests.
for _name in [name for name in os.environ if name.startswith("TWOFOLD_") and not name.startswith("TWOFOLD_REQUIRE_")]:
    del os.environ[_name]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on every database, or on those that its `backends` mark names."""
    if "backend" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("backends")
        named = mark.args if mark else BACKENDS
        metafunc.parametrize("backend", [name for name in named if name in BACKENDS])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for MariaDB alone where there is none; the last lines of the run tell."""

    def runs(item: pytest.Item) -> bool:
        mark = item.get_closest_marker("backends")
        return mark is None or any(name in BACKENDS for name in mark.args)

    left_out = [item for item in items if not runs(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if runs(item)]


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    """The running servers of this test process."""
    sources = Sources(tmp_path_factory.mktemp("databases"))
    yield sources
    sources.close()


@pytest.fixture
def database(databases: Sources, backend: str) -> Iterator[Database]:
    """An empty database."""
    with databases.database(backend, migrated=False) as fresh:
        yield fresh


@pytest.fixture
def migrated(databases: Sources, backend: str) -> Iterator[Database]:
    """A database after `alembic upgrade head`: `users` and the four tables, all of them empty."""
    with databases.database(backend, migrated=True) as ready:
        yield ready


def _lacks_required_mariadb() -> bool:
    return "mariadb" not in BACKENDS and os.environ.get("TWOFOLD_REQUIRE_MARIADB") == "1"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where MariaDB must be tested and cannot be."""
    if session.exitstatus == pytest.ExitCode.OK and _lacks_required_mariadb():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say last, where nobody overlooks it, what was not tested."""
    if "mariadb" not in BACKENDS and not hasattr(config, "workerinput"):
        last = "TWOFOLD_REQUIRE_MARIADB is set: this run counts as failed.\n" if _lacks_required_mariadb() else ""
        sys.stdout.write(f"{_WITHOUT_MARIADB}\n{last}")
