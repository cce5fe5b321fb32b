"""Retention: old events go, and what they proved and decided stays proven and decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from tests.people import FIREFOX, Clock, Enrolment, Open, Sql, challenged, enroll, kinds, log_in, plain_settings
from twofold import MFA, ConfigurationError, MissingKey, Rejected, Stale, UnknownUser
from twofold.account.lock_wait import BOUND
from twofold.keyring import generate_key
from twofold.metadata import tables
from twofold.upkeep import retention

if TYPE_CHECKING:
    from tests.databases import Database
    from twofold.upkeep.retention import Place

YEAR = timedelta(days=365)


def prune_all(mfa: MFA, before: datetime) -> dict[Any, int]:
    """What an operator's run does: everybody who has old events, batch after batch. How many events went of whom."""
    went: dict[Any, int] = {}
    after: Place | None = None
    while (page := mfa.events.prunable(before, after=after)).after is not None:
        after = page.after
        for user_id in page.users:
            while pruned := mfa.events.prune(user_id, before):
                went[user_id] = went.get(user_id, 0) + pruned.events + pruned.unchained
    return went


@pytest.fixture
def aged(mfa: MFA, enrolled: Enrolment, clock: Clock) -> Enrolment:
    """Ada, with five events of more than a year ago and one of today."""
    for _ in range(3):
        mfa.challenge(enrolled.user_id)
    clock.forward(days=400)
    mfa.challenge(enrolled.user_id)
    return enrolled


@pytest.mark.requirement("R102", "R106")
def test_what_is_old_goes_and_the_chain_stays_whole(mfa: MFA, aged: Enrolment, clock: Clock) -> None:
    kept = mfa.events.recent(aged.user_id)[0]
    # A line of the very moment is not older than it.
    oldest = mfa.events.recent(aged.user_id)[-1].at
    assert mfa.events.prunable(oldest).users == ()
    assert not mfa.events.prune(aged.user_id, oldest)
    pruned = mfa.events.prune(aged.user_id, clock.now - YEAR)
    assert (pruned.events, pruned.unchained, pruned.has_more) == (5, 0, False)
    last, first = mfa.events.recent(aged.user_id)
    assert first == kept
    assert (last.seq, last.kind, last.status, last.at) == (7, "pruned", "success", clock.now)
    assert (last.details["through"], last.details["events"]) == (5, 5)
    report = mfa.events.verify(aged.user_id)
    assert (report.is_intact, report.length, report.pruned) == (True, 2, 5)
    assert log_in(mfa, aged.user_id, aged.phone.code())
    assert mfa.events.verify(aged.user_id).length == 4


def test_a_run_goes_through_everybody_and_the_next_one_has_nothing_to_do(
    mfa: MFA, aged: Enrolment, grace: int, clock: Clock
) -> None:
    enroll(mfa, grace, clock)
    assert prune_all(mfa, clock.now - YEAR) == {aged.user_id: 5}
    assert prune_all(mfa, clock.now - YEAR) == {}
    clock.forward(days=400)
    # Nobody has come since: ada's line of today went, and of grace both; then only `pruned` ones are old.
    assert prune_all(mfa, clock.now - YEAR) == {aged.user_id: 2, grace: 2}
    for _ in range(3):
        clock.forward(days=400)
        assert prune_all(mfa, clock.now - YEAR) == {}
    assert kinds(mfa, aged.user_id) == kinds(mfa, grace) == ["pruned"]
    for user_id in (aged.user_id, grace):
        assert mfa.events.verify(user_id).is_intact
        assert mfa.challenge(user_id)


def test_what_is_young_stays_however_much_of_it_there_is(mfa: MFA, aged: Enrolment, clock: Clock) -> None:
    clock.forward(days=300)
    mfa.challenge(aged.user_id)
    young = mfa.events.recent(aged.user_id, limit=2)
    assert prune_all(mfa, clock.now - YEAR) == {aged.user_id: 5}
    assert mfa.events.recent(aged.user_id, limit=3)[1:] == young


def test_a_line_behind_a_younger_one_waits_for_it(mfa: MFA, aged: Enrolment, clock: Clock) -> None:
    # A server whose clock was slow has written behind one whose clock was right.
    clock.forward(days=-399)
    mfa.challenge(aged.user_id)
    clock.forward(days=399)
    assert prune_all(mfa, clock.now - YEAR) == {aged.user_id: 5}
    assert [event.seq for event in mfa.events.recent(aged.user_id)] == [8, 7, 6]
    assert prune_all(mfa, clock.now - YEAR) == {}
    assert mfa.events.verify(aged.user_id).is_intact


def test_a_long_log_goes_in_batches(
    mfa: MFA, enrolled: Enrolment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LARGEST", 100)
    # What anybody can write who has the password alone is gathered; a right code has a line, however many there are.
    for _ in range(210):
        clock.forward(seconds=30)
        mfa.reverify(enrolled.user_id, enrolled.phone.code())
    clock.forward(days=400)
    before, went = clock.now - YEAR, list[tuple[int, bool]]()
    while pruned := mfa.events.prune(enrolled.user_id, before):
        went.append((pruned.events, pruned.has_more))
        assert mfa.events.verify(enrolled.user_id).pruned == sum(events for events, _ in went)
    assert went == [(100, True), (100, True), (12, False)]
    assert kinds(mfa, enrolled.user_id) == ["pruned"] * 3
    assert log_in(mfa, enrolled.user_id, enrolled.backup_codes[0])


def test_lines_of_before_twofold_go_too_and_it_is_told(mfa: MFA, enrolled: Enrolment, sql: Sql, clock: Clock) -> None:
    line = "INSERT INTO mfa_events (user_id, event_type, event_status, created_at) VALUES (:user, :kind, 'x', :at)"
    for kind, at in (("LOGIN_OK", "2019-01-01"), ("zzz", "2020-01-01"), ("LOGIN_OK", "2026-11-22")):
        sql(line, user=enrolled.user_id, kind=kind, at=f"{at} 00:00:00")
    before = datetime(2026, 1, 1, tzinfo=UTC)
    assert prune_all(mfa, before) == {enrolled.user_id: 2}
    (last, *_) = mfa.events.recent(enrolled.user_id)
    assert (last.kind, last.details["events"], last.details["unchained"]) == ("pruned", 0, 2)
    assert sql("SELECT event_type FROM mfa_events WHERE seq IS NULL") == [("LOGIN_OK",)]
    report = mfa.events.verify(enrolled.user_id)
    assert (report.is_intact, report.length, report.pruned) == (True, 3, 0)


def test_lines_of_somebody_who_was_never_adopted_go_without_a_word(mfa: MFA, ada: int, grace: int, sql: Sql) -> None:
    moment = "2019-01-01 00:00:00"
    sql(
        "INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, created_at, updated_at) "
        "VALUES (:user, 'JBSWY3DPEHPK3PXP', :yes, :at, :at)",
        user=ada,
        yes=True,
        at=moment,
    )
    for user_id in (ada, ada, grace):
        sql(
            "INSERT INTO mfa_events (user_id, event_type, event_status, created_at) VALUES (:user, 'login', 'x', :at)",
            user=user_id,
            at=moment,
        )
    assert prune_all(mfa, datetime(2026, 1, 1, tzinfo=UTC)) == {ada: 2, grace: 1}
    assert sql("SELECT count(*) FROM mfa_events") == [(0,)]


@pytest.mark.requirement("R34", "R106")
def test_backup_codes_are_as_good_or_spent_as_before(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    first, second, third, *_ = enrolled.backup_codes
    assert log_in(mfa, enrolled.user_id, first)
    clock.forward(days=400)
    assert prune_all(mfa, clock.now - YEAR)
    assert log_in(mfa, enrolled.user_id, second)
    clock.forward(days=400)
    # What the first `pruned` line said went into the second one.
    assert prune_all(mfa, clock.now - YEAR)
    assert log_in(mfa, enrolled.user_id, third)
    for spent in (first, second, third):
        with pytest.raises(Rejected, match="not accepted"):
            log_in(mfa, enrolled.user_id, spent)
    assert mfa.backup_codes.remaining(enrolled.user_id) == 7


def test_a_trusted_device_stays_trusted_through_its_cookie(open_mfa: Open, ada: int, clock: Clock) -> None:
    mfa = open_mfa(device_lifetime=timedelta(days=365), device_idle=timedelta(days=365))
    enrolment = enroll(mfa, ada, clock)
    device = mfa.trusted_devices.trust(log_in(mfa, ada, enrolment.phone.code()), request=FIREFOX)
    for _ in range(2):
        clock.forward(days=100)
        assert prune_all(mfa, clock.now)
        cleared = mfa.challenge(ada, device_token=device.token, request=FIREFOX)
        assert not cleared
        assert cleared.device is not None
        device = cleared.device
    mfa.trusted_devices.revoke_all(ada)
    clock.forward(days=1)
    assert prune_all(mfa, clock.now)
    assert mfa.challenge(ada, device_token=device.token, request=FIREFOX)


@pytest.mark.requirement("R83", "R106")
def test_a_proof_whose_event_went_is_stale(mfa: MFA, enrolled: Enrolment, clock: Clock) -> None:
    verified = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    mfa.password_changed(enrolled.user_id)
    clock.forward(days=2)
    long = timedelta(days=30)
    for _ in range(2):
        with pytest.raises(Stale):
            mfa.proof(verified.token, max_age=long)
        mfa.events.prune(enrolled.user_id, clock.now)
    later = log_in(mfa, enrolled.user_id, enrolled.phone.code())
    clock.forward(days=1)
    assert mfa.proof(later.token, max_age=long)


def test_a_challenge_that_waits_can_still_be_answered(mfa: MFA, aged: Enrolment, clock: Clock) -> None:
    token = challenged(mfa, aged.user_id)
    assert mfa.events.prune(aged.user_id, clock.now)
    assert mfa.verify(token, aged.phone.code())


def test_a_user_who_was_pruned_can_be_repaired_erased_and_given_a_new_factor(
    mfa: MFA, aged: Enrolment, clock: Clock
) -> None:
    assert mfa.events.prune(aged.user_id, clock.now - YEAR)
    mfa.repair(aged.user_id, by="grace@example.com", reason="nightly check")
    assert mfa.events.verify(aged.user_id).is_intact
    erased = mfa.erase(aged.user_id)
    assert erased.events == 8
    assert mfa.events.verify(aged.user_id).length == 0
    enroll(mfa, aged.user_id, clock)
    report = mfa.events.verify(aged.user_id)
    assert (report.is_intact, report.length, report.pruned) == (True, 2, 0)


def test_old_lines_under_a_lost_key_stay_and_the_rest_does_not_need_it(
    open_mfa: Open, aged: Enrolment, keys: str, clock: Clock
) -> None:
    fresh = generate_key("k2")
    both, lost = open_mfa(keys=f"{fresh},{keys}"), open_mfa(keys=fresh)
    both.keys.rotate()
    with pytest.raises(MissingKey, match="'k1'"):
        lost.events.prune(aged.user_id, clock.now - YEAR)
    clock.forward(days=1)
    assert both.events.prune(aged.user_id, clock.now)
    # Everything that k1 wrote has gone, the MAC that the anchor names is only followed.
    assert lost.events.verify(aged.user_id).is_intact
    clock.forward(days=1)
    assert lost.challenge(aged.user_id)
    clock.forward(days=1)
    assert lost.events.prune(aged.user_id, clock.now)


@pytest.mark.parametrize(
    ("before", "error"),
    [
        (datetime(2020, 1, 1), ConfigurationError),  # noqa: DTZ001 -- That is what is refused.
        (datetime(2020, 1, 1, tzinfo=UTC).date(), TypeError),
        (datetime(2126, 1, 1, tzinfo=UTC), ConfigurationError),
        ("2020-01-01", TypeError),
    ],
)
def test_a_moment_that_is_none_removes_nothing(mfa: MFA, aged: Enrolment, before: Any, error: type[Exception]) -> None:
    for call in (lambda: mfa.events.prune(aged.user_id, before), lambda: mfa.events.prunable(before)):
        with pytest.raises(error):
            call()
    assert len(mfa.events.recent(aged.user_id)) == 6


def test_there_is_nothing_to_prune_of_nobody(mfa: MFA, ada: int, clock: Clock) -> None:
    assert not mfa.events.prune(ada, clock.now)
    with pytest.raises(UnknownUser):
        mfa.events.prune(404, clock.now)


def test_pages_of_the_search_follow_each_other_without_gap(mfa: MFA, ada: int, grace: int, clock: Clock) -> None:
    for user_id in (ada, grace, ada):
        mfa.totp.begin(user_id, account_name="a user")
        clock.forward(days=1)
    found, after = list[Any](), None
    while (page := mfa.events.prunable(clock.now, after=after, limit=1)).after is not None:
        found += page.users
        after = page.after
    assert found == [ada, grace, ada]


SEQUENTIAL = {
    "sqlite": ("EXPLAIN QUERY PLAN ", "SCAN mfa_events"),
    "postgresql": ("EXPLAIN ", "Seq Scan on mfa_events"),
    "mariadb": ("EXPLAIN ", "|ALL|"),
}


@pytest.fixture
def crowded(migrated: Database, grace: int) -> sa.Engine:
    """So many events of grace that a planner would rather not read them all; a few are old."""
    engine = migrated.engine()
    table = tables(sa.MetaData()).events
    young, old = datetime(2026, 11, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
    rows = [
        {
            "user_id": grace,
            "seq": number,
            "event_type": ("challenged", "code_accepted", "LOGIN_OF_BEFORE")[number % 3],
            "event_status": "success",
            "created_at": (old if number < 100 else young) + timedelta(seconds=number),
        }
        for number in range(1, 20_000)
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(table), rows)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE TABLE mfa_events" if migrated.backend == "mariadb" else "ANALYZE")
    return engine


def test_neither_the_search_nor_a_batch_reads_all_events(
    crowded: sa.Engine, migrated: Database, ada: int, grace: int, keys: str, clock: Clock
) -> None:
    explain, sequential = SEQUENTIAL[migrated.backend]
    engine, sent = migrated.engine(), list[tuple[str, Any]]()
    mfa = MFA(engine, plain_settings(keys=keys), clock=clock)
    enroll(mfa, ada, clock)
    clock.forward(days=1)

    @event.listens_for(engine, "before_cursor_execute")
    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statement = statement.removeprefix(BOUND)
        if statement.startswith(("SELECT", "DELETE")) and "FROM mfa_events" in statement:
            sent.append((statement, parameters))

    def plans() -> list[str]:
        with crowded.connect() as connection:
            found = [connection.exec_driver_sql(explain + statement, values).all() for statement, values in sent]
        sent.clear()
        return ["\n".join("|" + "|".join(str(cell) for cell in row) + "|" for row in rows) for rows in found]

    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT id FROM mfa_events WHERE user_agent = 'x'")
    assert [plan for plan in plans() if sequential in plan]  # So it looks where there is no index.

    before, users, after = datetime(2021, 1, 1, tzinfo=UTC), list[Any](), None
    while (page := mfa.events.prunable(before, after=after, limit=10)).after is not None:
        users += page.users
        after = page.after
    assert set(users) == {grace}
    assert mfa.events.prune(ada, clock.now).events == 2
    assert any(statement.startswith("DELETE") for statement, _ in sent)
    assert [plan for plan in plans() if sequential in plan] == []
