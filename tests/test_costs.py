"""What operations cost, counted and never timed: statements, round trips, tries, and bytes in PostgreSQL's log.

A number here may fall. One that grows makes every login of every host dearer, and needs a reason.
`python -m tests.test_costs` writes the table into docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.databases import ROOT, add_passkeys
from tests.passkeys.test_page import of_before
from tests.people import FIREFOX, Clock, Enrolment, challenged, enroll, plain_settings
from tests.upkeep.test_legacy import leave
from tests.wire import Wire, wired
from twofold import MFA, Challenge, Cleared, Reason, Rejected
from twofold.account.runtime import Runtime
from twofold.database import enforce_foreign_keys
from twofold.keyring import generate_key
from twofold.operation import Operation
from twofold.testing import VirtualPasskey

if TYPE_CHECKING:
    from tests.databases import Database
    from twofold import Settings, Verified

# psycopg prepares what is executed for the sixth time, and tells the server so with one more round trip.
WARM_UP = 7

Perform = Callable[[], object]
_ORIGIN = "https://example.com"

_BEGINS_OR_ENDS = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET LOCAL lock_timeout")


class Counted:
    """A database on one connection, ada who has everything, and the operations that are counted.

    Each method makes what its operation needs, and returns the call. `face` makes what the operations are of.
    """

    def __init__(self, url: sa.URL, keys: str, clock: Clock, user_id: int) -> None:
        drivers = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}
        self.engine = sa.create_engine(
            url.set(drivername=f"{url.get_backend_name()}+{drivers[url.get_backend_name()]}")
        )
        if url.get_backend_name() == "sqlite":
            enforce_foreign_keys(self.engine)
        self._clock = clock
        self._mfa = self.face(plain_settings(keys=keys, backup_code_count=50, public_url=_ORIGIN))
        # As many users are served as operations are counted; those of all others have ten codes.
        self._plain = self.face(plain_settings(keys=keys, public_url=_ORIGIN))
        rotating = plain_settings(keys=f"{generate_key('k2')},{keys}")
        self._rotating = self.face(rotating)
        self._ada: Enrolment = enroll(self._mfa, user_id, clock)
        self._device = self._mfa.trusted_devices.trust(self._ada.verified, request=FIREFOX).token
        self._codes = iter(self._ada.backup_codes)
        self._last = user_id

    def face(self, settings: Settings) -> MFA:
        return MFA(self.engine, settings, clock=self._clock)

    def challenge(self) -> Perform:
        def perform() -> None:
            assert isinstance(self._mfa.challenge(self._ada.user_id, request=FIREFOX), Challenge)

        return perform

    def challenge_without_a_line(self) -> Perform:
        # The last line of this hour is written, and so are the fifty of the day.
        for _ in range(52):
            self._mfa.challenge(self._ada.user_id, request=FIREFOX)
        return self.challenge()

    def trusted_device(self) -> Perform:
        def perform() -> None:
            cleared = self._mfa.challenge(self._ada.user_id, device_token=self._device, request=FIREFOX)
            assert isinstance(cleared, Cleared)
            assert cleared.device is not None
            self._device = cleared.device.token

        return perform

    def without_a_row(self) -> Perform:
        user_id = self._somebody()
        return lambda: self._mfa.challenge(user_id, request=FIREFOX)

    def right(self) -> Perform:
        token, code = self._challenged(), self._ada.phone.code()
        return lambda: self._mfa.verify(token, code, request=FIREFOX)

    def repeat(self) -> Perform:
        token, code = self._challenged(), self._ada.phone.code()
        self._mfa.verify(token, code)
        return lambda: self._mfa.repeat(token, code, request=FIREFOX)

    def wrong(self) -> Perform:
        return self._refused(self._challenged(), self._ada.phone.wrong_code())

    def backup_code(self) -> Perform:
        token = self._challenged()
        return lambda: self._mfa.verify(token, next(self._codes), request=FIREFOX)

    def wrong_backup_code(self) -> Perform:
        return self._refused(self._challenged(), "23456-23456-23456-23456-23456")

    def no_code(self) -> Perform:
        return self._refused(self._challenged(), "1234")

    def told_before(self) -> Perform:
        token, wrong = self._challenged(), self._ada.phone.wrong_code()

        def perform() -> None:
            with pytest.raises(Rejected) as refused:
                self._mfa.verify(token, wrong, request=FIREFOX)
            assert refused.value.reason is Reason.WAITING

        while self._mfa.status(self._ada.user_id).waiting_until is None:
            with pytest.raises(Rejected):
                self._mfa.verify(token, wrong, request=FIREFOX)
        perform()
        return perform

    def reverify(self) -> Perform:
        self._clock.forward(minutes=2)
        code = self._ada.phone.code()
        return lambda: self._mfa.reverify(self._ada.user_id, code, request=FIREFOX)

    def proof(self) -> Perform:
        self._clock.forward(minutes=2)
        token = self._mfa.reverify(self._ada.user_id, self._ada.phone.code()).token
        return lambda: self._mfa.proof(token)

    def status(self) -> Perform:
        return lambda: self._mfa.status(self._ada.user_id)

    def begin(self) -> Perform:
        user_id = self._somebody()
        return lambda: self._mfa.totp.begin(user_id, account_name="a user", request=FIREFOX)

    def pending(self) -> Perform:
        user_id = self._somebody()
        self._mfa.totp.begin(user_id, account_name="a user")
        return lambda: self._mfa.totp.pending(user_id, account_name="a user")

    def confirm(self) -> Perform:
        user_id = self._somebody()
        enrollment = self._plain.totp.begin(user_id, account_name="a user")
        code = type(self._ada.phone)(enrollment.secret, self._clock).code()
        return lambda: self._plain.totp.confirm(user_id, code, request=FIREFOX)

    def disable(self) -> Perform:
        verified = self._with_a_device().verified
        return lambda: self._mfa.totp.disable(verified, request=FIREFOX)

    def trust(self) -> Perform:
        verified = self._enrolled().verified
        return lambda: self._mfa.trusted_devices.trust(verified, request=FIREFOX)

    def trust_again(self) -> Perform:
        verified = self._enrolled().verified
        token = self._plain.trusted_devices.trust(verified, request=FIREFOX).token
        return lambda: self._mfa.trusted_devices.trust(verified, replaces=token, request=FIREFOX)

    def rename(self) -> Perform:
        user_id = self._with_a_device().user_id
        (device,) = self._mfa.trusted_devices.list(user_id)
        return lambda: self._mfa.trusted_devices.rename(user_id, device.id, "Ada's laptop", request=FIREFOX)

    def revoke(self) -> Perform:
        user_id = self._with_a_device().user_id
        (device,) = self._mfa.trusted_devices.list(user_id)
        return lambda: self._mfa.trusted_devices.revoke(user_id, device.id, request=FIREFOX)

    def revoke_all(self) -> Perform:
        user_id = self._with_a_device().user_id
        return lambda: self._mfa.trusted_devices.revoke_all(user_id, request=FIREFOX)

    def devices(self) -> Perform:
        return lambda: self._mfa.trusted_devices.list(self._ada.user_id)

    def regenerate(self) -> Perform:
        verified = self._enrolled().verified
        return lambda: self._plain.backup_codes.regenerate(verified, request=FIREFOX)

    def remaining(self) -> Perform:
        return lambda: self._mfa.backup_codes.remaining(self._ada.user_id)

    def shown(self) -> Perform:
        user_id = self._with_codes_to_show()
        return lambda: self._plain.backup_codes.shown(user_id, session="a session")

    def keep(self) -> Perform:
        user_id = self._with_codes_to_show()
        return lambda: self._plain.backup_codes.keep(user_id, session="a session", request=FIREFOX)

    def password_changed(self) -> Perform:
        user_id = self._with_a_device().user_id
        return lambda: self._mfa.password_changed(user_id, request=FIREFOX)

    def reset(self) -> Perform:
        user_id = self._with_a_device().user_id
        return lambda: self._mfa.reset(user_id, by="grace", reason="lost phone")

    def repair(self) -> Perform:
        user_id = self._with_a_device().user_id
        return lambda: self._mfa.repair(user_id, by="grace", reason="an alarm")

    def erase(self) -> Perform:
        user_id = self._with_a_device().user_id
        return lambda: self._mfa.erase(user_id)

    def recent(self) -> Perform:
        return lambda: self._mfa.events.recent(self._ada.user_id)

    def verify_events(self) -> Perform:
        return lambda: self._mfa.events.verify(self._ada.user_id)

    def export(self) -> Perform:
        return lambda: self._mfa.events.export(limit=100)

    def prunable(self) -> Perform:
        self._clock.forward(minutes=2)
        return lambda: self._mfa.events.prunable(self._clock.now, limit=10)

    def prune(self) -> Perform:
        user_id = self._enrolled().user_id
        return lambda: self._mfa.events.prune(user_id, self._clock.now)

    def survey(self) -> Perform:
        return self._mfa.legacy.survey

    def adopt(self) -> Perform:
        user_id = self._somebody()
        leave(self._sql, user_id, self._clock)
        after = self._row_of(user_id) - 1

        def perform() -> None:
            assert self._mfa.legacy.adopt(after=after, limit=1).done == 1

        return perform

    def keys(self) -> Perform:
        return self._rotating.keys.status

    def rotate(self) -> Perform:
        after = self._row_of(self._enrolled().user_id) - 1

        def perform() -> None:
            assert self._rotating.keys.rotate(after=after, limit=1).done == 1

        return perform

    def disable_all(self) -> Perform:
        verified = self._with_a_device().verified
        return lambda: self._mfa.disable(verified, request=FIREFOX)

    def begin_passkey(self) -> Perform:
        user_id = self._somebody()
        return lambda: self._mfa.passkeys.begin(user_id, account_name="a user", request=FIREFOX)

    def first_passkey(self) -> Perform:
        user_id = self._somebody()
        begun = self._plain.passkeys.begin(user_id, account_name="a user")
        credential = VirtualPasskey(_ORIGIN).register(begun)
        return lambda: self._plain.passkeys.confirm(user_id, credential, request=FIREFOX)

    def second_passkey(self) -> Perform:
        verified = self._enrolled().verified
        begun = self._mfa.passkeys.begin(verified.user_id, account_name="a user", verified=verified)
        credential = VirtualPasskey(_ORIGIN).register(begun)
        return lambda: self._mfa.passkeys.confirm(verified.user_id, credential, request=FIREFOX)

    def challenge_passkey(self) -> Perform:
        user_id, _ = self._with_a_passkey()

        def perform() -> None:
            challenge = self._mfa.challenge(user_id, request=FIREFOX)
            assert isinstance(challenge, Challenge)
            assert challenge.passkey_options is not None

        return perform

    def right_passkey(self) -> Perform:
        user_id, passkey = self._with_a_passkey()
        challenge = self._mfa.challenge(user_id)
        assert isinstance(challenge, Challenge)
        answer = passkey.sign(challenge.passkey_options or {})
        return lambda: self._mfa.verify(challenge.token, answer, request=FIREFOX)

    def wrong_passkey(self) -> Perform:
        user_id, passkey = self._with_a_passkey()
        challenge = self._mfa.challenge(user_id)
        assert isinstance(challenge, Challenge)
        return self._refused(challenge.token, passkey.sign(challenge.passkey_options or {}, signature=b"none"))

    def reverify_passkey(self) -> Perform:
        user_id, passkey = self._with_a_passkey()
        answer = passkey.sign(self._mfa.passkeys.ask(user_id))
        return lambda: self._mfa.reverify(user_id, answer, request=FIREFOX)

    def ask_passkey(self) -> Perform:
        user_id, _ = self._with_a_passkey()
        return lambda: self._mfa.passkeys.ask(user_id)

    def adopt_passkey(self) -> Perform:
        user_id = self._somebody()
        held = of_before(VirtualPasskey(_ORIGIN))
        return lambda: self._mfa.passkeys.adopt(user_id, **held, request=FIREFOX)

    def asked_passkey(self) -> Perform:
        user_id, _ = self._with_a_passkey()
        challenge = self._mfa.challenge(user_id)
        assert isinstance(challenge, Challenge)
        return lambda: self._mfa.passkeys.asked(challenge.token)

    def offered(self) -> Perform:
        self._mfa.passkeys.offered()
        return self._mfa.passkeys.offered

    def passkeys(self) -> Perform:
        user_id, _ = self._with_a_passkey()
        return lambda: self._mfa.passkeys.list(user_id)

    def rename_passkey(self) -> Perform:
        user_id, _ = self._with_a_passkey()
        (passkey,) = self._mfa.passkeys.list(user_id)
        return lambda: self._mfa.passkeys.rename(user_id, passkey.id, "Ada's key", request=FIREFOX)

    def revoke_passkey(self) -> Perform:
        verified = self._verified_with_a_passkey()
        (passkey,) = self._mfa.passkeys.list(verified.user_id)
        return lambda: self._mfa.passkeys.revoke(verified, passkey.id, request=FIREFOX)

    def revoke_passkeys(self) -> Perform:
        verified = self._verified_with_a_passkey()
        return lambda: self._mfa.passkeys.revoke_all(verified, request=FIREFOX)

    def _with_a_passkey(self) -> tuple[int, VirtualPasskey]:
        passkey = VirtualPasskey(_ORIGIN)
        return int(str(self._verified_with_a_passkey(passkey).user_id)), passkey

    def _verified_with_a_passkey(self, passkey: VirtualPasskey | None = None) -> Verified:
        verified = self._enrolled().verified
        begun = self._mfa.passkeys.begin(verified.user_id, account_name="a user", verified=verified)
        self._mfa.passkeys.confirm(verified.user_id, (passkey or VirtualPasskey(_ORIGIN)).register(begun))
        return verified

    def _challenged(self) -> str:
        self._clock.forward(minutes=2)
        return challenged(self._mfa, self._ada.user_id, request=FIREFOX)

    def _refused(self, token: str, code: str) -> Perform:
        def perform() -> None:
            with pytest.raises(Rejected):
                self._mfa.verify(token, code, request=FIREFOX)

        # A right one before, so that nobody waits.
        self._mfa.reverify(self._ada.user_id, self._ada.phone.code())
        return perform

    def _sql(self, statement: str, **parameters: Any) -> list[Any]:
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement), parameters)
            return list(result) if result.returns_rows else []

    def _somebody(self) -> int:
        self._last += 1
        insert = "INSERT INTO users (id, subject, created_at) VALUES (:id, :subject, '2026-01-01 00:00:00')"
        self._sql(insert, id=self._last, subject=f"{self._last}@example.com")
        return self._last

    def _enrolled(self) -> Enrolment:
        return enroll(self._plain, self._somebody(), self._clock)

    def _with_codes_to_show(self) -> int:
        enrolment = self._enrolled()
        self._plain.backup_codes.regenerate(enrolment.verified, session="a session")
        return enrolment.user_id

    def _with_a_device(self) -> Enrolment:
        enrolment = self._enrolled()
        self._plain.trusted_devices.trust(enrolment.verified, request=FIREFOX)
        return enrolment

    def _row_of(self, user_id: int) -> int:
        return int(self._sql("SELECT id FROM user_mfa_secrets WHERE user_id = :user", user=user_id)[0][0])


class Cost(NamedTuple):
    """Statements, without what begins and ends a transaction; and round trips, with all of that and the farewell."""

    sqlite: int
    postgresql: tuple[int, int]
    mariadb: tuple[int, int]

    def on(self, backend: str) -> tuple[int, int]:
        """The cost on one of the databases. SQLite is in the same process."""
        found: int | tuple[int, int] = getattr(self, backend)
        return (found, 0) if isinstance(found, int) else found


class Told(NamedTuple):
    """An operation of the face, in which case it is counted, how it is made, and what it costs.

    Those of passkeys are counted where there is a table for them, all others where there is none.
    """

    name: str
    case: str
    make: Callable[[Counted], Perform]
    cost: Cost
    has_passkeys: bool = False


TABLE = (
    Told("challenge", "", Counted.challenge, Cost(3, (2, 2), (3, 5))),
    Told("challenge", "past the fiftieth of a day", Counted.challenge_without_a_line, Cost(2, (2, 2), (2, 4))),
    Told("challenge", "a trusted device", Counted.trusted_device, Cost(4, (2, 2), (3, 5))),
    Told("challenge", "a user without a row", Counted.without_a_row, Cost(3, (3, 3), (3, 5))),
    Told("verify", "a right code", Counted.right, Cost(3, (2, 2), (3, 5))),
    Told("verify", "a wrong code", Counted.wrong, Cost(3, (2, 2), (3, 5))),
    Told("verify", "a backup code", Counted.backup_code, Cost(4, (2, 2), (3, 5))),
    Told("verify", "a wrong backup code", Counted.wrong_backup_code, Cost(3, (2, 2), (3, 5))),
    Told("verify", "no code at all", Counted.no_code, Cost(1, (1, 1), (1, 2))),
    Told("verify", "again during a wait", Counted.told_before, Cost(2, (2, 2), (2, 4))),
    Told("repeat", "", Counted.repeat, Cost(3, (2, 2), (3, 5))),
    Told("reverify", "", Counted.reverify, Cost(3, (2, 2), (3, 5))),
    Told("proof", "", Counted.proof, Cost(1, (1, 1), (1, 3))),
    Told("status", "", Counted.status, Cost(3, (3, 3), (3, 5))),
    Told("password_changed", "", Counted.password_changed, Cost(5, (5, 8), (5, 7))),
    Told("reset", "", Counted.reset, Cost(7, (7, 10), (7, 9))),
    # Whatever the row says is not believed here, so these look whether passkeys have got a table meanwhile.
    Told("repair", "", Counted.repair, Cost(12, (12, 15), (10, 13))),
    Told("erase", "", Counted.erase, Cost(10, (10, 13), (8, 11))),
    Told("totp.begin", "the first time", Counted.begin, Cost(5, (5, 8), (5, 7))),
    Told("totp.pending", "", Counted.pending, Cost(1, (1, 1), (1, 3))),
    Told("totp.confirm", "", Counted.confirm, Cost(8, (8, 11), (8, 10))),
    Told("totp.disable", "", Counted.disable, Cost(7, (7, 10), (7, 9))),
    Told("backup_codes.regenerate", "", Counted.regenerate, Cost(6, (6, 9), (6, 8))),
    Told("backup_codes.remaining", "", Counted.remaining, Cost(2, (2, 2), (2, 4))),
    Told("backup_codes.shown", "", Counted.shown, Cost(2, (2, 2), (2, 4))),
    Told("backup_codes.keep", "", Counted.keep, Cost(3, (2, 2), (3, 5))),
    Told("trusted_devices.trust", "", Counted.trust, Cost(5, (5, 8), (5, 7))),
    Told("trusted_devices.trust", "again", Counted.trust_again, Cost(5, (5, 8), (5, 7))),
    Told("trusted_devices.list", "", Counted.devices, Cost(2, (2, 2), (2, 4))),
    Told("trusted_devices.rename", "", Counted.rename, Cost(5, (5, 8), (5, 7))),
    Told("trusted_devices.revoke", "", Counted.revoke, Cost(5, (5, 8), (4, 6))),
    Told("trusted_devices.revoke_all", "", Counted.revoke_all, Cost(5, (5, 8), (5, 7))),
    Told("events.recent", "", Counted.recent, Cost(1, (1, 1), (1, 3))),
    Told("events.verify", "", Counted.verify_events, Cost(6, (6, 6), (6, 8))),
    Told("events.export", "", Counted.export, Cost(1, (1, 1), (1, 3))),
    Told("events.prunable", "", Counted.prunable, Cost(3, (3, 3), (3, 5))),
    Told("events.prune", "", Counted.prune, Cost(8, (8, 11), (9, 11))),
    Told("legacy.survey", "", Counted.survey, Cost(4, (4, 4), (4, 6))),
    Told("legacy.adopt", "one user", Counted.adopt, Cost(9, (9, 14), (9, 14))),
    # So does this, which says whether passkeys need a key.
    Told("keys.status", "", Counted.keys, Cost(9, (9, 9), (7, 10))),
    Told("keys.rotate", "one user", Counted.rotate, Cost(5, (5, 10), (5, 9))),
)

PASSKEYS = tuple(
    told._replace(has_passkeys=True)
    for told in (
        Told("challenge", "an owner of a passkey", Counted.challenge_passkey, Cost(3, (2, 2), (3, 5))),
        Told("verify", "a passkey", Counted.right_passkey, Cost(4, (2, 2), (3, 5))),
        Told("verify", "a passkey that does not hold", Counted.wrong_passkey, Cost(3, (2, 2), (3, 5))),
        Told("reverify", "a passkey", Counted.reverify_passkey, Cost(4, (2, 2), (3, 5))),
        Told("disable", "", Counted.disable_all, Cost(9, (9, 12), (9, 11))),
        Told("passkeys.begin", "the first time", Counted.begin_passkey, Cost(6, (6, 9), (6, 8))),
        Told("passkeys.confirm", "the first factor", Counted.first_passkey, Cost(12, (12, 15), (12, 14))),
        Told("passkeys.confirm", "beside another factor", Counted.second_passkey, Cost(7, (7, 10), (7, 9))),
        Told("passkeys.ask", "", Counted.ask_passkey, Cost(2, (2, 2), (2, 4))),
        Told("passkeys.adopt", "", Counted.adopt_passkey, Cost(9, (9, 12), (9, 11))),
        Told("passkeys.asked", "", Counted.asked_passkey, Cost(2, (2, 2), (2, 4))),
        Told("passkeys.offered", "", Counted.offered, Cost(0, (0, 0), (0, 2))),
        Told("passkeys.list", "", Counted.passkeys, Cost(3, (3, 3), (3, 5))),
        Told("passkeys.rename", "", Counted.rename_passkey, Cost(5, (5, 8), (5, 7))),
        Told("passkeys.revoke", "", Counted.revoke_passkey, Cost(5, (5, 8), (5, 7))),
        Told("passkeys.revoke_all", "", Counted.revoke_passkeys, Cost(5, (5, 8), (5, 7))),
    )
)

# What people wait for while they log in.
LOGIN = TABLE[: [told.name for told in TABLE].index("password_changed")]
# What is asked a thousand times leaves a line now and then, and what is mistyped leaves none.
WITHOUT_A_LINE = {Counted.challenge_without_a_line, Counted.no_code, Counted.told_before, Counted.proof, Counted.status}

# Bytes of write-ahead log, full pages apart: the new row, the event, the index entries of both, and the commit.
# The row tells how many lines of a day stand singly, and what the failures of a month come to: up to 56 bytes; and what
# knows an answer to a challenge again: 32.
WAL = {
    "a right code": 1176,
    "a wrong code": 1168,
    "a backup code": 1680,
    "": 1072,
    "a trusted device": 1856,
}


def named(told: Told) -> str:
    return f"{told.name}, {told.case}" if told.case else told.name


@pytest.fixture
def wire(migrated: Database) -> Iterator[Wire | None]:
    if migrated.backend == "sqlite":
        yield None
        return
    with wired(migrated.url) as wire:
        yield wire


@pytest.fixture
def counted(
    request: pytest.FixtureRequest, migrated: Database, wire: Wire | None, keys: str, clock: Clock, ada: int
) -> Iterator[Counted]:
    if "told" in request.fixturenames and request.getfixturevalue("told").has_passkeys:
        add_passkeys(migrated)
    counted = Counted(wire.url if wire else sa.make_url(migrated.url), keys, clock, ada)
    yield counted
    counted.engine.dispose()


def heard(counted: Counted, perform: Perform) -> list[str]:
    """The statements of a call, without what begins and ends a transaction."""
    words: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        words.append(statement)

    event.listen(counted.engine, "after_cursor_execute", hear)
    perform()
    event.remove(counted.engine, "after_cursor_execute", hear)
    return [statement for statement in words if not statement.startswith(_BEGINS_OR_ENDS)]


# A driver that costs more does so in each of its operations, and a third of them is counted on it.
@pytest.mark.by_turns
@pytest.mark.parametrize("told", TABLE + PASSKEYS, ids=named)
def test_no_operation_asks_the_database_more_often_nor_decides_twice_where_nobody_else_writes(
    counted: Counted, wire: Wire | None, backend: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform, tries = told.make(counted), list[bool]()
    attempt = Runtime.attempt

    def counting(runtime: Runtime, connection: sa.Connection, **how: Any) -> Any:
        tries.append(how["is_locking"])
        return attempt(runtime, connection, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "attempt", counting)
        perform()
    assert len(tries) == 1
    for _ in range(WARM_UP - 1):
        told.make(counted)()
    perform = told.make(counted)
    before = wire.round_trips if wire else 0
    perform()
    round_trips = wire.round_trips - before if wire else 0
    statements = heard(counted, told.make(counted))
    assert (len(statements), round_trips) == told.cost.on(backend), statements
    if told in LOGIN:
        reads_no_log(told, [words for words in statements if "mfa_events" in words])


def reads_no_log(told: Told, of_the_log: list[str]) -> None:
    """A login writes its line; only of a user without a row is it asked whether the row was removed."""
    if told.make is Counted.without_a_row:
        # One look, for any trace of the user at all.
        (look,) = of_the_log
        assert look.startswith("SELECT")
        assert all(table in look for table in ("mfa_backup_codes", "mfa_device_trusts"))
        return
    assert all("INSERT INTO mfa_events" in words for words in of_the_log)
    assert len(of_the_log) == (0 if told.make in WITHOUT_A_LINE else 1)


def test_the_length_of_a_log_changes_nothing_of_what_a_login_asks(counted: Counted, clock: Clock) -> None:
    def asked() -> list[list[str]]:
        # On a day whose fifty lines are not written yet.
        clock.forward(days=1)
        each = [told for told in LOGIN if told.make is not Counted.challenge_without_a_line]
        return [heard(counted, told.make(counted)) for told in each]

    before = asked()
    for _ in range(50):
        counted.reverify()()
    assert asked() == before


def test_every_operation_of_the_face_is_counted(migrated: Database, keys: str) -> None:
    mfa = MFA(migrated.engine(), plain_settings(keys=keys))
    rooms = {"": mfa} | {f"{name}.": room for name, room in vars(mfa).items() if type(room).__module__ == "twofold.mfa"}
    operations = {
        f"{prefix}{name}"
        for prefix, room in rooms.items()
        for kind in type(room).__mro__
        for name, value in vars(kind).items()
        if isinstance(value, Operation)
    }
    assert {told.name for told in TABLE + PASSKEYS} == operations


@pytest.mark.backends("postgresql")
@pytest.mark.parametrize(
    "told", [told for told in LOGIN if told.case in WAL and told.name in {"challenge", "verify"}], ids=named
)
def test_no_operation_writes_more_into_the_log_of_the_server(counted: Counted, migrated: Database, told: Told) -> None:
    with migrated.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as observer:

        def written() -> int:
            return int(observer.exec_driver_sql("SELECT pg_current_wal_insert_lsn() - '0/0'").scalar_one())

        def cost() -> int:
            perform, before = told.make(counted), written()
            perform()
            return written() - before

        # Now and then a page of an index is split, or the server writes for itself.
        assert min(cost() for _ in range(5)) <= WAL[told.case]


DOCS = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- made from what is counted: python -m tests.test_costs -->\n", "<!-- end of costs -->"


def documented(text: str) -> str:
    """The page with its table as it has to be."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    rows = "".join(
        f"| `{told.name}`{', ' if told.case else ''}{told.case} | {told.cost.sqlite} "
        f"| {told.cost.postgresql[0]} / {told.cost.postgresql[1]} | {told.cost.mariadb[0]} / {told.cost.mariadb[1]} |\n"
        for told in TABLE + PASSKEYS
    )
    return f"{before}{BEGIN}| operation | SQLite | PostgreSQL | MariaDB |\n|---|---|---|---|\n{rows}{end}{after}"


def test_the_page_shows_what_is_counted() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert BEGIN in text
    assert documented(text) == text


if __name__ == "__main__":
    DOCS.write_text(documented(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
