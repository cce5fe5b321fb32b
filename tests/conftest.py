"""Real databases for every test that asks: `database` is empty, `migrated` has the revision.

A test that takes one of the two runs on SQLite, PostgreSQL and MariaDB; `@pytest.mark.backends("postgresql")` narrows
that. In the suite some tests have one of them, by turns: the awaited face, and what neither shows a requirement nor is
about databases. `@pytest.mark.every_driver` keeps all of them for a test, `@pytest.mark.by_turns` gives it turns. Each
test process starts a server when its first test asks for it, which takes about two seconds.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import typescript
from tests.compiling import compile_once
from tests.databases import BACKENDS, ROOT, Database, Sources, add_passkeys
from tests.length import IS_WHOLE
from tests.servers import chromium, folder_in_memory, pgbouncer, pgbouncer_program
from tests.turns import out_of_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest_plugins = ["tests.people"]

# What a machine may lack, whether it is here, and the Debian packages that bring it.
_PROGRAMS = {
    "MariaDB": ("mariadb" in BACKENDS, "mariadb-server-core mariadb-client-core"),
    "PgBouncer": (pgbouncer_program() is not None, "pgbouncer"),
    "Scripts for sqlite3": (shutil.which("sqlite3") is not None, "sqlite3"),
    "The browser": (chromium() is not None, "chromium"),
    "The second browser": (bool(shutil.which("WebKitWebDriver") and shutil.which("Xvfb")), "webkit2gtk-driver xvfb"),
    "Decoding with zbarimg and oathtool": (
        bool(shutil.which("zbarimg") and shutil.which("oathtool")),
        "zbar-tools oathtool",
    ),
}
_MISSING = {name: packages for name, (is_here, packages) in _PROGRAMS.items() if not is_here}
_COMPILER = "The client in TypeScript"
if not typescript.is_installed():
    _MISSING[_COMPILER] = ""

collect_ignore = [
    *([] if shutil.which("WebKitWebDriver") and shutil.which("Xvfb") else ["test_webkit.py"]),
]

# What the developer has configured for an installation of their own must not reach the tests.
_FOR_THE_TESTS = ("TWOFOLD_REQUIRE_", "TWOFOLD_ATTACK_")
for _name in [name for name in os.environ if name.startswith("TWOFOLD_") and not name.startswith(_FOR_THE_TESTS)]:
    del os.environ[_name]

# PyMySQL reads every certificate of the machine before each connection, and no server of the tests has one.
os.environ["SSL_CERT_FILE"] = os.devnull

compile_once()

# Statements are built by the thousand, and the collector would look through all of pytest for them again and again.
gc.set_threshold(50_000, 20, 100)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on every database, or on those that its `backends` mark names."""
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", _backends(metafunc.definition))


def _backends(item: pytest.Item) -> list[str]:
    """The databases of this machine that a test is for."""
    mark = item.get_closest_marker("backends")
    return [name for name in (mark.args if mark else BACKENDS) if name in BACKENDS]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs MariaDB, PgBouncer, a browser or a compiler where there is none; the last lines tell.

    And, in the suite, what has its turn on another database. This comes last, behind `-k`: whoever asks for one
    database has all of its tests.
    """

    def runs(item: pytest.Item) -> bool:
        needed = getattr(item, "fixturenames", ())
        if "pooler" in needed and pgbouncer_program() is None:
            return False
        if "compiler" in needed and _COMPILER in _MISSING:
            return False
        if "chrome" in vars(getattr(item, "module", item)) and "The browser" in _MISSING:
            return False
        return bool(_backends(item))

    left_out = {item for item in items if not runs(item)}
    if not IS_WHOLE:
        left_out |= out_of_turn(item for item in items if item not in left_out)
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    # Whatever the order, a test of a minute is not what everybody waits for at the end.
    items.sort(key=lambda item: item.get_closest_marker("begun_first") is None)


@pytest.fixture(autouse=True)
def _heard_by_nobody() -> Iterator[None]:
    """Have each test begin with engines that nobody listens to.

    SQLAlchemy never forgets that somebody listened to all engines, and Core would take its slower path in every later
    test of the process; what Twofold sends by the driver's own cursor would be tested no more.
    """
    yield
    if (core := sys.modules.get("sqlalchemy")) is not None:
        core.Engine._has_events = core.Connection._has_events = False


@pytest.fixture(scope="session")
def databases() -> Iterator[Sources]:
    """The running servers of this test process, and its files."""
    with folder_in_memory() as folder, contextlib.closing(Sources(folder)) as sources:
        yield sources


@pytest.fixture
def database(databases: Sources, backend: str) -> Iterator[Database]:
    """An empty database."""
    with databases.database(backend, migrated=False) as fresh:
        yield fresh


@pytest.fixture
def migrated(databases: Sources, backend: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database after `alembic upgrade head`: `users` and the four tables, all of them empty.

    Beside them is the table of passkeys where the mark `passkeys` stands.
    """
    with databases.database(backend, migrated=True) as ready:
        if request.node.get_closest_marker("passkeys"):
            add_passkeys(ready)
        yield ready


@pytest.fixture
def pooler() -> Iterator[Callable[..., str]]:
    """Put PgBouncer before a database, for the length of the test: `servers.pgbouncer` with an address."""
    with contextlib.ExitStack() as open_:
        yield lambda url, *users, **options: open_.enter_context(pgbouncer(url, *users, **options))


@pytest.fixture
def compiler() -> None:
    """Ask for the compiler of TypeScript, as `tests.typescript` has it."""


def _must_have_all() -> bool:
    return os.environ.get("TWOFOLD_REQUIRE_ALL") == "1"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where everything must be tested and something cannot be."""
    if session.exitstatus == pytest.ExitCode.OK and _MISSING and _must_have_all():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say last, where nobody overlooks it, what was not tested."""
    if not _MISSING or hasattr(config, "workerinput"):
        return
    lines = [f"{name} WAS NOT TESTED, for want of a program." for name in _MISSING]
    if packages := " ".join(filter(None, _MISSING.values())):
        lines.append(f"On Debian or Ubuntu: apt-get install --no-install-recommends {packages}")
    if _COMPILER in _MISSING:
        lines.append("The compiler: .venv/bin/python -m tests.typescript")
    if _must_have_all():
        lines.append("TWOFOLD_REQUIRE_ALL is set: this run counts as failed.")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    uv = str(Path(sys.executable).with_name("uv"))
    build = [uv, "build", "-q", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
