"""A server that runs out of disk, that stops, and that comes back: nobody gets in meanwhile, and nothing is lost."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests import servers
from tests.attacks.outages import hosted
from tests.attacks.test_faults_of_databases import until_it_is_full
from tests.databases import MariaDBServer, PostgreSQLServer
from tests.people import FIREFOX, add_user, challenged, enroll, log_in, plain_settings
from twofold import MFA, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.databases import Database
    from tests.people import Clock

pytestmark = pytest.mark.every_driver

SOURCES: Final[dict[str, Callable[[str], PostgreSQLServer | MariaDBServer]]] = {
    "postgresql": PostgreSQLServer,
    "mariadb": MariaDBServer,
}
# MariaDB's one file for all tables ends here.
_ROOM = ("--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:28M")
# No file of PostgreSQL grows past this many blocks of 512 bytes, which is a little more than a segment of its log.
_LIMITED = ("sh", "-c", 'ulimit -f 34816 && exec "$0" "$@"')
_FILL = {
    "postgresql": "INSERT INTO mfa_events (user_id, event_type, event_status, event_details, created_at)"
    " VALUES (1, 'filler', 'success', :text, now())",
    "mariadb": "INSERT INTO filler VALUES (:text)",
}


@pytest.fixture
def server(backend: str) -> Iterator[servers.Server]:
    """A server of this test alone."""
    if backend == "postgresql":
        with servers.installed_postgresql(fsync="off", autovacuum="off") as installed:
            yield installed
    else:
        with servers.installed_mariadb(None, *_ROOM) as installed:
            yield installed


def with_little_room(server: servers.Server, backend: str) -> servers.Server:
    """The server as it is started first."""
    return replace(server, command=[*_LIMITED, *server.command]) if backend == "postgresql" else server


def fill(database: Database) -> None:
    """Write until the server refuses even what would fit between the rest."""
    with database.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.backend == "mariadb":
            connection.exec_driver_sql("CREATE TABLE filler (text TEXT)")
        for size in (1900, 10):
            rows = [{"text": "x" * size}] * 100
            for _ in range(1000):
                try:
                    connection.execute(sa.text(_FILL[database.backend]), rows)
                except DBAPIError:
                    break
            else:
                raise AssertionError("There is always room.")


def make_room(database: Database) -> None:
    """What an operator does; PostgreSQL has its room again where the limit is gone."""
    if database.backend == "mariadb":
        with database.engine().begin() as connection:
            connection.exec_driver_sql("DROP TABLE filler")


@pytest.mark.requirement("R21", "R64", "R101")
@pytest.mark.backends("postgresql", "mariadb")
def test_a_server_that_is_full_and_then_stops_lets_nobody_in_and_loses_nothing(
    server: servers.Server, backend: str, face: str, keys: str, clock: Clock
) -> None:
    with contextlib.ExitStack() as up:
        up.enter_context(with_little_room(server, backend).running())
        with contextlib.closing(SOURCES[backend](server.url)) as source:
            database = source.create(migrated=True)
        mfa = MFA(database.engine(), plain_settings(keys=keys), clock=clock)
        enrolled = enroll(mfa, add_user(database, "ada@example.com"), clock)
        ada, phone = enrolled.user_id, enrolled.phone
        device = mfa.trusted_devices.trust(log_in(mfa, ada, phone.code()), request=FIREFOX)
        clock.forward(seconds=60)
        token = challenged(mfa, ada)
        with hosted(database.url, face, keys, clock) as client:
            operations: list[Callable[[], Any]] = [
                lambda: client.verify(token, phone.code()),
                lambda: client.verify(token, phone.wrong_code()),
                lambda: client.verify(token, enrolled.backup_codes[0]),
                lambda: client.challenge(ada, device_token=device.token, request=FIREFOX),
            ]
            fill(database)
            until_it_is_full(mfa, client, ada, device.device_id)
            for operation in operations:
                with pytest.raises(DatabaseUnavailable):
                    operation()
            make_room(database)
            length = mfa.events.verify(ada).length

            up.close()
            for operation in (*operations, lambda: client.status(ada)):
                with pytest.raises(DatabaseUnavailable):
                    operation()

            up.enter_context(server.running())
            assert (client.status(ada).failed_attempts, client.events.verify(ada).length) == (0, length)
            assert client.verify(token, phone.code())
            assert not client.challenge(ada, device_token=device.token, request=FIREFOX)
            assert log_in(client, ada, enrolled.backup_codes[0])
            assert client.events.verify(ada).is_intact
        database.dispose()
