"""A database server that is killed under load and started again has lost nothing that was answered."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

from tests import servers
from tests.attacks.load import load
from tests.attacks.reckoning import reckon
from tests.databases import MariaDBServer, PostgreSQLServer
from tests.length import LENGTH
from tests.people import Clock, add_user, enroll, plain_settings
from twofold import MFA

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

KILLS = 2 * LENGTH
ANSWERS = 60


@pytest.fixture
def server(backend: str) -> Iterator[servers.Server]:
    """A server of this test alone, on the disk, which acknowledges nothing that it can lose."""
    installed = servers.installed_postgresql() if backend == "postgresql" else servers.installed_mariadb()
    with installed as alone:
        yield alone


def kill_postgresql(postmaster: subprocess.Popen[Any], url: str) -> None:
    """Kill every process of the server, while the first of them is stopped and can neither tidy up nor start more."""
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
        postmaster.send_signal(signal.SIGSTOP)
        for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity").fetchall():
            os.kill(pid, signal.SIGKILL)
        postmaster.kill()


def kill_mariadb(process: subprocess.Popen[Any], _url: str) -> None:
    process.kill()


KILL: Final[dict[str, Callable[[subprocess.Popen[Any], str], None]]] = {
    "postgresql": kill_postgresql,
    "mariadb": kill_mariadb,
}
SOURCES: Final[dict[str, Callable[[str], PostgreSQLServer | MariaDBServer]]] = {
    "postgresql": PostgreSQLServer,
    "mariadb": MariaDBServer,
}


@pytest.mark.requirement("R7", "R34", "R64", "R101", "R105")
@pytest.mark.attack("A8")
@pytest.mark.backends("postgresql", "mariadb")
def test_a_server_that_is_killed_and_started_again_has_all_that_was_answered(
    server: servers.Server, backend: str, keys: str, clock: Clock
) -> None:
    with contextlib.ExitStack() as up:
        process = up.enter_context(server.running())
        with contextlib.closing(SOURCES[backend](server.url)) as source:
            database = source.create(migrated=True)
        mfa = MFA(database.engine(), plain_settings(keys=keys), clock=clock)
        people = [add_user(database, subject) for subject in ("ada@example.com", "grace@example.com")]
        enrolments = [enroll(mfa, user_id, clock) for user_id in people]
        clock.forward(days=1)
        with load(database.url, keys, enrolments, clock.now) as working:
            for _ in range(KILLS):
                working.hear(ANSWERS)
                time.sleep(random.uniform(0, 0.02))
                KILL[backend](process, server.url)
                up.close()
                process = up.enter_context(server.running())
            working.hear(ANSWERS)
            working.kill()
        for enrolment in enrolments:
            reckon(mfa, clock, enrolment, working.said)
        database.dispose()
