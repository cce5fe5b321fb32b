"""What operations cost, counted and never timed: statements, round trips, and bytes in PostgreSQL's log.

A number here may fall. One that grows makes every login of every host dearer, and needs a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.people import FIREFOX, Clock, Enrolment, challenged, enroll, plain_settings
from tests.wire import Wire, wired
from twofold import MFA, Challenge, Cleared, Rejected
from twofold.database import _prepare_sqlite

if TYPE_CHECKING:
    from tests.databases import Database

# psycopg prepares what is executed for the sixth time, and tells the server so with one more round trip.
WARM_UP = 7

Perform = Callable[[], object]


class Counted:
    """One user on one connection, and the operations that are counted."""

    def __init__(self, url: sa.URL, keys: str, clock: Clock, user_id: int) -> None:
        drivers = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}
        self.engine = sa.create_engine(
            url.set(drivername=f"{url.get_backend_name()}+{drivers[url.get_backend_name()]}")
        )
        if url.get_backend_name() == "sqlite":
            _prepare_sqlite(self.engine)
        self._clock = clock
        settings = plain_settings(keys=keys, backup_code_count=50)
        self._mfa = MFA(self.engine, settings, clock=clock)
        self._ada: Enrolment = enroll(self._mfa, user_id, clock)
        self._device = self._mfa.trusted_devices.trust(self._ada.verified, request=FIREFOX).token
        self._codes = iter(self._ada.backup_codes)

    def right(self) -> Perform:
        token, code = self._challenged(), self._ada.phone.code()
        return lambda: self._mfa.verify(token, code, request=FIREFOX)

    def wrong(self) -> Perform:
        token, code = self._challenged(), self._ada.phone.wrong_code()

        def perform() -> None:
            with pytest.raises(Rejected):
                self._mfa.verify(token, code, request=FIREFOX)

        # A right one before, so that nobody waits.
        self._mfa.reverify(self._ada.user_id, self._ada.phone.code())
        return perform

    def backup_code(self) -> Perform:
        token = self._challenged()
        return lambda: self._mfa.verify(token, next(self._codes), request=FIREFOX)

    def challenge(self) -> Perform:
        def perform() -> None:
            assert isinstance(self._mfa.challenge(self._ada.user_id, request=FIREFOX), Challenge)

        return perform

    def trusted_device(self) -> Perform:
        def perform() -> None:
            cleared = self._mfa.challenge(self._ada.user_id, device_token=self._device, request=FIREFOX)
            assert isinstance(cleared, Cleared)
            assert cleared.device is not None
            self._device = cleared.device.token

        return perform

    def status(self) -> Perform:
        return lambda: self._mfa.status(self._ada.user_id)

    def _challenged(self) -> str:
        self._clock.forward(minutes=2)
        return challenged(self._mfa, self._ada.user_id, request=FIREFOX)


OPERATIONS: dict[str, Callable[[Counted], Perform]] = {
    "right code": Counted.right,
    "wrong code": Counted.wrong,
    "backup code": Counted.backup_code,
    "challenge": Counted.challenge,
    "trusted device": Counted.trusted_device,
    "status": Counted.status,
}

# Statements, without what begins and ends a transaction; and round trips, with all of that and the pool's farewell.
COSTS: dict[str, dict[str, tuple[int, int]]] = {
    "sqlite": {
        "right code": (4, 0),
        "wrong code": (4, 0),
        "backup code": (7, 0),
        "challenge": (4, 0),
        "trusted device": (5, 0),
        "status": (4, 0),
    },
    "postgresql": {
        "right code": (2, 2),
        "wrong code": (2, 2),
        # What one statement cannot write is decided once more, in a transaction that locks the row.
        "backup code": (7, 9),
        "challenge": (2, 2),
        "trusted device": (2, 2),
        "status": (3, 3),
    },
    "mariadb": {
        "right code": (3, 5),
        "wrong code": (3, 5),
        "backup code": (6, 8),
        "challenge": (3, 5),
        "trusted device": (4, 6),
        "status": (3, 5),
    },
}

# Bytes of write-ahead log, full pages apart: the new row, the event, the index entries of both, and the commit.
WAL = {
    "right code": 960,
    "wrong code": 960,
    "backup code": 1664,
    "challenge": 896,
    "trusted device": 1664,
    "status": 0,
}


@pytest.fixture
def wire(migrated: Database) -> Iterator[Wire | None]:
    if migrated.backend == "sqlite":
        yield None
        return
    with wired(migrated.url) as wire:
        yield wire


@pytest.fixture
def counted(migrated: Database, wire: Wire | None, keys: str, clock: Clock, ada: int) -> Iterator[Counted]:
    counted = Counted(wire.url if wire else sa.make_url(migrated.url), keys, clock, ada)
    yield counted
    counted.engine.dispose()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_asks_the_database_more_often(
    counted: Counted, wire: Wire | None, backend: str, operation: str
) -> None:
    make = OPERATIONS[operation]
    for _ in range(WARM_UP):
        make(counted)()
    perform = make(counted)
    before = wire.round_trips if wire else 0
    perform()
    round_trips = wire.round_trips - before if wire else 0
    perform, heard = make(counted), list[str]()
    event.listen(counted.engine, "before_cursor_execute", lambda _c, _k, words, *_: heard.append(words))
    perform()
    assert (len(heard), round_trips) == COSTS[backend][operation], heard


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_writes_more_into_the_log_of_the_server(
    counted: Counted, migrated: Database, operation: str
) -> None:
    make = OPERATIONS[operation]
    with migrated.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as observer:

        def written() -> int:
            return int(observer.exec_driver_sql("SELECT pg_current_wal_insert_lsn() - '0/0'").scalar_one())

        def cost() -> int:
            perform, before = make(counted), written()
            perform()
            return written() - before

        # Now and then a page of an index is split, or the server writes for itself.
        assert min(cost() for _ in range(5)) <= WAL[operation]
